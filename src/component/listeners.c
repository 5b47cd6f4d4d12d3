/* Listeners: see listeners.h. */
#include "component/listeners.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* One socket; in two sets while one is to replace the other. */
struct listener {
    unsigned refs;
    struct net_address at;
    struct net_listener *net; /* NULL: waits for the old set to be closed */
    bool direct_tls;          /* of the set that counts */
    struct listeners_config config;
};

struct place {
    struct listener *listener;
    bool direct_tls;
};

struct listeners {
    const struct component *component;
    struct listeners_config config;
    size_t count;
    struct place each[];
};

static void on_accept(void *arg, struct conn *conn)
{
    const struct listener *l = arg;

    l->config.accept(l->config.owner, conn, l->direct_tls);
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
static enum net_share share_of(const struct listeners_config *config, const struct env *env)
{
    if (!config->shared || env->seats < 2)
        return NET_ALONE;
    return env->seat == 0 ? NET_FIRST : NET_NEXT;
}

static struct listener *find(const struct listeners *ls, const char *ip, int64_t port)
{
    for (size_t i = 0; ls && i < ls->count; i++)
        if (strcmp(ls->each[i].listener->at.ip, ip) == 0 && ls->each[i].listener->at.port == port)
            return ls->each[i].listener;
    return NULL;
}

static bool uses_port(const struct listeners *ls, uint16_t port)
{
    for (size_t i = 0; ls && i < ls->count; i++)
        if (ls->each[i].listener->at.port == port)
            return true;
    return false;
}

static enum error open_one(const struct component *c, struct listener *l, enum net_share share)
{
    enum error e = net_listen_shared(c->env->net, &l->at, share, on_accept, l, &l->net);

    if (e == ERR_OK)
        log_info(&c->log, "listening for %s on %s port %u%s", l->config.whom, l->at.ip,
                 net_listener_port(l->net), l->direct_tls ? " (direct TLS)" : "");
    return e;
}

static void listener_unref(struct listener *l)
{
    if (--l->refs > 0)
        return;
    net_listener_close(l->net);
    free(l);
}

static void say_failed(const struct component *c, const struct listener *l, enum error e)
{
    log_error(&c->log, "cannot listen for %s on %s port %u: %s; %s the section %s", l->config.whom,
              l->at.ip, l->at.port, error_text(e), hint(e), l->config.section);
}

static void add(struct listeners *ls, struct listener *l, bool direct_tls)
{
    ls->each[ls->count++] = (struct place){l, direct_tls};
}

static bool listen_at(struct listeners *ls, const char *ip, int64_t port, bool direct_tls,
                      const struct listeners *old)
{
    const struct component *c = ls->component;
    struct listener *l = find(old, ip, port);
    enum error e;

    if (port == 0)
        return true;
    if (l) {
        l->refs++;
        add(ls, l, direct_tls);
        return true;
    }
    if (strlen(ip) >= sizeof(l->at.ip)) {
        log_error(&c->log, "%s.address: '%s' is no address", ls->config.section, ip);
        return false;
    }
    l = MEM_NEW(struct listener);
    l->refs = 1;
    l->at.port = (uint16_t)port;
    memcpy(l->at.ip, ip, strlen(ip) + 1);
    l->direct_tls = direct_tls;
    l->config = ls->config;
    e = open_one(c, l, share_of(&l->config, c->env));
    if (e == ERR_OK || (e == ERR_ADDRESS_IN_USE && uses_port(old, (uint16_t)port))) {
        add(ls, l, direct_tls);
        return true;
    }
    if (dispensable(ip, e, ls->count)) {
        log_info(&c->log, "not listening on ::, this machine has no IPv6");
        e = ERR_OK;
    } else if (ls->config.optional) {
        log_warn(&c->log,
                 "not listening for %s on %s port %u: %s. Give it another port in %s.port, or set "
                 "%s.enabled=false",
                 l->config.whom, ip, l->at.port, error_text(e), l->config.section,
                 l->config.section);
        e = ERR_OK;
    } else {
        say_failed(c, l, e);
    }
    listener_unref(l);
    return e == ERR_OK;
}

struct listeners *listeners_open(const struct component *c, const struct listeners_config *config,
                                 const struct listeners *old)
{
    size_t addresses = config->addresses->count;
    struct listeners *ls = mem_alloc(sizeof(*ls) + 2 * addresses * sizeof(struct place));
    bool ok = true;

    ls->component = c;
    ls->config = *config;
    for (size_t i = 0; ok && i < addresses; i++) {
        const char *ip = config->addresses->items[i];
        ok = listen_at(ls, ip, config->port, false, old) &&
             listen_at(ls, ip, config->tls_port, true, old);
    }
    if (ok)
        return ls;
    listeners_close(ls);
    return NULL;
}

void listeners_replace(struct listeners *l, struct listeners *old)
{
    /* What the other loops have had until now is no stranger's. */
    enum net_share share = share_of(&l->config, l->component->env);
    enum net_share again = share == NET_FIRST ? NET_NEXT : share;

    listeners_close(old);
    for (size_t i = 0; i < l->count; i++) {
        struct listener *one = l->each[i].listener;
        enum error e = ERR_OK;
        one->direct_tls = l->each[i].direct_tls;
        if (!one->net)
            e = open_one(l->component, one, again);
        if (e != ERR_OK)
            say_failed(l->component, one, e);
    }
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
        listener_unref(l->each[i].listener);
    free(l);
}
