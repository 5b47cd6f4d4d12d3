/* Component: what every instance has in common - its link, its names on the router, who else is
 * there. Control packets become calls of the ops; after a lost link the names are bound again, and
 * refused ones are asked for again every second (a router may still hold the dead connection they
 * belonged to). */
#include "component/component.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "link/spread.h"
#include "xml/builder.h"
#include "xmpp/namespaces.h"

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

struct component_impl {
    char *id;
    struct list binds, requests;
    struct hash peers; /* name -> struct peer, those that are up */
    struct loop_timer retry;
    struct loop_timer halt; /* runs between component_halt and the end */
    bool restart;
    uint64_t started, received, sent, bounced;
    struct log_limit refused_limit;
    struct component *owner;
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

static void on_answer(struct component *c, const struct packet *p)
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

/* Repeated when others share the name than before. */
static void peer_up(struct component *c, struct str name, struct str nodes)
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

static void peer_down(struct component *c, struct str name)
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

/* --- the link's events --- */

/* --- the end of the whole server, as an administrator asks for it: <halt [restart='1']/> --- */

#define HALT_LAST_MS 1000u

static void ask_for_halt(struct component *c)
{
    const struct env *env = c->env;

    if (env->halt)
        env->halt(env->halt_arg, c->impl->restart);
}

static void on_halt(struct loop_timer *timer)
{
    ask_for_halt(MEM_CONTAINER(timer, struct component_impl, halt)->owner);
}

void component_halt(struct component *c, bool restart)
{
    struct packet *p = packet_create(PACKET_BROADCAST, STR_NULL, str_of(c->id));
    struct builder *b = builder_create(STR("halt"), NS_INTERNAL);

    builder_attr(b, STR("restart"), restart ? STR("1") : STR_NULL);
    p->stanza = builder_finish(b);
    component_send(c, p);
    c->impl->restart = restart;
    loop_timer_start(&c->impl->halt, HALT_LAST_MS);
}

/* True, and the packet is gone: another component has asked. */
static bool halt_heard(struct component *c, struct packet *p)
{
    if (p->error || !p->stanza || !stanza_is(p->stanza, STANZA_ROOT, STR("halt"), NS_INTERNAL))
        return false;
    c->impl->restart = stanza_attr(p->stanza, STANZA_ROOT, STR("restart")).data != NULL;
    ask_for_halt(c);
    packet_destroy(p);
    return true;
}

static void on_packet(void *owner, struct packet *p)
{
    struct component *c = owner;

    switch (p->kind) {
    case PACKET_BROADCAST:
        if (halt_heard(c, p))
            return;
        /* fall through */
    case PACKET_STANZA:
    case PACKET_SESSION:
    case PACKET_LOG:
        c->impl->received++;
        c->impl->bounced += p->error != 0;
        c->ops->packet(c, p);
        return;
    case PACKET_PRESENCE:
        if (p->up)
            peer_up(c, p->name, p->nodes);
        else
            peer_down(c, p->name);
        break;
    case PACKET_BIND:
    case PACKET_UNBIND:
        on_answer(c, p);
        break;
    case PACKET_THROTTLE: /* the echo of a request that no component of ours makes */
        break;
    }
    packet_destroy(p);
}

static void on_up(void *owner)
{
    struct component *c = owner;

    LIST_EACH (it, &c->impl->binds) {
        struct bound_name *b = LIST_ENTRY(it, struct bound_name, node);
        b->refused = false;
        ask_bind(c, b);
    }
    if (c->ops->link_state)
        c->ops->link_state(c, true);
}

static void on_down(void *owner, const char *why)
{
    struct component *c = owner;

    log_warn(&c->log, "lost the router (%s): %s", link_peer(c->link), why);
    loop_timer_stop(&c->impl->retry);
    forget_requests(c);
    remember_nodes(c);
    forget_peers(c, true);
    if (c->ops->link_state)
        c->ops->link_state(c, false);
}

static void on_writable(void *owner)
{
    struct component *c = owner;

    if (c->ops->writable)
        c->ops->writable(c);
}

static const struct link_events events = {
    .packet = on_packet,
    .up = on_up,
    .down = on_down,
    .writable = on_writable,
};

/* --- life --- */

struct component *component_create(const struct component_ops *ops, const struct env *env,
                                   const char *id)
{
    struct component *c = MEM_NEW(struct component);
    struct component_impl *impl = MEM_NEW(struct component_impl);
    uint64_t seed[2];

    random_fill(env->random, seed, sizeof(seed));
    impl->id = mem_strdup(id ? id : ops->name);
    impl->owner = c;
    impl->started = loop_now(env->loop);
    list_init(&impl->binds);
    list_init(&impl->requests);
    hash_init(&impl->peers, seed);
    loop_timer_init(&impl->retry, env->loop, on_retry);
    loop_timer_init(&impl->halt, env->loop, on_halt);
    c->impl = impl;
    c->ops = ops;
    c->env = env;
    c->id = impl->id;
    c->log = env->log;
    c->log.component = impl->id;
    c->pen = (struct ledger_pen){env->ledger, env->loop, str_of(impl->id)};
    return c;
}

void component_attach_local(struct component *c, struct component *router)
{
    struct link *end;

    link_local_pair(c->env->loop, c->id, &c->link, &end);
    link_set_events(c->link, &events, c);
    router->ops->attach(router, end, c->id);
}

void component_join(struct component *a, struct component *b)
{
    struct link *end_a, *end_b;

    link_thread_pair(a->env->loop, b->env->loop, a->id, b->id, &end_a, &end_b);
    a->ops->join(a, end_a, b->id);
    b->ops->join(b, end_b, a->id);
}

void component_attach_tcp(struct component *c, const struct link_tcp_config *config)
{
    c->link = link_tcp_connect(c->env->loop, c->env->net, c->env->parsers, c->env->random, c->log,
                               config);
    link_set_events(c->link, &events, c);
}

enum error component_start(struct component *c)
{
    if (c->link)
        component_bind(c, str_of(c->id), c->ops->bind_flags | PACKET_BIND_RECEIPTS);
    return c->ops->start(c);
}

void component_stop(struct component *c)
{
    if (c->ops->stop)
        c->ops->stop(c);
    else
        component_stopped(c);
}

void component_stopped(struct component *c)
{
    c->stopped = true;
}

void component_destroy(struct component *c)
{
    struct list *node;

    if (!c)
        return;
    if (c->ops->destroy)
        c->ops->destroy(c);
    link_close(c->link);
    loop_timer_stop(&c->impl->retry);
    loop_timer_stop(&c->impl->halt);
    forget_requests(c);
    forget_peers(c, false);
    hash_finish(&c->impl->peers);
    while ((node = list_pop(&c->impl->binds)) != NULL)
        bound_free(LIST_ENTRY(node, struct bound_name, node));
    free(c->impl->id);
    free(c->impl);
    free(c);
}

enum error component_prepare(struct component *c)
{
    return c->ops->prepare ? c->ops->prepare(c) : ERR_OK;
}

void component_commit(struct component *c)
{
    if (c->ops->reload)
        c->ops->reload(c);
}

void component_revert(struct component *c)
{
    if (c->ops->revert)
        c->ops->revert(c);
}

enum error component_reload(struct component *c)
{
    enum error e = component_prepare(c);

    if (e == ERR_OK)
        component_commit(c);
    return e;
}

static json_t *link_status(struct component *c)
{
    json_t *names = json_array();

    LIST_EACH (it, &c->impl->binds) {
        struct bound_name *b = LIST_ENTRY(it, struct bound_name, node);
        if (!b->refused)
            json_array_append_new(names, json_stringn_nocheck(b->name, b->len));
    }
    return json_pack("{s:s, s:b, s:I, s:o, s:I}", "peer", link_peer(c->link), "up",
                     (int)link_is_up(c->link), "queued", (json_int_t)link_queued(c->link), "names",
                     names, "peers", (json_int_t)c->impl->peers.count);
}

void component_count(json_t *into, const char *name, uint64_t value)
{
    json_object_set_new(into, name, json_integer((json_int_t)value));
}

json_t *component_status(struct component *c)
{
    json_t *status = json_pack("{s:i, s:I}", "pid", (int)getpid(), "uptime",
                               (json_int_t)((loop_now(c->env->loop) - c->impl->started) / 1000));

    if (c->link) {
        json_object_set_new(status, "link", link_status(c));
        component_count(status, "received", c->impl->received);
        component_count(status, "sent", c->impl->sent);
        component_count(status, "bounced", c->impl->bounced);
    }
    if (c->ops->status)
        c->ops->status(c, status);
    return status;
}

bool component_settled(const struct component *c)
{
    return !c->link || (link_is_up(c->link) && list_empty(&c->impl->requests));
}

struct str component_common_name(const struct component *c)
{
    struct str id = str_of(c->id);
    const char *dash = c->env->seats > 1 && c->ops->per_loop ? strrchr(c->id, '-') : NULL;

    return dash ? (struct str){id.data, (size_t)(dash - c->id)} : id;
}

/* --- for ops --- */

void component_send(struct component *c, struct packet *p)
{
    c->impl->sent++;
    link_send(c->link, p);
}

bool component_full(const struct component *c)
{
    return link_full(c->link);
}
