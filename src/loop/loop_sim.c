/* The simulated loop: time stands still while something is ready and otherwise jumps to the next
 * timer. Everything, work for other threads too, runs on the caller's thread, in an order that
 * depends on nothing outside. */
#include <stdlib.h>

#include "base/mem.h"
#include "loop/loop_impl.h"

struct loop_sim {
    struct loop base;
    uint64_t now;
    int64_t wall_at_start;
    bool stopping;
    struct loop_work *jobs, **last_job; /* chained by their `driver` */
};

enum { FIRST_MS = 1000 }; /* not 0, so that a zeroed stamp is in the past */

static struct loop_sim *sim_of(const struct loop *l)
{
    return MEM_CONTAINER(l, struct loop_sim, base);
}

/* Runs the jobs that were begun before this turn. */
static bool run_jobs(struct loop_sim *s)
{
    struct loop_work *work = s->jobs;
    bool any = work != NULL;
    s->jobs = NULL;
    s->last_job = &s->jobs;
    while (work) {
        struct loop_work *next = work->driver;
        work->driver = NULL;
        work->run(work);
        work->done(work);
        work = next;
    }
    return any;
}

bool loop_sim_turn(struct loop *l)
{
    struct loop_sim *s = sim_of(l);
    bool any = run_jobs(s);
    any |= loop_impl_run_posted(l);
    loop_impl_advance(l, s->now);
    any |= loop_impl_run_timers(l);
    any |= loop_impl_run_tasks(l);
    return any;
}

void loop_sim_advance(struct loop *l, uint64_t ms)
{
    struct loop_sim *s = sim_of(l);
    uint64_t until = s->now + ms;
    for (;;) {
        while (loop_sim_turn(l))
            ;
        uint64_t next = loop_impl_next(l);
        if (next > until)
            break;
        s->now = next;
    }
    s->now = until;
    loop_impl_advance(l, until);
}

static void sim_run(struct loop *l)
{
    struct loop_sim *s = sim_of(l);
    s->stopping = false;
    while (!s->stopping) {
        if (loop_sim_turn(l))
            continue;
        uint64_t next = loop_impl_next(l);
        if (next == UINT64_MAX)
            return;
        s->now = next;
    }
}

static void sim_stop(struct loop *l)
{
    sim_of(l)->stopping = true;
}

static uint64_t sim_now(const struct loop *l)
{
    return sim_of(l)->now;
}

static int64_t sim_wall_us(const struct loop *l)
{
    const struct loop_sim *s = sim_of(l);
    return (s->wall_at_start + (int64_t)(s->now - FIRST_MS)) * 1000;
}

static void sim_work(struct loop *l, struct loop_work *work)
{
    struct loop_sim *s = sim_of(l);
    work->driver = NULL;
    *s->last_job = work;
    s->last_job = (struct loop_work **)&work->driver;
}

static void sim_wake(struct loop *l)
{
    (void)l; /* every turn looks */
}

static bool sim_watch(struct loop *l, struct loop_watch *watch, int fd)
{
    (void)l, (void)watch, (void)fd;
    return false;
}

static void sim_on_signal(struct loop *l, int signum, void (*fn)(void *arg, int signum), void *arg)
{
    (void)l, (void)signum, (void)fn, (void)arg;
}

static void *sim_handle(struct loop *l)
{
    (void)l;
    return NULL;
}

static void sim_destroy(struct loop *l)
{
    struct loop_sim *s = sim_of(l);
    while (run_jobs(s)) /* as the real loop does */
        ;
    loop_impl_finish(l);
    free(s);
}

static const struct loop_ops sim_ops = {
    .destroy = sim_destroy,
    .run = sim_run,
    .stop = sim_stop,
    .now = sim_now,
    .wall_us = sim_wall_us,
    .work = sim_work,
    .wake = sim_wake,
    .watch = sim_watch,
    .on_signal = sim_on_signal,
    .handle = sim_handle,
};

struct loop *loop_create_sim(int64_t wall_ms)
{
    struct loop_sim *s = MEM_NEW(struct loop_sim);
    s->now = FIRST_MS;
    s->wall_at_start = wall_ms;
    s->last_job = &s->jobs;
    loop_impl_init(&s->base, &sim_ops, s->now);
    return &s->base;
}

bool loop_is_sim(const struct loop *l)
{
    return l->ops == &sim_ops;
}
