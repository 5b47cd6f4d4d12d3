/* Outbox: where a message goes that was accepted and that nobody has confirmed in sm.outbox_after.
 * Its row is written once and goes when the message has been confirmed, or dealt with otherwise;
 * rows of a former life are sent again.
 */
#ifndef JACKDAW_SM_OUTBOX_H
#define JACKDAW_SM_OUTBOX_H

#include "sm/flight.h"

/* Somebody waits for this flight: it will be written when it takes too long. */
void outbox_watch(struct sm *sm, struct flight *f);
void outbox_write(struct sm *sm, struct flight *f); /* now */
/* The flight is over, the packet not: the row goes when that has been dealt with. */
void outbox_promise(struct sm *sm, const struct flight *f, struct packet *p);
/* Everything that somebody waits for, at once: we stop. */
void outbox_write_all(struct sm *sm);
/* A row that is ours: its message goes out once more. */
void outbox_restore(struct sm *sm, struct jid *owner, uint64_t id, struct str xml);

/* --- outbox_heir.c --- */
/* Another component has gone, or the link has come back: in a minute we look whether a session
 * manager whose users we have now has left messages. */
void outbox_watch_others(struct sm *sm);
void outbox_heir_init(struct sm *sm);

/* --- outbox.c --- */
/* Begins to read what is there. */
void outbox_init(struct sm *sm);

#endif
