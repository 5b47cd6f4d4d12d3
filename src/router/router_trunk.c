/* Trunks: how the routers of one process, one on each loop, know the same names. Each tells the
 * others what its own components bind; a component of another loop is a port here, too - a mirror -
 * whose link is the trunk that leads to its loop. So a packet is looked up where it was sent and
 * crosses threads once, straight to the loop where its target lives. Names are given out by the
 * router of the loop that asked; ids within a process are distinct. */
#include "router/router_impl.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "link/spread.h"

static struct port *find_mirror(struct port *trunk, struct str id)
{
    LIST_EACH (it, &trunk->mirrors) {
        struct port *mirror = LIST_ENTRY(it, struct port, node);
        if (str_is(id, mirror->id))
            return mirror;
    }
    return NULL;
}

static struct port *make_mirror(struct port *trunk, struct str id)
{
    char text[sizeof(trunk->id)];
    struct port *mirror;

    (void)snprintf(text, sizeof(text), "%.*s", STR_ARG(id));
    mirror = router_port_create(trunk->router, trunk->link, text);
    mirror->trunk = trunk;
    mirror->node_id = spread_node(id);
    list_push(&trunk->mirrors, &mirror->node);
    return mirror;
}

static void end_mirror(struct port *mirror)
{
    router_unbind_all(mirror);
    router_release_waiters(mirror);
    router_port_destroy(mirror);
}

/* A name came or went at the other router. */
static void on_news(struct port *trunk, const struct packet *p)
{
    struct port *mirror = find_mirror(trunk, p->nodes);

    if (p->up) {
        if (!mirror)
            mirror = make_mirror(trunk, p->nodes);
        if (!router_bind_mirror(mirror, p->name, p->bind_flags))
            log_error(&trunk->router->component->log,
                      "%.*s was bound on two loops at once, by %s on %s, too: each loop keeps its "
                      "own; give each "
                      "component its own id",
                      STR_ARG(p->name), mirror->id, trunk->id);
    } else if (mirror) {
        router_unbind_mirror(mirror, p->name);
    }
    if (mirror && !mirror->name_count)
        end_mirror(mirror);
}

static void on_packet(void *owner, struct packet *p)
{
    struct port *trunk = owner;

    trunk->received++;
    switch (p->kind) {
    case PACKET_STANZA:
    case PACKET_SESSION:
    case PACKET_LOG:
    case PACKET_BROADCAST:
        router_arrive(trunk, p);
        return;
    case PACKET_PRESENCE:
        on_news(trunk, p);
        break;
    case PACKET_BIND:
    case PACKET_UNBIND:
    case PACKET_THROTTLE: /* never between routers */
        trunk->router->dropped++;
        break;
    }
    packet_destroy(p);
}

static void tell(struct port *trunk, const struct port *port, const struct name *n, bool up)
{
    struct packet *p = packet_create_presence(name_str(n), up, str_of(port->id));

    p->bind_flags = router_bind_flags(n, port);
    link_send(trunk->link, p);
}

void router_trunks_tell(const struct port *port, const struct name *n, bool up)
{
    LIST_EACH (it, &port->router->trunks)
        tell(LIST_ENTRY(it, struct port, node), port, n, up);
}

static void on_up(void *owner)
{
    struct port *trunk = owner;

    LIST_EACH (it, &trunk->router->ports) {
        struct port *port = LIST_ENTRY(it, struct port, node);
        LIST_EACH (name, &port->names)
            tell(trunk, port, LIST_ENTRY(name, struct port_name, node)->name, true);
    }
}

static void on_writable(void *owner)
{
    struct port *trunk = owner;

    router_port_writable(trunk);
    LIST_EACH (it, &trunk->mirrors)
        router_port_writable(LIST_ENTRY(it, struct port, node));
}

static void on_undelivered(void *owner, struct packet *p)
{
    router_undelivered(owner, p);
}

static void end_mirrors(struct port *trunk)
{
    while (!list_empty(&trunk->mirrors))
        end_mirror(LIST_ENTRY(trunk->mirrors.next, struct port, node));
}

/* Only when the process ends: the other loop's router has gone before ours. */
static void on_down(void *owner, const char *why)
{
    struct port *trunk = owner;

    log_debug(&trunk->router->component->log, "%s is gone: %s", trunk->id, why);
    end_mirrors(trunk);
    router_stop_waiting(trunk);
    router_release_waiters(trunk);
    router_port_destroy(trunk);
}

static const struct link_events trunk_events = {
    .packet = on_packet,
    .up = on_up,
    .down = on_down,
    .writable = on_writable,
    .undelivered = on_undelivered,
};

void router_trunk_create(struct router *r, struct link *link, const char *id)
{
    struct port *trunk = router_port_create(r, link, id);

    list_push(&r->trunks, &trunk->node);
    link_set_max(link, (size_t)r->component->env->config->router_max_queue);
    link_set_events(link, &trunk_events, trunk);
}

/* The whole router goes: nobody is told. */
void router_trunk_destroy(struct port *trunk)
{
    while (!list_empty(&trunk->mirrors)) {
        struct port *mirror = LIST_ENTRY(trunk->mirrors.next, struct port, node);
        while (!list_empty(&mirror->names))
            free(LIST_ENTRY(list_pop(&mirror->names), struct port_name, node));
        router_port_destroy(mirror);
    }
    router_port_destroy(trunk);
}
