/* SCRAM keys (RFC 5802, 7677): what is stored instead of a password. */
#ifndef JACKDAW_XMPP_SCRAM_H
#define JACKDAW_XMPP_SCRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buffer.h"
#include "base/random.h"
#include "base/str.h"

enum scram_hash { SCRAM_SHA_1, SCRAM_SHA_256, SCRAM_SHA_512, SCRAM_HASHES };
#define SCRAM_ITERATIONS 10000 /* of new keys */
#define SCRAM_MAX_HASH   64
#define SCRAM_SALT       16

struct scram_keys {
    enum scram_hash hash;
    uint32_t iterations;
    unsigned char salt[64];
    size_t salt_len;
    unsigned char stored_key[SCRAM_MAX_HASH];
    unsigned char server_key[SCRAM_MAX_HASH];
};

const char *scram_hash_name(enum scram_hash h); /* "SCRAM-SHA-256": the `mech` column */
size_t scram_hash_size(enum scram_hash h);
/* Derives keys; the password is prepared (OpaqueString) inside. Milliseconds of CPU: use a pool
 * thread. False when the password is empty or cannot be prepared. */
bool scram_derive(enum scram_hash h, struct str password, const unsigned char *salt,
                  size_t salt_len, uint32_t iterations, struct scram_keys *ret);
/* The same from the SaltedPassword (RFC 5802 section 3; scram_hash_size bytes) that hash, salt and
 * iterations in *keys belong to: cheap. */
bool scram_derive_salted(struct scram_keys *keys, const unsigned char *salted);
bool scram_verify_password(const struct scram_keys *keys,
                           struct str password); /* constant-time compare */

/* Client side, for links between components and for tools: SCRAM-SHA-256 without channel binding.
 */
struct scram_client;
struct scram_client *scram_client_create(struct str user, struct str password,
                                         struct random *random);
void scram_client_destroy(struct scram_client *c);
/* What a client may keep from one login to the next, so as not to derive it each time (RFC 5802
 * section 5.1): of one password alone, as good as that. Zeroed: it has nothing yet. */
struct scram_memory {
    uint32_t iterations; /* 0: nothing */
    unsigned char salt[64];
    size_t salt_len;
    unsigned char salted[SCRAM_MAX_HASH];
};
/* Before the exchange; `m` outlives it. */
void scram_client_remember(struct scram_client *c, struct scram_memory *m);
bool scram_client_first(struct scram_client *c, struct buffer *out);
bool scram_client_final(struct scram_client *c, struct str server_first,
                        struct buffer *out); /* false: refuse */
bool scram_client_verify(struct scram_client *c,
                         struct str server_final); /* false: the server does not know the secret */

#endif
