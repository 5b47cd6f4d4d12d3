/* base64 for SASL: strict, so that every value has exactly one spelling (RFC 6120 section 6.4.2
 * with RFC 4648 section 4). */
#include "xmpp/sasl.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* -1 for anything outside the alphabet: white space and line breaks too (RFC 6120 section 13.9.1).
 */
static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters to `want` (1 to 3) bytes; the bits beyond them must be zero (RFC 4648
 * section 3.5). */
static bool decode_group(const char *in, size_t want, char *out)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; i++) {
        int v = i <= want ? value_of(in[i]) : 0;
        if (v < 0)
            return false;
        bits = bits << 6 | (uint32_t)v;
    }
    for (size_t i = 0; i < want; i++)
        out[i] = (char)(bits >> (16 - 8 * i) & 0xFF);
    uint32_t beyond = want == 3 ? 0 : bits & (want == 2 ? 0xFF : 0xFFFF);
    return beyond == 0;
}

bool sasl_base64_decode(struct str in, struct buffer *out)
{
    if (in.len == 0 || str_is(in, "="))
        return true;
    if (in.len % 4 != 0)
        return false;
    size_t padding = in.data[in.len - 1] != '=' ? 0 : in.data[in.len - 2] != '=' ? 1 : 2;
    size_t len = in.len / 4 * 3 - padding;
    char *to = buffer_reserve(out, len);
    if (!to)
        return false;
    for (size_t group = 0; group < in.len / 4; group++) {
        bool last = group + 1 == in.len / 4;
        if (!decode_group(in.data + group * 4, last ? 3 - padding : 3, to + group * 3))
            return false;
    }
    buffer_commit(out, len);
    return true;
}

bool sasl_base64_encode(struct str in, struct buffer *out)
{
    if (in.len == 0)
        return buffer_add_char(out, '=');
    size_t len = (in.len + 2) / 3 * 4;
    char *to = buffer_reserve(out, len);
    if (!to)
        return false;
    for (size_t i = 0; i < in.len; i += 3) {
        size_t have = in.len - i < 3 ? in.len - i : 3;
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++)
            bits = bits << 8 | (k < have ? (unsigned char)in.data[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            *to++ = k <= have ? alphabet[bits >> (18 - 6 * k) & 0x3F] : '=';
    }
    buffer_commit(out, len);
    return true;
}
