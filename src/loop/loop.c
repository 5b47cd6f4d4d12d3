/* Loop: what both drivers share. Timers in a hierarchical wheel (start and stop O(1), no
 * allocation), tasks deferred to the end of the turn, and tasks posted by other threads. */
#include "loop/loop_impl.h"

#include "base/mem.h"

/* A turn runs at most this many deferred tasks, so that two parts that keep each other busy cannot
 * starve the sockets. */
enum { TASKS_PER_TURN = 10000 };

/* --- the wheel --- */

static void wheel_insert(struct wheel *w, struct loop_timer *t)
{
    uint64_t differs = t->due ^ w->now;
    if (differs == 0) {
        list_push(&w->due, &t->node);
        return;
    }
    unsigned level = (63u - (unsigned)__builtin_clzll(differs)) / WHEEL_BITS;
    unsigned slot = (t->due >> (level * WHEEL_BITS)) & (WHEEL_SLOTS - 1);
    w->used[level] |= UINT64_C(1) << slot;
    list_push(&w->slots[level][slot], &t->node);
}

/* The first used slot; its start becomes *ret_start. NULL when no timer waits. */
static struct list *wheel_first(struct wheel *w, uint64_t *ret_start)
{
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        while (w->used[level]) {
            unsigned slot = (unsigned)__builtin_ctzll(w->used[level]), shift = level * WHEEL_BITS;
            struct list *timers = &w->slots[level][slot];
            if (list_empty(timers)) {
                w->used[level] &= w->used[level] - 1;
                continue;
            }
            uint64_t above = w->now >> (shift + WHEEL_BITS) << WHEEL_BITS;
            *ret_start = (above | slot) << shift;
            return timers;
        }
    }
    return NULL;
}

void loop_impl_advance(struct loop *l, uint64_t now)
{
    struct wheel *w = &l->wheel;
    struct list *timers;
    uint64_t start;
    while (w->now < now && (timers = wheel_first(w, &start)) != NULL && start <= now) {
        struct list moving;
        list_init(&moving);
        list_move_all(&moving, timers);
        w->now = start;
        for (struct list *node; (node = list_pop(&moving)) != NULL;)
            wheel_insert(w, LIST_ENTRY(node, struct loop_timer, node));
    }
    if (w->now < now)
        w->now = now;
}

uint64_t loop_impl_next(struct loop *l)
{
    uint64_t start;
    if (!list_empty(&l->wheel.due))
        return l->wheel.now;
    return wheel_first(&l->wheel, &start) ? start : UINT64_MAX;
}

bool loop_impl_run_timers(struct loop *l)
{
    struct list due;
    bool any = false;
    list_init(&due);
    /* One that starts itself again with 0 ms waits for the next turn. */
    list_move_all(&due, &l->wheel.due);
    for (struct list *node; (node = list_pop(&due)) != NULL; any = true) {
        struct loop_timer *t = LIST_ENTRY(node, struct loop_timer, node);
        t->fn(t);
    }
    return any;
}

void loop_timer_init(struct loop_timer *t, struct loop *l, void (*fn)(struct loop_timer *))
{
    list_init(&t->node);
    t->loop = l;
    t->due = 0;
    t->fn = fn;
}

void loop_timer_start(struct loop_timer *t, uint64_t ms)
{
    const uint64_t longest = (UINT64_C(1) << (WHEEL_LEVELS * WHEEL_BITS - 1)) - 1;
    list_remove(&t->node);
    t->due = loop_now(t->loop) + (ms < longest ? ms : longest);
    wheel_insert(&t->loop->wheel, t);
}

void loop_timer_stop(struct loop_timer *t)
{
    list_remove(&t->node);
}

bool loop_timer_running(const struct loop_timer *t)
{
    return !list_empty(&t->node);
}

/* --- tasks --- */

void loop_task_init(struct loop_task *t, void (*fn)(struct loop_task *))
{
    list_init(&t->node);
    t->fn = fn;
}

void loop_defer(struct loop *l, struct loop_task *t, enum loop_phase phase)
{
    if (list_empty(&t->node))
        list_push(&l->phases[phase], &t->node);
}

void loop_task_cancel(struct loop_task *t)
{
    list_remove(&t->node);
}

bool loop_impl_run_tasks(struct loop *l)
{
    for (int ran = 0; ran < TASKS_PER_TURN; ran++) {
        struct list *node = list_pop(&l->phases[LOOP_PACKETS]);
        if (!node)
            node = list_pop(&l->phases[LOOP_FLUSH]);
        if (!node)
            return ran > 0;
        struct loop_task *t = LIST_ENTRY(node, struct loop_task, node);
        t->fn(t);
    }
    return true;
}

bool loop_impl_tasks_left(const struct loop *l)
{
    return !list_empty(&l->phases[LOOP_PACKETS]) || !list_empty(&l->phases[LOOP_FLUSH]);
}

void loop_post(struct loop *l, struct loop_task *task)
{
    pthread_mutex_lock(&l->posted_lock);
    bool first = list_empty(&l->posted);
    list_push(&l->posted, &task->node);
    pthread_mutex_unlock(&l->posted_lock);
    if (first)
        l->ops->wake(l);
}

void loop_post_cancel(struct loop *l, struct loop_task *task)
{
    pthread_mutex_lock(&l->posted_lock);
    list_remove(&task->node);
    pthread_mutex_unlock(&l->posted_lock);
}

bool loop_impl_run_posted(struct loop *l)
{
    struct list tasks;
    bool any = false;
    list_init(&tasks);
    pthread_mutex_lock(&l->posted_lock);
    list_move_all(&tasks, &l->posted);
    pthread_mutex_unlock(&l->posted_lock);
    for (struct list *node; (node = list_pop(&tasks)) != NULL; any = true) {
        struct loop_task *t = LIST_ENTRY(node, struct loop_task, node);
        t->fn(t);
    }
    return any;
}

/* --- the rest is the driver's --- */

void loop_impl_init(struct loop *l, const struct loop_ops *ops, uint64_t now)
{
    l->ops = ops;
    l->wheel.now = now;
    list_init(&l->wheel.due);
    for (int level = 0; level < WHEEL_LEVELS; level++)
        for (int slot = 0; slot < WHEEL_SLOTS; slot++)
            list_init(&l->wheel.slots[level][slot]);
    for (int phase = 0; phase < LOOP_PHASES; phase++)
        list_init(&l->phases[phase]);
    list_init(&l->posted);
    pthread_mutex_init(&l->posted_lock, NULL);
}

static void empty(struct list *head)
{
    while (list_pop(head))
        ;
}

void loop_impl_finish(struct loop *l)
{
    empty(&l->wheel.due);
    for (int level = 0; level < WHEEL_LEVELS; level++)
        for (int slot = 0; slot < WHEEL_SLOTS; slot++)
            empty(&l->wheel.slots[level][slot]);
    for (int phase = 0; phase < LOOP_PHASES; phase++)
        empty(&l->phases[phase]);
    empty(&l->posted);
    pthread_mutex_destroy(&l->posted_lock);
}

void loop_destroy(struct loop *l)
{
    if (l)
        l->ops->destroy(l);
}

void loop_run(struct loop *l)
{
    l->ops->run(l);
}

void loop_stop(struct loop *l)
{
    l->ops->stop(l);
}

uint64_t loop_now(const struct loop *l)
{
    return l->ops->now(l);
}

int64_t loop_wall(const struct loop *l)
{
    return l->ops->wall_us(l) / 1000;
}

int64_t loop_wall_us(const struct loop *l)
{
    return l->ops->wall_us(l);
}

void loop_work(struct loop *l, struct loop_work *work)
{
    l->ops->work(l, work);
}

bool loop_watch_start(struct loop *l, struct loop_watch *watch, int fd)
{
    return l->ops->watch(l, watch, fd);
}

void loop_watch_writes(struct loop *l, struct loop_watch *watch, bool on)
{
    if (watch->driver)
        l->ops->watch_writes(watch, on);
}

void loop_watch_stop(struct loop *l, struct loop_watch *watch)
{
    if (watch->driver)
        l->ops->unwatch(watch);
    watch->driver = NULL;
}

void loop_on_signal(struct loop *l, int signum, void (*fn)(void *arg, int signum), void *arg)
{
    l->ops->on_signal(l, signum, fn, arg);
}

void *loop_driver_handle(struct loop *l)
{
    return l->ops->handle(l);
}
