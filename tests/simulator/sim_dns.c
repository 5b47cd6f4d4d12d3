/* The names that the servers of a simulation find each other by, and what happens to them: a
 * resolver knows them when it has been started, and its answers are slow, fail, or never come. */
#include <string.h>

#include "resolver/resolver.h"
#include "sim.h"

#define TTL 60u

enum { SLOW_MS = 3000 };

static const struct sim_server *other_of(const struct sim_server *v)
{
    return v == &v->sim->servers[0] ? &v->sim->servers[1] : &v->sim->servers[0];
}

static struct dns *table_of(struct sim_server *v)
{
    for (size_t i = 0; i < v->world->process_count; i++) {
        const struct process *p = &v->world->processes[i];
        if (p->component && strcmp(p->name, "resolver") == 0)
            return resolver_dns(p->component);
    }
    return NULL;
}

static void answer(struct sim_server *v, enum dns_status status, uint64_t delay)
{
    struct dns *d = table_of(v);
    char name[64];
    if (!d)
        return;
    (void)snprintf(name, sizeof(name), "_xmpp-server._tcp.%s", other_of(v)->domain);
    dns_sim_set(d, name, DNS_SRV, status, false, delay);
}

/* As its fault, if it has one, lets it. */
static void apply(struct sim_server *v)
{
    if (v->dns.fault)
        answer(v, v->dns.fails ? DNS_FAILED : DNS_FOUND, v->dns.delay);
    else
        answer(v, DNS_FOUND, 0);
}

void sim_dns_fill(struct sim_server *v)
{
    struct dns *d = v->dns.filled ? NULL : table_of(v);
    char name[64], text[64];
    if (!d)
        return;
    v->dns.filled = true;
    (void)snprintf(name, sizeof(name), "_xmpp-server._tcp.%s", other_of(v)->domain);
    (void)snprintf(text, sizeof(text), "0 0 5269 xmpp.%s", other_of(v)->domain);
    (void)dns_sim_add(d, name, DNS_SRV, TTL, text);
    (void)dns_sim_add(d, text + strlen("0 0 5269 "), DNS_A, TTL, other_of(v)->world->ip);
    apply(v);
}

void sim_dns_break(struct sim_server *v)
{
    struct sim *s = v->sim;
    uint32_t dice = sim_dice(s, 3);
    v->dns.fault = sim_account_fault(s, SIM_NOBODY);
    v->dns.fault->server = v;
    v->dns.fault->abroad = true;
    v->dns.fails = dice == 0;
    v->dns.delay = dice == 2 ? UINT64_MAX : sim_dice(s, SLOW_MS);
    v->dns.mend_at = sim_now(s) + 200 + sim_dice(s, 6000);
    sim_trace(s, "--- %s: DNS %s", v->domain,
              dice == 0   ? "fails"
              : dice == 1 ? "is slow"
                          : "does not answer");
    apply(v);
}

void sim_dns_mend(struct sim_server *v, bool now)
{
    if (!v->dns.fault || (!now && sim_now(v->sim) < v->dns.mend_at))
        return;
    sim_trace(v->sim, "--- %s: DNS works", v->domain);
    v->dns.fault->over = sim_now(v->sim) + SIM_RECOVERY_MS;
    v->dns.fault = NULL;
    apply(v);
}
