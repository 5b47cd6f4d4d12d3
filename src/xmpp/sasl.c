/* SASL, the part common to all mechanisms: names, failures, and the order of an exchange (RFC 4422,
 * RFC 6120 section 6).
 *
 * Nothing here or in the mechanisms may let an onlooker tell an account that exists from one that
 * does not: the look-up happens for every name that can exist, keys of nobody are made up from a
 * secret, and all roads of a wrong password end in the same place (reliability.md B 23).
 */
#include "xmpp/sasl.h"

#include <stdlib.h>
#include "base/mem.h"
#include "xmpp/jid.h"
#include "xmpp/sasl_impl.h"
#include "xmpp/scram_crypto.h"

struct mechanism {
    enum sasl_mechanism id;
    enum scram_hash hash;
    const char *name;
};

/* PLAIN is checked against the keys of one hash; every account of ours has SHA-256 ones. */
static const struct mechanism mechanisms[] = {
    {SASL_SCRAM_SHA_512_PLUS, SCRAM_SHA_512, "SCRAM-SHA-512-PLUS"},
    {SASL_SCRAM_SHA_256_PLUS, SCRAM_SHA_256, "SCRAM-SHA-256-PLUS"},
    {SASL_SCRAM_SHA_1_PLUS, SCRAM_SHA_1, "SCRAM-SHA-1-PLUS"},
    {SASL_SCRAM_SHA_512, SCRAM_SHA_512, "SCRAM-SHA-512"},
    {SASL_SCRAM_SHA_256, SCRAM_SHA_256, "SCRAM-SHA-256"},
    {SASL_SCRAM_SHA_1, SCRAM_SHA_1, "SCRAM-SHA-1"},
    {SASL_PLAIN, SCRAM_SHA_256, "PLAIN"},
    {SASL_ANONYMOUS, SCRAM_SHA_256, "ANONYMOUS"},
    {SASL_HT_SHA_256_NONE, SCRAM_SHA_256, "HT-SHA-256-NONE"},
    {SASL_HT_SHA_256_UNIQ, SCRAM_SHA_256, "HT-SHA-256-UNIQ"},
    {SASL_HT_SHA_256_ENDP, SCRAM_SHA_256, "HT-SHA-256-ENDP"},
    {SASL_HT_SHA_256_EXPR, SCRAM_SHA_256, "HT-SHA-256-EXPR"},
};
#define MECHANISMS (sizeof(mechanisms) / sizeof(mechanisms[0]))

const enum sasl_mechanism sasl_preference[] = {SASL_SCRAM_SHA_512_PLUS,
                                               SASL_SCRAM_SHA_256_PLUS,
                                               SASL_SCRAM_SHA_1_PLUS,
                                               SASL_SCRAM_SHA_512,
                                               SASL_SCRAM_SHA_256,
                                               SASL_SCRAM_SHA_1,
                                               SASL_PLAIN,
                                               SASL_ANONYMOUS,
                                               SASL_NONE};

const enum sasl_mechanism sasl_token_preference[] = {SASL_HT_SHA_256_EXPR, SASL_HT_SHA_256_UNIQ,
                                                     SASL_HT_SHA_256_ENDP, SASL_HT_SHA_256_NONE,
                                                     SASL_NONE};

static const struct mechanism *find_mechanism(enum sasl_mechanism m)
{
    for (size_t i = 0; i < MECHANISMS; i++)
        if (mechanisms[i].id == m)
            return &mechanisms[i];
    return NULL;
}

const char *sasl_mechanism_name(enum sasl_mechanism m)
{
    const struct mechanism *found = find_mechanism(m);
    return found ? found->name : "";
}

enum sasl_mechanism sasl_mechanism_parse(struct str name)
{
    for (size_t i = 0; i < MECHANISMS; i++)
        if (str_is(name, mechanisms[i].name))
            return mechanisms[i].id;
    return SASL_NONE;
}

/* RFC 6120 section 6.5. */
struct str sasl_failure_element(enum sasl_failure f)
{
    static const struct str elements[] = {
        [SASL_FAIL_NONE] = {"", 0},
        [SASL_FAIL_ABORTED] = {"aborted", 7},
        [SASL_FAIL_ACCOUNT_DISABLED] = {"account-disabled", 16},
        [SASL_FAIL_CREDENTIALS_EXPIRED] = {"credentials-expired", 19},
        [SASL_FAIL_ENCRYPTION_REQUIRED] = {"encryption-required", 19},
        [SASL_FAIL_INCORRECT_ENCODING] = {"incorrect-encoding", 18},
        [SASL_FAIL_INVALID_AUTHZID] = {"invalid-authzid", 15},
        [SASL_FAIL_INVALID_MECHANISM] = {"invalid-mechanism", 17},
        [SASL_FAIL_MALFORMED_REQUEST] = {"malformed-request", 17},
        [SASL_FAIL_NOT_AUTHORIZED] = {"not-authorized", 14},
        [SASL_FAIL_TEMPORARY_AUTH_FAILURE] = {"temporary-auth-failure", 22},
    };
    return elements[f];
}

static struct sasl_bytes copy_binding(struct str in)
{
    struct sasl_bytes out = {.len = 0};
    if (in.data && in.len <= sizeof(out.data)) {
        memcpy(out.data, in.data, in.len);
        out.len = in.len;
    }
    return out;
}

struct sasl *sasl_create(enum sasl_mechanism m, unsigned offered, struct str domain,
                         const struct sasl_channel *channel, const unsigned char fake_secret[32],
                         struct random *random)
{
    struct sasl *s = MEM_NEW(struct sasl);
    s->mechanism = m;
    s->offered = offered;
    s->state = SASL_STATE_START;
    s->random = random;
    s->domain = mem_strndup(domain.data, domain.len);
    if (channel) {
        s->exporter = copy_binding(channel->exporter);
        s->end_point = copy_binding(channel->end_point);
        s->unique = copy_binding(channel->unique);
    }
    memcpy(s->fake_secret, fake_secret, sizeof(s->fake_secret));
    buffer_init(&s->binding, SASL_MESSAGE_MAX + SASL_BINDING_MAX);
    buffer_init(&s->auth_message, 3 * SASL_MESSAGE_MAX);
    buffer_init(&s->nonce, SASL_MESSAGE_MAX + 64);
    return s;
}

void sasl_destroy(struct sasl *s)
{
    if (!s)
        return;
    if (s->password)
        mem_wipe(s->password, s->password_len);
    free(s->password);
    free(s->domain);
    free(s->announced);
    buffer_finish(&s->binding);
    buffer_finish(&s->auth_message);
    buffer_finish(&s->nonce);
    mem_wipe(s, sizeof(*s));
    free(s);
}

void sasl_announced(struct sasl *s, struct str text)
{
    free(s->announced);
    s->announced = str_dup(text);
}

enum sasl_action sasl_fail(struct sasl *s, enum sasl_failure failure, const char *why)
{
    s->state = SASL_STATE_DONE;
    s->failure = failure;
    s->why = why;
    return SASL_FAILURE;
}

bool sasl_set_username(struct sasl *s, struct str name)
{
    return jid_prepare_local(name, s->username, &s->username_len);
}

bool sasl_authzid_ok(const struct sasl *s, struct str authzid)
{
    if (authzid.len == 0)
        return true;
    struct jid *j = jid_parse(authzid);
    bool ok = j && jid_is_bare(j) && str_eq(jid_local(j), sasl_username(s)) &&
              str_eq(jid_domain(j), str_of(s->domain));
    jid_unref(j);
    return ok;
}

/* RFC 4505: what comes is a trace for people, at most 255 characters of it, and is not kept. The
 * name is ours to make up (XEP-0175 section 2): 128 bits, so that nobody meets it again. */
static enum sasl_action anonymous(struct sasl *s, struct str trace)
{
    char name[26];
    if (trace.len > 1020)
        return sasl_fail(s, SASL_FAIL_MALFORMED_REQUEST, "trace of more than 255 characters");
    random_token(s->random, name, sizeof(name));
    if (!sasl_set_username(s, (struct str){name, sizeof(name)}))
        return sasl_fail(s, SASL_FAIL_TEMPORARY_AUTH_FAILURE, "no name could be made up");
    s->state = SASL_STATE_DONE;
    return SASL_SUCCESS;
}

static enum sasl_action first_message(struct sasl *s, struct str in)
{
    if (sasl_by_token(s))
        return sasl_ht_first(s, in);
    if (in.len > SASL_MESSAGE_MAX || !str_utf8_valid(in))
        return sasl_fail(s, SASL_FAIL_MALFORMED_REQUEST,
                         "initial response is no UTF-8, or too long");
    if (s->mechanism == SASL_ANONYMOUS)
        return anonymous(s, in);
    return s->mechanism == SASL_PLAIN ? sasl_plain_first(s, in) : sasl_scram_first(s, in);
}

enum sasl_action sasl_step(struct sasl *s, struct str input, struct buffer *out)
{
    switch (s->state) {
    case SASL_STATE_START:
        /* The caller refuses these already; this is the lock behind the door (CVE-2017-10807). */
        if (!find_mechanism(s->mechanism) || !(s->offered & s->mechanism))
            return sasl_fail(s, SASL_FAIL_INVALID_MECHANISM, "mechanism was not offered");
        if (!input.data) { /* RFC 6120 section 6.4.2: no initial response */
            s->state = SASL_STATE_WAIT_FIRST;
            return SASL_CHALLENGE;
        }
        return first_message(s, input);
    case SASL_STATE_WAIT_FIRST:
        return first_message(s, input);
    case SASL_STATE_WAIT_FINAL:
        return sasl_scram_final(s, input, out);
    case SASL_STATE_LOOKUP:
    case SASL_STATE_VERIFY:
        return sasl_fail(s, SASL_FAIL_MALFORMED_REQUEST,
                         "response before the challenge it answers");
    case SASL_STATE_DONE:
        break;
    }
    return sasl_fail(s, SASL_FAIL_MALFORMED_REQUEST, "response after the end of the exchange");
}

/* Keys of nobody: the salt is HMAC(secret, hash || name), the same at every try and for every
 * instance that shares the secret (RFC 5802 section 9). The keys need only be no password's, and
 * s->fake refuses them in any case. */
static void fake_keys(struct sasl *s, struct scram_keys *ret)
{
    unsigned char bytes[SCRAM_MAX_HASH];
    struct scram_crypto c;
    struct buffer text;
    *ret = (struct scram_keys){
        .hash = sasl_hash(s), .iterations = SCRAM_ITERATIONS, .salt_len = SCRAM_SALT};
    buffer_init(&text, 2048);
    buffer_add_str(&text, str_of(scram_hash_name(ret->hash)));
    buffer_add_char(&text, '\0');
    buffer_add_str(&text, sasl_username(s));
    scram_crypto_init(&c, SCRAM_SHA_512);
    scram_crypto_hmac(&c, s->fake_secret, sizeof(s->fake_secret), buffer_str(&text), bytes);
    scram_crypto_finish(&c);
    buffer_finish(&text);
    memcpy(ret->salt, bytes, SCRAM_SALT);
    memcpy(ret->stored_key, bytes, sizeof(bytes));
    memcpy(ret->server_key, bytes, sizeof(bytes));
    mem_wipe(bytes, sizeof(bytes));
}

enum sasl_action sasl_account(struct sasl *s, const struct scram_keys *keys, bool temporary,
                              struct buffer *out)
{
    if (s->state != SASL_STATE_LOOKUP)
        return sasl_fail(s, SASL_FAIL_MALFORMED_REQUEST, "the exchange ended during the look-up");
    if (temporary || sasl_by_token(s))
        return sasl_fail(s, SASL_FAIL_TEMPORARY_AUTH_FAILURE, "the account store failed");
    /* Made up for everybody, so that the time spent tells nothing. */
    struct scram_keys nobody;
    fake_keys(s, &nobody);
    s->fake = !keys || keys->hash != sasl_hash(s) || keys->salt_len > sizeof(keys->salt);
    s->keys = s->fake ? nobody : *keys;
    mem_wipe(&nobody, sizeof(nobody));
    if (s->mechanism == SASL_PLAIN) {
        s->state = SASL_STATE_VERIFY;
        return SASL_VERIFY;
    }
    return sasl_scram_account(s, out);
}

enum sasl_action sasl_checked(struct sasl *s, bool ok, bool temporary)
{
    if (s->state != SASL_STATE_LOOKUP || s->mechanism != SASL_PLAIN)
        return sasl_fail(s, SASL_FAIL_MALFORMED_REQUEST, "the exchange ended during the check");
    mem_wipe(s->password, s->password_len);
    if (temporary)
        return sasl_fail(s, SASL_FAIL_TEMPORARY_AUTH_FAILURE, "the password could not be checked");
    if (!ok)
        return sasl_fail(s, SASL_FAIL_NOT_AUTHORIZED, "wrong name or password");
    s->state = SASL_STATE_DONE;
    return SASL_SUCCESS;
}

struct str sasl_password(const struct sasl *s)
{
    return s->password ? (struct str){s->password, s->password_len} : STR_NULL;
}

void sasl_verify_run(struct sasl *s)
{
    if (s->state == SASL_STATE_VERIFY)
        s->verified =
            scram_verify_password(&s->keys, (struct str){s->password, s->password_len}) && !s->fake;
}

enum sasl_action sasl_verify_done(struct sasl *s, struct buffer *out)
{
    (void)out; /* PLAIN has no success data */
    if (s->state != SASL_STATE_VERIFY)
        return sasl_fail(s, SASL_FAIL_MALFORMED_REQUEST, "the exchange ended during the check");
    mem_wipe(s->password, s->password_len);
    if (!s->verified)
        return sasl_fail(s, SASL_FAIL_NOT_AUTHORIZED, "wrong name or password");
    s->state = SASL_STATE_DONE;
    return SASL_SUCCESS;
}

struct str sasl_username(const struct sasl *s)
{
    return s->username_len ? (struct str){s->username, s->username_len} : STR_NULL;
}

bool sasl_by_token(const struct sasl *s)
{
    return s->mechanism & SASL_BY_TOKEN;
}

enum scram_hash sasl_hash(const struct sasl *s)
{
    const struct mechanism *m = find_mechanism(s->mechanism);
    return m ? m->hash : SCRAM_SHA_256;
}

enum sasl_failure sasl_failure(const struct sasl *s)
{
    return s->failure;
}

const char *sasl_why(const struct sasl *s)
{
    return s->why ? s->why : "";
}
