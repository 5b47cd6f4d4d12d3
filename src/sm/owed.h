/* Owed: what the session manager owes to those whose stanzas ask for a receipt. The packet gets a
 * promise; whatever is made of it - copies for sessions, a row in the store, an error - holds that
 * promise, and when nothing is left to do the receipt is answered (reliability.md C.1).
 */
#ifndef JACKDAW_SM_OWED_H
#define JACKDAW_SM_OWED_H

#include "sm/sm.h"

/* For a packet whose receipt.number is set: takes the receipt off and puts a promise on. A later
 * copy of a message gets its <delay/> (XEP-0203). False: the stanza came before, drop it. */
bool owed_take(struct sm *sm, struct packet *p);
/* For a message to several sessions that nobody waits for, and which has no promise: by this one
 * its copies know of each other. */
void owed_join(struct sm *sm, struct packet *p);
/* False: owed_join's. */
bool owed_waited(const struct promise *promise);
/* What has become of copies that came back: outbox_returned. NULL when the promise is not ours. */
uint64_t *owed_returned(struct promise *promise);
/* The stanza of this packet is not durable by its type (C.1 d): handled as soon as it is routed. */
bool owed_durable(const struct stanza *s);
/* It is an error that answers an iq: no `h` covers that iq before the client has the answer, or the
 * outbox has (C.1 c). What an `h` covers without an answer, all having died, has been done. */
bool owed_answer(const struct stanza *s);
/* Nobody needs to wait for this one any more. */
void owed_drop(struct packet *p);
/* The number of the flight (flight.h) that brought this promise's stanza here, when it was one of
 * this very sm; else 0. NULL is fine. */
uint64_t owed_flight(const struct sm *sm, const struct promise *promise);
/* Where the row of the outbox (outbox.c) stands that all copies of this promise's stanza share, a
 * reference; NULL when the promise is no such. */
struct promise **owed_row(struct promise *promise);

#endif
