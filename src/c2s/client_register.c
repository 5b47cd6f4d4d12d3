/* In-band registration (XEP-0077): the form, a new account, another password, the end of an
 * account.
 *
 * A new account is written by auth.h and then announced to the session manager; only when all is
 * done is it acknowledged, and when the session manager cannot take it, it is taken back. An
 * account that is removed loses the session manager's data first: were it the other way round and
 * the machine died between, whoever registered the name next would inherit a stranger's roster.
 */
#include "c2s/client.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "c2s/auth.h"
#include "xmpp/namespaces.h"

#define REGISTER_TRIES    5      /* refused requests before authentication, then the stream ends */
#define REGISTER_SM_WAIT  10000u /* ms for the session manager to answer */
#define REGISTER_PASSWORD 1023   /* bytes: RFC 8265 leaves it to us; as long as a localpart */

struct registration {
    struct list node;      /* c2s->registrations */
    struct c2s *c2s;       /* NULL when the instance went away */
    struct client *client; /* NULL when the client went away: the work is finished all the same */
    struct packet
        *origin; /* an administrator asks, by way of an sm: no client, no address, no iq */
    struct address *address;
    struct stanza *iq;
    struct jid *account; /* bare */
    enum register_kind kind;
    struct session_id request;
    struct loop_timer timer;
};

static void destroy(struct registration *r)
{
    list_remove(&r->node);
    loop_timer_stop(&r->timer);
    if (r->c2s) {
        if (r->request.len > 0)
            hash_del(&r->c2s->requests, session_id_str(&r->request));
        if (r->address)
            address_unref(r->c2s->addresses, r->address);
    }
    packet_destroy(r->origin);
    stanza_unref(r->iq);
    jid_unref(r->account);
    free(r);
}

void client_register_lost(struct client *c)
{
    if (c->registration)
        c->registration->client = NULL;
    c->registration = NULL;
}

bool client_register_removing(const struct client *c)
{
    return c->registration && c->registration->kind == REGISTER_REMOVE;
}

void client_register_forget(struct c2s *s)
{
    LIST_EACH_SAFE (it, &s->registrations)
        destroy(LIST_ENTRY(it, struct registration, node));
}

/* --- who may --- */

bool client_register_possible(const struct client *c)
{
    const struct config *config = c2s_config_for(c->c2s, c->domain);

    /* A password in the clear only where there is no encryption at all. */
    if (!c->tls && c2s_tls_of(c->c2s, c->domain) != C2S_TLS_OFF)
        return false;
    return config->domain_register || (config->register_loopback && c->address->loopback);
}

/* --- answers --- */

/* Told before authentication, a refusal counts: names are not to be tried out without end. */
static void refuse(struct client *c, const struct stanza *iq, enum stanza_condition condition,
                   const char *text)
{
    client_reply(c, stanza_error_reply(iq, c->domain ? str_of(c->domain) : STR_NULL,
                                       c->jid ? jid_full(c->jid) : STR_NULL, condition, text));
    if (c->negotiation && !c->jid && ++c->negotiation->register_failures >= REGISTER_TRIES)
        client_error(c, STREAM_ERR_POLICY_VIOLATION,
                     "too many refused registrations on this stream");
}

static enum stanza_condition condition_of(enum error e)
{
    switch (e) {
    case ERR_EXISTS:
        return STANZA_ERR_CONFLICT;
    case ERR_NOT_FOUND:
        return STANZA_ERR_REGISTRATION_REQUIRED;
    case ERR_INVALID: /* the password: empty, or with control characters */
        return STANZA_ERR_NOT_ACCEPTABLE;
    case ERR_PERMISSION:
        return STANZA_ERR_NOT_ALLOWED;
    case ERR_STORE_FULL:
        return STANZA_ERR_RESOURCE_CONSTRAINT;
    default:
        return STANZA_ERR_INTERNAL_SERVER_ERROR;
    }
}

static void succeeded(struct registration *r, struct client *c)
{
    static const char *const said[] = {"registered", "password changed", "account removed"};
    struct c2s *s = r->c2s;

    log_info(&s->component->log, "%s: %s", r->account->text, said[r->kind]);
    s->count.registrations += r->kind == REGISTER_CREATE;
    if (c)
        client_reply(c,
                     stanza_result(r->iq, str_of(c->domain), c->jid ? jid_full(c->jid) : STR_NULL));
    /* Whoever logged in with what is not true any more has to go; XEP-0077 section 3.2 for the
     * removed. */
    if (r->kind == REGISTER_REMOVE)
        c2s_end_user(s, r->account, NULL, "the account was removed");
    else if (r->kind == REGISTER_CHANGE)
        c2s_end_user(s, r->account, c, "the password was changed");
}

static void finish(struct registration *r, enum stanza_condition condition, const char *text)
{
    struct c2s *s = r->c2s;
    struct client *c = r->client;

    if (c) {
        c->registration = NULL;
        client_resume(c, CLIENT_PAUSE_BUSY);
    }
    if (condition == STANZA_ERR_NONE) {
        succeeded(r, c);
    } else {
        if (r->kind == REGISTER_CREATE && r->address)
            address_register_failed(s->addresses, r->address);
        if (c)
            refuse(c, r->iq, condition, text);
    }
    if (r->origin)
        account_request_answer(s, r->origin, condition);
    destroy(r);
    if (c && c->state == STREAM_BOUND && c->phase == SESSION_NONE)
        client_error(c, STREAM_ERR_RESET, "the session ended while the account was to be removed");
    else if (c)
        client_stream_continue(c);
    c2s_check_stopped(s);
}

/* --- the session manager's part --- */

static void on_rolled_back(void *arg, enum error e)
{
    struct registration *r = arg;

    if (e == ERR_CANCELLED)
        return;
    if (e != ERR_OK)
        log_error(&r->c2s->component->log,
                  "%s was registered but could not be taken back: remove it by `jackdaw user del`",
                  r->account->text);
    finish(r, STANZA_ERR_INTERNAL_SERVER_ERROR, "no session manager is there: try again later");
}

static void on_removed(void *arg, enum error e)
{
    if (e != ERR_CANCELLED)
        finish(arg, e == ERR_OK || e == ERR_NOT_FOUND ? STANZA_ERR_NONE : condition_of(e), NULL);
}

static void remove_from_accounts(struct registration *r, auth_fn fn)
{
    struct auth *auth = r->c2s->auth;

    auth->driver->remove(auth, r->account, fn, r);
}

static void sm_answered(struct registration *r, bool ok)
{
    hash_del(&r->c2s->requests, session_id_str(&r->request));
    r->request.len = 0;
    loop_timer_stop(&r->timer);
    if (r->kind == REGISTER_CREATE && ok)
        finish(r, STANZA_ERR_NONE, NULL);
    else if (r->kind == REGISTER_CREATE)
        remove_from_accounts(r, on_rolled_back);
    else if (ok)
        remove_from_accounts(r, on_removed);
    else
        finish(r, STANZA_ERR_INTERNAL_SERVER_ERROR, "no session manager is there: try again later");
}

static void on_sm_silent(struct loop_timer *timer)
{
    sm_answered(MEM_CONTAINER(timer, struct registration, timer), false);
}

static void ask_sm(struct registration *r)
{
    struct c2s *s = r->c2s;
    struct packet *p = packet_create_session(
        jid_domain(r->account), c2s_id(s),
        r->kind == REGISTER_CREATE ? SESSION_CREATE : SESSION_DELETE, r->account, STR_NULL);

    session_id_make(&r->request, s->component->env->random);
    hash_put(&s->requests, session_id_str(&r->request), r);
    p->c2s = p->request = r->request;
    loop_timer_start(&r->timer, REGISTER_SM_WAIT);
    component_send(s->component, p);
}

void client_register_answered(struct c2s *s, const struct packet *p)
{
    struct registration *r =
        p->request.len ? hash_get(&s->requests, session_id_str(&p->request)) : NULL;

    if (r)
        sm_answered(r, !p->error && !p->failed);
}

/* --- the accounts' part --- */

static void on_written(void *arg, enum error e)
{
    struct registration *r = arg;

    if (e == ERR_CANCELLED)
        return;
    if (e != ERR_OK)
        finish(r, condition_of(e),
               e == ERR_INVALID      ? "this password cannot be used"
               : e == ERR_PERMISSION ? "accounts are not kept here: ask your administrator"
                                     : NULL);
    else if (r->kind == REGISTER_CREATE)
        ask_sm(r);
    else
        finish(r, STANZA_ERR_NONE, NULL);
}

/* --- requests --- */

static struct registration *begin(struct client *c, struct stanza *iq, enum register_kind kind,
                                  struct jid *account)
{
    struct registration *r = MEM_NEW(struct registration);

    r->c2s = c->c2s;
    r->client = c;
    r->address = address_ref(c->c2s->addresses, c->address);
    r->iq = stanza_ref(iq);
    r->account = account;
    r->kind = kind;
    loop_timer_init(&r->timer, c2s_loop(c->c2s), on_sm_silent);
    list_push(&c->c2s->registrations, &r->node);
    c->registration = r;
    client_pause(c, CLIENT_PAUSE_BUSY);
    return r;
}

static void write_account(struct registration *r, struct str password)
{
    struct auth *auth = r->c2s->auth;

    if (r->kind == REGISTER_CREATE)
        auth->driver->create(auth, r->account, password, on_written, r);
    else
        auth->driver->set_password(auth, r->account, password, on_written, r);
}

void client_register_for(struct c2s *s, struct packet *origin, enum register_kind kind,
                         struct jid *account, struct str password)
{
    struct registration *r = MEM_NEW(struct registration);

    r->c2s = s;
    r->origin = origin;
    r->account = jid_ref(account);
    r->kind = kind;
    loop_timer_init(&r->timer, c2s_loop(s), on_sm_silent);
    list_push(&s->registrations, &r->node);
    if (kind == REGISTER_REMOVE)
        ask_sm(r);
    else if (password.len == 0 || password.len > REGISTER_PASSWORD)
        finish(r, STANZA_ERR_NOT_ACCEPTABLE, NULL);
    else
        write_account(r, password);
}

static void form(struct client *c, const struct stanza *iq)
{
    struct builder *b =
        stanza_result_open(iq, str_of(c->domain), c->jid ? jid_full(c->jid) : STR_NULL);
    const char *instructions = c2s_config_for(c->c2s, c->domain)->domain_instructions;

    builder_start(b, STR("query"), NS_REGISTER);
    if (c->jid) {
        builder_leaf(b, STR("registered"), NS_REGISTER, STR(""));
        builder_leaf(b, STR("username"), NS_REGISTER, jid_local(c->jid));
        builder_leaf(b, STR("password"), NS_REGISTER, STR(""));
    } else {
        if (builder_text_ok(str_of(instructions)))
            builder_leaf(b, STR("instructions"), NS_REGISTER, str_of(instructions));
        builder_leaf(b, STR("username"), NS_REGISTER, STR(""));
        builder_leaf(b, STR("password"), NS_REGISTER, STR(""));
    }
    builder_end(b);
    client_reply(c, builder_finish(b));
}

static struct str field(const struct stanza *iq, stanza_el query, struct str name)
{
    stanza_el el = stanza_child(iq, query, name, NS_REGISTER);

    return el == STANZA_NONE ? STR_NULL : stanza_text(iq, el);
}

static void create(struct client *c, struct stanza *iq, struct str user, struct str password)
{
    struct jid *account = jid_from_parts(user, str_of(c->domain), STR_NULL);
    struct c2s *s = c->c2s;

    if (!account) {
        refuse(c, iq, STANZA_ERR_JID_MALFORMED,
               "this username has characters that an address may not have");
    } else if (!jid_local_unconfusable(jid_local(account))) {
        refuse(c, iq, STANZA_ERR_NOT_ACCEPTABLE,
               "this username mixes scripts and could be taken for another");
    } else if (!address_may_register(s->addresses, c->address, c2s_config(s)->register_rate)) {
        if (log_limit_pass(&s->limit_auth, c2s_now(s), &s->component->log))
            log_warn(&s->component->log, "%.*s registers too many accounts (register.rate)",
                     (int)c->address->key_len, c->address->key);
        refuse(c, iq, STANZA_ERR_RESOURCE_CONSTRAINT,
               "too many accounts from this address: try again later");
    } else {
        write_account(begin(c, iq, REGISTER_CREATE, account), password);
        return;
    }
    jid_unref(account);
}

static void change(struct client *c, struct stanza *iq, struct str user, struct str password)
{
    struct jid *account = jid_from_parts(user, str_of(c->domain), STR_NULL);

    if (account && jid_eq_bare(account, c->jid)) {
        write_account(begin(c, iq, REGISTER_CHANGE, account), password);
        return;
    }
    jid_unref(account);
    refuse(c, iq, STANZA_ERR_FORBIDDEN, "this is not your account");
}

/* XEP-0077 section 3.2 */
static void remove_account(struct client *c, struct stanza *iq, stanza_el query)
{
    if (stanza_children(iq, query) != 1)
        refuse(c, iq, STANZA_ERR_BAD_REQUEST, "remove stands alone");
    else if (!c->jid)
        refuse(c, iq, STANZA_ERR_REGISTRATION_REQUIRED, "log in to remove your account");
    else
        ask_sm(begin(c, iq, REGISTER_REMOVE, jid_to_bare(c->jid)));
}

static void set(struct client *c, struct stanza *iq, stanza_el query)
{
    struct str user = field(iq, query, STR("username")),
               password = field(iq, query, STR("password"));

    if (stanza_child(iq, query, STR("remove"), NS_REGISTER) != STANZA_NONE)
        remove_account(c, iq, query);
    else if (user.len == 0 || password.len == 0)
        /* Section 3.1.1 for a new account, table 4 (bad-request) for a password */
        refuse(c, iq, c->jid ? STANZA_ERR_BAD_REQUEST : STANZA_ERR_NOT_ACCEPTABLE,
               "both username and password are needed");
    else if (password.len > REGISTER_PASSWORD)
        refuse(c, iq, STANZA_ERR_NOT_ACCEPTABLE, "this password is too long");
    else if (c->jid)
        change(c, iq, user, password);
    else
        create(c, iq, user, password);
}

void client_register(struct client *c, struct stanza *iq)
{
    struct str type = stanza_attr(iq, STANZA_ROOT, STR("type"));
    stanza_el query = stanza_child(iq, STANZA_ROOT, STR("query"), NS_REGISTER);
    bool is_set = str_is(type, "set");

    if (query == STANZA_NONE || stanza_children(iq, STANZA_ROOT) != 1 ||
        (!is_set && !str_is(type, "get")) || stanza_attr(iq, STANZA_ROOT, STR("id")).len == 0)
        refuse(c, iq, STANZA_ERR_BAD_REQUEST, "an iq needs an id, a type, and exactly one child");
    else if (!c->jid && !client_register_possible(c))
        refuse(c, iq, STANZA_ERR_NOT_ALLOWED, "accounts are not made in-band here");
    else if (is_set)
        set(c, iq, query);
    else
        form(c, iq);
    stanza_unref(iq);
}
