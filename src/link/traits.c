/* Traits: see traits.h. */
#include "link/traits.h"

#include <string.h>

static const struct trait {
    unsigned bit;
    struct str word;
} traits_known[] = {{TRAIT_CARBONS, {"carbons", 7}},
                    {TRAIT_INACTIVE, {"inactive", 8}},
                    {TRAIT_BIND2, {"bind2", 5}}};

#define KNOWN (sizeof traits_known / sizeof traits_known[0])

struct str traits_write(unsigned traits, char out[TRAITS_TEXT])
{
    size_t len = 0;

    for (size_t i = 0; i < KNOWN; i++) {
        if (!(traits & traits_known[i].bit))
            continue;
        if (len)
            out[len++] = ' ';
        memcpy(out + len, traits_known[i].word.data, traits_known[i].word.len);
        len += traits_known[i].word.len;
    }
    return (struct str){out, len};
}

static unsigned bit_of(struct str word)
{
    for (size_t i = 0; i < KNOWN; i++)
        if (str_eq(word, traits_known[i].word))
            return traits_known[i].bit;
    return 0;
}

unsigned traits_take(struct str *rest)
{
    unsigned traits = 0, bit;
    struct str behind = *rest, word;

    while (str_split(&behind, ' ', &word) && (bit = bit_of(word))) {
        traits |= bit;
        *rest = behind;
    }
    return traits;
}
