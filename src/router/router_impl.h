/* Inside of the router, for src/router alone. A port is one attached component: its link, the names
 * it bound, what its user may do. router.c keeps ports, router_bind.c names, router_route.c moves
 * packets, router_users.c knows users, router_trunk.c joins the routers of one process,
 * router_await.c waits for those who are to come back. */
#ifndef JACKDAW_ROUTER_ROUTER_IMPL_H
#define JACKDAW_ROUTER_ROUTER_IMPL_H

#include "component/component.h"
#include "router/table.h"

#define ROUTER_MAX_PORTS 1000  /* connections of components, authenticated or not */
#define ROUTER_MAX_NAMES 10000 /* of one port */
#define ROUTER_STALL_MS  5000  /* how long others wait for a port that takes nothing */
#define ROUTER_AWAIT_MS  3000  /* how long a name waits for those who shared it before */

/* What a user may do beyond binding its own name (X-macro: names as in router.users). */
#define ROUTER_ACLS(X) X(BIND, "bind", 1) X(DEFAULT, "default-route", 2) X(LOG, "log", 4)
enum router_acl {
#define X(id, text, bit) ACL_##id = (bit),
    ROUTER_ACLS(X)
#undef X
        ACL_ALL = 7
};

struct router_user {
    char *name, *secret;
    unsigned acl;
};

struct router_users {
    struct router_user *items;
    size_t count;
};

/* Codes of a refused or bounced packet (jabberd2.md 1.2; 503: ours, a queue at its maximum). */
enum route_error {
    ROUTE_OK = 0,
    ROUTE_BAD_REQUEST = 400,
    ROUTE_NOT_BOUND = 401,
    ROUTE_FORBIDDEN = 403,
    ROUTE_NOT_FOUND = 404,
    ROUTE_CONFLICT = 409,
    ROUTE_NO_ROOM = 503,
};

struct router {
    struct component *component;
    struct table table;
    struct list ports;  /* components of this loop, and all that come over TCP */
    struct list trunks; /* ports that lead to the routers of other loops */
    struct list awaits; /* names that are not whole yet: router_await.c */
    size_t port_count;
    struct net_listener *listener;
    struct tls_server *tls; /* NULL: links are not encrypted */
    struct router_users users;
    struct router_users externals; /* router.components: names and secrets */
    struct {
        struct router_users users, externals;
    } fresh; /* between the two steps of a reload */
    struct log_limit refused_limit, bounce_limit;
    uint64_t routed, bounced, dropped, broadcasts, logged;
};

struct port_name {
    struct list node;
    struct name *name;
};

struct port {
    struct list node; /* of router->ports */
    struct router *router;
    struct link *link;
    struct list names; /* struct port_name */
    size_t name_count;
    uint64_t node_id;
    unsigned acl;
    bool throttled, stuck;
    bool receipts; /* it answers them itself */
    struct list throttle_queue;
    size_t throttle_bytes;
    struct list waiting; /* in another port's waiters, while this port's link is paused */
    struct list waiters; /* ports that wait for this one */
    struct loop_timer stall;
    struct port
        *trunk; /* not NULL: a component of another loop, behind this; the link is the trunk's */
    struct list mirrors; /* of a trunk: the components behind it */
    size_t log_sinks;    /* of a trunk: names bound as such behind it */
    uint64_t received, sent;
    size_t undelivered; /* came back from its link */
    char id[256];       /* its first name, else the peer's address: for status and log */
};

/* router.c */
struct port *router_port_create(struct router *r, struct link *link, const char *id);
void router_port_destroy(struct port *port); /* closes the link, unless it is its trunk's */
/* It takes packets again: link_events' `writable`. */
void router_port_writable(struct port *port);

/* router_users.c: reads router.users and the built-in user; `secret` is the built-in's. On failure
 * logs and keeps *users. */
enum error router_users_load(struct router_users *users, const struct config *config,
                             const char *secret, const struct log *log);
void router_users_finish(struct router_users *users);
/* The same for external components (router.components), whose names are domains. */
enum error router_externals_load(struct router_users *externals, const struct config *config,
                                 const struct log *log);
const struct router_user *router_users_find(const struct router_users *users, struct str name);

/* router_alias.c: makes the aliases those of the configuration and tells everybody what changed.
 * Logs what is wrong. */
enum error router_aliases_load(struct router *r);
/* Whether that can be done; changes nothing. */
enum error router_aliases_check(const struct router *r);

/* router_bind.c */
void router_bind(struct port *port, struct packet *p);   /* owns p: it is the answer */
void router_unbind(struct port *port, struct packet *p); /* likewise */
void router_unbind_all(struct port *port);               /* the port is gone */
/* Its name on the router is `name`; spreading goes by it. */
void router_call_port(struct port *port, struct str name);
/* The same for a component behind a trunk: whoever it is bound with has checked it. False when it
 * is taken here. */
bool router_bind_mirror(struct port *mirror, struct str name, unsigned flags);
void router_unbind_mirror(struct port *mirror, struct str name);
/* What a component of this loop has bound it with. */
unsigned router_bind_flags(const struct name *n, const struct port *port);
/* Tells everybody that a name came, went, or is shared by others than before; `port` is whose doing
 * it is. */
void router_announce(struct port *port, const struct name *n, bool up);
/* Tells everybody but those who have bound its target, if anybody has. */
void router_announce_alias(struct router *r, const struct name *alias, bool up);
/* A name in the form of the table: lower-case domain; false when malformed. `out` takes 1024 bytes.
 */
bool router_prepare_name(struct str name, char *out, struct str *ret);

/* router_route.c */
void router_route(struct port *port, struct packet *p); /* STANZA, SESSION, LOG */
void router_broadcast(struct port *port, struct packet *p);
void router_throttle(struct port *port, struct packet *p);
void router_deliver(struct port *to, struct packet *p); /* through the throttle */
void router_undelivered(struct port *port, struct packet *p);
void router_send_to(struct name *n, struct packet *p); /* what was held: to whom it belongs now */
void router_return(struct router *r, struct packet *p,
                   int error);                  /* to its sender, if he is there */
void router_release_waiters(struct port *port); /* `port` takes packets again, or is gone */
void router_stop_waiting(struct port *port);
size_t router_port_queued(const struct port *port);

/* A packet that came over a trunk; the other router has checked its sender. */
void router_arrive(struct port *trunk, struct packet *p);

/* router_trunk.c: the routers of one process have one table in common, each a copy of it. */
void router_trunk_create(struct router *r, struct link *link, const char *id);
void router_trunk_destroy(struct port *trunk);
/* Tells the other loops that a component of this one has bound a name, or no longer has. */
void router_trunks_tell(const struct port *port, const struct name *n, bool up);

/* router_await.c */
/* A name was bound again by one who shared it with `nodes` ("" or NULL: with nobody). True: who is
 * to be told has been, or will be when all are back. */
bool router_await_bound(struct router *r, struct name *n, struct str nodes);
/* An awaited name: p waits, or comes back. */
void router_await_hold(struct name *n, struct packet *p);
void router_await_over(struct name *n); /* nobody has it any more: what waited comes back */
void router_await_finish(struct router *r);

/* router_status.c */
void router_status(const struct router *r, json_t *into);

#endif
