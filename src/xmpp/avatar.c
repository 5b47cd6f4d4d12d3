/* Hashes of avatars: see avatar.h. */
#include "xmpp/avatar.h"

#include <openssl/evp.h>

#include "base/buffer.h"
#include "xmpp/sasl.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool decode(struct str base64, struct buffer *out)
{
    struct buffer tight;
    buffer_init(&tight, base64.len + 1);
    for (size_t i = 0; i < base64.len; i++)
        if (!is_space(base64.data[i]))
            buffer_add_char(&tight, base64.data[i]);
    bool ok = buffer_len(&tight) > 1 && sasl_base64_decode(buffer_str(&tight), out);
    buffer_finish(&tight);
    return ok;
}

bool avatar_hash(struct str base64, char out[AVATAR_HASH_LEN])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    struct buffer picture;
    buffer_init(&picture, base64.len + 1);
    bool ok = decode(base64, &picture) && buffer_len(&picture) > 0 &&
              EVP_Digest(buffer_str(&picture).data, buffer_len(&picture), digest, &len, EVP_sha1(),
                         NULL) == 1 &&
              len * 2 == AVATAR_HASH_LEN;
    buffer_finish(&picture);
    if (ok)
        str_hex(digest, len, out);
    return ok;
}
