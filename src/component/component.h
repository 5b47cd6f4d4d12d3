/* Component: one ops struct, run anywhere. An instance lives on one loop, has no globals, and talks
 * to the others only through its link. component.c attaches it (to a router in the same process, or
 * by TCP) and turns control packets into calls; after a lost link it binds its names again by
 * itself.
 */
#ifndef JACKDAW_COMPONENT_COMPONENT_H
#define JACKDAW_COMPONENT_COMPONENT_H

#include <jansson.h>
#include <stdatomic.h>
#include "base/board.h"
#include "base/log.h"
#include "base/random.h"
#include "base/shared.h"
#include "config/config.h"
#include "link/ledger.h"
#include "link/link.h"
#include "loop/loop.h"
#include "net/net.h"
#include "xml/parser.h"

#define COMPONENT_NOTE       32u
#define COMPONENT_NOTE_PLACE 48u /* what one takes of a ring's bytes */

/* What an instance is given; the runner owns all of it. */
struct env {
    struct loop *loop;
    struct net *net;
    struct random *random;
    struct parser_pool *parsers;
    const struct config *config; /* replaced by a reload */
    struct log log;
    struct ledger *ledger; /* the process's; NULL: none */
    struct ring *notes;    /* the process's; NULL: nobody wants it, or it cannot be had */
    struct board *board;   /* of the one component here that asks for it; NULL: none */
    const char *data_dir;  /* databases, keys, secrets; "" with memory: stores only */
    struct shared *shared; /* with the process's other loops; NULL: there is one loop */
    unsigned seat;  /* which of the process's loops this is; 0, the first, has what is there once */
    unsigned seats; /* how many loops there are; 0 is as good as 1 */
    /* An administrator wants the process to end, for good or to be started again (component_halt);
     * from any of its loops. */
    void (*halt)(void *arg, bool restart);
    void *halt_arg;
};

struct component;

struct component_ops {
    const char *name;    /* "c2s" */
    unsigned stores;     /* databases that it opens: 1u << enum store_kind for each */
    const char *secret;  /* a file of its own below the data directory; NULL: none */
    bool keys;           /* shows certificates */
    uint32_t notes;      /* so many of COMPONENT_NOTE bytes survive kill -9, but not the loss of the
                          * power, without waiting for a disk: env->notes (base/ring.h) */
    uint32_t board;      /* slots, at most, of the board that it wants (base/board.h); 0: none */
    unsigned bind_flags; /* of its own name: PACKET_BIND_DEFAULT for the default route */
    bool per_loop;       /* a process with several loops has one on each; else one on the last */
    /* Allocates component->state, opens listeners and stores, binds names. On failure logs what to
     * do and returns it. */
    enum error (*start)(struct component *c);
    void (*packet)(struct component *c, struct packet *p); /* route packets; the callee owns it */
    /* A name came or went anywhere behind the router (domain presence); up comes again when those
     * who share the name have changed (component_owner). Also called with up == false for each name
     * known when the link is lost. May be NULL, as all below. */
    void (*peer)(struct component *c, struct str name, bool up);
    /* A bind was answered; error 0 or a code of jabberd2.md 1.2. */
    void (*bound)(struct component *c, struct str name, int error);
    void (*link_state)(struct component *c,
                       bool up);           /* after `up` all binds have been sent again */
    void (*writable)(struct component *c); /* component_full turned false */
    /* A reload (SIGHUP) has two steps, so that a fault in one component changes nothing in any.
     * prepare: c->env->config is new; does all that can fail - judges values, loads certificates,
     * opens listeners - and shows nothing of it yet. Then comes either reload (the configuration is
     * the new one for good) or revert (it is the old one again: drop what was prepared). Not
     * called again before; after a failed prepare neither comes. */
    enum error (*prepare)(struct component *c);
    void (*reload)(struct component *c);
    void (*revert)(struct component *c);
    void (*stop)(
        struct component *c); /* begin to drain; call component_stopped when done (in any turn) */
    void (*status)(struct component *c, json_t *into); /* add members: counters, sessions ... */
    void (*destroy)(struct component *c);              /* free state; no more calls follow */
    /* Commands of `jackdaw user ...` on the running server, e.g. {"command":"user-gone","jid":...}.
     * NULL: not mine. */
    json_t *(*command)(struct component *c, const json_t *request);
    /* A process beside the one that the component lives in, for what its sandbox forbids: the
     * runner forks it before anything else. `helper` is its main; `arguments` the options of the
     * command. */
    bool (*helper_wanted)(const struct config *config);
    int (*helper)(const struct config *config, const char *data_dir, char *const *arguments);
    /* The router alone: takes its end of a local link. */
    void (*attach)(struct component *c, struct link *end, const char *name);
    /* The router alone: takes its end of a link to the router of another loop in this process. */
    void (*join)(struct component *c, struct link *end, const char *name);
};

struct component {
    const struct component_ops *ops;
    const struct env *env;
    struct log log;              /* env's, with component set */
    struct ledger_pen pen;       /* notes in env's ledger, by the component's name */
    const char *id;              /* its own name on the router: unique, e.g. "c2s", "sm-2" */
    void *state;                 /* the ops' own */
    struct link *link;           /* NULL for the router */
    atomic_bool stopped;         /* any thread may ask */
    struct component_impl *impl; /* component.c's own */
};

/* Makes an instance. `id` is copied (NULL: ops->name). Does not start it. */
struct component *component_create(const struct component_ops *ops, const struct env *env,
                                   const char *id);
/* Gives it its link before component_start: to a router in this process, or over TCP as the
 * configuration says. */
void component_attach_local(struct component *c, struct component *router);
/* Two routers of one process, each started: what is bound at one can be reached from the other. */
void component_join(struct component *a, struct component *b);
void component_attach_tcp(struct component *c, const struct link_tcp_config *config);
enum error component_start(struct component *c); /* binds c->id, then ops->start */
void component_stop(struct component *c); /* ops->stop; c->stopped becomes true, now or later */
void component_destroy(struct component *c);
json_t *component_status(
    struct component *c); /* {"pid":..,"uptime":..,"link":..., ...ops->status}; new reference */
/* A member of what ops->status says. */
void component_count(json_t *into, const char *name, uint64_t value);
enum error component_prepare(struct component *c);
void component_commit(struct component *c); /* ops->reload */
void component_revert(struct component *c);
enum error component_reload(struct component *c); /* both steps, for a component alone */

bool component_settled(const struct component *c); /* connected, and every bind has been answered */
/* What the instances of a kind on the loops of one process are called together: "sm" of "sm-2"; its
 * own name where it is the only one. */
struct str component_common_name(const struct component *c);

/* For ops: */
void component_bind(struct component *c, struct str name,
                    unsigned flags); /* remembered: re-sent after a lost link */
void component_unbind(struct component *c, struct str name);
void component_send(struct component *c, struct packet *p);
bool component_full(const struct component *c);
bool component_peer_up(const struct component *c, struct str name); /* as last told by the router */
void component_peers(const struct component *c, void (*fn)(void *arg, struct str name),
                     void *arg); /* all that are up */
/* When several components share `name`: which of them gets what is for `key`, a bare JID - its own
 * name on the router, e.g. "sm-2". data == NULL: one has it alone, or the router (jabberd2's) does
 * not say. */
struct str component_owner(const struct component *c, struct str name, struct str key);
/* How many share `name`; 0 when the router does not say: one alone, or nobody. */
size_t component_owners(const struct component *c, struct str name);
void component_stopped(struct component *c);
/* The whole server is to end in an orderly way, or to start anew. Tells the other processes'
 * components, whose names may be on other machines; the one that asks goes a second later, so that
 * they still find it. */
void component_halt(struct component *c, bool restart);

/* The components there are; each is defined in its own folder's <name>.c. */
extern const struct component_ops router_component, c2s_component, sm_component, resolver_component,
    s2s_component;

#endif
