/* Binding: names come and go (jabberd2.md 1.2). The order of the checks is jabberd2's, so that its
 * components see the error they expect. Everybody else is told when a name comes for the first time
 * or goes for the last. */
#include "router/router_impl.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "link/spread.h"

static bool plain_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        bool ok =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
        if (!ok)
            return false;
    }
    return s.len > 0 && s.len <= 1023;
}

bool router_prepare_name(struct str name, char *out, struct str *ret)
{
    size_t len = name.len;

    if (!name.data || len == 0 || len > 1023)
        return false;
    if (plain_name(name))
        memcpy(out, name.data, len);
    else if (!jid_prepare_domain(name, out, &len))
        return false;
    *ret = (struct str){out, len};
    return true;
}

/* --- presence of names --- */

#define NODES_MAX (NAME_MAX_PORTS * (sizeof((struct port *)0)->id + 1))

static void tell(struct port *to, struct str name, bool up, struct str nodes)
{
    link_send(to->link, packet_create_presence(name, up, nodes));
}

/* Who shares a name, so that others can foretell where it leads (link/spread.h); nothing when one
 * has it for itself. */
static struct str nodes_of(const struct name *n, struct buffer *out)
{
    if (n->kind != NAME_MULTI_TO || n->node_count < 2)
        return STR_NULL;
    for (uint32_t i = 0; i < n->node_count; i++)
        (void)buffer_printf(out, "%s%s", i ? " " : "", n->nodes[i].port->id);
    return buffer_str(out);
}

static void tell_others(struct port *except, struct str name, bool up, struct str nodes)
{
    LIST_EACH (it, &except->router->ports) {
        struct port *port = LIST_ENTRY(it, struct port, node);
        if (port != except && port->name_count)
            tell(port, name, up, nodes);
    }
}

/* Its aliases share its fate. */
void router_announce(struct port *port, const struct name *n, bool up)
{
    struct table *t = &port->router->table;
    struct name *other;
    struct buffer space;
    struct str nodes;

    buffer_init(&space, NODES_MAX);
    nodes = nodes_of(n, &space);
    if (!port->trunk) /* else its own router has said so */
        log_info(&port->router->component->log, "%.*s is %s (%s%s%.*s)", STR_ARG(name_str(n)),
                 up ? "online" : "offline", link_peer(port->link), nodes.len ? "; shared by " : "",
                 STR_ARG(nodes));
    tell_others(port, name_str(n), up, nodes);
    if (nodes.len && !port->trunk &&
        name_has_port(n, port)) /* who came last must know, too, with whom it shares */
        tell(port, name_str(n), up, nodes);
    for (size_t i = 0; (other = hash_next(&t->names, &i)) != NULL;)
        if (other->alias_of == n)
            tell_others(port, name_str(other), up, nodes);
    buffer_finish(&space);
}

void router_announce_alias(struct router *r, const struct name *alias, bool up)
{
    if (!alias->alias_of->node_count || alias->alias_of->await)
        return;
    LIST_EACH (it, &r->ports) {
        struct port *port = LIST_ENTRY(it, struct port, node);
        if (port->name_count && !name_has_port(alias->alias_of, port))
            tell(port, name_str(alias), up, STR_NULL);
    }
}

static void tell_newcomer(struct port *port)
{
    struct table *t = &port->router->table;
    struct name *n;

    for (size_t i = 0; (n = hash_next(&t->names, &i)) != NULL;) {
        const struct name *bound = n->alias_of ? n->alias_of : n;
        struct buffer space;
        if (!bound->node_count || bound->await || name_has_port(bound, port))
            continue;
        buffer_init(&space, NODES_MAX);
        tell(port, name_str(n), true, nodes_of(bound, &space));
        buffer_finish(&space);
    }
}

/* --- bind --- */

static void answer(struct port *port, enum packet_kind kind, int error, unsigned flags)
{
    struct packet *reply = packet_create_control(kind, STR_NULL, flags);

    reply->error = error;
    link_send(port->link, reply);
}

static void log_refusal(struct port *port, const struct packet *p, int error, const char *what)
{
    struct router *r = port->router;

    if (log_limit_pass(&r->refused_limit, loop_now(r->component->env->loop), &r->component->log))
        log_warn(&r->component->log, "%s as %.*s may not bind \"%.*s\" (error %d): %s",
                 link_peer(port->link), STR_ARG(link_user(port->link)), STR_ARG(p->name), error,
                 what);
}

/* 0 or the code of jabberd2.md 1.2, and why. */
static int check_bind(const struct port *port, struct str name, unsigned flags,
                      const char **ret_why)
{
    const struct table *t = &port->router->table;
    const struct name *n = table_entry(t, name);
    bool multi = flags & (PACKET_BIND_MULTI | PACKET_BIND_MULTI_FROM);
    bool own = str_eq(link_user(port->link), name);

    *ret_why = "its user's acl lacks `bind`; add it in router.users";
    if (!own && !(port->acl & ACL_BIND))
        return ROUTE_FORBIDDEN;
    *ret_why = "somebody else has it";
    if (n && n->node_count && !multi)
        return ROUTE_CONFLICT;
    /* External components (XEP-0114) come in several instances, but join nobody else. */
    *ret_why = "it belongs to another user";
    if (n && n->node_count && !(port->acl & ACL_BIND) &&
        !str_eq(link_user(n->nodes[0].port->link), link_user(port->link)))
        return ROUTE_CONFLICT;
    *ret_why = "it is an alias";
    if (n && n->alias_of)
        return ROUTE_CONFLICT;
    *ret_why = "its user's acl lacks `default-route`; add it in router.users";
    if ((flags & PACKET_BIND_DEFAULT) && !(port->acl & ACL_DEFAULT))
        return ROUTE_FORBIDDEN;
    *ret_why = "there are too many default routes";
    if ((flags & PACKET_BIND_DEFAULT) && t->default_count == TABLE_MAX_DEFAULTS)
        return ROUTE_CONFLICT;
    *ret_why = "its user's acl lacks `log`; add it in router.users";
    if ((flags & PACKET_BIND_LOG) && !(port->acl & ACL_LOG))
        return ROUTE_FORBIDDEN;
    *ret_why = "too many names";
    if (port->name_count == ROUTER_MAX_NAMES)
        return ROUTE_FORBIDDEN;
    return ROUTE_OK;
}

static enum name_kind kind_of(unsigned flags)
{
    if (flags & PACKET_BIND_MULTI)
        return NAME_MULTI_TO;
    return flags & PACKET_BIND_MULTI_FROM ? NAME_MULTI_FROM : NAME_SINGLE;
}

static bool id_taken(const struct name *n, const char *id)
{
    for (uint32_t i = 0; n && i < n->node_count; i++)
        if (strcmp(n->nodes[i].port->id, id) == 0)
            return true;
    return false;
}

/* A port is called by its first name. Instances of an external component have nothing but that:
 * they are numbered, and one that comes again gets the share it had. */
void router_call_port(struct port *port, struct str name)
{
    const struct name *n = table_entry(&port->router->table, name);
    unsigned number = 1;

    (void)snprintf(port->id, sizeof(port->id), "%.*s", STR_ARG(name));
    while (id_taken(n, port->id))
        (void)snprintf(port->id, sizeof(port->id), "%.*s#%u",
                       (int)(name.len < 240 ? name.len : 240), name.data, ++number);
    port->node_id = spread_node(str_of(port->id));
}

static void take_name(struct port *port, struct name *n)
{
    struct port_name *pn = MEM_NEW(struct port_name);

    pn->name = n;
    list_push(&port->names, &pn->node);
    port->name_count++;
}

static int bind_name(struct port *port, struct str name, unsigned flags, struct name **ret,
                     const char **ret_why)
{
    struct table *t = &port->router->table;
    int error = check_bind(port, name, flags, ret_why);

    if (error)
        return error;
    if (port->name_count == 0)
        router_call_port(port, name);
    *ret_why = "it is bound in another way, or by this component already";
    if (table_bind(t, name, kind_of(flags), port, port->node_id, flags & PACKET_BIND_LOG, ret) !=
        ERR_OK)
        return ROUTE_CONFLICT;
    if (flags & PACKET_BIND_DEFAULT)
        (void)table_set_default(t, *ret);
    take_name(port, *ret);
    port->receipts |= (flags & PACKET_BIND_RECEIPTS) != 0;
    return ROUTE_OK;
}

void router_bind(struct port *port, struct packet *p)
{
    unsigned flags = p->bind_flags;
    const char *why = "the name is missing or malformed";
    char buffer[1024];
    struct str name;
    struct name *n = NULL;
    int error = ROUTE_BAD_REQUEST;

    if (router_prepare_name(p->name, buffer, &name))
        error = bind_name(port, name, flags, &n, &why);
    if (error)
        log_refusal(port, p, error, why);
    answer(port, PACKET_BIND, error, flags);
    if (!error && !router_await_bound(port->router, n, p->nodes)) {
        router_announce(port, n, true);
        router_trunks_tell(port, n, true);
    }
    packet_destroy(p);
    if (!error && port->name_count == 1)
        tell_newcomer(port);
}

/* --- components of other loops --- */

unsigned router_bind_flags(const struct name *n, const struct port *port)
{
    unsigned flags = n->is_default ? PACKET_BIND_DEFAULT : 0;

    if (n->kind != NAME_SINGLE)
        flags |= n->kind == NAME_MULTI_TO ? PACKET_BIND_MULTI : PACKET_BIND_MULTI_FROM;
    for (uint32_t i = 0; i < n->node_count; i++)
        if (n->nodes[i].port == port && n->nodes[i].log)
            flags |= PACKET_BIND_LOG;
    return flags;
}

bool router_bind_mirror(struct port *mirror, struct str name, unsigned flags)
{
    struct table *t = &mirror->router->table;
    bool log = flags & PACKET_BIND_LOG;
    struct name *n;

    if (table_bind(t, name, kind_of(flags), mirror, mirror->node_id, log, &n) != ERR_OK)
        return false;
    if (flags & PACKET_BIND_DEFAULT)
        (void)table_set_default(t, n);
    mirror->trunk->log_sinks += log;
    take_name(mirror, n);
    if (!router_await_bound(mirror->router, n, STR_NULL))
        router_announce(mirror, n, true);
    return true;
}

/* --- unbind --- */

static void unbind_name(struct port *port, struct port_name *pn)
{
    struct name *n = pn->name;
    bool awaited, last;

    list_remove(&pn->node);
    free(pn);
    port->name_count--;
    if (port->trunk)
        port->trunk->log_sinks -= (router_bind_flags(n, port) & PACKET_BIND_LOG) != 0;
    else if (!n->await)
        router_trunks_tell(port, n, false);
    awaited = n->await != NULL;
    last = table_unbind(&port->router->table, n, port);
    if (last && awaited)
        router_await_over(n);
    if (!awaited)
        router_announce(port, n, !last);
    if (last)
        table_drop_if_unused(&port->router->table, n);
}

static struct port_name *find_name(struct port *port, struct str name)
{
    LIST_EACH (it, &port->names) {
        struct port_name *pn = LIST_ENTRY(it, struct port_name, node);
        if (str_eq(name_str(pn->name), name))
            return pn;
    }
    return NULL;
}

void router_unbind(struct port *port, struct packet *p)
{
    char buffer[1024];
    struct str name;
    struct port_name *pn = NULL;
    int error = ROUTE_BAD_REQUEST;

    if (router_prepare_name(p->name, buffer, &name)) {
        pn = find_name(port, name);
        error = pn ? ROUTE_OK : ROUTE_NOT_FOUND;
    }
    packet_destroy(p);
    answer(port, PACKET_UNBIND, error, 0);
    if (pn)
        unbind_name(port, pn);
}

void router_unbind_mirror(struct port *mirror, struct str name)
{
    struct port_name *pn = find_name(mirror, name);

    if (pn)
        unbind_name(mirror, pn);
}

void router_unbind_all(struct port *port)
{
    while (!list_empty(&port->names))
        unbind_name(port, LIST_ENTRY(port->names.next, struct port_name, node));
}
