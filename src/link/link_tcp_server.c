/* TCP link, the router's end: takes a stream of the component protocol (jabberd2.md 1.2),
 * authenticates it by SCRAM-SHA-256 (ours) or DIGEST-MD5 (jabberd2's own processes), and hands over
 * its packets. */
#include "link/link_tcp.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "xmpp/digest_md5.h"
#include "xmpp/namespaces.h"
#include "xmpp/sasl.h"
#include "xmpp/scram.h"

#define SERVER_SASL_MAX 8192
#define SERVER_FAILURES 3

struct server;

/* SCRAM keys are made from the secret on a pool thread; `server` is NULL when the link went away
 * meanwhile. */
struct keys_job {
    struct loop_work work;
    struct server *server;
    char secret[TCP_SECRET_MAX + 1];
    unsigned char salt[SCRAM_SALT];
    struct scram_keys keys;
    bool known; /* the user exists; a stranger's job takes just as long */
    bool ok;
};

struct server {
    struct link_tcp tcp;
    struct link_tcp_server config;
    bool encrypted;
    unsigned failures;
    struct sasl *sasl;
    struct digest_md5 *digest;
    struct keys_job *job;
};

static struct server *server_of(struct link_tcp *l)
{
    return MEM_CONTAINER(l, struct server, tcp);
}

static void forget_exchange(struct server *s)
{
    sasl_destroy(s->sasl);
    digest_md5_destroy(s->digest);
    s->sasl = NULL;
    s->digest = NULL;
    if (s->job)
        s->job->server = NULL;
    s->job = NULL;
}

/* --- the stream --- */

static void send_header(struct server *s)
{
    char text[256], id[26];
    int len;

    random_token(s->tcp.random, id, sizeof(id));
    len = snprintf(text, sizeof(text), TCP_STREAM_HEADER " id='%.*s'>", (int)sizeof(id), id);
    s->tcp.header_sent = true;
    link_tcp_write(&s->tcp, (struct str){text, (size_t)len});
}

static void send_features(struct server *s)
{
    struct link_tcp *l = &s->tcp;

    if (l->state == TCP_AUTHED) {
        link_tcp_write(l, STR("<stream:features>" TCP_FRAMES "</stream:features>"));
        return;
    }
    link_tcp_write(l, STR("<stream:features>"));
    if (s->config.tls && !s->encrypted)
        link_tcp_write(l, STR("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
    link_tcp_write(
        l, STR("<mechanisms "
               "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-256</mechanism>"
               "<mechanism>DIGEST-MD5</mechanism></mechanisms></stream:features>"));
}

/* One port for both protocols: the default namespace of the stream tells them apart. That of
 * components (jabberd2.md 1.2) has none. */
static bool is_foreign(struct server *s, const struct stanza *header)
{
    struct link_tcp *l = &s->tcp;
    struct str xmlns = stanza_attr(header, STANZA_ROOT, STR("xmlns"));

    if (str_eq(xmlns, NS_COMPONENT_ACCEPT) && s->config.external_secret_of &&
        l->state == TCP_HEADER) {
        link_external_begin(l, &s->config, header);
        return true;
    }
    if (str_starts(xmlns, STR("jabber:"))) {
        link_tcp_error(l, STREAM_ERR_INVALID_NAMESPACE,
                       "streams of components have no default namespace, or "
                       "jabber:component:accept");
        return true;
    }
    return false;
}

static void on_server_header(struct link_tcp *l, const struct stanza *header)
{
    struct server *s = server_of(l);

    if (!stanza_is(header, STANZA_ROOT, STR("stream"), NS_STREAM)) {
        link_tcp_error(l, STREAM_ERR_INVALID_NAMESPACE, "not a stream of the component protocol");
        return;
    }
    if (is_foreign(s, header))
        return;
    if (!str_eq(stanza_attr(header, STANZA_ROOT, STR("version")), STR("1.0"))) {
        link_tcp_error(l, STREAM_ERR_UNSUPPORTED_VERSION,
                       "the component protocol has version='1.0'");
        return;
    }
    send_header(s);
    send_features(s);
    if (l->state == TCP_AUTHED)
        link_tcp_up(l);
    else if (l->state == TCP_HEADER)
        l->state = TCP_NEGOTIATING;
}

/* --- SASL --- */

static void fail(struct server *s, enum sasl_failure failure)
{
    char text[160];
    int len;

    forget_exchange(s);
    len = snprintf(text, sizeof(text),
                   "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><%.*s/></failure>",
                   STR_ARG(sasl_failure_element(failure)));
    link_tcp_write(&s->tcp, (struct str){text, (size_t)len});
    if (++s->failures >= SERVER_FAILURES)
        link_tcp_error(&s->tcp, STREAM_ERR_POLICY_VIOLATION, "too many failed logins");
}

static void refuse_login(struct server *s, struct str name)
{
    struct link_tcp *l = &s->tcp;
    struct log_limit *limit = s->config.limit ? s->config.limit : &l->limit;

    if (log_limit_pass(limit, loop_now(l->base.loop), &l->log))
        log_warn(&l->log, "%s tried to log in as \"%.*s\" with a wrong secret or an unknown name",
                 l->base.peer, STR_ARG(name));
    fail(s, SASL_FAIL_NOT_AUTHORIZED);
}

static void succeed(struct server *s, struct str name, struct str data)
{
    struct link_tcp *l = &s->tcp;

    (void)snprintf(l->user, sizeof(l->user), "%.*s", STR_ARG(name));
    link_tcp_write_sasl(l, "success", NULL, data);
    forget_exchange(s);
    if (l->state != TCP_NEGOTIATING)
        return;
    l->state = TCP_AUTHED;
    link_tcp_open_stream(l);
}

static void keys_run(struct loop_work *work)
{
    struct keys_job *job = MEM_CONTAINER(work, struct keys_job, work);

    job->ok = scram_derive(SCRAM_SHA_256, str_of(job->secret), job->salt, sizeof(job->salt),
                           SCRAM_ITERATIONS, &job->keys);
}

static void act(struct server *s, enum sasl_action action, struct buffer *out);

static void keys_done(struct loop_work *work)
{
    struct keys_job *job = MEM_CONTAINER(work, struct keys_job, work);
    struct server *s = job->server;
    struct buffer out;

    if (s) {
        link_enter(&s->tcp.base);
        s->job = NULL;
        buffer_init(&out, SERVER_SASL_MAX);
        act(s, sasl_account(s->sasl, job->known && job->ok ? &job->keys : NULL, false, &out), &out);
        buffer_finish(&out);
        (void)link_leave(&s->tcp.base);
    }
    mem_wipe(job, sizeof(*job));
    free(job);
}

static void look_up(struct server *s)
{
    const char *secret = s->config.secret_of(s->config.arg, sasl_username(s->sasl));
    struct keys_job *job = MEM_NEW(struct keys_job);

    job->server = s;
    job->known = secret != NULL;
    (void)snprintf(job->secret, sizeof(job->secret), "%s", secret ? secret : "nobody");
    random_fill(s->tcp.random, job->salt, sizeof(job->salt));
    job->work.run = keys_run;
    job->work.done = keys_done;
    s->job = job;
    loop_work(s->tcp.base.loop, &job->work);
}

static void act(struct server *s, enum sasl_action action, struct buffer *out)
{
    switch (action) {
    case SASL_CHALLENGE:
        link_tcp_write_sasl(&s->tcp, "challenge", NULL, buffer_str(out));
        break;
    case SASL_LOOKUP:
        look_up(s);
        break;
    case SASL_SUCCESS:
        succeed(s, sasl_username(s->sasl), buffer_str(out));
        break;
    case SASL_VERIFY: /* PLAIN alone, which is not offered */
    case SASL_FAILURE:
        if (sasl_failure(s->sasl) == SASL_FAIL_NOT_AUTHORIZED)
            refuse_login(s, sasl_username(s->sasl));
        else
            fail(s, sasl_failure(s->sasl));
        break;
    }
}

static void start_scram(struct server *s, struct str initial, bool has_initial)
{
    static const struct sasl_channel none; /* no channel binding between components */
    unsigned char fake_secret[32];
    struct buffer out;

    random_fill(s->tcp.random, fake_secret, sizeof(fake_secret));
    s->sasl = sasl_create(SASL_SCRAM_SHA_256, SASL_SCRAM_SHA_256, STR("jabberd-router"), &none,
                          fake_secret, s->tcp.random);
    buffer_init(&out, SERVER_SASL_MAX);
    act(s, sasl_step(s->sasl, has_initial ? initial : STR_NULL, &out), &out);
    buffer_finish(&out);
}

static void start_digest(struct server *s)
{
    struct buffer out;

    s->digest = digest_md5_server(STR("jabberd-router"), STR("jabberd-router"), s->tcp.random);
    buffer_init(&out, SERVER_SASL_MAX);
    digest_md5_challenge(s->digest, &out);
    link_tcp_write_sasl(&s->tcp, "challenge", NULL, buffer_str(&out));
    buffer_finish(&out);
}

static void on_digest_response(struct server *s, struct str data)
{
    struct str name = STR_NULL;
    struct buffer rspauth;
    const char *secret;
    bool right;

    if (!digest_md5_response(s->digest, data, &name)) {
        fail(s, SASL_FAIL_MALFORMED_REQUEST);
        return;
    }
    secret = s->config.secret_of(s->config.arg, name);
    buffer_init(&rspauth, SERVER_SASL_MAX);
    /* A stranger's response is checked as well, against a secret nobody can know. */
    right = digest_md5_check(s->digest, str_of(secret ? secret : "\x01"), &rspauth) && secret;
    if (right)
        succeed(s, name, buffer_str(&rspauth));
    else
        refuse_login(s, name);
    buffer_finish(&rspauth);
}

static void on_auth(struct server *s, const struct stanza *el, struct str data)
{
    struct str mechanism = stanza_attr(el, STANZA_ROOT, STR("mechanism"));

    if (s->sasl || s->digest)
        forget_exchange(s); /* RFC 6120 6.4.2: a new <auth/> abandons the exchange under way */
    if (str_eq(mechanism, STR("SCRAM-SHA-256")))
        start_scram(s, data, stanza_text(el, STANZA_ROOT).len > 0);
    else if (str_eq(mechanism, STR("DIGEST-MD5")))
        start_digest(s);
    else
        fail(s, SASL_FAIL_INVALID_MECHANISM);
}

static void on_response(struct server *s, struct str data)
{
    struct buffer out;

    if (s->digest) {
        on_digest_response(s, data);
    } else if (s->sasl && !s->job) {
        buffer_init(&out, SERVER_SASL_MAX);
        act(s, sasl_step(s->sasl, data, &out), &out);
        buffer_finish(&out);
    } else {
        fail(s, SASL_FAIL_MALFORMED_REQUEST);
    }
}

static void on_sasl(struct server *s, const struct stanza *el)
{
    struct str name = stanza_name(el, STANZA_ROOT), text = stanza_text(el, STANZA_ROOT);
    struct buffer data;

    buffer_init(&data, SERVER_SASL_MAX);
    if (str_eq(name, STR("abort")))
        fail(s, SASL_FAIL_ABORTED);
    else if (text.len && !sasl_base64_decode(text, &data))
        fail(s, SASL_FAIL_INCORRECT_ENCODING);
    else if (str_eq(name, STR("auth")))
        on_auth(s, el, buffer_str(&data));
    else if (str_eq(name, STR("response")))
        on_response(s, buffer_str(&data));
    else
        fail(s, SASL_FAIL_MALFORMED_REQUEST);
    buffer_finish(&data);
}

/* --- everything before `up` --- */

static void on_starttls(struct server *s)
{
    struct link_tcp *l = &s->tcp;

    if (parser_rest(l->parser)) {
        link_tcp_error(l, STREAM_ERR_POLICY_VIOLATION,
                       "plaintext behind <starttls/> (CVE-2011-0411)");
        return;
    }
    link_tcp_write(l, STR("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
    if (l->state != TCP_NEGOTIATING)
        return;
    link_tcp_drop_parser(l);
    l->state = TCP_TLS;
    conn_start_tls_server(l->conn, s->config.tls, NULL);
}

static void on_server_element(struct link_tcp *l, const struct stanza *el)
{
    struct server *s = server_of(l);

    if (l->state != TCP_NEGOTIATING)
        link_tcp_error(l, STREAM_ERR_BAD_FORMAT, "a stream header was due");
    else if (str_eq(stanza_ns(el, STANZA_ROOT), NS_SASL))
        on_sasl(s, el);
    else if (stanza_is(el, STANZA_ROOT, STR("starttls"), NS_TLS) && s->config.tls && !s->encrypted)
        on_starttls(s);
    else
        link_tcp_error(l, STREAM_ERR_NOT_AUTHORIZED, "log in first");
}

/* jabberd2's components never ask. */
static void on_server_frames(struct link_tcp *l)
{
    if (l->state != TCP_UP) {
        link_tcp_error(l, STREAM_ERR_BAD_FORMAT, "a stream header was due");
        return;
    }
    link_tcp_write(l, STR(TCP_FRAMES));
    (void)link_tcp_begin_frames(l);
}

static void on_server_ready(struct link_tcp *l)
{
    server_of(l)->encrypted = true;
    l->state = TCP_HEADER;
    link_tcp_open_stream(l);
}

static void on_server_timeout(struct link_tcp *l)
{
    if (l->state != TCP_DOWN)
        link_tcp_error(l, STREAM_ERR_CONNECTION_TIMEOUT, "not logged in within 10 s");
}

/* The owner must hear of it even when the link never was up: it is the owner's to close. */
static void on_server_lost(struct link_tcp *l, const char *why)
{
    forget_exchange(server_of(l));
    l->base.said_up = true;
}

static void on_server_start(struct link_tcp *l)
{
    struct conn *conn = l->conn;

    l->state = TCP_HEADER;
    link_tcp_open_stream(l);
    conn_start(conn, &link_tcp_conn_events, l, 0);
    link_tcp_connected(l, conn);
}

static void on_server_finish(struct link_tcp *l)
{
    forget_exchange(server_of(l));
}

static const struct tcp_role server_role = {
    .start = on_server_start,
    .ready = on_server_ready,
    .header = on_server_header,
    .element = on_server_element,
    .frames = on_server_frames,
    .seals = true,
    .timeout = on_server_timeout,
    .lost = on_server_lost,
    .finish = on_server_finish,
};

struct link *link_tcp_accept(struct loop *loop, struct net *net, struct parser_pool *pool,
                             struct random *random, struct log log, struct conn *conn,
                             const struct link_tcp_server *config)
{
    struct server *s = MEM_NEW(struct server);
    const struct net_address *peer = conn_peer(conn);

    link_tcp_init(&s->tcp, &server_role, loop, net, pool, random, log);
    s->config = *config;
    s->tcp.conn = conn;
    (void)snprintf(s->tcp.base.peer, sizeof(s->tcp.base.peer), "%s:%u", peer->ip,
                   (unsigned)peer->port);
    return &s->tcp.base;
}
