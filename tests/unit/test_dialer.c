/* Which of several addresses is taken, and when, on a simulated network (RFC 8305 section 5). */
#include "unit.h"

#include "base/mem.h"
#include "net/dialer.h"

#define DELAY_MS 250

struct fixture {
    struct loop *loop;
    struct net *net;
    struct net_listener *listeners[3];
    struct dialer *dialer;
    struct conn *won;
    size_t winner, failed[4], failed_count, accepted, gone;
    bool done;
};

static void on_data(void *owner, const char *bytes, size_t len)
{
    (void)owner, (void)bytes, (void)len;
}

/* An accepted connection that the dialer gave up. */
struct visitor {
    struct fixture *fixture;
    struct conn *conn;
};

static void on_visitor_close(void *owner, enum error e, const char *why)
{
    struct visitor *v = owner;

    (void)e, (void)why;
    v->fixture->gone++;
    conn_close(v->conn, 0);
    free(v);
}

static const struct conn_events visitor_events = {.on_data = on_data, .on_close = on_visitor_close};

static void on_accept(void *arg, struct conn *conn)
{
    struct visitor *v = MEM_NEW(struct visitor);

    v->fixture = arg;
    v->conn = conn;
    v->fixture->accepted++;
    conn_start(conn, &visitor_events, v, 0);
}

static void on_failed(void *owner, size_t index, const char *why)
{
    struct fixture *f = owner;

    assert_non_null(why);
    assert_false(f->done);
    f->failed[f->failed_count++] = index;
}

static void on_won_close(void *owner, enum error e, const char *why)
{
    (void)owner, (void)e, (void)why;
}

static const struct conn_events won_events = {.on_data = on_data, .on_close = on_won_close};

static void on_done(void *owner, struct conn *conn, size_t index)
{
    struct fixture *f = owner;

    assert_false(f->done);
    f->done = true;
    f->dialer = NULL;
    f->won = conn;
    f->winner = index;
    if (conn)
        conn_start(conn, &won_events, f, 0);
}

static const struct dialer_events events = {.on_failed = on_failed, .on_done = on_done};

/* 2001:db8::1 and 192.0.2.1 to .2 listen, nobody else does. */
static int set_up(void **state)
{
    static const char *const ips[] = {"2001:db8::1", "192.0.2.1", "192.0.2.2"};
    struct fixture *f = MEM_NEW(struct fixture);

    f->loop = loop_create_sim(0);
    f->net = net_create_sim(f->loop, 3);
    for (size_t i = 0; i < 3; i++) {
        struct net_address at = {.port = 5269};
        (void)snprintf(at.ip, sizeof(at.ip), "%s", ips[i]);
        assert_int_equal(net_listen(f->net, &at, on_accept, f, &f->listeners[i]), ERR_OK);
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    dialer_cancel(f->dialer);
    conn_close(f->won, 0);
    loop_sim_advance(f->loop, 100);
    assert_int_equal(f->gone, f->accepted);
    for (size_t i = 0; i < 3; i++)
        net_listener_close(f->listeners[i]);
    net_destroy(f->net);
    loop_destroy(f->loop);
    free(f);
    return 0;
}

static void dial(struct fixture *f, const char *const ips[], size_t count, bool same_host)
{
    struct dialer_target targets[4];

    memset(targets, 0, sizeof(targets));
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(targets[i].at.ip, sizeof(targets[i].at.ip), "%s", ips[i]);
        targets[i].at.port = 5269;
        targets[i].same_host = same_host && i > 0;
    }
    f->dialer = dialer_start(f->net, f->loop, targets, count, DELAY_MS, &events, f);
    assert_false(f->done); /* never inside the call */
}

static void the_first_that_answers(void **state)
{
    static const char *const ips[] = {"2001:db8::1", "192.0.2.1"};
    struct fixture *f = *state;

    dial(f, ips, 2, true);
    loop_sim_advance(f->loop, 10);
    assert_true(f->done);
    assert_int_equal(f->winner, 0);
    loop_sim_advance(f->loop, 1000);
    assert_int_equal(f->accepted, 1); /* nobody else is called */
}

/* Section 5: the next is tried beside the one that does not answer. */
static void silence_costs_one_delay(void **state)
{
    static const char *const ips[] = {"2001:db8::1", "192.0.2.1"};
    struct fixture *f = *state;

    net_sim_blackhole(f->net, ips[0], 5269, true);
    dial(f, ips, 2, true);
    loop_sim_advance(f->loop, DELAY_MS - 10);
    assert_false(f->done);
    loop_sim_advance(f->loop, 30);
    assert_true(f->done);
    assert_int_equal(f->winner, 1);
    assert_int_equal(f->failed_count, 0);
    net_sim_blackhole(f->net, ips[0], 5269, false); /* too late: it was given up */
    loop_sim_advance(f->loop, 1000);
    assert_int_equal(f->accepted, 1);
}

static void the_slow_one_may_still_win(void **state)
{
    static const char *const ips[] = {"2001:db8::1", "192.0.2.1"};
    struct fixture *f = *state;

    net_sim_blackhole(f->net, ips[0], 5269, true);
    net_sim_blackhole(f->net, ips[1], 5269, true);
    dial(f, ips, 2, true);
    loop_sim_advance(f->loop, 2 * DELAY_MS);
    net_sim_blackhole(f->net, ips[0], 5269, false);
    loop_sim_advance(f->loop, 20);
    assert_true(f->done);
    assert_int_equal(f->winner, 0);
    net_sim_blackhole(f->net, ips[1], 5269, false);
}

/* A family without a route is like a port without a listener: known at once. */
static void refusal_costs_nothing(void **state)
{
    static const char *const ips[] = {"2001:db8::dead", "192.0.2.77", "192.0.2.2"};
    struct fixture *f = *state;

    dial(f, ips, 3, true);
    loop_sim_advance(f->loop, 20);
    assert_true(f->done);
    assert_int_equal(f->winner, 2);
    assert_int_equal(f->failed_count, 2);
    assert_int_equal(f->failed[0], 0);
    assert_int_equal(f->failed[1], 1);
}

/* RFC 2782: another host is for when the first cannot be reached. */
static void another_host_waits_longer(void **state)
{
    static const char *const ips[] = {"192.0.2.1", "192.0.2.2"};
    struct fixture *f = *state;

    net_sim_blackhole(f->net, ips[0], 5269, true);
    dial(f, ips, 2, false);
    loop_sim_advance(f->loop, DELAY_MS * DIALER_HOST_FACTOR - 10);
    assert_false(f->done);
    loop_sim_advance(f->loop, 30);
    assert_true(f->done);
    assert_int_equal(f->winner, 1);
    net_sim_blackhole(f->net, ips[0], 5269, false);
}

static void another_host_after_a_refusal_at_once(void **state)
{
    static const char *const ips[] = {"192.0.2.77", "192.0.2.2"};
    struct fixture *f = *state;

    dial(f, ips, 2, false);
    loop_sim_advance(f->loop, 20);
    assert_true(f->done);
    assert_int_equal(f->winner, 1);
}

static void nobody_answers(void **state)
{
    static const char *const ips[] = {"2001:db8::dead", "192.0.2.1", "192.0.2.77"};
    struct fixture *f = *state;

    net_sim_blackhole(f->net, ips[1], 5269, true);
    dial(f, ips, 3, true);
    loop_sim_advance(f->loop, 9000);
    assert_false(f->done); /* one may still answer */
    loop_sim_advance(f->loop, 2000);
    assert_true(f->done);
    assert_null(f->won);
    assert_int_equal(f->failed_count, 3);
    net_sim_blackhole(f->net, ips[1], 5269, false);
}

static void cancelled(void **state)
{
    static const char *const ips[] = {"2001:db8::1", "192.0.2.1"};
    struct fixture *f = *state;

    dial(f, ips, 2, true);
    dialer_cancel(f->dialer);
    f->dialer = NULL;
    loop_sim_advance(f->loop, 20000);
    assert_false(f->done);
    assert_int_equal(f->failed_count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_that_answers),
        TEST(silence_costs_one_delay),
        TEST(the_slow_one_may_still_win),
        TEST(refusal_costs_nothing),
        TEST(another_host_waits_longer),
        TEST(another_host_after_a_refusal_at_once),
        TEST(nobody_answers),
        TEST(cancelled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
