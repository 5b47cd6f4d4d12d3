/* Domains as ASCII. Nearly all are so already; for the rest ICU. */
#include "resolver/host_name.h"

#include <string.h>
#include <unicode/uidna.h>

static bool is_ascii(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((uint8_t)s.data[i] >= 0x80)
            return false;
    return true;
}

static bool copy_lower(struct str s, char out[DNS_NAME_MAX])
{
    if (s.len >= DNS_NAME_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        out[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    out[s.len] = '\0';
    return true;
}

static bool to_ascii(struct str s, char out[DNS_NAME_MAX])
{
    UErrorCode code = U_ZERO_ERROR;
    UIDNAInfo info = UIDNA_INFO_INITIALIZER;
    UIDNA *idna;
    int32_t len;

    if (s.len >= (size_t)DNS_NAME_MAX * 4)
        return false;
    idna = uidna_openUTS46(UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ | UIDNA_NONTRANSITIONAL_TO_ASCII,
                           &code);
    len = uidna_nameToASCII_UTF8(idna, s.data, (int32_t)s.len, out, DNS_NAME_MAX, &info, &code);
    uidna_close(idna);
    return U_SUCCESS(code) && info.errors == 0 && len < DNS_NAME_MAX;
}

static bool is_label(struct str label)
{
    if (label.len < 1 || label.len > 63)
        return false;
    for (size_t i = 0; i < label.len; i++) {
        char c = label.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
            return false;
    }
    return true;
}

bool host_name(struct str domain, char ret[DNS_NAME_MAX])
{
    char name[DNS_NAME_MAX];
    struct str rest, label;

    if (!(is_ascii(domain) ? copy_lower(domain, name) : to_ascii(domain, name)))
        return false;
    rest = str_of(name);
    if (rest.len > 0 && name[rest.len - 1] == '.')
        name[--rest.len] = '\0';
    if (rest.len == 0 || rest.len + HOST_NAME_PREFIX_MAX >= DNS_NAME_MAX)
        return false;
    memcpy(ret, name, rest.len + 1);
    while (str_split(&rest, '.', &label))
        if (!is_label(label))
            return false;
    return true;
}
