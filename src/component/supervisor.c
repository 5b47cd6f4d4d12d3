/* A child that dies is started again at once the first time, then after a delay that doubles up to
 * 3 s and is forgotten once it has run for a minute. Until every child has been ready once, a death
 * is a failed start. */
#include "component/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "component/runner.h"
#include "loop/loop.h"
#include "net/service_manager.h"

#define SUPERVISOR_MAX_CHILDREN 8
#define SUPERVISOR_MAX_ARGS     256
#define SUPERVISOR_DELAY_MAX_MS 3000 /* with its start and the link's retry: 5 s (G7) */
#define SUPERVISOR_STABLE_MS    60000
#define SUPERVISOR_KILL_MS      15000
#define SUPERVISOR_PID          "JACKDAW_SUPERVISOR" /* in the children's environment */

struct supervisor;

struct child {
    struct supervisor *supervisor;
    const char *name;
    pid_t pid; /* 0: not running */
    int pipe;  /* its stdout until it is ready, or -1 */
    bool ready, was_ready;
    uint64_t started; /* loop_now */
    uint64_t delay;   /* before the next start, ms */
    struct loop_timer restart;
    struct loop_work read_ready; /* waits on a pool thread for the "ready" line */
    bool reading;
};

struct supervisor {
    const struct supervisor_options *options;
    struct log log;
    struct loop *loop;
    struct child children[SUPERVISOR_MAX_CHILDREN];
    size_t count;
    size_t stopping; /* while stopping: children below this index still run */
    bool stopped_by_signal, announced, failed, restart;
    struct loop_timer kill_timer, watchdog;
    pid_t reload_pid; /* of a `jackdaw reload` under way, or 0 */
    bool reload_again;
};

/* --- one child --- */

bool supervisor_tell(bool restart)
{
    const char *text = getenv(SUPERVISOR_PID);
    uint64_t pid;

    return text && str_to_u64(str_of(text), INT32_MAX, &pid) && (pid_t)pid == getppid() &&
           kill((pid_t)pid, restart ? SIGUSR1 : SIGTERM) == 0;
}

/* This very program, with another subcommand and the same options. */
static void exec_self(const struct supervisor_options *o, const char *name)
{
    char *argv[SUPERVISOR_MAX_ARGS + 3] = {"jackdaw", (char *)name}, pid[24];
    size_t n = 2;

    for (size_t i = 0; o->arguments[i] && n < SUPERVISOR_MAX_ARGS + 2; i++)
        argv[n++] = o->arguments[i];
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* never outlive a supervisor that was killed */
    service_manager_forget();
    (void)snprintf(pid, sizeof(pid), "%ld", (long)getppid());
    (void)setenv(SUPERVISOR_PID, pid, 1);
    execv("/proc/self/exe", argv);
    _exit(127);
}

/* Pool thread: blocks until the child has said "ready" or closed its stdout. */
static void read_ready_run(struct loop_work *work)
{
    struct child *child = MEM_CONTAINER(work, struct child, read_ready);
    char line[256];
    size_t len = 0;
    ssize_t got;

    while (len < sizeof(line) && (got = read(child->pipe, line + len, sizeof(line) - len)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            break;
        len += (size_t)got;
        if (memchr(line, '\n', len))
            break;
    }
    child->ready = len >= 5 && memcmp(line, "ready", 5) == 0;
}

static void announce(struct supervisor *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (!s->children[i].was_ready)
            return;
    s->announced = true;
    printf("ready processes");
    for (size_t i = 0; i < s->count; i++)
        printf(" %s", s->children[i].name);
    printf("\n");
    fflush(stdout);
    service_manager_tell("READY=1\nSTATUS=%zu processes", s->count);
}

static void child_start(struct child *child);

static void read_ready_done(struct loop_work *work)
{
    struct child *child = MEM_CONTAINER(work, struct child, read_ready);
    struct supervisor *s = child->supervisor;

    child->reading = false;
    close(child->pipe);
    child->pipe = -1;
    if (child->ready) {
        child->was_ready = true;
        log_info(&s->log, "%s runs as process %ld", child->name, (long)child->pid);
        if (!s->announced)
            announce(s);
    }
}

static void child_start(struct child *child)
{
    struct supervisor *s = child->supervisor;
    int ends[2];

    if (child->reading ||
        pipe2(ends, O_CLOEXEC) != 0) { /* the old pipe is still being read: a moment later */
        loop_timer_start(&child->restart, 100);
        return;
    }
    child->ready = false;
    child->started = loop_now(s->loop);
    child->pid = fork();
    if (child->pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        exec_self(s->options, child->name);
    }
    close(ends[1]);
    if (child->pid < 0) {
        log_error(&s->log, "cannot start %s: %s; trying again", child->name, strerror(errno));
        child->pid = 0;
        close(ends[0]);
        loop_timer_start(&child->restart, SUPERVISOR_DELAY_MAX_MS);
        return;
    }
    child->pipe = ends[0];
    child->reading = true;
    loop_work(s->loop, &child->read_ready);
}

static void on_restart(struct loop_timer *timer)
{
    child_start(MEM_CONTAINER(timer, struct child, restart));
}

/* --- stopping: in reverse order, one after the other --- */

static void stop_next(struct supervisor *s)
{
    while (s->stopping > 0) {
        struct child *child = &s->children[s->stopping - 1];
        loop_timer_stop(&child->restart);
        if (child->pid > 0) {
            (void)kill(child->pid, SIGTERM);
            loop_timer_start(&s->kill_timer, SUPERVISOR_KILL_MS);
            return;
        }
        s->stopping--;
    }
    loop_stop(s->loop);
}

static void begin_stop(struct supervisor *s)
{
    s->stopped_by_signal = true;
    service_manager_tell("STOPPING=1");
    s->stopping = s->count;
    stop_next(s);
}

static void on_kill_timer(struct loop_timer *timer)
{
    struct supervisor *s = MEM_CONTAINER(timer, struct supervisor, kill_timer);
    struct child *child = &s->children[s->stopping - 1];

    log_warn(&s->log, "%s did not stop within %d s: killing it", child->name,
             SUPERVISOR_KILL_MS / 1000);
    if (child->pid > 0)
        (void)kill(child->pid, SIGKILL);
}

static void child_died(struct child *child, int status)
{
    struct supervisor *s = child->supervisor;

    child->pid = 0;
    if (s->stopped_by_signal) {
        stop_next(s);
        return;
    }
    if (WIFSIGNALED(status))
        log_error(&s->log, "%s was ended by signal %d; starting it again", child->name,
                  WTERMSIG(status));
    else
        log_error(&s->log, "%s ended with exit code %d; see its lines above", child->name,
                  WEXITSTATUS(status));
    if (!child->was_ready) {
        s->failed = true;
        begin_stop(s);
        return;
    }
    if (loop_now(s->loop) - child->started > SUPERVISOR_STABLE_MS)
        child->delay = 0;
    loop_timer_start(&child->restart, child->delay);
    child->delay = child->delay == 0 ? 250 : child->delay * 2;
    if (child->delay > SUPERVISOR_DELAY_MAX_MS)
        child->delay = SUPERVISOR_DELAY_MAX_MS;
}

/* --- signals --- */

static void on_watchdog(struct loop_timer *timer)
{
    service_manager_tell("WATCHDOG=1");
    loop_timer_start(timer, service_manager_watchdog_ms() / 3);
}

static void on_stop_signal(void *arg, int signum)
{
    struct supervisor *s = arg;
    if (!s->stopped_by_signal)
        begin_stop(s);
}

static void on_restart_signal(void *arg, int signum)
{
    struct supervisor *s = arg;

    s->restart = true;
    on_stop_signal(s, signum);
}

/* `jackdaw reload` has all of them agree; SIGHUP to each would not. */
static void on_reload_signal(void *arg, int signum)
{
    struct supervisor *s = arg;

    if (s->reload_pid > 0) {
        s->reload_again = true;
        return;
    }
    s->reload_pid = fork();
    if (s->reload_pid == 0)
        exec_self(s->options, "reload");
    if (s->reload_pid < 0)
        log_error(&s->log, "cannot reload: %s", strerror(errno));
}

static void reload_over(struct supervisor *s)
{
    s->reload_pid = 0;
    if (s->reload_again)
        on_reload_signal(s, SIGHUP);
    s->reload_again = false;
}

static void on_child_signal(void *arg, int signum)
{
    struct supervisor *s = arg;
    for (size_t i = 0; i < s->count; i++) {
        int status;
        if (s->children[i].pid > 0 &&
            waitpid(s->children[i].pid, &status, WNOHANG) == s->children[i].pid)
            child_died(&s->children[i], status);
    }
    if (s->reload_pid > 0 && waitpid(s->reload_pid, NULL, WNOHANG) == s->reload_pid)
        reload_over(s);
}

int supervisor_run(const struct supervisor_options *options)
{
    struct supervisor s = {.options = options, .log = options->log, .loop = loop_create()};

    loop_timer_init(&s.kill_timer, s.loop, on_kill_timer);
    loop_timer_init(&s.watchdog, s.loop, on_watchdog);
    if (service_manager_watchdog_ms() > 0)
        loop_timer_start(&s.watchdog, 0);
    loop_on_signal(s.loop, SIGCHLD, on_child_signal, &s);
    loop_on_signal(s.loop, SIGTERM, on_stop_signal, &s);
    loop_on_signal(s.loop, SIGINT, on_stop_signal, &s);
    loop_on_signal(s.loop, SIGHUP, on_reload_signal, &s);
    loop_on_signal(s.loop, SIGUSR1, on_restart_signal, &s); /* supervisor_tell */
    s.count = options->count < SUPERVISOR_MAX_CHILDREN ? options->count : SUPERVISOR_MAX_CHILDREN;
    for (size_t i = 0; i < s.count; i++) {
        struct child *child = &s.children[i];
        child->supervisor = &s;
        child->name = options->names[i];
        child->pipe = -1;
        child->read_ready = (struct loop_work){.run = read_ready_run, .done = read_ready_done};
        loop_timer_init(&child->restart, s.loop, on_restart);
        child_start(child);
    }
    loop_run(s.loop);
    loop_destroy(s.loop);
    if (!s.failed && s.restart)
        return RUNNER_EXIT_RESTART;
    return s.failed ? 1 : 0;
}
