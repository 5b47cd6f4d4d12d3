/* Offline: what features/offline.c is asked for beside its points on the path. */
#ifndef JACKDAW_SM_OFFLINE_H
#define JACKDAW_SM_OFFLINE_H

#include "sm/user.h"

/* The link has room again: goes on with a flush that waited for it. */
void offline_resume(struct user *user);
/* For sm->reread: those whose messages could not be read, or not be written, are tried again. */
void offline_reread(struct loop_timer *timer);
/* The user goes. */
void offline_forget(struct user *user);
/* The promise is that of messages which have not left the queue. */
bool offline_has(const struct promise *promise); /* NULL: no */
/* Such a message has come back, its session having ended: it stays in the queue. Takes p. */
void offline_returned(struct packet *p);
/* XEP-0160 section 3, XEP-0334: whether a message is worth keeping. */
bool offline_keeps(const struct stanza *message);

/* True when the message is not to be delivered any more: XEP-0023 section 3 (so many seconds after
 * it was stored, in microseconds since 1970), XEP-0079 section 3.3.2 (expire-at, action drop). */
bool offline_expired(const struct stanza *message, uint64_t stored_us, int64_t now);

#endif
