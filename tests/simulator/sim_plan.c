/* The plan of a run: the seed chooses the clients, what they do, and what breaks and when; then
 * everything is mended, everybody comes back, and when nothing moves any more the account must
 * balance. */
#include "sim_plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
    TRAFFIC_MS = 14000, /* how long they write and things break */
    LOGIN_MS = 20000,   /* a client that is not there by then tries anew */
    QUIET_MS = 9000,    /* nothing has come for so long: nothing more will */
    UNKNOWN_MS = 75000, /* the same, while the fate of what went to the other server is not known */
    END_MS = 240000,
    STEP_MS = 20
};

struct plan {
    struct sim *sim;
    uint32_t pause;  /* between two messages of a client */
    uint32_t unruly; /* of 1000 decisions of a client so many are to go */
    uint32_t full;   /* of 100 messages so many are for one client alone, not for its user */
    uint32_t adds;   /* of 100 decisions so many are to change the roster */
    uint32_t slow, inactive; /* of 1000: to stop reading, to look away or back */
};

/* --- clients --- */

static void client_goes(struct plan *p, struct sim_client *c)
{
    struct sim *s = p->sim;
    bool leaves = sim_dice(s, 3) == 0;
    struct sim_fault *f = sim_account_fault(s, c->index);
    uint64_t away = sim_dice(s, 3) ? sim_dice(s, 2000) : sim_dice(s, 9000);
    f->mute = !leaves;
    f->over = sim_now(s) + away + SIM_RECOVERY_MS;
    if (leaves)
        sim_client_leave(c);
    else
        sim_client_vanish(c);
    c->next_try = sim_now(s) + away;
}

/* It reads nothing for a while, or never again in this traffic. */
static void client_stops_reading(struct plan *p, struct sim_client *c)
{
    struct sim *s = p->sim;
    struct sim_fault *f = sim_account_fault(s, c->index);
    c->read_again = sim_now(s) + (sim_dice(s, 4) ? sim_dice(s, 5000) : TRAFFIC_MS);
    f->mute = true;
    f->over = c->read_again + SIM_RECOVERY_MS;
    sim_client_pause(c, true);
}

/* Not to its own account, unless it is alone there: who gets that would be another question. */
static void write_to_somebody(struct plan *p, struct sim_client *c)
{
    struct sim *s = p->sim;
    int to = (int)sim_dice(s, (uint32_t)s->client_count);
    bool full = sim_dice(s, 100) < p->full && s->clients[to].bound;
    if (to == c->index || s->clients[to].user != c->user)
        sim_client_write(c, to, full);
}

static void client_acts(struct plan *p, struct sim_client *c)
{
    struct sim *s = p->sim;
    c->next_write = sim_now(s) + 1 + sim_dice(s, 2 * p->pause);
    if (sim_dice(s, 1000) < p->unruly) {
        client_goes(p, c);
        return;
    }
    if (sim_dice(s, 1000) < p->slow && !c->paused)
        client_stops_reading(p, c);
    if (sim_dice(s, 1000) < p->inactive)
        sim_client_look_away(c);
    if (sim_dice(s, 100) < p->adds)
        sim_client_add(c);
    for (uint32_t n = sim_dice(s, 4) ? 1 : 3; n > 0; n--)
        write_to_somebody(p, c);
    if (sim_dice(s, 2))
        sim_client_ask(c);
}

static void look_after(struct plan *p, struct sim_client *c)
{
    uint64_t now = sim_now(p->sim);
    if (c->paused && (now >= c->read_again || !p->sim->writing))
        sim_client_pause(c, false);
    if (c->state == SIM_OFF) {
        if (c->wanted && now >= c->next_try)
            sim_client_connect(c);
    } else if (c->state != SIM_ON) {
        if (now - c->since > LOGIN_MS)
            sim_client_vanish(c);
    } else if (p->sim->writing && now >= c->next_write) {
        client_acts(p, c);
    }
}

/* --- a run --- */

static void step(struct plan *p, uint32_t ms)
{
    struct sim *s = p->sim;
    for (int i = 0; i < s->client_count; i++)
        look_after(p, &s->clients[i]);
    world_run(&s->world, ms);
}

/* The server's own account, beside ours. */
static void check_balance(struct sim *s)
{
    char why[1024];
    if (!world_balances(&s->world, why, sizeof(why)))
        sim_complain(s, "%s", why);
}

static void run_traffic(struct plan *p)
{
    struct sim *s = p->sim;
    uint64_t end = sim_now(s) + TRAFFIC_MS;
    s->writing = true;
    s->between.next_fault = sim_now(s) + 500 + sim_dice(s, s->between.fault_pause);
    for (int i = 0; i < s->server_count; i++)
        s->servers[i].next_fault = sim_now(s) + 500 + sim_dice(s, s->servers[i].fault_pause);
    if (s->calm)
        s->between.next_fault = s->servers[0].next_fault = s->servers[1].next_fault = UINT64_MAX;
    while (sim_now(s) < end) {
        bool breaks = sim_between_breaks(s);
        for (int i = 0; i < s->server_count; i++)
            breaks = sim_server_breaks(&s->servers[i]) || breaks;
        if (breaks)
            check_balance(s);
        step(p, 1);
    }
    s->writing = false;
    sim_between_mend(s);
    for (int i = 0; i < s->server_count; i++)
        sim_server_mend(&s->servers[i]);
}

static bool all_there(const struct sim *s)
{
    for (int i = 0; i < s->client_count; i++)
        if (s->clients[i].state != SIM_ON || !list_empty(&s->clients[i].unacked))
            return false;
    return true;
}

/* Of how much nobody knows what became of it: what waits for another server comes back at last. */
static uint32_t events(const struct sim *s, bool *ret_unknown)
{
    uint32_t sum = 0;
    *ret_unknown = false;
    for (int i = 0; i < s->message_count; i++) {
        const struct sim_message *m = &s->messages[i];
        sum += m->copies + m->errors;
        if (!m->copies && !m->errors && sim_crosses(s, m))
            *ret_unknown = true;
    }
    return sum;
}

/* Everybody is there, everything acknowledged, and nothing comes any more. */
static void run_until_quiet(struct plan *p)
{
    struct sim *s = p->sim;
    uint64_t end = sim_now(s) + END_MS, since = sim_now(s);
    uint32_t seen = 0;
    bool unknown = false;
    for (int i = 0; i < s->client_count; i++)
        s->clients[i].wanted = true;
    while (sim_now(s) - since < (unknown ? UNKNOWN_MS : QUIET_MS)) {
        if (sim_now(s) > end) {
            for (int i = 0; i < s->client_count; i++)
                if (s->clients[i].state != SIM_ON || !list_empty(&s->clients[i].unacked))
                    sim_complain(s, "%s has not everything acknowledged (state %d)",
                                 s->clients[i].local, s->clients[i].state);
            sim_complain(s, "it does not come to rest");
            return;
        }
        for (int i = 0; i < s->client_count; i++)
            sim_client_ask(&s->clients[i]);
        step(p, STEP_MS);
        uint32_t now = events(s, &unknown);
        if (now != seen || !all_there(s))
            since = sim_now(s);
        seen = now;
    }
}

/* What is kept is read by one client of each user. */
static void read_all(struct plan *p)
{
    struct sim *s = p->sim;
    bool busy = true;
    for (int i = 0; i < s->client_count; i++)
        if (s->clients[i].user == i && s->clients[i].state == SIM_ON)
            sim_client_read_all(&s->clients[i]);
    for (uint64_t end = sim_now(s) + END_MS; busy && sim_now(s) < end;) {
        step(p, STEP_MS);
        busy = false;
        for (int i = 0; i < s->client_count; i++)
            busy = busy || s->clients[i].asking != SIM_ASKS_NOTHING;
    }
    if (busy)
        sim_complain(s, "what is kept cannot be read");
}

/* In half of the runs two of three log in by SASL2, most of them with tokens. */
static void make_modern(struct sim *s, struct sim_client *c)
{
    c->sasl2 = s->modern && random_below(s->choices, 3);
    c->fast.speaks = c->sasl2 && random_below(s->choices, 4);
    c->fast.counts = random_below(s->choices, 2);
    if (c->sasl2)
        sim_trace(s, "%s logs in by SASL2%s", c->name, c->fast.speaks ? ", with tokens" : "");
}

/* In half of the runs everybody has one client; in the others some have several. */
static void make_clients(struct sim *s)
{
    bool several = sim_dice(s, 2);
    s->client_count = 4 + (int)sim_dice(s, SIM_CLIENTS - 3);
    for (int i = 0; i < s->client_count; i++) {
        bool own = i < 2 || !several || sim_dice(s, 2);
        int user = own ? i : s->clients[sim_dice(s, (uint32_t)i)].user;
        uint32_t server =
            i < s->server_count ? (uint32_t)i : sim_dice(s, (uint32_t)s->server_count);
        sim_client_init(&s->clients[i], s, i, user, sim_dice(s, 2));
        if (sim_dice(s, 8) == 0)
            s->clients[i].lie = sim_dice(s, 2) ? SIM_SILENT : SIM_BEHIND;
        s->clients[i].home = own ? &s->servers[server] : s->clients[user].home;
        make_modern(s, &s->clients[i]);
        sim_trace(s, "%s is a client of %s@%s", s->clients[i].name, s->clients[i].local,
                  s->clients[i].home->domain);
    }
}

/* In a sixth of the runs of several loops (docs/decisions/0100-simulated-clients.md). */
static enum placement place(struct sim *s, uint32_t processes)
{
    enum placement chosen = processes ? PLACEMENT_PROCESSES : PLACEMENT_INLINE;
    return random_below(s->choices, 6) ? chosen : PLACEMENT_THREADS;
}

/* A third of the runs has two servers. */
static void make_world(struct plan *p, FILE *story)
{
    struct sim *s = p->sim;
    s->trace = story;
    for (int i = 0; i < SIM_SERVERS; i++)
        s->servers[i].sim = s;
    s->random = random_create_seeded(s->seed * 4 + 1);
    s->choices = random_create_seeded(s->seed * 4);
    s->modern = random_below(s->choices, 2);
    s->calm = random_below(s->choices, 12) == 0;
    s->messages = mem_alloc_array(SIM_MESSAGES, sizeof(*s->messages));
    s->iqs = mem_alloc_array(SIM_IQS, sizeof(*s->iqs));
    struct world_options options = {
        .log = sim_log_open(&s->servers[0]), .seed = s->seed, .disk = "disk"};
    struct world_options abroad = {.log = sim_log_open(&s->servers[1]), .disk = "disk2"};
    world_init_seeded(&s->world, place(s, sim_dice(s, 4)), &options);
    if (sim_dice(s, 3) == 0)
        world_add_abroad_seeded(&s->world, STR("example.org"), place(s, sim_dice(s, 2)), &abroad);
    if (s->world.abroad)
        s->world.resolver = s->world.abroad->resolver = &resolver_component;
    sim_server_init(s, &s->world, "example.net");
    if (s->world.abroad)
        sim_server_init(s, s->world.abroad, "example.org");
    sim_between_init(s);
    make_clients(s);
    p->pause = 20 + sim_dice(s, 400);
    p->unruly = sim_dice(s, 2) ? 0 : sim_dice(s, 60);
    p->full = sim_dice(s, 2) ? 0 : sim_dice(s, 100);
    p->adds = sim_dice(s, 2) ? 0 : sim_dice(s, 50);
    p->slow = sim_dice(s, 3) ? 0 : sim_dice(s, 40);
    p->inactive = sim_dice(s, 2) ? 0 : sim_dice(s, 100);
}

static void finish(struct plan *p, struct sim_sums *sums)
{
    struct sim *s = p->sim;
    sums->messages += (uint64_t)s->message_count;
    sums->faults += (uint64_t)s->fault_count;
    sums->kills += s->kills;
    sums->resumed += s->resumed;
    sums->refused += s->refused;
    sums->tokens += s->tokens;
    for (int i = 0; i < s->message_count; i++) {
        sums->acknowledged += s->messages[i].acked != 0;
        sums->copies += s->messages[i].copies;
        sums->errors += s->messages[i].errors;
    }
    for (int i = 0; i < s->client_count; i++)
        sim_client_finish(&s->clients[i]);
    world_finish(&s->world);
    for (int i = 0; i < s->server_count; i++)
        sim_server_finish(&s->servers[i]);
    random_destroy(s->random);
    random_destroy(s->choices);
    free(s->messages);
    free(s->iqs);
    for (int i = 0; i < SIM_SERVERS; i++)
        sim_log_finish(&s->servers[i]);
}

bool sim_plan_run(uint64_t seed, FILE *story, struct sim_sums *sums)
{
    struct sim *s = MEM_NEW(struct sim);
    struct plan p = {.sim = s};
    s->seed = seed;
    make_world(&p, story);
    for (int i = 0; i < s->server_count; i++)
        sim_server_make_users(&s->servers[i]);
    if (!world_start(&s->world))
        sim_complain(s, "the server does not start");
    for (int i = 0; i < s->server_count; i++)
        sim_dns_fill(&s->servers[i]);
    for (int i = 0; i < 100; i++)
        step(&p, STEP_MS);
    run_traffic(&p);
    run_until_quiet(&p);
    read_all(&p);
    sim_account_check(s);
    sim_kept_check(s);
    for (int i = 0; i < s->server_count; i++)
        sim_log_check(&s->servers[i]);
    check_balance(s);
    bool ok = s->complaints == 0;
    finish(&p, sums);
    free(s);
    return ok;
}
