/* TCP link, client end: finds the router again and again, and proves who it is - by SCRAM-SHA-256
 * where that is offered, else by DIGEST-MD5, which is all that jabberd2's router has. Nothing here
 * blocks: the costly hashing of SCRAM runs on a pool thread, and between attempts there is a random
 * pause of at most a second. */
#include "link/link_tcp.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "xmpp/digest_md5.h"
#include "xmpp/namespaces.h"
#include "xmpp/sasl.h"
#include "xmpp/scram.h"

#define CLIENT_RETRY_MIN_MS 100
#define CLIENT_RETRY_MAX_MS 1000
#define CLIENT_SASL_MAX     8192

struct client;

/* SCRAM's PBKDF2 on a pool thread. The job owns the exchange until it is done; `client` is NULL
 * when the link was lost or closed meanwhile. */
struct scram_job {
    struct loop_work work;
    struct client *client;
    struct scram_client *scram;
    struct buffer challenge, answer;
    bool ok;
};

struct client {
    struct link_tcp tcp;
    struct net_address router;
    struct tls_client *tls;
    char name[TCP_USER_MAX + 1], secret[TCP_SECRET_MAX + 1];
    bool encrypted, plain;
    struct scram_client *scram;
    struct digest_md5 *digest;
    struct scram_job *job;
    bool verified; /* the router has proved that it knows the secret, too */
    struct log_limit retry_limit;
};

static struct client *client_of(struct link_tcp *l)
{
    return MEM_CONTAINER(l, struct client, tcp);
}

static void forget_exchange(struct client *c)
{
    scram_client_destroy(c->scram);
    digest_md5_destroy(c->digest);
    c->scram = NULL;
    c->digest = NULL;
    if (c->job)
        c->job->client = NULL;
    c->job = NULL;
    c->verified = false;
}

/* --- connecting --- */

static void dial(struct client *c)
{
    struct link_tcp *l = &c->tcp;

    l->state = TCP_CONNECTING;
    c->encrypted = false;
    link_tcp_connected(l, conn_connect(l->net, &c->router, &link_tcp_conn_events, l));
}

static void send_header(struct client *c)
{
    link_tcp_write(&c->tcp, STR(TCP_STREAM_HEADER ">"));
    c->tcp.header_sent = true;
}

static void on_connection_ready(struct link_tcp *l)
{
    struct client *c = client_of(l);

    c->encrypted = l->state == TCP_TLS;
    l->state = TCP_HEADER;
    link_tcp_open_stream(l);
    send_header(c);
}

static void on_client_timeout(struct link_tcp *l)
{
    if (l->state == TCP_DOWN)
        dial(client_of(l));
    else
        link_tcp_lost(l, "no answer within 10 s");
}

static void on_client_lost(struct link_tcp *l, const char *why)
{
    struct client *c = client_of(l);
    uint32_t pause = CLIENT_RETRY_MIN_MS +
                     random_below(l->random, CLIENT_RETRY_MAX_MS - CLIENT_RETRY_MIN_MS + 1);

    forget_exchange(c);
    if (!l->base.said_up && log_limit_pass(&c->retry_limit, loop_now(l->base.loop), &l->log))
        log_warn(&l->log, "cannot reach the router at %s as %s: %s; trying again until it works",
                 l->base.peer, c->name, why);
    loop_timer_start(&l->timer, pause);
}

/* --- authentication --- */

static void start_scram(struct client *c)
{
    struct buffer out;

    c->scram = scram_client_create(str_of(c->name), str_of(c->secret), c->tcp.random);
    buffer_init(&out, CLIENT_SASL_MAX);
    if (scram_client_first(c->scram, &out))
        link_tcp_write_sasl(&c->tcp, "auth", "SCRAM-SHA-256", buffer_str(&out));
    else
        link_tcp_lost(&c->tcp, "the user or the secret has characters that SCRAM forbids");
    buffer_finish(&out);
}

static void start_digest(struct client *c)
{
    c->digest = digest_md5_client(str_of(c->name), str_of(c->secret), STR("jabberd-router"),
                                  str_of(c->router.ip), c->tcp.random);
    link_tcp_write_sasl(&c->tcp, "auth", "DIGEST-MD5", STR_NULL);
}

static bool offers(const struct stanza *features, struct str mechanism)
{
    stanza_el list = stanza_child(features, STANZA_ROOT, STR("mechanisms"), NS_SASL);

    if (list == STANZA_NONE)
        return false;
    for (stanza_el el = stanza_first(features, list); el != STANZA_NONE;
         el = stanza_next(features, el))
        if (str_eq(stanza_text(features, el), mechanism))
            return true;
    return false;
}

static void on_features(struct client *c, const struct stanza *features)
{
    struct link_tcp *l = &c->tcp;
    bool starttls = stanza_child(features, STANZA_ROOT, STR("starttls"), NS_TLS) != STANZA_NONE;

    if (l->state == TCP_AUTHED) {
        if (!c->plain &&
            stanza_child(features, STANZA_ROOT, STR("frames"), NS_FRAMES) != STANZA_NONE)
            link_tcp_write(l, STR(TCP_FRAMES));
        else
            link_tcp_up(l); /* jabberd2's router */
    } else if (c->tls && !c->encrypted) {
        if (starttls)
            link_tcp_write(l, STR("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
        else
            link_tcp_lost(l, "TLS is configured, but the router does not offer it");
    } else if (offers(features, STR("SCRAM-SHA-256"))) {
        start_scram(c);
    } else if (offers(features, STR("DIGEST-MD5"))) {
        start_digest(c);
    } else {
        link_tcp_lost(l, "the router offers neither SCRAM-SHA-256 nor DIGEST-MD5");
    }
}

static void scram_run(struct loop_work *work)
{
    struct scram_job *job = MEM_CONTAINER(work, struct scram_job, work);

    job->ok = scram_client_final(job->scram, buffer_str(&job->challenge), &job->answer);
}

static void scram_done(struct loop_work *work)
{
    struct scram_job *job = MEM_CONTAINER(work, struct scram_job, work);
    struct client *c = job->client;

    if (c) {
        link_enter(&c->tcp.base);
        c->job = NULL;
        c->scram = job->scram;
        job->scram = NULL;
        if (job->ok)
            link_tcp_write_sasl(&c->tcp, "response", NULL, buffer_str(&job->answer));
        else
            link_tcp_lost(&c->tcp, "the router's SCRAM challenge makes no sense");
        (void)link_leave(&c->tcp.base);
    }
    scram_client_destroy(job->scram);
    buffer_finish(&job->challenge);
    buffer_finish(&job->answer);
    free(job);
}

static void answer_scram(struct client *c, struct str challenge)
{
    struct scram_job *job = MEM_NEW(struct scram_job);

    job->client = c;
    job->scram = c->scram;
    c->scram = NULL;
    c->job = job;
    buffer_init(&job->challenge, CLIENT_SASL_MAX);
    buffer_init(&job->answer, CLIENT_SASL_MAX);
    (void)buffer_add_str(&job->challenge, challenge);
    job->work.run = scram_run;
    job->work.done = scram_done;
    loop_work(c->tcp.base.loop, &job->work);
}

/* RFC 2831 2.1.3: the second challenge is the server's proof; elsewhere it comes with success. */
static void answer_digest(struct client *c, struct str challenge)
{
    struct buffer out;

    if (digest_md5_verify(c->digest, challenge)) {
        c->verified = true;
        link_tcp_write_sasl(&c->tcp, "response", NULL, STR_NULL);
        return;
    }
    buffer_init(&out, CLIENT_SASL_MAX);
    if (digest_md5_answer(c->digest, challenge, &out))
        link_tcp_write_sasl(&c->tcp, "response", NULL, buffer_str(&out));
    else
        link_tcp_lost(&c->tcp, "the router's DIGEST-MD5 challenge makes no sense");
    buffer_finish(&out);
}

static void on_challenge(struct client *c, struct str data)
{
    if (c->scram)
        answer_scram(c, data);
    else if (c->digest)
        answer_digest(c, data);
    else
        link_tcp_lost(&c->tcp, "the router sent a challenge out of turn");
}

/* Authentication is mutual: a router that does not know the secret is an impostor (RFC 5802 section
 * 9). */
static void on_success(struct client *c, struct str data)
{
    struct link_tcp *l = &c->tcp;

    if (c->scram)
        c->verified = scram_client_verify(c->scram, data);
    else if (c->digest && !c->verified)
        c->verified = digest_md5_verify(c->digest, data);
    if (!c->verified) {
        link_tcp_lost(l, "the router did not prove that it knows the secret");
        return;
    }
    forget_exchange(c);
    l->state = TCP_AUTHED;
    (void)snprintf(l->user, sizeof(l->user), "%s", c->name);
    link_tcp_open_stream(l);
    send_header(c);
}

static void on_sasl(struct client *c, const struct stanza *el)
{
    struct str name = stanza_name(el, STANZA_ROOT), text = stanza_text(el, STANZA_ROOT);
    struct buffer data;

    buffer_init(&data, CLIENT_SASL_MAX);
    if (str_eq(name, STR("failure")))
        link_tcp_lost(
            &c->tcp,
            "it refused the user or the secret; compare router.user and the secret file with the "
            "router's");
    else if (text.len && !sasl_base64_decode(text, &data))
        link_tcp_lost(&c->tcp, "the router sent base64 that is none");
    else if (str_eq(name, STR("challenge")))
        on_challenge(c, buffer_str(&data));
    else if (str_eq(name, STR("success")))
        on_success(c, buffer_str(&data));
    else
        link_tcp_lost(&c->tcp, "the router sent a SASL element that is none");
    buffer_finish(&data);
}

/* --- the stream --- */

static void on_client_header(struct link_tcp *l, const struct stanza *header)
{
    if (!stanza_is(header, STANZA_ROOT, STR("stream"), NS_STREAM))
        link_tcp_lost(l, "what answers there is not a router");
    else if (l->state == TCP_HEADER)
        l->state = TCP_NEGOTIATING;
}

static void on_client_tls(struct client *c, const struct stanza *el)
{
    struct link_tcp *l = &c->tcp;

    if (!str_eq(stanza_name(el, STANZA_ROOT), STR("proceed")) || !c->tls || c->encrypted) {
        link_tcp_lost(l, "the router refused TLS");
    } else if (parser_rest(l->parser)) {
        link_tcp_lost(l, "plaintext behind <proceed/> (CVE-2011-0411)");
    } else {
        link_tcp_drop_parser(l);
        l->state = TCP_TLS;
        conn_start_tls_client(l->conn, c->tls, c->router.ip);
    }
}

static void on_client_frames(struct link_tcp *l)
{
    if (l->state != TCP_AUTHED)
        link_tcp_lost(l, "the router sent something out of turn");
    else if (link_tcp_begin_frames(l))
        link_tcp_up(l);
}

static void on_client_element(struct link_tcp *l, const struct stanza *el)
{
    struct client *c = client_of(l);
    struct str ns = stanza_ns(el, STANZA_ROOT);

    if (stanza_is(el, STANZA_ROOT, STR("features"), NS_STREAM))
        on_features(c, el);
    else if (str_eq(ns, NS_SASL) && l->state == TCP_NEGOTIATING)
        on_sasl(c, el);
    else if (str_eq(ns, NS_TLS) && l->state == TCP_NEGOTIATING)
        on_client_tls(c, el);
    else
        link_tcp_lost(l, "the router sent something out of turn");
}

static void on_client_finish(struct link_tcp *l)
{
    struct client *c = client_of(l);

    forget_exchange(c);
    mem_wipe(c->secret, sizeof(c->secret));
}

static void on_client_start(struct link_tcp *l)
{
    dial(client_of(l));
}

static const struct tcp_role client_role = {
    .start = on_client_start,
    .ready = on_connection_ready,
    .header = on_client_header,
    .element = on_client_element,
    .frames = on_client_frames,
    .timeout = on_client_timeout,
    .lost = on_client_lost,
    .finish = on_client_finish,
};

struct link *link_tcp_connect(struct loop *loop, struct net *net, struct parser_pool *pool,
                              struct random *random, struct log log,
                              const struct link_tcp_config *config)
{
    struct client *c = MEM_NEW(struct client);

    link_tcp_init(&c->tcp, &client_role, loop, net, pool, random, log);
    c->router = config->router;
    c->tls = config->tls;
    c->plain = config->plain;
    (void)snprintf(c->name, sizeof(c->name), "%.*s", STR_ARG(config->user));
    (void)snprintf(c->secret, sizeof(c->secret), "%.*s", STR_ARG(config->secret));
    (void)snprintf(c->tcp.base.peer, sizeof(c->tcp.base.peer), "%s:%u", c->router.ip,
                   (unsigned)c->router.port);
    return &c->tcp.base;
}
