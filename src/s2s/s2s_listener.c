/* Listening for other servers: every address of s2s.address, on the port for STARTTLS and the one
 * for direct TLS. */
#include <stdlib.h>

#include "base/mem.h"
#include "s2s/s2s_conn.h"

struct listener {
    struct s2s *s2s;
    struct net_listener *net;
    bool direct_tls;
};

struct s2s_listeners {
    size_t count;
    struct listener each[];
};

static void on_accept(void *arg, struct conn *conn)
{
    struct listener *l = arg;

    s2s_conn_accept(l->s2s, conn, l->direct_tls);
}

/* A machine without IPv6 cannot listen on "::", and need not: the default names it. */
static bool dispensable(const char *ip, enum error e, size_t others)
{
    return strcmp(ip, "::") == 0 && e != ERR_ADDRESS_IN_USE && e != ERR_PERMISSION && others > 0;
}

static bool listen_at(struct s2s *s, struct s2s_listeners *ls, const char *ip, int64_t port,
                      bool direct_tls)
{
    struct listener *l = &ls->each[ls->count];
    struct net_address at = {.port = (uint16_t)port};
    enum error e;

    if (port == 0)
        return true;
    if (strlen(ip) >= sizeof(at.ip)) {
        log_error(&s->component->log, "s2s.address: '%s' is no address", ip);
        return false;
    }
    memcpy(at.ip, ip, strlen(ip) + 1);
    l->s2s = s;
    l->direct_tls = direct_tls;
    e = net_listen(s->component->env->net, &at, on_accept, l, &l->net);
    if (e == ERR_OK) {
        ls->count++;
        log_info(&s->component->log, "listening for servers on %s port %u%s", ip,
                 net_listener_port(l->net), direct_tls ? " (direct TLS)" : "");
        return true;
    }
    if (dispensable(ip, e, ls->count)) {
        log_info(&s->component->log, "not listening on ::, this machine has no IPv6");
        return true;
    }
    log_error(&s->component->log,
              "cannot listen for servers on %s port %u: %s; see s2s.address and s2s.port, or set "
              "s2s.enabled=false",
              ip, at.port, error_text(e));
    return false;
}

struct s2s_listeners *s2s_listeners_open(struct s2s *s)
{
    const struct config *config = s2s_config(s);
    size_t addresses = config->s2s_address.count;
    struct s2s_listeners *ls = mem_alloc(sizeof(*ls) + 2 * addresses * sizeof(struct listener));
    bool ok = true;

    for (size_t i = 0; ok && i < addresses; i++) {
        const char *ip = config->s2s_address.items[i];
        ok = listen_at(s, ls, ip, config->s2s_port, false) &&
             (!s->tls || listen_at(s, ls, ip, config->s2s_tls_port, true));
    }
    if (ok)
        return ls;
    s2s_listeners_close(ls);
    return NULL;
}

void s2s_listeners_close(struct s2s_listeners *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->count; i++)
        net_listener_close(l->each[i].net);
    free(l);
}
