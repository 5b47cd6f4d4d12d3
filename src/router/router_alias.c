/* Aliases: further names of a bound name (router.aliases). Reading them anew keeps those that stay,
 * so that nobody is told that a name went which did not. */
#include "router/router_impl.h"

#include <stdlib.h>

#include "base/mem.h"

struct wanted {
    char *name, *target;
};

struct wanted_list {
    struct wanted *items;
    size_t count;
};

static void wanted_finish(struct wanted_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].name);
        free(list->items[i].target);
    }
    free(list->items);
}

static bool parse_item(const char *item, struct wanted *ret)
{
    struct str rest = str_of(item), name, target, prepared_name, prepared_target;
    char name_space[1024], target_space[1024];

    if (!str_split(&rest, '=', &name) || !str_split(&rest, '=', &target) || rest.data ||
        !router_prepare_name(name, name_space, &prepared_name) ||
        !router_prepare_name(target, target_space, &prepared_target))
        return false;
    *ret = (struct wanted){str_dup(prepared_name), str_dup(prepared_target)};
    return true;
}

static enum error complain(const struct router *r, const char *item, enum error e)
{
    log_error(&r->component->log,
              "router.aliases: \"%s\": %s; write alias=name, where the alias is bound by nobody "
              "and the name is no "
              "alias itself",
              item, error_text(e));
    return ERR_CONFIG;
}

static enum error parse_all(const struct router *r, struct wanted_list *ret)
{
    const struct config_list *list = &r->component->env->config->router_aliases;

    *ret = (struct wanted_list){mem_alloc_array(list->count + 1, sizeof(*ret->items)), 0};
    for (size_t i = 0; i < list->count; i++) {
        if (!parse_item(list->items[i], &ret->items[ret->count])) {
            wanted_finish(ret);
            return complain(r, list->items[i], ERR_MALFORMED);
        }
        ret->count++;
    }
    return ERR_OK;
}

enum error router_aliases_check(const struct router *r)
{
    struct wanted_list list;
    enum error e = parse_all(r, &list);

    if (e != ERR_OK)
        return e;
    for (size_t i = 0; i < list.count && e == ERR_OK; i++) {
        const struct name *there = table_entry(&r->table, str_of(list.items[i].name));
        if (there && !there->alias_of && there->node_count > 0)
            e = complain(r, list.items[i].name, ERR_EXISTS);
    }
    wanted_finish(&list);
    return e;
}

static bool stays(const struct name *alias, const struct wanted_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (str_is(name_str(alias), list->items[i].name) &&
            str_is(name_str(alias->alias_of), list->items[i].target))
            return true;
    return false;
}

/* Finding one may free another entry: so one at a time. */
static struct name *find_unwanted(const struct table *t, const struct wanted_list *list)
{
    struct name *n;

    for (size_t i = 0; (n = hash_next(&t->names, &i)) != NULL;)
        if (n->alias_of && !stays(n, list))
            return n;
    return NULL;
}

static enum error add(struct router *r, const struct wanted *w)
{
    struct table *t = &r->table;
    struct str name = str_of(w->name);
    struct name *there = table_entry(t, name);
    enum error e = ERR_OK;

    if (there && there->alias_of && str_is(name_str(there->alias_of), w->target))
        return ERR_OK;
    e = table_alias(t, name, str_of(w->target));
    if (e == ERR_OK)
        router_announce_alias(r, table_entry(t, name), true);
    return e;
}

enum error router_aliases_load(struct router *r)
{
    struct wanted_list list;
    struct name *n;
    enum error e = parse_all(r, &list);

    if (e != ERR_OK)
        return e;
    while ((n = find_unwanted(&r->table, &list)) != NULL) {
        router_announce_alias(r, n, false);
        table_unalias(&r->table, n);
    }
    for (size_t i = 0; i < list.count && e == ERR_OK; i++) {
        e = add(r, &list.items[i]);
        if (e != ERR_OK)
            e = complain(r, list.items[i].name, e);
    }
    wanted_finish(&list);
    return e;
}
