/* User: one account in memory. Loaded by one round of asynchronous reads when first needed, its
 * packets waiting in order; kept while it has sessions or work, then for sm.unload_after seconds.
 */
#ifndef JACKDAW_SM_USER_H
#define JACKDAW_SM_USER_H

#include "sm/rate.h"
#include "sm/roster.h"
#include "sm/sm.h"
#include "xmpp/avatar.h"

enum user_state {
    USER_LOADING,
    USER_READY,
    USER_DELETING /* its packets wait until the account has gone */
};

/* Messages that wait for the offline queue to be handed over: features/offline.c. */
struct user_offline {
    struct list held; /* packets that arrived during a flush */
    uint32_t held_count;
    bool flushing;
    bool waiting;        /* the flush waits for what its session, which has ended, did not get */
    bool empty;          /* the queue is known to hold nothing */
    bool rewind;         /* begin with the oldest again, once no page is under way */
    struct list pages;   /* struct page: handed over, and their clients may not have them */
    struct list paused;  /* node in sm->paused: the flush waits for a full link */
    struct list unread;  /* node in sm->unread: the database could not be read, or not written */
    struct list refused; /* messages that could not be written and are tried again: offline.c */
    uint64_t after;      /* the last id handed over */
    struct session *session; /* that gets the flush; NULL when it has gone */
};

/* Packets that wait for a change of the roster to be committed: change.c. */
struct user_behind {
    struct list packets;
    uint32_t count;
    bool open; /* the change is under way */
};

/* Message carbons (XEP-0280): features/carbons.c. */
struct user_carbons {
    uint32_t enabled; /* sessions that want copies */
    uint32_t next;    /* place in `copied` */
    uint64_t *copied; /* a ring of hashes of the last messages; NULL: none yet */
};

struct user {
    struct sm *sm;
    struct jid *jid; /* bare */
    struct session *sessions;
    struct roster roster;
    struct list waiting; /* packets */
    struct list idle;    /* node in sm->idle */
    uint64_t idle_since;
    int64_t logout_time;              /* 0: none known */
    char *logout_status;              /* NULL: none */
    char photo_hash[AVATAR_HASH_LEN]; /* of the vCard's picture: features/vcard.c */
    bool has_photo;
    bool is_new;                 /* has yet to get what new accounts get */
    bool searching;              /* a search is under way: features/search.c */
    struct rate stanzas, logins; /* XEP-0133 section 4.10 */
    uint32_t waiting_count;
    uint32_t session_count;
    uint32_t busy;  /* holds: not to be unloaded */
    uint16_t reads; /* of the loading, unanswered */
    uint8_t state;  /* enum user_state */
    bool active;    /* the account exists */
    bool load_failed;
    int64_t vacation_start, vacation_end; /* wall seconds; end 0: none. features/vacation.c */
    struct privacy *privacy;              /* NULL: no lists */
    struct mam_prefs *mam_prefs;          /* NULL: has not said */
    struct mam_recent *mam_recent;        /* mam_recent.c; NULL: none */
    uint32_t mam_late;                    /* rows written with ids of a former life */
    struct user_offline offline;
    struct user_behind behind;
    struct user_carbons carbons;
    struct push *pushes;     /* XEP-0357: sm/push.h; NULL: none */
    struct packet *deletion; /* the request to answer when the account has gone */
    enum error deletion_error;
};

/* The user in memory, or NULL. */
struct user *user_find(const struct sm *sm, struct str bare);
/* The user of a JID's bare form; begins to load it when it is not in memory. Held: release it. */
struct user *user_get(struct sm *sm, struct jid *jid);
void user_hold(struct user *user);
/* The last release lets it be unloaded, at once when there is no such account. */
void user_release(struct user *user);
/* Queues a packet until the user is ready. False, and the packet untouched, when too many wait. */
bool user_wait(struct user *user, struct packet *p);

/* Anything but a hash: there is no picture. */
void user_set_photo(struct user *user, struct str hash);

/* For handlers of PATH_USER_LOAD: one more read to wait for, and its answer. */
void user_load_begin(struct user *user);
void user_load_end(struct user *user, enum error e);

/* The reason of a SESSION_DELETE: there was an account, although its rows may have gone already. */
#define USER_EXISTED "existed"

/* The account gets what new ones get (PATH_USER_NEW), and that is written down. */
void user_welcome(struct user *user);
/* SESSION_CREATE and SESSION_DELETE; the packet is answered and destroyed. The user must be ready.
 */
void user_create(struct user *user, struct packet *p);
void user_delete(struct user *user, struct packet *p);
/* For handlers of PATH_USER_DELETE: the rows stay until everybody has said `done`, and if it did
 * not go well for one of them the account stays, too. */
void user_delete_wait(struct user *user);
void user_delete_done(struct user *user, enum error e);

void user_unload_timer(struct loop_timer *timer);
void user_unload_idle(struct sm *sm); /* all that have no session, now */
void user_destroy(struct user *user); /* the end of the instance alone */

#endif
