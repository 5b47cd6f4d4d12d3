/* Command sessions: ad-hoc commands (XEP-0050) between their form and its submission, in memory.
 * Each ends by itself after COMMAND_SESSION_MS; of one requester and of all there are so many at
 * most, the oldest making room.
 */
#ifndef JACKDAW_SM_COMMAND_SESSIONS_H
#define JACKDAW_SM_COMMAND_SESSIONS_H

#include "loop/loop.h"
#include "sm/command.h"

#define COMMAND_MAX_SESSIONS      1000u   /* of all requesters */
#define COMMAND_MAX_PER_REQUESTER 10u     /* of one full JID */
#define COMMAND_SESSION_MS        600000u /* to fill in a form */

struct command_session {
    struct list node;
    struct jid *from, *to;
    const struct command *command;
    uint64_t deadline;
    char id[COMMAND_SESSION_ID + 1];
};

struct command_sessions *command_sessions_create(struct loop *loop);
void command_sessions_destroy(struct command_sessions *cs); /* NULL is fine */

/* Under the id of the call, between its requester and `to`. */
void command_session_begin(struct command_sessions *cs, const struct command_call *call,
                           struct jid *to);
/* Section 3.3: valid between one requester and one responder alone. NULL: none. */
struct command_session *command_session_find(const struct command_sessions *cs, struct str id,
                                             const struct jid *from, const struct jid *to);
void command_session_end(struct command_sessions *cs, struct command_session *s); /* frees it */
/* Whether one of that id was there not long ago. */
bool command_session_has_ended(const struct command_sessions *cs, struct str id);

#endif
