/* Names in certificates: domains in the ASCII form that DNS, SNI and certificates use. The domains
 * come from JIDs, so they are already prepared (lower case, normalised); what is left is Punycode.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"
#include "net/tls_impl.h"

enum { LABEL_MAX = 63 };

/* RFC 3492 section 5: parameters for Punycode. */
enum { BASE = 36, TMIN = 1, TMAX = 26, SKEW = 38, DAMP = 700, INITIAL_BIAS = 72, INITIAL_N = 128 };

/* Section 6.1. */
static uint32_t adapt(uint32_t delta, uint32_t points, bool first)
{
    uint32_t k = 0;
    delta = first ? delta / DAMP : delta / 2;
    delta += delta / points;
    for (; delta > (BASE - TMIN) * TMAX / 2; k += BASE)
        delta /= BASE - TMIN;
    return k + (BASE - TMIN + 1) * delta / (delta + SKEW);
}

static char digit(uint32_t value)
{
    return (char)(value < 26 ? 'a' + value : '0' + value - 26);
}

static size_t decode_utf8(struct str label, uint32_t points[LABEL_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < label.len && count < LABEL_MAX;) {
        unsigned char first = (unsigned char)label.data[i];
        size_t more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
        uint32_t point = more ? first & (0x3fu >> more) : first;
        for (i++; more; more--, i++)
            point = point << 6 | ((unsigned char)label.data[i] & 0x3f);
        points[count++] = point;
    }
    return count;
}

/* A generalised variable-length integer (section 3.3). Returns its length, 0 when it does not fit.
 */
static size_t encode_delta(uint32_t delta, uint32_t bias, char *out, size_t room)
{
    size_t len = 0;
    for (uint32_t k = BASE;; k += BASE) {
        uint32_t t = k <= bias ? TMIN : k >= bias + TMAX ? TMAX : k - bias;
        if (len == room)
            return 0;
        if (delta < t) {
            out[len++] = digit(delta);
            return len;
        }
        out[len++] = digit(t + (delta - t) % (BASE - t));
        delta = (delta - t) / (BASE - t);
    }
}

/* Section 6.3. Returns the length written to `out` (room for LABEL_MAX), 0 when it does not fit. */
static size_t punycode(const uint32_t *points, size_t count, char *out)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++)
        if (points[i] < 0x80)
            out[len++] = (char)tolower((int)points[i]);
    uint32_t n = INITIAL_N, delta = 0, bias = INITIAL_BIAS, handled = (uint32_t)len,
             basic = handled;
    if (basic) {
        if (len == LABEL_MAX)
            return 0;
        out[len++] = '-';
    }
    for (; handled < count; delta++, n++) {
        uint32_t next = UINT32_MAX;
        for (size_t i = 0; i < count; i++)
            if (points[i] >= n && points[i] < next)
                next = points[i];
        delta += (next - n) * (handled + 1);
        n = next;
        for (size_t i = 0; i < count; i++) {
            delta += points[i] < n;
            if (points[i] != n)
                continue;
            size_t added = encode_delta(delta, bias, out + len, LABEL_MAX - len);
            if (!added)
                return 0;
            len += added;
            bias = adapt(delta, handled + 1, handled == basic);
            delta = 0;
            handled++;
        }
    }
    return len;
}

/* Appends to *len what `label` is in ASCII. */
static bool add_label(struct str label, char *out, size_t size, size_t *len)
{
    uint32_t points[LABEL_MAX];
    char text[LABEL_MAX + 4] = "xn--";
    size_t text_len = 0, count = decode_utf8(label, points);
    bool ascii = true;
    for (size_t i = 0; i < count; i++)
        ascii &= points[i] < 0x80;
    if (ascii) {
        if (label.len > LABEL_MAX)
            return false;
        for (; text_len < label.len; text_len++)
            text[text_len] = (char)tolower((unsigned char)label.data[text_len]);
    } else {
        size_t added = punycode(points, count, text + 4);
        if (!added || added + 4 > LABEL_MAX)
            return false;
        text_len = added + 4;
    }
    if (*len + text_len + 2 > size)
        return false;
    memcpy(out + *len, text, text_len);
    *len += text_len;
    return true;
}

bool tls_name_to_ascii(const char *domain, char *out, size_t size)
{
    struct str rest = str_of(domain), label;
    size_t len = 0;
    if (!str_utf8_valid(rest))
        return false;
    while (str_split(&rest, '.', &label)) {
        if (len)
            out[len++] = '.'; /* add_label keeps room for it */
        if (!add_label(label, out, size, &len))
            return false;
    }
    out[len] = '\0';
    return len > 0;
}

bool tls_name_is_address(const char *domain)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, domain, bytes) == 1 || inet_pton(AF_INET6, domain, bytes) == 1;
}

bool tls_name_matches(X509 *cert, const char *ascii_domain)
{
    if (tls_name_is_address(ascii_domain))
        return X509_check_ip_asc(cert, ascii_domain, 0) == 1;
    return X509_check_host(cert, ascii_domain, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}
