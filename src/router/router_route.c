/* Routing: where a packet goes, in one hash lookup, and what happens when it cannot: it is turned
 * around with the code of jabberd2.md 1.2. A packet that already is an error goes no further (loop
 * guard).
 *
 * Back-pressure: a port whose packet made another's queue long is not read until that queue has
 * shrunk. One that takes nothing at all for some seconds is declared stuck; then its packets bounce
 * and nobody waits for it. */
#include "link/frame.h"
#include "link/handled.h"
#include "router/router_impl.h"
#include "xmpp/namespaces.h"

/* --- moving --- */

size_t router_port_queued(const struct port *port)
{
    return link_queued(port->link) + port->throttle_bytes;
}

static bool comes_back(const struct packet *p)
{
    return p->error == 0 && (p->kind == PACKET_STANZA || p->kind == PACKET_SESSION);
}

static void hold(struct port *to, struct packet *p)
{
    p->queued = packet_size(p);
    if (to->throttle_bytes + p->queued >
        (size_t)to->router->component->env->config->router_max_queue) {
        router_undelivered(to, p);
        return;
    }
    to->throttle_bytes += p->queued;
    list_push(&to->throttle_queue, &p->node);
}

static void drop(struct router *r, struct packet *p)
{
    r->dropped++;
    ledger_note(&r->component->pen, LEDGER_DROPPED, p->trace, p->route_to,
                STR("nobody takes it, nor its return"));
    packet_destroy(p);
}

/* What goes from one of our processes to another stays sealed (link/frame.h). Who needs what is
 * inside opens it here; false: it was malformed and is gone. */
static bool open_packet(struct router *r, struct packet *p)
{
    const struct env *env = r->component->env;

    if (frame_open(p, env->parsers))
        return true;
    if (log_limit_pass(&r->bounce_limit, loop_now(env->loop), &r->component->log))
        log_warn(&r->component->log, "dropped from %.*s: a malformed address or stanza",
                 STR_ARG(p->route_from));
    drop(r, p);
    return false;
}

void router_deliver(struct port *to, struct packet *p)
{
    if (!link_takes_sealed(to->link) && !open_packet(to->router, p))
        return;
    if (to->throttled) {
        hold(to, p);
    } else if (to->stuck) {
        router_undelivered(to, p);
    } else {
        to->sent++;
        link_send(to->link, p);
    }
}

static void bounce_to(struct port *port, struct packet *p, int error)
{
    struct router *r = port->router;

    if (!open_packet(r, p))
        return;
    r->bounced++;
    ledger_note(&r->component->pen, LEDGER_RETURNED, p->trace, p->route_to,
                error == ROUTE_NO_ROOM ? STR("too much is queued for it") : STR("it is not there"));
    packet_bounce(p, error);
    router_deliver(port, p);
}

/* Who has sent it, when he can be told that it did not arrive. */
static struct port *sender_of(const struct router *r, const struct packet *p)
{
    struct name *from =
        comes_back(p) && p->route_from.data ? table_find(&r->table, p->route_from) : NULL;

    return from ? name_pick(from, p->from ? jid_bare(p->from) : p->route_to)->port : NULL;
}

/* A packet did not reach `port`: to whoever sent it. */
void router_undelivered(struct port *port, struct packet *p)
{
    struct router *r = port->router;
    int error = link_is_up(port->link) ? ROUTE_NO_ROOM : ROUTE_NOT_FOUND;
    struct port *sender;

    if (!open_packet(r, p))
        return;
    sender = sender_of(r, p);
    if (!sender) {
        drop(r, p);
        return;
    }
    if (error == ROUTE_NO_ROOM &&
        log_limit_pass(&r->bounce_limit, loop_now(r->component->env->loop), &r->component->log))
        log_warn(&r->component->log,
                 "%s is too slow: %zu bytes are queued for it; packets for it bounce", port->id,
                 router_port_queued(port));
    bounce_to(sender, p, error);
}

/* --- waiting --- */

void router_stop_waiting(struct port *port)
{
    if (list_empty(&port->waiting))
        return;
    list_remove(&port->waiting);
    link_resume(port->link);
}

void router_release_waiters(struct port *port)
{
    loop_timer_stop(&port->stall);
    while (!list_empty(&port->waiters))
        router_stop_waiting(LIST_ENTRY(port->waiters.next, struct port, waiting));
}

static void wait_for(struct port *port, struct port *slow)
{
    if (!list_empty(&port->waiting))
        return;
    list_push(&slow->waiters, &port->waiting);
    link_pause(port->link);
    if (!loop_timer_running(&slow->stall))
        loop_timer_start(&slow->stall, ROUTER_STALL_MS);
}

/* For a component that knows nothing of receipts (jabberd2's, XEP-0114's) the last of us who sees
 * the stanza answers: it has been written to that component's stream. */
static void vouch(const struct router *r, struct packet *p)
{
    struct name *origin = table_find(&r->table, jid_full(p->receipt.origin));

    if (origin)
        router_deliver(origin->nodes[0].port, handled_create(jid_full(p->receipt.origin),
                                                             p->route_to, &p->receipt.number, 1));
    p->receipt.number = 0;
}

static void hand_over(struct router *r, struct port *target, struct packet *p)
{
    r->routed++;
    if (p->receipt.number && !target->receipts && !target->trunk) {
        if (!open_packet(r, p))
            return;
        vouch(r, p);
    }
    router_deliver(target, p);
}

static void send_on(struct port *source, struct port *target, struct packet *p)
{
    hand_over(source->router, target, p);
    if (!target->throttled && !target->stuck && link_full(target->link))
        wait_for(source, target);
}

/* --- where to --- */

/* The key that spreads a name over its nodes: the bare JID in the payload, read from the packet or
 * the stanza. */
static struct node *pick_by(const struct name *n, struct jid *jid, const struct packet *p,
                            struct str attribute, struct str fallback)
{
    struct jid *parsed = NULL;
    struct node *node;

    if (!jid && p->stanza)
        jid = parsed = jid_parse(stanza_attr(p->stanza, STANZA_ROOT, attribute));
    node = name_pick(n, jid && jid->local_len ? jid_bare(jid) : fallback);
    jid_unref(parsed);
    return node;
}

/* Without a user to go by (a query to the domain itself) the sender's address decides: any node can
 * answer, and one sender's packets stay in order. */
static struct node *pick_node(const struct name *n, const struct packet *p)
{
    struct str fallback;

    fallback = p->from ? jid_bare(p->from) : p->c2s.len ? session_id_str(&p->c2s) : p->route_from;
    if (n->kind == NAME_MULTI_FROM)
        return pick_by(n, p->from, p, STR("from"), fallback);
    return pick_by(n, p->kind == PACKET_SESSION ? p->target : p->to, p, STR("to"), fallback);
}

static struct port *target_of(const struct name *n, const struct packet *p)
{
    return (n->node_count == 1 ? &n->nodes[0] : pick_node(n, p))->port;
}

void router_send_to(struct name *n, struct packet *p)
{
    struct router *r = n->nodes[0].port->router;

    if (n->node_count == 1 || open_packet(r, p))
        hand_over(r, target_of(n, p), p);
}

void router_return(struct router *r, struct packet *p, int error)
{
    struct port *sender;

    if (!open_packet(r, p))
        return;
    sender = sender_of(r, p);
    if (sender)
        bounce_to(sender, p, error);
    else
        drop(r, p);
}

/* Names almost always come in the table's own form; only what is not found that way is prepared and
 * asked again. A whole JID is taken for its domain, as jabberd2 does. */
static struct name *find_name(const struct table *t, struct str text, bool *ret_valid)
{
    struct name *n = table_find(t, text);
    struct jid *jid;
    char buffer[1024];
    struct str prepared;

    *ret_valid = true;
    if (n)
        return n;
    if (router_prepare_name(text, buffer, &prepared))
        return str_eq(prepared, text) ? NULL : table_find(t, prepared);
    jid = jid_parse(text);
    *ret_valid = jid != NULL;
    n = jid ? table_find(t, jid_domain(jid)) : NULL;
    jid_unref(jid);
    return n;
}

/* Most ports have a handful of names: comparing them costs less than a lookup. */
static bool is_own_name(const struct port *port, struct str from)
{
    unsigned tried = 0;

    LIST_EACH (it, &port->names) {
        if (str_eq(name_str(LIST_ENTRY(it, struct port_name, node)->name), from))
            return true;
        if (++tried == 4)
            break;
    }
    return false;
}

static int check_from(struct port *port, struct str from)
{
    bool valid;
    struct name *n;

    if (!from.len)
        return ROUTE_BAD_REQUEST;
    if (is_own_name(port, from))
        return ROUTE_OK;
    n = find_name(&port->router->table, from, &valid);
    if (!valid)
        return ROUTE_BAD_REQUEST;
    return n && name_has_port(n, port) ? ROUTE_OK : ROUTE_NOT_BOUND;
}

/* Its own packets to nowhere must not come back to a default route as news; and what belongs to a
 * session is for the one who holds it, or comes back to be told so. Nor is DNS asked for a
 * component of ours that is away. */
static struct name *find_default(const struct router *r, const struct packet *p)
{
    const struct name *sender = table_find(&r->table, p->route_from);

    if (r->table.default_count == 0 || p->kind != PACKET_STANZA || p->c2s.len || p->sm.len ||
        (sender && sender->is_default) || router_users_find(&r->externals, p->route_to))
        return NULL;
    return table_pick_default(&r->table, p->route_to);
}

static int find_target(struct port *port, const struct packet *p, struct name **ret)
{
    bool valid;

    *ret = find_name(&port->router->table, p->route_to, &valid);
    if (!valid)
        return ROUTE_BAD_REQUEST;
    if (!*ret)
        *ret = find_default(port->router, p);
    return *ret ? ROUTE_OK : ROUTE_NOT_FOUND;
}

/* --- packets --- */

/* Between our own components: passwords of new accounts are in there. */
static bool is_internal(const struct packet *p)
{
    return p->stanza && str_eq(stanza_ns(p->stanza, STANZA_ROOT), NS_INTERNAL);
}

static void copy_to_logs(struct router *r, const struct packet *p)
{
    struct name *n;

    for (size_t i = 0; (n = hash_next(&r->table.names, &i)) != NULL;) {
        for (uint32_t k = 0; k < n->node_count; k++) {
            if (!n->nodes[k].log || n->nodes[k].port->trunk)
                continue;
            struct packet *copy = packet_copy(p);
            copy->kind = PACKET_LOG;
            r->logged++;
            router_deliver(n->nodes[k].port, copy);
        }
    }
}

/* One copy for each loop that has a log sink. */
static void copy_to_trunks(struct router *r, const struct packet *p)
{
    LIST_EACH (it, &r->trunks) {
        struct port *trunk = LIST_ENTRY(it, struct port, node);
        if (trunk->log_sinks) {
            struct packet *copy = packet_copy(p);
            copy->kind = PACKET_LOG;
            router_deliver(trunk, copy);
        }
    }
}

void router_route(struct port *port, struct packet *p)
{
    struct router *r = port->router;
    struct name *target;
    int error;

    if (p->error || p->kind == PACKET_LOG) {
        drop(r, p);
        return;
    }
    error = p->route_to.len ? check_from(port, p->route_from) : ROUTE_BAD_REQUEST;
    if (!error)
        error = find_target(port, p, &target);
    if (error) {
        bounce_to(port, p, error);
        return;
    }
    if ((r->table.log_sinks || target->node_count > 1) && !open_packet(r, p))
        return;
    if (r->table.log_sinks && !is_internal(p)) {
        copy_to_logs(r, p);
        copy_to_trunks(r, p);
    }
    if (target->await)
        router_await_hold(target, p);
    else
        send_on(port, target_of(target, p), p);
}

static void to_all(const struct port *except, struct packet *p)
{
    LIST_EACH (it, &except->router->ports) {
        struct port *other = LIST_ENTRY(it, struct port, node);
        if (other != except && other->name_count)
            router_deliver(other, packet_copy(p));
    }
    packet_destroy(p);
}

void router_broadcast(struct port *port, struct packet *p)
{
    struct router *r = port->router;
    int error;

    if (p->error) {
        drop(r, p);
        return;
    }
    error = check_from(port, p->route_from);
    if (error) {
        bounce_to(port, p, error);
        return;
    }
    r->broadcasts++;
    LIST_EACH (it, &r->trunks)
        router_deliver(LIST_ENTRY(it, struct port, node), packet_copy(p));
    to_all(port, p);
}

/* --- from other loops --- */

/* It may go on to a third loop, when its target has just moved there: the routers' tables differ
 * for as long as the news travels. An error was turned around where it happened and looks for the
 * one who is to hear it. */
void router_arrive(struct port *trunk, struct packet *p)
{
    struct router *r = trunk->router;
    struct name *target;

    if (p->kind == PACKET_BROADCAST) {
        to_all(trunk, p);
    } else if (p->kind == PACKET_LOG) {
        copy_to_logs(r, p);
        packet_destroy(p);
    } else if (p->error) {
        target = table_find(&r->table, p->route_to);
        if (target)
            router_deliver(name_pick(target, p->from ? jid_bare(p->from) : p->route_from)->port, p);
        else
            drop(r, p);
    } else if (find_target(trunk, p, &target) != ROUTE_OK) {
        router_return(r, p, ROUTE_NOT_FOUND);
    } else if (target->await) {
        router_await_hold(target, p);
    } else {
        send_on(trunk, target_of(target, p), p);
    }
}

/* A toggle: the first is echoed and holds what comes after it, the second lets it go
 * (jabberd2.md 1.2). */
void router_throttle(struct port *port, struct packet *p)
{
    struct list *node;

    link_send(port->link, p);
    port->throttled = !port->throttled;
    log_info(&port->router->component->log, "%s asks to %s its packets", port->id,
             port->throttled ? "hold" : "release");
    while (!port->throttled && (node = list_pop(&port->throttle_queue)) != NULL) {
        struct packet *held = LIST_ENTRY(node, struct packet, node);
        port->throttle_bytes -= held->queued;
        router_deliver(port, held);
    }
}
