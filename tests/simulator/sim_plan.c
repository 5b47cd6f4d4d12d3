/* The plan of a run: the seed chooses the clients, what they do, and what breaks and when; then
 * everything is mended, everybody comes back, and when nothing moves any more the account must
 * balance. */
#include "sim_plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/accounts.h"
#include "store/users.h"

enum {
    TRAFFIC_MS = 14000, /* how long they write and things break */
    LOGIN_MS = 20000,   /* a client that is not there by then tries anew */
    QUIET_MS = 9000,    /* nothing has come for so long: nothing more will */
    END_MS = 240000,
    RECOVERY_MS = 15000, /* after a start: sessions are found again, lanes released */
    STEP_MS = 20
};

struct plan {
    struct sim *sim;
    uint32_t pause;  /* between two messages of a client */
    uint32_t unruly; /* of 1000 decisions of a client so many are to go */
    uint32_t full;   /* of 100 messages so many are for one client alone, not for its user */
    uint32_t adds;   /* of 100 decisions so many are to change the roster */
    uint64_t next_fault;
    struct process *dead[WORLD_PROCESSES]; /* killed and not started again */
    size_t dead_count;
    struct sim_fault *fault; /* of the dead */
    uint64_t start_at;
    bool trap, trap_power;        /* the next writes are the last ones of whoever writes */
    struct sim_fault *disk_fault; /* NULL: the disk works */
    uint64_t mend_at;
    uint64_t kills;
    uint32_t fault_pause;
};

/* --- the trace of the components' log --- */

static ssize_t log_line(void *cookie, const char *text, size_t len)
{
    struct sim *s = cookie;
    /* "TIME LEVEL ...": the time is this machine's */
    const char *from = memchr(text, ' ', len);
    size_t rest = from ? len - (size_t)(from + 1 - text) : 0;
    if (s->trace && rest)
        fprintf(s->trace, "%7" PRIu64 "    | %.*s", sim_now(s), (int)rest, from + 1);
    return (ssize_t)len;
}

static FILE *open_log(struct sim *s)
{
    FILE *f = fopencookie(s, "w", (cookie_io_functions_t){.write = log_line});
    if (f)
        setvbuf(f, NULL, _IOLBF, 4096);
    return f;
}

/* --- accounts --- */

static void on_account(void *arg, enum error e, const struct store_rows *rows)
{
    (void)rows;
    if (e)
        sim_complain(arg, "an account cannot be made: %s", error_text(e));
}

static void make_accounts(struct sim *s)
{
    struct scram_keys keys[SCRAM_HASHES];
    struct store *store = NULL;
    char why[256], url[64];
    (void)snprintf(url, sizeof(url), "memory:accounts?vfs=%s", s->world.disk);
    accounts_salt(s->random, 4096, keys);
    if (!accounts_derive_salted(STR("secret"), keys) ||
        store_open(s->world.loop, (struct log){0}, STORE_ACCOUNTS, url, &store, why, sizeof(why))) {
        sim_complain(s, "no accounts: %s", why);
        return;
    }
    for (int i = 0; i < s->client_count; i++)
        if (s->clients[i].user == i)
            store_commit(accounts_create(store_begin(store), str_of(s->clients[i].local),
                                         STR("example.net"), keys),
                         on_account, s);
    world_run(&s->world, 500);
    store_close(store);
}

static void make_users(struct sim *s)
{
    struct store *store = NULL;
    char why[256], url[64], jid[64];
    (void)snprintf(url, sizeof(url), "memory:users?vfs=%s", s->world.disk);
    if (store_open(s->world.loop, (struct log){0}, STORE_USERS, url, &store, why, sizeof(why))) {
        sim_complain(s, "no users: %s", why);
        return;
    }
    for (int i = 0; i < s->client_count; i++) {
        if (s->clients[i].user != i)
            continue;
        (void)snprintf(jid, sizeof(jid), "%s@example.net", s->clients[i].local);
        store_commit(users_activate(store_begin(store), str_of(jid), 1767225600), on_account, s);
    }
    world_run(&s->world, 500);
    store_close(store);
}

/* --- faults --- */

/* One process: its components live and die together. */
static bool one_process(const struct plan *p)
{
    return p->sim->world.placement == PLACEMENT_INLINE;
}

static struct process *process_named(struct sim *s, const char *name)
{
    for (size_t i = 0; i < s->world.process_count; i++)
        if (strcmp(s->world.processes[i].name, name) == 0)
            return &s->world.processes[i];
    return NULL;
}

static void die(struct plan *p, struct process *process)
{
    world_kill_now(&p->sim->world, str_of(process->name));
    p->dead[p->dead_count++] = process;
    p->kills++;
}

/* kill -9: of what waits for the disk nothing is written any more. */
static void kill_one(struct plan *p, const char *name)
{
    struct sim *s = p->sim;
    sim_trace(s, "--- %s is killed", name);
    p->fault = sim_account_fault(s, SIM_NOBODY);
    p->fault->c2s = strcmp(name, "c2s") == 0;
    sim_disk_halt(s->disk, 0);
    die(p, process_named(s, name));
    sim_disk_restart(s->disk, false);
    p->start_at = sim_now(s) + 50 + sim_dice(s, sim_dice(s, 2) ? 300 : 4000);
}

/* Of all: what one process is, where it is one (placement inline); with the whole machine also goes
 * what the system had in its hands and not on the disk. */
static void kill_all(struct plan *p, bool power)
{
    struct sim *s = p->sim;
    sim_trace(s, power ? "--- the power goes" : "--- the server is killed");
    p->fault = sim_account_fault(s, SIM_NOBODY);
    p->fault->c2s = true;
    p->fault->power = power;
    sim_disk_halt(s->disk, 0);
    for (size_t i = s->world.process_count; i-- > 0;)
        if (s->world.processes[i].component)
            die(p, &s->world.processes[i]);
    sim_disk_restart(s->disk, power);
    if (power) {
        world_power_lost(&s->world);
        s->power = sim_now(s);
    }
    p->start_at = sim_now(s) + 500 + sim_dice(s, 3000);
}

static void start_again(struct plan *p)
{
    struct sim *s = p->sim;
    while (p->dead_count > 0) {
        struct process *process = p->dead[--p->dead_count];
        sim_trace(s, "--- %s is started", process->name);
        if (!world_start_now(&s->world, str_of(process->name))) {
            sim_complain(s, "%s does not start", process->name);
            world_kill_now(&s->world, str_of(process->name));
        }
    }
    p->fault->over = sim_now(s) + RECOVERY_MS;
}

/* In the middle of what is being written: the disk stops, and its writer with it. */
static void set_trap(struct plan *p)
{
    struct sim *s = p->sim;
    sim_trace(s, "--- soon something dies over a write");
    p->trap = true;
    p->trap_power = sim_dice(s, 2);
    sim_disk_halt(s->disk, 1 + sim_dice(s, 12));
}

static void spring_trap(struct plan *p)
{
    p->trap = false;
    if (p->trap_power || one_process(p))
        kill_all(p, p->trap_power);
    else
        kill_one(p, "sm");
}

/* Full, or its syncs fail, for a while; nobody dies of it. */
static void break_disk(struct plan *p)
{
    struct sim *s = p->sim;
    bool full = sim_dice(s, 2);
    sim_trace(s, "--- the disk %s", full ? "is full" : "cannot sync");
    sim_disk_set_fault(s->disk, full ? SIM_DISK_FULL : SIM_DISK_SYNC_FAILS);
    p->disk_fault = sim_account_fault(s, SIM_NOBODY);
    p->disk_fault->disk = true;
    p->mend_at = sim_now(s) + 200 + sim_dice(s, 3000);
}

static void mend_disk(struct plan *p)
{
    struct sim *s = p->sim;
    sim_trace(s, "--- the disk works again");
    sim_disk_set_fault(s->disk, SIM_DISK_WORKS);
    p->disk_fault->over = sim_now(s) + RECOVERY_MS;
    p->disk_fault = NULL;
}

/* All links between components are reset; what was under way is lost. */
static void cut_links(struct plan *p)
{
    struct sim *s = p->sim;
    sim_trace(s, "--- the links to the router are cut");
    struct sim_fault *f = sim_account_fault(s, SIM_NOBODY);
    net_sim_cut(s->world.net, s->world.ip, 5347);
    f->over = sim_now(s) + RECOVERY_MS;
}

static void break_something(struct plan *p)
{
    static const char *const killable[] = {"router", "sm", "c2s"};
    struct sim *s = p->sim;
    uint32_t dice = sim_dice(s, 20);
    p->next_fault = sim_now(s) + 200 + sim_dice(s, p->fault_pause);
    if (p->dead_count || p->trap)
        return;
    if (dice < 4 && !one_process(p))
        cut_links(p);
    else if (dice < 6)
        set_trap(p);
    else if (dice < 7)
        kill_all(p, true);
    else if (dice < 8 && !p->disk_fault)
        break_disk(p);
    else if (one_process(p))
        kill_all(p, false);
    else
        kill_one(p, killable[sim_dice(s, 3)]);
}

static void look_after_faults(struct plan *p)
{
    uint64_t now = sim_now(p->sim);
    if (p->trap && sim_disk_halted(p->sim->disk))
        spring_trap(p);
    if (p->dead_count && now >= p->start_at)
        start_again(p);
    if (p->disk_fault && now >= p->mend_at)
        mend_disk(p);
}

/* Nothing breaks any more. */
static void mend_all(struct plan *p)
{
    if (p->trap && !sim_disk_halted(p->sim->disk))
        sim_disk_restart(p->sim->disk, false);
    else if (p->trap)
        spring_trap(p);
    p->trap = false;
    if (p->disk_fault)
        mend_disk(p);
    if (p->dead_count)
        start_again(p);
}

/* --- clients --- */

static void client_goes(struct plan *p, struct sim_client *c)
{
    struct sim *s = p->sim;
    bool leaves = sim_dice(s, 3) == 0;
    struct sim_fault *f = sim_account_fault(s, c->index);
    uint64_t away = sim_dice(s, 3) ? sim_dice(s, 2000) : sim_dice(s, 9000);
    f->mute = !leaves;
    f->over = sim_now(s) + away + RECOVERY_MS;
    if (leaves)
        sim_client_leave(c);
    else
        sim_client_vanish(c);
    c->next_try = sim_now(s) + away;
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
    p->next_fault = sim_now(s) + 500 + sim_dice(s, p->fault_pause);
    while (sim_now(s) < end) {
        look_after_faults(p);
        if (sim_now(s) >= p->next_fault) {
            check_balance(s);
            break_something(p);
        }
        step(p, 1);
    }
    s->writing = false;
    mend_all(p);
}

static bool all_there(const struct sim *s)
{
    for (int i = 0; i < s->client_count; i++)
        if (s->clients[i].state != SIM_ON || !list_empty(&s->clients[i].unacked))
            return false;
    return true;
}

static uint32_t events(const struct sim *s)
{
    uint32_t sum = 0;
    for (int i = 0; i < s->message_count; i++)
        sum += s->messages[i].copies + s->messages[i].errors;
    return sum;
}

/* Everybody is there, everything acknowledged, and nothing comes any more. */
static void run_until_quiet(struct plan *p)
{
    struct sim *s = p->sim;
    uint64_t end = sim_now(s) + END_MS, since = sim_now(s);
    uint32_t seen = 0;
    for (int i = 0; i < s->client_count; i++)
        s->clients[i].wanted = true;
    while (sim_now(s) - since < QUIET_MS) {
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
        uint32_t now = events(s);
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

static void setting(struct sim *s, const char *name, uint32_t value)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "%s=%" PRIu32, name, value);
    world_set(&s->world, text);
    sim_trace(s, "%s", text);
}

/* In half of the runs everybody has one client; in the others some have several. */
static void make_clients(struct sim *s)
{
    bool several = sim_dice(s, 2);
    s->client_count = 4 + (int)sim_dice(s, SIM_CLIENTS - 3);
    for (int i = 0; i < s->client_count; i++) {
        bool own = i < 2 || !several || sim_dice(s, 2);
        int user = own ? i : s->clients[sim_dice(s, (uint32_t)i)].user;
        sim_client_init(&s->clients[i], s, i, user, sim_dice(s, 2));
        sim_trace(s, "%s is a client of %s", s->clients[i].name, s->clients[i].local);
    }
}

static void make_world(struct plan *p, FILE *story)
{
    struct sim *s = p->sim;
    s->trace = story;
    s->log = open_log(s);
    s->random = random_create_seeded(s->seed * 4 + 1);
    s->disk_random = random_create_seeded(s->seed * 4 + 2);
    s->disk = sim_disk_create("disk", s->disk_random);
    s->messages = mem_alloc_array(SIM_MESSAGES, sizeof(*s->messages));
    s->iqs = mem_alloc_array(SIM_IQS, sizeof(*s->iqs));
    struct world_options options = {.log = s->log, .seed = s->seed, .disk = "disk"};
    world_init_seeded(&s->world, sim_dice(s, 4) ? PLACEMENT_PROCESSES : PLACEMENT_INLINE, &options);
    make_clients(s);
    sim_disk_set_delay(s->disk, sim_dice(s, 2) ? 0 : sim_dice(s, 40), sim_dice(s, 20));
    uint32_t resume_time = 2 + sim_dice(s, 20);
    s->resume_ms = resume_time * 1000;
    setting(s, "c2s.resume_time", resume_time);
    setting(s, "sm.outbox_after", 50 + sim_dice(s, sim_dice(s, 2) ? 400 : 4000));
    p->pause = 20 + sim_dice(s, 400);
    p->unruly = sim_dice(s, 2) ? 0 : sim_dice(s, 60);
    p->fault_pause = 500 + sim_dice(s, 8000);
    p->full = sim_dice(s, 2) ? 0 : sim_dice(s, 100);
    p->adds = sim_dice(s, 2) ? 0 : sim_dice(s, 50);
}

static void finish(struct plan *p, struct sim_sums *sums)
{
    struct sim *s = p->sim;
    sums->messages += (uint64_t)s->message_count;
    sums->faults += (uint64_t)s->fault_count;
    sums->kills += p->kills;
    sums->resumed += s->resumed;
    sums->refused += s->refused;
    for (int i = 0; i < s->message_count; i++) {
        sums->acknowledged += s->messages[i].acked != 0;
        sums->copies += s->messages[i].copies;
        sums->errors += s->messages[i].errors;
    }
    for (int i = 0; i < s->client_count; i++)
        sim_client_finish(&s->clients[i]);
    world_finish(&s->world);
    sim_disk_destroy(s->disk);
    random_destroy(s->random);
    random_destroy(s->disk_random);
    free(s->messages);
    free(s->iqs);
    if (s->log)
        fclose(s->log);
}

bool sim_plan_run(uint64_t seed, FILE *story, struct sim_sums *sums)
{
    struct sim *s = MEM_NEW(struct sim);
    struct plan p = {.sim = s};
    s->seed = seed;
    make_world(&p, story);
    make_accounts(s);
    make_users(s);
    if (!world_start(&s->world))
        sim_complain(s, "the server does not start");
    for (int i = 0; i < 100; i++)
        step(&p, STEP_MS);
    run_traffic(&p);
    run_until_quiet(&p);
    read_all(&p);
    sim_account_check(s);
    sim_kept_check(s);
    check_balance(s);
    bool ok = s->complaints == 0;
    finish(&p, sums);
    free(s);
    return ok;
}
