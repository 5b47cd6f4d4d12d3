/* What a configuration means for s2s - domains, certificates, listeners - prepared, then taken
 * over. The streams of a domain that is served no more stay for a moment, so that its users' last
 * presence reaches their contacts; then they end with host-gone (RFC 6120 section 4.9.3.5). */
#include "base/mem.h"
#include "s2s/remote.h"
#include "s2s/s2s_conn.h"

#define RELOAD_FAREWELL_MS 2000u
#define RELOAD_AT_ONCE     100 /* streams that end in one turn */
#define RELOAD_NEXT_MS     5u  /* until the next ones do */

static void on_accept(void *owner, struct conn *conn, bool direct_tls)
{
    s2s_conn_accept(owner, conn, direct_tls);
}

/* Beside those that are open. */
static struct listeners *open_listeners(struct s2s *s)
{
    const struct config *config = s2s_config(s);
    const struct listeners_config at = {
        .section = "s2s",
        .whom = "servers",
        .addresses = &config->s2s_address,
        .port = config->s2s_port,
        .tls_port = s2s_tls_prepared(s->tls) ? config->s2s_tls_port : 0,
        .optional = !config_given(config, "s2s.enabled") && !config_given(config, "s2s.port") &&
                    !config_given(config, "s2s.address"),
        .accept = on_accept,
        .owner = s,
    };

    return listeners_open(s->component, &at, s->listeners);
}

void s2s_reload_revert(struct component *component)
{
    struct s2s *s = component->state;

    listeners_close(s->fresh.listeners);
    s->fresh.listeners = NULL;
    s2s_tls_revert(s->tls);
    domains_finish(&s->fresh.domains);
}

enum error s2s_reload_prepare(struct component *component)
{
    struct s2s *s = component->state;
    enum error e = domains_read(&s->fresh.domains, component);

    if (e == ERR_OK && !policy_check(s))
        e = ERR_CONFIG;
    if (e == ERR_OK)
        e = s2s_tls_prepare(s->tls, &s->fresh.domains);
    if (e == ERR_OK && !(s->fresh.listeners = open_listeners(s)))
        e = ERR_SYSTEM;
    if (e != ERR_OK)
        s2s_reload_revert(component);
    return e;
}

static void on_domain(void *arg, const char *domain, bool served)
{
}

void s2s_reload_commit(struct component *component)
{
    struct s2s *s = component->state;

    s->by_default = !config_given(s2s_config(s), "s2s.enabled");
    s2s_tls_commit(s->tls);
    listeners_replace(s->fresh.listeners, s->listeners);
    s->listeners = s->fresh.listeners;
    s->fresh.listeners = NULL;
    domains_replace(&s->domains, &s->fresh.domains, on_domain, s);
    s2s_judge_reload(s);
    loop_timer_start(&s->farewell, RELOAD_FAREWELL_MS);
}

enum error s2s_reload_start(struct s2s *s)
{
    enum error e = s2s_reload_prepare(s->component);

    if (e == ERR_OK)
        s2s_reload_commit(s->component);
    loop_timer_stop(&s->farewell);
    return e;
}

bool s2s_reload_leaving(const struct s2s *s, struct str domain)
{
    return loop_timer_running(&s->farewell) && domains_was_served(&s->domains, domain);
}

/* --- the end of streams --- */

/* Components' domains come and go at the router, not here. */
static bool is_dead(const struct s2s *s, struct str local)
{
    return (domains_was_served(&s->domains, local) && !s2s_is_local(s, local)) ||
           !policy_federates(s, local);
}

static void end_pairs(struct remote *r)
{
    LIST_EACH (it, &r->pairs) {
        struct pair *pair = LIST_ENTRY(it, struct pair, node);
        if (!is_dead(r->s2s, pair_local(pair)))
            continue;
        if (pair->state != PAIR_IDLE)
            pair_detach(pair);
        pair_bounce(pair, STANZA_ERR_REMOTE_SERVER_NOT_FOUND,
                    "this domain does not speak with other servers");
    }
}

void s2s_reload_farewell(struct loop_timer *timer)
{
    struct s2s *s = MEM_CONTAINER(timer, struct s2s, farewell);
    struct remote *r;
    unsigned left = RELOAD_AT_ONCE;

    for (size_t i = 0; (r = hash_next(&s->remotes, &i)) != NULL;)
        end_pairs(r);
    LIST_EACH_SAFE (it, &s->conns) {
        struct s2s_conn *c = LIST_ENTRY(it, struct s2s_conn, node);
        size_t before = c->proof_count;
        if (left == 0) {
            loop_timer_start(timer, RELOAD_NEXT_MS);
            return;
        }
        s2s_proof_forget_if(c, is_dead);
        if ((before > 0 && c->proof_count == 0) || (c->local && is_dead(s, str_of(c->local)))) {
            s2s_conn_error(c, STREAM_ERR_HOST_GONE, NULL);
            left--;
        }
    }
}
