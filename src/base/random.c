/* Random numbers: getrandom(2) in batches, each byte wiped as it is handed out; or, seeded,
 * splitmix64 (Steele, Lea, Flood 2014), which is repeatable and no secret. */
#include "base/random.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/error.h"
#include "base/mem.h"

struct random {
    bool seeded;
    uint64_t state; /* seeded only */
    size_t left;    /* unused bytes at the end of pool */
    unsigned char pool[256];
};

struct random *random_create(void)
{
    return MEM_NEW(struct random);
}

struct random *random_create_seeded(uint64_t seed)
{
    struct random *r = MEM_NEW(struct random);
    r->seeded = true;
    r->state = seed;
    return r;
}

void random_destroy(struct random *r)
{
    if (!r)
        return;
    mem_wipe(r, sizeof *r);
    free(r);
}

static void system_bytes(unsigned char *out, size_t len)
{
    while (len) {
        ssize_t got = getrandom(out, len, 0);
        if (got < 0) {
            if (errno == EINTR)
                continue;
            fprintf(stderr, "jackdaw: getrandom: %s; no safe random numbers, so no safe server\n",
                    error_errno_text(errno));
            abort();
        }
        out += got;
        len -= (size_t)got;
    }
}

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void refill(struct random *r)
{
    if (r->seeded) {
        for (size_t i = 0; i < sizeof r->pool; i += sizeof(uint64_t)) {
            uint64_t word = splitmix(&r->state);
            memcpy(r->pool + i, &word, sizeof word);
        }
    } else {
        system_bytes(r->pool, sizeof r->pool);
    }
    r->left = sizeof r->pool;
}

void random_fill(struct random *r, void *bytes, size_t len)
{
    unsigned char *out = bytes;
    while (len) {
        if (!r->left)
            refill(r);
        size_t part = len < r->left ? len : r->left;
        unsigned char *from = r->pool + sizeof r->pool - r->left;
        memcpy(out, from, part);
        mem_wipe(from, part);
        r->left -= part;
        out += part;
        len -= part;
    }
}

uint32_t random_below(struct random *r, uint32_t bound)
{
    if (bound <= 1)
        return 0;
    uint32_t unfair =
        UINT32_MAX - (UINT32_MAX % bound + 1) % bound; /* values above would favour the low ones */
    uint32_t value;
    do
        random_fill(r, &value, sizeof value);
    while (value > unfair);
    return value % bound;
}

void random_token(struct random *r, char *out, size_t chars)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    unsigned char bytes[32];
    for (size_t i = 0; i < chars;) {
        size_t n = chars - i < sizeof bytes ? chars - i : sizeof bytes;
        random_fill(r, bytes, n);
        for (size_t k = 0; k < n; k++) {
            if (bytes[k] < 252) /* 7 * 36 */
                out[i++] = alphabet[bytes[k] % 36];
        }
    }
    mem_wipe(bytes, sizeof bytes);
}
