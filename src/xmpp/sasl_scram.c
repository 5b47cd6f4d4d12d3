/* SCRAM and SCRAM-PLUS, server side (RFC 5802, 7677; channel bindings of RFC 5929 and 9266). */
#include "base/mem.h"
#include "xmpp/sasl_impl.h"
#include "xmpp/scram_attr.h"
#include "xmpp/scram_crypto.h"

#define NONCE_MAX  1024 /* the client's */
#define NONCE_OURS 28   /* characters of 5.17 bits: 144 bits, reliability.md B 20 wants 128 */

/* Printable ASCII without ',': RFC 5802 section 7. */
static bool nonce_ok(struct str nonce)
{
    for (size_t i = 0; i < nonce.len; i++)
        if (nonce.data[i] < 0x21 || nonce.data[i] > 0x7E)
            return false;
    return nonce.len > 0 && nonce.len <= NONCE_MAX;
}

/* The gs2 channel binding flag (RFC 5802 section 6). On success s->binding holds the data that c=
 * must end with. */
static enum sasl_action check_flag(struct sasl *s, struct str flag,
                                   const struct sasl_bytes **ret_data)
{
    bool plus = s->mechanism & SASL_PLUS;
    *ret_data = NULL;
    if (str_is(flag, "n") || str_is(flag, "y")) {
        /* "y": the client could bind and believes that we cannot. We said we can: somebody cut it
         * out of the offer. */
        if (flag.data[0] == 'y' && s->offered & SASL_PLUS)
            return sasl_fail(s, SASL_FAIL_NOT_AUTHORIZED,
                             "downgrade: y flag though PLUS was offered");
        if (plus)
            return sasl_fail(s, SASL_FAIL_MALFORMED_REQUEST,
                             "PLUS mechanism without channel binding");
        return SASL_CHALLENGE;
    }
    if (!str_starts(flag, STR("p=")) || !plus)
        return sasl_fail(s, SASL_FAIL_MALFORMED_REQUEST, "channel binding flag does not fit");
    struct str type = {flag.data + 2, flag.len - 2};
    if (str_is(type, "tls-exporter")) /* RFC 9266 */
        *ret_data = &s->exporter;
    else if (str_is(type, "tls-server-end-point")) /* RFC 5929 section 4 */
        *ret_data = &s->end_point;
    else if (str_is(type, "tls-unique")) /* section 3, for clients that know no other */
        *ret_data = &s->unique;
    if (!*ret_data || (*ret_data)->len == 0)
        return sasl_fail(s, SASL_FAIL_NOT_AUTHORIZED, "channel binding type is not available");
    return SASL_CHALLENGE;
}

/* client-first-message-bare: [reserved-mext ","] username "," nonce ["," extensions]. */
static enum sasl_action parse_bare(struct sasl *s, struct str bare)
{
    struct str rest = bare, name, nonce;
    if (!scram_attr_take(&rest, 'n', &name) || !scram_attr_take(&rest, 'r', &nonce) ||
        !nonce_ok(nonce) || !scram_attr_skip(rest))
        return sasl_fail(s, SASL_FAIL_MALFORMED_REQUEST, "client-first-message does not parse");
    struct buffer decoded;
    buffer_init(&decoded, SASL_MESSAGE_MAX);
    bool well_formed = scram_attr_decode_name(&decoded, name);
    bool ok = well_formed && sasl_set_username(s, buffer_str(&decoded));
    buffer_finish(&decoded);
    if (!well_formed)
        return sasl_fail(s, SASL_FAIL_MALFORMED_REQUEST, "name with a wrong = escape");
    if (!ok)
        return sasl_fail(s, SASL_FAIL_NOT_AUTHORIZED, "the name is no localpart");
    buffer_add_str(&s->nonce, nonce);
    buffer_add_str(&s->auth_message, bare);
    return SASL_LOOKUP;
}

static enum sasl_action check_authzid(struct sasl *s, struct str authzid)
{
    if (authzid.len == 0)
        return SASL_LOOKUP;
    if (!str_starts(authzid, STR("a=")))
        return sasl_fail(s, SASL_FAIL_MALFORMED_REQUEST, "gs2 header does not parse");
    struct buffer decoded;
    buffer_init(&decoded, SASL_MESSAGE_MAX);
    bool well_formed =
        scram_attr_decode_name(&decoded, (struct str){authzid.data + 2, authzid.len - 2});
    bool ok = well_formed && sasl_authzid_ok(s, buffer_str(&decoded));
    buffer_finish(&decoded);
    if (!well_formed)
        return sasl_fail(s, SASL_FAIL_MALFORMED_REQUEST, "authzid with a wrong = escape");
    if (!ok)
        return sasl_fail(s, SASL_FAIL_INVALID_AUTHZID, "authorization identity of somebody else");
    return SASL_LOOKUP;
}

/* client-first-message: gs2-cbind-flag "," [authzid] "," client-first-message-bare. */
enum sasl_action sasl_scram_first(struct sasl *s, struct str in)
{
    struct str rest = in, flag, authzid;
    const struct sasl_bytes *data;
    if (!in.data || memchr(in.data, '\0', in.len) || !str_split(&rest, ',', &flag) || !rest.data ||
        !str_split(&rest, ',', &authzid) || !rest.data)
        return sasl_fail(s, SASL_FAIL_MALFORMED_REQUEST, "client-first-message does not parse");
    if (check_flag(s, flag, &data) == SASL_FAILURE)
        return SASL_FAILURE;
    if (parse_bare(s, rest) == SASL_FAILURE || check_authzid(s, authzid) == SASL_FAILURE)
        return SASL_FAILURE;
    buffer_add(&s->binding, in.data, in.len - rest.len);
    if (data)
        buffer_add(&s->binding, data->data, data->len);
    s->state = SASL_STATE_LOOKUP;
    return SASL_LOOKUP;
}

/* XEP-0474 section 6.1: the attribute h. Whoever changed what was announced cannot make the proofs
 * fit, which cover this message. */
static void add_announced(const struct sasl *s, struct buffer *message)
{
    unsigned char hash[SCRAM_MAX_HASH];
    struct scram_crypto c;
    if (!s->announced)
        return;
    scram_crypto_init(&c, s->keys.hash);
    scram_crypto_hash(&c, str_of(s->announced), hash);
    buffer_add_str(message, STR(",h="));
    sasl_base64_encode((struct str){(const char *)hash, c.size}, message);
    scram_crypto_finish(&c);
}

/* server-first-message: nonce "," salt "," iteration-count ["," extensions]. */
enum sasl_action sasl_scram_account(struct sasl *s, struct buffer *out)
{
    char ours[NONCE_OURS];
    random_token(s->random, ours, sizeof(ours));
    buffer_add(&s->nonce, ours, sizeof(ours));
    struct buffer message;
    buffer_init(&message, SASL_MESSAGE_MAX);
    buffer_add_str(&message, STR("r="));
    buffer_add_str(&message, buffer_str(&s->nonce));
    buffer_add_str(&message, STR(",s="));
    sasl_base64_encode((struct str){(const char *)s->keys.salt, s->keys.salt_len}, &message);
    buffer_printf(&message, ",i=%u", (unsigned)s->keys.iterations);
    add_announced(s, &message);
    buffer_add_char(&s->auth_message, ',');
    buffer_add_str(&s->auth_message, buffer_str(&message));
    bool ok = !message.overflowed && buffer_add_str(out, buffer_str(&message));
    buffer_finish(&message);
    if (!ok)
        return sasl_fail(s, SASL_FAIL_TEMPORARY_AUTH_FAILURE, "no room for the challenge");
    s->state = SASL_STATE_WAIT_FINAL;
    return SASL_CHALLENGE;
}

/* Decodes an inner base64 value; "=" alone is no value here. */
static bool decode_value(struct str in, struct buffer *out)
{
    buffer_init(out, SASL_MESSAGE_MAX);
    return in.len >= 4 && sasl_base64_decode(in, out);
}

/* RFC 5802 section 3. Constant time over the full length; *server_signature is for the answer. */
static bool proof_ok(struct sasl *s, struct str proof, unsigned char *server_signature)
{
    unsigned char signature[SCRAM_MAX_HASH], client_key[SCRAM_MAX_HASH], stored[SCRAM_MAX_HASH];
    struct str message = buffer_str(&s->auth_message);
    struct scram_crypto c;
    scram_crypto_init(&c, s->keys.hash);
    scram_crypto_hmac(&c, s->keys.stored_key, c.size, message, signature);
    for (size_t i = 0; i < c.size; i++)
        client_key[i] = signature[i] ^ (unsigned char)proof.data[i];
    scram_crypto_hash(&c, (struct str){(const char *)client_key, c.size}, stored);
    scram_crypto_hmac(&c, s->keys.server_key, c.size, message, server_signature);
    bool same = str_eq_secret((struct str){(const char *)stored, c.size},
                              (struct str){(const char *)s->keys.stored_key, c.size});
    bool ok = same && !c.failed && !s->fake;
    scram_crypto_finish(&c);
    mem_wipe(client_key, sizeof(client_key));
    mem_wipe(signature, sizeof(signature));
    return ok;
}

static enum sasl_action verify(struct sasl *s, struct str nonce, struct str binding,
                               struct str proof, struct buffer *out)
{
    unsigned char signature[SCRAM_MAX_HASH];
    size_t size = scram_hash_size(s->keys.hash);
    if (proof.len != size)
        return sasl_fail(s, SASL_FAIL_MALFORMED_REQUEST,
                         "the proof has not the length of the hash");
    if (!str_eq_secret(nonce, buffer_str(&s->nonce)))
        return sasl_fail(s, SASL_FAIL_NOT_AUTHORIZED, "the nonce is not the one we sent");
    if (!str_eq_secret(binding, buffer_str(&s->binding)))
        return sasl_fail(s, SASL_FAIL_NOT_AUTHORIZED, "channel binding or gs2 header differ");
    if (!proof_ok(s, proof, signature))
        return sasl_fail(s, SASL_FAIL_NOT_AUTHORIZED, "wrong name or password");
    /* server-final-message: RFC 5802 section 7; it is the data of <success/> (RFC 6120
     * section 6.3.10). */
    if (!buffer_add_str(out, STR("v=")) ||
        !sasl_base64_encode((struct str){(const char *)signature, size}, out))
        return sasl_fail(s, SASL_FAIL_TEMPORARY_AUTH_FAILURE, "no room for the answer");
    s->state = SASL_STATE_DONE;
    return SASL_SUCCESS;
}

/* client-final-message: channel-binding "," nonce ["," extensions] "," proof - and nothing behind
 * it. */
enum sasl_action sasl_scram_final(struct sasl *s, struct str in, struct buffer *out)
{
    const char *last = in.data && in.len <= SASL_MESSAGE_MAX ? memrchr(in.data, ',', in.len) : NULL;
    if (!last || !str_utf8_valid(in) || memchr(in.data, '\0', in.len))
        return sasl_fail(s, SASL_FAIL_MALFORMED_REQUEST, "client-final-message does not parse");
    struct str head = {in.data, (size_t)(last - in.data)};
    struct str tail = {last + 1, in.len - head.len - 1}, rest = head;
    struct str binding64, nonce, proof64;
    if (!scram_attr_take(&rest, 'c', &binding64) || !scram_attr_take(&rest, 'r', &nonce) ||
        !scram_attr_skip(rest) || !scram_attr_take(&tail, 'p', &proof64))
        return sasl_fail(s, SASL_FAIL_MALFORMED_REQUEST, "client-final-message does not parse");
    buffer_add_char(&s->auth_message, ',');
    buffer_add_str(&s->auth_message, head);
    struct buffer binding, proof;
    bool binding_ok = decode_value(binding64, &binding);
    bool proof_decodes = decode_value(proof64, &proof);
    enum sasl_action action;
    if (!binding_ok || !proof_decodes || s->auth_message.overflowed || s->nonce.overflowed)
        action = sasl_fail(s, SASL_FAIL_MALFORMED_REQUEST, "inner base64 is wrong");
    else
        action = verify(s, nonce, buffer_str(&binding), buffer_str(&proof), out);
    buffer_finish(&binding);
    buffer_finish(&proof);
    return action;
}
