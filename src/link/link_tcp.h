/* Inside of a link over TCP, for link_tcp*.c alone: what the client end and the server end share -
 * the connection, the parser, the queue. The ends differ in how a stream is negotiated: that is the
 * role. */
#ifndef JACKDAW_LINK_LINK_TCP_H
#define JACKDAW_LINK_LINK_TCP_H

#include "link/link_impl.h"
#include "xmpp/stream_error.h"

#define TCP_NEGOTIATE_MS 10000 /* from the connection to `up` */
#define TCP_KEEPALIVE_MS 30000 /* a space, so that a dead peer is noticed by the kernel */
#define TCP_SECRET_MAX   255
#define TCP_USER_MAX     255
#define TCP_WHY_MAX      256
#define TCP_PACKET_MAX   (24u * 1024 * 1024) /* of one packet on the wire, both ways */

enum tcp_state {
    TCP_NEW,         /* nothing opened yet: waits for its first turn */
    TCP_DOWN,        /* no connection */
    TCP_CONNECTING,  /* client: TCP under way */
    TCP_HEADER,      /* the peer's stream header is due */
    TCP_NEGOTIATING, /* features, SASL */
    TCP_TLS,         /* handshake under way */
    TCP_AUTHED, /* authenticated: the restarted stream's header is due (client: and its features) */
    TCP_UP,
};

struct link_tcp;

struct tcp_role {
    void (*start)(struct link_tcp *l); /* from TCP_NEW, in a turn of its own */
    void (*ready)(struct link_tcp *l); /* connected, or TLS finished */
    void (*header)(struct link_tcp *l, const struct stanza *header);
    void (*element)(struct link_tcp *l, const struct stanza *el); /* before TCP_UP */
    void (*frames)(struct link_tcp *l);                           /* the peer said <frames/> */
    bool seals; /* packets that came as frames are handed over sealed (link/packet.h) */
    void (*timeout)(struct link_tcp *l);               /* the timer, in any state but TCP_UP */
    void (*lost)(struct link_tcp *l, const char *why); /* disconnected; before `down` is said */
    void (*finish)(struct link_tcp *l);                /* frees the role's own */
};

/* How packets look on the stream: as elements of the component protocol (wire.c), unless the role
 * sets another form. */
struct tcp_form {
    const char *header; /* what the stream's header says before its id; NULL: it comes no more */
    /* What shall be written for a packet; the callee owns it. NULL: nothing. May be NULL itself. */
    struct packet *(*outgoing)(struct link_tcp *l, struct packet *p);
    size_t (*size)(const struct packet *p);
    size_t (*write)(const struct packet *p, char *out);
    void (*keepalive)(struct link_tcp *l);
    void (*goodbye)(struct link_tcp *l); /* the stream ends in peace; or with an error: */
    void (*error)(struct link_tcp *l, enum stream_condition c, const char *why);
    void (*incoming)(struct link_tcp *l, struct stanza *s); /* borrowed; in TCP_UP */
};

struct external; /* link_external.c */

struct link_tcp {
    struct link base;
    const struct tcp_role *role;
    const struct tcp_form *form;
    struct external *external; /* NULL: not one */
    struct net *net;
    struct parser_pool *pool;
    struct random *random;
    struct log log;
    struct conn *conn;
    struct parser *parser;
    struct buffer partial; /* with frames: the beginning of one that has not come as a whole */
    enum tcp_state state;
    bool header_sent; /* on this stream */
    bool conn_paused;
    struct list queue; /* packets that did not fit the connection's buffer */
    size_t queue_bytes;
    struct loop_timer timer;
    struct log_limit limit;
    char user[TCP_USER_MAX + 1];
};

void link_tcp_init(struct link_tcp *l, const struct tcp_role *role, struct loop *loop,
                   struct net *net, struct parser_pool *pool, struct random *random,
                   struct log log);
/* The connection is there (start it or have it started with these events). */
extern const struct conn_events link_tcp_conn_events;
void link_tcp_connected(struct link_tcp *l, struct conn *conn);
/* A new stream on the connection: a parser that expects a header, with the limits of strangers. */
void link_tcp_open_stream(struct link_tcp *l);
void link_tcp_drop_parser(struct link_tcp *l); /* also within its events */
void link_tcp_write(struct link_tcp *l, struct str bytes);
void link_tcp_up(struct link_tcp *l);
/* Ends the connection, gives back the queue, tells the role and the owner. Harmless when there is
 * none. */
void link_tcp_lost(struct link_tcp *l, const char *why);
/* Sends the stream error first. */
void link_tcp_error(struct link_tcp *l, enum stream_condition c, const char *why);

/* A form's part for all that is XML. */
void link_tcp_xml_keepalive(struct link_tcp *l);
void link_tcp_xml_goodbye(struct link_tcp *l);
void link_tcp_xml_error(struct link_tcp *l, enum stream_condition c, const char *why);

/* link_tcp_frames.c. Begin, within the event that told of the peer's <frames/>: false when the link
 * was lost instead. Feed: what comes from then on. */
bool link_tcp_begin_frames(struct link_tcp *l);
bool link_tcp_framed(const struct link_tcp *l);
void link_tcp_feed_frames(struct link_tcp *l, const char *bytes, size_t len);
#define TCP_FRAMES "<frames xmlns='jackdaw:frames:1'/>"

/* link_external.c: from the stream header of an external component on (XEP-0114), the link is its.
 * `config` must live as long as the link. */
void link_external_begin(struct link_tcp *l, const struct link_tcp_server *config,
                         const struct stanza *header);

/* <NAME xmlns='urn:ietf:params:xml:ns:xmpp-sasl' [mechanism]>base64 of data</NAME> */
void link_tcp_write_sasl(struct link_tcp *l, const char *name, const char *mechanism,
                         struct str data);
#define TCP_STREAM_HEADER                                                                          \
    "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' "         \
    "version='1.0'"

#endif
