/* Hash: open addressing with linear probing, at most 3/4 full; deleting shifts the rest of the
 * cluster back, so there are no tombstones. SipHash-1-3 as by Aumasson and Bernstein, "SipHash: a
 * fast short-input PRF" (2012). */
#include "base/hash.h"

#include <endian.h>
#include <stdlib.h>

#include "base/mem.h"

enum { SMALLEST = 16 };

static uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

/* The bytes behind the last whole word, little-endian, and the length on top. A key of at least one
 * word lends the bytes before them, to be shifted out. */
static inline uint64_t last_word(const unsigned char *p, size_t len)
{
    uint64_t m = 0;
    size_t rest = len % 8;
    if (len >= 8 && rest) {
        memcpy(&m, p + rest - 8, 8);
        m = le64toh(m) >> 8 * (8 - rest);
    } else {
        for (size_t i = 0; i < rest; i++)
            m |= (uint64_t)p[i] << (8 * i);
    }
    return m | (uint64_t)len << 56;
}

uint64_t hash_bytes(const uint64_t seed[2], const void *bytes, size_t len)
{
    uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575u, seed[1] ^ 0x646f72616e646f6du,
                     seed[0] ^ 0x6c7967656e657261u, seed[1] ^ 0x7465646279746573u};
    const unsigned char *p = bytes;
    uint64_t m;
    for (size_t i = len / 8; i; i--, p += 8) {
        memcpy(&m, p, 8);
        v[3] ^= m;
        sip_round(v);
        v[0] ^= m;
    }
    m = last_word(p, len);
    v[3] ^= m;
    sip_round(v);
    v[0] ^= m;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void hash_init(struct hash *h, const uint64_t seed[2])
{
    *h = (struct hash){.seed = {seed[0], seed[1]}};
}

void hash_finish(struct hash *h)
{
    free(h->entries);
    hash_init(h, h->seed);
}

/* The home slot is the tag's low bits, so that moving entries needs no key. */
static uint32_t tag_of(const struct hash *h, struct str key)
{
    uint32_t tag = (uint32_t)hash_bytes(h->seed, key.data, key.len);
    return tag ? tag : 1;
}

/* The entry with this key, or the free slot where it belongs. The table must not be empty. */
static struct hash_entry *find(const struct hash *h, uint32_t tag, struct str key)
{
    for (size_t i = tag & (h->cap - 1);; i = (i + 1) & (h->cap - 1)) {
        struct hash_entry *e = &h->entries[i];
        if (!e->tag || (e->tag == tag && str_eq(key, (struct str){e->key, e->key_len})))
            return e;
    }
}

void *hash_get(const struct hash *h, struct str key)
{
    return h->count ? find(h, tag_of(h, key), key)->value : NULL;
}

static void resize(struct hash *h, size_t cap)
{
    struct hash_entry *old = h->entries;
    size_t old_cap = h->cap;
    h->entries = mem_alloc_array(cap, sizeof *old);
    h->cap = cap;
    for (size_t i = 0; i < old_cap; i++) {
        if (!old[i].tag)
            continue;
        size_t at = old[i].tag & (cap - 1);
        while (h->entries[at].tag)
            at = (at + 1) & (cap - 1);
        h->entries[at] = old[i];
    }
    free(old);
}

/* Only adding resizes, in both directions: deleting must not disturb a walk. */
static void make_room(struct hash *h)
{
    if (h->cap == 0)
        resize(h, SMALLEST);
    else if (h->count >= h->cap / 4 * 3)
        resize(h, h->cap * 2);
    else if (h->cap > SMALLEST && h->count < h->cap / 16)
        resize(h, h->cap / 4 < SMALLEST ? SMALLEST : h->cap / 4);
}

void *hash_put(struct hash *h, struct str key, void *value)
{
    uint32_t tag = tag_of(h, key);
    make_room(h);
    struct hash_entry *e = find(h, tag, key);
    void *before = e->tag ? e->value : NULL;
    if (!e->tag)
        h->count++;
    *e = (struct hash_entry){tag, (uint32_t)key.len, key.data, value};
    return before;
}

void *hash_del(struct hash *h, struct str key)
{
    if (!h->count)
        return NULL;
    struct hash_entry *e = find(h, tag_of(h, key), key);
    if (!e->tag)
        return NULL;
    void *value = e->value;
    size_t mask = h->cap - 1, hole = (size_t)(e - h->entries);
    for (size_t i = (hole + 1) & mask; h->entries[i].tag; i = (i + 1) & mask) {
        size_t home = h->entries[i].tag & mask;
        if (((i - home) & mask) < ((i - hole) & mask))
            continue; /* its home lies behind the hole: it may not move before it */
        h->entries[hole] = h->entries[i];
        hole = i;
    }
    h->entries[hole] = (struct hash_entry){0};
    if (--h->count == 0 && h->cap > SMALLEST) {
        free(h->entries);
        h->entries = NULL;
        h->cap = 0;
    }
    return value;
}

/* The walk goes down the ring from a slot that was free at its start: deleting moves entries only
 * towards lower slots of the same cluster, from where the walk has been to where it has been.
 * *position packs that slot (high half) and the slots seen (low half, 0 = not begun). */
void *hash_next(const struct hash *h, size_t *position)
{
    if (!h->count)
        return NULL;
    size_t mask = h->cap - 1, origin = *position >> 32, seen = *position & 0xffffffffu;
    if (seen == 0) {
        while (h->entries[origin].tag)
            origin++;
        seen = 1; /* the origin itself is free */
    }
    while (seen < h->cap) {
        const struct hash_entry *e = &h->entries[(origin - seen) & mask];
        seen++;
        if (e->tag) {
            *position = origin << 32 | seen;
            return e->value;
        }
    }
    *position = origin << 32 | seen;
    return NULL;
}
