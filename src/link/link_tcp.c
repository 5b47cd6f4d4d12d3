/* TCP link: packets over a connection, in the component protocol. They go straight into the
 * connection's output buffer (one write per turn); when that is full they wait in a queue, and come
 * back to their owner when the link is lost. */
#include "link/link_tcp.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "link/wire.h"
#include "xmpp/namespaces.h"
#include "xmpp/sasl.h"

#define TCP_LINGER_MS  2000
#define TCP_CONN_QUEUE (1024u * 1024)

static const struct parser_limits stranger_limits = {.stanza_bytes = 16384,
                                                     .total_bytes = 65536,
                                                     .depth = 8,
                                                     .attributes = 16,
                                                     .namespaces = 16,
                                                     .children = 64};
/* What c2s may let in (c2s.max_stanza, ...) and an envelope around it, with room. */
static const struct parser_limits member_limits = {.stanza_bytes = TCP_PACKET_MAX,
                                                   .total_bytes = 0,
                                                   .depth = 264,
                                                   .attributes = 1100,
                                                   .namespaces = UINT32_MAX,
                                                   .children = 1000000};

static struct link_tcp *tcp_of(struct link *l)
{
    return MEM_CONTAINER(l, struct link_tcp, base);
}

/* --- sending --- */

void link_tcp_write(struct link_tcp *l, struct str bytes)
{
    /* A connection that is broken tells so itself, in on_close. */
    if (l->conn && conn_write(l->conn, bytes.data, bytes.len) == ERR_FULL)
        link_tcp_lost(l, "the peer does not read");
}

/* Small against the link's own marks, so that the connection's on_drain comes before the link may
 * say `writable`. */
static size_t conn_bound(const struct link_tcp *l)
{
    return l->base.max / 4 < TCP_CONN_QUEUE ? l->base.max / 4 : TCP_CONN_QUEUE;
}

static bool write_packet(struct link_tcp *l, const struct packet *p)
{
    size_t size = l->form->size(p);
    bool alone = size > conn_bound(l) && conn_queued(l->conn) == 0 && size <= TCP_PACKET_MAX;
    char *out;

    if (alone) /* it would never fit: the bound is raised for it alone */
        conn_set_max_queue(l->conn, size);
    out = conn_reserve(l->conn, size);
    if (out)
        conn_commit(l->conn, l->form->write(p, out));
    if (alone)
        conn_set_max_queue(l->conn, conn_bound(l));
    return out != NULL;
}

static void tcp_send(struct link *base, struct packet *p)
{
    struct link_tcp *l = tcp_of(base);

    if (l->form->outgoing && !(p = l->form->outgoing(l, p)))
        return;
    if (list_empty(&l->queue) && write_packet(l, p)) {
        packet_destroy(p);
        return;
    }
    l->queue_bytes += p->queued;
    list_push(&l->queue, &p->node);
    /* Into an empty buffer nothing that fits at all is refused. */
    if (conn_queued(l->conn) == 0)
        loop_defer(base->loop, &base->task, LOOP_PACKETS);
}

static void flush(struct link_tcp *l)
{
    while (!list_empty(&l->queue)) {
        struct packet *p = LIST_ENTRY(l->queue.next, struct packet, node);
        bool written = write_packet(l, p);
        /* No room yet; or the connection is broken and will say so: then all come back, and the
         * owner knows why. */
        if (!written && (conn_queued(l->conn) > 0 || l->form->size(p) <= TCP_PACKET_MAX))
            return;
        list_remove(&p->node);
        l->queue_bytes -= p->queued;
        if (written)
            packet_destroy(p);
        else
            link_give_back(&l->base, p); /* too large */
    }
}

static size_t tcp_queued(const struct link *base)
{
    const struct link_tcp *l = MEM_CONTAINER(base, const struct link_tcp, base);

    return l->queue_bytes + (l->conn ? conn_queued(l->conn) : 0);
}

static void tcp_pause(struct link *base, bool on)
{
    struct link_tcp *l = tcp_of(base);

    if (!l->conn || l->state != TCP_UP || l->conn_paused == on)
        return;
    l->conn_paused = on;
    if (on)
        conn_pause(l->conn);
    else
        conn_resume(l->conn);
}

/* --- the stream --- */

static void on_header(void *owner, const struct stanza *header)
{
    struct link_tcp *l = owner;

    l->role->header(l, header);
}

static void take_packet(struct link_tcp *l, struct stanza *s)
{
    const char *why;
    struct packet *p = wire_parse(s, &why);

    if (p) {
        p->born = loop_now(l->base.loop);
        link_say_packet(&l->base, p);
    } else if (log_limit_pass(&l->limit, loop_now(l->base.loop), &l->log)) {
        log_warn(&l->log, "dropped from %s: %s", l->base.peer, why);
    }
}

void link_tcp_xml_keepalive(struct link_tcp *l)
{
    link_tcp_write(l, STR(" "));
}

void link_tcp_xml_goodbye(struct link_tcp *l)
{
    link_tcp_write(l, STR("</stream:stream>"));
}

void link_tcp_xml_error(struct link_tcp *l, enum stream_condition c, const char *why)
{
    struct buffer out;

    buffer_init(&out, 4096);
    if (!l->header_sent)
        (void)buffer_printf(&out, "%s>", l->form->header);
    (void)stream_error_write(&out, c, why);
    (void)conn_write(l->conn, buffer_str(&out).data, buffer_len(&out));
    buffer_finish(&out);
}

static const struct tcp_form wire_form = {
    .header = TCP_STREAM_HEADER,
    .size = wire_size,
    .write = wire_write,
    .keepalive = link_tcp_xml_keepalive,
    .goodbye = link_tcp_xml_goodbye,
    .error = link_tcp_xml_error,
    .incoming = take_packet,
};

static void on_stanza(void *owner, struct stanza *s)
{
    struct link_tcp *l = owner;

    if (stanza_is(s, STANZA_ROOT, STR("error"), NS_STREAM)) {
        stanza_el condition = stanza_first(s, STANZA_ROOT);
        char why[160];
        (void)snprintf(why, sizeof(why), "stream error %.*s",
                       STR_ARG(condition == STANZA_NONE ? STR("without a condition")
                                                        : stanza_name(s, condition)));
        link_tcp_lost(l, why);
    } else if (stanza_is(s, STANZA_ROOT, STR("frames"), NS_FRAMES) && l->state >= TCP_AUTHED &&
               l->form == &wire_form) {
        l->role->frames(l);
    } else if (l->state == TCP_UP) {
        l->form->incoming(l, s);
    } else {
        l->role->element(l, s);
    }
    stanza_unref(s);
}

static void on_stream_close(void *owner)
{
    struct link_tcp *l = owner;

    if (l->header_sent) /* RFC 6120 section 4.4: answered in kind */
        link_tcp_xml_goodbye(l);
    l->base.ended = true;
    link_tcp_lost(l, "the peer closed the stream");
}

static const struct parser_events parser_events = {
    .stream_open = on_header,
    .stanza = on_stanza,
    .stream_close = on_stream_close,
};

void link_tcp_open_stream(struct link_tcp *l)
{
    l->header_sent = false;
    if (l->parser)
        parser_restart(l->parser);
    else
        l->parser = parser_create(l->pool, &stranger_limits, &parser_events, l);
}

void link_tcp_up(struct link_tcp *l)
{
    if (l->parser)
        parser_set_limits(l->parser, &member_limits);
    l->state = TCP_UP;
    l->base.up = true;
    loop_timer_start(&l->timer, TCP_KEEPALIVE_MS);
    if (l->base.paused)
        tcp_pause(&l->base, true);
    link_say_up(&l->base);
}

void link_tcp_drop_parser(struct link_tcp *l)
{
    if (l->parser) {
        parser_stop(l->parser);
        parser_destroy(l->parser);
    }
    l->parser = NULL;
}

static void disconnect(struct link_tcp *l)
{
    loop_timer_stop(&l->timer);
    link_tcp_drop_parser(l);
    if (link_tcp_framed(l))
        l->form = &wire_form; /* the next stream begins as XML */
    buffer_finish(&l->partial);
    conn_close(l->conn, TCP_LINGER_MS);
    l->conn = NULL;
    l->conn_paused = false;
    l->state = TCP_DOWN;
}

void link_tcp_lost(struct link_tcp *l, const char *why)
{
    char reason[TCP_WHY_MAX];

    if (l->state == TCP_DOWN)
        return;
    (void)snprintf(reason, sizeof(reason), "%s", why); /* it may live in what is freed now */
    disconnect(l);
    l->base.up = false;
    l->queue_bytes = 0;
    link_give_back_all(&l->base, &l->queue);
    l->role->lost(l, reason);
    link_say_down(&l->base, reason);
}

void link_tcp_error(struct link_tcp *l, enum stream_condition c, const char *why)
{
    if (l->state == TCP_DOWN)
        return;
    l->form->error(l, c, why);
    link_tcp_lost(l, why);
}

/* --- the connection --- */

static void on_data(void *owner, const char *bytes, size_t len)
{
    struct link_tcp *l = owner;
    struct conn *conn = l->conn;
    enum parser_status status;

    link_enter(&l->base);
    if (link_tcp_framed(l))
        link_tcp_feed_frames(l, bytes, len);
    status = l->parser ? parser_feed(l->parser, bytes, len) : PARSER_OK;
    if (l->conn == conn && l->parser && status != PARSER_OK && status != PARSER_STOPPED)
        link_tcp_error(l, stream_error_from_parser(status), parser_why(l->parser));
    (void)link_leave(&l->base);
}

static void on_ready(void *owner)
{
    struct link_tcp *l = owner;

    link_enter(&l->base);
    l->role->ready(l);
    (void)link_leave(&l->base);
}

static void on_close(void *owner, enum error e, const char *why)
{
    struct link_tcp *l = owner;

    link_enter(&l->base);
    link_tcp_lost(l, why ? why : error_text(e));
    (void)link_leave(&l->base);
}

static void on_drain(void *owner)
{
    struct link_tcp *l = owner;

    link_enter(&l->base);
    if (l->state == TCP_UP)
        flush(l);
    link_check_writable(&l->base);
    (void)link_leave(&l->base);
}

const struct conn_events link_tcp_conn_events = {
    .on_data = on_data,
    .on_ready = on_ready,
    .on_close = on_close,
    .on_drain = on_drain,
};

void link_tcp_connected(struct link_tcp *l, struct conn *conn)
{
    l->conn = conn;
    conn_set_max_queue(conn, conn_bound(l));
    loop_timer_start(&l->timer, TCP_NEGOTIATE_MS);
}

static void on_timer(struct loop_timer *timer)
{
    struct link_tcp *l = MEM_CONTAINER(timer, struct link_tcp, timer);

    link_enter(&l->base);
    if (l->state == TCP_UP) {
        if (conn_queued(l->conn) == 0)
            l->form->keepalive(l);
        if (l->state == TCP_UP)
            loop_timer_start(timer, TCP_KEEPALIVE_MS);
    } else {
        l->role->timeout(l);
    }
    (void)link_leave(&l->base);
}

/* --- the link --- */

static void tcp_run(struct link *base)
{
    struct link_tcp *l = tcp_of(base);

    if (l->state == TCP_NEW)
        l->role->start(l);
    if (l->state == TCP_UP)
        flush(l);
    link_check_writable(base);
}

static void tcp_close(struct link *base)
{
    struct link_tcp *l = tcp_of(base);
    struct list *node;

    if (l->state == TCP_UP) {
        flush(l);
        l->form->goodbye(l);
    }
    disconnect(l);
    while ((node = list_pop(&l->queue)) != NULL)
        packet_destroy(LIST_ENTRY(node, struct packet, node));
}

static void tcp_free(struct link *base)
{
    struct link_tcp *l = tcp_of(base);

    l->role->finish(l);
    free(l);
}

static struct str tcp_user(const struct link *base)
{
    return str_of(MEM_CONTAINER(base, const struct link_tcp, base)->user);
}

static void tcp_end(struct link *base, enum stream_condition condition, const char *why)
{
    link_tcp_error(tcp_of(base), condition, why);
}

static bool tcp_seals(const struct link *base)
{
    const struct link_tcp *l = MEM_CONTAINER(base, const struct link_tcp, base);

    return link_tcp_framed(l);
}

static bool tcp_external(const struct link *base)
{
    return MEM_CONTAINER(base, const struct link_tcp, base)->external != NULL;
}

static const struct link_ops tcp_ops = {
    .send = tcp_send,
    .queued = tcp_queued,
    .pause = tcp_pause,
    .run = tcp_run,
    .close = tcp_close,
    .free = tcp_free,
    .user = tcp_user,
    .end = tcp_end,
    .external = tcp_external,
    .seals = tcp_seals,
};

void link_tcp_init(struct link_tcp *l, const struct tcp_role *role, struct loop *loop,
                   struct net *net, struct parser_pool *pool, struct random *random, struct log log)
{
    link_init(&l->base, &tcp_ops, loop);
    l->role = role;
    l->form = &wire_form;
    l->net = net;
    l->pool = pool;
    l->random = random;
    l->log = log;
    list_init(&l->queue);
    buffer_init(&l->partial, TCP_PACKET_MAX);
    loop_timer_init(&l->timer, loop, on_timer);
}

void link_tcp_write_sasl(struct link_tcp *l, const char *name, const char *mechanism,
                         struct str data)
{
    struct buffer out;

    buffer_init(&out, 16384);
    (void)buffer_printf(&out, "<%s xmlns='urn:ietf:params:xml:ns:xmpp-sasl'", name);
    if (mechanism)
        (void)buffer_printf(&out, " mechanism='%s'", mechanism);
    (void)buffer_add_char(&out, '>');
    if (data.len)
        (void)sasl_base64_encode(data, &out);
    (void)buffer_printf(&out, "</%s>", name);
    link_tcp_write(l, buffer_str(&out));
    buffer_finish(&out);
}
