/* The real loop, over libuv. libuv's turn is: timers, prepare hooks, poll (which then reads the
 * clock) and its callbacks. Ours begins with those callbacks and ends in the prepare hook before
 * the next poll: timers that have become due, then the deferred tasks. One uv_timer stands for the
 * whole wheel; it only wakes the poll. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <uv.h>

#include "base/mem.h"
#include "loop/loop_impl.h"

struct signal_watch {
    uv_signal_t handle;
    struct signal_watch *next;
    void (*fn)(void *arg, int signum);
    void *arg;
};

struct loop_uv {
    struct loop base;
    uv_loop_t uv;
    uv_prepare_t before_poll;
    uv_timer_t alarm;
    uv_idle_t no_wait; /* active while tasks are left over: poll then does not block */
    uv_async_t posted;
    uint64_t alarm_due; /* UINT64_MAX: not set */
    bool no_wait_on;
    struct signal_watch *signals;
};

struct uv_job {
    uv_work_t request;
    struct loop_work *work;
};

static struct loop_uv *uv_of(const struct loop *l)
{
    return MEM_CONTAINER(l, struct loop_uv, base);
}

static void must(int status, const char *what)
{
    if (status < 0) {
        fprintf(stderr, "jackdaw: %s: %s\n", what, uv_strerror(status));
        abort();
    }
}

static void on_alarm(uv_timer_t *timer)
{
    struct loop_uv *u = timer->data;
    u->alarm_due = UINT64_MAX; /* what is due runs in on_before_poll */
}

static void on_no_wait(uv_idle_t *idle)
{
    (void)idle;
}

/* An alarm that is too early costs one empty turn; moving it at every restart of a timer would cost
 * more. */
static void set_alarm(struct loop_uv *u)
{
    uint64_t next = loop_impl_next(&u->base);
    if (next >= u->alarm_due)
        return;
    uint64_t now = uv_now(&u->uv);
    uv_timer_start(&u->alarm, on_alarm, next > now ? next - now : 0, 0);
    u->alarm_due = next;
}

static void on_before_poll(uv_prepare_t *prepare)
{
    struct loop_uv *u = prepare->data;
    loop_impl_advance(&u->base, uv_now(&u->uv));
    loop_impl_run_timers(&u->base);
    loop_impl_run_tasks(&u->base);
    set_alarm(u);
    bool left = loop_impl_tasks_left(&u->base);
    if (left == u->no_wait_on)
        return;
    u->no_wait_on = left;
    if (left)
        uv_idle_start(&u->no_wait, on_no_wait);
    else
        uv_idle_stop(&u->no_wait);
}

static void on_posted(uv_async_t *async)
{
    struct loop_uv *u = async->data;
    loop_impl_run_posted(&u->base);
}

static void uv_wake(struct loop *l)
{
    uv_async_send(&uv_of(l)->posted);
}

static void uv_loop_run(struct loop *l)
{
    uv_run(&uv_of(l)->uv, UV_RUN_DEFAULT);
}

static void uv_loop_stop(struct loop *l)
{
    uv_stop(&uv_of(l)->uv);
}

static uint64_t uv_loop_now(const struct loop *l)
{
    return uv_now(&uv_of(l)->uv);
}

static int64_t uv_wall_us(const struct loop *l)
{
    struct timespec now;
    (void)l;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void on_job_run(uv_work_t *request)
{
    struct uv_job *job = request->data;
    job->work->run(job->work);
}

static void on_job_done(uv_work_t *request, int status)
{
    struct uv_job *job = request->data;
    struct loop_work *work = job->work;
    (void)status; /* we never cancel */
    free(job);
    work->driver = NULL;
    work->done(work);
}

static void uv_loop_work(struct loop *l, struct loop_work *work)
{
    struct uv_job *job = MEM_NEW(struct uv_job);
    job->request.data = job;
    job->work = work;
    work->driver = job;
    must(uv_queue_work(&uv_of(l)->uv, &job->request, on_job_run, on_job_done), "uv_queue_work");
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
    struct loop_watch *watch = handle->data;
    (void)events;
    /* An error is found by whoever reads, but perhaps behind data that came before it; libuv has
     * stopped watching. */
    if (status < 0)
        must(uv_poll_start(handle, UV_READABLE, on_readable), "uv_poll_start");
    watch->fn(watch);
}

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle);
}

static void uv_loop_unwatch(struct loop_watch *watch)
{
    uv_close((uv_handle_t *)watch->driver, on_watch_closed);
}

static void uv_loop_watch_writes(struct loop_watch *watch, bool on)
{
    int events = on ? UV_READABLE | UV_WRITABLE : UV_READABLE;
    must(uv_poll_start((uv_poll_t *)watch->driver, events, on_readable), "uv_poll_start");
}

static bool uv_loop_watch(struct loop *l, struct loop_watch *watch, int fd)
{
    uv_poll_t *handle = MEM_NEW(uv_poll_t);
    if (uv_poll_init(&uv_of(l)->uv, handle, fd) < 0) {
        free(handle);
        return false;
    }
    handle->data = watch;
    watch->driver = handle;
    if (uv_poll_start(handle, UV_READABLE, on_readable) == 0)
        return true;
    loop_watch_stop(l, watch);
    return false;
}

static void on_signal(uv_signal_t *handle, int signum)
{
    struct signal_watch *watch = handle->data;
    watch->fn(watch->arg, signum);
}

static void uv_loop_on_signal(struct loop *l, int signum, void (*fn)(void *arg, int signum),
                              void *arg)
{
    struct loop_uv *u = uv_of(l);
    struct signal_watch *watch = MEM_NEW(struct signal_watch);
    must(uv_signal_init(&u->uv, &watch->handle), "uv_signal_init");
    watch->handle.data = watch;
    watch->fn = fn;
    watch->arg = arg;
    watch->next = u->signals;
    u->signals = watch;
    must(uv_signal_start(&watch->handle, on_signal, signum), "uv_signal_start");
}

static void *uv_handle(struct loop *l)
{
    return &uv_of(l)->uv;
}

static void on_signal_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void must_be_closing(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        must(UV_EBUSY, "loop_destroy before net_destroy");
}

static void uv_loop_destroy(struct loop *l)
{
    struct loop_uv *u = uv_of(l);
    uv_close((uv_handle_t *)&u->before_poll, NULL);
    uv_close((uv_handle_t *)&u->alarm, NULL);
    uv_close((uv_handle_t *)&u->no_wait, NULL);
    uv_close((uv_handle_t *)&u->posted, NULL);
    for (struct signal_watch *watch = u->signals, *next; watch; watch = next) {
        next = watch->next;
        uv_close((uv_handle_t *)&watch->handle, on_signal_closed);
    }
    uv_walk(&u->uv, must_be_closing, NULL);
    while (uv_run(&u->uv, UV_RUN_DEFAULT))
        ; /* close callbacks, and work that other threads have begun */
    must(uv_loop_close(&u->uv), "uv_loop_close");
    loop_impl_finish(l);
    free(u);
}

static const struct loop_ops uv_ops = {
    .destroy = uv_loop_destroy,
    .run = uv_loop_run,
    .stop = uv_loop_stop,
    .now = uv_loop_now,
    .wall_us = uv_wall_us,
    .work = uv_loop_work,
    .wake = uv_wake,
    .watch = uv_loop_watch,
    .unwatch = uv_loop_unwatch,
    .watch_writes = uv_loop_watch_writes,
    .on_signal = uv_loop_on_signal,
    .handle = uv_handle,
};

unsigned loop_cores(void)
{
    return uv_available_parallelism();
}

struct loop *loop_create(void)
{
    struct loop_uv *u = MEM_NEW(struct loop_uv);
    must(uv_loop_init(&u->uv), "uv_loop_init");
    loop_impl_init(&u->base, &uv_ops, uv_now(&u->uv));
    u->alarm_due = UINT64_MAX;
    uv_prepare_init(&u->uv, &u->before_poll);
    uv_timer_init(&u->uv, &u->alarm);
    uv_idle_init(&u->uv, &u->no_wait);
    must(uv_async_init(&u->uv, &u->posted, on_posted), "uv_async_init");
    u->before_poll.data = u->alarm.data = u->posted.data = u;
    uv_prepare_start(&u->before_poll, on_before_poll);
    return &u->base;
}
