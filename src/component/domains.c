/* Domains: see domains.h. */
#include "component/domains.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "xmpp/jid.h"

static void add(struct domains *d, char *name)
{
    d->names[d->count++] = name;
    hash_put(&d->index, str_of(name), name);
}

enum error domains_read(struct domains *d, const struct component *c)
{
    const struct config_list *names = &c->env->config->server_domains;
    char prepared[1024];
    uint64_t seed[2];
    size_t len;

    random_fill(c->env->random, seed, sizeof(seed));
    hash_init(&d->index, seed);
    d->names = mem_alloc_array(names->count + 1, sizeof(char *));
    for (size_t i = 0; i < names->count; i++) {
        if (!jid_prepare_domain(str_of(names->items[i]), prepared, &len)) {
            log_error(&c->log,
                      "%s: server.domains: '%s' is not a domain name; write one like example.com",
                      config_origin(c->env->config, "server.domains"), names->items[i]);
            return ERR_CONFIG;
        }
        if (!domains_find(d, (struct str){prepared, len}))
            add(d, mem_strndup(prepared, len));
    }
    if (d->count > 0)
        return ERR_OK;
    log_error(&c->log, "server.domains is empty: name at least one domain");
    return ERR_CONFIG;
}

const char *domains_find(const struct domains *d, struct str name)
{
    return hash_get(&d->index, name);
}

static size_t find_gone(const struct domains *d, struct str name)
{
    size_t i = 0;

    while (i < d->gone_count && !str_is(name, d->gone[i]))
        i++;
    return i;
}

bool domains_was_served(const struct domains *d, struct str name)
{
    return find_gone(d, name) < d->gone_count;
}

void domains_finish(struct domains *d)
{
    for (size_t i = 0; i < d->count; i++)
        free(d->names[i]);
    for (size_t i = 0; i < d->gone_count; i++)
        free(d->gone[i]);
    free(d->names);
    free(d->gone);
    hash_finish(&d->index);
    memset(d, 0, sizeof(*d));
}

/* Where a name of a fresh set stood before, in place of its own copy. */
static char *keep_place(struct domains *d, char *name)
{
    char *known = hash_get(&d->index, str_of(name));
    size_t i = find_gone(d, str_of(name));

    if (!known && i < d->gone_count) {
        known = d->gone[i];
        d->gone[i] = d->gone[--d->gone_count];
    }
    if (!known)
        return name;
    free(name);
    return known;
}

void domains_replace(struct domains *d, struct domains *fresh, domains_changed_fn changed,
                     void *arg)
{
    struct domains old = *d;

    d->gone = mem_realloc(d->gone, (old.gone_count + old.count + 1) * sizeof(char *));
    d->names = mem_alloc_array(fresh->count + 1, sizeof(char *));
    d->count = 0;
    for (size_t i = 0; i < fresh->count; i++)
        d->names[d->count++] = keep_place(d, fresh->names[i]);
    hash_init(&d->index, fresh->index.seed);
    for (size_t i = 0; i < d->count; i++)
        hash_put(&d->index, str_of(d->names[i]), d->names[i]);
    for (size_t i = 0; i < old.count; i++)
        if (!domains_find(d, str_of(old.names[i])))
            d->gone[d->gone_count++] = old.names[i];
    for (size_t i = 0; i < old.count; i++)
        if (!domains_find(d, str_of(old.names[i])))
            changed(arg, old.names[i], false);
    for (size_t i = 0; i < d->count; i++)
        if (!hash_get(&old.index, str_of(d->names[i])))
            changed(arg, d->names[i], true);
    free(old.names);
    hash_finish(&old.index);
    fresh->count = 0;
    domains_finish(fresh);
}

bool domains_is_component(const struct config *config, struct str name)
{
    const struct config_list *list = &config->router_components;
    char prepared[1024];
    size_t len;

    for (size_t i = 0; i < list->count; i++) {
        struct str rest = str_of(list->items[i]), text;
        if (str_split(&rest, ':', &text) && jid_prepare_domain(text, prepared, &len) &&
            str_eq((struct str){prepared, len}, name))
            return true;
    }
    return false;
}

static bool ends_with(struct str s, struct str end)
{
    return s.len >= end.len && memcmp(s.data + s.len - end.len, end.data, end.len) == 0;
}

bool domains_public(struct str name)
{
    const char *dot = memrchr(name.data, '.', name.len);
    bool number = dot != NULL && dot + 1 < name.data + name.len && dot[1] >= '0' && dot[1] <= '9';

    return dot != NULL && !number && !ends_with(name, STR(".localhost")) &&
           !memchr(name.data, ':', name.len);
}

bool domains_federate(const struct config *config)
{
    const struct config_list *domains = &config->server_domains;

    if (!config->s2s_enabled || config_given(config, "s2s.enabled"))
        return config->s2s_enabled;
    for (size_t i = 0; i < domains->count; i++)
        if (domains_public(str_of(domains->items[i])))
            return true;
    return false;
}
