/* base64 for SASL: strict, so that every value has exactly one spelling (RFC 6120 section 6.4.2
 * with RFC 4648 section 4). */
#include "xmpp/sasl.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Of each character its place in the alphabet plus one; 0 for anything outside it: white space and
 * line breaks too (RFC 6120 section 13.9.1). */
static const uint8_t places[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64};

/* Four characters to `want` (1 to 3) bytes; the bits beyond them must be zero (RFC 4648
 * section 3.5). */
static bool decode_group(const char *in, size_t want, char *out)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; i++) {
        uint32_t place = i <= want ? places[(uint8_t)in[i]] : 1;
        if (place == 0)
            return false;
        bits = bits << 6 | (place - 1);
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
