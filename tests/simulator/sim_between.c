/* What is between the two servers: connections that are cut, that nothing gets through without
 * anybody being told, one way or both, and that are slow. */
#include "sim.h"

enum { S2S_PORT = 5269, SLOW_MS = 400 };

void sim_between_init(struct sim *s)
{
    s->between.fault_pause = 500 + sim_dice(s, 8000);
}

static void each(struct sim *s, bool (*wants)(struct sim *s),
                 void (*fn)(struct sim *s, const char *ip))
{
    for (int i = 0; i < s->server_count; i++)
        if (wants(s))
            fn(s, s->servers[i].world->ip);
}

static bool half(struct sim *s)
{
    return sim_dice(s, 2);
}

static bool all(struct sim *s)
{
    (void)s;
    return true;
}

static void cut(struct sim *s, const char *ip)
{
    net_sim_cut(s->world.net, ip, S2S_PORT);
}

static void silence(struct sim *s, const char *ip)
{
    sim_trace(s, "... to %s nothing gets through", ip);
    net_sim_blackhole(s->world.net, ip, S2S_PORT, true);
}

static void slow(struct sim *s, const char *ip)
{
    sim_trace(s, "... to %s it is slow", ip);
    net_sim_slow(s->world.net, ip, S2S_PORT, SLOW_MS);
}

static void restore(struct sim *s, const char *ip)
{
    net_sim_blackhole(s->world.net, ip, S2S_PORT, false);
    net_sim_slow(s->world.net, ip, S2S_PORT, 0);
}

bool sim_between_breaks(struct sim *s)
{
    uint64_t now = sim_now(s);
    if (s->server_count < 2)
        return false;
    if (s->between.fault) {
        if (now >= s->between.mend_at)
            sim_between_mend(s);
        return false;
    }
    if (now < s->between.next_fault)
        return false;
    sim_trace(s, "--- between the servers something breaks");
    s->between.fault = sim_account_fault(s, SIM_NOBODY);
    s->between.fault->abroad = s->between.fault->wire = true;
    s->between.mend_at = now + 100 + sim_dice(s, sim_dice(s, 2) ? 1000 : 6000);
    if (sim_dice(s, 2))
        each(s, sim_dice(s, 2) ? half : all, cut);
    if (sim_dice(s, 2))
        each(s, half, silence);
    if (sim_dice(s, 2))
        each(s, half, slow);
    return true;
}

void sim_between_mend(struct sim *s)
{
    if (!s->between.fault)
        return;
    sim_trace(s, "--- between the servers all works");
    each(s, all, restore);
    s->between.fault->over = sim_now(s) + SIM_RECOVERY_MS;
    s->between.fault = NULL;
    s->between.next_fault = sim_now(s) + sim_dice(s, s->between.fault_pause);
}
