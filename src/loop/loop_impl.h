/* What loop.c and its two drivers share. Included by nobody else. */
#ifndef JACKDAW_LOOP_LOOP_IMPL_H
#define JACKDAW_LOOP_LOOP_IMPL_H

#include <pthread.h>

#include "loop/loop.h"

enum {
    WHEEL_BITS = 6,
    WHEEL_SLOTS = 1 << WHEEL_BITS,
    WHEEL_LEVELS = 8 /* 2^48 ms: 8900 years */
};

/* Timers by due time. Level 0 holds those that differ from `now` only in the lowest 6 bits, level 1
 * those that differ in the next 6, and so on; a slot of level n is dealt out to lower levels when
 * the clock reaches its start. So all of a lower level is due before any of a higher one, and the
 * lowest used slot of the lowest used level is next. */
struct wheel {
    uint64_t now;                /* how far it has been turned; may lag behind loop_now */
    uint64_t used[WHEEL_LEVELS]; /* bit n: slot n may hold timers; cleared late, when it is found
                                    empty */
    struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
    struct list due; /* those to run in the next turn */
};

struct loop_ops {
    void (*destroy)(struct loop *l);
    void (*run)(struct loop *l);
    void (*stop)(struct loop *l);
    uint64_t (*now)(const struct loop *l);
    int64_t (*wall_us)(const struct loop *l);
    void (*work)(struct loop *l, struct loop_work *work);
    void (*wake)(struct loop *l); /* from any thread: posted tasks wait */
    bool (*watch)(struct loop *l, struct loop_watch *watch, int fd);
    void (*unwatch)(struct loop_watch *watch);
    void (*watch_writes)(struct loop_watch *watch, bool on);
    void (*on_signal)(struct loop *l, int signum, void (*fn)(void *arg, int signum), void *arg);
    void *(*handle)(struct loop *l);
};

struct loop {
    const struct loop_ops *ops;
    struct wheel wheel;
    struct list phases[LOOP_PHASES];
    pthread_mutex_t posted_lock;
    struct list posted;
};

void loop_impl_init(struct loop *l, const struct loop_ops *ops, uint64_t now);
void loop_impl_finish(struct loop *l);
/* Makes due what is by `now`; loop_impl_run_timers then calls it. */
void loop_impl_advance(struct loop *l, uint64_t now);
/* When the wheel next needs a look, UINT64_MAX for never. May be early, never late. */
uint64_t loop_impl_next(struct loop *l);
/* Each returns whether it ran anything. */
bool loop_impl_run_timers(struct loop *l);
bool loop_impl_run_posted(struct loop *l);
/* Runs the deferred tasks. Some may be left for the next turn when there are very many: see
 * loop_impl_tasks_left. */
bool loop_impl_run_tasks(struct loop *l);
bool loop_impl_tasks_left(const struct loop *l);

#endif
