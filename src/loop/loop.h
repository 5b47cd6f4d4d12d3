/* Loop: the event loop and the clock, behind a seam. loop_uv.c is the real one (libuv), loop_sim.c
 * runs on a simulated clock. One loop per thread; everything here is called on the loop's own
 * thread but loop_post. */
#ifndef JACKDAW_LOOP_LOOP_H
#define JACKDAW_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include "base/list.h"

struct loop;

struct loop *loop_create(void);                /* real time, over libuv */
struct loop *loop_create_sim(int64_t wall_ms); /* simulated; starts at this wall-clock time */
/* Stops every timer and drops deferred tasks; waits for loop_work that has begun and calls its
 * `done`. net_destroy comes first. NULL is fine. */
void loop_destroy(struct loop *l);
void loop_run(struct loop *l); /* until loop_stop; simulated: or until nothing is left to do */
void loop_stop(struct loop *l);
bool loop_is_sim(const struct loop *l);

unsigned loop_cores(void); /* how many loops can run at once on this machine; at least 1 */

/* Milliseconds, monotonic, fixed during one turn. Never affected by clock jumps. */
uint64_t loop_now(const struct loop *l);
/* Milliseconds since 1970, for stamps and certificates only. */
int64_t loop_wall(const struct loop *l);
int64_t loop_wall_us(const struct loop *l); /* microseconds */

/* Simulation only: advances the clock, running everything due in order, until nothing is due before
 * `ms` from now. */
void loop_sim_advance(struct loop *l, uint64_t ms);
/* Simulation only: runs everything that is ready without advancing the clock; false when there was
 * nothing. */
bool loop_sim_turn(struct loop *l);

/* --- timers: embedded in their owner, 40 bytes, O(1) start and stop, resolution a few ms --- */
struct loop_timer {
    struct list node;
    struct loop *loop;
    uint64_t due;
    void (*fn)(struct loop_timer *timer); /* may restart or free the timer */
};
void loop_timer_init(struct loop_timer *t, struct loop *l, void (*fn)(struct loop_timer *));
/* Restarts when already running. 0 ms: in the next turn. */
void loop_timer_start(struct loop_timer *t, uint64_t ms);
void loop_timer_stop(struct loop_timer *t); /* harmless when not running */
bool loop_timer_running(const struct loop_timer *t);

/* --- later in this turn --- */
enum loop_phase {
    LOOP_PACKETS, /* after the events of this turn: links drain their queues (may queue more, runs
                     until empty) */
    LOOP_FLUSH,   /* after that: connections write out, once each */
    LOOP_PHASES
};
struct loop_task {
    struct list node; /* zeroed or list_init'ed before first use by loop_task_init */
    void (*fn)(struct loop_task *task);
};
void loop_task_init(struct loop_task *t, void (*fn)(struct loop_task *));
/* Runs once at the end of this turn (outside loop_run: of the next), in the order queued; queueing
 * a queued task does nothing. A turn with more than 10,000 tasks leaves the rest to the next, after
 * a look at the sockets. */
void loop_defer(struct loop *l, struct loop_task *t, enum loop_phase phase);
void loop_task_cancel(struct loop_task *t);

/* --- other threads --- */
/* `run` on a pool thread, then `done` on the loop. In simulation both run on the loop, `done` in a
 * later turn. */
struct loop_work {
    void (*run)(struct loop_work *work);
    void (*done)(struct loop_work *work);
    void *driver; /* the loop's own */
};
void loop_work(struct loop *l, struct loop_work *work);
/* From any thread: `task->fn` runs on the loop, in order per posting thread. The task must not be
 * queued already, and may be posted again (or freed) from its fn on. */
void loop_post(struct loop *l, struct loop_task *task);
/* Takes back a posted task that has not run yet; on the loop's thread; harmless when there is
 * nothing to take back. */
void loop_post_cancel(struct loop *l, struct loop_task *task);

/* --- file descriptors of libraries that make sockets of their own (libunbound, libpq) --- */
struct loop_watch {
    void (*fn)(struct loop_watch *watch); /* something can be read (or written: loop_watch_writes);
                                             may stop the watch */
    void *driver;                         /* the loop's own; NULL when not watching */
};
/* The descriptor stays the library's and must be open until loop_watch_stop. False when it cannot
 * be watched; always in simulation, where there is no such thing. */
bool loop_watch_start(struct loop *l, struct loop_watch *watch, int fd);
void loop_watch_stop(struct loop *l, struct loop_watch *watch); /* harmless when not watching */
/* While watching: whether `fn` is also called when something can be written. */
void loop_watch_writes(struct loop *l, struct loop_watch *watch, bool on);

/* Signals (real loop only; the simulation ignores it). */
void loop_on_signal(struct loop *l, int signum, void (*fn)(void *arg, int signum), void *arg);

/* Keeps the libuv handle for net_uv.c alone. */
void *loop_driver_handle(struct loop *l);

#endif
