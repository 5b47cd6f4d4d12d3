/* Outbox: where a message goes that was accepted and that nobody has confirmed in sm.outbox_after.
 * Its row is written once and goes when the message has been confirmed, or dealt with otherwise;
 * rows of a former life are sent again.
 *
 * A message has one row at a time, or a death of ours would send it twice: the row that is written
 * for its recipient takes the place of the sender's in the same transaction, copies for several
 * sessions share one, and so does the offline queue.
 */
#ifndef JACKDAW_SM_OUTBOX_H
#define JACKDAW_SM_OUTBOX_H

#include "sm/flight.h"

/* When somebody waits for this flight, it will be written if it takes too long. */
void outbox_watch(struct sm *sm, struct flight *f);
void outbox_write(struct sm *sm, struct flight *f); /* now */
/* The promise is a row's: its message is in the outbox until that is kept. NULL: no. */
bool outbox_has(const struct promise *promise);

/* Copies of a message that went to several sessions of one user and came back: who came to take
 * messages under a greater number than this (receipts_number) has had none of them. OUTBOX_STORED:
 * one of them is in the offline queue, and the others need not be. NULL: a copy that has no others.
 */
#define OUTBOX_STORED UINT64_MAX
uint64_t *outbox_returned(struct promise *promise);

/* p is about to be written for its recipient by `t`: what the outbox had of it until now goes in
 * the same transaction. Returns what outbox_handed_over wants when that is over. */
uint64_t outbox_hand_over(struct sm *sm, const struct packet *p, struct store_txn *t);
void outbox_handed_over(struct sm *sm, uint64_t number, enum error e);

/* Everything that somebody waits for, at once: we stop. */
void outbox_write_all(struct sm *sm);
/* A row that is ours: its message goes out once more. */
void outbox_restore(struct sm *sm, struct jid *owner, uint64_t id, struct str xml, uint64_t trace);

/* --- outbox_heir.c --- */
/* Another component has gone, or the link has come back: in a minute we look whether a session
 * manager whose users we have now has left messages. */
void outbox_watch_others(struct sm *sm);
void outbox_heir_init(struct sm *sm);

/* --- outbox_former.c --- */
void outbox_former_init(struct sm *sm);
void outbox_former_finish(struct sm *sm);
/* A row that is not of this life has been read, p being its message. False: that goes on already,
 * by another row or because its sender has sent it again; this row is one too many. */
bool outbox_former(struct sm *sm, const struct packet *p);
/* Its sender, who was not told that a row is there, sends p again: true when that row has been
 * read. Then p has been dealt with. */
bool outbox_comes_again(struct sm *sm, const struct packet *p);

/* --- outbox_answers.c --- */
void outbox_answers_init(struct sm *sm);
void outbox_answers_finish(struct sm *sm);
/* What the server had answered to an iq, and its client may not have got: an error (reliability.md
 * C.1 c). It waits for the session to be resumed. p and its promise, the row, are moved. */
void outbox_answer(struct sm *sm, struct packet *p);
/* The session goes on from a former life of ours: it gets its answers. */
void outbox_answers_send(struct session *session);
/* The client that has this address now is not the one that asked; NULL: all that are too old. */
void outbox_answers_drop(struct sm *sm, const struct jid *to);

/* --- outbox.c --- */
/* Begins to read what is there. */
void outbox_init(struct sm *sm);

#endif
