/* Component: what every instance has in common - its link, its life, its end. Control packets
 * become calls of the ops; names are in component_names.c. */
#include "component/component_impl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "xml/builder.h"
#include "xmpp/namespaces.h"

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

/* --- the link's events --- */

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
            component_names_peer_up(c, p->name, p->nodes);
        else
            component_names_peer_down(c, p->name);
        break;
    case PACKET_BIND:
    case PACKET_UNBIND:
        component_names_answer(c, p);
        break;
    case PACKET_THROTTLE: /* the echo of a request that no component of ours makes */
        break;
    }
    packet_destroy(p);
}

static void on_up(void *owner)
{
    struct component *c = owner;

    component_names_ask(c);
    if (c->ops->link_state)
        c->ops->link_state(c, true);
}

static void on_down(void *owner, const char *why)
{
    struct component *c = owner;

    log_warn(&c->log, "lost the router (%s): %s", link_peer(c->link), why);
    component_names_lost(c);
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

    impl->id = mem_strdup(id ? id : ops->name);
    impl->owner = c;
    impl->started = loop_now(env->loop);
    loop_timer_init(&impl->halt, env->loop, on_halt);
    c->impl = impl;
    c->ops = ops;
    c->env = env;
    c->id = impl->id;
    c->log = env->log;
    c->log.component = impl->id;
    c->pen = (struct ledger_pen){env->ledger, env->loop, str_of(impl->id)};
    component_names_init(c);
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
    if (!c)
        return;
    if (c->ops->destroy)
        c->ops->destroy(c);
    link_close(c->link);
    loop_timer_stop(&c->impl->halt);
    component_names_finish(c);
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
    return json_pack("{s:s, s:b, s:I, s:o, s:I}", "peer", link_peer(c->link), "up",
                     (int)link_is_up(c->link), "queued", (json_int_t)link_queued(c->link), "names",
                     component_names_list(c), "peers", (json_int_t)c->impl->peers.count);
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
