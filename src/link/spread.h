/* Spread: which of several components that share a name gets what is for a key (a bare JID).
 * Rendezvous hashing: the same answer for the same set of nodes wherever it is asked - in the
 * router, and in a c2s that wants to know whether a session is still where its user's packets go. A
 * node that comes or goes moves only its own share. */
#ifndef JACKDAW_LINK_SPREAD_H
#define JACKDAW_LINK_SPREAD_H

#include <stdint.h>
#include "base/str.h"

/* A node is known by its own name on the router, e.g. "sm-2". */
uint64_t spread_node(struct str own_name);
uint64_t spread_key(struct str key);
/* The node with the greatest weight gets the key; on equal weights (never, in practice) the one
 * with the smaller hash. */
uint64_t spread_weight(uint64_t key, uint64_t node);
/* The winner among names separated by spaces; data == NULL when there are none. */
struct str spread_pick(struct str names, struct str key);

#endif
