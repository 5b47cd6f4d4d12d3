/* Views of bytes: comparing, splitting, checking. Nothing here keeps what it is given. */
#include "base/str.h"

#include "base/mem.h"

bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.data, prefix.data, prefix.len) == 0);
}

int str_cmp(struct str a, struct str b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter ? memcmp(a.data, b.data, shorter) : 0;
    if (order)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

bool str_split(struct str *rest, char sep, struct str *ret_part)
{
    if (!rest->data)
        return false;
    const char *at = rest->len ? memchr(rest->data, sep, rest->len) : NULL;
    if (!at) {
        *ret_part = *rest;
        *rest = STR_NULL;
        return true;
    }
    size_t len = (size_t)(at - rest->data);
    *ret_part = (struct str){rest->data, len};
    *rest = (struct str){at + 1, rest->len - len - 1};
    return true;
}

bool str_to_u64(struct str s, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)(unsigned char)s.data[i] - '0';
        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
        if (value > max)
            return false;
    }
    *ret = value;
    return true;
}

char *str_dup(struct str s)
{
    return mem_strndup(s.data, s.len);
}

/* Length of the well-formed sequence at `p` (RFC 3629 section 4), 0 when there is none within
 * `left` bytes. */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
    unsigned char lowest = 0x80, highest = 0xbf;
    size_t len;
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        len = 2;
    } else if ((p[0] & 0xf0) == 0xe0) {
        len = 3;
        lowest = p[0] == 0xe0 ? 0xa0 : 0x80;  /* shorter forms exist below */
        highest = p[0] == 0xed ? 0x9f : 0xbf; /* surrogates lie above */
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        len = 4;
        lowest = p[0] == 0xf0 ? 0x90 : 0x80;
        highest = p[0] == 0xf4 ? 0x8f : 0xbf; /* U+10FFFF is the last */
    } else {
        return 0;
    }
    if (left < len || p[1] < lowest || p[1] > highest)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

bool str_utf8_valid(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.data;
    size_t i = 0;
    while (i < s.len) {
        uint64_t eight;
        while (s.len - i >= sizeof eight) { /* most text is ASCII: eight bytes at a time */
            memcpy(&eight, p + i, sizeof eight);
            if (eight & 0x8080808080808080u)
                break;
            i += sizeof eight;
        }
        if (i == s.len)
            break;
        size_t len = utf8_sequence(p + i, s.len - i);
        if (!len)
            return false;
        i += len;
    }
    return true;
}

bool str_eq_secret(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    unsigned char differs = 0;
    for (size_t i = 0; i < a.len; i++) {
        differs = (unsigned char)(differs | (a.data[i] ^ b.data[i]));
        __asm__ volatile("" : "+r"(differs)); /* keeps the compiler from leaving the loop early */
    }
    return differs == 0;
}

void str_hex(const void *bytes, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *in = bytes;
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
}

size_t str_printable(struct str s)
{
    const char *p = s.data;
    unsigned char first = s.len ? (unsigned char)p[0] : 0;
    if (first < 0x80)
        return first >= 0x20 && first != 0x7f;
    size_t len = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (len > s.len || !str_utf8_valid((struct str){p, len}))
        return 0;
    unsigned char second = (unsigned char)p[1], third = len > 2 ? (unsigned char)p[2] : 0;
    if (first == 0xc2 && second < 0xa0)
        return 0;
    if (first == 0xe2 && second == 0x80 && third >= 0xa8 && third <= 0xae)
        return 0;
    if (first == 0xe2 && second == 0x81 && third >= 0xa6 && third <= 0xa9)
        return 0;
    return len;
}
