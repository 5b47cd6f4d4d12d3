/* The server of a scenario: its components in one process, in each placement, killed and started
 * at will. */
#include "scenario.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/ring.h"
#include "component/database.h"
#include "component/runner.h"
#include "store/accounts.h"

#define HOME_IP       "127.0.0.1"
#define ABROAD_IP     "127.0.0.2"
#define ROUTER_PORT   5347
#define S2S_PORT      5269
#define ROUTER_USER   "scenario"
#define ROUTER_SECRET "a-secret-for-scenarios-alone"
#define WORLD_LEDGER  65536
#define WORLD_NOTES   (4096 * COMPONENT_NOTE_PLACE)
#define ABROAD_SEED   0x400000u /* its processes' random numbers are other ones */
/* 2026-01-01T00:00:00Z */
#define WALL_START 1767225600000

static const char *const defaults[] = {
    "c2s.tls=off",
    "c2s.tls_port=0",
    "c2s.max_per_address=0",
    "c2s.rate=0",
    "c2s.ping_after=0",
    "register.rate=0",
    "router.users=" ROUTER_USER ":" ROUTER_SECRET ":all",
};

const char *const placement_names[PLACEMENTS] = {"inline", "processes", "threads"};

__attribute__((format(printf, 2, 3))) static void set_by(struct world *w, const char *fmt, ...)
{
    char setting[512];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(setting, sizeof(setting), fmt, args);
    va_end(args);
    world_set(w, setting);
}

static void set_defaults(struct world *w)
{
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
        world_set(w, defaults[i]);
    set_by(w, "c2s.address=%s", w->ip);
    set_by(w, "router.address=%s", w->ip);
    if (w->disk) {
        set_by(w, "store.url=memory:users?vfs=%s", w->disk);
        set_by(w, "store.accounts_url=memory:accounts?vfs=%s", w->disk);
    } else if (getenv("JACKDAW_TEST_POSTGRES")) { /* of tests/postgres.py */
        set_by(w, "store.url=%s", getenv("JACKDAW_TEST_POSTGRES"));
    } else {
        set_by(w, "store.url=memory:users-%s", w->ip);
        set_by(w, "store.accounts_url=memory:accounts-%s", w->ip);
    }
    set_by(w, "router.port=%d", w->placement == PLACEMENT_PROCESSES ? ROUTER_PORT : 0);
}

void world_init(struct world *w, enum placement placement, FILE *log, bool verbose)
{
    struct world_options options = {.log = log, .verbose = verbose};

    world_init_seeded(w, placement, &options);
}

void world_init_seeded(struct world *w, enum placement placement,
                       const struct world_options *options)
{
    memset(w, 0, sizeof(*w));
    w->placement = placement;
    w->ip = HOME_IP;
    w->sms = 1;
    w->seed = options->seed;
    w->disk = options->disk;
    w->loop = loop_create_sim(WALL_START);
    w->random = random_create_seeded(20260101 + w->seed);
    w->net = net_create_sim(w->loop, 1 + w->seed);
    w->parsers = parser_pool_create(w->random);
    w->log_sink = log_sink_create(options->log, options->verbose ? LOG_DEBUG : LOG_INFO, LOG_TEXT);
    if (placement == PLACEMENT_THREADS)
        w->shared = shared_create();
    set_defaults(w);
}

void world_set(struct world *w, const char *setting)
{
    if (w->set_count == WORLD_SETS - 2) {
        fprintf(stderr, "more than %d settings\n", WORLD_SETS - 2);
        exit(2);
    }
    w->sets[w->set_count++] = mem_strdup(setting);
}

void world_add_domain(struct world *w, struct str domain)
{
    struct buffer list;

    buffer_init(&list, 4096);
    if (w->domains)
        buffer_printf(&list, "%s,", w->domains);
    buffer_printf(&list, "%.*s", STR_ARG(domain));
    free(w->domains);
    w->domains = str_dup(buffer_str(&list));
    buffer_finish(&list);
}

static void report(void *arg, const char *message)
{
    fprintf(stderr, "%s: %s\n", (const char *)arg, message);
}

static struct config *load_config(struct world *w, const char *name)
{
    const char *sets[WORLD_SETS];
    char domains[4096], id[64];
    size_t count = 0;

    (void)snprintf(domains, sizeof(domains), "server.domains=%s",
                   w->domains ? w->domains : "example.net");
    sets[count++] = domains;
    for (size_t i = 0; i < w->set_count; i++)
        sets[count++] = w->sets[i];
    if (strncmp(name, "router", 6) != 0) { /* "sm-2": of its section's name */
        (void)snprintf(id, sizeof(id), "%.*s.id=%s", (int)strcspn(name, "-"), name, name);
        sets[count++] = id;
    }
    return config_load(NULL, sets, count, report, (void *)"set");
}

static struct process *find(struct world *w, struct str name)
{
    for (size_t i = 0; i < w->process_count; i++)
        if (str_is(name, w->processes[i].name))
            return &w->processes[i];
    fprintf(stderr, "there is no component '%.*s'\n", STR_ARG(name));
    return NULL;
}

static void on_halt(void *arg, bool restart)
{
    struct process *p = arg;

    p->ordered = restart ? "restart" : "shutdown";
}

const char *world_ordered(const struct world *w)
{
    const char *all = NULL;

    for (size_t i = 0; i < w->process_count; i++) {
        const struct process *p = &w->processes[i];
        const char *one = p->ordered ? p->ordered : "nothing";
        if (p->ops == &router_component)
            continue;
        if (all && strcmp(all, one) != 0)
            return "not of all";
        all = one;
    }
    return all;
}

static bool make_env(struct world *w, struct process *p)
{
    bool own = w->placement != PLACEMENT_INLINE;

    p->config = load_config(w, p->name);
    if (!p->config)
        return false;
    p->env = (struct env){
        .loop = w->loop,
        .net = w->net,
        .random = own ? random_create_seeded((w->seed << 40) + loop_now(w->loop) * 16 +
                                             (uint64_t)(p - w->processes))
                      : w->random,
        .config = p->config,
        .log = {.sink = w->log_sink},
        .ledger = w->ledger,
        .notes = p->notes,
        .board = p->board,
        .data_dir = "",
        .shared = w->shared,
        .seat = p->seat,
        .seats = w->placement == PLACEMENT_THREADS ? WORLD_SEATS : 1,
        .halt = on_halt,
        .halt_arg = p,
    };
    p->env.parsers = own ? parser_pool_create(p->env.random) : w->parsers;
    return true;
}

static void free_env(struct world *w, struct process *p)
{
    if (w->placement != PLACEMENT_INLINE) {
        parser_pool_destroy(p->env.parsers);
        random_destroy(p->env.random);
    }
    config_destroy(p->config);
    p->config = NULL;
}

static void attach(struct world *w, struct process *p)
{
    struct link_tcp_config tcp = {
        .router = {.port = ROUTER_PORT},
        .user = STR(ROUTER_USER),
        .secret = STR(ROUTER_SECRET),
    };

    (void)snprintf(tcp.router.ip, sizeof(tcp.router.ip), "%s", w->ip);
    if (p->ops == &router_component)
        return;
    if (w->placement == PLACEMENT_PROCESSES)
        component_attach_tcp(p->component, &tcp);
    else
        component_attach_local(p->component, w->processes[p->seat].component);
}

static bool start_process(struct world *w, struct process *p)
{
    enum error e;

    if (p->component) {
        fprintf(stderr, "%s is running already\n", p->name);
        return false;
    }
    if (!make_env(w, p))
        return false;
    p->component = component_create(
        p->ops, &p->env,
        p->ops == &router_component ? p->name : runner_component_id(p->ops, p->config));
    attach(w, p);
    e = component_start(p->component);
    for (size_t i = 0; e == ERR_OK && p->ops == &router_component && i < p->seat; i++)
        component_join(w->processes[i].component, p->component);
    if (e != ERR_OK)
        fprintf(stderr, "%s cannot start: %s\n", p->name, error_text(e));
    return e == ERR_OK;
}

/* "sm", or "sm-1" and so on when there are several, dealt out to the seats. */
static void add_processes(struct world *w, const struct component_ops *ops, unsigned count)
{
    unsigned seats = w->placement == PLACEMENT_THREADS ? WORLD_SEATS : 1;

    for (unsigned i = 0; i < count; i++) {
        struct process *p = &w->processes[w->process_count++];
        p->ops = ops;
        p->seat = i % seats;
        p->notes = ops->notes ? ring_create(WORLD_NOTES, COMPONENT_NOTE) : NULL;
        p->board = ops->board ? board_create(ops->board) : NULL;
        if (count == 1)
            (void)snprintf(p->name, sizeof(p->name), "%s", ops->name);
        else
            (void)snprintf(p->name, sizeof(p->name), "%s-%u", ops->name, i + 1);
    }
}

static bool open_stores(struct world *w)
{
    struct log log = {.sink = w->log_sink};
    char why[256];

    if (w->disk || getenv("JACKDAW_TEST_POSTGRES")) /* which keep themselves */
        return true;
    for (int i = 0; i < 2; i++) {
        char url[64];
        enum error e;

        (void)snprintf(url, sizeof(url), "memory:%s-%s", i ? "users" : "accounts", w->ip);
        e = store_open(w->loop, log, i ? STORE_USERS : STORE_ACCOUNTS, url, &w->keep[i], why,
                       sizeof(why));
        if (e != ERR_OK) {
            fprintf(stderr, "store: %s\n", why);
            return false;
        }
    }
    return true;
}

/* Without DNS each knows where the other is. */
static void know(struct world *w, const struct world *other)
{
    struct str rest = str_of(other->domains ? other->domains : "example.net"), domain;
    struct buffer hosts;

    buffer_init(&hosts, 480);
    while (str_split(&rest, ',', &domain))
        buffer_printf(&hosts, "%s%.*s=%s:%d", buffer_len(&hosts) ? "," : "", STR_ARG(domain),
                      other->ip, S2S_PORT);
    set_by(w, "s2s.hosts=%.*s", STR_ARG(buffer_str(&hosts)));
    buffer_finish(&hosts);
}

static bool start_all(struct world *w)
{
    for (size_t i = 0; i < w->process_count; i++)
        if (!start_process(w, &w->processes[i]))
            return false;
    return true;
}

bool world_start(struct world *w)
{
    if (w->started)
        return true;
    w->started = true;
    w->ledger = ledger_create(ring_create(WORLD_LEDGER, RING_RECORD), (uint64_t)WALL_START);
    if (w->abroad && !w->resolver) {
        know(w, w->abroad);
        know(w->abroad, w);
    }
    if (w->abroad && !world_start(w->abroad))
        return false;
    bool threads = w->placement == PLACEMENT_THREADS;
    add_processes(w, &router_component, threads ? WORLD_SEATS : 1);
    add_processes(w, &sm_component, threads && w->sms == 1 ? WORLD_SEATS : (unsigned)w->sms);
    add_processes(w, &c2s_component, threads ? WORLD_SEATS : 1);
    if (w->resolver)
        add_processes(w, w->resolver, 1);
    if (w->federates)
        add_processes(w, &s2s_component, 1);
    if (!open_stores(w) || !start_all(w))
        return false;
    world_run(w, 2000);
    return true;
}

void world_run(struct world *w, uint64_t ms)
{
    loop_sim_advance(w->loop, ms);
}

bool world_kill_now(struct world *w, struct str name)
{
    struct process *p = find(w, name);

    if (!p || !p->component)
        return false;
    net_sim_kill(w->net, true);
    component_destroy(p->component);
    net_sim_kill(w->net, false);
    p->component = NULL;
    free_env(w, p);
    return true;
}

void world_power_lost(struct world *w)
{
    for (size_t i = 0; i < w->process_count; i++) {
        if (w->processes[i].notes)
            ring_clear(w->processes[i].notes);
        if (w->processes[i].board)
            board_clear(w->processes[i].board);
    }
}

bool world_kill(struct world *w, struct str names)
{
    struct str name;
    bool ok = true;

    while (str_split(&names, ' ', &name))
        ok = world_kill_now(w, name) && ok;
    world_run(w, 20);
    return ok;
}

static bool kill_server(struct world *w, bool power)
{
    for (size_t i = w->process_count; i-- > 0;)
        if (!world_kill_now(w, str_of(w->processes[i].name)))
            return false;
    if (power)
        world_power_lost(w);
    return true;
}

bool world_kill_all(struct world *w, bool power)
{
    bool ok = kill_server(w, power);

    world_run(w, 20);
    return ok;
}

bool world_start_all(struct world *w)
{
    bool ok = start_all(w);

    world_run(w, 2000);
    return ok;
}

bool world_start_now(struct world *w, struct str name)
{
    struct process *p = find(w, name);

    return p && start_process(w, p);
}

bool world_start_one(struct world *w, struct str name)
{
    bool ok = world_start_now(w, name);

    world_run(w, 2000);
    return ok;
}

static bool stop_one(struct world *w, struct process *p)
{
    component_stop(p->component);
    for (int i = 0; i < 1000 && !p->component->stopped; i++)
        world_run(w, 20);
    if (!p->component->stopped) {
        fprintf(stderr, "%s does not stop within 20 s\n", p->name);
        return false;
    }
    return world_kill(w, str_of(p->name));
}

bool world_stop(struct world *w, struct str name)
{
    bool any = false;

    for (size_t i = 0; i < w->process_count; i++) {
        struct process *p = &w->processes[i];
        if (!p->component || !(str_is(name, p->name) || str_is(name, p->ops->name)))
            continue;
        if (!stop_one(w, p))
            return false;
        any = true;
    }
    return any;
}

/* One step for all that run, with the configuration `fresh`. */
static bool reload_prepare(struct world *w, struct config *fresh[])
{
    for (size_t i = 0; i < w->process_count; i++) {
        struct process *p = &w->processes[i];
        enum error e;

        if (!p->component)
            continue;
        p->env.config = fresh[i];
        e = component_prepare(p->component);
        p->env.config = p->config;
        if (e == ERR_OK)
            continue;
        while (i-- > 0)
            if (w->processes[i].component)
                component_revert(w->processes[i].component);
        return false;
    }
    return true;
}

bool world_reload(struct world *w, const char *setting, bool refused)
{
    struct config *fresh[WORLD_PROCESSES] = {NULL};
    bool ok = true;

    world_set(w, setting);
    for (size_t i = 0; i < w->process_count; i++)
        ok = (fresh[i] = load_config(w, w->processes[i].name)) && ok;
    ok = ok && reload_prepare(w, fresh);
    for (size_t i = 0; i < w->process_count; i++) {
        struct process *p = &w->processes[i];
        struct config *old = p->config;

        if (ok && p->component) {
            p->config = fresh[i];
            p->env.config = p->config;
            component_commit(p->component);
            fresh[i] = old;
        }
        config_destroy(fresh[i]);
    }
    if (!ok)
        free(w->sets[--w->set_count]);
    if (ok == refused)
        fprintf(stderr, "the reload was %s\n", ok ? "taken" : "refused");
    world_run(w, 20);
    return ok != refused;
}

/* --- the other server --- */

static void federate(struct world *w)
{
    w->federates = true;
    world_set(w, "s2s.enabled=true");
    world_set(w, "s2s.tls=off");
    world_set(w, "s2s.require_certificate=false");
    set_by(w, "s2s.address=%s", w->ip);
    set_by(w, "s2s.port=%d", S2S_PORT);
}

void world_add_abroad(struct world *w, struct str domain)
{
    world_add_abroad_seeded(w, domain, PLACEMENT_INLINE, &(struct world_options){.log = NULL});
}

void world_add_abroad_seeded(struct world *w, struct str domain, enum placement placement,
                             const struct world_options *options)
{
    struct world *a = MEM_NEW(struct world);

    a->placement = placement;
    a->ip = ABROAD_IP;
    a->sms = 1;
    a->seed = w->seed ? w->seed ^ ABROAD_SEED : 0;
    a->disk = options->disk;
    a->loop = w->loop;
    a->net = w->net;
    a->log_sink = options->log ? log_sink_create(options->log, LOG_INFO, LOG_TEXT) : w->log_sink;
    a->random = random_create_seeded(20260102 + w->seed);
    if (placement == PLACEMENT_THREADS)
        a->shared = shared_create();
    a->parsers = parser_pool_create(a->random);
    set_defaults(a);
    world_add_domain(a, domain);
    w->abroad = a;
    federate(w);
    federate(a);
}

struct world *world_of(struct world *w, struct str domain)
{
    return w->abroad && str_is(domain, w->abroad->domains) ? w->abroad : w;
}

/* As a machine that loses its power. */
bool world_kill_abroad(struct world *w)
{
    bool ok = kill_server(w->abroad, true);

    world_run(w, 20);
    return ok;
}

bool world_start_abroad(struct world *w)
{
    bool ok = start_all(w->abroad);

    world_run(w, 2000);
    return ok;
}

void world_cut_abroad(struct world *w)
{
    net_sim_cut(w->net, HOME_IP, S2S_PORT);
    net_sim_cut(w->net, ABROAD_IP, S2S_PORT);
    world_run(w, 20);
}

void world_silence_abroad(struct world *w, bool on)
{
    net_sim_blackhole(w->net, HOME_IP, S2S_PORT, on);
    net_sim_blackhole(w->net, ABROAD_IP, S2S_PORT, on);
    world_run(w, 20);
}

/* --- an account from elsewhere --- */

static void on_imported(void *arg, enum error e, const struct store_rows *rows)
{
    *(int *)arg = e == ERR_OK ? 1 : -1;
}

static bool put_account(struct store *s, struct str local, struct str domain, struct str password,
                        int *done)
{
    struct scram_keys keys;
    struct store_txn *t;

    if (!scram_derive(SCRAM_SHA_256, password, (const unsigned char *)"not very random.", 16,
                      SCRAM_ITERATIONS, &keys))
        return false;
    t = accounts_put(store_begin(s), local, domain, STR_NULL, WALL_START / 1000, false);
    store_commit(accounts_put_keys(t, local, domain, &keys), on_imported, done);
    return true;
}

bool world_import(struct world *w, struct str local, struct str domain, struct str password)
{
    struct log log = {.sink = w->log_sink};
    struct store *s;
    char url[512], why[256];
    int done = 0;

    database_url(w->processes[0].config, NULL, STORE_ACCOUNTS, url, sizeof(url));
    if (store_open(w->loop, log, STORE_ACCOUNTS, url, &s, why, sizeof(why)) != ERR_OK)
        return false;
    if (put_account(s, local, domain, password, &done))
        for (int i = 0; i < 100 && !done; i++)
            world_run(w, 20);
    store_close(s);
    return done > 0;
}

/* --- the end --- */

static void finish_server(struct world *w)
{
    for (size_t i = w->process_count; i-- > 0;) {
        struct process *p = &w->processes[i];

        if (p->component)
            component_destroy(p->component);
        if (p->config)
            free_env(w, p);
        ring_close(p->notes);
        board_close(p->board);
    }
    for (int i = 0; i < 2; i++)
        store_close(w->keep[i]);
    ledger_destroy(w->ledger);
    shared_destroy(w->shared);
    parser_pool_destroy(w->parsers);
    random_destroy(w->random);
    for (size_t i = 0; i < w->set_count; i++)
        free(w->sets[i]);
    free(w->domains);
}

void world_finish(struct world *w)
{
    struct net *net = w->net;
    struct loop *loop = w->loop;
    struct log_sink *log_sink = w->log_sink;

    if (w->abroad) {
        finish_server(w->abroad);
        if (w->abroad->log_sink != log_sink)
            log_sink_destroy(w->abroad->log_sink);
    }
    free(w->abroad);
    finish_server(w);
    net_destroy(net);
    loop_destroy(loop);
    log_sink_destroy(log_sink);
}
