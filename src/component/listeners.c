/* Listeners: see listeners.h. */
#include "component/listeners.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct listener {
    struct listeners *all;
    struct net_listener *net;
    bool direct_tls;
};

struct listeners {
    struct listeners_config config;
    size_t count;
    struct listener each[];
};

static void on_accept(void *arg, struct conn *conn)
{
    const struct listener *l = arg;

    l->all->config.accept(l->all->config.owner, conn, l->direct_tls);
}

static const char *hint(enum error e)
{
    switch (e) {
    case ERR_ADDRESS_IN_USE:
        return "another program listens there: stop it, or choose another port in";
    case ERR_PERMISSION:
        return "give the service CAP_NET_BIND_SERVICE, or choose a port above 1023 in";
    default:
        return "see the addresses and ports in";
    }
}

/* A machine without IPv6 cannot listen on "::", and need not: the default names it. */
static bool dispensable(const char *ip, enum error e, size_t others)
{
    return strcmp(ip, "::") == 0 && e != ERR_ADDRESS_IN_USE && e != ERR_PERMISSION && others > 0;
}

/* The instances on the loops of one process listen at the same place. */
static enum net_share share_of(const struct listeners *ls, const struct env *env)
{
    if (!ls->config.shared || env->seats < 2)
        return NET_ALONE;
    return env->seat == 0 ? NET_FIRST : NET_NEXT;
}

static bool listen_at(struct listeners *ls, const struct component *c, const char *ip, int64_t port,
                      bool direct_tls)
{
    struct listener *l = &ls->each[ls->count];
    struct net_address at = {.port = (uint16_t)port};
    enum error e;

    if (port == 0)
        return true;
    if (strlen(ip) >= sizeof(at.ip)) {
        log_error(&c->log, "%s.address: '%s' is no address", ls->config.section, ip);
        return false;
    }
    memcpy(at.ip, ip, strlen(ip) + 1);
    l->all = ls;
    l->direct_tls = direct_tls;
    e = net_listen_shared(c->env->net, &at, share_of(ls, c->env), on_accept, l, &l->net);
    if (e == ERR_OK) {
        ls->count++;
        log_info(&c->log, "listening for %s on %s port %u%s", ls->config.whom, ip,
                 net_listener_port(l->net), direct_tls ? " (direct TLS)" : "");
        return true;
    }
    if (dispensable(ip, e, ls->count)) {
        log_info(&c->log, "not listening on ::, this machine has no IPv6");
        return true;
    }
    log_error(&c->log, "cannot listen for %s on %s port %u: %s; %s the section %s", ls->config.whom,
              ip, at.port, error_text(e), hint(e), ls->config.section);
    return false;
}

struct listeners *listeners_open(const struct component *c, const struct listeners_config *config)
{
    size_t addresses = config->addresses->count;
    struct listeners *ls = mem_alloc(sizeof(*ls) + 2 * addresses * sizeof(struct listener));
    bool ok = true;

    ls->config = *config;
    for (size_t i = 0; ok && i < addresses; i++) {
        const char *ip = config->addresses->items[i];
        ok = listen_at(ls, c, ip, config->port, false) &&
             listen_at(ls, c, ip, config->tls_port, true);
    }
    ls->config.addresses = NULL; /* a reload ends it */
    if (ok)
        return ls;
    listeners_close(ls);
    return NULL;
}

size_t listeners_count(const struct listeners *l)
{
    return l->count;
}

void listeners_close(struct listeners *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->count; i++)
        net_listener_close(l->each[i].net);
    free(l);
}
