/* Thread link between two real loops, each run by a thread of its own: order, bounds, and the end
 * of one side while packets are under way. Asserts are made on the main thread alone, after the
 * others have ended. */
#include <pthread.h>
#include <stdatomic.h>

#include "link_end.h"

#define PACKETS 50000u

struct side {
    struct loop *loop;
    struct link *link;
    struct loop_timer pump, patience;
    unsigned to_send, burst;
    unsigned sent, received, bounced, wrong_order, downs, writables;
    unsigned close_after; /* closes its end when it has received this many; 0: never */
    size_t most_queued;
    bool waiting, late;
    struct side *other;
};

/* Everything was sent, and has arrived. */
static void check_end(struct side *s)
{
    if (s->received >= s->other->to_send && s->sent == s->to_send)
        loop_stop(s->loop);
}

static void on_pump(struct loop_timer *timer)
{
    struct side *s = MEM_CONTAINER(timer, struct side, pump);

    for (unsigned i = 0; i < s->burst && s->sent < s->to_send; i++) {
        if (link_full(s->link)) {
            s->waiting = true;
            return;
        }
        link_send(s->link, numbered(s->sent++, 100));
        if (link_queued(s->link) > s->most_queued)
            s->most_queued = link_queued(s->link);
    }
    if (s->sent < s->to_send)
        loop_timer_start(timer, 0);
    check_end(s);
}

static void on_packet(void *owner, struct packet *p)
{
    struct side *s = owner;

    if (p->error)
        s->bounced++;
    else if (number_of(p) != s->received++)
        s->wrong_order++;
    packet_destroy(p);
    if (s->close_after && s->received == s->close_after) {
        link_close(s->link);
        s->link = NULL;
        loop_stop(s->loop);
        return;
    }
    check_end(s);
}

static void on_up(void *owner)
{
    struct side *s = owner;

    loop_timer_start(&s->pump, 0);
}

static void on_down(void *owner, const char *why)
{
    struct side *s = owner;

    assert_non_null(why);
    s->downs++;
    loop_timer_stop(&s->pump);
    loop_stop(s->loop);
}

static void on_writable(void *owner)
{
    struct side *s = owner;

    s->writables++;
    s->waiting = false;
    loop_timer_start(&s->pump, 0);
}

static const struct link_events events = {
    .packet = on_packet, .up = on_up, .down = on_down, .writable = on_writable};

static void on_patience(struct loop_timer *timer)
{
    struct side *s = MEM_CONTAINER(timer, struct side, patience);

    s->late = true;
    loop_stop(s->loop);
}

static void *run(void *arg)
{
    struct side *s = arg;

    loop_run(s->loop);
    return NULL;
}

static void start(struct side sides[2])
{
    for (int i = 0; i < 2; i++) {
        sides[i].loop = loop_create();
        sides[i].other = &sides[1 - i];
    }
    link_thread_pair(sides[0].loop, sides[1].loop, "one", "two", &sides[0].link, &sides[1].link);
    for (int i = 0; i < 2; i++) {
        link_set_max(sides[i].link, 400000);
        link_set_events(sides[i].link, &events, &sides[i]);
        loop_timer_init(&sides[i].pump, sides[i].loop, on_pump);
        loop_timer_init(&sides[i].patience, sides[i].loop, on_patience);
        loop_timer_start(&sides[i].patience, 60000);
    }
}

static void run_both(struct side sides[2])
{
    pthread_t thread;

    start(sides);
    assert_int_equal(pthread_create(&thread, NULL, run, &sides[1]), 0);
    loop_run(sides[0].loop);
    pthread_join(thread, NULL);
    for (int i = 0; i < 2; i++) {
        link_close(sides[i].link);
        loop_timer_stop(&sides[i].pump);
        loop_timer_stop(&sides[i].patience);
    }
    for (int i = 0; i < 2; i++)
        loop_destroy(sides[i].loop);
    assert_false(sides[0].late || sides[1].late);
    assert_int_equal(sides[0].wrong_order + sides[1].wrong_order, 0);
}

static void keeps_order_both_ways(void **state)
{
    struct side sides[2] = {{.to_send = PACKETS, .burst = 50}, {.to_send = PACKETS, .burst = 7}};

    run_both(sides);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sides[i].received, PACKETS);
        assert_int_equal(sides[i].bounced, 0);
        assert_true(sides[i].most_queued < 110000); /* link_full was heeded, and its end told */
    }
}

static void a_fast_sender_waits(void **state)
{
    struct side sides[2] = {{.to_send = PACKETS, .burst = PACKETS}, {.to_send = 1, .burst = 1}};

    run_both(sides);
    assert_int_equal(sides[1].received, PACKETS);
    assert_true(sides[0].writables > 0);
}

/* Whatever the moment: each packet was received, or came back, or lay unsent. */
static void nothing_is_lost_at_the_end_of_one_side(void **state)
{
    for (unsigned round = 1; round <= 20; round++) {
        struct side sides[2] = {{.to_send = PACKETS, .burst = 40},
                                {.to_send = 0, .burst = 1, .close_after = 1 + round * 37}};
        run_both(sides);
        assert_int_equal(sides[0].downs, 1);
        assert_int_equal(sides[1].received + sides[0].bounced, sides[0].sent);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_order_both_ways),
        cmocka_unit_test(a_fast_sender_waits),
        cmocka_unit_test(nothing_is_lost_at_the_end_of_one_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
