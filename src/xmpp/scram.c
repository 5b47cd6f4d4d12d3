/* SCRAM keys and the client side of the exchange (RFC 5802, 7677). The server side is sasl_scram.c.
 */
#include "xmpp/scram.h"

#include <stdlib.h>
#include "base/mem.h"
#include "xmpp/jid.h"
#include "xmpp/pbkdf2.h"
#include "xmpp/sasl.h"
#include "xmpp/scram_attr.h"
#include "xmpp/scram_crypto.h"

static const char *const hash_names[] = {[SCRAM_SHA_1] = "SCRAM-SHA-1",
                                         [SCRAM_SHA_256] = "SCRAM-SHA-256",
                                         [SCRAM_SHA_512] = "SCRAM-SHA-512"};
static const size_t hash_sizes[] = {[SCRAM_SHA_1] = 20, [SCRAM_SHA_256] = 32, [SCRAM_SHA_512] = 64};

const char *scram_hash_name(enum scram_hash h)
{
    return hash_names[h];
}

size_t scram_hash_size(enum scram_hash h)
{
    return hash_sizes[h];
}

/* SaltedPassword := Hi(Normalize(password), salt, i): RFC 5802 section 3. Normalize is
 * OpaqueString, SASLprep's successor (RFC 8265 section 4.1); for ASCII both change nothing. */
static bool salted_password(enum scram_hash h, struct str password, struct str salt,
                            uint32_t iterations, unsigned char *out)
{
    char prepared[1024];
    size_t len;
    if (iterations == 0 || iterations > INT32_MAX || salt.len == 0 ||
        !jid_prepare_password(password, prepared, &len))
        return false;
    pbkdf2_derive(h, (struct str){prepared, len}, salt, iterations, out);
    mem_wipe(prepared, sizeof(prepared));
    return true;
}

/* RFC 5802 section 3, from SaltedPassword to the three keys. */
static bool keys_from_salted(struct scram_crypto *c, const unsigned char *salted,
                             unsigned char *client_key, unsigned char *stored_key,
                             unsigned char *server_key)
{
    scram_crypto_hmac(c, salted, c->size, STR("Client Key"), client_key);
    scram_crypto_hash(c, (struct str){(const char *)client_key, c->size}, stored_key);
    scram_crypto_hmac(c, salted, c->size, STR("Server Key"), server_key);
    return !c->failed;
}

bool scram_derive_salted(struct scram_keys *keys, const unsigned char *salted)
{
    unsigned char client_key[SCRAM_MAX_HASH];
    struct scram_crypto c;
    scram_crypto_init(&c, keys->hash);
    bool ok = keys_from_salted(&c, salted, client_key, keys->stored_key, keys->server_key);
    scram_crypto_finish(&c);
    mem_wipe(client_key, sizeof(client_key));
    return ok;
}

bool scram_derive(enum scram_hash h, struct str password, const unsigned char *salt,
                  size_t salt_len, uint32_t iterations, struct scram_keys *ret)
{
    unsigned char salted[SCRAM_MAX_HASH];
    struct scram_keys keys = {.hash = h, .iterations = iterations, .salt_len = salt_len};
    if (salt_len > sizeof(keys.salt) ||
        !salted_password(h, password, (struct str){(const char *)salt, salt_len}, iterations,
                         salted))
        return false;
    memcpy(keys.salt, salt, salt_len);
    bool ok = scram_derive_salted(&keys, salted);
    if (ok)
        *ret = keys;
    mem_wipe(salted, sizeof(salted));
    mem_wipe(&keys, sizeof(keys));
    return ok;
}

bool scram_verify_password(const struct scram_keys *keys, struct str password)
{
    struct scram_keys again;
    if (!scram_derive(keys->hash, password, keys->salt, keys->salt_len, keys->iterations, &again))
        return false;
    size_t size = hash_sizes[keys->hash];
    bool same = str_eq_secret((struct str){(const char *)again.stored_key, size},
                              (struct str){(const char *)keys->stored_key, size});
    mem_wipe(&again, sizeof(again));
    return same;
}

/* What a server may ask of us: RFC 7677 section 4 sets the floor, our loop the ceiling (30 ms). */
#define CLIENT_ITERATIONS_MIN 4096
#define CLIENT_ITERATIONS_MAX 100000
#define CLIENT_NONCE          26
#define MESSAGE_MAX           8192

struct scram_client {
    struct buffer auth_message; /* client-first-bare, then the rest of AuthMessage */
    char nonce[CLIENT_NONCE];
    char *password;
    size_t password_len;
    struct scram_memory *memory; /* NULL: it derives its keys anew */
    unsigned char server_signature[SCRAM_MAX_HASH];
    bool finished; /* server_signature is valid */
};

struct scram_client *scram_client_create(struct str user, struct str password,
                                         struct random *random)
{
    struct scram_client *c = MEM_NEW(struct scram_client);
    random_token(random, c->nonce, sizeof(c->nonce));
    c->password = mem_strndup(password.data ? password.data : "", password.len);
    c->password_len = password.len;
    buffer_init(&c->auth_message, MESSAGE_MAX);
    buffer_add_str(&c->auth_message, STR("n="));
    scram_attr_encode_name(&c->auth_message, user);
    buffer_add_str(&c->auth_message, STR(",r="));
    buffer_add(&c->auth_message, c->nonce, sizeof(c->nonce));
    return c;
}

void scram_client_destroy(struct scram_client *c)
{
    if (!c)
        return;
    mem_wipe(c->password, c->password_len);
    free(c->password);
    buffer_finish(&c->auth_message);
    mem_wipe(c, sizeof(*c));
    free(c);
}

void scram_client_remember(struct scram_client *c, struct scram_memory *m)
{
    c->memory = m;
}

bool scram_client_first(struct scram_client *c, struct buffer *out)
{
    /* "n": this link's TLS, if any, is not bound to (RFC 5802 section 6). */
    return !c->auth_message.overflowed && buffer_add_str(out, STR("n,,")) &&
           buffer_add_str(out, buffer_str(&c->auth_message));
}

/* server-first-message: RFC 5802 section 7. A mandatory extension (m=) stands where r= must, so it
 * is refused. */
static bool parse_server_first(const struct scram_client *c, struct str in, struct str *ret_nonce,
                               struct buffer *salt, uint32_t *ret_iterations)
{
    struct str nonce, salt64, count;
    uint64_t iterations;
    if (!scram_attr_take(&in, 'r', &nonce) || !scram_attr_take(&in, 's', &salt64) ||
        !scram_attr_take(&in, 'i', &count))
        return false;
    if (nonce.len <= sizeof(c->nonce) ||
        !str_starts(nonce, (struct str){c->nonce, sizeof(c->nonce)}))
        return false;
    if (!str_to_u64(count, CLIENT_ITERATIONS_MAX, &iterations) ||
        iterations < CLIENT_ITERATIONS_MIN)
        return false;
    if (salt64.len < 4 || !sasl_base64_decode(salt64, salt))
        return false;
    *ret_nonce = nonce;
    *ret_iterations = (uint32_t)iterations;
    return true;
}

/* From the memory, when the server asks for the same as the last time. */
static bool client_salted(struct scram_client *c, struct str salt, uint32_t iterations,
                          unsigned char *out)
{
    struct scram_memory *m = c->memory;
    if (m && m->iterations == iterations &&
        str_eq(salt, (struct str){(const char *)m->salt, m->salt_len})) {
        memcpy(out, m->salted, hash_sizes[SCRAM_SHA_256]);
        return true;
    }
    if (!salted_password(SCRAM_SHA_256, (struct str){c->password, c->password_len}, salt,
                         iterations, out))
        return false;
    if (m && salt.len <= sizeof(m->salt)) {
        m->iterations = iterations;
        m->salt_len = salt.len;
        memcpy(m->salt, salt.data, salt.len);
        memcpy(m->salted, out, hash_sizes[SCRAM_SHA_256]);
    }
    return true;
}

/* Proof and expected ServerSignature over the complete AuthMessage. */
static bool client_prove(struct scram_client *c, struct str salt, uint32_t iterations,
                         unsigned char *proof)
{
    unsigned char salted[SCRAM_MAX_HASH], client_key[SCRAM_MAX_HASH], stored_key[SCRAM_MAX_HASH],
        server_key[SCRAM_MAX_HASH];
    struct scram_crypto crypto;
    scram_crypto_init(&crypto, SCRAM_SHA_256);
    bool ok = client_salted(c, salt, iterations, salted) &&
              keys_from_salted(&crypto, salted, client_key, stored_key, server_key);
    if (ok) {
        struct str message = buffer_str(&c->auth_message);
        scram_crypto_hmac(&crypto, stored_key, crypto.size, message, proof);
        for (size_t i = 0; i < crypto.size; i++)
            proof[i] ^= client_key[i];
        scram_crypto_hmac(&crypto, server_key, crypto.size, message, c->server_signature);
        ok = !crypto.failed;
    }
    scram_crypto_finish(&crypto);
    mem_wipe(salted, sizeof(salted));
    mem_wipe(client_key, sizeof(client_key));
    mem_wipe(stored_key, sizeof(stored_key));
    mem_wipe(server_key, sizeof(server_key));
    return ok;
}

bool scram_client_final(struct scram_client *c, struct str server_first, struct buffer *out)
{
    struct buffer salt;
    struct str nonce;
    uint32_t iterations;
    unsigned char proof[SCRAM_MAX_HASH];
    buffer_init(&salt, 1024);
    bool ok = parse_server_first(c, server_first, &nonce, &salt, &iterations);
    if (ok) {
        size_t without_proof = buffer_len(out);
        buffer_add_str(out, STR("c=biws,r=")); /* base64("n,,") */
        buffer_add_str(out, nonce);
        struct str sent = buffer_str(out);
        buffer_add_char(&c->auth_message, ',');
        buffer_add_str(&c->auth_message, server_first);
        buffer_add_char(&c->auth_message, ',');
        buffer_add(&c->auth_message, sent.data + without_proof, sent.len - without_proof);
        ok = !c->auth_message.overflowed && !out->overflowed &&
             client_prove(c, buffer_str(&salt), iterations, proof) &&
             buffer_add_str(out, STR(",p=")) &&
             sasl_base64_encode((struct str){(const char *)proof, hash_sizes[SCRAM_SHA_256]}, out);
        c->finished = ok;
    }
    buffer_finish(&salt);
    return ok;
}

bool scram_client_verify(struct scram_client *c, struct str server_final)
{
    struct buffer signature;
    struct str value;
    if (!c->finished || !scram_attr_take(&server_final, 'v', &value))
        return false;
    buffer_init(&signature, 1024);
    bool ok = sasl_base64_decode(value, &signature) &&
              str_eq_secret(buffer_str(&signature), (struct str){(const char *)c->server_signature,
                                                                 hash_sizes[SCRAM_SHA_256]});
    buffer_finish(&signature);
    return ok;
}
