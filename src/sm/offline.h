/* Offline: what features/offline.c is asked for beside its points on the path. */
#ifndef JACKDAW_SM_OFFLINE_H
#define JACKDAW_SM_OFFLINE_H

#include "sm/user.h"

/* The link has room again: goes on with a flush that waited for it. */
void offline_resume(struct user *user);
/* A message comes back from a c2s, its session having ended. When it was one from the queue it goes
 * back to its old place there; false, and the packet untouched, when it was not. */
bool offline_returned(struct user *user, struct packet *p);
/* The promise is one of messages that have not left the queue; they are to stay there. */
bool offline_has(const struct promise *promise); /* NULL: no */
void offline_broken(struct promise *promise);
/* XEP-0160 section 3, XEP-0334: whether a message is worth keeping. */
bool offline_keeps(const struct stanza *message);

/* True when the message is not to be delivered any more: XEP-0023 section 3 (so many seconds after
 * it was stored, in microseconds since 1970), XEP-0079 section 3.3.2 (expire-at, action drop). */
bool offline_expired(const struct stanza *message, uint64_t stored_us, int64_t now);

#endif
