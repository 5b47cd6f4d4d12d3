/* The one main loop of every jackdaw process: environment, locks, components, control socket,
 * signals. */
#include "component/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "component/control.h"
#include "component/reload.h"
#include "component/secret.h"

#define RUNNER_DRAIN_MS   10000 /* at most, for all components together */
#define RUNNER_POLL_MS    10
#define RUNNER_COMPONENTS 8

struct runner {
    const struct runner_options *options;
    struct log_sink *sink;
    struct env env;
    struct component *components[RUNNER_COMPONENTS];
    int locks[RUNNER_COMPONENTS];
    size_t count;    /* components that were created */
    size_t stopping; /* while draining: components from here on have been told to stop */
    struct config *config;
    struct reload *reload;
    struct control *control;
    struct loop_timer drain;
    uint64_t drain_deadline;
    bool draining;
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

/* --- helper processes --- */

static bool start_helper(const struct runner_options *o, const struct component_ops *ops,
                         const struct log *log)
{
    pid_t parent = getpid(), pid = fork();

    if (pid < 0)
        log_error(log, "cannot start the helper of %s: %s", ops->name, strerror(errno));
    if (pid != 0)
        return pid > 0;
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* it never outlives whom it helps */
    (void)signal(SIGPIPE, SIG_IGN);
    _exit(getppid() == parent ? ops->helper(o->config, o->data_dir, o->arguments) : 1);
}

/* Before there are threads, descriptors or a sandbox to inherit. */
static bool start_helpers(const struct runner_options *o)
{
    struct log_sink *sink = log_sink_create(stderr, LOG_INFO, LOG_TEXT);
    struct log log = {.sink = sink};
    bool ok = prepare_data_dir(&log, o->data_dir);

    for (size_t i = 0; i < o->component_count && ok; i++)
        if (o->components[i]->helper_wanted && o->components[i]->helper_wanted(o->config))
            ok = start_helper(o, o->components[i], &log);
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

static void drain_step(struct runner *r)
{
    while (r->stopping > 0) {
        struct component *c = r->components[r->stopping - 1];
        if (!c->stopped)
            return;
        r->stopping--;
        if (r->stopping > 0)
            component_stop(r->components[r->stopping - 1]);
    }
}

static void on_drain(struct loop_timer *timer)
{
    struct runner *r = MEM_CONTAINER(timer, struct runner, drain);

    drain_step(r);
    if (r->stopping == 0) {
        loop_stop(r->env.loop);
    } else if (loop_now(r->env.loop) >= r->drain_deadline) {
        log_warn(&r->env.log, "%s did not drain within %d s; stopping without it",
                 r->components[r->stopping - 1]->id, RUNNER_DRAIN_MS / 1000);
        loop_stop(r->env.loop);
    } else {
        loop_timer_start(timer, RUNNER_POLL_MS);
    }
}

static void on_stop_signal(void *arg, int signum)
{
    struct runner *r = arg;

    if (r->draining) {
        log_warn(&r->env.log, "asked to stop a second time: not waiting for the rest");
        loop_stop(r->env.loop);
        return;
    }
    log_info(&r->env.log, "stopping: ending streams, then writing out what is pending");
    r->draining = true;
    r->drain_deadline = loop_now(r->env.loop) + RUNNER_DRAIN_MS;
    r->stopping = r->count;
    if (r->stopping > 0)
        component_stop(r->components[r->stopping - 1]);
    loop_timer_start(&r->drain, RUNNER_POLL_MS);
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
}

static void on_reload_signal(void *arg, int signum)
{
    struct runner *r = arg;

    json_decref(reload_run(r->reload, RELOAD_ALL));
}

/* --- the control socket --- */

static json_t *status(struct runner *r)
{
    json_t *components = json_object();

    for (size_t i = 0; i < r->count; i++)
        json_object_set_new(components, r->components[i]->id, component_status(r->components[i]));
    return json_pack("{s:s, s:i, s:s, s:o}", "version", JACKDAW_VERSION, "pid", (int)getpid(),
                     "process", r->options->name, "components", components);
}

static json_t *on_control(void *arg, const json_t *request)
{
    struct runner *r = arg;
    const char *command = json_string_value(json_object_get(request, "command"));

    if (!command)
        return NULL;
    if (strcmp(command, "status") == 0)
        return status(r);
    if (strcmp(command, "reload") == 0)
        return reload_request(r->reload, request);
    /* Each hears it: a removed account concerns both c2s and sm. The first answer counts. */
    json_t *first = NULL;
    for (size_t i = 0; i < r->count; i++) {
        struct component *c = r->components[i];
        json_t *answer = c->ops->command ? c->ops->command(c, request) : NULL;
        if (first)
            json_decref(answer);
        else
            first = answer;
    }
    return first;
}

static bool open_control(struct runner *r)
{
    char path[4096];
    enum error e;

    (void)snprintf(path, sizeof(path), "%s/run/%s.sock", r->options->data_dir, r->options->name);
    e = control_open(r->env.net, r->env.log, path, on_control, r, &r->control);
    if (e != ERR_OK)
        log_error(&r->env.log,
                  "cannot open the control socket %s: %s; check who owns the directory, and that "
                  "the path is shorter "
                  "than 100 characters",
                  path, error_text(e));
    return e == ERR_OK;
}

/* --- starting --- */

static bool attach_tcp(struct runner *r, struct component *c)
{
    const struct config *config = r->config;
    struct link_tcp_config link = {.user = str_of(config->router_user)};
    char secret[256];

    if (secret_load(&r->env, "router-secret", config->router_secret_file, secret, sizeof(secret)) !=
        ERR_OK)
        return false;
    (void)snprintf(link.router.ip, sizeof(link.router.ip), "%s", config->router_address);
    link.router.port = (uint16_t)config->router_port;
    link.secret = str_of(secret);
    component_attach_tcp(c, &link);
    mem_wipe(secret, sizeof(secret));
    return true;
}

static bool start_component(struct runner *r, const struct component_ops *ops)
{
    const char *id = runner_component_id(ops, r->config);
    int lock = take_lock(&r->env.log, r->options->data_dir, id);
    struct component *c;

    if (lock < 0)
        return false;
    c = component_create(ops, &r->env, id);
    r->locks[r->count] = lock;
    r->components[r->count++] = c;
    if (r->components[0]->ops->attach && c != r->components[0])
        component_attach_local(c, r->components[0]);
    else if (!ops->attach && !attach_tcp(r, c))
        return false;
    return component_start(c) == ERR_OK;
}

static bool start_all(struct runner *r)
{
    for (size_t i = 0; i < r->options->component_count; i++)
        if (!start_component(r, r->options->components[i]))
            return false;
    return open_control(r);
}

static void environment_create(struct runner *r)
{
    const struct runner_options *o = r->options;

    r->config = o->config;
    r->sink = log_sink_create(stderr, LOG_INFO, LOG_TEXT);
    apply_log_settings(r);
    r->env.log = (struct log){.sink = r->sink};
    r->env.loop = loop_create();
    r->env.random = random_create();
    r->env.net = net_create(r->env.loop, r->env.log);
    r->env.parsers = parser_pool_create(r->env.random);
    r->env.config = r->config;
    r->env.data_dir = o->data_dir;
    loop_timer_init(&r->drain, r->env.loop, on_drain);
}

static void environment_destroy(struct runner *r)
{
    control_close(r->control);
    reload_destroy(r->reload);
    for (size_t i = r->count; i > 0; i--)
        component_destroy(r->components[i - 1]);
    net_destroy(r->env.net);
    parser_pool_destroy(r->env.parsers);
    loop_destroy(r->env.loop);
    random_destroy(r->env.random);
    for (size_t i = 0; i < r->count; i++)
        close(r->locks[i]);
    log_sink_destroy(r->sink);
    config_destroy(r->config);
}

static void say_ready(const struct runner *r)
{
    printf("ready %s", r->options->name);
    for (size_t i = 0; i < r->count; i++)
        printf(" %s", r->components[i]->id);
    printf("\n");
    fflush(stdout);
}

int runner_run(const struct runner_options *options)
{
    struct runner r = {.options = options};
    bool helped = start_helpers(options), started;

    raise_fd_limit();
    environment_create(&r);
    r.reload = reload_create(&(struct reload_options){
        .env = &r.env,
        .load = options->load,
        .load_arg = options->load_arg,
        .components = r.components,
        .count = &r.count,
        .done = on_reloaded,
        .arg = &r,
    });
    started = helped && start_all(&r);
    if (started) {
        (void)signal(SIGPIPE, SIG_IGN);
        loop_on_signal(r.env.loop, SIGTERM, on_stop_signal, &r);
        loop_on_signal(r.env.loop, SIGINT, on_stop_signal, &r);
        loop_on_signal(r.env.loop, SIGHUP, on_reload_signal, &r);
        say_ready(&r);
        loop_run(r.env.loop);
        log_info(&r.env.log, "stopped");
    }
    environment_destroy(&r);
    return started ? 0 : 1;
}
