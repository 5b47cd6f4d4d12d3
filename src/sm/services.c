/* A service is a name that somebody bound below a served domain. There are few: a list does. */
#include "sm/services.h"

#include <stdlib.h>
#include "base/mem.h"

struct service {
    struct list node; /* in sm->services */
    size_t len;
    char name[];
};

static struct str service_name(const struct service *s)
{
    return (struct str){s->name, s->len};
}

static bool below(struct str name, struct str domain)
{
    return name.len > domain.len + 1 && name.data[name.len - domain.len - 1] == '.' &&
           memcmp(name.data + name.len - domain.len, domain.data, domain.len) == 0;
}

/* A component of a name without a dot is nobody's in particular: every domain shows it. */
static bool lonely(const struct sm *sm, struct str name)
{
    return !memchr(name.data, '.', name.len) && domains_is_component(sm->c->env->config, name);
}

static bool concerns(const struct sm *sm, struct str name)
{
    for (size_t i = 0; i < sm->domains.count; i++)
        if (below(name, str_of(sm->domains.names[i])))
            return sm_domain(sm, name) == NULL;
    return lonely(sm, name);
}

static struct service *find(const struct sm *sm, struct str name)
{
    LIST_EACH (it, &sm->services) {
        struct service *s = LIST_ENTRY(it, struct service, node);
        if (str_eq(service_name(s), name))
            return s;
    }
    return NULL;
}

static void add_peer(void *arg, struct str name)
{
    services_peer(arg, name, true);
}

void services_peer(struct sm *sm, struct str name, bool up)
{
    if (!concerns(sm, name))
        return;
    struct service *s = find(sm, name);
    if (up && !s) {
        s = mem_alloc(sizeof *s + name.len + 1);
        s->len = name.len;
        memcpy(s->name, name.data, name.len);
        list_push(&sm->services, &s->node);
    } else if (!up && s) {
        list_remove(&s->node);
        free(s);
    }
}

void services_reload(struct sm *sm)
{
    services_finish(sm);
    component_peers(sm->c, add_peer, sm);
}

void services_write(const struct sm *sm, struct str domain, struct builder *b)
{
    LIST_EACH (it, &sm->services) {
        const struct service *s = LIST_ENTRY(it, struct service, node);
        if (!below(service_name(s), domain) && !lonely(sm, service_name(s)))
            continue;
        builder_start(b, STR("item"), STR_NULL);
        builder_attr(b, STR("jid"), service_name(s));
        builder_end(b);
    }
}

void services_finish(struct sm *sm)
{
    struct list *node;
    while ((node = list_pop(&sm->services)))
        free(LIST_ENTRY(node, struct service, node));
}
