/* Listening: see listener.h. */
#include "c2s/listener.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "c2s/client.h"

struct listener {
    struct c2s *c2s;
    struct net_listener *net;
    bool direct_tls;
};

struct listeners {
    size_t count;
    struct listener each[];
};

static void on_accept(void *arg, struct conn *conn)
{
    struct listener *l = arg;

    client_accept(l->c2s, conn, l->direct_tls);
}

static const char *hint(enum error e)
{
    switch (e) {
    case ERR_ADDRESS_IN_USE:
        return "another program listens there: stop it or choose another port";
    case ERR_PERMISSION:
        return "choose a port above 1023, or give the service CAP_NET_BIND_SERVICE";
    default:
        return "see c2s.address";
    }
}

/* A machine without IPv6 cannot listen on "::", and need not: the default names it. */
static bool dispensable(const char *ip, enum error e, size_t others)
{
    return strcmp(ip, "::") == 0 && e != ERR_ADDRESS_IN_USE && e != ERR_PERMISSION && others > 0;
}

static bool listen_at(struct c2s *s, struct listeners *ls, const char *ip, int64_t port,
                      bool direct_tls)
{
    struct listener *l = &ls->each[ls->count];
    struct net_address at = {.port = (uint16_t)port};
    enum error e;

    if (port == 0)
        return true;
    if (strlen(ip) >= sizeof(at.ip)) {
        log_error(&s->component->log, "c2s.address: '%s' is no address", ip);
        return false;
    }
    memcpy(at.ip, ip, strlen(ip) + 1);
    l->c2s = s;
    l->direct_tls = direct_tls;
    e = net_listen(s->component->env->net, &at, on_accept, l, &l->net);
    if (e == ERR_OK) {
        ls->count++;
        log_info(&s->component->log, "listening for clients on %s port %u%s", ip,
                 net_listener_port(l->net), direct_tls ? " (direct TLS)" : "");
        return true;
    }
    if (dispensable(ip, e, ls->count)) {
        log_info(&s->component->log, "not listening on ::, this machine has no IPv6");
        return true;
    }
    log_error(&s->component->log, "cannot listen on %s port %u: %s; %s", ip, at.port, error_text(e),
              hint(e));
    return false;
}

struct listeners *listeners_open(struct c2s *s)
{
    const struct config *config = c2s_config(s);
    size_t addresses = config->c2s_address.count;
    struct listeners *ls = mem_alloc(sizeof(*ls) + 2 * addresses * sizeof(struct listener));
    bool ok = true;

    for (size_t i = 0; ok && i < addresses; i++) {
        const char *ip = config->c2s_address.items[i];
        ok = listen_at(s, ls, ip, config->c2s_port, false) &&
             (s->tls == C2S_TLS_OFF || listen_at(s, ls, ip, config->c2s_tls_port, true));
    }
    if (ok && ls->count > 0)
        return ls;
    if (ok)
        log_error(&s->component->log,
                  "there is nothing to listen on: set c2s.address and c2s.port");
    listeners_close(ls);
    return NULL;
}

void listeners_close(struct listeners *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->count; i++)
        net_listener_close(l->each[i].net);
    free(l);
}
