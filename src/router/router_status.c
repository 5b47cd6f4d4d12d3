/* What `jackdaw status` shows of the router: names, links, counters. */
#include "router/router_impl.h"

static json_t *text(struct str s)
{
    return json_stringn_nocheck(s.data ? s.data : "", s.len);
}

static json_t *names_of(const struct router *r)
{
    json_t *names = json_object();
    struct name *n;

    for (size_t i = 0; (n = hash_next(&r->table.names, &i)) != NULL;) {
        json_t *entry = json_object(), *ports = json_array();
        if (n->alias_of)
            json_object_set_new(entry, "alias", text(name_str(n->alias_of)));
        for (uint32_t k = 0; k < n->node_count; k++)
            json_array_append_new(ports, json_string(n->nodes[k].port->id));
        json_object_set_new(entry, "components", ports);
        if (n->is_default)
            json_object_set_new(entry, "default", json_true());
        json_object_setn_new_nocheck(names, n->text, n->len, entry);
    }
    return names;
}

static void add_links(json_t *links, const struct list *ports, size_t *ret_queued)
{
    LIST_EACH (it, ports) {
        const struct port *port = LIST_ENTRY(it, struct port, node);
        json_t *entry =
            json_pack("{s:s, s:s, s:b, s:I, s:I, s:I, s:b}", "id", port->id, "peer",
                      link_peer(port->link), "up", (int)link_is_up(port->link), "queued",
                      (json_int_t)router_port_queued(port), "received", (json_int_t)port->received,
                      "sent", (json_int_t)port->sent, "throttled", (int)port->throttled);
        if (link_user(port->link).data)
            json_object_set_new(entry, "user", text(link_user(port->link)));
        json_array_append_new(links, entry);
        *ret_queued += router_port_queued(port);
    }
}

void router_status(const struct router *r, json_t *into)
{
    size_t queued = 0;
    json_t *links = json_array();

    add_links(links, &r->ports, &queued);
    add_links(links, &r->trunks, &queued);
    json_object_set_new(into, "names", names_of(r));
    json_object_set_new(into, "links", links);
    json_object_set_new(into, "counters",
                        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "routed", (json_int_t)r->routed,
                                  "bounced", (json_int_t)r->bounced, "dropped",
                                  (json_int_t)r->dropped, "broadcasts", (json_int_t)r->broadcasts,
                                  "log_copies", (json_int_t)r->logged, "queued",
                                  (json_int_t)queued));
    if (r->listener)
        json_object_set_new(into, "port", json_integer(net_listener_port(r->listener)));
}
