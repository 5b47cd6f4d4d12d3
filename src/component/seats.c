/* Seats: see seats.h. Holding is a barrier: each loop finds a task in its mailbox that waits until
 * it is released. */
#include "component/seats.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

struct seat {
    struct seats *seats;
    struct env env;
    pthread_t thread;
    bool running;
    bool posted; /* `park` waits in the loop's mailbox; guarded by the lock */
    struct loop_task park, stop;
};

struct seats {
    unsigned count, running;
    unsigned holds; /* the first thread's own */
    pthread_mutex_t lock;
    pthread_cond_t parked_one, released;
    unsigned parked;
    bool held;
    struct seat each[];
};

/* --- life --- */

static void on_park(struct loop_task *task);

static void on_stop(struct loop_task *task)
{
    struct seat *seat = MEM_CONTAINER(task, struct seat, stop);

    loop_stop(seat->env.loop);
}

static void seat_init(struct seats *s, unsigned number, const struct env *common,
                      struct shared *shared)
{
    struct seat *seat = &s->each[number];

    seat->seats = s;
    seat->env = *common;
    seat->env.loop = loop_create();
    seat->env.random = random_create();
    seat->env.net = net_create(seat->env.loop, common->log);
    seat->env.parsers = parser_pool_create(seat->env.random);
    seat->env.shared = shared;
    seat->env.seat = number;
    seat->env.seats = s->count;
    loop_task_init(&seat->park, on_park);
    loop_task_init(&seat->stop, on_stop);
}

struct seats *seats_create(unsigned count, const struct env *common)
{
    struct seats *s = mem_alloc(sizeof(*s) + count * sizeof(struct seat));
    struct shared *shared = shared_create();

    s->count = count;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->parked_one, NULL);
    pthread_cond_init(&s->released, NULL);
    for (unsigned i = 0; i < count; i++)
        seat_init(s, i, common, shared);
    return s;
}

void seats_destroy(struct seats *s)
{
    if (!s)
        return;
    for (unsigned i = 0; i < s->count; i++) {
        net_destroy(s->each[i].env.net);
        parser_pool_destroy(s->each[i].env.parsers);
        loop_destroy(s->each[i].env.loop);
        random_destroy(s->each[i].env.random);
    }
    shared_destroy(s->each[0].env.shared);
    pthread_cond_destroy(&s->parked_one);
    pthread_cond_destroy(&s->released);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

unsigned seats_count(const struct seats *s)
{
    return s->count;
}

struct env *seats_env(struct seats *s, unsigned seat)
{
    return &s->each[seat].env;
}

void seats_set_config(struct seats *s, const struct config *config)
{
    for (unsigned i = 0; i < s->count; i++)
        s->each[i].env.config = config;
}

/* --- threads --- */

static void *run(void *arg)
{
    struct seat *seat = arg;

    loop_run(seat->env.loop);
    return NULL;
}

/* Signals are for the first thread: the others begin with all of them blocked. */
bool seats_start(struct seats *s)
{
    sigset_t all, before;

    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 1; i < s->count; i++) {
        struct seat *seat = &s->each[i];
        char name[16];

        seat->running = pthread_create(&seat->thread, NULL, run, seat) == 0;
        if (!seat->running)
            break;
        s->running++;
        (void)snprintf(name, sizeof(name), "loop-%u", i + 1);
        (void)pthread_setname_np(seat->thread, name);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (s->running + 1 == s->count)
        return true;
    log_error(&s->each[0].env.log,
              "cannot start a thread for each of %u loops; choose a smaller server.threads",
              s->count);
    return false;
}

void seats_stop(struct seats *s)
{
    for (unsigned i = 1; i < s->count; i++) {
        struct seat *seat = &s->each[i];

        if (!seat->running)
            continue;
        loop_post(seat->env.loop, &seat->stop);
        (void)pthread_join(seat->thread, NULL);
        seat->running = false;
    }
    s->running = 0;
}

/* --- holding --- */

/* Whoever is in here while `held` is true cannot leave. */
static void on_park(struct loop_task *task)
{
    struct seat *seat = MEM_CONTAINER(task, struct seat, park);
    struct seats *s = seat->seats;

    pthread_mutex_lock(&s->lock);
    seat->posted = false;
    s->parked++;
    pthread_cond_signal(&s->parked_one);
    while (s->held)
        pthread_cond_wait(&s->released, &s->lock);
    s->parked--;
    pthread_mutex_unlock(&s->lock);
}

void seats_hold(struct seats *s)
{
    if (s->holds++ > 0)
        return;
    pthread_mutex_lock(&s->lock);
    s->held = true;
    for (unsigned i = 1; i < s->count; i++) {
        struct seat *seat = &s->each[i];
        if (!seat->running || seat->posted)
            continue;
        seat->posted = true;
        loop_post(seat->env.loop, &seat->park);
    }
    while (s->parked < s->running)
        pthread_cond_wait(&s->parked_one, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

void seats_release(struct seats *s)
{
    if (--s->holds > 0)
        return;
    pthread_mutex_lock(&s->lock);
    s->held = false;
    pthread_cond_broadcast(&s->released);
    pthread_mutex_unlock(&s->lock);
}
