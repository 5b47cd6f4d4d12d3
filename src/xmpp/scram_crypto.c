/* Hash and HMAC over one EVP_MD_CTX. */
#include "xmpp/scram_crypto.h"

#include "base/mem.h"

#define BLOCK_MAX 128 /* SHA-512 */

static const char *const algorithms[] = {
    [SCRAM_SHA_1] = "SHA1", [SCRAM_SHA_256] = "SHA256", [SCRAM_SHA_512] = "SHA512"};

void scram_crypto_init(struct scram_crypto *c, enum scram_hash h)
{
    *c = (struct scram_crypto){.md = EVP_MD_fetch(NULL, algorithms[h], NULL),
                               .ctx = EVP_MD_CTX_new(),
                               .size = scram_hash_size(h),
                               .block = h == SCRAM_SHA_512 ? 128 : 64};
    c->failed = !c->md || !c->ctx;
}

void scram_crypto_finish(struct scram_crypto *c)
{
    EVP_MD_CTX_free(c->ctx);
    EVP_MD_free(c->md);
    c->ctx = NULL;
    c->md = NULL;
}

/* The hash of two parts in a row. */
static void hash_two(struct scram_crypto *c, struct str first, struct str second,
                     unsigned char *out)
{
    c->failed = c->failed || !EVP_DigestInit_ex2(c->ctx, c->md, NULL) ||
                !EVP_DigestUpdate(c->ctx, first.data, first.len) ||
                !EVP_DigestUpdate(c->ctx, second.data, second.len) ||
                !EVP_DigestFinal_ex(c->ctx, out, NULL);
    if (c->failed)
        memset(out, 0, c->size);
}

void scram_crypto_hash(struct scram_crypto *c, struct str in, unsigned char *out)
{
    hash_two(c, in, STR(""), out);
}

/* RFC 2104 section 2. */
void scram_crypto_hmac(struct scram_crypto *c, const unsigned char *key, size_t key_len,
                       struct str in, unsigned char *out)
{
    unsigned char short_key[SCRAM_MAX_HASH], pad[BLOCK_MAX], inner[SCRAM_MAX_HASH];
    struct str block = {(const char *)pad, c->block};
    if (key_len > c->block) {
        scram_crypto_hash(c, (struct str){(const char *)key, key_len}, short_key);
        key = short_key;
        key_len = c->size;
    }
    for (size_t i = 0; i < c->block; i++)
        pad[i] = (i < key_len ? key[i] : 0) ^ 0x36;
    hash_two(c, block, in, inner);
    for (size_t i = 0; i < c->block; i++)
        pad[i] ^= 0x36 ^ 0x5C;
    hash_two(c, block, (struct str){(const char *)inner, c->size}, out);
    mem_wipe(short_key, sizeof(short_key));
    mem_wipe(pad, sizeof(pad));
    mem_wipe(inner, sizeof(inner));
}
