/* Names: ours at the router, and who else is there. After a lost link ours are bound again, and
 * refused ones are asked for again every second (a router may still hold the dead connection they
 * belonged to). */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "component/component_impl.h"
#include "link/spread.h"

#define COMPONENT_BIND_RETRY_MS 1000

struct bound_name {
    struct list node;
    unsigned flags;
    bool refused; /* ask again when the timer fires */
    char *nodes;  /* who shared it when the router was lost; NULL: nobody */
    size_t len;
    char name[];
};

/* A request the router has not answered: answers carry no name (jabberd2.md 1.2) but come in order.
 */
struct request {
    struct list node;
    bool bind;
    size_t len;
    char name[];
};

struct peer {
    size_t len;
    char *nodes; /* who shares it; NULL: one alone, or not known */
    char name[];
};

static struct str bound_str(const struct bound_name *b)
{
    return (struct str){b->name, b->len};
}

static void bound_free(struct bound_name *b)
{
    free(b->nodes);
    free(b);
}

/* --- names --- */

static void ask(struct component *c, struct str name, struct packet *request)
{
    struct request *r = mem_alloc(sizeof(*r) + name.len + 1);

    r->bind = request->kind == PACKET_BIND;
    r->len = name.len;
    memcpy(r->name, name.data, name.len);
    list_push(&c->impl->requests, &r->node);
    link_send(c->link, request);
}

static void ask_bind(struct component *c, const struct bound_name *b)
{
    struct str name = bound_str(b);

    ask(c, name, packet_create_bind(name, b->flags, str_of(b->nodes)));
}

static struct bound_name *find_bound(struct component *c, struct str name)
{
    LIST_EACH (it, &c->impl->binds) {
        struct bound_name *b = LIST_ENTRY(it, struct bound_name, node);
        if (str_eq(bound_str(b), name))
            return b;
    }
    return NULL;
}

void component_bind(struct component *c, struct str name, unsigned flags)
{
    struct bound_name *b = find_bound(c, name);

    if (b)
        return;
    b = mem_alloc(sizeof(*b) + name.len + 1);
    b->flags = flags;
    b->len = name.len;
    memcpy(b->name, name.data, name.len);
    list_push(&c->impl->binds, &b->node);
    if (c->link && link_is_up(c->link))
        ask_bind(c, b);
}

void component_unbind(struct component *c, struct str name)
{
    struct bound_name *b = find_bound(c, name);

    if (!b)
        return;
    if (c->link && link_is_up(c->link) && !b->refused)
        ask(c, name, packet_create_control(PACKET_UNBIND, name, 0));
    list_remove(&b->node);
    bound_free(b);
}

static void on_retry(struct loop_timer *timer)
{
    struct component_impl *impl = MEM_CONTAINER(timer, struct component_impl, retry);
    struct component *c = impl->owner;

    if (!link_is_up(c->link))
        return;
    LIST_EACH (it, &impl->binds) {
        struct bound_name *b = LIST_ENTRY(it, struct bound_name, node);
        if (b->refused) {
            b->refused = false;
            ask_bind(c, b);
        }
    }
}

static const char *refusal_text(int error)
{
    switch (error) {
    case 400:
        return "the name is not valid; choose letters, digits, '-' and '.'";
    case 403:
        return "this user may not bind it; see router.users on the router";
    case 409:
        return "it is taken by another component, or is an alias; give each its own id";
    default:
        return "see the router's log";
    }
}

static void on_bind_answer(struct component *c, struct request *r, int error)
{
    struct str name = {r->name, r->len};
    struct bound_name *b = find_bound(c, name);

    if (!b)
        return; /* unbound meanwhile */
    if (error) {
        b->refused = true;
        if (!loop_timer_running(&c->impl->retry))
            loop_timer_start(&c->impl->retry, COMPONENT_BIND_RETRY_MS);
        if (log_limit_pass(&c->impl->refused_limit, loop_now(c->env->loop), &c->log))
            log_warn(&c->log, "the router refused the name %.*s (error %d): %s", STR_ARG(name),
                     error, refusal_text(error));
    }
    if (c->ops->bound)
        c->ops->bound(c, name, error);
}

void component_names_answer(struct component *c, const struct packet *p)
{
    struct list *node = list_pop(&c->impl->requests);
    struct request *r;

    if (!node) {
        log_warn(&c->log, "the router answered a request that was never made");
        return;
    }
    r = LIST_ENTRY(node, struct request, node);
    if (r->bind)
        on_bind_answer(c, r, p->error);
    free(r);
}

static void forget_requests(struct component *c)
{
    struct list *node;

    while ((node = list_pop(&c->impl->requests)) != NULL)
        free(LIST_ENTRY(node, struct request, node));
}

/* --- who else is there --- */

static void peer_free(struct peer *peer)
{
    free(peer->nodes);
    free(peer);
}

void component_names_peer_up(struct component *c, struct str name, struct str nodes)
{
    struct peer *peer = hash_get(&c->impl->peers, name);

    if (peer && (peer->nodes ? str_is(nodes, peer->nodes) : !nodes.len))
        return; /* no news */
    if (!peer) {
        peer = mem_alloc(sizeof(*peer) + name.len + 1);
        peer->len = name.len;
        memcpy(peer->name, name.data, name.len);
        hash_put(&c->impl->peers, (struct str){peer->name, peer->len}, peer);
    }
    free(peer->nodes);
    peer->nodes = nodes.len ? str_dup(nodes) : NULL;
    if (c->ops->peer)
        c->ops->peer(c, (struct str){peer->name, peer->len}, true);
}

void component_names_peer_down(struct component *c, struct str name)
{
    struct peer *peer = hash_del(&c->impl->peers, name);

    if (!peer)
        return;
    if (c->ops->peer)
        c->ops->peer(c, (struct str){peer->name, peer->len}, false);
    peer_free(peer);
}

static void forget_peers(struct component *c, bool tell)
{
    struct peer *peer;

    for (size_t i = 0; (peer = hash_next(&c->impl->peers, &i)) != NULL;) {
        hash_del(&c->impl->peers, (struct str){peer->name, peer->len});
        if (tell && c->ops->peer)
            c->ops->peer(c, (struct str){peer->name, peer->len}, false);
        peer_free(peer);
    }
}

/* With whom our names are shared: the next router learns it from us, and waits for them. What is
 * not known now was not known before, or the names are not whole yet (router_await.c). */
static void remember_nodes(struct component *c)
{
    LIST_EACH (it, &c->impl->binds) {
        struct bound_name *b = LIST_ENTRY(it, struct bound_name, node);
        const struct peer *peer = hash_get(&c->impl->peers, bound_str(b));
        if (!peer)
            continue;
        free(b->nodes);
        b->nodes = peer->nodes ? mem_strdup(peer->nodes) : NULL;
    }
}

struct str component_owner(const struct component *c, struct str name, struct str key)
{
    const struct peer *peer = hash_get(&c->impl->peers, name);

    return peer && peer->nodes ? spread_pick(str_of(peer->nodes), key) : STR_NULL;
}

void component_peers(const struct component *c, void (*fn)(void *arg, struct str name), void *arg)
{
    const struct peer *peer;

    for (size_t i = 0; (peer = hash_next(&c->impl->peers, &i)) != NULL;)
        fn(arg, (struct str){peer->name, peer->len});
}

size_t component_owners(const struct component *c, struct str name)
{
    const struct peer *peer = hash_get(&c->impl->peers, name);
    struct str rest = peer ? str_of(peer->nodes) : STR_NULL, one;
    size_t count = 0;

    while (str_split(&rest, ' ', &one))
        count += one.len > 0;
    return count;
}

bool component_peer_up(const struct component *c, struct str name)
{
    return hash_get(&c->impl->peers, name) != NULL;
}

/* --- life --- */

void component_names_init(struct component *c)
{
    struct component_impl *impl = c->impl;
    uint64_t seed[2];

    random_fill(c->env->random, seed, sizeof(seed));
    list_init(&impl->binds);
    list_init(&impl->requests);
    hash_init(&impl->peers, seed);
    loop_timer_init(&impl->retry, c->env->loop, on_retry);
}

void component_names_finish(struct component *c)
{
    struct list *node;

    loop_timer_stop(&c->impl->retry);
    forget_requests(c);
    forget_peers(c, false);
    hash_finish(&c->impl->peers);
    while ((node = list_pop(&c->impl->binds)) != NULL)
        bound_free(LIST_ENTRY(node, struct bound_name, node));
}

void component_names_ask(struct component *c)
{
    LIST_EACH (it, &c->impl->binds) {
        struct bound_name *b = LIST_ENTRY(it, struct bound_name, node);
        b->refused = false;
        ask_bind(c, b);
    }
}

void component_names_lost(struct component *c)
{
    loop_timer_stop(&c->impl->retry);
    forget_requests(c);
    remember_nodes(c);
    forget_peers(c, true);
}

json_t *component_names_list(const struct component *c)
{
    json_t *names = json_array();

    LIST_EACH (it, &c->impl->binds) {
        const struct bound_name *b = LIST_ENTRY(it, const struct bound_name, node);
        if (!b->refused)
            json_array_append_new(names, json_stringn_nocheck(b->name, b->len));
    }
    return names;
}
