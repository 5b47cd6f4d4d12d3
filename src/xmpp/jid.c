/* JID: splitting, the ASCII fast path, and reference counting (RFC 7622).
 *
 * Nearly every address on the wire is ASCII. For those the three profiles come down to "which bytes
 * are allowed, and lower case": two table lookups a byte, straight into the one allocation that
 * becomes the JID. The first byte above 0x7F (or a label that may be punycode, or an IPv6 literal)
 * sends the part to precis.c, which asks ICU.
 */
#include "xmpp/jid.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "xmpp/precis.h"

enum { LOCAL_OK = 1, DOMAIN_OK = 2, RESOURCE_OK = 4 };
#define L_R   (LOCAL_OK | RESOURCE_OK)
#define L_D_R (LOCAL_OK | DOMAIN_OK | RESOURCE_OK)

/* What an ASCII byte may stand in. A localpart is IdentifierClass (RFC 8264 section 4.2: 0x21 to
 * 0x7E) without the eight of RFC 7622 section 3.3.1; a domain is letters, digits, hyphen and the
 * dot (section 3.2); a resource is FreeformClass (RFC 8264 section 4.3: the space too). Bytes above
 * 0x7F have no bit and lead to the slow path. */
static const unsigned char
    allowed
        [256] =
            {
                [' '] = RESOURCE_OK,   ['!'] = L_R,           ['"'] = RESOURCE_OK,
                ['#' ... '%'] = L_R,   ['&'] = RESOURCE_OK,   ['\''] = RESOURCE_OK,
                ['(' ... ','] = L_R,   ['-' ... '.'] = L_D_R, ['/'] = RESOURCE_OK,
                ['0' ... '9'] = L_D_R, [':'] = RESOURCE_OK,   [';'] = L_R,
                ['<'] = RESOURCE_OK,   ['='] = L_R,           ['>'] = RESOURCE_OK,
                ['?'] = L_R,           ['@'] = RESOURCE_OK,   ['A' ... 'Z'] = L_D_R,
                ['[' ... '`'] = L_R,   ['a' ... 'z'] = L_D_R, ['{' ... '~'] = L_R,
};

enum fast { FAST_OK, FAST_BAD, FAST_SLOW };

static inline char lower(unsigned char c)
{
    return (char)(c + (((unsigned)c - 'A' < 26u) << 5));
}

/* Copies `in` to `out` lower-cased, checking every byte; no branch inside the loop. */
static enum fast fast_lower(struct str in, unsigned char bit, char *out)
{
    unsigned char all = 0, ok = bit;
    for (size_t i = 0; i < in.len; i++) {
        unsigned char c = (unsigned char)in.data[i];
        all |= c;
        ok &= allowed[c];
        out[i] = lower(c);
    }
    if (all & 0x80)
        return FAST_SLOW;
    return ok ? FAST_OK : FAST_BAD;
}

static enum fast fast_local(struct str in, char *out)
{
    return fast_lower(in, LOCAL_OK, out);
}

static enum fast fast_resource(struct str in, char *out)
{
    unsigned char all = 0, ok = RESOURCE_OK;
    for (size_t i = 0; i < in.len; i++) {
        unsigned char c = (unsigned char)in.data[i];
        all |= c;
        ok &= allowed[c];
    }
    if (all & 0x80)
        return FAST_SLOW;
    memcpy(out, in.data, in.len);
    return ok ? FAST_OK : FAST_BAD;
}

/* A label of letters, digits and hyphens, lower-cased already: NR-LDH (RFC 5890 section 2.3.1) or
 * an A-label. */
static enum fast fast_label(struct str label)
{
    if (label.len == 0 || label.len > 63)
        return FAST_BAD;
    if (label.data[0] == '-' || label.data[label.len - 1] == '-')
        return FAST_BAD;
    if (label.len >= 4 && label.data[2] == '-' && label.data[3] == '-')
        return str_starts(label, STR("xn--")) ? FAST_SLOW : FAST_BAD;
    return FAST_OK;
}

/* `in` has lost its trailing dot. */
static enum fast fast_domain(struct str in, char *out)
{
    if (in.len > 0 && in.data[0] == '[')
        return FAST_SLOW;
    enum fast result = fast_lower(in, DOMAIN_OK, out);
    if (result != FAST_OK)
        return result;
    for (size_t start = 0; start <= in.len;) {
        const char *dot = memchr(out + start, '.', in.len - start);
        size_t end = dot ? (size_t)(dot - out) : in.len;
        enum fast label = fast_label((struct str){out + start, end - start});
        if (label == FAST_BAD)
            return FAST_BAD;
        if (label == FAST_SLOW)
            result = FAST_SLOW;
        start = end + 1;
    }
    return result;
}

/* RFC 7622 section 3.2: a trailing dot is stripped before anything else. */
static struct str without_dot(struct str domain)
{
    if (domain.len > 0 && domain.data[domain.len - 1] == '.')
        domain.len--;
    return domain;
}

/* "[" IPv6address "]" in the one spelling of RFC 5952, so that equal addresses are equal bytes. */
static bool ip_literal(struct str in, char out[1024], size_t *ret_len)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (in.len < 4 || in.len - 2 >= sizeof(text) || in.data[in.len - 1] != ']')
        return false;
    snprintf(text, sizeof(text), "%.*s", (int)in.len - 2, in.data + 1);
    if (strlen(text) != in.len - 2 || inet_pton(AF_INET6, text, &address) != 1)
        return false;
    inet_ntop(AF_INET6, &address, text, sizeof(text));
    *ret_len = (size_t)snprintf(out, 1024, "[%s]", text);
    return true;
}

/* Parts over JID_PART_MAX may still shrink below it, so ICU sees them first (RFC 7622 sections 3.2
 * to 3.4). */
static enum fast fast_sized(struct str in, enum fast (*fast)(struct str, char *), char *out)
{
    if (in.len == 0 || in.len > PRECIS_INPUT_MAX)
        return FAST_BAD;
    return in.len <= JID_PART_MAX ? fast(in, out) : FAST_SLOW;
}

bool jid_prepare_local(struct str in, char out[1024], size_t *ret_len)
{
    enum fast result = fast_sized(in, fast_local, out);
    if (result == FAST_BAD)
        return false;
    size_t len = in.len;
    if (result == FAST_SLOW) {
        if (!precis_local(in, out, &len))
            return false;
        /* Width mapping may have brought one of the excluded eight to light: U+FF20 becomes '@'. */
        for (size_t i = 0; i < len; i++)
            if ((unsigned char)out[i] < 0x80 && !(allowed[(unsigned char)out[i]] & LOCAL_OK))
                return false;
    }
    *ret_len = len;
    return true;
}

bool jid_prepare_domain(struct str in, char out[1024], size_t *ret_len)
{
    in = without_dot(in);
    enum fast result = fast_sized(in, fast_domain, out);
    if (result == FAST_BAD)
        return false;
    if (result == FAST_OK) {
        *ret_len = in.len;
        return true;
    }
    if (in.data[0] == '[')
        return ip_literal(in, out, ret_len);
    size_t len;
    if (!precis_domain(in, out, &len))
        return false;
    /* What UTS 46 mapped to plain letters obeys the rules for plain letters. */
    char again[JID_PART_MAX + 1];
    if (fast_domain((struct str){out, len}, again) == FAST_BAD)
        return false;
    *ret_len = len;
    return true;
}

bool jid_prepare_resource(struct str in, char out[1024], size_t *ret_len)
{
    enum fast result = fast_sized(in, fast_resource, out);
    if (result == FAST_BAD)
        return false;
    if (result == FAST_SLOW)
        return precis_resource(in, out, ret_len);
    *ret_len = in.len;
    return true;
}

/* RFC 8265 section 4.2; for ASCII the same as a resource. */
bool jid_prepare_password(struct str in, char out[1024], size_t *ret_len)
{
    enum fast result = fast_sized(in, fast_resource, out);
    if (result == FAST_BAD)
        return false;
    if (result == FAST_SLOW)
        return precis_password(in, out, ret_len);
    *ret_len = in.len;
    return true;
}

bool jid_local_unconfusable(struct str local)
{
    return precis_one_script(local);
}

static struct jid *jid_alloc(size_t text_len)
{
    struct jid *j = mem_alloc(sizeof(*j) + text_len + 1);
    atomic_init(&j->refs, 1);
    return j;
}

/* The prepared parts into one block. */
static struct jid *jid_assemble(struct str local, struct str domain, struct str resource)
{
    struct jid *j = jid_alloc(local.len + domain.len + resource.len + 2);
    char *p = j->text;
    if (local.len) {
        memcpy(p, local.data, local.len);
        p += local.len;
        *p++ = '@';
    }
    memcpy(p, domain.data, domain.len);
    p += domain.len;
    if (resource.len) {
        *p++ = '/';
        memcpy(p, resource.data, resource.len);
    }
    j->local_len = (uint16_t)local.len;
    j->domain_len = (uint16_t)domain.len;
    j->resource_len = (uint16_t)resource.len;
    return j;
}

static struct jid *jid_make_slow(struct str local, struct str domain, struct str resource)
{
    char l[JID_PART_MAX + 1], d[JID_PART_MAX + 1], r[JID_PART_MAX + 1];
    struct str prepared_local = {l, 0}, prepared_domain = {d, 0}, prepared_resource = {r, 0};
    if (local.data && !jid_prepare_local(local, l, &prepared_local.len))
        return NULL;
    if (!jid_prepare_domain(domain, d, &prepared_domain.len))
        return NULL;
    if (resource.data && !jid_prepare_resource(resource, r, &prepared_resource.len))
        return NULL;
    return jid_assemble(prepared_local, prepared_domain, prepared_resource);
}

/* Writes the parts where they will stay; FAST_SLOW when one of them is not plain. */
static enum fast jid_fill(struct jid *j, struct str local, struct str domain, struct str resource)
{
    char *p = j->text;
    enum fast worst = FAST_OK;
    if (local.data) {
        worst = fast_local(local, p);
        p += local.len;
        *p++ = '@';
    }
    enum fast result = fast_domain(domain, p);
    worst = result > worst ? result : worst;
    p += domain.len;
    if (resource.data) {
        *p++ = '/';
        result = fast_resource(resource, p);
        worst = result > worst ? result : worst;
    }
    j->local_len = (uint16_t)local.len;
    j->domain_len = (uint16_t)domain.len;
    j->resource_len = (uint16_t)resource.len;
    return worst;
}

struct jid *jid_from_parts(struct str local, struct str domain, struct str resource)
{
    domain = without_dot(domain);
    if ((local.data && local.len == 0) || domain.len == 0 || (resource.data && resource.len == 0))
        return NULL;
    if (local.len > JID_PART_MAX || domain.len > JID_PART_MAX || resource.len > JID_PART_MAX)
        return jid_make_slow(local, domain, resource);
    struct jid *j = jid_alloc(local.len + domain.len + resource.len + 2);
    enum fast result = jid_fill(j, local, domain, resource);
    if (result == FAST_OK)
        return j;
    free(j);
    return result == FAST_SLOW ? jid_make_slow(local, domain, resource) : NULL;
}

/* RFC 7622 section 3.1: the resource is all behind the first '/', the local part all before the
 * first '@' of the rest. */
struct jid *jid_parse(struct str text)
{
    struct str local = STR_NULL, resource = STR_NULL;
    if (text.len == 0)
        return NULL;
    const char *slash = memchr(text.data, '/', text.len);
    if (slash) {
        size_t before = (size_t)(slash - text.data);
        resource = (struct str){slash + 1, text.len - before - 1};
        text.len = before;
    }
    const char *at = memchr(text.data, '@', text.len);
    if (at) {
        local = (struct str){text.data, (size_t)(at - text.data)};
        text = (struct str){at + 1, text.len - local.len - 1};
    }
    return jid_from_parts(local, text, resource);
}

struct jid *jid_ref(struct jid *j)
{
    atomic_fetch_add_explicit(&j->refs, 1, memory_order_relaxed);
    return j;
}

void jid_unref(struct jid *j)
{
    if (j && atomic_fetch_sub_explicit(&j->refs, 1, memory_order_acq_rel) == 1)
        free(j);
}

struct jid *jid_to_bare(struct jid *j)
{
    if (jid_is_bare(j))
        return jid_ref(j);
    return jid_assemble(jid_local(j), jid_domain(j), STR_NULL);
}

struct jid *jid_to_domain(struct jid *j)
{
    if (jid_is_bare(j) && j->local_len == 0)
        return jid_ref(j);
    return jid_assemble(STR_NULL, jid_domain(j), STR_NULL);
}

struct jid *jid_with_resource(const struct jid *j, struct str resource)
{
    char out[JID_PART_MAX + 1];
    size_t len;
    if (!jid_prepare_resource(resource, out, &len))
        return NULL;
    return jid_assemble(jid_local(j), jid_domain(j), (struct str){out, len});
}
