/* Subscribe: what follows from a step of the subscription state machine (RFC 6121 section 3). */
#ifndef JACKDAW_SM_SUBSCRIBE_H
#define JACKDAW_SM_SUBSCRIBE_H

#include "sm/session.h"

/* A subscription stanza from our client, or one that arrived; takes the packet. */
void subscribe_from_client(struct session *session, enum subscription_event e, struct packet *p);
void subscribe_from_router(struct user *user, enum subscription_event e, struct packet *p);
/* The item is to go (2.5.2): ends the subscriptions both ways, pushes, and answers `request`, which
 * is taken. */
void subscribe_remove(struct user *user, struct roster_item *item, struct packet *request);
/* The account has gone: tells every contact. The roster stays as it is. */
void subscribe_farewell(struct user *user);
/* Delivers requests that nobody has answered yet to a newly available session (3.1.3). */
void subscribe_deliver_requests(struct session *session);

#endif
