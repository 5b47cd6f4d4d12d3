/* The session manager's instance: what all its files share. Users and sessions are found by hash;
 * nothing walks over all of them. One loop, one thread.
 */
#ifndef JACKDAW_SM_SM_H
#define JACKDAW_SM_SM_H

#include "base/hash.h"
#include "component/component.h"
#include "component/domains.h"
#include "component/receipts.h"
#include "sm/fate.h"
#include "sm/path.h"
#include "store/store.h"

/* Bounds without a setting. */
#define SM_MAX_WAITING                                                                             \
    1000u /* packets that wait for one user (loading, flush of offline messages) */
#define SM_MAX_DIRECTED   1000u /* addresses one session has sent directed presence to */
#define SM_REAP_AT_ONCE   100u  /* sessions of a lost c2s that end in one turn */
#define SM_REAP_MS        5u    /* until the next ones do */
#define SM_RESUME_SECONDS 10u   /* after a lost link: sessions not re-started by then have gone */

struct sm_counters {
    uint64_t from_clients, from_router, to_clients, to_router;
    uint64_t offline_stored, offline_delivered, errors, sessions_started;
    uint64_t repeated, outbox_written, outbox_sent;
};

/* Stanzas on their way (flight.h). */
enum flight_lane { FLIGHT_LOCAL, FLIGHT_REMOTE, FLIGHT_LANES };
struct flights {
    struct hash table; /* number -> struct flight */
    size_t read_again; /* messages of the outbox, of former lives */
    struct list lanes[FLIGHT_LANES];
    struct list restored[FLIGHT_LANES]; /* read from the outbox, while more is to be read */
    bool held[FLIGHT_LANES];            /* nothing is sent: it waits for who is away, in order */
    struct list young;         /* somebody waits and it is not in the outbox, oldest first */
    struct loop_timer writer;  /* looks at `young` */
    struct loop_timer release; /* lets the lanes go after a lost link */
    struct loop_timer heir;    /* looks for what others have left in the outbox */
    uint64_t loaded;           /* of the outbox: the last id read */
    uint64_t reread_upto;      /* load_upto, while the database could not be read */
    struct loop_timer reread;
    uint64_t load_upto;       /* ids up to here are of our former lives; 0: all read */
    struct hash former;       /* of the outbox, not written in this life: outbox_former.c */
    struct loop_timer forget; /* it */
    struct list answers;      /* to iqs of sessions that may be resumed: outbox_answers.c */
    bool lost;                /* the link has been lost once */
    struct hash s2s;  /* names of those who speak with other servers, as they have told us */
    bool federates;   /* there should be one */
    bool expects_s2s; /* held for it, a moment */
    size_t guarded;   /* bytes of the messages in flight that nobody waits for */
};

/* What is on the board (slot.h). */
struct slots {
    struct board *board; /* env's; NULL: none */
    struct hash formers; /* SM-ID -> struct slot_former */
    struct loop_timer tick;
    bool company; /* another process shares our domains: nothing is written */
    bool stopped; /* all is written that was to be */
};

/* A c2s, known by the name its sessions were started from. */
struct peer {
    struct list sessions; /* session.peer_node; stale ones first */
    struct list orphans;  /* flights whose session has ended, but the c2s still answers for them */
    bool gone;            /* its stale sessions are to end */
    size_t name_len;
    char name[];
};

struct sm {
    struct component *c;
    struct loop *loop;
    struct store *store;
    struct domains domains;       /* served */
    struct hash domain_jids;      /* name -> struct jid, of all ever served */
    struct domains fresh_domains; /* between the two steps of a reload */
    struct hash users;            /* bare JID -> struct user */
    struct hash sessions;         /* sm id -> struct session */
    struct hash peers;            /* name -> struct peer; few, kept until the end */
    struct list idle;             /* users without work, longest idle first */
    struct list paused;           /* users whose offline messages wait for room in the link */
    struct list unread;           /* users whose offline messages could not be read */
    struct loop_timer reread;
    struct list services; /* struct service: names below our domains */
    struct list sleeping; /* struct acks: sessions that may be resumed */
    struct list overfull; /* struct acks: sessions that are to end */
    struct loop_timer acks;
    struct loop_timer expire; /* sleeper.h */
    struct slots slots;
    struct loop_timer unload;
    struct loop_timer resume; /* runs after a lost link */
    struct loop_timer reaper; /* runs while sessions of a lost c2s end */
    struct loop_timer drain;  /* runs while stopping */
    struct loop_timer leave;  /* runs while sessions of domains that are gone end */
    struct receipts *receipts;
    struct flights flights;
    struct {
        bool yes, asked;
    } durable; /* durable.h */
    struct path path;
    struct sm_counters counters;
    struct fate_account account; /* of messages */
    uint64_t mam_key[2];         /* of the ids in archives: mam_id.c */
    struct {
        struct loop_timer again;
        bool failing, made; /* said once; we have written one, as there was none */
    } mam_key_read;
    uint64_t mam_doubt;            /* loop_now: mam_recent.c */
    struct mam_former *mam_former; /* ids of a former life: mam_former.c; NULL: none */
    struct mam_abroad *mam_abroad; /* messages of other servers: mam_abroad.c; NULL: none yet */
    void *state[FEATURES];         /* the features' own, made at PATH_START */
    uint64_t started;              /* loop_now */
    bool peers_listed;             /* there is a black or a white list: peer_lists.h */
    bool closing;                  /* being destroyed: the store's last callbacks run */
};

static inline struct str peer_name(const struct peer *peer)
{
    return (struct str){peer->name, peer->name_len};
}
/* The served domain, or NULL: then the JID is somebody else's. */
struct jid *sm_domain(const struct sm *sm, struct str domain);
/* False: several sm share the domain, and the user belongs to another. */
bool sm_owns(const struct sm *sm, const struct jid *user);

#endif
