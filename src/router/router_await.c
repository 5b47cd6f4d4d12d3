/* Names that are awaited. After a lost router the components come back one by one. Who bound a name
 * together with others says with whom when it binds it again (the `nodes` of a bind), and until
 * those are there, too, nobody is told of the name and what is sent to it waits here: the first one
 * back would otherwise get what belongs to all. Those who do not come within ROUTER_AWAIT_MS are
 * given up; the others have the name then. */
#include "router/router_impl.h"

#include <stdlib.h>

#include "base/mem.h"

struct await {
    struct list node; /* of router->awaits */
    struct router *router;
    struct name *name;
    struct list packets;
    size_t bytes;
    struct loop_timer timer;
    char nodes[]; /* who is expected */
};

static bool has_node(const struct name *n, struct str id)
{
    for (uint32_t i = 0; i < n->node_count; i++)
        if (str_is(id, n->nodes[i].port->id))
            return true;
    return false;
}

/* The first of `nodes` that has not bound the name; data == NULL: none. */
static struct str missing(const struct name *n, struct str nodes)
{
    struct str one;

    while (str_split(&nodes, ' ', &one))
        if (one.len && !has_node(n, one))
            return one;
    return STR_NULL;
}

/* Who waits gets his packet back from `list`, or it goes on. */
static void end(struct await *a, struct list *packets)
{
    loop_timer_stop(&a->timer);
    list_remove(&a->node);
    a->name->await = NULL;
    list_init(packets);
    list_move_all(packets, &a->packets);
    free(a);
}

static void announce(struct name *n)
{
    for (uint32_t i = 0; i < n->node_count; i++)
        if (!n->nodes[i].port->trunk)
            router_trunks_tell(n->nodes[i].port, n, true);
    router_announce(n->nodes[0].port, n, true);
}

static void finish(struct await *a)
{
    struct name *n = a->name;
    struct list packets, *node;

    end(a, &packets);
    announce(n);
    while ((node = list_pop(&packets)) != NULL)
        router_send_to(n, LIST_ENTRY(node, struct packet, node));
}

static void on_timer(struct loop_timer *timer)
{
    struct await *a = MEM_CONTAINER(timer, struct await, timer);

    log_warn(&a->router->component->log,
             "%.*s did not come back to share %.*s within %d s; the others have it now",
             STR_ARG(missing(a->name, str_of(a->nodes))), STR_ARG(name_str(a->name)),
             ROUTER_AWAIT_MS / 1000);
    finish(a);
}

static void begin(struct router *r, struct name *n, struct str nodes)
{
    struct await *a = mem_alloc(sizeof(*a) + nodes.len + 1);

    a->router = r;
    a->name = n;
    memcpy(a->nodes, nodes.data, nodes.len);
    list_init(&a->packets);
    list_push(&r->awaits, &a->node);
    loop_timer_init(&a->timer, r->component->env->loop, on_timer);
    loop_timer_start(&a->timer, ROUTER_AWAIT_MS);
    n->await = a;
    log_info(&r->component->log, "%.*s waits until all who shared it are back: %s",
             STR_ARG(name_str(n)), a->nodes);
}

bool router_await_bound(struct router *r, struct name *n, struct str nodes)
{
    if (!n->await && n->node_count == 1 && missing(n, nodes).data)
        begin(r, n, nodes);
    else if (n->await && !missing(n, str_of(n->await->nodes)).data)
        finish(n->await);
    else
        return n->await != NULL;
    return true;
}

void router_await_over(struct name *n)
{
    struct list packets, *node;
    struct router *r = n->await->router;

    end(n->await, &packets);
    while ((node = list_pop(&packets)) != NULL)
        router_return(r, LIST_ENTRY(node, struct packet, node), ROUTE_NOT_FOUND);
}

void router_await_hold(struct name *n, struct packet *p)
{
    struct await *a = n->await;

    p->queued = packet_size(p);
    if (a->bytes + p->queued > (size_t)a->router->component->env->config->router_max_queue) {
        router_return(a->router, p, ROUTE_NO_ROOM);
        return;
    }
    a->bytes += p->queued;
    list_push(&a->packets, &p->node);
}

void router_await_finish(struct router *r)
{
    while (!list_empty(&r->awaits)) {
        struct list packets, *node;
        end(LIST_ENTRY(r->awaits.next, struct await, node), &packets);
        while ((node = list_pop(&packets)) != NULL)
            packet_destroy(LIST_ENTRY(node, struct packet, node));
    }
}
