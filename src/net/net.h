/* Net: byte streams behind a seam. net_uv.c uses real sockets (uv_poll, one shared read buffer per
 * loop, one write per connection and turn), net_sim.c a simulated network. TLS (tls.h) is a layer
 * of conn.c, the same over both.
 *
 * What a user must know:
 * - Callbacks come on the loop's thread, never inside a call of yours. Inside one you may call
 * anything on any connection. After conn_close the connection is not yours any more and nothing is
 * called again.
 * - on_close says that the connection is over for reading: the peer's end, an error or a time-out.
 * What you write after the peer's end is still sent; conn_close with time to linger flushes it.
 * - conn_write only queues. Of what went wrong with sending you hear by on_close, after all that
 * the peer had still sent.
 * - An accepted connection is neither read nor timed until conn_start; close it if you do not want
 * it.
 * - conn_pause takes effect at once, also for bytes already decrypted. It stops a TLS handshake
 * too.
 * - on_data, on_drain and on_close may come in LOOP_FLUSH; packets made there go out in the same
 * turn.
 * - An idle connection owns its struct (about 450 bytes with libuv's part), and with TLS 14 KB of
 * OpenSSL's.
 */
#ifndef JACKDAW_NET_NET_H
#define JACKDAW_NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "loop/loop.h"
#include "net/tls.h"

struct net;
struct net_listener;
struct conn;

struct net *net_create(struct loop *l, struct log log);
struct net *net_create_sim(struct loop *l,
                           uint64_t seed); /* all its endpoints live in one struct net */
void net_destroy(struct net *n);
/* How many sockets the system lets this process have; SIZE_MAX in simulation or without a limit. */
size_t net_capacity(const struct net *n);

/* An IP address (or unix socket path) and port as text: "127.0.0.1", "::1", "unix:/run/x.sock". */
struct net_address {
    char ip[108];
    uint16_t port;
};

/* --- listening --- */
/* The connection is paused until conn_start; the callee owns it from here. */
typedef void (*net_accept_fn)(void *arg, struct conn *conn);
/* port 0 takes any; net_listener_port tells which. Unix sockets are made with mode 0600.
 * Errors: ADDRESS_IN_USE, PERMISSION, INVALID, SYSTEM. Running out of fds pauses accepting and logs
 * once. */
enum error net_listen(struct net *n, const struct net_address *at, net_accept_fn fn, void *arg,
                      struct net_listener **ret);
/* For an IP address that the listeners of several loops share (SO_REUSEPORT): the system deals
 * connections out to them. NET_FIRST makes sure that no other process listens there; the others
 * follow with its port. */
enum net_share { NET_ALONE, NET_FIRST, NET_NEXT };
enum error net_listen_shared(struct net *n, const struct net_address *at, enum net_share share,
                             net_accept_fn fn, void *arg, struct net_listener **ret);
uint16_t net_listener_port(const struct net_listener *l);
void net_listener_close(struct net_listener *l); /* NULL is fine */

/* --- connections --- */
struct conn_events {
    /* Bytes (plaintext under TLS); valid only during the call. conn_close may be called inside. */
    void (*on_data)(void *owner, const char *bytes, size_t len);
    /* Outgoing: connected. Either side: TLS handshake finished (conn_tls tells). May be NULL. */
    void (*on_ready)(void *owner);
    /* The peer closed, or an error; comes once, never after conn_close. `why` is text for a log
     * line. After it the owner must call conn_close. */
    void (*on_close)(void *owner, enum error e, const char *why);
    /* What was queued has fallen below half of the maximum again, after conn_write said FULL or
     * conn_queued was over it; or below what conn_drain_below said. May be NULL. */
    void (*on_drain)(void *owner);
};

/* Errors come to on_close, no answer within 10 s among them; `at->ip` must be an address, never a
 * name. You may write (and start TLS) at once; it leaves when connected. */
struct conn *conn_connect(struct net *n, const struct net_address *at, const struct conn_events *ev,
                          void *owner);
/* Begins reading an accepted connection. `max_queue` bounds unsent bytes (0 = 1 MiB). */
void conn_start(struct conn *c, const struct conn_events *ev, void *owner, size_t max_queue);
/* Queues bytes; they leave at the end of the turn, together. ERR_FULL adds nothing (the owner
 * decides, often to close). */
enum error conn_write(struct conn *c, const void *bytes, size_t len);
/* Zero-copy form: room for `len` bytes in the output queue (NULL when full), then how many were
 * used. */
char *conn_reserve(struct conn *c, size_t len);
void conn_commit(struct conn *c, size_t len);
size_t conn_queued(const struct conn *c);
/* on_drain comes, once, when less than that is queued, in a later turn. */
void conn_drain_below(struct conn *c, size_t queued);
/* Another bound of unsent bytes, e.g. for one piece that is larger than the bound was. */
void conn_set_max_queue(struct conn *c, size_t max_queue);
void conn_pause(struct conn *c); /* stop reading: back-pressure; counts, so resume as often */
void conn_resume(struct conn *c);
/* Flushes what is queued for at most `linger_ms`, then closes and frees. No callback comes after
 * this call. With time to linger, what the peer still sends is dropped (up to 1 MiB) until it ends
 * its side too: closing over unread input would reset the connection and could destroy our last
 * words. With 0, one attempt to write. */
void conn_close(struct conn *c, uint32_t linger_ms); /* NULL is fine */
const struct net_address *conn_peer(const struct conn *c);

/* --- TLS on a connection --- */
/* Server side: bytes already read in the clear and not consumed close the connection (CVE-2011-0411
 * class). Ends in on_ready or on_close. A handshake is ended after 10 s without a whole hello, and
 * 60 s after our certificate went out (a person may be asked to accept it). `domain`: whose
 * certificate is shown to a client that does not say whose it wants (SNI), as its stream header
 * named it; NULL, or none of the server's: the first one's. */
void conn_start_tls_server(struct conn *c, struct tls_server *server, const char *domain);
/* Client side (router links, s2s); NULL config is not allowed. */
void conn_start_tls_client(struct conn *c, struct tls_client *config, const char *server_name);
/* NULL before the handshake is finished. Valid as long as the connection. */
const struct tls_info *conn_tls(const struct conn *c);
/* RFC 9266 tls-exporter: 32 bytes; false when not TLS 1.3 (with TLS 1.2 needs extended master
 * secret). */
bool conn_tls_exporter(struct conn *c, unsigned char out[32]);
/* RFC 5929 tls-unique: the first Finished message, at most 64 bytes; its length, or 0 where it
 * would not be safe (TLS 1.2 without extended master secret). TLS 1.3 does not define it; see
 * docs/decisions/0006-tls-unique.md. */
size_t conn_tls_unique(struct conn *c, unsigned char out[64]);

/* What the peer showed. All are false before the handshake is finished. */
bool conn_tls_peer_shown(struct conn *c);
/* Its chain leads to a trusted authority and is valid now, as server's or client's certificate (RFC
 * 6120 section 13.7.2); else `why` says what is wrong. */
bool conn_tls_peer_trusted(struct conn *c, const struct tls_trust *t, char *why, size_t why_size);
/* The certificate is for this domain: by DNS-ID (wildcard as the whole left-most label alone),
 * SRV-ID of _xmpp-server, or id-on-xmppAddr (RFC 6125, RFC 6120 section 13.7.1.2). The common name
 * counts for nothing. */
bool conn_tls_peer_is(struct conn *c, const char *domain);
/* DANE (RFC 6698, RFC 7671, RFC 7673) for one record of a validated answer: the chain matches it.
 * Usage 3 needs nothing else; usage 2 needs the name too; 0 and 1 need `t` and the name. `host` is
 * the SRV target, `domain` the XMPP domain: either may be named. */
bool conn_tls_peer_dane(struct conn *c, const struct tls_trust *t, const struct tls_tlsa *record,
                        const char *domain, const char *host);

/* --- simulation only --- */
/* Resets every connection to the listener at this address (as given to net_listen); what was under
 * way is lost. */
void net_sim_cut(struct net *n, const char *ip, uint16_t port);
/* From now on nothing gets through to or from this listener, and nobody is told; false lifts it
 * again. */
void net_sim_blackhole(struct net *n, const char *ip, uint16_t port, bool on);
/* What is under way to or from this listener takes up to so many milliseconds a piece from now on.
 */
void net_sim_slow(struct net *n, const char *ip, uint16_t port, uint32_t most_ms);
/* Until lifted with false: who closes a connection is killed, so that what it wrote and what has
 * not left yet is lost. */
void net_sim_kill(struct net *n, bool on);
/* The address from which later conn_connect calls come; 127.0.0.1 until set. */
void net_sim_set_client(struct net *n, const char *ip);

#endif
