/* Helpers and their watchers: see helpers.h. Runner, watcher, helper: each is told by the kernel
 * when the one before is gone, and goes too. */
#include "component/helpers.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop/loop.h"

#define HELPERS_DELAY_MS     250
#define HELPERS_DELAY_MAX_MS 4000
#define HELPERS_STABLE_MS    60000

/* In a child that has just been forked; false when `parent` is gone already. */
static bool follow(pid_t parent)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)signal(SIGPIPE, SIG_IGN);
    return getppid() == parent;
}

static void on_over(struct loop_timer *timer)
{
    loop_stop(timer->loop);
}

/* A loop of its own each time: none is there when a helper is forked. Returns when it is over. */
static uint64_t wait_for(uint64_t ms)
{
    struct loop *loop = loop_create();
    struct loop_timer timer;
    uint64_t now;

    loop_timer_init(&timer, loop, on_over);
    loop_timer_start(&timer, ms);
    loop_run(loop);
    now = loop_now(loop);
    loop_destroy(loop);
    return now;
}

static pid_t fork_helper(const struct runner_options *o, const struct component_ops *ops)
{
    pid_t parent = getpid(), pid = fork();

    if (pid == 0)
        _exit(follow(parent) ? ops->helper(o->config, o->data_dir, o->arguments) : 1);
    return pid;
}

/* The first death is mended at once, the next after 250 ms, 500 ms ... */
static void watch(const struct runner_options *o, const struct component_ops *ops,
                  const struct log *log)
{
    uint64_t delay = 0, begun = wait_for(0);
    int status = 0;

    for (;;) {
        pid_t pid = fork_helper(o, ops);
        while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
            continue;
        if (wait_for(0) - begun >= HELPERS_STABLE_MS)
            delay = 0;
        if (pid < 0)
            log_error(log, "cannot start the helper of %s: %s; next attempt in %u ms", ops->name,
                      strerror(errno), (unsigned)delay);
        else
            log_error(log, "the helper of %s has ended (%s %d); it starts again in %u ms",
                      ops->name, WIFSIGNALED(status) ? "signal" : "exit code",
                      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                      (unsigned)delay);
        begun = wait_for(delay);
        delay = delay == 0 ? HELPERS_DELAY_MS : delay * 2;
        if (delay > HELPERS_DELAY_MAX_MS)
            delay = HELPERS_DELAY_MAX_MS;
    }
}

static bool start(const struct runner_options *o, const struct component_ops *ops,
                  const struct log *log)
{
    pid_t parent = getpid(), pid = fork();

    if (pid < 0)
        log_error(log, "cannot start the helper of %s: %s", ops->name, strerror(errno));
    if (pid != 0)
        return pid > 0;
    if (follow(parent))
        watch(o, ops, log);
    _exit(1);
}

bool helpers_start(const struct runner_options *o, const struct log *log)
{
    bool ok = true;

    for (size_t i = 0; i < o->component_count && ok; i++)
        if (o->components[i]->helper_wanted && o->components[i]->helper_wanted(o->config))
            ok = start(o, o->components[i], log);
    return ok;
}
