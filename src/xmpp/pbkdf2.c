/* PBKDF2 over OpenSSL's low-level hashes. HMAC's two key blocks are hashed once and their states
 * copied, 2 compressions an iteration; PKCS5_PBKDF2_HMAC copies EVP contexts instead and takes
 * twice as long for our three hashes together (docs/decisions/0020-import.md). The low-level
 * functions are deprecated in OpenSSL 3 in favour of exactly those contexts; the day they go, this
 * file becomes a call of PKCS5_PBKDF2_HMAC. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "xmpp/pbkdf2.h"

#include <openssl/sha.h>
#include <string.h>

#include "base/mem.h"

/* The same text for three hashes whose functions differ in name and type only. */
/* NOLINTBEGIN(bugprone-macro-parentheses): types and declared names cannot stand in parentheses */
#define DEFINE_PBKDF2(name, CTX, init, update, final, BLOCK, SIZE)                                 \
    struct name##_hmac {                                                                           \
        CTX inner, outer;                                                                          \
    };                                                                                             \
    static void name##_key(struct name##_hmac *h, struct str key)                                  \
    {                                                                                              \
        unsigned char pad[BLOCK] = {0};                                                            \
        init(&h->inner);                                                                           \
        if (key.len > BLOCK) { /* RFC 2104 section 2 */                                            \
            update(&h->inner, key.data, key.len);                                                  \
            final(pad, &h->inner);                                                                 \
            init(&h->inner);                                                                       \
        } else if (key.len) {                                                                      \
            memcpy(pad, key.data, key.len);                                                        \
        }                                                                                          \
        for (size_t i = 0; i < BLOCK; i++)                                                         \
            pad[i] ^= 0x36;                                                                        \
        update(&h->inner, pad, BLOCK);                                                             \
        for (size_t i = 0; i < BLOCK; i++)                                                         \
            pad[i] ^= 0x36 ^ 0x5c;                                                                 \
        init(&h->outer);                                                                           \
        update(&h->outer, pad, BLOCK);                                                             \
        mem_wipe(pad, sizeof(pad));                                                                \
    }                                                                                              \
    static void name##_outer(const struct name##_hmac *h, CTX *inner, unsigned char *u)            \
    {                                                                                              \
        CTX outer = h->outer;                                                                      \
        final(u, inner);                                                                           \
        update(&outer, u, SIZE);                                                                   \
        final(u, &outer);                                                                          \
    }                                                                                              \
    static void name##_derive(struct str password, struct str salt, uint32_t iterations,           \
                              unsigned char *out)                                                  \
    {                                                                                              \
        static const unsigned char block_index[4] = {0, 0, 0, 1};                                  \
        struct name##_hmac h;                                                                      \
        unsigned char u[SIZE];                                                                     \
        name##_key(&h, password);                                                                  \
        CTX inner = h.inner;                                                                       \
        update(&inner, salt.data, salt.len);                                                       \
        update(&inner, block_index, sizeof(block_index));                                          \
        name##_outer(&h, &inner, u);                                                               \
        memcpy(out, u, SIZE);                                                                      \
        for (uint32_t i = 1; i < iterations; i++) {                                                \
            inner = h.inner;                                                                       \
            update(&inner, u, SIZE);                                                               \
            name##_outer(&h, &inner, u);                                                           \
            for (size_t j = 0; j < SIZE; j++)                                                      \
                out[j] ^= u[j];                                                                    \
        }                                                                                          \
        mem_wipe(&h, sizeof(h));                                                                   \
        mem_wipe(u, sizeof(u));                                                                    \
    }

DEFINE_PBKDF2(sha1, SHA_CTX, SHA1_Init, SHA1_Update, SHA1_Final, SHA_CBLOCK, SHA_DIGEST_LENGTH)
DEFINE_PBKDF2(sha256, SHA256_CTX, SHA256_Init, SHA256_Update, SHA256_Final, SHA256_CBLOCK,
              SHA256_DIGEST_LENGTH)
DEFINE_PBKDF2(sha512, SHA512_CTX, SHA512_Init, SHA512_Update, SHA512_Final, SHA512_CBLOCK,
              SHA512_DIGEST_LENGTH)

/* NOLINTEND(bugprone-macro-parentheses) */

void pbkdf2_derive(enum scram_hash h, struct str password, struct str salt, uint32_t iterations,
                   unsigned char *out)
{
    switch (h) {
    case SCRAM_SHA_1:
        sha1_derive(password, salt, iterations, out);
        break;
    case SCRAM_SHA_256:
        sha256_derive(password, salt, iterations, out);
        break;
    case SCRAM_SHA_512:
    case SCRAM_HASHES:
        sha512_derive(password, salt, iterations, out);
        break;
    }
}
