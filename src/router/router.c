/* Router: knows who is where and forwards packets; it never looks inside one. In one process it is
 * a lookup between two local links; for other processes it listens on TCP and speaks the component
 * protocol of jabberd2.md 1.2. */
#include "router/router_impl.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "component/identity.h"
#include "component/secret.h"

/* --- ports --- */

void router_port_destroy(struct port *port)
{
    struct list *node;

    loop_timer_stop(&port->stall);
    list_remove(&port->node);
    port->router->port_count--;
    while ((node = list_pop(&port->throttle_queue)) != NULL)
        packet_destroy(LIST_ENTRY(node, struct packet, node));
    if (!port->trunk)
        link_close(port->link);
    free(port);
}

static void on_packet(void *owner, struct packet *p)
{
    struct port *port = owner;

    port->received++;
    switch (p->kind) {
    case PACKET_STANZA:
    case PACKET_SESSION:
    case PACKET_LOG:
        router_route(port, p);
        break;
    case PACKET_BROADCAST:
        router_broadcast(port, p);
        break;
    case PACKET_BIND:
        router_bind(port, p);
        break;
    case PACKET_UNBIND:
        router_unbind(port, p);
        break;
    case PACKET_THROTTLE:
        router_throttle(port, p);
        break;
    case PACKET_PRESENCE: /* the router's to say, nobody else's */
        port->router->dropped++;
        packet_destroy(p);
        break;
    }
}

static void on_up(void *owner)
{
    struct port *port = owner;
    struct str name = link_user(port->link);
    const struct router_user *user = router_users_find(&port->router->users, name);

    port->acl = !name.data ? ACL_ALL : user ? user->acl : 0;
    if (name.data)
        log_info(&port->router->component->log, "%s connected as %.*s", link_peer(port->link),
                 STR_ARG(name));
}

/* Who never bound a name may be a stranger, and come again and again. */
static void say_gone(const struct port *port, const char *why)
{
    const struct router *r = port->router;
    const struct log *log = &r->component->log;

    if (port->name_count && !link_is_ended(port->link))
        log_warn(log, "%s (%s) is gone without a word: %s; %zu packets on their way to it go back",
                 port->id, link_peer(port->link), why, port->undelivered);
    else if (port->name_count ||
             log_limit_pass(&port->router->refused_limit, loop_now(r->component->env->loop), log))
        log_info(log, "%s (%s) is gone: %s", port->id, link_peer(port->link), why);
}

/* What its link had queued has come back already; what the throttle held goes back here. */
static void on_down(void *owner, const char *why)
{
    struct port *port = owner;
    struct list *node;

    say_gone(port, why);
    port->throttled = false;
    port->throttle_bytes = 0;
    while ((node = list_pop(&port->throttle_queue)) != NULL)
        router_undelivered(port, LIST_ENTRY(node, struct packet, node));
    router_unbind_all(port);
    router_release_waiters(port);
    router_stop_waiting(port);
    router_port_destroy(port);
}

void router_port_writable(struct port *port)
{
    if (port->stuck)
        log_info(&port->router->component->log, "%s takes packets again", port->id);
    port->stuck = false;
    router_release_waiters(port);
}

static void on_writable(void *owner)
{
    router_port_writable(owner);
}

static void on_undelivered(void *owner, struct packet *p)
{
    ((struct port *)owner)->undelivered++;
    router_undelivered(owner, p);
}

static const struct link_events port_events = {
    .packet = on_packet,
    .up = on_up,
    .down = on_down,
    .writable = on_writable,
    .undelivered = on_undelivered,
};

static void on_stall(struct loop_timer *timer)
{
    struct port *port = MEM_CONTAINER(timer, struct port, stall);

    log_warn(&port->router->component->log,
             "%s has taken nothing for %d s with %zu bytes queued; others no longer wait for it",
             port->id, ROUTER_STALL_MS / 1000, router_port_queued(port));
    port->stuck = true;
    router_release_waiters(port);
}

struct port *router_port_create(struct router *r, struct link *link, const char *id)
{
    struct port *port = MEM_NEW(struct port);

    port->router = r;
    port->link = link;
    (void)snprintf(port->id, sizeof(port->id), "%s", id);
    list_init(&port->node);
    list_init(&port->names);
    list_init(&port->throttle_queue);
    list_init(&port->waiting);
    list_init(&port->waiters);
    list_init(&port->mirrors);
    loop_timer_init(&port->stall, r->component->env->loop, on_stall);
    r->port_count++;
    return port;
}

static void attach(struct router *r, struct link *link, const char *id)
{
    struct port *port = router_port_create(r, link, id);

    list_push(&r->ports, &port->node);
    link_set_max(link, (size_t)r->component->env->config->router_max_queue);
    link_set_events(link, &port_events, port);
}

static void router_attach(struct component *c, struct link *end, const char *name)
{
    attach(c->state, end, name);
}

static void router_join(struct component *c, struct link *end, const char *name)
{
    router_trunk_create(c->state, end, name);
}

/* --- the listener --- */

static const char *secret_of(void *arg, struct str name)
{
    const struct router *r = arg;
    const struct router_user *user = router_users_find(&r->users, name);

    return user ? user->secret : NULL;
}

static const char *external_secret_of(void *arg, struct str name)
{
    const struct router *r = arg;
    const struct router_user *external = router_users_find(&r->externals, name);

    return external ? external->secret : NULL;
}

static void on_accept(void *arg, struct conn *conn)
{
    struct router *r = arg;
    struct component *c = r->component;
    const struct env *env = c->env;
    const struct link_tcp_server config = {
        .secret_of = secret_of,
        .arg = r,
        .tls = r->tls,
        .external_secret_of = external_secret_of,
        .external_max_stanza = (size_t)env->config->router_max_stanza,
        .pen = c->pen,
        .limit = &r->refused_limit,
    };
    struct link *link;

    if (r->port_count >= ROUTER_MAX_PORTS) {
        if (log_limit_pass(&r->refused_limit, loop_now(env->loop), &c->log))
            log_warn(&c->log, "refused %s: %d components are connected", conn_peer(conn)->ip,
                     ROUTER_MAX_PORTS);
        conn_close(conn, 0);
        return;
    }
    link = link_tcp_accept(env->loop, env->net, env->parsers, env->random, c->log, conn, &config);
    attach(r, link, link_peer(link));
}

/* One of a process's routers is where others connect. */
static bool listens(const struct router *r)
{
    const struct env *env = r->component->env;

    return env->config->router_port != 0 && env->seat == 0;
}

static enum error load_tls(struct router *r)
{
    const struct component *c = r->component;
    const struct config *config = c->env->config;
    struct identity_files files;
    char why[1024] = "";
    enum error e;

    if (!config->router_tls || !listens(r))
        return ERR_OK;
    e = identity_router(c->env, &files, why, sizeof(why));
    r->tls = tls_server_create();
    if (e == ERR_OK)
        e = tls_server_add(r->tls, config->router_address, files.cert, files.key, why, sizeof(why));
    if (e != ERR_OK)
        log_error(&c->log, "the router's certificate: %s", why);
    return e;
}

static enum error listen_tcp(struct router *r)
{
    const struct config *config = r->component->env->config;
    const struct log *log = &r->component->log;
    struct net_address at = {.port = (uint16_t)config->router_port};
    enum error e;

    if (!listens(r))
        return ERR_OK;
    (void)snprintf(at.ip, sizeof(at.ip), "%s", config->router_address);
    e = net_listen(r->component->env->net, &at, on_accept, r, &r->listener);
    if (e == ERR_OK)
        log_info(log, "components connect to %s:%u", at.ip, (unsigned)at.port);
    else
        log_error(log,
                  "cannot listen for components on %s:%u: %s; choose another router.address or "
                  "router.port, or 0 when no "
                  "component runs in a process of its own",
                  at.ip, (unsigned)at.port, error_text(e));
    return e;
}

/* --- ops --- */

static enum error load_users(struct router *r, struct router_users *users,
                             struct router_users *externals)
{
    const struct env *env = r->component->env;
    const struct config *config = env->config;
    char secret[256];
    enum error e = ERR_OK;
    bool wanted = config->router_port != 0;

    if (wanted)
        e = secret_load(env, "router-secret", config->router_secret_file, secret, sizeof(secret));
    if (e == ERR_OK)
        e = router_users_load(users, config, wanted ? secret : NULL, &r->component->log);
    mem_wipe(secret, sizeof(secret));
    if (e == ERR_OK)
        e = router_externals_load(externals, config, &r->component->log);
    return e;
}

static enum error router_start(struct component *c)
{
    struct router *r = MEM_NEW(struct router);
    uint64_t seed[2];
    enum error e;

    random_fill(c->env->random, seed, sizeof(seed));
    r->component = c;
    list_init(&r->ports);
    list_init(&r->trunks);
    list_init(&r->awaits);
    table_init(&r->table, seed);
    c->state = r;
    e = load_users(r, &r->users, &r->externals);
    if (e == ERR_OK)
        e = router_aliases_load(r);
    if (e == ERR_OK)
        e = load_tls(r);
    if (e == ERR_OK)
        e = listen_tcp(r);
    return e;
}

/* External components that nobody configures any more; with `all` the others, too. */
static void end_externals(struct router *r, bool all, enum stream_condition condition,
                          const char *why)
{
    LIST_EACH_SAFE (it, &r->ports) {
        struct link *link = LIST_ENTRY(it, struct port, node)->link;
        if (link_is_external(link) && (all || !router_users_find(&r->externals, link_user(link))))
            link_end(link, condition, why);
    }
}

static void router_revert(struct component *c)
{
    struct router *r = c->state;

    router_users_finish(&r->fresh.users);
    router_users_finish(&r->fresh.externals);
}

static enum error router_prepare(struct component *c)
{
    struct router *r = c->state;
    enum error e = load_users(r, &r->fresh.users, &r->fresh.externals);

    if (e == ERR_OK)
        e = router_aliases_check(r);
    if (e != ERR_OK)
        router_revert(c);
    return e;
}

static void take(struct router_users *to, struct router_users *from)
{
    router_users_finish(to);
    *to = *from;
    *from = (struct router_users){NULL, 0};
}

static void router_reload(struct component *c)
{
    struct router *r = c->state;

    take(&r->users, &r->fresh.users);
    take(&r->externals, &r->fresh.externals);
    LIST_EACH (it, &r->ports)
        if (link_is_up(LIST_ENTRY(it, struct port, node)->link))
            on_up(LIST_ENTRY(it, struct port, node));
    (void)router_aliases_load(r);
    /* RFC 6120 section 4.9.3.5: what its header's `to` names is served no more. */
    end_externals(r, false, STREAM_ERR_HOST_GONE, "it was taken out of router.components");
}

static void router_packet(struct component *c, struct packet *p)
{
    packet_destroy(p); /* the router has no link of its own: nothing comes this way */
}

static void router_stop(struct component *c)
{
    struct router *r = c->state;

    net_listener_close(r->listener);
    r->listener = NULL;
    end_externals(r, true, STREAM_ERR_SYSTEM_SHUTDOWN, "the server is stopping");
    component_stopped(c);
}

static void router_show(struct component *c, json_t *into)
{
    router_status(c->state, into);
}

static void router_destroy(struct component *c)
{
    struct router *r = c->state;

    if (!r)
        return;
    net_listener_close(r->listener);
    router_await_finish(r);
    while (!list_empty(&r->trunks))
        router_trunk_destroy(LIST_ENTRY(r->trunks.next, struct port, node));
    while (!list_empty(&r->ports)) {
        struct port *port = LIST_ENTRY(r->ports.next, struct port, node);
        while (!list_empty(&port->names))
            free(LIST_ENTRY(list_pop(&port->names), struct port_name, node));
        router_port_destroy(port);
    }
    router_users_finish(&r->users);
    router_users_finish(&r->externals);
    router_revert(c);
    table_finish(&r->table);
    tls_server_unref(r->tls);
    free(r);
    c->state = NULL;
}

const struct component_ops router_component = {
    .name = "router",
    .per_loop = true,
    .start = router_start,
    .packet = router_packet,
    .prepare = router_prepare,
    .reload = router_reload,
    .revert = router_revert,
    .stop = router_stop,
    .status = router_show,
    .destroy = router_destroy,
    .attach = router_attach,
    .join = router_join,
};
