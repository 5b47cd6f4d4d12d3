/* Announce: tells the local network which services are here, by DNS-SD (RFC 6763) over Avahi. In a
 * thread of its own, because Avahi is reached by D-Bus, whose calls may block. Without Avahi, or
 * when it comes back, it tries again every few seconds. */
#ifndef JACKDAW_NET_ANNOUNCE_H
#define JACKDAW_NET_ANNOUNCE_H

#include <stddef.h>
#include <stdint.h>
#include "base/log.h"

#define ANNOUNCE_MAX 64 /* services */

struct announcement {
    char name[64];    /* for people: a label of DNS, so at most 63 bytes; taken ones get a number */
    const char *type; /* "_xmpp-client._tcp"; static */
    uint16_t port;
};

struct announce;

/* NULL when no thread can be had (said in the log). The log's strings must last until the end. */
struct announce *announce_create(struct log log);
/* These, and no others, from now on. Copied; more than ANNOUNCE_MAX are left out. */
void announce_set(struct announce *a, const struct announcement *list, size_t count);
/* Takes everything back, without waiting for it. NULL is fine. */
void announce_destroy(struct announce *a);

#endif
