/* Address: what is remembered about where clients come from - connections, failed logins,
 * registrations - by prefix: one IPv4 address, or the /64 of an IPv6 address, since whoever has one
 * address there has them all. Never by account: guessing must not lock anybody out (XEP-0205;
 * reliability.md B 22). Bounded: forgotten when nothing bad is known, the oldest first when there
 * are too many. The c2s instances of one process have one book together, each its own handle to it:
 * a limit per address holds over all of them.
 */
#ifndef JACKDAW_C2S_ADDRESS_H
#define JACKDAW_C2S_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/hash.h"
#include "base/list.h"
#include "base/shared.h"
#include "loop/loop.h"

struct addresses;

/* What is not said to be constant belongs to address.c. */
struct address {
    struct list node; /* of those without a connection, oldest first; else empty */
    uint32_t refs;
    uint32_t connections;
    uint32_t failures;      /* failed logins, forgiven one by one as time passes */
    uint32_t registered;    /* accounts in the hour that began at registered_at */
    uint64_t failed_at;     /* loop_now of the last forgiveness or failure */
    uint64_t registered_at; /* loop_now */
    bool loopback;          /* constant, as the two below */
    uint8_t key_len;
    char key[46];
};

/* `shared` may be NULL: a book for this one alone. */
struct addresses *addresses_create(struct loop *l, const uint64_t seed[2], struct shared *shared);
void addresses_destroy(struct addresses *a); /* NULL is fine; every reference must be gone */

/* The entry for an IP address or "unix:PATH" (counts as loopback); release it with address_unref.
 */
struct address *address_get(struct addresses *a, const char *ip);
struct address *address_ref(struct addresses *a, struct address *e);
void address_unref(struct addresses *a, struct address *e); /* NULL is fine */

/* Counts a connection from there; false when there are `max` already (0: unlimited). */
bool address_connect(struct addresses *a, struct address *e, int64_t max);
void address_disconnect(struct addresses *a, struct address *e);
size_t addresses_connections(struct addresses *a); /* from everywhere, on all loops */

/* Counts a failed login; returns how many milliseconds the answer must wait. Grows with each
 * failure that the prefix has made lately, up to 10 s. */
uint32_t address_login_failed(struct addresses *a, struct address *e);
/* How long a login may not even begin: 0 but for prefixes with very many failures, which could
 * otherwise give up before the delayed answer and go on with the next guess. */
uint32_t address_login_wait(struct addresses *a, struct address *e);
/* Takes one registration out of the hour's `rate` (0: unlimited); false when they are used up. */
bool address_may_register(struct addresses *a, struct address *e, int64_t rate);
void address_register_failed(struct addresses *a, struct address *e); /* gives it back */

/* The prefix of an address as text: "192.0.2.7", "2001:db8:0:1::/64", "unix". Returns its length.
 */
size_t address_prefix(const char *ip, char out[46], bool *ret_loopback);

#endif
