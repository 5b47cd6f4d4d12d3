/* JID (RFC 7622): prepared, immutable, reference-counted. Two JIDs are the same when their bytes
 * are.
 *
 * localpart by PRECIS UsernameCaseMapped, domainpart by UTS 46 (trailing dot removed), resourcepart
 * by OpaqueString, behind an ASCII fast path; each at most 1023 bytes. Characters forbidden by RFC
 * 6122 are refused too, and so is what a second preparation would change.
 */
#ifndef JACKDAW_XMPP_JID_H
#define JACKDAW_XMPP_JID_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"

struct jid {
    atomic_uint refs;
    uint16_t local_len, domain_len, resource_len; /* 0: the part is absent */
    char text[];                                  /* local@domain/resource, NUL-terminated */
};

/* NULL when malformed. The caller owns the reference. */
struct jid *jid_parse(struct str text);
/* From parts, each prepared; local and resource may be STR_NULL. */
struct jid *jid_from_parts(struct str local, struct str domain, struct str resource);
struct jid *jid_ref(struct jid *j);
void jid_unref(struct jid *j);            /* NULL is fine */
struct jid *jid_to_bare(struct jid *j);   /* new reference; itself when already bare */
struct jid *jid_to_domain(struct jid *j); /* new reference */
struct jid *jid_with_resource(const struct jid *j, struct str resource); /* NULL when malformed */

/* Views into the JID; data == NULL when the part is absent. */
static inline struct str jid_full(const struct jid *j)
{
    size_t len = (size_t)j->local_len + (j->local_len ? 1 : 0) + j->domain_len +
                 (j->resource_len ? 1u + j->resource_len : 0u);
    return (struct str){j->text, len};
}
static inline struct str jid_bare(const struct jid *j)
{
    return (struct str){j->text, (size_t)j->local_len + (j->local_len ? 1 : 0) + j->domain_len};
}
static inline struct str jid_local(const struct jid *j)
{
    return j->local_len ? (struct str){j->text, j->local_len} : STR_NULL;
}
static inline struct str jid_domain(const struct jid *j)
{
    return (struct str){j->text + (j->local_len ? j->local_len + 1 : 0), j->domain_len};
}
static inline struct str jid_resource(const struct jid *j)
{
    return j->resource_len ? (struct str){jid_bare(j).data + jid_bare(j).len + 1, j->resource_len}
                           : STR_NULL;
}
static inline bool jid_is_bare(const struct jid *j)
{
    return j->resource_len == 0;
}
static inline bool jid_eq(const struct jid *a, const struct jid *b)
{
    return a == b || str_eq(jid_full(a), jid_full(b));
}
static inline bool jid_eq_bare(const struct jid *a, const struct jid *b)
{
    return str_eq(jid_bare(a), jid_bare(b));
}

/* One part alone, prepared into `out` (1024 bytes are always enough); false when malformed. */
bool jid_prepare_local(struct str in, char out[1024], size_t *ret_len);
bool jid_prepare_domain(struct str in, char out[1024], size_t *ret_len);
bool jid_prepare_resource(struct str in, char out[1024], size_t *ret_len);
/* RFC 8265 OpaqueString for passwords. */
bool jid_prepare_password(struct str in, char out[1024], size_t *ret_len);
/* For accounts being created: true when every letter is of one script (Latin may join
 * Han/Kana/Hangul/Bopomofo). */
bool jid_local_unconfusable(struct str local);

#endif
