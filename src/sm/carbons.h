/* Carbons: what features/carbons.c (XEP-0280) is asked for beside its points on the path.
 *
 * A carbon goes from the session manager straight to a session. It carries no promise and is never
 * written to the queue or the outbox: the original alone is accounted for (docs/decisions/
 * 0050-receipts.md, 0069-mobile.md). To a session with XEP-0198 it is a stanza like any other,
 * repeated when the stream is resumed.
 *
 * A received message bears its stable id already; that of a sent one is the sender's own clients'
 * alone, and added to the copies (XEP-0313 section 3.5).
 */
#ifndef JACKDAW_SM_CARBONS_H
#define JACKDAW_SM_CARBONS_H

#include "sm/deliver.h"
#include "sm/mam.h"

/* Switches them for a session, as its own iq does or whoever starts it (link/traits.h). */
void carbons_set(struct session *session, bool on);
/* Section 8: a message of this session is about to leave; `id`: in the archive, time 0: not there.
 * For users with carbons.enabled. */
void carbons_sent(struct session *session, const struct packet *p, struct mam_id id);
/* Section 7: a message for the user is about to be delivered like that. The same. */
void carbons_received(struct user *user, const struct packet *p, enum deliver_action action);
/* The stanza is a carbon of ours: <sent/> and <received/> of others are taken out of what comes in
 * (features/forged.c). */
bool carbons_is_copy(const struct stanza *s);
/* The message that a carbon brings, within its stanza; of any other stanza the root. */
stanza_el carbons_message(const struct stanza *s);
/* A message that was received is for all devices of the user to see (section 6.1), whichever it was
 * addressed to. */
bool carbons_concern(const struct user *user, const struct packet *p);

#endif
