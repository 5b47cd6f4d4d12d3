/* loop: timers, deferred tasks, posted tasks and work; the same tests over real and simulated time.
 */
#include "unit.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/random.h"
#include "loop/loop.h"

static char trace[256];

static void note(char c)
{
    size_t len = strlen(trace);
    if (len + 1 < sizeof trace) {
        trace[len] = c;
        trace[len + 1] = '\0';
    }
}

struct named_timer {
    struct loop_timer timer;
    char name;
    struct loop_timer *stops;
    uint64_t again_after;
    int agains;
    bool ends; /* the loop, the last time */
};

static void on_named(struct loop_timer *t)
{
    struct named_timer *n = MEM_CONTAINER(t, struct named_timer, timer);
    note(n->name);
    if (n->stops)
        loop_timer_stop(n->stops);
    if (n->agains-- > 0)
        loop_timer_start(t, n->again_after);
    else if (n->ends)
        loop_stop(t->loop);
}

static void start_named(struct loop *l, struct named_timer *n, char name, uint64_t ms)
{
    n->name = name;
    loop_timer_init(&n->timer, l, on_named);
    loop_timer_start(&n->timer, ms);
}

static int setup_real(void **state)
{
    trace[0] = '\0';
    *state = loop_create();
    return 0;
}

static int setup_sim(void **state)
{
    trace[0] = '\0';
    *state = loop_create_sim(1000000);
    return 0;
}

static int teardown(void **state)
{
    loop_destroy(*state);
    return 0;
}

static void timers_run_in_order(void **state)
{
    struct loop *l = *state;
    struct named_timer a = {0}, b = {0}, c = {0}, d = {0}, e = {.ends = true};
    start_named(l, &c, 'c', 30);
    start_named(l, &a, 'a', 0);
    start_named(l, &e, 'e', 100);
    start_named(l, &d, 'd', 70); /* another level of the wheel */
    start_named(l, &b, 'b', 10);
    assert_true(loop_timer_running(&a.timer));
    loop_run(l);
    assert_string_equal(trace, "abcde");
    assert_false(loop_timer_running(&a.timer));
}

static void timers_stop_and_restart(void **state)
{
    struct loop *l = *state;
    struct named_timer a = {0}, b = {0}, c = {.again_after = 5, .agains = 2, .ends = true}, z = {0};
    start_named(l, &a, 'a', 10);
    start_named(l, &b, 'b', 10);
    a.stops = &b.timer; /* due in the same turn */
    start_named(l, &c, 'c', 20);
    start_named(l, &z, 'z', 1);
    loop_timer_stop(&z.timer);
    loop_timer_stop(&z.timer);
    start_named(l, &z, 'z', 200);
    loop_timer_start(&z.timer, 15); /* replaces */
    loop_run(l);
    assert_string_equal(trace, "azccc");
}

static void no_delay_means_the_next_turn(void **state)
{
    struct loop *l = *state;
    struct named_timer z = {.agains = 3, .ends = true};
    start_named(l, &z, 'z', 0);
    loop_run(l);
    assert_string_equal(trace, "zzzz");
}

struct named_task {
    struct loop_task task;
    struct loop *loop;
    char name;
    struct named_task *queues;
    enum loop_phase in;
    bool ends;
};

static void on_named_task(struct loop_task *t)
{
    struct named_task *n = MEM_CONTAINER(t, struct named_task, task);
    note(n->name);
    if (n->queues)
        loop_defer(n->loop, &n->queues->task, n->in);
    n->queues = NULL;
    if (n->ends)
        loop_stop(n->loop);
}

static void init_task(struct loop *l, struct named_task *n, char name)
{
    n->loop = l;
    n->name = name;
    loop_task_init(&n->task, on_named_task);
}

static void packets_come_before_flushes(void **state)
{
    struct loop *l = *state;
    struct named_task p = {0}, q = {0}, f = {0}, g = {.ends = true}, never = {0};
    init_task(l, &p, 'p');
    init_task(l, &q, 'q');
    init_task(l, &f, 'f');
    init_task(l, &g, 'g');
    init_task(l, &never, 'n');
    loop_defer(l, &f.task, LOOP_FLUSH);
    loop_defer(l, &f.task, LOOP_FLUSH);
    loop_defer(l, &p.task, LOOP_PACKETS);
    loop_defer(l, &never.task, LOOP_PACKETS);
    loop_task_cancel(&never.task);
    p.queues = &q; /* packets made by packets still come before the flush */
    p.in = LOOP_PACKETS;
    q.queues = &g;
    q.in = LOOP_FLUSH;
    loop_run(l);
    assert_string_equal(trace, "pqfg");
}

static int forever_ran;

static void on_forever(struct loop_task *t)
{
    struct named_task *n = MEM_CONTAINER(t, struct named_task, task);
    forever_ran++;
    loop_defer(n->loop, t, LOOP_PACKETS);
}

static void busy_tasks_do_not_starve_timers(void **state)
{
    struct loop *l = *state;
    struct named_task busy = {.loop = l};
    struct named_timer end = {.ends = true};
    forever_ran = 0;
    if (loop_is_sim(l))
        return; /* its clock stands still as long as anything is ready */
    loop_task_init(&busy.task, on_forever);
    loop_defer(l, &busy.task, LOOP_PACKETS);
    start_named(l, &end, '.', 5);
    loop_run(l);
    assert_string_equal(trace, ".");
    assert_true(forever_ran > 0);
    loop_task_cancel(&busy.task);
}

struct job {
    struct loop_work work;
    struct loop *loop;
    pthread_t ran_on;
    int *left;
};

static void job_run(struct loop_work *w)
{
    MEM_CONTAINER(w, struct job, work)->ran_on = pthread_self();
}

static void job_done(struct loop_work *w)
{
    struct job *j = MEM_CONTAINER(w, struct job, work);
    assert_true(j->ran_on);
    if (--*j->left == 0)
        loop_stop(j->loop);
}

static void work_is_done_on_the_loop(void **state)
{
    struct loop *l = *state;
    struct job jobs[20] = {0};
    int left = 20;
    for (int i = 0; i < 20; i++) {
        jobs[i] = (struct job){{job_run, job_done, NULL}, l, 0, &left};
        loop_work(l, &jobs[i].work);
    }
    assert_int_equal(left, 20); /* never inside the call */
    loop_run(l);
    assert_int_equal(left, 0);
    assert_true(loop_is_sim(l) == (jobs[0].ran_on == pthread_self()));
}

static void work_is_finished_by_destroy(void **state)
{
    struct loop *l = *state;
    int left = 2;
    struct job a = {{job_run, job_done, NULL}, l, 0, &left}, b = a;
    loop_work(l, &a.work);
    loop_work(l, &b.work);
    loop_destroy(l);
    assert_int_equal(left, 0);
    *state = NULL;
}

enum { THREADS = 4, POSTS = 5000 };

struct post {
    struct loop_task task;
    struct poster *poster;
    int number;
};

struct poster {
    struct loop *loop;
    int next;
    int *left;
};

static void on_post(struct loop_task *t)
{
    struct post *p = MEM_CONTAINER(t, struct post, task);
    assert_int_equal(p->number, p->poster->next++);
    if (--*p->poster->left == 0)
        loop_stop(p->poster->loop);
    free(p);
}

static void *post_many(void *arg)
{
    struct poster *poster = arg;
    for (int i = 0; i < POSTS; i++) {
        struct post *p = MEM_NEW(struct post);
        loop_task_init(&p->task, on_post);
        p->poster = poster;
        p->number = i;
        loop_post(poster->loop, &p->task);
    }
    return NULL;
}

static void posts_keep_their_order(void **state)
{
    struct loop *l = *state;
    struct poster posters[THREADS];
    pthread_t threads[THREADS];
    int left = THREADS * POSTS;
    for (int i = 0; i < THREADS; i++) {
        posters[i] = (struct poster){l, 0, &left};
        pthread_create(&threads[i], NULL, post_many, &posters[i]);
    }
    if (loop_is_sim(l)) /* nothing wakes it */
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
    loop_run(l);
    assert_int_equal(left, 0);
    if (!loop_is_sim(l))
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
}

static void on_usr1(void *arg, int signum)
{
    note('s');
    assert_int_equal(signum, SIGUSR1);
    loop_stop(arg);
}

static void signals_come_on_the_loop(void **state)
{
    loop_on_signal(*state, SIGUSR1, on_usr1, *state);
    raise(SIGUSR1);
    loop_run(*state);
    assert_string_equal(trace, "s");
}

struct watched {
    struct loop_watch watch;
    struct loop *loop;
    int fd, left;
};

static void on_watched(struct loop_watch *watch)
{
    struct watched *w = MEM_CONTAINER(watch, struct watched, watch);
    char c;

    assert_int_equal(read(w->fd, &c, 1), 1);
    note(c);
    if (--w->left > 0)
        return;
    loop_watch_stop(w->loop, watch); /* there is more to read, but nobody looks any more */
    loop_watch_stop(w->loop, watch);
    loop_stop(w->loop);
}

static void foreign_descriptors_are_watched(void **state)
{
    int fds[2];
    struct watched w = {.watch.fn = on_watched, .loop = *state, .left = 2};

    assert_int_equal(pipe(fds), 0);
    w.fd = fds[0];
    assert_true(loop_watch_start(*state, &w.watch, fds[0]));
    assert_int_equal(write(fds[1], "abc", 3), 3);
    loop_run(*state);
    assert_string_equal(trace, "ab");
    assert_true(loop_watch_start(*state, &w.watch, fds[0])); /* destroy finds it stopped */
    loop_watch_stop(*state, &w.watch);
    assert_false(loop_watch_start(*state, &w.watch, -1));
    loop_watch_stop(*state, &w.watch);
    close(fds[0]);
    close(fds[1]);
}

static void the_simulation_watches_nothing(void **state)
{
    struct loop_watch watch = {.fn = NULL};

    assert_false(loop_watch_start(*state, &watch, 0));
    loop_watch_stop(*state, &watch);
}

/* --- simulated time only --- */

static void advance_stops_on_the_millisecond(void **state)
{
    struct loop *l = *state;
    struct named_timer a = {0}, b = {0};
    uint64_t start = loop_now(l);
    start_named(l, &a, 'a', 1000);
    start_named(l, &b, 'b', 1001);
    loop_sim_advance(l, 999);
    assert_string_equal(trace, "");
    loop_sim_advance(l, 1);
    assert_string_equal(trace, "a");
    assert_int_equal(loop_now(l), start + 1000);
    assert_int_equal(loop_wall(l), 1000000 + 1000);
    assert_false(loop_sim_turn(l));
    loop_sim_advance(l, 1);
    assert_string_equal(trace, "ab");
}

enum { MANY = 3000 };

static struct {
    struct loop_timer timer;
    uint64_t expected;
    int fired;
} many[MANY];
static uint64_t last_fired;

static void on_many(struct loop_timer *t)
{
    size_t i = (size_t)((char *)t - (char *)many) / sizeof *many;
    assert_int_equal(loop_now(t->loop), many[i].expected);
    assert_true(loop_now(t->loop) >= last_fired);
    last_fired = loop_now(t->loop);
    many[i].fired++;
    many[i].expected = 0;
}

/* Delays over all levels of the wheel, restarts and stops at random: each fires exactly at its
 * time. */
static void the_wheel_is_exact(void **state)
{
    struct loop *l = *state;
    struct random *r = random_create_seeded(99);
    last_fired = 0;
    memset(many, 0, sizeof many);
    for (int i = 0; i < MANY; i++)
        loop_timer_init(&many[i].timer, l, on_many);
    for (int step = 0; step < 60000; step++) {
        uint32_t i = random_below(r, MANY), dice = random_below(r, 10);
        uint64_t ms = random_below(r, 1u << (1 + random_below(r, 31)));
        if (dice < 7) {
            loop_timer_start(&many[i].timer, ms);
            many[i].expected = loop_now(l) + ms;
        } else if (dice == 7) {
            loop_timer_stop(&many[i].timer);
            many[i].expected = 0;
        } else {
            loop_sim_advance(l, random_below(r, 1u << (1 + random_below(r, 14))));
        }
        if (step % 1000 == 0)
            loop_sim_advance(l, random_below(r, UINT32_MAX));
    }
    loop_sim_advance(l, UINT64_C(1) << 33);
    int fired = 0;
    for (int i = 0; i < MANY; i++) {
        assert_false(loop_timer_running(&many[i].timer));
        assert_int_equal(many[i].expected, 0);
        fired += many[i].fired;
    }
    assert_true(fired > 10000);
    random_destroy(r);
}

static void far_timers_do_not_wrap(void **state)
{
    struct loop *l = *state;
    struct named_timer a = {0};
    start_named(l, &a, 'a', UINT64_MAX);
    loop_sim_advance(l, UINT64_C(1) << 40);
    assert_string_equal(trace, "");
    assert_true(loop_timer_running(&a.timer));
    loop_timer_stop(&a.timer);
}

static void an_idle_simulation_ends(void **state)
{
    loop_run(*state); /* nothing to do: returns */
    assert_string_equal(trace, "");
}

#define BOTH(test)                                                                                 \
    cmocka_unit_test_setup_teardown(test, setup_real, teardown),                                   \
        cmocka_unit_test_setup_teardown(test, setup_sim, teardown)
#define SIM(test)  cmocka_unit_test_setup_teardown(test, setup_sim, teardown)
#define REAL(test) cmocka_unit_test_setup_teardown(test, setup_real, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(timers_run_in_order),
        BOTH(timers_stop_and_restart),
        BOTH(no_delay_means_the_next_turn),
        BOTH(packets_come_before_flushes),
        BOTH(busy_tasks_do_not_starve_timers),
        BOTH(work_is_done_on_the_loop),
        BOTH(work_is_finished_by_destroy),
        BOTH(posts_keep_their_order),
        REAL(signals_come_on_the_loop),
        REAL(foreign_descriptors_are_watched),
        SIM(the_simulation_watches_nothing),
        SIM(advance_stops_on_the_millisecond),
        SIM(the_wheel_is_exact),
        SIM(far_timers_do_not_wrap),
        SIM(an_idle_simulation_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
