/* SASL (RFC 6120 section 6): drives one exchange of xmpp/sasl.h. Only what was announced on this
 * stream is accepted. The account comes from the store and PBKDF2 runs on a pool thread; meanwhile
 * the client waits. A failed login is answered after a delay that grows with the failures of the
 * client's address prefix, never with those of an account.
 */
#include "c2s/auth.h"
#include "c2s/client_sasl2.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "xmpp/namespaces.h"

#define AUTH_MAX_OUT 8192 /* of one message in base64 */

static void on_delay(struct loop_timer *timer);

struct negotiation *client_auth_create(struct client *c)
{
    struct negotiation *n = MEM_NEW(struct negotiation);

    n->c2s = c->c2s;
    n->client = c;
    list_init(&n->node);
    loop_timer_init(&n->delay, c2s_loop(c->c2s), on_delay);
    return n;
}

static void destroy(struct negotiation *n)
{
    list_remove(&n->node);
    loop_timer_stop(&n->delay);
    sasl_destroy(n->sasl);
    client_sasl2_close(n);
    jid_unref(n->from);
    stanza_unref(n->request);
    free(n);
}

void client_auth_release(struct negotiation *n)
{
    if (!n)
        return;
    n->client = NULL;
    loop_timer_stop(&n->delay);
    if (!n->awaiting)
        destroy(n);
}

void client_auth_forget(struct c2s *s)
{
    LIST_EACH_SAFE (it, &s->logins) {
        struct negotiation *n = LIST_ENTRY(it, struct negotiation, node);
        list_remove(&n->node);
        n->c2s = NULL;
    }
}

void client_auth_await(struct negotiation *n)
{
    n->awaiting = true;
    list_push(&n->c2s->logins, &n->node);
    client_pause(n->client, CLIENT_PAUSE_BUSY);
}

bool client_auth_awaited(struct negotiation *n)
{
    struct c2s *s = n->c2s;

    n->awaiting = false;
    list_remove(&n->node);
    if (n->client) {
        client_resume(n->client, CLIENT_PAUSE_BUSY);
        return true;
    }
    destroy(n);
    if (s)
        c2s_check_stopped(s);
    return false;
}

/* --- what is offered --- */

static bool anonymous_only(const struct client *c)
{
    const struct config_list *domains = &c2s_config(c->c2s)->auth_anonymous;

    for (size_t i = 0; i < domains->count; i++)
        if (strcmp(domains->items[i], c->domain) == 0)
            return true;
    return false;
}

unsigned client_auth_offer(struct client *c)
{
    unsigned offer = c->c2s->mechanisms & c->c2s->auth->driver->mechanisms;
    const struct tls_info *info = c->tls ? conn_tls(c->conn) : NULL;
    unsigned char exporter[32];

    if (!info && c2s_tls_of(c->c2s, c->domain) == C2S_TLS_REQUIRED)
        return 0;
    if (anonymous_only(c))
        return SASL_ANONYMOUS;
    if (!info) {
        return offer &
               ~(SASL_PLUS | SASL_PLAIN); /* RFC 6120 section 13.8.3: PLAIN only under TLS */
    }
    if (info->end_point_len == 0 && !conn_tls_exporter(c->conn, exporter))
        offer &= ~SASL_PLUS;
    return offer;
}

/* --- answers --- */

/* Without data: an empty element. */
static void write_element(struct client *c, struct str name, struct str raw)
{
    struct buffer out;

    buffer_init(&out, AUTH_MAX_OUT + 128);
    buffer_add_char(&out, '<');
    buffer_add_str(&out, name);
    buffer_add_str(&out, c->negotiation->sasl2 ? STR(" xmlns='urn:xmpp:sasl:2'")
                                               : STR(" xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"));
    if (raw.len == 0) {
        buffer_add_str(&out, STR("/>"));
    } else {
        buffer_add_char(&out, '>');
        sasl_base64_encode(raw, &out);
        buffer_add_str(&out, STR("</"));
        buffer_add_str(&out, name);
        buffer_add_char(&out, '>');
    }
    client_write_buffer(c, &out);
}

void client_auth_fail(struct client *c, enum sasl_failure failure)
{
    struct negotiation *n = c->negotiation;
    struct buffer out;

    sasl_destroy(n->sasl);
    n->sasl = NULL;
    n->disabled = false;
    client_set_state(c, STREAM_NEGOTIATING, "SASL failure");
    buffer_init(&out, 512);
    if (n->sasl2)
        sasl2_write_failure(&out, failure, NULL);
    else
        buffer_printf(&out, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><%.*s/></failure>",
                      STR_ARG(sasl_failure_element(failure)));
    client_sasl2_close(n);
    client_write_buffer(c, &out);
    if (failure == SASL_FAIL_TEMPORARY_AUTH_FAILURE)
        return; /* ours, not theirs */
    /* RFC 6120 section 6.4.5: a number of retries, then the stream ends. */
    if (++n->failures > c2s_config(c->c2s)->c2s_auth_failures)
        client_error(c, STREAM_ERR_POLICY_VIOLATION, "too many failed logins on this stream");
}

void client_auth_fail_slowly(struct negotiation *n, enum sasl_failure failure, const char *why)
{
    struct client *c = n->client;
    struct c2s *s = n->c2s;
    uint32_t wait = address_login_failed(s->addresses, c->address);
    struct log log = client_log(c);

    s->count.login_failures++;
    if (log_limit_pass(&s->limit_auth, c2s_now(s), &s->component->log))
        log_info(&log, "login failed at %s: %s; the answer waits %u ms", c->domain, why, wait);
    n->fail = (uint8_t)failure;
    client_pause(c, CLIENT_PAUSE_BUSY);
    loop_timer_start(&n->delay, wait);
}

static void succeed(struct negotiation *n, struct buffer *out)
{
    struct client *c = n->client;
    struct log log;

    if (n->disabled) {
        client_auth_fail(c, SASL_FAIL_ACCOUNT_DISABLED);
        return;
    }
    c->anonymous = anonymous_only(c);
    if (n->sasl2) {
        client_sasl2_proved(n, buffer_str(out));
        return;
    }
    if (!client_authenticated(c, sasl_username(n->sasl))) {
        client_auth_fail(c, SASL_FAIL_NOT_AUTHORIZED);
        return;
    }
    write_element(c, STR("success"), buffer_str(out));
    sasl_destroy(n->sasl);
    n->sasl = NULL;
    log = client_log(c);
    log_debug(&log, "authenticated");
    /* RFC 6120 section 6.4.6: the client starts a new stream; the old one is gone without
     * </stream>. */
    parser_restart(c->parser);
    client_set_state(c, STREAM_WAIT_RESTART, "SASL success");
}

/* --- asynchronous steps --- */

static void on_checked(void *arg, enum error e);

/* An imported account at its first login: what it has is not what we keep. PLAIN alone can tell. */
static bool upgrade(struct negotiation *n, enum error e, const struct account *account)
{
    struct auth *auth = n->c2s->auth;
    struct str password = sasl_password(n->sasl);

    if (e != ERR_OK || !account || !account->exists || account->has_keys || !password.data ||
        !auth->driver->upgrade)
        return false;
    client_auth_await(n);
    auth->driver->upgrade(auth, sasl_username(n->sasl), str_of(n->client->domain), password,
                          on_checked, n);
    return true;
}

static void on_account(void *arg, enum error e, const struct account *account)
{
    struct negotiation *n = arg;
    struct client *c = n->client;
    struct buffer out;
    bool temporary = e != ERR_OK && e != ERR_NOT_FOUND;

    if (!client_auth_awaited(n))
        return;
    buffer_init(&out, AUTH_MAX_OUT);
    if (!temporary && account && account->exists)
        n->disabled = account->disabled;
    if (upgrade(n, e, account)) {
        buffer_finish(&out);
        return;
    }
    client_auth_act(n,
                    sasl_account(n->sasl,
                                 !temporary && account && account->has_keys ? &account->keys : NULL,
                                 temporary, &out),
                    &out);
    buffer_finish(&out);
    client_stream_continue(c);
}

static void on_checked(void *arg, enum error e)
{
    struct negotiation *n = arg;
    struct client *c = n->client;
    struct buffer out;

    if (!client_auth_awaited(n))
        return;
    buffer_init(&out, AUTH_MAX_OUT);
    client_auth_act(n, sasl_checked(n->sasl, e == ERR_OK, e != ERR_OK && e != ERR_NOT_FOUND), &out);
    buffer_finish(&out);
    client_stream_continue(c);
}

/* Where only a program knows, it is told the password; PLAIN alone is offered then. */
static void look_up(struct negotiation *n)
{
    struct auth *auth = n->c2s->auth;
    struct str user = sasl_username(n->sasl), realm = str_of(n->client->domain);

    if (sasl_by_token(n->sasl)) {
        client_token_look_up(n);
        return;
    }
    client_auth_await(n);
    if (auth->driver->keys)
        auth->driver->keys(auth, user, realm, sasl_hash(n->sasl), on_account, n);
    else
        auth->driver->check(auth, user, realm, sasl_password(n->sasl), on_checked, n);
}

static void run_verify(struct loop_work *work)
{
    sasl_verify_run(MEM_CONTAINER(work, struct negotiation, work)->sasl);
}

static void verify_done(struct loop_work *work)
{
    struct negotiation *n = MEM_CONTAINER(work, struct negotiation, work);
    struct client *c = n->client;
    struct buffer out;

    if (!client_auth_awaited(n))
        return;
    buffer_init(&out, AUTH_MAX_OUT);
    client_auth_act(n, sasl_verify_done(n->sasl, &out), &out);
    buffer_finish(&out);
    client_stream_continue(c);
}

void client_auth_act(struct negotiation *n, enum sasl_action action, struct buffer *out)
{
    struct client *c = n->client;

    switch (action) {
    case SASL_CHALLENGE:
        write_element(c, STR("challenge"), buffer_str(out));
        break;
    case SASL_LOOKUP:
        /* XEP-0388 section 2.3: who the stream is from, and nobody else */
        if (n->sasl2 && n->from && !str_eq(jid_local(n->from), sasl_username(n->sasl)))
            client_auth_fail(c, SASL_FAIL_INVALID_AUTHZID);
        else
            look_up(n);
        break;
    case SASL_VERIFY:
        client_auth_await(n);
        n->work.run = run_verify;
        n->work.done = verify_done;
        loop_work(c2s_loop(n->c2s), &n->work);
        break;
    case SASL_SUCCESS:
        succeed(n, out);
        break;
    case SASL_FAILURE:
        if (sasl_failure(n->sasl) == SASL_FAIL_NOT_AUTHORIZED)
            client_auth_fail_slowly(n, SASL_FAIL_NOT_AUTHORIZED, sasl_why(n->sasl));
        else
            client_auth_fail(c, sasl_failure(n->sasl));
        break;
    }
}

/* --- input --- */

/* "=" says "empty" in RFC 6120 alone; in XEP-0388 (section 2.2) an empty element does. */
static bool decode(const struct negotiation *n, struct str text, struct buffer *out)
{
    return text.len == 0 || (!(n->sasl2 && str_is(text, "=")) && sasl_base64_decode(text, out));
}

/* One message of the client: base64 text of the element, absent (no data) or empty. */
static void step(struct negotiation *n, struct str text, bool response)
{
    struct buffer in, out;
    struct str input = STR_NULL;

    buffer_init(&in, AUTH_MAX_OUT);
    buffer_init(&out, AUTH_MAX_OUT);
    if (!decode(n, text, &in)) {
        client_auth_fail(n->client, SASL_FAIL_INCORRECT_ENCODING);
    } else {
        if (text.len > 0)
            input = buffer_str(&in);
        else if (response) /* an empty response is an empty value, unlike an absent initial one */
            input = STR("");
        client_auth_act(n, sasl_step(n->sasl, input, &out), &out);
    }
    if (buffer_len(&in) > 0) /* a password, perhaps */
        mem_wipe(in.data + in.start, buffer_len(&in));
    buffer_finish(&in);
    buffer_finish(&out);
}

/* By the profile that the client speaks. */
static unsigned offered(const struct negotiation *n)
{
    return n->sasl2 ? n->sasl2_offered | n->tokens : n->offered;
}

static enum sasl_failure check_mechanism(const struct client *c, enum sasl_mechanism m)
{
    if (m != SASL_NONE && (offered(c->negotiation) & (unsigned)m))
        return SASL_FAIL_NONE;
    /* Known, but not in the clear (section 6.5.4). */
    if (!c->tls && (c->c2s->mechanisms & (unsigned)m) &&
        (c2s_tls_of(c->c2s, c->domain) == C2S_TLS_REQUIRED || m == SASL_PLAIN))
        return SASL_FAIL_ENCRYPTION_REQUIRED;
    return SASL_FAIL_INVALID_MECHANISM;
}

static void begin(struct client *c, struct stanza *auth)
{
    struct negotiation *n = c->negotiation;
    enum sasl_mechanism m = sasl_mechanism_parse(stanza_attr(auth, STANZA_ROOT, STR("mechanism")));
    struct str initial = stanza_text(auth, STANZA_ROOT);
    enum sasl_failure failure =
        c->state == STREAM_SASL2 ? client_sasl2_open(c, auth, &initial) : SASL_FAIL_NONE;
    const struct tls_info *info = c->tls ? conn_tls(c->conn) : NULL;
    struct sasl_channel channel = {STR_NULL, STR_NULL, STR_NULL};
    unsigned char exporter[32], unique[64];

    if (failure == SASL_FAIL_NONE)
        failure = check_mechanism(c, m);
    if (failure == SASL_FAIL_NONE && n->sasl2)
        failure = client_token_open(c, m);
    if (failure != SASL_FAIL_NONE) {
        client_auth_fail(c, failure);
        return;
    }
    if (info && conn_tls_exporter(c->conn, exporter))
        channel.exporter = (struct str){(const char *)exporter, sizeof(exporter)};
    if (info && info->end_point_len > 0)
        channel.end_point = (struct str){(const char *)info->end_point, info->end_point_len};
    if (info)
        channel.unique = (struct str){(const char *)unique, conn_tls_unique(c->conn, unique)};
    n->sasl = sasl_create(m, offered(n), str_of(c->domain), &channel, c->c2s->fake_secret,
                          c->c2s->component->env->random);
    if (n->sasl2)
        client_sasl2_announced(n, channel.exporter.data, channel.end_point.data);
    step(n, initial, n->sasl2 && initial.data);
}

void client_auth_begin(struct client *c, struct stanza *auth)
{
    struct negotiation *n = c->negotiation;
    uint32_t wait = address_login_wait(c->c2s->addresses, c->address);

    if (str_eq(stanza_ns(auth, STANZA_ROOT), NS_SASL2))
        client_set_state(c, STREAM_SASL2, "<authenticate/>");
    else
        client_set_state(c, STREAM_SASL, "<auth/>");
    if (wait > 0) {
        stanza_unref(n->request);
        n->request = auth;
        n->fail = SASL_FAIL_NONE;
        client_pause(c, CLIENT_PAUSE_BUSY);
        loop_timer_start(&n->delay, wait);
        return;
    }
    begin(c, auth);
    stanza_unref(auth);
}

static void on_delay(struct loop_timer *timer)
{
    struct negotiation *n = MEM_CONTAINER(timer, struct negotiation, delay);
    struct client *c = n->client;
    struct stanza *auth = n->request;

    client_resume(c, CLIENT_PAUSE_BUSY);
    if (n->fail != SASL_FAIL_NONE) {
        enum sasl_failure failure = (enum sasl_failure)n->fail;
        n->fail = SASL_FAIL_NONE;
        client_auth_fail(c, failure);
    } else if (auth) {
        n->request = NULL;
        begin(c, auth);
        stanza_unref(auth);
    }
    client_stream_continue(c);
}

void client_auth_response(struct client *c, const struct stanza *response)
{
    step(c->negotiation, stanza_text(response, STANZA_ROOT), true);
}
