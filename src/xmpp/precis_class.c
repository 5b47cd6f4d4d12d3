/* PRECIS string classes from ICU's properties: the algorithm of RFC 8264 section 8 in its own
 * order, the contextual rules of RFC 5892 appendix A, and the code points that RFC 6122 forbids. */
#include "xmpp/precis_class.h"

#include <stddef.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uscript.h>
#include <unicode/utf16.h>

/* Derived property values: RFC 8264 section 8. FREE_PVAL is what the RFC calls "ID_DIS or
 * FREE_PVAL". */
enum derived { PVALID, FREE_PVAL, CONTEXT, DISALLOWED, UNASSIGNED };

struct range {
    UChar32 first, last;
};

static bool in_ranges(const struct range *ranges, size_t count, UChar32 c)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c > ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && c >= ranges[low].first;
}
#define IN(ranges, c) in_ranges(ranges, sizeof(ranges) / sizeof((ranges)[0]), c)

/* RFC 8264 section 9.6: exceptions, by their value. */
static const struct range exceptions_pvalid[] = {
    {0x00DF, 0x00DF}, {0x03C2, 0x03C2}, {0x06FD, 0x06FE}, {0x0F0B, 0x0F0B}, {0x3007, 0x3007}};
static const struct range exceptions_context[] = {{0x00B7, 0x00B7}, {0x0375, 0x0375},
                                                  {0x05F3, 0x05F4}, {0x0660, 0x0669},
                                                  {0x06F0, 0x06F9}, {0x30FB, 0x30FB}};
static const struct range exceptions_disallowed[] = {
    {0x0640, 0x0640}, {0x07FA, 0x07FA}, {0x302E, 0x302F}, {0x3031, 0x3035}, {0x303B, 0x303B}};

/* RFC 8264 section 9.17: toNFKC(cp) != cp. */
static bool has_compat(UChar32 c)
{
    UErrorCode status = U_ZERO_ERROR;
    UChar one[2];
    int32_t len = 0;
    const UNormalizer2 *nfkc = unorm2_getNFKCInstance(&status);
    U16_APPEND_UNSAFE(one, len, c);
    UBool same = unorm2_isNormalized(nfkc, one, len, &status);
    return U_FAILURE(status) || !same;
}

/* RFC 8264 section 9.9. */
static bool old_hangul_jamo(UChar32 c)
{
    int32_t type = u_getIntPropertyValue(c, UCHAR_HANGUL_SYLLABLE_TYPE);
    return type == U_HST_LEADING_JAMO || type == U_HST_VOWEL_JAMO || type == U_HST_TRAILING_JAMO;
}

/* What the general category alone decides: RFC 8264 sections 9.1 and 9.13 to 9.18. */
static enum derived by_category(int8_t category)
{
    const uint32_t letters = U_GC_LL_MASK | U_GC_LU_MASK | U_GC_LO_MASK | U_GC_ND_MASK |
                             U_GC_LM_MASK | U_GC_MN_MASK | U_GC_MC_MASK;
    const uint32_t freeform = U_GC_LT_MASK | U_GC_NL_MASK | U_GC_NO_MASK | U_GC_ME_MASK |
                              U_GC_ZS_MASK | U_GC_S_MASK | U_GC_P_MASK;
    if (U_MASK(category) & letters)
        return PVALID;
    return U_MASK(category) & freeform ? FREE_PVAL : DISALLOWED;
}

static enum derived derive(UChar32 c)
{
    int8_t category = u_charType(c);
    bool noncharacter = u_hasBinaryProperty(c, UCHAR_NONCHARACTER_CODE_POINT);
    if (IN(exceptions_pvalid, c))
        return PVALID;
    if (IN(exceptions_context, c))
        return CONTEXT;
    if (IN(exceptions_disallowed, c))
        return DISALLOWED;
    if (category == U_UNASSIGNED && !noncharacter)
        return UNASSIGNED;
    /* ASCII7 comes here: precis_class_allows has answered it. */
    if (u_hasBinaryProperty(c, UCHAR_JOIN_CONTROL))
        return CONTEXT;
    if (old_hangul_jamo(c))
        return DISALLOWED;
    if (noncharacter || u_hasBinaryProperty(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT))
        return DISALLOWED;
    if (category == U_CONTROL_CHAR)
        return DISALLOWED;
    if (has_compat(c))
        return FREE_PVAL;
    return by_category(category);
}

/* The neighbours of the code point at unit `at`; -1 beyond the ends. */
static UChar32 before(const UChar *text, int32_t at)
{
    UChar32 c = -1;
    if (at > 0)
        U16_PREV(text, 0, at, c);
    return c;
}

static UChar32 after(const UChar *text, int32_t len, int32_t at)
{
    UChar32 c = -1;
    U16_FWD_1(text, at, len);
    if (at < len)
        U16_NEXT(text, at, len, c);
    return c;
}

static bool has_script(UChar32 c, UScriptCode script)
{
    UErrorCode status = U_ZERO_ERROR;
    return c >= 0 && uscript_getScript(c, &status) == script;
}

/* RFC 5892 appendix A.1, the regular expression: {L,D} T* ZWNJ T* {R,D}. */
static bool joins_around(const UChar *text, int32_t len, int32_t at)
{
    UChar32 c;
    int32_t i = at, type = U_JT_TRANSPARENT;
    while (i > 0 && type == U_JT_TRANSPARENT) {
        U16_PREV(text, 0, i, c);
        type = u_getIntPropertyValue(c, UCHAR_JOINING_TYPE);
    }
    if (type != U_JT_LEFT_JOINING && type != U_JT_DUAL_JOINING)
        return false;
    i = at + 1;
    type = U_JT_TRANSPARENT;
    while (i < len && type == U_JT_TRANSPARENT) {
        U16_NEXT(text, i, len, c);
        type = u_getIntPropertyValue(c, UCHAR_JOINING_TYPE);
    }
    return type == U_JT_RIGHT_JOINING || type == U_JT_DUAL_JOINING;
}

static bool any_in(const UChar *text, int32_t len, bool (*is)(UChar32))
{
    for (int32_t i = 0; i < len;) {
        UChar32 c;
        U16_NEXT(text, i, len, c);
        if (is(c))
            return true;
    }
    return false;
}

static bool japanese(UChar32 c)
{
    return has_script(c, USCRIPT_HIRAGANA) || has_script(c, USCRIPT_KATAKANA) ||
           has_script(c, USCRIPT_HAN);
}

static bool arabic_indic(UChar32 c)
{
    return c >= 0x0660 && c <= 0x0669;
}

static bool extended_arabic_indic(UChar32 c)
{
    return c >= 0x06F0 && c <= 0x06F9;
}

/* RFC 5892 appendix A. */
static bool context_ok(UChar32 c, const UChar *text, int32_t len, int32_t at)
{
    const uint8_t virama = 9;
    UChar32 previous = before(text, at);
    bool after_virama = previous >= 0 && u_getCombiningClass(previous) == virama;
    if (c == 0x200C) /* A.1 zero width non-joiner */
        return after_virama || joins_around(text, len, at);
    if (c == 0x200D) /* A.2 zero width joiner */
        return after_virama;
    if (c == 0x00B7) /* A.3 middle dot */
        return previous == 'l' && after(text, len, at) == 'l';
    if (c == 0x0375) /* A.4 Greek keraia */
        return has_script(after(text, len, at), USCRIPT_GREEK);
    if (c == 0x05F3 || c == 0x05F4) /* A.5, A.6 geresh, gershayim */
        return has_script(previous, USCRIPT_HEBREW);
    if (c == 0x30FB) /* A.7 Katakana middle dot, which is of no script itself */
        return any_in(text, len, japanese);
    if (arabic_indic(c)) /* A.8 */
        return !any_in(text, len, extended_arabic_indic);
    if (extended_arabic_indic(c)) /* A.9 */
        return !any_in(text, len, arabic_indic);
    return false;
}

/* RFC 5892 section 2.4: IgnorableBlocks, which IDNA has and PRECIS has not. */
static const struct range ignorable_blocks[] = {
    {0x20D0, 0x20FF}, {0x1D100, 0x1D1FF}, {0x1D200, 0x1D24F}};

bool precis_class_allows(enum precis_class class, UChar32 c, const UChar *text, int32_t len,
                         int32_t at)
{
    if (class == PRECIS_DOMAIN && (c < 0x80 || IN(ignorable_blocks, c)))
        return c < 0x80;
    if (c >= 0x21 && c <= 0x7E) /* ASCII7, which no exception touches: the common case in front */
        return true;
    switch (derive(c)) {
    case PVALID:
        return true;
    case FREE_PVAL:
        return class == PRECIS_FREEFORM;
    case CONTEXT:
        /* ICU has applied the rules label by label to a domain. */
        return class == PRECIS_DOMAIN || context_ok(c, text, len, at);
    default:
        return false;
    }
}

/* RFC 3454: the tables that RFC 6122 appendices A.5 and B.5 prohibit, and B.1, merged and in order.
 * U+0020 itself is dealt with by the classes; the non-ASCII spaces of C.1.2 never survive
 * OpaqueString's mapping. */
static const struct range rfc6122_forbidden[] = {
    {0x0080, 0x009F},    /* C.2.2 */
    {0x00A0, 0x00A0},    /* C.1.2 */
    {0x00AD, 0x00AD},    /* B.1 */
    {0x0340, 0x0341},    /* C.8 */
    {0x034F, 0x034F},    /* B.1 */
    {0x06DD, 0x06DD},    /* C.2.2 */
    {0x070F, 0x070F},    /* C.2.2 */
    {0x1680, 0x1680},    /* C.1.2 */
    {0x1806, 0x1806},    /* B.1 */
    {0x180B, 0x180E},    /* B.1, C.2.2 */
    {0x2000, 0x200F},    /* C.1.2, B.1, C.2.2, C.8 */
    {0x2028, 0x202F},    /* C.2.2, C.8, C.1.2 */
    {0x205F, 0x2063},    /* C.1.2, B.1, C.2.2 */
    {0x206A, 0x206F},    /* C.2.2, C.8 */
    {0x2FF0, 0x2FFB},    /* C.7 */
    {0x3000, 0x3000},    /* C.1.2 */
    {0xD800, 0xF8FF},    /* C.5, C.3 */
    {0xFDD0, 0xFDEF},    /* C.4 */
    {0xFE00, 0xFE0F},    /* B.1 */
    {0xFEFF, 0xFEFF},    /* B.1, C.2.2 */
    {0xFFF9, 0xFFFF},    /* C.2.2, C.6, C.4 */
    {0x1D173, 0x1D17A},  /* C.2.2 */
    {0xE0001, 0xE0001},  /* C.9 */
    {0xE0020, 0xE007F},  /* C.9 */
    {0xF0000, 0x10FFFF}, /* C.3, C.4 */
};

bool precis_rfc6122_forbids(UChar32 c)
{
    if (c >= 0x10000 && (c & 0xFFFE) == 0xFFFE) /* C.4: the last two of every plane */
        return true;
    return IN(rfc6122_forbidden, c);
}
