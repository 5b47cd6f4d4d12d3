/* User request: what an administrator asks about a user, and does to the sessions.
 * features/user_request.c. */
#ifndef JACKDAW_SM_USER_REQUEST_H
#define JACKDAW_SM_USER_REQUEST_H

#include "sm/session.h"

bool user_request_away(const struct session *s); /* idle, or not available */
/* Ends the sessions, or the one of a resource (data == NULL: all); how many. */
size_t user_request_end(struct user *user, struct str resource);

#endif
