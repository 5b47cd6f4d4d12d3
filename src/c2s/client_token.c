/* Client token: tokens for the next login (XEP-0484), and which clients an account is used by.
 *
 * The store keeps a seed; the token is the HMAC of it with the secret of this installation, so that
 * who reads the database or a backup of it can log in as nobody (docs/decisions/0071-tokens.md). A
 * client has at most two: the one it uses and the one it was given and has not used yet (section
 * 5.1). All that a login changes is committed before <success/> is said.
 */
#include "c2s/client_sasl2.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "c2s/auth.h"
#include "store/devices.h"
#include "xmpp/datetime.h"
#include "xmpp/namespaces.h"
#include "xmpp/scram_crypto.h"

#define TOKEN_TEXT   64    /* bytes a token needs: 44 */
#define TOKEN_ROTATE 86400 /* seconds after which a token is replaced when it is used */

/* One that the store knows. */
struct stored_token {
    int slot;
    unsigned char seed[DEVICE_SEED];
    int64_t made, expires, count;
};

struct client_token {
    char id[SASL2_UUID];
    enum sasl_mechanism wanted; /* a new token is asked for, for that one; SASL_NONE: not */
    bool invalidate;            /* the one that is shown is to be forgotten */
    int64_t count;              /* 0: not said */
    bool used;                  /* `found` logs this client in */
    struct stored_token found;
    char made[TOKEN_TEXT]; /* the new one; "": none */
    int64_t expires;
};

void client_token_destroy(struct client_token *t)
{
    if (t)
        mem_wipe(t, sizeof(*t));
    free(t);
}

/* --- what is offered: section 3.1 --- */

/* Of accounts that others know nobody here could tell whether they still are. */
static struct store *store_of(const struct client *c)
{
    return auth_accounts(c->c2s->auth);
}

unsigned client_token_features(struct client *c, struct buffer *out)
{
    const struct tls_info *info = c->tls ? conn_tls(c->conn) : NULL;
    unsigned char data[64];
    unsigned offer = SASL_HT_SHA_256_NONE;

    if (!store_of(c) || c2s_config(c->c2s)->c2s_token_time == 0 ||
        (c->negotiation->offered & SASL_ANONYMOUS))
        return 0;
    if (info && conn_tls_exporter(c->conn, data))
        offer |= SASL_HT_SHA_256_EXPR;
    if (info && info->end_point_len > 0)
        offer |= SASL_HT_SHA_256_ENDP;
    if (info && conn_tls_unique(c->conn, data) > 0)
        offer |= SASL_HT_SHA_256_UNIQ;
    buffer_add_str(out, STR("<fast xmlns='urn:xmpp:fast:0'>"));
    for (const enum sasl_mechanism *m = sasl_token_preference; *m != SASL_NONE; m++)
        if (offer & *m)
            buffer_printf(out, "<mechanism>%s</mechanism>", sasl_mechanism_name(*m));
    buffer_add_str(out, STR("</fast>"));
    return offer;
}

/* --- what is asked for --- */

/* A mechanism that was not announced is none (section 3.2). */
static enum sasl_mechanism wanted(const struct client *c, const struct stanza *request)
{
    stanza_el el = stanza_child(request, STANZA_ROOT, STR("request-token"), NS_FAST);
    enum sasl_mechanism m = SASL_NONE;

    if (el != STANZA_NONE)
        m = sasl_mechanism_parse(stanza_attr(request, el, STR("mechanism")));
    return m & c->negotiation->tokens ? m : SASL_NONE;
}

enum sasl_failure client_token_open(struct client *c, enum sasl_mechanism m)
{
    struct sasl2 *x = c->negotiation->sasl2;
    bool by_token = m & SASL_BY_TOKEN;
    stanza_el fast = stanza_child(x->request, STANZA_ROOT, STR("fast"), NS_FAST);
    struct str count;
    struct client_token *t;
    uint64_t number = 0;

    /* section 4.1: both belong to a login by token */
    if (by_token && (!x->agent.has_id || fast == STANZA_NONE))
        return SASL_FAIL_MALFORMED_REQUEST;
    if (!x->agent.has_id || !store_of(c) || (m & SASL_ANONYMOUS))
        return SASL_FAIL_NONE;
    t = x->token = MEM_NEW(struct client_token);
    sasl2_write_uuid(x->agent.id, t->id);
    t->wanted = wanted(c, x->request);
    if (!by_token)
        return SASL_FAIL_NONE;
    count = stanza_attr(x->request, fast, STR("count"));
    t->invalidate = sasl2_true(stanza_attr(x->request, fast, STR("invalidate")));
    if (count.data && (!str_to_u64(count, INT32_MAX, &number) || number == 0))
        return SASL_FAIL_MALFORMED_REQUEST; /* section 3.4: "MUST be a positive integer" */
    t->count = (int64_t)number;
    return SASL_FAIL_NONE;
}

static struct device device_of(const struct negotiation *n)
{
    return (struct device){.user = sasl_username(n->sasl),
                           .realm = str_of(n->client->domain),
                           .id = {n->sasl2->token->id, SASL2_UUID}};
}

static int64_t seconds_now(const struct negotiation *n)
{
    return loop_wall(c2s_loop(n->c2s)) / 1000;
}

/* --- a login by token: section 3.4 --- */

static void make_text(const struct negotiation *n, struct str mech,
                      const unsigned char seed[DEVICE_SEED], char out[TOKEN_TEXT])
{
    const struct device d = device_of(n);
    const struct str parts[] = {STR("token"), d.user, d.realm, d.id, mech};
    unsigned char mac[SCRAM_MAX_HASH];
    struct scram_crypto crypto;
    struct buffer text, encoded;

    buffer_init(&text, 8192);
    buffer_init(&encoded, TOKEN_TEXT);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        buffer_add_str(&text, parts[i]);
        buffer_add_char(&text, '\0');
    }
    buffer_add(&text, (const char *)seed, DEVICE_SEED);
    scram_crypto_init(&crypto, SCRAM_SHA_256);
    scram_crypto_hmac(&crypto, n->c2s->fake_secret, sizeof(n->c2s->fake_secret), buffer_str(&text),
                      mac);
    sasl_base64_encode((struct str){(const char *)mac, crypto.size}, &encoded);
    memcpy(out, buffer_str(&encoded).data, buffer_len(&encoded));
    out[buffer_len(&encoded)] = '\0';
    scram_crypto_finish(&crypto);
    mem_wipe(mac, sizeof(mac));
    buffer_finish(&text);
    buffer_finish(&encoded);
}

/* A row of devices_tokens; false: it is of no use for the mechanism. */
static bool read_token(const struct store_rows *rows, size_t row, struct str mech,
                       struct stored_token *ret)
{
    enum { SLOT = 1, MECH, SEED, MADE, EXPIRES, COUNT };
    struct str seed = store_text(rows, row, SEED);

    if (!str_eq(store_text(rows, row, MECH), mech) || seed.len != DEVICE_SEED)
        return false;
    ret->slot = (int)store_int(rows, row, SLOT);
    memcpy(ret->seed, seed.data, DEVICE_SEED);
    ret->made = store_int(rows, row, MADE);
    ret->expires = store_int(rows, row, EXPIRES);
    ret->count = store_int(rows, row, COUNT);
    return true;
}

/* Section 3.4: a token is good for the mechanism that it was asked for, and for no other. */
static void check(struct negotiation *n, const struct store_rows *rows)
{
    struct client_token *t = n->sasl2->token;
    struct str mech = stanza_attr(n->sasl2->request, STANZA_ROOT, STR("mechanism"));
    struct stored_token stored[SASL_TOKENS_MAX];
    char texts[SASL_TOKENS_MAX][TOKEN_TEXT];
    struct str tokens[SASL_TOKENS_MAX];
    size_t count = 0, which = 0;
    enum sasl_action action;
    struct buffer out;

    for (size_t i = 0; i < store_rows_count(rows) && count < SASL_TOKENS_MAX; i++) {
        if (!read_token(rows, i, mech, &stored[count]))
            continue;
        make_text(n, mech, stored[count].seed, texts[count]);
        tokens[count] = str_of(texts[count]);
        count++;
    }
    buffer_init(&out, 256);
    action = sasl_tokens(n->sasl, tokens, count, &which, &out);
    if (action == SASL_SUCCESS) {
        t->used = true;
        t->found = stored[which];
    }
    mem_wipe(texts, sizeof(texts));
    if (t->used && t->found.expires <= seconds_now(n)) /* section 4.2 */
        client_auth_fail(n->client, SASL_FAIL_CREDENTIALS_EXPIRED);
    else if (t->used && t->count > 0 && t->count <= t->found.count) /* section 3.4 */
        client_auth_fail_slowly(n, SASL_FAIL_NOT_AUTHORIZED, "a token's count was used before");
    else
        client_auth_act(n, action, &out);
    buffer_finish(&out);
}

static void on_tokens(void *arg, enum error e, const struct store_rows *rows)
{
    struct negotiation *n = arg;
    struct client *c = n->client;
    struct buffer out;

    if (!client_auth_awaited(n))
        return;
    if (e == ERR_OK) {
        n->disabled = store_rows_count(rows) > 0 && store_int(rows, 0, 0) != 0;
        check(n, rows);
    } else {
        buffer_init(&out, 16);
        client_auth_act(n, sasl_account(n->sasl, NULL, true, &out), &out);
        buffer_finish(&out);
    }
    client_stream_continue(c);
}

void client_token_look_up(struct negotiation *n)
{
    const struct device d = device_of(n);

    client_auth_await(n);
    devices_tokens(store_of(n->client), &d, on_tokens, n);
}

/* --- after the login: sections 3.3, 3.5 and 3.6 --- */

/* The mechanism that a new token is to be for. */
static enum sasl_mechanism due(const struct negotiation *n)
{
    const struct client_token *t = n->sasl2->token;
    int64_t life = c2s_config(n->c2s)->c2s_token_time;
    int64_t rotate = life / 2 < TOKEN_ROTATE ? life / 2 : TOKEN_ROTATE;

    if (t->wanted != SASL_NONE || !t->used || t->invalidate)
        return t->wanted;
    if (life == 0 || seconds_now(n) - t->found.made < rotate)
        return SASL_NONE;
    return sasl_mechanism_parse(stanza_attr(n->sasl2->request, STANZA_ROOT, STR("mechanism")));
}

static void add_new(struct negotiation *n, struct store_txn *txn, enum sasl_mechanism m)
{
    struct client_token *t = n->sasl2->token;
    const struct device d = device_of(n);
    struct str mech = str_of(sasl_mechanism_name(m));
    unsigned char seed[DEVICE_SEED];
    int64_t now = seconds_now(n);

    random_fill(n->c2s->component->env->random, seed, sizeof(seed));
    make_text(n, mech, seed, t->made);
    t->expires = now + c2s_config(n->c2s)->c2s_token_time;
    devices_put_token(txn, &d, mech, seed, now, t->expires);
}

static void on_settled(void *arg, enum error e, const struct store_rows *rows)
{
    struct negotiation *n = arg;
    struct client *c = n->client;
    struct client_token *t;

    if (!client_auth_awaited(n))
        return;
    t = n->sasl2->token;
    if (e != ERR_OK)
        t->made[0] = '\0';
    if (e == ERR_OK || !t->used)
        client_sasl2_authenticated(n); /* a full disk keeps nobody with a password out */
    else if (e == ERR_NOT_FOUND)       /* in the same moment it was used elsewhere, or taken away */
        client_auth_fail_slowly(n, SASL_FAIL_NOT_AUTHORIZED, "the token is not good any more");
    else
        client_auth_fail(c, SASL_FAIL_TEMPORARY_AUTH_FAILURE);
    client_stream_continue(c);
}

void client_token_settle(struct negotiation *n)
{
    const struct sasl2_agent *agent = &n->sasl2->agent;
    struct client_token *t = n->sasl2->token;
    enum sasl_mechanism m = t ? due(n) : SASL_NONE;
    struct store_txn *txn;
    struct device d;

    if (!t) {
        client_sasl2_authenticated(n);
        return;
    }
    d = device_of(n);
    txn = store_begin(store_of(n->client));
    if (t->used)
        devices_use_token(txn, &d, t->found.slot, t->found.seed, t->count);
    if (t->used && t->invalidate)
        devices_drop_current(txn, &d);
    devices_seen(txn, &d, agent->software, agent->device, str_of(conn_peer(n->client->conn)->ip),
                 loop_wall(c2s_loop(n->c2s)), c2s_config(n->c2s)->c2s_max_devices);
    if (m != SASL_NONE)
        add_new(n, txn, m);
    client_auth_await(n);
    store_commit(txn, on_settled, n);
}

void client_token_write(const struct sasl2 *x, struct buffer *out)
{
    char expiry[DATETIME_LEN];

    if (!x->token || !x->token->made[0])
        return;
    datetime_write(x->token->expires, expiry);
    buffer_printf(out, "<token xmlns='urn:xmpp:fast:0' expiry='%.*s' token='%s'/>", DATETIME_LEN,
                  expiry, x->token->made);
}
