/* Presence: RFC 6121 section 4. */
#ifndef JACKDAW_SM_PRESENCE_H
#define JACKDAW_SM_PRESENCE_H

#include "sm/session.h"

/* A presence stanza from our client; takes the packet. */
void presence_from_client(struct session *session, struct packet *p);
/* One that arrived for a user of ours; takes the packet. */
void presence_from_router(struct user *user, struct packet *p);
/* The session has gone without saying so: unavailable to everyone who knows of it (4.5.2). */
void presence_gone(struct session *session);
/* Presence or absence of each available resource to one JID. */
void presence_send_all(struct user *user, struct jid *to);
void presence_send_absence(struct user *user, struct jid *to);
/* The session has sent this very address its presence, and not its absence since (RFC 6121
 * section 4.6); contacts who get it anyway do not count. */
bool presence_is_directed(const struct session *s, const struct jid *to);
/* Another form of an available session's presence takes its place, for all who see it. */
void presence_replace(struct session *session, struct stanza *s);
/* An unavailable presence without content. */
struct stanza *presence_unavailable(void);

#endif
