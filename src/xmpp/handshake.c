/* The handshake of XEP-0114: hex(SHA1(stream id + secret)). SHA-1 is what the protocol says;
 * nothing rests on it but that a listener on the line cannot log in another time. */
#include "xmpp/handshake.h"

#include <openssl/evp.h>

bool handshake_make(struct str stream_id, struct str secret, char out[HANDSHAKE_LEN])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha1(), NULL) == 1 &&
              EVP_DigestUpdate(ctx, stream_id.data, stream_id.len) == 1 &&
              EVP_DigestUpdate(ctx, secret.data, secret.len) == 1 &&
              EVP_DigestFinal_ex(ctx, digest, &len) == 1 && len * 2 == HANDSHAKE_LEN;

    EVP_MD_CTX_free(ctx);
    if (ok)
        str_hex(digest, len, out);
    return ok;
}

bool handshake_check(struct str stream_id, struct str secret, struct str text)
{
    char right[HANDSHAKE_LEN];

    return handshake_make(stream_id, secret, right) &&
           str_eq_secret((struct str){right, sizeof(right)}, text);
}
