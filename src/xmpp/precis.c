/* PRECIS profiles and IDNA domains over ICU.
 *
 * The steps of each profile stand in the order of its RFC: prepare (width mapping, class), map,
 * fold case, normalise, check direction. Two checks are our own: what a second preparation would
 * change is refused (RFC 8264 section 7 wants stable strings, and not every sequence of mapping and
 * normalisation is), and so is what RFC 6122 servers would refuse or map away, since most of the
 * network still runs it.
 */
#include "xmpp/precis.h"

#include <unicode/uchar.h>
#include <unicode/uidna.h>
#include <unicode/unorm2.h>
#include <unicode/uscript.h>
#include <unicode/ustring.h>
#include <unicode/utf16.h>
#include "xmpp/precis_class.h"

#define UNITS 4096 /* UTF-16 units: more than PRECIS_INPUT_MAX bytes can become */

struct text {
    int32_t len;
    UChar data[UNITS];
};

/* A text that the next call fills: zeroing 8 KB each first (-ftrivial-auto-var-init) would cost
 * more than the work. */
#define SCRATCH __attribute__((uninitialized)) struct text

static bool text_from_utf8(struct str in, struct text *ret)
{
    UErrorCode status = U_ZERO_ERROR;
    if (in.len > PRECIS_INPUT_MAX)
        return false;
    u_strFromUTF8(ret->data, UNITS, &ret->len, in.data, (int32_t)in.len, &status);
    return U_SUCCESS(status);
}

/* False when empty or longer than a part may be. */
static bool text_to_utf8(const struct text *t, char out[1024], size_t *ret_len)
{
    UErrorCode status = U_ZERO_ERROR;
    int32_t len = 0;
    u_strToUTF8(out, JID_PART_MAX + 1, &len, t->data, t->len, &status);
    if (U_FAILURE(status) || len <= 0 || len > JID_PART_MAX)
        return false;
    *ret_len = (size_t)len;
    return true;
}

/* RFC 8265 section 3.3.2: full-width and half-width forms become their decomposition. */
static bool map_width(const struct text *in, struct text *out)
{
    UErrorCode status = U_ZERO_ERROR;
    const UNormalizer2 *nfkc = unorm2_getNFKCInstance(&status);
    if (U_FAILURE(status))
        return false;
    out->len = 0;
    for (int32_t i = 0; i < in->len;) {
        UChar32 c;
        U16_NEXT(in->data, i, in->len, c);
        int32_t type = u_getIntPropertyValue(c, UCHAR_DECOMPOSITION_TYPE);
        UChar *end = out->data + out->len;
        int32_t room = UNITS - out->len, len;
        if (type == U_DT_WIDE || type == U_DT_NARROW) {
            len = unorm2_getRawDecomposition(nfkc, c, end, room, &status);
        } else {
            len = 0;
            UBool error = false;
            U16_APPEND(end, len, room, c, error);
            if (error)
                return false;
        }
        if (U_FAILURE(status) || len < 0 || len > room)
            return false;
        out->len += len;
    }
    return true;
}

/* RFC 8265 section 4.2.2: every space becomes the ASCII one. */
static void map_spaces(const struct text *in, struct text *out)
{
    out->len = in->len;
    for (int32_t i = 0; i < in->len; i++) {
        UChar c = in->data[i]; /* all of Zs lies in the BMP */
        out->data[i] = !U16_IS_SURROGATE(c) && u_charType(c) == U_SPACE_SEPARATOR ? ' ' : c;
    }
}

static bool fold_case(const struct text *in, struct text *out)
{
    UErrorCode status = U_ZERO_ERROR;
    out->len = u_strToLower(out->data, UNITS, in->data, in->len, "", &status);
    return U_SUCCESS(status);
}

static bool normalise(const struct text *in, struct text *out)
{
    UErrorCode status = U_ZERO_ERROR;
    const UNormalizer2 *nfc = unorm2_getNFCInstance(&status);
    out->len = unorm2_normalize(nfc, in->data, in->len, out->data, UNITS, &status);
    return U_SUCCESS(status);
}

/* RFC 5893 section 2, for the whole string as RFC 8264 section 5.2.5 says; strings without
 * right-to-left code points pass. */
static bool bidi_ok(const struct text *t)
{
    unsigned seen = 0, end = 0;
    int32_t i = 0;
    UChar32 c;
    while (i < t->len) {
        U16_NEXT(t->data, i, t->len, c);
        unsigned direction = U_MASK(u_charDirection(c));
        seen |= direction;
        if (direction != U_MASK(U_DIR_NON_SPACING_MARK))
            end = direction; /* the last that is no mark: conditions 3 and 6 */
    }
    const unsigned l = U_MASK(U_LEFT_TO_RIGHT), an = U_MASK(U_ARABIC_NUMBER),
                   en = U_MASK(U_EUROPEAN_NUMBER),
                   r = U_MASK(U_RIGHT_TO_LEFT) | U_MASK(U_RIGHT_TO_LEFT_ARABIC);
    const unsigned neutral = U_MASK(U_EUROPEAN_NUMBER_SEPARATOR) |
                             U_MASK(U_COMMON_NUMBER_SEPARATOR) |
                             U_MASK(U_EUROPEAN_NUMBER_TERMINATOR) | U_MASK(U_OTHER_NEUTRAL) |
                             U_MASK(U_BOUNDARY_NEUTRAL) | U_MASK(U_DIR_NON_SPACING_MARK);
    if (!(seen & (r | an)))
        return true;
    i = 0;
    U16_NEXT(t->data, i, t->len, c);
    unsigned first = U_MASK(u_charDirection(c));
    if (first & l) /* conditions 1, 5 and 6 */
        return !(seen & ~(l | en | neutral)) && (end & (l | en));
    if (!(first & r)) /* condition 1 */
        return false;
    if ((seen & en) && (seen & an)) /* condition 4 */
        return false;
    return !(seen & ~(r | an | en | neutral)) && (end & (r | en | an)); /* conditions 2 and 3 */
}

static bool class_ok(const struct text *t, enum precis_class class)
{
    for (int32_t i = 0; i < t->len;) {
        int32_t at = i;
        UChar32 c;
        U16_NEXT(t->data, i, t->len, c);
        if (!precis_class_allows(class, c, t->data, t->len, at))
            return false;
    }
    return true;
}

static bool rfc6122_ok(const struct text *t)
{
    for (int32_t i = 0; i < t->len;) {
        UChar32 c;
        U16_NEXT(t->data, i, t->len, c);
        if (precis_rfc6122_forbids(c))
            return false;
    }
    return true;
}

static bool text_eq(const struct text *a, const struct text *b)
{
    return a->len == b->len && u_memcmp(a->data, b->data, a->len) == 0;
}

/* RFC 8265 section 3.3.2, steps in order. */
static bool username_once(const struct text *in, struct text *out)
{
    SCRATCH other;
    return map_width(in, out) && class_ok(out, PRECIS_IDENTIFIER) && fold_case(out, &other) &&
           normalise(&other, out) && class_ok(out, PRECIS_IDENTIFIER) && bidi_ok(out);
}

/* RFC 8265 section 4.2.2. */
static bool opaque_once(const struct text *in, struct text *out)
{
    if (!class_ok(in, PRECIS_FREEFORM))
        return false;
    SCRATCH spaced;
    map_spaces(in, &spaced);
    return normalise(&spaced, out) && class_ok(out, PRECIS_FREEFORM);
}

typedef bool profile_fn(const struct text *in, struct text *out);

static bool prepare(struct str in, profile_fn *once, bool rfc6122, char out[1024], size_t *ret_len)
{
    SCRATCH raw;
    SCRATCH first;
    SCRATCH second;
    if (!text_from_utf8(in, &raw) || !once(&raw, &first))
        return false;
    if (!text_eq(&raw, &first) && (!once(&first, &second) || !text_eq(&first, &second)))
        return false;
    if (rfc6122 && !rfc6122_ok(&first))
        return false;
    return text_to_utf8(&first, out, ret_len);
}

bool precis_local(struct str in, char out[1024], size_t *ret_len)
{
    return prepare(in, username_once, true, out, ret_len);
}

bool precis_resource(struct str in, char out[1024], size_t *ret_len)
{
    return prepare(in, opaque_once, true, out, ret_len);
}

bool precis_password(struct str in, char out[1024], size_t *ret_len)
{
    return prepare(in, opaque_once, false, out, ret_len);
}

/* RFC 5890 section 2.3.2.1: a U-label must have an A-label of at most 63 bytes. The length of the
 * whole name is RFC 7622's business (1023 bytes), not the resolver's. */
static bool has_a_labels(const UIDNA *idna, const struct text *t)
{
    SCRATCH ascii;
    UIDNAInfo info = UIDNA_INFO_INITIALIZER;
    UErrorCode status = U_ZERO_ERROR;
    uidna_nameToASCII(idna, t->data, t->len, ascii.data, UNITS, &info, &status);
    return U_SUCCESS(status) && !(info.errors & ~(uint32_t)UIDNA_ERROR_DOMAIN_NAME_TOO_LONG);
}

static bool domain_once(const UIDNA *idna, const struct text *in, struct text *out)
{
    UIDNAInfo info = UIDNA_INFO_INITIALIZER;
    UErrorCode status = U_ZERO_ERROR;
    out->len = uidna_nameToUnicode(idna, in->data, in->len, out->data, UNITS, &info, &status);
    if (U_FAILURE(status) || out->len < 0 || out->len > UNITS)
        return false;
    /* U+3002 and its like are dots now (RFC 7622 section 3.2: strip a final label separator). */
    if (out->len > 0 && out->data[out->len - 1] == '.')
        out->len--;
    /* A final dot is reported as an empty label only by some versions; jid.c looks for empty labels
     * itself. */
    return !(info.errors & ~(uint32_t)(UIDNA_ERROR_EMPTY_LABEL | UIDNA_ERROR_DOMAIN_NAME_TOO_LONG));
}

bool precis_domain(struct str in, char out[1024], size_t *ret_len)
{
    SCRATCH raw;
    SCRATCH first;
    SCRATCH second;
    UErrorCode status = U_ZERO_ERROR;
    if (!text_from_utf8(in, &raw))
        return false;
    UIDNA *idna = uidna_openUTS46(UIDNA_USE_STD3_RULES | UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ |
                                      UIDNA_CHECK_CONTEXTO | UIDNA_NONTRANSITIONAL_TO_ASCII |
                                      UIDNA_NONTRANSITIONAL_TO_UNICODE,
                                  &status);
    if (U_FAILURE(status))
        return false;
    bool ok = domain_once(idna, &raw, &first) &&
              (text_eq(&raw, &first) ||
               (domain_once(idna, &first, &second) && text_eq(&first, &second))) &&
              has_a_labels(idna, &first);
    uidna_close(idna);
    return ok && class_ok(&first, PRECIS_DOMAIN) && rfc6122_ok(&first) &&
           text_to_utf8(&first, out, ret_len);
}

/* The sets of scripts that one language writes together with Latin (UTS 39 section 5.2). */
enum { LATIN = 1, HAN = 2, HIRAGANA = 4, KATAKANA = 8, BOPOMOFO = 16, HANGUL = 32 };

static unsigned script_bit(UScriptCode script)
{
    switch (script) {
    case USCRIPT_LATIN:
        return LATIN;
    case USCRIPT_HAN:
        return HAN;
    case USCRIPT_HIRAGANA:
        return HIRAGANA;
    case USCRIPT_KATAKANA:
        return KATAKANA;
    case USCRIPT_BOPOMOFO:
        return BOPOMOFO;
    case USCRIPT_HANGUL:
        return HANGUL;
    default:
        return 0;
    }
}

bool precis_one_script(struct str text)
{
    SCRATCH t;
    if (!text_from_utf8(text, &t))
        return false;
    UScriptCode only = USCRIPT_COMMON;
    unsigned together = 0;
    bool mixed = false;
    for (int32_t i = 0; i < t.len;) {
        UChar32 c;
        UErrorCode status = U_ZERO_ERROR;
        U16_NEXT(t.data, i, t.len, c);
        UScriptCode script = uscript_getScript(c, &status);
        if (U_FAILURE(status))
            return false;
        if (script == USCRIPT_COMMON || script == USCRIPT_INHERITED || script == only)
            continue;
        mixed = mixed || only != USCRIPT_COMMON;
        only = script;
        unsigned bit = script_bit(script);
        together |= bit ? bit : ~0u; /* a script that joins no other spoils every set */
    }
    return !mixed || !(together & ~(unsigned)(LATIN | HAN | HIRAGANA | KATAKANA)) ||
           !(together & ~(unsigned)(LATIN | HAN | BOPOMOFO)) ||
           !(together & ~(unsigned)(LATIN | HAN | HANGUL));
}

bool precis_fold(struct str in, char out[1024], size_t *ret_len)
{
    SCRATCH text, folded;
    UErrorCode status = U_ZERO_ERROR;
    const UNormalizer2 *fold = unorm2_getNFKCCasefoldInstance(&status);
    if (U_FAILURE(status) || !text_from_utf8(in, &text))
        return false;
    folded.len = unorm2_normalize(fold, text.data, text.len, folded.data, UNITS, &status);
    return U_SUCCESS(status) && text_to_utf8(&folded, out, ret_len);
}
