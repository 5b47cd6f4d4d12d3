/* External components (XEP-0114): a foreign program's stream of jabber:component:accept, presented
 * to the router as one more link. After the handshake it binds its name as a component would; from
 * then on stanzas are wrapped into packets and taken out of them. What a component must not do is
 * refused here, so the router need not know that it is one.
 *
 * Several instances may share a name: it is bound as multi='to', so that a room or a gateway's user
 * stays with one of them. */
#include <stdlib.h>

#include "base/mem.h"
#include "link/link_tcp.h"
#include "xmpp/handshake.h"
#include "xmpp/namespaces.h"
#include "xmpp/stanza_error.h"

#define EXTERNAL_ID 26 /* characters of a stream id: 134 bits */

/* Before the handshake the limits of strangers hold (link_tcp.c). */
static const struct parser_limits external_limits = {
    .depth = 128, .attributes = 256, .namespaces = 256, .children = 100000};

struct external {
    struct link_tcp *l;
    const struct link_tcp_server *config;
    struct loop_task refuse;
    bool bound; /* the router has answered */
    char id[EXTERNAL_ID];
};

static struct str name_of(const struct link_tcp *l)
{
    return str_of(l->user);
}

/* --- to the component --- */

static void write_stanza(struct link_tcp *l, const struct stanza *s)
{
    struct stanza_stamp as_it_is = {0};
    struct buffer out;

    buffer_init(&out, stanza_write_size(s, &as_it_is));
    (void)stanza_write(s, &as_it_is, &out);
    link_tcp_write(l, buffer_str(&out));
    buffer_finish(&out);
}

static void on_refuse(struct loop_task *task)
{
    struct external *x = MEM_CONTAINER(task, struct external, refuse);
    struct link_tcp *l = x->l;

    link_enter(&l->base);
    link_tcp_error(l, STREAM_ERR_CONFLICT, "another component has this name");
    (void)link_leave(&l->base);
}

static void on_bind_answer(struct link_tcp *l, int error)
{
    struct external *x = l->external;

    if (error) { /* not here: nothing happens to a link inside of link_send */
        loop_defer(l->base.loop, &x->refuse, LOOP_PACKETS);
        return;
    }
    x->bound = true;
    link_tcp_write(l, STR("<handshake/>"));
}

/* What it sent came back: told as a stanza error. The packet keeps its error, so that it goes
 * nowhere else when the link is lost first. */
static bool turn_around(struct packet *p)
{
    struct str from = p->to ? jid_full(p->to) : STR_NULL,
               to = p->from ? jid_full(p->from) : STR_NULL;
    struct stanza *reply =
        stanza_error_reply(p->stanza, from, to, stanza_error_from_route(p->error), NULL);

    if (!reply)
        return false;
    stanza_unref(p->stanza);
    stanza_unref(p->delay);
    jid_unref(p->from);
    jid_unref(p->to);
    p->stanza = reply;
    p->delay = NULL;
    p->from = p->to = NULL;
    p->queued = packet_size(p);
    return true;
}

static struct packet *outgoing(struct link_tcp *l, struct packet *p)
{
    if (p->kind == PACKET_STANZA && p->stanza &&
        str_eq(stanza_ns(p->stanza, STANZA_ROOT), NS_CLIENT)) {
        /* Written without its namespace it takes the stream's (RFC 6120 section 4.8.3). */
        if (!p->error || turn_around(p)) {
            ledger_note(&l->external->config->pen, p->error ? LEDGER_BOUNCED : LEDGER_SENT,
                        p->trace, name_of(l), STR_NULL);
            return p;
        }
    } else if (p->kind == PACKET_BIND) {
        on_bind_answer(l, p->error);
    } else if (p->kind == PACKET_STANZA || p->kind == PACKET_SESSION) {
        link_give_back(&l->base, p); /* of a protocol it does not speak */
        return NULL;
    }
    packet_destroy(p); /* names, throttles and copies are not for it */
    return NULL;
}

/* --- from the component --- */

static void refuse_stanza(struct link_tcp *l, const struct stanza *s, enum stanza_condition c,
                          const char *why)
{
    struct stanza *reply =
        stanza_error_reply(s, STR_NULL, stanza_attr(s, STANZA_ROOT, STR("from")), c, why);

    if (reply)
        write_stanza(l, reply);
    stanza_unref(reply);
}

/* Section 3: any user at its own name. Left out, it is the component itself. */
static struct jid *sender(const struct link_tcp *l, const struct stanza *s)
{
    struct str from = stanza_attr(s, STANZA_ROOT, STR("from"));
    struct jid *jid = jid_parse(from.len ? from : name_of(l));

    if (!jid || str_eq(jid_domain(jid), name_of(l)))
        return jid;
    jid_unref(jid);
    return NULL;
}

static void forward(struct link_tcp *l, struct stanza *s)
{
    struct str text = stanza_attr(s, STANZA_ROOT, STR("to"));
    struct jid *from = sender(l, s), *to = text.len ? jid_parse(text) : NULL;
    struct packet *p;

    if (!from || !to) {
        jid_unref(from);
        jid_unref(to);
        if (!from)
            link_tcp_error(l, STREAM_ERR_INVALID_FROM, "`from` is not of this component's domain");
        else if (text.len)
            refuse_stanza(l, s, STANZA_ERR_JID_MALFORMED, NULL);
        else
            refuse_stanza(l, s, STANZA_ERR_BAD_REQUEST, "a component's stanzas need a `to`");
        return;
    }
    p = packet_create(PACKET_STANZA, jid_domain(to), name_of(l));
    p->stanza = stanza_ref(s);
    p->from = from;
    p->to = to;
    p->born = loop_now(l->base.loop);
    ledger_enter(&l->external->config->pen, p);
    link_say_packet(&l->base, p);
}

static bool is_stanza(const struct stanza *s)
{
    struct str name = stanza_name(s, STANZA_ROOT), ns = stanza_ns(s, STANZA_ROOT);

    return (str_is(name, "message") || str_is(name, "presence") || str_is(name, "iq")) &&
           (str_eq(ns, NS_COMPONENT_ACCEPT) || str_eq(ns, NS_CLIENT));
}

static void incoming(struct link_tcp *l, struct stanza *s)
{
    struct stanza *as_client;

    if (!l->external->bound)
        return; /* its name was refused: the stream ends in a moment */
    if (!is_stanza(s)) {
        link_tcp_error(l, STREAM_ERR_UNSUPPORTED_STANZA_TYPE,
                       "only message, presence and iq may follow the handshake");
        return;
    }
    as_client = stanza_with_ns(s, NS_CLIENT);
    forward(l, as_client);
    stanza_unref(as_client);
}

static const struct tcp_form external_form = {
    .header = "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' "
              "xmlns:stream='http://etherx.jabber.org/streams'",
    .outgoing = outgoing,
    .size = packet_write_size,
    .write = packet_write_to,
    .keepalive = link_tcp_xml_keepalive,
    .goodbye = link_tcp_xml_goodbye,
    .error = link_tcp_xml_error,
    .incoming = incoming,
};

/* --- the handshake --- */

static void log_stranger(struct link_tcp *l, const char *what, struct str name)
{
    const struct link_tcp_server *config = l->external->config;
    struct log_limit *limit = config->limit ? config->limit : &l->limit;

    if (log_limit_pass(limit, loop_now(l->base.loop), &l->log))
        log_warn(&l->log, "%s wants to be the component \"%.*s\": %s", l->base.peer, STR_ARG(name),
                 what);
}

static void attach(struct link_tcp *l)
{
    struct external *x = l->external;
    struct parser_limits limits = external_limits;

    limits.stanza_bytes = x->config->external_max_stanza;
    link_tcp_up(l);
    if (l->state != TCP_UP)
        return;
    parser_set_limits(l->parser, &limits);
    link_say_packet(&l->base, packet_create_control(PACKET_BIND, name_of(l), PACKET_BIND_MULTI));
}

static void on_element(struct link_tcp *l, const struct stanza *el)
{
    struct external *x = l->external;
    struct str id = {x->id, sizeof(x->id)};
    const char *secret;

    if (!stanza_is(el, STANZA_ROOT, STR("handshake"), NS_COMPONENT_ACCEPT)) {
        link_tcp_error(l, STREAM_ERR_NOT_AUTHORIZED, "the handshake comes first");
        return;
    }
    /* Asked for at the last moment: a reload may have changed it. */
    secret = x->config->external_secret_of(x->config->arg, name_of(l));
    if (secret && handshake_check(id, str_of(secret), stanza_text(el, STANZA_ROOT))) {
        attach(l);
        return;
    }
    log_stranger(l, "wrong handshake; compare its secret with router.components", name_of(l));
    link_tcp_error(l, STREAM_ERR_NOT_AUTHORIZED, "wrong handshake");
}

static void on_timeout(struct link_tcp *l)
{
    link_tcp_error(l, STREAM_ERR_CONNECTION_TIMEOUT, "no handshake within 10 s");
}

static void on_lost(struct link_tcp *l, const char *why)
{
    loop_task_cancel(&l->external->refuse);
    l->base.said_up = true; /* the owner hears of it even when it never was up */
}

static void on_finish(struct link_tcp *l)
{
    loop_task_cancel(&l->external->refuse);
    free(l->external);
    l->external = NULL;
}

static const struct tcp_role external_role = {
    .element = on_element,
    .timeout = on_timeout,
    .lost = on_lost,
    .finish = on_finish,
};

/* The name it wants, prepared, into l->user; a stream error when there is none such. */
static bool take_name(struct link_tcp *l, const struct stanza *header)
{
    struct str to = stanza_attr(header, STANZA_ROOT, STR("to"));
    char prepared[1024];
    size_t len;

    if (!to.len || !jid_prepare_domain(to, prepared, &len) || len > TCP_USER_MAX) {
        link_tcp_error(l, STREAM_ERR_IMPROPER_ADDRESSING,
                       "`to` must be the component's domain name");
        return false;
    }
    if (!l->external->config->external_secret_of(l->external->config->arg,
                                                 (struct str){prepared, len})) {
        log_stranger(l, "there is none such in router.components", (struct str){prepared, len});
        link_tcp_error(l, STREAM_ERR_HOST_UNKNOWN, "no component has this name here");
        return false;
    }
    memcpy(l->user, prepared, len);
    l->user[len] = '\0';
    return true;
}

void link_external_begin(struct link_tcp *l, const struct link_tcp_server *config,
                         const struct stanza *header)
{
    struct external *x = MEM_NEW(struct external);
    struct buffer out;

    x->l = l;
    x->config = config;
    loop_task_init(&x->refuse, on_refuse);
    random_token(l->random, x->id, sizeof(x->id));
    l->external = x;
    l->role = &external_role;
    l->form = &external_form;
    if (!take_name(l, header))
        return;
    buffer_init(&out, 2048);
    (void)buffer_printf(&out, "%s from='%s' id='%.*s'>", external_form.header, l->user,
                        (int)sizeof(x->id), x->id);
    l->header_sent = true;
    l->state = TCP_NEGOTIATING;
    link_tcp_write(l, buffer_str(&out));
    buffer_finish(&out);
}
