/* TCP link, frames: what a stream between two processes of ours goes over to, once both have said
 * that they know them (docs/decisions/0076-frames.md). The router offers them in the features of
 * the authenticated stream, the component asks with <frames/>, the router says the same and from
 * there on no XML comes. Whole frames are read where they lie in the loop's read buffer; only the
 * end of a piece is kept. */
#include "link/link_tcp.h"

#include <stdio.h>

#include "link/frame.h"
#include "xmpp/namespaces.h"

#define PARTIAL_KEPT (64u * 1024) /* memory that an idle link may keep */

static void write_frame(struct link_tcp *l, struct str condition, struct str text)
{
    char *out = conn_reserve(l->conn, frame_goodbye_size(condition, text));

    if (out)
        conn_commit(l->conn, frame_write_goodbye(condition, text, out));
}

static void frames_keepalive(struct link_tcp *l)
{
    link_tcp_write(l, (struct str){"\0\0\0", FRAME_PREFIX});
}

static void frames_goodbye(struct link_tcp *l)
{
    write_frame(l, STR_NULL, STR_NULL);
}

static void frames_error(struct link_tcp *l, enum stream_condition c, const char *why)
{
    write_frame(l, stream_error_element(c), str_of(why));
}

static const struct tcp_form frames_form = {
    .size = frame_size,
    .write = frame_write,
    .keepalive = frames_keepalive,
    .goodbye = frames_goodbye,
    .error = frames_error,
};

bool link_tcp_framed(const struct link_tcp *l)
{
    return l->form == &frames_form;
}

/* Within an event of the parser. What lies behind the element was sent too early. */
bool link_tcp_begin_frames(struct link_tcp *l)
{
    if (parser_rest(l->parser)) {
        link_tcp_error(l, STREAM_ERR_POLICY_VIOLATION, "something behind <frames/>");
        return false;
    }
    link_tcp_drop_parser(l);
    l->form = &frames_form;
    return true;
}

/* --- reading --- */

static void on_goodbye(struct link_tcp *l, struct str frame)
{
    struct str condition, text;
    char why[TCP_WHY_MAX];

    if (!frame_read_goodbye(frame, &condition, &text))
        condition = text = STR("malformed");
    l->base.ended = !condition.len;
    if (condition.len)
        (void)snprintf(why, sizeof(why), "stream error %.*s: %.*s", STR_ARG(condition),
                       STR_ARG(text));
    else
        (void)snprintf(why, sizeof(why), "the peer closed the stream");
    link_tcp_lost(l, why);
}

/* The router's end hands it over sealed; it alone is told apart by `seals`. What is wrong inside is
 * found by whoever opens it, and harms nobody else's packets. */
static void on_frame(struct link_tcp *l, struct str frame)
{
    const char *why;
    struct packet *p;

    if (frame.len == FRAME_PREFIX)
        return;
    if (frame_is_goodbye(frame)) {
        on_goodbye(l, frame);
        return;
    }
    p = frame_read(frame, l->pool, &why);
    if (!p) {
        link_tcp_error(l, STREAM_ERR_BAD_FORMAT, why);
        return;
    }
    if (!l->role->seals && !frame_open(p, l->pool)) {
        if (log_limit_pass(&l->limit, loop_now(l->base.loop), &l->log))
            log_warn(&l->log, "dropped from %.*s: a malformed address or stanza",
                     STR_ARG(p->route_from));
        packet_destroy(p);
        return;
    }
    p->born = loop_now(l->base.loop);
    link_say_packet(&l->base, p);
}

/* How much of the frame that begins there is still missing, as far as can be told; false when it
 * is too long for any packet. */
static bool missing(const char *bytes, size_t len, size_t *ret)
{
    size_t whole = len < FRAME_PREFIX ? FRAME_PREFIX : frame_length(bytes);

    *ret = whole > len ? whole - len : 0;
    return whole <= TCP_PACKET_MAX;
}

/* Adds to the frame under way; returns the bytes used. */
static size_t add_partial(struct link_tcp *l, const char *bytes, size_t len)
{
    struct buffer *b = &l->partial;
    size_t lacks;

    (void)missing(buffer_str(b).data, buffer_len(b), &lacks);
    if (lacks > len)
        lacks = len;
    (void)buffer_add(b, bytes, lacks);
    len = lacks;
    if (!missing(buffer_str(b).data, buffer_len(b), &lacks)) {
        link_tcp_error(l, STREAM_ERR_POLICY_VIOLATION, "frame too large");
    } else if (!lacks) {
        on_frame(l, buffer_str(b)); /* may end the link and with it this buffer */
        buffer_clear(b);
        if (b->cap > PARTIAL_KEPT)
            buffer_shrink(b);
    }
    return len;
}

void link_tcp_feed_frames(struct link_tcp *l, const char *bytes, size_t len)
{
    const struct conn *conn = l->conn;

    while (len > 0 && l->conn == conn) {
        size_t used, lacks = 0;
        if (buffer_len(&l->partial) || !missing(bytes, len, &lacks) || lacks) {
            used = add_partial(l, bytes, len);
        } else {
            used = frame_length(bytes);
            on_frame(l, (struct str){bytes, used});
        }
        bytes += used;
        len -= used;
    }
}
