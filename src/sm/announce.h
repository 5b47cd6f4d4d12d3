/* Announce: messages from an administrator to the users of a domain. features/announce.c. */
#ifndef JACKDAW_SM_ANNOUNCE_H
#define JACKDAW_SM_ANNOUNCE_H

#include "sm/sm.h"

/* A message of type headline from the domain, as it goes to the users. `subject` may be NULL. */
struct stanza *announce_message(struct str domain, const char *subject, const char *body);
/* To everybody of the domain who is online, at every sm. The message stays the caller's. False when
 * too many announcements are under way. */
bool announce_online(struct sm *sm, struct jid *domain, struct stanza *message);

#endif
