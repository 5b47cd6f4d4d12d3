/* Link: how packets travel between a component and the router. An ordered, bounded, two-way
 * channel; both ends look the same. link_local.c joins two ends on one loop, link_thread.c two on
 * different loops of one process, link_tcp.c is one end over TCP (the component protocol). Every
 * link delivers later, never inside link_send.
 */
#ifndef JACKDAW_LINK_LINK_H
#define JACKDAW_LINK_LINK_H

#include "base/error.h"
#include "link/ledger.h"
#include "link/packet.h"
#include "xmpp/stream_error.h"
#include "loop/loop.h"
#include "net/net.h"
#include "xml/parser.h"

struct link;

struct link_events {
    void (*packet)(void *owner, struct packet *p); /* the callee owns it */
    void (*up)(void *owner);                       /* may carry packets now */
    /* Gone. A client end over TCP reconnects by itself, for ever, with jitter (at most 1 s), and
     * then says `up` again. Stanzas and session actions that link_send took but that did not leave
     * come back: see undelivered. */
    void (*down)(void *owner, const char *why);
    void (*writable)(void *owner); /* below the low mark again after link_full */
    /* A stanza or session action that this end could not deliver: the link is down or its queue at
     * its maximum. Those of a lost link come before its `down`. The callee owns it. NULL: it comes
     * to `packet` turned around, with error 503. Control packets do not come back. */
    void (*undelivered)(void *owner, struct packet *p);
};

/* Moves the packet. Never fails at once: check link_full before reading more input to turn into
 * packets. */
void link_send(struct link *l, struct packet *p);
bool link_full(
    struct link *l); /* over its high mark: stop reading your own clients; `writable` will come */
bool link_is_up(const struct link *l);
size_t link_queued(const struct link *l);
void link_close(struct link *l); /* flushes, closes, frees; no callbacks after it. NULL is fine */
/* Ends the stream of the other side with this error, and then `down` is said, in this call. Only an
 * external component understands it: see link_is_external. */
void link_end(struct link *l, enum stream_condition condition, const char *why);
bool link_is_external(const struct link *l);
/* It takes packets sealed (link/packet.h); for any other they must be opened before. */
bool link_takes_sealed(const struct link *l);
/* In `down`: the other side went as it should; else it died, or what is between. */
bool link_is_ended(const struct link *l);
const char *link_peer(const struct link *l); /* for log lines: "local c2s", "127.0.0.1:5347" */
/* Back-pressure on the other side: no `packet` events (but those of bytes already read) until
 * resumed; counts. */
void link_pause(struct link *l);
void link_resume(struct link *l);
/* Bytes that may be queued (32 MiB unless told); link_full is true above a quarter of it. */
void link_set_max(struct link *l, size_t bytes);

/* Two ends on one loop. Each side sets its events, then both come `up` in a later turn. */
void link_local_pair(struct loop *l, const char *name, struct link **ret_a, struct link **ret_b);
void link_set_events(struct link *l, const struct link_events *ev, void *owner);
/* Two ends on two loops, which may run on threads of their own; otherwise as a local pair. Each end
 * is used on its own loop's thread alone. The names are those of the two sides, for link_peer. */
void link_thread_pair(struct loop *loop_a, struct loop *loop_b, const char *name_a,
                      const char *name_b, struct link **ret_a, struct link **ret_b);

/* The client end over TCP: connects, authenticates (SCRAM-SHA-256; DIGEST-MD5 where the router
 * offers only that), and stays connected. tls may be NULL. Strings are copied. */
struct link_tcp_config {
    struct net_address router;
    struct str user, secret;
    struct tls_client *tls;
    bool plain; /* XML, as to jabberd2's router, although ours offers frames */
};
struct link *link_tcp_connect(struct loop *l, struct net *n, struct parser_pool *pool,
                              struct random *random, struct log log,
                              const struct link_tcp_config *config);

/* The router's end of an accepted connection. `secret_of` is asked during authentication (NULL:
 * unknown user); after `up`, link_user tells who authenticated. Set the events before the next
 * turn. */
struct link_tcp_server {
    const char *(*secret_of)(void *arg, struct str user);
    void *arg;
    struct tls_server *tls; /* NULL: STARTTLS not offered */
    /* External components (XEP-0114) come on the same port: their secret by the name they want,
     * NULL when there is none such. Such a link binds its name by itself, which is its link_user
     * too, and looks like any other from then on. NULL: none may come. */
    const char *(*external_secret_of)(void *arg, struct str name);
    size_t external_max_stanza;
    struct ledger_pen pen;   /* their messages come in here */
    struct log_limit *limit; /* for what strangers can cause; NULL: one of each link's own */
};
struct link *link_tcp_accept(struct loop *l, struct net *n, struct parser_pool *pool,
                             struct random *random, struct log log, struct conn *conn,
                             const struct link_tcp_server *config);
struct str link_user(const struct link *l); /* data == NULL for a local link */

#endif
