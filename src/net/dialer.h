/* Dialer: one connection to whichever of several addresses answers first (RFC 8305, "Happy
 * Eyeballs"). The next address is tried when the one before has failed, or has not answered for a
 * moment; the first that answers wins, the others are given up. An address that this machine has no
 * route to fails at once, so a family that it does not have costs no time.
 *
 * Over conn_connect alone, so the same over real sockets and the simulated network.
 */
#ifndef JACKDAW_NET_DIALER_H
#define JACKDAW_NET_DIALER_H

#include "net/net.h"

/* RFC 2782: a host of lower priority is for when the first cannot be reached, so it waits for as
 * many delays. */
#define DIALER_HOST_FACTOR 8

struct dialer;

struct dialer_target {
    struct net_address at;
    bool same_host; /* another address of the host before it */
};

struct dialer_events {
    /* No connection to that one; what follows is another attempt, or on_done. */
    void (*on_failed)(void *owner, size_t index, const char *why);
    /* Connected: the callee owns `conn` and takes it over with conn_start in this very call. NULL:
     * nobody has answered. The dialer has gone, or goes after this call. */
    void (*on_done)(void *owner, struct conn *conn, size_t index);
};

/* `targets` are copied, at least one. Both callbacks come later, never inside this call. RFC 8305
 * section 5 recommends a delay of 250 ms. */
struct dialer *dialer_start(struct net *n, struct loop *loop, const struct dialer_target *targets,
                            size_t count, uint32_t delay_ms, const struct dialer_events *events,
                            void *owner);
/* No callback comes any more; NULL is fine. Not from inside on_done. */
void dialer_cancel(struct dialer *d);

#endif
