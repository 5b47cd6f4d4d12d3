/* Acks: the session manager's half of stream management (XEP-0198). A c2s is only a pipe; what a
 * session needs in order to go on through another pipe is here: how many of the client's stanzas
 * have been handled, and (flight.h) which of ours the client has not acknowledged.
 */
#ifndef JACKDAW_SM_ACKS_H
#define JACKDAW_SM_ACKS_H

#include "sm/flight.h"

#define ACKS_ID_MAX 103 /* characters of an SM-ID; the c2s makes shorter ones */

struct acks {
    uint32_t refs;           /* the session, and each place */
    struct session *session; /* NULL when it has ended */
    uint32_t in;             /* the place of the last stanza that came from the client */
    uint32_t out;            /* stanzas ever sent to the client; both modulo 2^32 */
    struct list places;      /* struct acks_place: came and not handled, in order */
    size_t bytes;            /* of the session's flights */
    uint32_t waiting;        /* their number */
    uint32_t max;            /* seconds it can be resumed; 0: not */
    struct list node;        /* in sm->sleeping or sm->overfull */
    uint64_t deadline;       /* asleep: loop_now when it ends */
    bool kept, releasing;    /* a row is in the store, or is being deleted: sleeper.h */
    uint32_t slot;           /* on the board: slot.h; BOARD_NONE: it has none */
    struct packet *resume;   /* waits until `places` is empty, or until the deadline */
    char id[ACKS_ID_MAX + 1];
};

/* A stanza of the client's on its way through us. */
struct acks_place {
    struct list node;
    struct acks *acks; /* NULL: of no such stream */
    uint32_t number;
};

/* `acks` may be NULL. */
void acks_came(struct acks *acks, struct acks_place *place, uint32_t number);
void acks_handled(struct acks_place *place);
/* h: all stanzas up to that number have been handled. */
uint32_t acks_h(const struct acks *acks);

void acks_unref(struct acks *acks); /* NULL is fine */

/* What a c2s says of a session (docs/decisions/0050-receipts.md): "MAX ID IN OUT". False: nonsense.
 */
bool acks_enable(struct session *session, struct str text);
/* The stream of a session has broken: it goes to sleep, when it can be resumed. False: it can not.
 */
bool acks_sleep(struct session *session);
/* SESSION_RESUME for a user that is ready; the packet is taken. */
void acks_resume(struct user *user, struct packet *p);
/* The session goes on at that c2s as it was: whoever started it again knew the id. */
bool acks_is(const struct session *session, struct str id);
void acks_wake(struct session *session);
/* The session ends. */
void acks_forget(struct session *session);
/* A stanza to the client has been taken up, or is over. */
void acks_count(struct session *session, const struct packet *p, bool more);
void acks_timer(struct loop_timer *timer);
/* The session with that SM-ID that may be resumed; NULL: none. */
struct session *acks_find(const struct user *user, struct str id);
/* Answers a SESSION_RESUME, when the session is not in the store any more: it belongs to who sent
 * it. Takes the packet. */
void acks_go_on(struct session *session, struct packet *request);
/* To the c2s, which never heard the client's presence: what it is. */
void acks_tell_presence(const struct session *session);

#endif
