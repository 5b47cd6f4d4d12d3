/* What conn.c, the TLS layer and the two drivers of net share. Included by nobody else. */
#ifndef JACKDAW_NET_NET_IMPL_H
#define JACKDAW_NET_NET_IMPL_H

#include <sys/types.h>
#include <sys/uio.h>

#include "base/list.h"
#include "net/net.h"
#include "net/outqueue.h"

struct tls_layer;

/* A transport. The driver embeds struct conn as the first member of its own. */
struct net_ops {
    void (*destroy)(struct net *n); /* conn.c has released all connections before */
    enum error (*listen)(struct net *n, const struct net_address *at, enum net_share share,
                         net_accept_fn fn, void *arg, struct net_listener **ret);
    uint16_t (*listener_port)(const struct net_listener *l);
    void (*listener_close)(struct net_listener *l); /* list_remove and free, now or later */
    /* Begins; answers with conn_impl_connected or conn_impl_end, never inside the call. What fails
     * at once goes into *ret_error; even then there is a connection, for on_close. */
    struct conn *(*connect)(struct net *n, const struct net_address *at, enum error *ret_error);
    /* Looks at conn_impl_reads and conn_impl_waits; called whenever they may have changed. */
    void (*interest)(struct conn *c);
    /* How many bytes were taken, or -errno; -EAGAIN or fewer than all: call conn_impl_writable when
     * there is room. */
    ssize_t (*send)(struct conn *c, struct iovec *pieces, int count);
    void (*shut)(struct conn *c);    /* no more output: the peer sees the end */
    void (*release)(struct conn *c); /* closes and frees, now or later, without any further call */
};

struct net {
    const struct net_ops *ops;
    struct loop *loop;
    struct log log;
    struct list conns;
    struct list listeners;
    struct chunk_pool chunks;
    char *read_buffer;  /* NET_BUFFER bytes: what came from the transport */
    char *plain_buffer; /* the same for decrypted bytes; made when first needed */
    void *tls_method;   /* the TLS layer's BIO_METHOD; made when first needed */
};

enum {
    NET_BUFFER = 65536,
    CONN_DISCARD_MAX = 1 << 20 /* what a peer may still send to a connection that is closing */
};

/* A driver embeds this as the first member of its own. */
struct net_listener {
    struct list node; /* of net->listeners */
    struct net *net;
    net_accept_fn fn;
    void *arg;
};

struct conn {
    struct list node; /* of net->conns */
    struct net *net;
    const struct conn_events *events; /* NULL from conn_close on */
    void *owner;
    struct outqueue wire;          /* bytes as they go to the transport */
    size_t max_queue, drain_below; /* 0: half of the maximum */
    struct loop_task turn;         /* at the end of the turn: write, then finish closing */
    struct loop_timer timer; /* connecting, TLS handshake, or closing: whichever is under way */
    struct tls_layer *tls;
    enum error failure; /* what conn_connect met at once; told in the next turn */
    uint32_t discarded; /* bytes read and dropped while closing */
    uint16_t paused;
    bool connected; /* the transport is */
    bool started;   /* reading may begin (conn_start, or connected) */
    bool ended;     /* the peer sends no more */
    bool broken;    /* nothing can be sent any more */
    bool reported;  /* on_close has been called */
    bool closing;   /* conn_close has been called */
    bool lingers;   /* ... with time to flush */
    bool shut;      /* ops->shut has been called */
    bool blocked;   /* the transport takes no more until conn_impl_writable */
    bool owes_drain;
    struct net_address peer;
};

/* --- conn.c for the drivers --- */
void net_impl_init(struct net *n, const struct net_ops *ops, struct loop *l, struct log log);
void net_impl_finish(struct net *n); /* closes and releases everything */
void net_impl_listener_init(struct net_listener *l, struct net *n, net_accept_fn fn, void *arg);
void conn_impl_init(struct conn *c, struct net *n, const struct net_address *peer);
void conn_impl_connected(struct conn *c);
void conn_impl_input(struct conn *c, const char *bytes, size_t len);
/* ERR_OK: the peer has ended its side. Anything else: the connection is gone. */
void conn_impl_end(struct conn *c, enum error e, const char *why);
void conn_impl_writable(struct conn *c);

/* Does this connection want input now? */
static inline bool conn_impl_reads(const struct conn *c)
{
    if (c->closing)
        return c->lingers && c->started && !c->ended && c->discarded <= CONN_DISCARD_MAX;
    return c->started && !c->ended && !c->paused && !c->reported;
}
/* Does it wait for room to write? */
static inline bool conn_impl_waits(const struct conn *c)
{
    return c->blocked && !c->broken;
}

/* --- conn.c for the TLS layer --- */
void conn_impl_defer(struct conn *c); /* look at this connection at the end of the turn */
void conn_impl_report(struct conn *c, enum error e, const char *why);

/* --- tls_layer.c --- */
void tls_layer_free(struct conn *c);
void tls_layer_begin(struct conn *c); /* the transport is connected */
void tls_layer_input(struct conn *c, const char *bytes, size_t len);
bool tls_layer_ready(const struct conn *c);       /* handshake finished */
struct outqueue *tls_layer_plain(struct conn *c); /* the queue that conn_write fills */
void tls_layer_encrypt(struct conn *c); /* plain -> c->wire, as much as c->wire should hold */
void tls_layer_resume(struct conn *c);  /* input that waited while paused */
bool tls_layer_has_input(const struct conn *c);
void tls_layer_drop(
    struct conn *c); /* closing before the handshake is finished: forget the plain queue */
void tls_layer_say_bye(struct conn *c); /* close_notify, once */
void tls_layer_net_finish(struct net *n);
/* The handshake's result for tls_peer.c; NULL before it is finished. */
struct ssl_st *tls_layer_ssl(const struct conn *c);

#endif
