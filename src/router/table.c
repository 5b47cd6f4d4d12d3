/* Table: the router's names. Entries are found by hash; aliases are entries that point at another.
 */
#include "router/table.h"

#include <stdlib.h>

#include "base/mem.h"
#include "link/spread.h"

void table_init(struct table *t, const uint64_t seed[2])
{
    hash_init(&t->names, seed);
    t->default_count = 0;
    t->log_sinks = 0;
}

static void name_destroy(struct name *n)
{
    free(n->nodes);
    free(n);
}

void table_finish(struct table *t)
{
    struct name *n;

    for (size_t i = 0; (n = hash_next(&t->names, &i)) != NULL;)
        name_destroy(n);
    hash_finish(&t->names);
}

struct name *table_entry(const struct table *t, struct str name)
{
    return hash_get(&t->names, name);
}

struct name *table_find(const struct table *t, struct str name)
{
    struct name *n = hash_get(&t->names, name);

    if (n && n->alias_of)
        n = n->alias_of;
    return n && n->node_count ? n : NULL;
}

bool name_has_port(const struct name *n, const struct port *port)
{
    for (uint32_t i = 0; i < n->node_count; i++)
        if (n->nodes[i].port == port)
            return true;
    return false;
}

static struct name *entry_make(struct table *t, struct str name)
{
    struct name *n = hash_get(&t->names, name);

    if (n)
        return n;
    n = mem_alloc(sizeof(*n) + name.len + 1);
    n->len = name.len;
    memcpy(n->text, name.data, name.len);
    hash_put(&t->names, name_str(n), n);
    return n;
}

static bool is_alias_target(const struct table *t, const struct name *target)
{
    struct name *n;

    for (size_t i = 0; (n = hash_next(&t->names, &i)) != NULL;)
        if (n->alias_of == target)
            return true;
    return false;
}

void table_drop_if_unused(struct table *t, struct name *n)
{
    if (n->node_count || n->alias_of || is_alias_target(t, n))
        return;
    hash_del(&t->names, name_str(n));
    name_destroy(n);
}

enum error table_bind(struct table *t, struct str name, enum name_kind kind, struct port *port,
                      uint64_t node_id, bool log, struct name **ret)
{
    struct name *n = hash_get(&t->names, name);

    if (n && (n->alias_of || name_has_port(n, port)))
        return ERR_EXISTS;
    if (n && n->node_count && (kind == NAME_SINGLE || n->kind != kind))
        return ERR_EXISTS;
    if (n && n->node_count == NAME_MAX_PORTS)
        return ERR_FULL;
    n = entry_make(t, name);
    n->kind = kind;
    n->nodes = mem_realloc(n->nodes, (n->node_count + 1) * sizeof(*n->nodes));
    n->nodes[n->node_count++] = (struct node){port, node_id, log};
    t->log_sinks += log;
    *ret = n;
    return ERR_OK;
}

bool table_unbind(struct table *t, struct name *n, const struct port *port)
{
    for (uint32_t i = 0; i < n->node_count; i++) {
        if (n->nodes[i].port != port)
            continue;
        t->log_sinks -= n->nodes[i].log;
        n->nodes[i] = n->nodes[--n->node_count];
        break;
    }
    if (n->node_count)
        return false;
    for (size_t i = 0; i < t->default_count; i++)
        if (t->defaults[i] == n)
            t->defaults[i] = t->defaults[--t->default_count];
    n->is_default = false;
    return true;
}

bool table_set_default(struct table *t, struct name *n)
{
    if (n->is_default)
        return true;
    if (t->default_count == TABLE_MAX_DEFAULTS)
        return false;
    t->defaults[t->default_count++] = n;
    n->is_default = true;
    return true;
}

struct name *table_pick_default(const struct table *t, struct str domain)
{
    struct name *picked = t->default_count ? t->defaults[0] : NULL;
    uint64_t hash, best = 0;

    if (t->default_count < 2)
        return picked;
    hash = spread_key(domain);
    for (size_t i = 0; i < t->default_count; i++) {
        uint64_t w = spread_weight(hash, spread_node(name_str(t->defaults[i])));
        if (w > best) {
            best = w;
            picked = t->defaults[i];
        }
    }
    return picked;
}

/* --- aliases --- */

enum error table_alias(struct table *t, struct str name, struct str target)
{
    struct name *at = hash_get(&t->names, target), *n = hash_get(&t->names, name);

    if (str_eq(name, target) || (at && at->alias_of))
        return ERR_INVALID;
    if (n)
        return ERR_EXISTS;
    at = entry_make(t, target);
    entry_make(t, name)->alias_of = at;
    return ERR_OK;
}

void table_unalias(struct table *t, struct name *alias)
{
    struct name *target = alias->alias_of;

    hash_del(&t->names, name_str(alias));
    name_destroy(alias);
    table_drop_if_unused(t, target);
}

/* --- spreading --- */

struct node *name_pick(const struct name *n, struct str key)
{
    uint64_t hash, best = 0;
    struct node *node = &n->nodes[0];

    if (n->node_count == 1)
        return node;
    hash = spread_key(key);
    for (uint32_t i = 0; i < n->node_count; i++) {
        uint64_t w = spread_weight(hash, n->nodes[i].id);
        if (w > best || (w == best && n->nodes[i].id < node->id)) {
            best = w;
            node = &n->nodes[i];
        }
    }
    return node;
}
