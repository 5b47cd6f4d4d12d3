/* Receipts: both ends of "tell me when you have handled it" (reliability.md C.1;
 * docs/decisions/0050-receipts.md). One per instance.
 *
 * Asking: a packet gets a number of ours, and whoever asked keeps the stanza until the number comes
 * back. Answering: the number of a packet that was handled goes to its origin, those of one turn in
 * one control packet. What is sent again after a lost link bears its old number; what had arrived
 * after all is known by it and not handled twice.
 */
#ifndef JACKDAW_COMPONENT_RECEIPTS_H
#define JACKDAW_COMPONENT_RECEIPTS_H

#include "component/component.h"

struct receipts;

/* `handled` is called in a later turn for each number of ours that comes back; one that nobody
 * waits for must do no harm. */
struct receipts *receipts_create(struct component *c, void (*handled)(void *owner, uint64_t number),
                                 void *owner);
void receipts_destroy(struct receipts *r); /* says nothing more; NULL is fine */

/* --- asking --- */
/* Never 0; each greater than the one before by 1. */
uint64_t receipts_number(struct receipts *r);
/* The packet asks for a receipt with that number. */
void receipts_ask(const struct receipts *r, struct packet *p, uint64_t number);

/* --- answering --- */
/* For a packet with a number, before anything is done with it: false when it came before. Then drop
 * it: it was answered again, or will be when the first one is handled. */
bool receipts_admit(struct receipts *r, const struct packet *p);
/* The stanza has been handled. */
void receipts_handled(struct receipts *r, struct jid *origin, uint64_t number);
/* It was not handled but given back (receipt.answers): the same number may come again as a new one.
 */
void receipts_forget(struct receipts *r, struct jid *origin, uint64_t number);
/* Sends what was handled up to now, so that it leaves before what is sent next. */
void receipts_flush(struct receipts *r);

/* A control packet is taken (and destroyed): true. */
bool receipts_take(struct receipts *r, struct packet *p);

#endif
