/* Change: one durable change of one roster item. The roster in memory changes at once, and so leave
 * the stanzas that it causes: their order is the order in which things happened, and delivery does
 * not wait for the disk. What does wait for the commit is the word that it is so: the roster push
 * with its version, and the answer to an iq. When the write fails, the item is put back as it was
 * and the one who asked gets an error.
 */
#ifndef JACKDAW_SM_CHANGE_H
#define JACKDAW_SM_CHANGE_H

#include "sm/session.h"

struct change;

/* Notes the item (there or not) as it is. Holds the user until the end. */
struct change *change_begin(struct user *user, struct jid *item);
/* The request that gets the error when the write fails, and for an iq also the result. Taken. */
void change_origin(struct change *c, struct packet *request);

/* A roster push of the item as it is now, to interested resources (RFC 6121 section 2.1.6), after
 * the commit. At most one. */
void change_push(struct change *c);

/* Whatever arrives for the user waits until this change is committed, so that its clients see the
 * push before what the change brings: `subscribed`, push, presence (RFC 6121
 * sections 3.1.6, 3.2.3).
 */
void change_goes_first(struct change *c);
/* A stanza from the router, for a user with such a change under way. False, and the packet
 * untouched, when too many wait. */
bool change_wait(struct user *user, struct packet *p);

/* Writes the item as it is now, or its removal when it is no longer in the roster; frees c later.
 */
void change_commit(struct change *c);

/* A roster push of one item to one session; the version is the item's. ROSTER_NO_VERSION: the push
 * leads to none, so that a client that gets no further asks for the whole roster again. */
struct stanza *change_push_stanza(struct user *user, const struct roster_item *item, bool removed,
                                  uint64_t version);
/* The version that a change is to have: one more than any before. */
uint64_t change_version(struct user *user);

#endif
