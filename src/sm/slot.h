/* Slot: each session that can be resumed (XEP-0198 section 5) has one on the board (base/board.h),
 * awake or asleep, with what sleeper.h writes into the store of those that sleep, and its h. So it
 * can be resumed when we were killed together with its c2s, even before anything of it was written.
 * docs/decisions/0089-board.md.
 */
#ifndef JACKDAW_SM_SLOT_H
#define JACKDAW_SM_SLOT_H

#include "component/slot_record.h"
#include "sm/acks.h"

/* What the session is has changed: presence, traits, sleep. Takes a slot when it has none yet. */
void slot_write(struct session *session);
/* More of what its client sent has been handled. Before anybody is told. */
void slot_count(const struct session *session);
/* It has ended. */
void slot_free(struct session *session);

/* A session of a former life that nobody has come back to yet. */
struct slot_former;
/* NULL: there is none of that account with that SM-ID. */
struct slot_former *slot_find(const struct sm *sm, const struct user *user, struct str id);
/* What it was; into `bytes`, BOARD_BYTES of room. `in` is its h. False: its slot is torn. */
bool slot_read(const struct sm *sm, const struct slot_former *former, char *bytes,
               struct slot_record *ret, uint32_t *ret_in);
/* As sleeper_revoke; `mark` "" is all of the account's. */
void slot_revoke(struct sm *sm, struct str owner, struct str mark);

void slot_init(struct sm *sm);
void slot_stop(struct sm *sm);   /* in order: the next start need not wonder */
void slot_finish(struct sm *sm); /* what is on the board stays */
/* Names have come or gone: another session manager may share our domains. */
void slot_peer(struct sm *sm);

#endif
