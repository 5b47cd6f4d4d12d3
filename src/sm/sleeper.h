/* Sleeper: sessions that sleep are in the store, too, so that their clients can resume them
 * (XEP-0198 section 5) when the session manager was killed or restarted meanwhile. What waits for
 * them is in the outbox or the offline queue already (flight.h); here is what else they are: the
 * SM-ID, h, how long, presence, traits.
 */
#ifndef JACKDAW_SM_SLEEPER_H
#define JACKDAW_SM_SLEEPER_H

#include "sm/acks.h"

/* The session has gone to sleep, or more of what its client had sent has been handled since. */
void sleeper_write(struct session *session);
/* It has ended. Harmless when nothing was written. */
void sleeper_forget(struct session *session);
/* Its time is over: whoever comes back late hears how much of what it sent was handled (XEP-0198
 * section 5, "MAY"). Before session_end. */
void sleeper_late(struct session *session);
/* Those whose SM-ID begins with that may not be resumed any more: the client's login was revoked.
 * `user` may not be in memory (NULL). */
void sleeper_revoke(struct sm *sm, struct jid *account, struct user *user, struct str mark);
/* It is about to be resumed (acks->resume): acks_go_on is called when the row has gone. A row that
 * outlived this would have an h that is too low, should we die; so when it cannot be deleted the
 * client is refused. */
void sleeper_release(struct session *session);
/* SESSION_RESUME of a session that we do not have: one of a former life goes on, from the client's
 * count `h`; otherwise the packet is answered with "item-not-found", and behind it with how much
 * was handled of one whose time is over. Takes p, later. */
void sleeper_resume(struct user *user, struct packet *p, struct str id, uint32_t h);
/* Those whose clients did not come back go after a day, looked for every hour. */
void sleeper_init(struct sm *sm);
void sleeper_finish(struct sm *sm);

#endif
