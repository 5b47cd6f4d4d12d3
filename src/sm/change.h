/* Change: one durable change of one roster item, and what it causes. The roster in memory changes
 * at once; pushes, stanzas and the answer leave in order when the commit is durable; when it fails,
 * the item is put back as it was and the one who asked gets an error. So what others have seen is
 * never lost by a crash.
 */
#ifndef JACKDAW_SM_CHANGE_H
#define JACKDAW_SM_CHANGE_H

#include "sm/session.h"

struct change;

/* Notes the item (there or not) as it is. Holds the user until the end. */
struct change *change_begin(struct user *user, struct jid *item);
/* The request that gets the error when the write fails, and for an iq also the result. Taken. */
void change_origin(struct change *c, struct packet *request);

/* What is to happen after the commit, in this order. */
void change_push(
    struct change *c); /* a roster push of the item as it is now, to interested resources (2.1.6) */
void change_send(struct change *c, struct packet *p);       /* through the router */
void change_interested(struct change *c, struct packet *p); /* to every interested resource */
void change_available(struct change *c, struct packet *p);  /* to every available resource */
void change_presence(struct change *c,
                     struct jid *to); /* the available resources' presence to a contact */
void change_unavailable(struct change *c, struct jid *to); /* their absence */

/* Writes the item as it is now, or its removal when it is no longer in the roster; frees c later.
 */
void change_commit(struct change *c);

/* A roster push of one item to one session; the version is the item's. */
struct stanza *change_push_stanza(struct user *user, const struct roster_item *item, bool removed,
                                  uint64_t version);
/* The version that a change is to have: one more than any before. */
uint64_t change_version(struct user *user);

#endif
