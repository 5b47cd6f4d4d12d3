/* Table: which names there are and who bound them. Lookups cost one hash; a name bound by several
 * ports is spread over them by rendezvous hashing, so that a port coming or going moves only its
 * own share. Knows nothing of links. */
#ifndef JACKDAW_ROUTER_TABLE_H
#define JACKDAW_ROUTER_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "base/hash.h"
#include "base/str.h"

struct port;
struct await;

enum name_kind {
    NAME_SINGLE,
    NAME_MULTI_TO,  /* spread by the bare JID of the receiver */
    NAME_MULTI_FROM /* spread by the bare JID of the sender */
};

#define NAME_MAX_PORTS     256
#define TABLE_MAX_DEFAULTS 64

struct node {
    struct port *port;
    uint64_t id; /* spread_node of the port's own name */
    bool log;    /* bound here as a log sink */
};

struct name {
    size_t len;
    enum name_kind kind;
    struct name *alias_of; /* non-NULL: a configured alias; has no nodes of its own */
    struct node *nodes;
    uint32_t node_count;
    bool is_default;
    struct await *await; /* router_await.c; NULL: it is as it seems */
    char text[];
};

static inline struct str name_str(const struct name *n)
{
    return (struct str){n->text, n->len};
}

struct table {
    struct hash names;
    struct name *defaults[TABLE_MAX_DEFAULTS]; /* the default routes, spread by domain */
    size_t default_count;
    size_t log_sinks; /* nodes bound as such */
};

void table_init(struct table *t, const uint64_t seed[2]);
void table_finish(struct table *t);

/* The name a packet is for, aliases resolved; NULL when nobody has bound it. */
struct name *table_find(const struct table *t, struct str name);
/* As configured or bound, aliases not resolved. */
struct name *table_entry(const struct table *t, struct str name);
bool name_has_port(const struct name *n, const struct port *port);

/* Adds a port to a name. Errors: EXISTS (taken, an alias, or already bound by this port), FULL. */
enum error table_bind(struct table *t, struct str name, enum name_kind kind, struct port *port,
                      uint64_t node_id, bool log, struct name **ret);
/* Removes it; true when it was the last. The default route ends with its name. */
bool table_unbind(struct table *t, struct name *n, const struct port *port);
/* Makes it a default route, beside the others; false: there are too many. */
bool table_set_default(struct table *t, struct name *n);
/* Which of the default routes is for a domain: always the same one, so that what goes there stays
 * in order; NULL when there is none. */
struct name *table_pick_default(const struct table *t, struct str domain);

/* Makes `name` an alias of `target`. Errors: EXISTS (bound, or already an alias), INVALID (the
 * target is an alias). */
enum error table_alias(struct table *t, struct str name, struct str target);
void table_unalias(struct table *t, struct name *alias); /* frees it */

/* The node of a name for a key (a bare JID); the same for the same set of nodes, in every router.
 */
struct node *name_pick(const struct name *n, struct str key);

/* Frees a name nobody needs any more: no nodes, and nothing aliases it. */
void table_drop_if_unused(struct table *t, struct name *n);

#endif
