/* Upgrade tasks (XEP-0480): an account that came with keys for one SCRAM hash alone - imported,
 * most likely - gets those for another from a client that asks for it and knows the password.
 * Between the mechanism's success and <success/>, one task after the other (XEP-0388
 * section 2.6.3).
 *
 * Nothing is replaced: a hash that the account has is no task. A login by token shows no password,
 * so it may not set what a password is checked with.
 */
#include "c2s/client_sasl2.h"

#include <stdlib.h>

#include "base/mem.h"
#include "c2s/auth.h"
#include "xmpp/namespaces.h"

/* Those that can be a task come first: nobody goes back to SHA-1. */
static const struct {
    enum scram_hash hash;
    unsigned mechanisms; /* that the keys are for */
    const char *task;
} hashes[] = {
    {SCRAM_SHA_256, SASL_SCRAM_SHA_256 | SASL_SCRAM_SHA_256_PLUS, "UPGR-SCRAM-SHA-256"},
    {SCRAM_SHA_512, SASL_SCRAM_SHA_512 | SASL_SCRAM_SHA_512_PLUS, "UPGR-SCRAM-SHA-512"},
    {SCRAM_SHA_1, SASL_SCRAM_SHA_1 | SASL_SCRAM_SHA_1_PLUS, NULL},
};
#define HASHES (sizeof(hashes) / sizeof(hashes[0]))
#define TASKS  (HASHES - 1)

void client_upgrade_features(const struct client *c, struct buffer *out)
{
    if (!auth_accounts(c->c2s->auth) || (c->negotiation->offered & SASL_ANONYMOUS))
        return;
    for (size_t i = 0; i < TASKS; i++)
        if (c->c2s->mechanisms & hashes[i].mechanisms)
            buffer_printf(out, "<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>%s</upgrade>",
                          hashes[i].task);
}

/* --- what the account has: XEP-0388 section 2.1 --- */

static void on_mechanisms(void *arg, enum error e, const struct store_rows *rows)
{
    struct negotiation *n = arg;
    struct client *c = n->client;
    unsigned has = 0, scram = 0;

    if (!client_auth_awaited(n))
        return;
    for (size_t i = 0; i < HASHES; i++) {
        scram |= hashes[i].mechanisms;
        for (size_t row = 0; e == ERR_OK && row < store_rows_count(rows); row++)
            if (str_is(store_text(rows, row, 0), scram_hash_name(hashes[i].hash)))
                has |= hashes[i].mechanisms;
    }
    /* Of nobody, and where the store fails, as of everybody. */
    n->lacking = has ? scram & ~has : 0;
    client_stream_features(c);
    client_stream_continue(c);
}

bool client_upgrade_look_up(struct client *c)
{
    struct negotiation *n = c->negotiation;
    struct store *accounts = auth_accounts(c->c2s->auth);

    n->lacking = 0;
    if (c->jid || !n->from || !accounts || !client_sasl2_possible(c))
        return false;
    client_auth_await(n);
    accounts_read_keys(accounts, jid_local(n->from), str_of(c->domain), on_mechanisms, n);
    return true;
}

/* --- the tasks --- */

/* Section 2.2: the tasks that the client asks for, as bits. */
static unsigned asked_for(const struct negotiation *n)
{
    const struct stanza *request = n->sasl2->request;
    unsigned set = 0;

    for (stanza_el el = stanza_first(request, STANZA_ROOT); el != STANZA_NONE;
         el = stanza_next(request, el))
        for (size_t i = 0; i < TASKS; i++)
            if (str_eq(stanza_ns(request, el), NS_UPGRADE) &&
                str_is(stanza_name(request, el), "upgrade") &&
                str_is(stanza_text(request, el), hashes[i].task) &&
                (n->c2s->mechanisms & hashes[i].mechanisms))
                set |= 1u << i;
    return set;
}

static size_t current(const struct negotiation *n)
{
    size_t i = 0;

    while (!(n->sasl2->upgrades & 1u << i))
        i++;
    return i;
}

/* The next <continue/>, or what comes after the tasks. The mechanism's data is said once. */
static void go_on(struct negotiation *n)
{
    struct sasl2 *x = n->sasl2;
    struct buffer out;

    if (x->upgrades == 0) {
        client_token_settle(n);
        return;
    }
    buffer_init(&out, 16384);
    buffer_add_str(&out, STR("<continue xmlns='urn:xmpp:sasl:2'>"));
    if (buffer_len(&x->data) > 0)
        sasl2_write_data(&out, STR("additional-data"), buffer_str(&x->data));
    buffer_clear(&x->data);
    buffer_printf(&out, "<tasks><task>%s</task></tasks></continue>", hashes[current(n)].task);
    client_set_state(n->client, STREAM_SASL2_TASKS, "a task is set");
    client_write_buffer(n->client, &out);
}

static void on_keys(void *arg, enum error e, const struct store_rows *rows)
{
    struct negotiation *n = arg;
    struct client *c = n->client;

    if (!client_auth_awaited(n))
        return;
    /* Without an answer nobody is kept from logging in. */
    n->sasl2->upgrades = e == ERR_OK ? asked_for(n) : 0;
    for (size_t row = 0; e == ERR_OK && row < store_rows_count(rows); row++)
        for (size_t i = 0; i < TASKS; i++)
            if (str_is(store_text(rows, row, 0), scram_hash_name(hashes[i].hash)))
                n->sasl2->upgrades &= ~(1u << i);
    go_on(n);
    client_stream_continue(c);
}

void client_upgrade_begin(struct negotiation *n)
{
    struct store *accounts = auth_accounts(n->c2s->auth);

    if (!accounts || n->client->anonymous || sasl_by_token(n->sasl) || asked_for(n) == 0) {
        client_token_settle(n);
        return;
    }
    client_auth_await(n);
    accounts_read_keys(accounts, sasl_username(n->sasl), str_of(n->client->domain), on_keys, n);
}

void client_upgrade_next(struct client *c, struct stanza *next)
{
    struct negotiation *n = c->negotiation;
    size_t i = current(n);
    struct scram_keys *keys = &n->sasl2->keys;
    bool right = str_is(stanza_attr(next, STANZA_ROOT, STR("task")), hashes[i].task);
    struct buffer out;

    stanza_unref(next);
    if (!right) {
        client_auth_fail(c, SASL_FAIL_MALFORMED_REQUEST);
        return;
    }
    *keys = (struct scram_keys){
        .hash = hashes[i].hash, .iterations = SCRAM_ITERATIONS, .salt_len = SCRAM_SALT};
    random_fill(c->c2s->component->env->random, keys->salt, SCRAM_SALT);
    buffer_init(&out, 512);
    buffer_printf(&out,
                  "<task-data xmlns='urn:xmpp:sasl:2'>"
                  "<salt xmlns='urn:xmpp:scram-upgrade:0' iterations='%u'>",
                  (unsigned)keys->iterations);
    sasl_base64_encode((struct str){(const char *)keys->salt, keys->salt_len}, &out);
    buffer_add_str(&out, STR("</salt></task-data>"));
    client_set_state(c, STREAM_SASL2_TASK, "the salt is sent");
    client_write_buffer(c, &out);
}

static void on_stored(void *arg, enum error e, const struct store_rows *rows)
{
    struct negotiation *n = arg;
    struct client *c = n->client;
    struct log log;

    if (!client_auth_awaited(n))
        return;
    if (e != ERR_OK) {
        client_auth_fail(c, SASL_FAIL_TEMPORARY_AUTH_FAILURE);
    } else {
        log = client_log(c);
        log_info(&log, "%.*s@%s has keys for %s now", STR_ARG(sasl_username(n->sasl)), c->domain,
                 scram_hash_name(hashes[current(n)].hash));
        n->sasl2->upgrades &= n->sasl2->upgrades - 1; /* the lowest bit is the current one */
        client_set_state(c, STREAM_SASL2, "task done");
        go_on(n);
    }
    client_stream_continue(c);
}

static bool take_salted(const struct stanza *data, struct scram_keys *keys, bool *ret_encoding)
{
    stanza_el el = stanza_child(data, STANZA_ROOT, STR("hash"), NS_SCRAM_UPGRADE);
    struct str text = el == STANZA_NONE ? STR_NULL : stanza_text(data, el);
    struct buffer salted;
    bool ok;

    buffer_init(&salted, 1024);
    *ret_encoding = sasl_base64_decode(text, &salted);
    ok = *ret_encoding && buffer_len(&salted) == scram_hash_size(keys->hash) &&
         scram_derive_salted(keys, (const unsigned char *)buffer_str(&salted).data);
    if (buffer_len(&salted) > 0) /* as good as a password */
        mem_wipe(salted.data + salted.start, buffer_len(&salted));
    buffer_finish(&salted);
    return ok;
}

void client_upgrade_data(struct client *c, struct stanza *data)
{
    struct negotiation *n = c->negotiation;
    struct scram_keys *keys = &n->sasl2->keys;
    bool encoding, ok = take_salted(data, keys, &encoding);

    stanza_unref(data);
    if (!ok) {
        client_auth_fail(c, encoding ? SASL_FAIL_MALFORMED_REQUEST : SASL_FAIL_INCORRECT_ENCODING);
        return;
    }
    client_auth_await(n);
    store_commit(accounts_put_keys(store_begin(auth_accounts(n->c2s->auth)), sasl_username(n->sasl),
                                   str_of(c->domain), keys),
                 on_stored, n);
}
