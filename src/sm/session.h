/* Session: a client's connected resource, as the session protocol (jabberd2.md 1.3) tells of it. */
#ifndef JACKDAW_SM_SESSION_H
#define JACKDAW_SM_SESSION_H

#include "sm/user.h"

/* XEP-0357: sm/push.h */
struct session_push {
    struct list watched; /* in the publisher's list */
    uint64_t at;         /* loop_now when it is looked at */
    uint64_t upto;       /* the flights up to this number have been counted */
};

struct session {
    struct user *user;
    struct session *next; /* of the user, oldest first */
    struct peer *peer;    /* the c2s */
    struct list peer_node;
    struct jid *jid; /* full */
    struct session_id c2s, sm;
    struct list flights;     /* struct flight: sent to its c2s and not confirmed */
    struct acks *acks;       /* XEP-0198; NULL: not enabled */
    struct csi *csi;         /* XEP-0352: what is held back; NULL: the client is active */
    struct stanza *presence; /* the last broadcast; NULL: not available */
    struct jid **directed;   /* who got directed presence and is to hear of the end; sorted */
    uint32_t directed_count;
    struct session_push push;
    int8_t priority;
    uint64_t takes_since; /* of a session that takes messages: what flies under a greater number
                             found it */
    struct privacy_list *active;         /* XEP-0016: instead of the default list; NULL: none */
    bool knows_privacy, knows_blocklist; /* it has asked for the lists, for the block list */
    bool carbons;                        /* XEP-0280: wants copies */
    uint64_t seen_from, seen_upto;       /* of the archive: features/mam_page.c */
    bool retrieves;  /* XEP-0013: its client takes the offline messages one by one */
    bool interested; /* asked for the roster: RFC 6121 section 2.2 */
    bool stale;      /* the link was lost since we heard of it */
    bool lost;       /* the link was lost since its c2s started it: it may start it anew */
    bool asleep;     /* its stream broke, and it may be resumed: acks.h */
    /* Its c2s has said that it will repeat the presence. Who resumed it without would never get
     * anything again. */
    bool presence_due;
};

static inline bool session_available(const struct session *s)
{
    return s->presence != NULL;
}
/* May get messages sent to the bare JID: RFC 6121 section 8.5.2. */
static inline bool session_takes_messages(const struct session *s)
{
    return s->presence != NULL && s->priority >= 0;
}

struct session *session_find(const struct sm *sm,
                             const struct session_id *id);                /* NULL when unknown */
struct session *session_of(const struct user *user, struct str resource); /* NULL when none */

/* SESSION_START for a user that is ready; the packet is answered and destroyed. */
void session_start(struct user *user, struct packet *p);
/* One of a former life (sleeper.h) goes on at the c2s that sent the SESSION_RESUME p, which stays
 * the caller's to be answered; `acks` as acks_enable takes it. It has no presence yet. */
struct session *session_restore(struct user *user, struct packet *p, struct jid *jid,
                                unsigned traits, struct str acks);
/* Ends it: unavailable presence where it was available, then freed. Says nothing to the c2s. */
void session_end(struct session *s);
/* Frees it where the sm ends: nobody is told. */
void session_forget(struct session *s);
/* Tells the c2s with ENDED (or REPLACED), then ends it. */
void session_close(struct session *s, enum session_action action, struct str reason);
/* It belongs to the c2s that sent this packet from now on, under new ids. */
void session_take(struct session *s, const struct packet *p);
/* Says so to its c2s, and no more. */
void session_tell(const struct session *s, enum session_action action, struct str reason);
/* Its stream is gone without having ended: it sleeps or ends. */
void session_lost(struct session *s);
/* Answers a session packet: the same names and ids turned round. `reason` with data: failed.
 * Destroys the packet. */
void session_answer(struct sm *sm, struct packet *request, enum session_action action,
                    struct str reason);

/* A c2s has gone: all of its sessions end, or become stale when it is our own link that was lost.
 */
void session_peer_down(struct sm *sm, struct str name, bool link_lost);
void session_resume_timer(struct loop_timer *timer);
void session_reap_timer(struct loop_timer *timer);
void session_heard(struct session *s); /* it is there after all */

#endif
