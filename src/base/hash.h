/* Hash: bytes -> pointer, keyed (SipHash-1-3 over a random key) so that strangers cannot choose
 * collisions. Keys are borrowed: they must live in (or as long as) the value. */
#ifndef JACKDAW_BASE_HASH_H
#define JACKDAW_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/str.h"

struct hash_entry {
    uint32_t tag; /* 0 = free */
    uint32_t key_len;
    const char *key;
    void *value;
};

struct hash {
    struct hash_entry *entries;
    size_t cap; /* a power of two, or 0 */
    size_t count;
    uint64_t seed[2];
};

void hash_init(struct hash *h, const uint64_t seed[2]); /* seed from random_fill */
void hash_finish(struct hash *h);                       /* does not touch the values */
void *hash_get(const struct hash *h, struct str key);   /* NULL when absent */
/* Adds or replaces; returns the value replaced or NULL. `key.data` is kept. */
void *hash_put(struct hash *h, struct str key, void *value);
void *hash_del(struct hash *h, struct str key); /* the value removed, or NULL */
/* Iteration: for (size_t i = 0; (v = hash_next(h, &i)) != NULL;). The entry just returned may be
 * deleted during the walk; adding may not. Order is arbitrary (but repeatable for one seed). */
void *hash_next(const struct hash *h, size_t *position);
uint64_t hash_bytes(const uint64_t seed[2], const void *bytes, size_t len); /* SipHash-1-3 */

#endif
