/* Broadcast: one message to every session of a domain that takes messages, some hundred in a turn,
 * so that nobody else waits behind an announcement. */
#ifndef JACKDAW_SM_BROADCAST_H
#define JACKDAW_SM_BROADCAST_H

#include "sm/session.h"

#define BROADCAST_MAX 16u /* under way at a time */

struct broadcasts {
    struct list jobs;
    unsigned count;
};

void broadcasts_init(struct broadcasts *bs);
void broadcasts_finish(struct broadcasts *bs); /* what is under way stops */

/* To those who are there now; it is sent from the domain. With `motd_time` (not 0) the users count
 * as having seen the message of the day of that time. False when too many are under way. */
bool broadcast_start(struct broadcasts *bs, struct sm *sm, struct jid *domain,
                     struct stanza *message, int64_t motd_time);

#endif
