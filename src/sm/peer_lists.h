/* Peer lists: whom the server lets speak with its users (XEP-0133 sections 4.11 and 4.12). Entities
 * of other servers alone: what we serve ourselves is never refused. */
#ifndef JACKDAW_SM_PEER_LISTS_H
#define JACKDAW_SM_PEER_LISTS_H

#include "sm/sm.h"

/* features/peer_lists.c; some list has an entry. */
bool peer_lists_forbid(const struct sm *sm, const struct jid *jid);
/* The question of every stanza: nothing more than a look where there are no lists. */
static inline bool peer_lists_refuse(const struct sm *sm, const struct jid *jid)
{
    return sm->peers_listed && jid && peer_lists_forbid(sm, jid);
}

#endif
