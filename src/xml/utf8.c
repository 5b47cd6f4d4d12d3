/* UTF-8: see utf8.h. The table of RFC 3629 section 4, as ranges of the first byte. */
#include "xml/utf8.h"
#include <stdbool.h>
#include <string.h>

static const struct {
    uint8_t first, last; /* of the leading byte */
    uint8_t missing, low, high;
} leads[] = {
    {0xC2, 0xDF, 1, 0x80, 0xBF}, {0xE0, 0xE0, 2, 0xA0, 0xBF}, {0xE1, 0xEC, 2, 0x80, 0xBF},
    {0xED, 0xED, 2, 0x80, 0x9F}, {0xEE, 0xEF, 2, 0x80, 0xBF}, {0xF0, 0xF0, 3, 0x90, 0xBF},
    {0xF1, 0xF3, 3, 0x80, 0xBF}, {0xF4, 0xF4, 3, 0x80, 0x8F},
};

static bool start_character(struct utf8 *u, uint8_t c)
{
    for (size_t i = 0; i < sizeof leads / sizeof leads[0]; i++) {
        if (c >= leads[i].first && c <= leads[i].last) {
            *u = (struct utf8){leads[i].missing, leads[i].low, leads[i].high};
            return true;
        }
    }
    return false;
}

/* Bytes of ASCII at the start, whole words only. */
static size_t skip_ascii(const char *bytes, size_t len)
{
    uint64_t v[4];
    size_t i = 0;
    for (; len - i >= sizeof v; i += sizeof v) {
        memcpy(v, bytes + i, sizeof v);
        if ((v[0] | v[1] | v[2] | v[3]) & 0x8080808080808080ull)
            break;
    }
    for (; len - i >= sizeof v[0]; i += sizeof v[0]) {
        memcpy(v, bytes + i, sizeof v[0]);
        if (v[0] & 0x8080808080808080ull)
            break;
    }
    return i;
}

size_t utf8_check(struct utf8 *u, const char *bytes, size_t len)
{
    size_t i = 0;
    while (i < len) {
        if (u->missing == 0)
            i += skip_ascii(bytes + i, len - i);
        /* What is left of this word, and whatever is not ASCII. */
        for (size_t stop = len - i > 8 ? i + 8 : len; i < stop; i++) {
            uint8_t c = (uint8_t)bytes[i];
            if (u->missing > 0) {
                if (c < u->low || c > u->high)
                    return i;
                *u = (struct utf8){(uint8_t)(u->missing - 1), 0x80, 0xBF};
            } else if (c >= 0x80 && !start_character(u, c)) {
                return i;
            }
        }
    }
    return len;
}
