/* Hash and HMAC for SCRAM, with OpenSSL's algorithm looked up once for a whole exchange.
 *
 * HMAC() and EVP_Q_mac() look the algorithm up on every call, which costs four times the computing
 * (2.0 us against 0.44 us for a SCRAM message, docs/decisions/0011-sasl-own.md). HMAC itself is two
 * hashes (RFC 2104).
 */
#ifndef JACKDAW_XMPP_SCRAM_CRYPTO_H
#define JACKDAW_XMPP_SCRAM_CRYPTO_H

#include <openssl/evp.h>
#include "xmpp/scram.h"

struct scram_crypto {
    EVP_MD *md;
    EVP_MD_CTX *ctx;
    size_t size;  /* of the hash */
    size_t block; /* of its input */
    bool failed;  /* sticky: OpenSSL refused something; results are then worthless */
};

/* Always to be finished. Functions write `size` bytes, zeros after a failure. */
void scram_crypto_init(struct scram_crypto *c, enum scram_hash h);
void scram_crypto_finish(struct scram_crypto *c);
void scram_crypto_hash(struct scram_crypto *c, struct str in, unsigned char *out);
void scram_crypto_hmac(struct scram_crypto *c, const unsigned char *key, size_t key_len,
                       struct str in, unsigned char *out);

#endif
