/* Announcing: messages of administrators to everybody of a domain, now (features/announcements.c)
 * or at the next login, too (features/motd.c). */
#ifndef JACKDAW_SM_ANNOUNCING_H
#define JACKDAW_SM_ANNOUNCING_H

#include "sm/command.h"

/* To everybody of the domain who is online, at every sm. The message stays the caller's. False when
 * too many announcements are under way. */
bool announce_online(struct sm *sm, struct jid *domain, struct stanza *message);
/* The same for those of this sm alone, who with `motd_time` (not 0) count as having seen the
 * message of the day of that time. */
bool announce_here(struct sm *sm, struct jid *domain, struct stanza *message, int64_t motd_time);
/* A word to the other session managers: root `name`, with the message (NULL: none) in it. */
void announce_tell(struct sm *sm, const char *name, struct jid *domain,
                   const struct stanza *message, int64_t time);
/* The message in such a word is shown here. */
void announce_told(struct sm *sm, const struct stanza *word);

/* Sets the message of the day; NULL: none from now on. `online`: who is there sees it now. Takes
 * the message, and one of `call` and `packet`, who gets the answer. */
void motd_change(struct sm *sm, struct jid *domain, struct stanza *message, bool online,
                 struct command_call *call, struct packet *packet);

#endif
