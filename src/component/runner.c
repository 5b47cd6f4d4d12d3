/* The one main loop of every jackdaw process: environment, locks, components, control socket,
 * signals. */
#include "component/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/ring.h"
#include "component/answers.h"
#include "component/control.h"
#include "component/database.h"
#include "component/database_wait.h"
#include "component/helpers.h"
#include "component/identity.h"
#include "component/reload.h"
#include "component/sandbox.h"
#include "component/seats.h"
#include "component/secret.h"
#include "component/supervisor.h"
#include "component/survivors.h"
#include "net/service_manager.h"

#define RUNNER_DRAIN_MS  10000 /* at most, for all components together */
#define RUNNER_POLL_MS   10
#define RUNNER_SETTLE_MS 5000     /* at most, until all loops know of each other */
#define RUNNER_KINDS     8        /* of components */
#define RUNNER_WATCH_US  15000000 /* so long bodies are noted after `jackdaw trace` asked */

struct runner {
    const struct runner_options *options;
    struct log_sink *sink;
    struct ledger *ledger;
    struct ring *notes;
    struct seats *seats;
    struct env *env; /* the first seat's: the process's own business is done there */
    struct component *components[RUNNER_KINDS * SEATS_MAX];
    size_t count; /* components that were created, kind by kind */
    int locks[RUNNER_KINDS];
    size_t lock_count;
    size_t stopping; /* while draining: components from here on have been told to stop */
    struct config *config;
    struct tls_client *router_trust; /* NULL: links to the router are not encrypted */
    struct reload *reload;
    struct control *control;
    struct loop_timer drain, watchdog;
    struct loop_timer settle;
    uint64_t settle_deadline;
    uint64_t drain_deadline;
    bool draining;
    bool told_to_stop;      /* before everything had started */
    struct loop_task halt;  /* an administrator's order, from whatever loop it was given on */
    atomic_bool halt_given; /* before `restart` is read */
    bool restart;
};

const char *runner_component_id(const struct component_ops *ops, const struct config *config)
{
    if (strcmp(ops->name, "sm") == 0)
        return config->sm_id;
    if (strcmp(ops->name, "c2s") == 0)
        return config->c2s_id;
    if (strcmp(ops->name, "resolver") == 0)
        return config->resolver_id;
    if (strcmp(ops->name, "s2s") == 0)
        return config->s2s_id;
    return ops->name;
}

/* --- the data directory --- */

static bool make_directory(const struct log *log, const char *path)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return true;
    log_error(log,
              "cannot make the directory %s: %s; make it yourself or choose another with --data",
              path, strerror(errno));
    return false;
}

/* A second instance on one data directory would corrupt what the first believes: refuse
 * (reliability.md C.2). */
static int take_lock(const struct log *log, const char *data_dir, const char *id)
{
    char path[4096];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/run/%s.lock", data_dir, id);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        log_error(log, "cannot open %s: %s; check who owns the data directory", path,
                  strerror(errno));
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        log_error(log,
                  "%s is already running on %s (it holds %s); stop it first, or give this one "
                  "another --data "
                  "or another id",
                  id, data_dir, path);
        close(fd);
        return -1;
    }
    return fd;
}

static bool prepare_data_dir(const struct log *log, const char *data_dir)
{
    char run[4096];
    (void)snprintf(run, sizeof(run), "%s/run", data_dir);
    return make_directory(log, data_dir) && make_directory(log, run);
}

static bool start_helpers(const struct runner_options *o)
{
    struct log_sink *sink = log_sink_create(stderr, LOG_INFO, LOG_TEXT);
    struct log log = {.sink = sink};
    bool ok = prepare_data_dir(&log, o->data_dir) && helpers_start(o, &log);

    log_sink_destroy(sink);
    return ok;
}

/* Every connection is a descriptor: take what the system allows. */
static void raise_fd_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* --- stopping: the components in reverse order, each when the one before has drained --- */

/* The kind of component that ends at r->stopping: all its instances at once. */
static size_t group_start(const struct runner *r)
{
    size_t first = r->stopping - 1;

    while (first > 0 && r->components[first - 1]->ops == r->components[r->stopping - 1]->ops)
        first--;
    return first;
}

static void stop_group(struct runner *r)
{
    if (r->stopping == 0)
        return;
    seats_hold(r->seats);
    for (size_t i = group_start(r); i < r->stopping; i++)
        component_stop(r->components[i]);
    seats_release(r->seats);
}

static void drain_step(struct runner *r)
{
    while (r->stopping > 0) {
        size_t first = group_start(r);
        for (size_t i = first; i < r->stopping; i++)
            if (!r->components[i]->stopped)
                return;
        r->stopping = first;
        stop_group(r);
    }
}

static void on_drain(struct loop_timer *timer)
{
    struct runner *r = MEM_CONTAINER(timer, struct runner, drain);

    drain_step(r);
    if (r->stopping == 0) {
        loop_stop(r->env->loop);
    } else if (loop_now(r->env->loop) >= r->drain_deadline) {
        log_warn(&r->env->log, "%s did not drain within %d s; stopping without it",
                 r->components[r->stopping - 1]->id, RUNNER_DRAIN_MS / 1000);
        loop_stop(r->env->loop);
    } else {
        loop_timer_start(timer, RUNNER_POLL_MS);
    }
}

static void on_stop_signal(void *arg, int signum)
{
    struct runner *r = arg;

    if (r->draining) {
        log_warn(&r->env->log, "asked to stop a second time: not waiting for the rest");
        loop_stop(r->env->loop);
        return;
    }
    log_info(&r->env->log, "stopping: ending streams, then writing out what is pending");
    service_manager_tell("STOPPING=1");
    r->draining = true;
    r->drain_deadline = loop_now(r->env->loop) + RUNNER_DRAIN_MS;
    r->stopping = r->count;
    stop_group(r);
    loop_timer_start(&r->drain, RUNNER_POLL_MS);
}

/* --- an administrator's order --- */

/* The supervisor stops all its processes in their order, ours among them. */
static void on_halt(struct loop_task *task)
{
    struct runner *r = MEM_CONTAINER(task, struct runner, halt);

    if (r->draining)
        return;
    log_info(&r->env->log, "an administrator has this server %s",
             r->restart ? "start anew" : "shut down");
    if (!supervisor_tell(r->restart))
        on_stop_signal(r, SIGTERM);
    else
        r->restart = false;
}

static void halt(void *arg, bool restart)
{
    struct runner *r = arg;

    if (atomic_exchange(&r->halt_given, true))
        return;
    r->restart = restart;
    loop_post(r->env->loop, &r->halt);
}

/* --- the service manager --- */

static void tell_ready(struct runner *r)
{
    size_t domains = r->config->server_domains.count;

    service_manager_tell("READY=1\nSTATUS=%zu %s: %s%s", domains,
                         domains == 1 ? "domain" : "domains", r->config->server_domains.items[0],
                         domains > 1 ? ", ..." : "");
}

/* A loop that does not come to rest keeps this one waiting, and all are started anew. */
static void on_watchdog(struct loop_timer *timer)
{
    struct runner *r = MEM_CONTAINER(timer, struct runner, watchdog);

    seats_hold(r->seats);
    seats_release(r->seats);
    service_manager_tell("WATCHDOG=1");
    loop_timer_start(timer, service_manager_watchdog_ms() / 3);
}

/* --- SIGHUP --- */

static void apply_log_settings(struct runner *r)
{
    enum log_level level = LOG_INFO;
    (void)log_level_parse(r->config->log_level, &level);
    log_sink_set(r->sink, level, strcmp(r->config->log_format, "json") == 0 ? LOG_JSON : LOG_TEXT);
}

static void on_reloaded(void *arg, struct config *config)
{
    struct runner *r = arg;

    config_destroy(r->config);
    r->config = config;
    apply_log_settings(r);
    ledger_set_bodies(r->ledger, config->ledger_bodies);
}

static void on_reload_signal(void *arg, int signum)
{
    struct runner *r = arg;

    service_manager_tell("RELOADING=1");
    json_decref(reload_run(r->reload, RELOAD_ALL));
    tell_ready(r);
}

/* --- the control socket --- */

static json_t *status(struct runner *r, const struct answers_source *source)
{
    return json_pack("{s:s, s:i, s:s, s:i, s:o}", "version", JACKDAW_VERSION, "pid", (int)getpid(),
                     "process", r->options->name, "loops", (int)seats_count(r->seats), "components",
                     answers_status(source));
}

/* `jackdaw log level [LEVEL]`: holds until the next change or reload. */
static json_t *log_level(struct runner *r, const json_t *request)
{
    const char *name = json_string_value(json_object_get(request, "level"));
    enum log_level level;

    if (name && !log_level_parse(name, &level))
        return json_pack("{s:s}", "error", "there is no such level");
    if (name)
        log_sink_set_level(r->sink, level);
    return json_pack("{s:b, s:s}", "ok", 1, "level", log_sink_level(r->sink));
}

/* `jackdaw trace JID --bodies` says it again and again while it runs. */
static json_t *watch_bodies(struct runner *r, const json_t *request)
{
    const char *jid = json_string_value(json_object_get(request, "jid"));

    if (!jid)
        return json_pack("{s:s}", "error", "the command needs a jid");
    ledger_watch_bodies(r->ledger, jid, loop_wall_us(r->env->loop) + RUNNER_WATCH_US);
    return json_pack("{s:b}", "ok", 1);
}

static json_t *answer(struct runner *r, const char *command, const json_t *request)
{
    const struct answers_source source = {r->components, r->count};

    if (strcmp(command, "status") == 0)
        return status(r, &source);
    if (strcmp(command, "reload") == 0)
        return reload_request(r->reload, request);
    if (strcmp(command, "log-level") == 0)
        return log_level(r, request);
    if (strcmp(command, "trace-bodies") == 0)
        return watch_bodies(r, request);
    return answers_command(&source, request);
}

static json_t *on_control(void *arg, const json_t *request)
{
    struct runner *r = arg;
    const char *command = json_string_value(json_object_get(request, "command"));

    if (!command)
        return NULL;
    seats_hold(r->seats);
    json_t *answered = answer(r, command, request);
    seats_release(r->seats);
    return answered;
}

static bool open_control(struct runner *r)
{
    char path[4096];
    enum error e;

    (void)snprintf(path, sizeof(path), "%s/run/%s.sock", r->options->data_dir, r->options->name);
    e = control_open(r->env->net, r->env->log, path, on_control, r, &r->control);
    if (e != ERR_OK)
        log_error(&r->env->log,
                  "cannot open the control socket %s: %s; check who owns the directory, and that "
                  "the path is shorter "
                  "than 100 characters",
                  path, error_text(e));
    return e == ERR_OK;
}

/* --- starting --- */

static bool trust_router(struct runner *r)
{
    char why[1024] = "";

    if (!r->config->router_tls || r->router_trust)
        return true;
    r->router_trust = identity_router_trust(r->env, why, sizeof(why));
    if (!r->router_trust)
        log_error(&r->env->log, "router.ca_file: %s", why);
    return r->router_trust != NULL;
}

static bool attach_tcp(struct runner *r, struct component *c)
{
    const struct config *config = r->config;
    struct link_tcp_config link = {.user = str_of(config->router_user)};
    char secret[256];

    if (secret_load(r->env, "router-secret", config->router_secret_file, secret, sizeof(secret)) !=
            ERR_OK ||
        !trust_router(r))
        return false;
    link.tls = r->router_trust;
    (void)snprintf(link.router.ip, sizeof(link.router.ip), "%s", config->router_address);
    link.router.port = (uint16_t)config->router_port;
    link.secret = str_of(secret);
    component_attach_tcp(c, &link);
    mem_wipe(secret, sizeof(secret));
    return true;
}

/* The router of the same loop, or, when it is another process, TCP. */
static bool attach(struct runner *r, struct component *c)
{
    if (c->ops->attach)
        return true;
    if (!r->components[0]->ops->attach)
        return attach_tcp(r, c);
    component_attach_local(c, r->components[c->env->seat]);
    return true;
}

static bool start_one(struct runner *r, const struct component_ops *ops, const char *id,
                      unsigned seat)
{
    struct env *env = seats_env(r->seats, seat);
    struct component *c = component_create(ops, env, id);

    r->components[r->count++] = c;
    if (ops->board) /* of the one component of this seat that wants one */
        env->board = survivors_board(r->options, ops, id, &env->log);
    if (!attach(r, c) || component_start(c) != ERR_OK)
        return false;
    for (unsigned i = 0; ops->attach && i < seat; i++) /* routers come first */
        component_join(r->components[i], c);
    return true;
}

static bool start_kind(struct runner *r, const struct component_ops *ops)
{
    const char *id = runner_component_id(ops, r->config);
    int lock = take_lock(&r->env->log, r->options->data_dir, id);
    unsigned seats = seats_count(r->seats);
    char own[256];

    if (lock < 0)
        return false;
    r->locks[r->lock_count++] = lock;
    if (seats == 1 || !ops->per_loop)
        return start_one(r, ops, id, seats - 1);
    for (unsigned seat = 0; seat < seats; seat++) {
        (void)snprintf(own, sizeof(own), "%s-%u", id, seat + 1);
        if (!start_one(r, ops, own, seat))
            return false;
    }
    return true;
}

static bool start_all(struct runner *r)
{
    for (size_t i = 0; i < r->options->component_count; i++)
        if (!start_kind(r, r->options->components[i]))
            return false;
    return open_control(r) && seats_start(r->seats);
}

static void say_ready(const struct runner *r)
{
    printf("ready %s", r->options->name);
    for (size_t i = 0; i < r->count; i++)
        printf(" %s", r->components[i]->id);
    printf("\n");
    fflush(stdout);
}

/* Whether each has heard of every other: loops begin one after the other. */
static bool all_met(const struct runner *r)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct component *c = r->components[i];
        if (!component_settled(c))
            return false;
        for (size_t k = 0; k < r->count; k++)
            if (k != i && c->link && r->components[k]->link &&
                !component_peer_up(c, str_of(r->components[k]->id)))
                return false;
    }
    return true;
}

static void be_ready(struct runner *r)
{
    say_ready(r);
    tell_ready(r);
    if (service_manager_watchdog_ms() > 0)
        on_watchdog(&r->watchdog);
}

static void on_settle(struct loop_timer *timer)
{
    struct runner *r = MEM_CONTAINER(timer, struct runner, settle);
    bool met;

    seats_hold(r->seats);
    met = all_met(r);
    seats_release(r->seats);
    if (met || loop_now(r->env->loop) >= r->settle_deadline)
        be_ready(r);
    else
        loop_timer_start(timer, RUNNER_POLL_MS);
}

static void environment_create(struct runner *r)
{
    const struct runner_options *o = r->options;
    struct env common = {.config = o->config, .data_dir = o->data_dir, .halt = halt, .halt_arg = r};

    r->config = o->config;
    r->sink = log_sink_create(stderr, LOG_INFO, LOG_TEXT);
    apply_log_settings(r);
    common.log.sink = r->sink;
    common.ledger = r->ledger = survivors_ledger(o, &common.log);
    common.notes = r->notes = survivors_notes(o, &common.log);
    ledger_set_bodies(r->ledger, o->config->ledger_bodies);
    r->seats = seats_create(o->loops ? o->loops : 1, &common);
    r->env = seats_env(r->seats, 0);
    loop_timer_init(&r->drain, r->env->loop, on_drain);
    loop_timer_init(&r->settle, r->env->loop, on_settle);
    loop_task_init(&r->halt, on_halt);
    r->settle_deadline = loop_now(r->env->loop) + RUNNER_SETTLE_MS;
    loop_timer_init(&r->watchdog, r->env->loop, on_watchdog);
}

static void environment_destroy(struct runner *r)
{
    seats_stop(r->seats);
    loop_post_cancel(r->env->loop, &r->halt);
    loop_timer_stop(&r->watchdog);
    control_close(r->control);
    reload_destroy(r->reload);
    for (size_t i = r->count; i > 0; i--)
        component_destroy(r->components[i - 1]);
    for (unsigned i = 0; i < seats_count(r->seats); i++)
        board_close(seats_env(r->seats, i)->board);
    seats_destroy(r->seats);
    tls_client_destroy(r->router_trust);
    ledger_destroy(r->ledger);
    ring_close(r->notes);
    for (size_t i = 0; i < r->lock_count; i++)
        close(r->locks[i]);
    log_sink_destroy(r->sink);
    config_destroy(r->config);
}

static struct sandbox sandbox_of(const struct runner *r)
{
    return (struct sandbox){
        .log = r->env->log,
        .config = r->config,
        .data_dir = r->options->data_dir,
        .config_file = r->options->config_file,
        .components = r->options->components,
        .count = r->options->component_count,
    };
}

/* Where the databases of this process are to be. */
static bool place_databases(struct runner *r, unsigned stores)
{
    char why[1024];

    for (unsigned kind = 0; stores >> kind; kind++) {
        enum error e = stores & 1u << kind ? database_place(r->config, r->options->data_dir,
                                                            (enum store_kind)kind, why, sizeof(why))
                                           : ERR_OK;
        if (e == ERR_EXISTS)
            log_warn(&r->env->log, "%s", why);
        else if (e != ERR_OK)
            log_error(&r->env->log, "%s", why);
        if (e != ERR_OK && e != ERR_EXISTS)
            return false;
    }
    return true;
}

/* Each is where it has to be, and answers. */
static bool find_databases(struct runner *r)
{
    unsigned stores = 0;

    for (size_t i = 0; i < r->options->component_count; i++)
        stores |= r->options->components[i]->stores;
    if (!place_databases(r, stores))
        return false;
    r->told_to_stop = !database_wait(r->config, r->options->data_dir, stores, &r->env->log);
    return !r->told_to_stop;
}

/* Made when it is missing. */
static bool have_secret(struct runner *r, const char *name, const char *path)
{
    char secret[256];

    if (secret_load(r->env, name, path, secret, sizeof(secret)) != ERR_OK)
        return false;
    mem_wipe(secret, sizeof(secret));
    return true;
}

/* Before anything else: Landlock's rules are about files that are there. */
static bool restrict_files(struct runner *r)
{
    struct sandbox s = sandbox_of(r);

    if (!find_databases(r))
        return false;
    if (!sandbox_has_files(&s))
        return true;
    for (size_t i = 0; i < s.count; i++)
        if (s.components[i]->secret && !have_secret(r, s.components[i]->secret, ""))
            return false;
    if (!have_secret(r, "router-secret", r->config->router_secret_file))
        return false;
    sandbox_files(&s);
    return true;
}

static void restrict_calls(struct runner *r)
{
    struct sandbox s = sandbox_of(r);

    sandbox_calls(&s);
}

int runner_run(const struct runner_options *options)
{
    struct runner r = {.options = options};
    bool helped = start_helpers(options), started;

    raise_fd_limit();
    environment_create(&r);
    r.reload = reload_create(&(struct reload_options){
        .seats = r.seats,
        .load = options->load,
        .load_arg = options->load_arg,
        .components = r.components,
        .count = &r.count,
        .done = on_reloaded,
        .arg = &r,
    });
    started = helped && restrict_files(&r) && start_all(&r);
    if (started) {
        restrict_calls(&r);
        (void)signal(SIGPIPE, SIG_IGN);
        loop_on_signal(r.env->loop, SIGTERM, on_stop_signal, &r);
        loop_on_signal(r.env->loop, SIGINT, on_stop_signal, &r);
        loop_on_signal(r.env->loop, SIGHUP, on_reload_signal, &r);
        if (seats_count(r.seats) > 1)
            loop_timer_start(&r.settle, 0);
        else
            be_ready(&r);
        loop_run(r.env->loop);
        log_info(&r.env->log, "stopped");
    }
    environment_destroy(&r);
    if (started && r.restart)
        return RUNNER_EXIT_RESTART;
    return started || r.told_to_stop ? 0 : 1;
}
