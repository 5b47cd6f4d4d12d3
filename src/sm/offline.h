/* Offline: what features/offline.c is asked for beside its points on the path. */
#ifndef JACKDAW_SM_OFFLINE_H
#define JACKDAW_SM_OFFLINE_H

#include "sm/user.h"

/* The link has room again: goes on with a flush that waited for it. */
void offline_resume(struct user *user);
/* XEP-0160 section 3, XEP-0334: whether a message is worth keeping. */
bool offline_keeps(const struct stanza *message);

#endif
