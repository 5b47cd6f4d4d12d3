/* Cutting text into words: see words.h. Letter by letter, since a letter's decomposition (Unicode
 * Standard Annex 15) tells its accents apart from it whatever stands around it. */
#include "xmpp/words.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/utf16.h>
#include <unicode/utf8.h>

#define UNITS 32 /* the longest compatibility decomposition has 18 */

/* Accents of letters that are the same letter without them; vowel signs of other scripts are not
 * meant. */
static bool is_accent(UChar32 c)
{
    return ublock_getCode(c) == UBLOCK_COMBINING_DIACRITICAL_MARKS ||
           ublock_getCode(c) == UBLOCK_COMBINING_DIACRITICAL_MARKS_SUPPLEMENT ||
           ublock_getCode(c) == UBLOCK_COMBINING_DIACRITICAL_MARKS_EXTENDED;
}

static bool in_word(UChar32 c)
{
    return (U_GET_GC_MASK(c) & (U_GC_L_MASK | U_GC_N_MASK | U_GC_M_MASK)) != 0;
}

static void add(struct buffer *word, UChar32 c)
{
    char bytes[U8_MAX_LENGTH];
    size_t len = 0;
    U8_APPEND_UNSAFE(bytes, len, c);
    (void)buffer_add(word, bytes, len);
}

/* A letter without its accents, in lower case. */
static void add_folded(struct buffer *word, const UNormalizer2 *normalizer, UChar32 c)
{
    UErrorCode status = U_ZERO_ERROR;
    UChar parts[UNITS];
    int32_t len = unorm2_getDecomposition(normalizer, c, parts, UNITS, &status);
    if (len < 0 || U_FAILURE(status)) { /* it has none */
        if (!is_accent(c))
            add(word, u_foldCase(c, U_FOLD_CASE_DEFAULT));
        return;
    }
    for (int32_t i = 0; i < len;) {
        UChar32 part;
        U16_NEXT(parts, i, len, part);
        if (in_word(part) && !is_accent(part))
            add(word, u_foldCase(part, U_FOLD_CASE_DEFAULT));
    }
}

/* The word that begins at *at, or the gap there: then `word` stays empty. */
static void next_word(struct str text, size_t *at, const UNormalizer2 *normalizer,
                      struct buffer *word)
{
    const uint8_t *bytes = (const uint8_t *)text.data;
    bool began = false;
    while (*at < text.len) {
        size_t i = *at;
        UChar32 c;
        U8_NEXT(bytes, i, text.len, c);
        bool letter = c >= 0 && in_word(c);
        if (!letter && began)
            return;
        *at = i;
        if (!letter)
            continue;
        began = true;
        if (c < 0x80)
            (void)buffer_add_char(word, (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c));
        else
            add_folded(word, normalizer, c);
    }
}

void words_cut(struct str text, size_t max, struct buffer *to)
{
    UErrorCode status = U_ZERO_ERROR;
    const UNormalizer2 *normalizer = unorm2_getNFKDInstance(&status);
    struct buffer word;
    size_t at = 0;
    bool first = true;
    if (U_FAILURE(status))
        return;
    buffer_init(&word, to->max);
    while (at < text.len && max) {
        buffer_clear(&word);
        next_word(text, &at, normalizer, &word);
        if (!buffer_len(&word)) /* nothing but accents, or the end */
            continue;
        if (word.overflowed || buffer_len(to) + buffer_len(&word) + 1 > to->max)
            break;
        if (!first)
            (void)buffer_add_char(to, ' ');
        (void)buffer_add_str(to, buffer_str(&word));
        first = false;
        max--;
    }
    buffer_finish(&word);
}
