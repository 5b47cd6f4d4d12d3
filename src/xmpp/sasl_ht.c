/* HT-SHA-256: login by a token in one message (draft-schmaus-kitten-sasl-ht, as XEP-0484 has it).
 *
 * The client sends its name, NUL, and HMAC(token, "Initiator" || channel binding data); the answer
 * is HMAC(token, "Responder" || channel binding data). As many tokens are tried for everybody as
 * one client can have, so that the time tells nothing. */
#include "base/mem.h"
#include "xmpp/sasl_impl.h"
#include "xmpp/scram_crypto.h"

#define HT_SIZE 32 /* of SHA-256 */

static const struct sasl_bytes *binding_of(const struct sasl *s)
{
    switch (s->mechanism) {
    case SASL_HT_SHA_256_EXPR: /* RFC 9266 */
        return &s->exporter;
    case SASL_HT_SHA_256_ENDP: /* RFC 5929 section 4 */
        return &s->end_point;
    case SASL_HT_SHA_256_UNIQ: /* RFC 5929 section 3 */
        return &s->unique;
    default:
        return NULL;
    }
}

enum sasl_action sasl_ht_first(struct sasl *s, struct str in)
{
    const struct sasl_bytes *binding = binding_of(s);
    struct str rest = in, name;
    if (in.len > SASL_MESSAGE_MAX || !str_split(&rest, '\0', &name) || name.len == 0 ||
        rest.len != HT_SIZE || !str_utf8_valid(name))
        return sasl_fail(s, SASL_FAIL_MALFORMED_REQUEST, "HT message does not parse");
    if (binding && binding->len == 0)
        return sasl_fail(s, SASL_FAIL_NOT_AUTHORIZED, "channel binding type is not available");
    if (!sasl_set_username(s, name))
        return sasl_fail(s, SASL_FAIL_NOT_AUTHORIZED, "the name is no localpart");
    buffer_add_str(&s->auth_message, rest);
    if (binding)
        buffer_add(&s->binding, (const char *)binding->data, binding->len);
    s->state = SASL_STATE_LOOKUP;
    return SASL_LOOKUP;
}

static void hash(struct sasl *s, struct scram_crypto *c, struct str token, struct str who,
                 unsigned char *out)
{
    struct buffer message;
    buffer_init(&message, 256);
    buffer_add_str(&message, who);
    buffer_add_str(&message, buffer_str(&s->binding));
    scram_crypto_hmac(c, (const unsigned char *)token.data, token.len, buffer_str(&message), out);
    buffer_finish(&message);
}

/* Which of them it is, from 1 on; 0: none. */
static size_t find(struct sasl *s, struct scram_crypto *c, const struct str *tokens, size_t count)
{
    unsigned char mac[SCRAM_MAX_HASH];
    struct str said = buffer_str(&s->auth_message);
    size_t found = 0;
    for (size_t i = 0; i < SASL_TOKENS_MAX; i++) {
        struct str nobody = {(const char *)s->fake_secret, sizeof(s->fake_secret)};
        hash(s, c, i < count ? tokens[i] : nobody, STR("Initiator"), mac);
        bool same = str_eq_secret(said, (struct str){(const char *)mac, HT_SIZE});
        if (same && i < count && found == 0)
            found = i + 1;
    }
    mem_wipe(mac, sizeof(mac));
    return c->failed ? 0 : found;
}

enum sasl_action sasl_tokens(struct sasl *s, const struct str *tokens, size_t count,
                             size_t *ret_which, struct buffer *out)
{
    unsigned char mac[SCRAM_MAX_HASH];
    struct scram_crypto c;
    if (s->state != SASL_STATE_LOOKUP || !sasl_by_token(s))
        return sasl_fail(s, SASL_FAIL_MALFORMED_REQUEST, "the exchange ended during the look-up");
    scram_crypto_init(&c, SCRAM_SHA_256);
    size_t found = find(s, &c, tokens, count < SASL_TOKENS_MAX ? count : SASL_TOKENS_MAX);
    if (found) {
        hash(s, &c, tokens[found - 1], STR("Responder"), mac);
        buffer_add(out, (const char *)mac, HT_SIZE);
        *ret_which = found - 1;
    }
    bool failed = c.failed;
    scram_crypto_finish(&c);
    if (failed)
        return sasl_fail(s, SASL_FAIL_TEMPORARY_AUTH_FAILURE, "OpenSSL refuses HMAC-SHA-256");
    if (!found)
        return sasl_fail(s, SASL_FAIL_NOT_AUTHORIZED, "wrong name or token");
    s->state = SASL_STATE_DONE;
    return SASL_SUCCESS;
}
