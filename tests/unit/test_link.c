/* Links: order, back-pressure and loss on a local one; test_link_tcp.c has those over TCP. */
#include "link_end.h"

struct world {
    struct loop *loop;
    struct end a, b;
};

static int setup(void **state)
{
    struct world *w = MEM_NEW(struct world);

    w->loop = loop_create_sim(1767225600000);
    *state = w;
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

static void local_pair(struct world *w)
{
    link_local_pair(w->loop, "test", &w->a.link, &w->b.link);
    link_set_events(w->a.link, &end_events, &w->a);
    link_set_events(w->b.link, &end_events, &w->b);
    assert_int_equal(w->a.ups + w->b.ups, 0); /* not inside the call */
    settle(w);
    assert_int_equal(w->a.ups, 1);
    assert_int_equal(w->b.ups, 1);
}

static void local_delivers_later_and_in_order(void **state)
{
    struct world *w = *state;
    struct packet *p = numbered(0, 1);

    local_pair(w);
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

static void local_is_bounded(void **state)
{
    struct world *w = *state;
    size_t sent = 0;

    local_pair(w);
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

static void local_close_delivers_what_was_sent(void **state)
{
    struct world *w = *state;

    local_pair(w);
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

static void local_close_returns_what_was_not_taken(void **state)
{
    struct world *w = *state;

    local_pair(w);
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

    local_pair(w);
    w->b.close_on_packet = true;
    for (unsigned i = 0; i < 3; i++)
        link_send(w->a.link, numbered(i, 1));
    settle(w);
    assert_int_equal(w->b.count, 1);
    assert_int_equal(w->b.downs, 0); /* nothing after close */
    assert_int_equal(w->a.count, 2);
    assert_int_equal(w->a.downs, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(local_delivers_later_and_in_order),
        TEST(local_is_bounded),
        TEST(local_close_delivers_what_was_sent),
        TEST(local_close_returns_what_was_not_taken),
        TEST(closing_inside_an_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
