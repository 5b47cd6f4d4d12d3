/* A database server that is not there yet: see database_wait.h. The pauses are spent in a loop of
 * its own, since the process's does not run before everything has started. */
#include "component/database_wait.h"

#include <signal.h>

#include "base/mem.h"
#include "component/database.h"
#include "loop/loop.h"
#include "net/service_manager.h"

#define WAIT_FIRST_MS 250
#define WAIT_MOST_MS  5000
#define WAIT_SAY_MS   60000 /* until the log says it once more */

struct pause {
    struct loop *loop;
    struct loop_timer timer;
    bool stopped;
};

static void on_over(struct loop_timer *timer)
{
    loop_stop(timer->loop);
}

static void on_stop(void *arg, int signum)
{
    struct pause *p = arg;

    (void)signum;
    p->stopped = true;
    loop_stop(p->loop);
}

static bool pass(struct pause *p, uint64_t ms)
{
    /* systemd waits on as long as it is told so. */
    service_manager_tell("EXTEND_TIMEOUT_USEC=30000000\nSTATUS=waiting for the database");
    loop_timer_start(&p->timer, ms);
    loop_run(p->loop);
    return !p->stopped;
}

static bool wait_for(struct pause *p, const char *url, const struct log *log)
{
    uint64_t delay = WAIT_FIRST_MS, said = 0;
    char shown[256];

    for (bool first = true; store_away(url, shown, sizeof shown); first = false) {
        uint64_t now = loop_now(p->loop);
        if (first || now - said >= WAIT_SAY_MS) {
            log_warn(log,
                     "the database %s does not answer: waiting for it. If it should be elsewhere, "
                     "correct store.url.",
                     shown);
            said = now;
        }
        if (!pass(p, delay))
            return false;
        delay = delay * 2 < WAIT_MOST_MS ? delay * 2 : WAIT_MOST_MS;
    }
    return true;
}

bool database_wait(const struct config *config, const char *data_dir, unsigned stores,
                   const struct log *log)
{
    struct pause p = {.loop = loop_create()};
    char url[4096];

    loop_timer_init(&p.timer, p.loop, on_over);
    loop_on_signal(p.loop, SIGTERM, on_stop, &p);
    loop_on_signal(p.loop, SIGINT, on_stop, &p);
    for (unsigned kind = 0; stores >> kind && !p.stopped; kind++) {
        if (!(stores & 1u << kind))
            continue;
        database_url(config, data_dir, (enum store_kind)kind, url, sizeof url);
        (void)wait_for(&p, url, log);
    }
    mem_wipe(url, sizeof url); /* there may be a password in it */
    loop_timer_stop(&p.timer);
    loop_destroy(p.loop);
    return !p.stopped;
}
