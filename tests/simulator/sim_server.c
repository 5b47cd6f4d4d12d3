/* A server of the simulation: its accounts, its disk, and what breaks in it - components and whole
 * machines that die, also in the middle of a write; links that are cut; a disk that fails. */
#include <inttypes.h>
#include <string.h>

#include "sim.h"
#include "store/accounts.h"
#include "store/users.h"

/* --- what the seed chooses --- */

static void setting(struct sim_server *v, const char *name, uint32_t value)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "%s=%" PRIu32, name, value);
    world_set(v->world, text);
    sim_trace(v->sim, "%s: %s", v->domain, text);
}

/* Without acknowledgements at one of the two the other one's are pings (XEP-0199). */
static void choose_s2s(struct sim_server *v)
{
    struct sim *s = v->sim;
    v->s2s_acks = sim_dice(s, 3);
    if (!v->s2s_acks)
        world_set(v->world, "s2s.acks=false");
    if (sim_dice(s, 2))
        world_set(v->world, "s2s.bidi=false");
    setting(v, "s2s.queue_time", 5 + sim_dice(s, 56));
    sim_trace(s, "%s: acknowledgements between servers: %s", v->domain, v->s2s_acks ? "on" : "off");
}

void sim_server_init(struct sim *s, struct world *world, const char *domain)
{
    struct sim_server *v = &s->servers[s->server_count++];
    v->sim = s;
    v->world = world;
    v->domain = domain;
    v->disk_random = random_create_seeded(s->seed * 4 + 1 + (uint64_t)s->server_count);
    v->disk = sim_disk_create(world->disk, v->disk_random);
    sim_disk_set_delay(v->disk, sim_dice(s, 2) ? 0 : sim_dice(s, 40), sim_dice(s, 20));
    uint32_t resume_time = 2 + sim_dice(s, 20);
    v->resume_ms = (uint64_t)resume_time * 1000;
    setting(v, "c2s.resume_time", resume_time);
    uint32_t outbox_after = 50 + sim_dice(s, sim_dice(s, 2) ? 400 : 4000);
    v->outbox_ms = outbox_after;
    setting(v, "sm.outbox_after", outbox_after);
    if (s->modern && random_below(s->choices, 2)) /* tokens that expire, and are replaced */
        setting(v, "c2s.token_time", 10 + random_below(s->choices, 120));
    if (world->federates)
        choose_s2s(v);
    v->fault_pause = 500 + sim_dice(s, 8000);
}

void sim_server_finish(struct sim_server *v)
{
    sim_disk_destroy(v->disk);
    random_destroy(v->disk_random);
}

/* --- accounts --- */

static void on_account(void *arg, enum error e, const struct store_rows *rows)
{
    (void)rows;
    if (e)
        sim_complain(arg, "an account cannot be made: %s", error_text(e));
}

static void make_accounts(struct sim_server *v)
{
    struct sim *s = v->sim;
    struct scram_keys keys[SCRAM_HASHES];
    struct store *store = NULL;
    char why[256], url[64];
    (void)snprintf(url, sizeof(url), "memory:accounts?vfs=%s", v->world->disk);
    accounts_salt(s->random, 4096, keys);
    keys[SCRAM_SHA_1].iterations = keys[SCRAM_SHA_512].iterations = 1; /* nobody uses them */
    if (!accounts_derive_salted(STR("secret"), keys) ||
        store_open(v->world->loop, (struct log){0}, STORE_ACCOUNTS, url, &store, why,
                   sizeof(why))) {
        sim_complain(s, "no accounts: %s", why);
        return;
    }
    for (int i = 0; i < s->client_count; i++)
        if (s->clients[i].user == i && s->clients[i].home == v)
            store_commit(accounts_create(store_begin(store), str_of(s->clients[i].local),
                                         str_of(v->domain), keys),
                         on_account, s);
    world_run(&s->world, 500);
    store_close(store);
}

void sim_server_make_users(struct sim_server *v)
{
    struct sim *s = v->sim;
    struct store *store = NULL;
    char why[256], url[64], jid[64];
    make_accounts(v);
    (void)snprintf(url, sizeof(url), "memory:users?vfs=%s", v->world->disk);
    if (store_open(v->world->loop, (struct log){0}, STORE_USERS, url, &store, why, sizeof(why))) {
        sim_complain(s, "no users: %s", why);
        return;
    }
    for (int i = 0; i < s->client_count; i++) {
        if (s->clients[i].user != i || s->clients[i].home != v)
            continue;
        (void)snprintf(jid, sizeof(jid), "%s@%s", s->clients[i].local, v->domain);
        store_commit(users_activate(store_begin(store), str_of(jid), 1767225600), on_account, s);
    }
    world_run(&s->world, 500);
    store_close(store);
}

/* --- faults --- */

/* One process: its components live and die together. */
static bool one_process(const struct sim_server *v)
{
    return v->world->placement != PLACEMENT_PROCESSES;
}

static struct process *process_named(struct sim_server *v, const char *name)
{
    for (size_t i = 0; i < v->world->process_count; i++)
        if (strcmp(v->world->processes[i].name, name) == 0)
            return &v->world->processes[i];
    return NULL;
}

static struct sim_fault *fault(struct sim_server *v)
{
    struct sim_fault *f = sim_account_fault(v->sim, SIM_NOBODY);
    f->server = v;
    return f;
}

/* Whoever has a link to the router and goes on living is to miss it. */
static void expect_router_missed(struct sim_server *v)
{
    for (size_t i = 0; i < v->world->process_count; i++) {
        const struct process *p = &v->world->processes[i];
        if (p->component && p->component->link && link_is_up(p->component->link))
            sim_log_expect(v, p->name, LOG_WARNING, "lost the router");
    }
}

/* The router misses who was connected. */
static void expect_missed(struct sim_server *v, const struct process *process)
{
    char word[32];
    if (!process_named(v, "router")->component || !link_is_up(process->component->link))
        return;
    (void)snprintf(word, sizeof(word), "%s (", process->name);
    sim_log_expect(v, "router", LOG_WARNING, word);
}

static void die(struct sim_server *v, struct process *process)
{
    sim_log_died(v, process->name);
    world_kill_now(v->world, str_of(process->name));
    v->dead[v->dead_count++] = process;
    if (process->ops == &resolver_component)
        v->dns.filled = false;
    v->sim->kills++;
}

/* kill -9: of what waits for the disk nothing is written any more. */
static void kill_one(struct sim_server *v, const char *name)
{
    struct sim *s = v->sim;
    sim_trace(s, "--- %s: %s is killed", v->domain, name);
    v->fault = fault(v);
    v->fault->c2s = strcmp(name, "c2s") == 0;
    v->fault->sm = strcmp(name, "sm") == 0;
    v->fault->wire = strcmp(name, "s2s") == 0;
    v->fault->abroad = v->fault->wire || strcmp(name, "resolver") == 0;
    if (strcmp(name, "router") == 0)
        expect_router_missed(v);
    else
        expect_missed(v, process_named(v, name));
    sim_disk_halt(v->disk, 0);
    die(v, process_named(v, name));
    sim_disk_restart(v->disk, false);
    v->start_at = sim_now(s) + 50 + sim_dice(s, sim_dice(s, 2) ? 300 : 4000);
}

/* Of all: what one process is, where it is one (placement inline); with the whole machine also goes
 * what the system had in its hands and not on the disk. */
static void kill_all(struct sim_server *v, bool power)
{
    struct sim *s = v->sim;
    sim_trace(s, "--- %s: %s", v->domain, power ? "the power goes" : "the server is killed");
    v->fault = fault(v);
    v->fault->c2s = v->fault->wire = true;
    v->fault->power = power;
    sim_disk_halt(v->disk, 0);
    for (size_t i = v->world->process_count; i-- > 0;)
        if (v->world->processes[i].component)
            die(v, &v->world->processes[i]);
    sim_disk_restart(v->disk, power);
    if (power) {
        world_power_lost(v->world);
        v->power = sim_now(s);
    }
    v->start_at = sim_now(s) + 500 + sim_dice(s, 3000);
}

static void start_again(struct sim_server *v)
{
    struct sim *s = v->sim;
    while (v->dead_count > 0) {
        struct process *process = v->dead[--v->dead_count];
        if (process->ops == &sm_component) /* the board knows */
            sim_log_expect(v, process->name, LOG_WARNING, "was not stopped");
        sim_trace(s, "--- %s: %s is started", v->domain, process->name);
        if (!world_start_now(v->world, str_of(process->name))) {
            sim_complain(s, "%s does not start", process->name);
            world_kill_now(v->world, str_of(process->name));
        }
    }
    sim_dns_fill(v);
    v->fault->over = sim_now(s) + SIM_RECOVERY_MS;
}

/* In the middle of what is being written: the disk stops, and its writer with it. */
static void set_trap(struct sim_server *v)
{
    struct sim *s = v->sim;
    sim_trace(s, "--- %s: soon something dies over a write", v->domain);
    v->trap = true;
    v->trap_power = sim_dice(s, 2);
    sim_disk_halt(v->disk, 1 + sim_dice(s, 12));
}

static void spring_trap(struct sim_server *v)
{
    v->trap = false;
    if (v->trap_power || one_process(v))
        kill_all(v, v->trap_power);
    else
        kill_one(v, sim_disk_halted_accounts(v->disk) ? "c2s" : "sm");
}

/* Full, or its syncs fail, for a while; nobody dies of it. */
static void break_disk(struct sim_server *v)
{
    struct sim *s = v->sim;
    bool full = sim_dice(s, 2);
    sim_trace(s, "--- %s: the disk %s", v->domain, full ? "is full" : "cannot sync");
    sim_disk_set_fault(v->disk, full ? SIM_DISK_FULL : SIM_DISK_SYNC_FAILS);
    v->disk_fault = fault(v);
    v->disk_fault->disk = true;
    v->mend_at = sim_now(s) + 200 + sim_dice(s, 3000);
}

static void mend_disk(struct sim_server *v)
{
    struct sim *s = v->sim;
    sim_trace(s, "--- %s: the disk works again", v->domain);
    if (sim_disk_refused(v->disk) && !sim_log_disk_failed(v, v->disk_fault->begun))
        sim_complain(s, "%s: the disk failed at %" PRIu64 ", and nobody said so", v->domain,
                     v->disk_fault->begun);
    sim_disk_set_fault(v->disk, SIM_DISK_WORKS);
    v->disk_fault->over = sim_now(s) + SIM_RECOVERY_MS;
    v->disk_fault = NULL;
}

/* All links between components are reset; what was under way is lost. */
static void cut_links(struct sim_server *v)
{
    struct sim *s = v->sim;
    sim_trace(s, "--- %s: the links to the router are cut", v->domain);
    struct sim_fault *f = fault(v);
    expect_router_missed(v);
    net_sim_cut(v->world->net, v->world->ip, 5347);
    f->over = sim_now(s) + SIM_RECOVERY_MS;
}

static void break_something(struct sim_server *v)
{
    static const char *const killable[] = {"router", "sm", "c2s", "s2s", "resolver"};
    struct sim *s = v->sim;
    uint32_t dice = sim_dice(s, 20);
    v->next_fault = sim_now(s) + 200 + sim_dice(s, v->fault_pause);
    if (v->dead_count || v->trap)
        return;
    if (dice < 4 && !one_process(v))
        cut_links(v);
    else if (dice < 6)
        set_trap(v);
    else if (dice < 7)
        kill_all(v, true);
    else if (dice < 8 && !v->disk_fault)
        break_disk(v);
    else if (dice < 9 && !v->dns.fault && v->world->resolver)
        sim_dns_break(v);
    else if (one_process(v))
        kill_all(v, false);
    else
        kill_one(v, killable[sim_dice(s, v->world->federates ? 5 : 3)]);
}

bool sim_server_breaks(struct sim_server *v)
{
    uint64_t now = sim_now(v->sim);
    if (v->trap && sim_disk_halted(v->disk))
        spring_trap(v);
    if (v->dead_count && now >= v->start_at)
        start_again(v);
    if (v->disk_fault && now >= v->mend_at)
        mend_disk(v);
    sim_dns_mend(v, false);
    if (now < v->next_fault)
        return false;
    break_something(v);
    return true;
}

void sim_server_mend(struct sim_server *v)
{
    if (v->trap && !sim_disk_halted(v->disk))
        sim_disk_restart(v->disk, false);
    else if (v->trap)
        spring_trap(v);
    v->trap = false;
    if (v->disk_fault)
        mend_disk(v);
    sim_dns_mend(v, true);
    if (v->dead_count)
        start_again(v);
}
