/* Resolver: finds the servers of other domains. Of all components it alone speaks DNS. Equal
 * questions share one look-up; how many may wait is bounded. */
#include "resolver/resolver.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "resolver/answer.h"
#include "resolver/host_name.h"
#include "resolver/lookup.h"
#include "xmpp/namespaces.h"

/* One name that is being looked up, and who wants to know. */
struct pending {
    struct lookup *lookup;
    struct component *component;
    struct list askers;
    size_t asker_count;
    char name[DNS_NAME_MAX];
};

struct asker {
    struct list node;
    struct stanza *query;
    char from[]; /* the component that asked */
};

struct resolver {
    struct component *component;
    struct dns *dns;
    struct dns *fresh;   /* between the two steps of a reload */
    struct hash pending; /* by name */
    size_t askers;       /* of all pending */
    struct log_limit full_limit;
    uint64_t questions, lookups, literals, refused, results[LOOKUP_BOGUS + 1];
};

struct dns *resolver_dns(const struct component *c)
{
    const struct resolver *r = c->state;
    return r->dns;
}

static void reply(struct component *c, struct str to, struct stanza *answer)
{
    struct packet *p = packet_create(PACKET_STANZA, to, str_of(c->id));

    p->stanza = answer;
    component_send(c, p);
}

/* --- look-ups --- */

static void asker_destroy(struct asker *a)
{
    list_remove(&a->node);
    stanza_unref(a->query);
    free(a);
}

static void pending_destroy(struct resolver *r, struct pending *p)
{
    hash_del(&r->pending, str_of(p->name));
    r->askers -= p->asker_count;
    while (!list_empty(&p->askers))
        asker_destroy(LIST_ENTRY(p->askers.next, struct asker, node));
    lookup_destroy(p->lookup);
    free(p);
}

static void on_done(struct lookup *l)
{
    struct pending *p = l->owner;
    struct component *c = p->component;
    struct resolver *r = c->state;

    r->results[l->error]++;
    log_debug(&c->log, "%s: %s, %zu addresses", p->name,
              l->error == LOOKUP_OK ? "found" : answer_error_name(l->error), l->ip_count);
    LIST_EACH (it, &p->askers) {
        struct asker *a = LIST_ENTRY(it, struct asker, node);
        reply(c, str_of(a->from), answer_build(a->query, l));
    }
    pending_destroy(r, p);
}

static void begin(struct resolver *r, struct pending *p)
{
    const struct env *env = r->component->env;

    r->lookups++;
    lookup_destroy(p->lookup);
    p->lookup = lookup_create(r->dns, env->loop, env->random, p->name,
                              (uint64_t)env->config->resolver_timeout * 1000, on_done, p);
}

static struct pending *pending_of(struct resolver *r, const char *name)
{
    struct pending *p = hash_get(&r->pending, str_of(name));

    if (p)
        return p;
    p = MEM_NEW(struct pending);
    p->component = r->component;
    list_init(&p->askers);
    (void)snprintf(p->name, sizeof(p->name), "%s", name);
    hash_put(&r->pending, str_of(p->name), p);
    begin(r, p);
    return p;
}

static void add_asker(struct resolver *r, struct pending *p, struct str from, struct stanza *query)
{
    struct asker *a = mem_alloc(sizeof(*a) + from.len + 1);

    a->query = stanza_ref(query);
    memcpy(a->from, from.data, from.len);
    list_push(&p->askers, &a->node);
    p->asker_count++;
    r->askers++;
}

/* --- questions --- */

/* Too many wait already: the same as a server that does not answer, so that it is tried later. */
static void refuse(struct resolver *r, struct str from, const struct stanza *query)
{
    struct component *c = r->component;

    r->refused++;
    if (log_limit_pass(&r->full_limit, loop_now(c->env->loop), &c->log))
        log_warn(&c->log,
                 "%zu questions wait already; more are refused (resolver.max_pending is %lld)",
                 r->askers, (long long)c->env->config->resolver_max_pending);
    reply(c, from, answer_error(query, LOOKUP_TIMEOUT, 0));
}

static void question(struct resolver *r, struct str from, struct stanza *query)
{
    struct str name = stanza_attr(query, STANZA_ROOT, STR("name"));
    char ip[RDATA_IP_MAX], host[DNS_NAME_MAX];

    r->questions++;
    if (order_literal(name, ip)) {
        r->literals++;
        reply(r->component, from, answer_literal(query, ip));
    } else if (!host_name(name, host)) {
        r->results[LOOKUP_NOT_FOUND]++;
        reply(r->component, from, answer_error(query, LOOKUP_NOT_FOUND, 0));
    } else if (r->askers >= (size_t)r->component->env->config->resolver_max_pending) {
        refuse(r, from, query);
    } else {
        add_asker(r, pending_of(r, host), from, query);
    }
}

static bool is_question(const struct packet *p)
{
    return p->kind == PACKET_STANZA && p->error == 0 && p->stanza && p->route_from.len > 0 &&
           stanza_is(p->stanza, STANZA_ROOT, STR("resolve"), NS_RESOLVER) &&
           str_is(stanza_attr(p->stanza, STANZA_ROOT, STR("type")), "query") &&
           stanza_attr(p->stanza, STANZA_ROOT, STR("name")).len > 0;
}

static void resolver_packet(struct component *c, struct packet *p)
{
    if (is_question(p))
        question(c->state, p->route_from, p->stanza);
    packet_destroy(p); /* jabberd2's sm asks every component for its disco information: no answer */
}

/* --- ops --- */

static enum error open_dns(struct component *c, struct dns **ret)
{
    if (!loop_is_sim(c->env->loop))
        return dns_unbound_create(c->env->loop, c->env->config, &c->log, ret);
    *ret = dns_sim_create(c->env->loop);
    return ERR_OK;
}

static enum error resolver_start(struct component *c)
{
    struct resolver *r = MEM_NEW(struct resolver);
    uint64_t seed[2];

    c->state = r;
    r->component = c;
    random_fill(c->env->random, seed, sizeof(seed));
    hash_init(&r->pending, seed);
    /* Several share the name that is asked (jabberd2.md section 1.4), each with an id of its own.
     */
    if (!str_is(str_of(c->id), "resolver"))
        component_bind(c, STR("resolver"), PACKET_BIND_MULTI);
    return open_dns(c, &r->dns);
}

static enum error resolver_prepare(struct component *c)
{
    struct resolver *r = c->state;

    return loop_is_sim(c->env->loop) ? ERR_OK /* the table is the test's */
                                     : open_dns(c, &r->fresh);
}

static void resolver_revert(struct component *c)
{
    struct resolver *r = c->state;

    dns_destroy(r->fresh);
    r->fresh = NULL;
}

/* Servers, files and anchors may all have changed: what is under way begins anew. */
static void resolver_reload(struct component *c)
{
    struct resolver *r = c->state;
    struct dns *old = r->dns;
    struct pending *p;

    if (!r->fresh)
        return;
    r->dns = r->fresh;
    r->fresh = NULL;
    for (size_t i = 0; (p = hash_next(&r->pending, &i)) != NULL;)
        begin(r, p);
    dns_destroy(old);
}

static void resolver_status(struct component *c, json_t *into)
{
    const struct resolver *r = c->state;
    json_t *results = json_object();

    component_count(into, "questions", r->questions);
    component_count(into, "lookups", r->lookups);
    component_count(into, "literals", r->literals);
    component_count(into, "refused", r->refused);
    component_count(into, "pending", r->pending.count);
    component_count(into, "waiting", r->askers);
    for (int e = LOOKUP_OK; e <= LOOKUP_BOGUS; e++)
        json_object_set_new(results, e == LOOKUP_OK ? "found" : answer_error_name(e),
                            json_integer((json_int_t)r->results[e]));
    json_object_set_new(into, "results", results);
}

static void resolver_stop(struct component *c)
{
    component_stopped(c); /* who waits for an answer asks the next resolver */
}

static void resolver_destroy(struct component *c)
{
    struct resolver *r = c->state;
    struct pending *p;

    if (!r)
        return;
    for (size_t i = 0; (p = hash_next(&r->pending, &i)) != NULL;)
        pending_destroy(r, p);
    hash_finish(&r->pending);
    dns_destroy(r->dns);
    free(r);
    c->state = NULL;
}

const struct component_ops resolver_component = {
    .name = "resolver",
    .start = resolver_start,
    .packet = resolver_packet,
    .prepare = resolver_prepare,
    .reload = resolver_reload,
    .revert = resolver_revert,
    .stop = resolver_stop,
    .status = resolver_status,
    .destroy = resolver_destroy,
};
