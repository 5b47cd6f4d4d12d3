/* Push: app servers that are told when there is something for a device that cannot be reached
 * (XEP-0357). A registration names the app server, its node for the device, and the resource that
 * the device had when it asked for it: so it is known whether the device is here.
 *
 * features/push.c knows what is worth a push and keeps the registrations; push_publish.c brings
 * them to the app servers. Users without registrations have no struct push and pay one comparison.
 */
#ifndef JACKDAW_SM_PUSH_H
#define JACKDAW_SM_PUSH_H

#include "sm/deliver.h"

enum push_state {
    PUSH_IDLE,
    PUSH_WAITING, /* too many are under way to this app server */
    PUSH_OPEN,    /* published, not answered */
    PUSH_PAUSED   /* there is something to tell, but not yet: pace, or after a failure */
};

struct push {
    struct push *next; /* of the user, oldest first */
    struct user *user; /* held unless idle */
    struct jid *jid;   /* the app server */
    char *node;        /* "": none */
    char *resource;
    struct stanza *options; /* the form that goes with each publish; NULL: none */
    /* What is told. */
    uint32_t count;     /* messages since the device was here */
    struct jid *sender; /* of the last one; NULL: none, or not to be told */
    char *body;         /* likewise */
    /* push_publish.c */
    struct push_service *service; /* waiting or open */
    struct list queued;           /* in service->waiting */
    struct list timed;            /* open or paused */
    uint64_t at;                  /* loop_now: of the deadline, or when the pause ends */
    uint64_t not_before;          /* loop_now */
    struct session_id id;         /* of the iq */
    enum push_state state;
    uint32_t failures; /* in a row */
    bool again;        /* something has come since it was published */
};

/* --- features/push.c --- */
/* A message for the user is being delivered like that: what its devices that are not here have to
 * know. For users with pushes. */
void push_message(struct user *user, const struct packet *p, enum deliver_action action);
/* Somebody has asked to see the user's presence: likewise. */
void push_request(struct user *user);
/* Rows of push_load. */
void push_add_rows(struct user *user, const struct store_rows *rows);
/* The client of this session is there and looks for itself. */
void push_here(struct session *session);
/* Forgets all of the user's. */
void push_forget(struct user *user);
/* The app server does not want this registration any more: it goes, from the store too. */
void push_remove(struct push *push);

/* --- push_publish.c --- */
struct push_publisher *push_publisher_create(struct sm *sm);
void push_publisher_destroy(struct push_publisher *publisher); /* NULL is fine */
/* There is something new to tell. */
void push_publish(struct push *push);
/* Not any more: the device is here, or the registration goes. */
void push_cancel(struct push *push);
/* The iq is the answer to one of ours: it is destroyed, and true. */
bool push_answered(struct sm *sm, struct packet *p);
/* One of ours found nobody; true, and the packet stays the caller's. */
bool push_bounced(struct sm *sm, const struct packet *p);

/* The client of this session is inactive and has been sent what is worth a push. Unless it is
 * acknowledged in some seconds push_unacknowledged is called. */
void push_watch(struct session *session);
void push_unwatch(struct session *session); /* harmless when it is not watched */
/* Of features/push.c: tells of such messages among the session's flights that are older than `age`
 * ms and have not been told of. */
void push_unacknowledged(struct session *session, uint64_t age);

#endif
