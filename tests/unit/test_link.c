/* Links: order, back-pressure and loss on a local one, and the same on a thread link whose ends
 * share a loop, as in simulation; test_link_thread.c has real threads, test_link_tcp.c TCP. */
#include "link_end.h"

struct world {
    struct loop *loop;
    bool thread; /* the kind of link */
    struct end a, b;
};

static int setup(void **state)
{
    struct world *w = MEM_NEW(struct world);

    w->loop = loop_create_sim(1767225600000);
    *state = w;
    return 0;
}

static int setup_thread(void **state)
{
    (void)setup(state);
    ((struct world *)*state)->thread = true;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    end_finish(&w->a);
    end_finish(&w->b);
    while (loop_sim_turn(w->loop))
        continue;
    loop_destroy(w->loop);
    free(w);
    return 0;
}

static void settle(struct world *w)
{
    while (loop_sim_turn(w->loop))
        continue;
}

static void join(struct world *w)
{
    if (w->thread)
        link_thread_pair(w->loop, w->loop, "a", "b", &w->a.link, &w->b.link);
    else
        link_local_pair(w->loop, "test", &w->a.link, &w->b.link);
    link_set_events(w->a.link, &end_events, &w->a);
    link_set_events(w->b.link, &end_events, &w->b);
    assert_int_equal(w->a.ups + w->b.ups, 0); /* not inside the call */
    settle(w);
    assert_int_equal(w->a.ups, 1);
    assert_int_equal(w->b.ups, 1);
}

static void delivers_later_and_in_order(void **state)
{
    struct world *w = *state;
    struct packet *p = numbered(0, 1);

    join(w);
    link_send(w->a.link, p);
    for (unsigned i = 1; i < 100; i++)
        link_send(w->a.link, numbered(i, 1));
    link_send(w->b.link, numbered(0, 1));
    assert_int_equal(w->b.count, 0);
    assert_true(link_queued(w->a.link) > 0);
    settle(w);
    expect_in_order(&w->b, 100);
    expect_in_order(&w->a, 1);
    assert_ptr_equal(w->b.got[0], p); /* the packet itself */
    assert_int_equal(link_queued(w->a.link), 0);
}

static void is_bounded(void **state)
{
    struct world *w = *state;
    size_t sent = 0;

    join(w);
    link_set_max(w->a.link, 100000);
    link_pause(w->b.link);
    while (!link_full(w->a.link)) {
        link_send(w->a.link, numbered((unsigned)sent++, 1000));
        settle(w);
    }
    assert_in_range(sent, 15, 26); /* a quarter of the maximum */
    assert_int_equal(w->b.count, 0);
    while (w->a.count == 0 && sent < 1000) {
        link_send(w->a.link, numbered((unsigned)sent++, 1000));
        settle(w);
    }
    assert_in_range(sent, 60, 101);
    assert_int_equal(w->a.got[0]->error, 503); /* over it: back, turned around */
    assert_true(str_is(w->a.got[0]->route_to, "c2s"));
    assert_int_equal(w->a.writable, 0);
    link_resume(w->b.link);
    settle(w);
    expect_in_order(&w->b, sent - 1);
    assert_int_equal(w->a.writable, 1);
    assert_false(link_full(w->a.link));
}

static void close_delivers_what_was_sent(void **state)
{
    struct world *w = *state;

    join(w);
    link_send(w->a.link, numbered(0, 1));
    link_close(w->a.link);
    w->a.link = NULL;
    settle(w);
    expect_in_order(&w->b, 1);
    assert_int_equal(w->b.downs, 1);
    forget(&w->b);
    link_send(w->b.link, numbered(7, 1)); /* nobody there */
    link_send(w->b.link, packet_create_control(PACKET_BIND, STR("x"), 0));
    settle(w);
    assert_int_equal(w->b.count, 1);
    assert_int_equal(w->b.got[0]->error, 503);
}

static void close_returns_what_was_not_taken(void **state)
{
    struct world *w = *state;

    join(w);
    link_pause(w->b.link);
    link_send(w->a.link, numbered(0, 1));
    link_send(w->a.link, numbered(1, 1));
    settle(w);
    link_close(w->b.link);
    w->b.link = NULL;
    settle(w);
    assert_int_equal(w->a.count, 2);
    assert_int_equal(number_of(w->a.got[0]), 0);
    assert_int_equal(w->a.got[1]->error, 503);
    assert_int_equal(w->a.downs, 1);
}

static void closing_inside_an_event(void **state)
{
    struct world *w = *state;

    join(w);
    w->b.close_on_packet = true;
    for (unsigned i = 0; i < 3; i++)
        link_send(w->a.link, numbered(i, 1));
    settle(w);
    assert_int_equal(w->b.count, 1);
    assert_int_equal(w->b.downs, 0); /* nothing after close */
    assert_int_equal(w->a.count, 2);
    assert_int_equal(w->a.downs, 1);
}

/* What the other end closed over while it was on its way comes back, too. */
static void closing_at_the_same_time(void **state)
{
    struct world *w = *state;

    join(w);
    link_send(w->a.link, numbered(0, 1));
    link_pause(w->b.link);
    settle(w);
    link_send(w->a.link, numbered(1, 1));
    link_close(w->b.link);
    w->b.link = NULL;
    settle(w);
    assert_int_equal(w->a.count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(number_of(w->a.got[i]), i);
        assert_int_equal(w->a.got[i]->error, 503);
    }
    assert_int_equal(w->a.downs, 1);
}

static void both_close(void **state)
{
    struct world *w = *state;

    join(w);
    link_send(w->a.link, numbered(0, 1));
    link_send(w->b.link, numbered(0, 1));
    link_close(w->a.link);
    link_close(w->b.link);
    w->a.link = w->b.link = NULL;
    settle(w);
    assert_int_equal(w->a.count + w->b.count + (size_t)w->a.downs + (size_t)w->b.downs, 0);
}

#define TEST(f)                                                                                    \
    cmocka_unit_test_setup_teardown(f, setup, teardown),                                           \
    {                                                                                              \
#f " (thread)", f, setup_thread, teardown, NULL                                            \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(delivers_later_and_in_order),
        TEST(is_bounded),
        TEST(close_delivers_what_was_sent),
        TEST(close_returns_what_was_not_taken),
        TEST(closing_inside_an_event),
        TEST(closing_at_the_same_time),
        TEST(both_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
