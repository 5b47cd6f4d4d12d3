/* What a reload of the policy closes, and how fast another server may send. */
#include "s2s_world.h"

static void a_reload_changes_nothing(void **state)
{
    static const char *const more[] = {"s2s.deny=other.test"};
    struct world *w = *state;

    dialback(w, "valid");
    reload(w, more, 1);
    say(w, &w->in, MESSAGE("a@their.test/x", "romeo@home.test"));
    assert_int_equal(w->got_count, 1);
    assert_false(w->in.closed);
}

static void denied_from_now_on(void **state)
{
    static const char *const more[] = {"s2s.deny=bad.test,their.test"};
    struct world *w = *state;

    dialback(w, "valid");
    send_out(w, "a@gone.test", "m0");
    reload(w, more, 1);
    assert_heard(&w->in, "policy-violation");
    assert_heard(&w->out, "policy-violation");
    send_out(w, "a@their.test", "m1");
    assert_error(w, 0, "not-allowed");
    assert_int_equal(w->got_count, 1); /* what waits for others does so still */
}

static void what_waits_for_a_denied_domain_comes_back(void **state)
{
    static const char *const more[] = {"s2s.deny=gone.test"};
    struct world *w = *state;

    send_out(w, "a@gone.test", "m1");
    assert_int_equal(w->got_count, 0);
    reload(w, more, 1);
    assert_int_equal(w->got_count, 1);
    assert_error(w, 0, "not-allowed");
}

/* TLS is asked of this domain from now on: a stream without it is no good any more. */
static void more_is_demanded(void **state)
{
    static const char *const more[] = {"s2s.require_certificate=true"};
    struct world *w = *state;

    dialback(w, "valid");
    reload(w, more, 1);
    assert_heard(&w->in, "policy-violation");
}

/* --- how fast they may send --- */

static void a_flood_is_read_slowly(void **state)
{
    static const char *const more[] = {"s2s.rate=10000"};
    struct world *w = *state;
    char text[1200];

    dialback(w, "valid");
    reload(w, more, 1);
    (void)snprintf(
        text, sizeof(text),
        "<message from='a@their.test' to='romeo@home.test'><body>%0900d</body></message>", 0);
    for (int i = 0; i < 30; i++) /* about 30 KB: three seconds' worth */
        assert_int_equal(conn_write(w->in.conn, text, strlen(text)), ERR_OK);
    loop_sim_advance(w->env.loop, 300);
    say(w, &w->in, MESSAGE("a@their.test", "romeo@home.test"));
    assert_true(w->got_count < 31);
    loop_sim_advance(w->env.loop, 10000);
    assert_int_equal(w->got_count, 31); /* none is lost */
}

/* Over all streams of the domain, and past its reconnecting. */
static void messages_of_one_domain(void **state)
{
    static const char *const more[] = {"s2s.message_rate=1"};
    struct world *w = *state;

    dialback(w, "valid");
    reload(w, more, 1);
    for (int i = 0; i < 12; i++) /* ten at once */
        say(w, &w->in, MESSAGE("a@their.test", "romeo@home.test"));
    assert_true(w->got_count >= 10 && w->got_count < 16);
    for (int i = 0; i < 20; i++)
        assert_int_equal(conn_write(w->in.conn, MESSAGE("a@their.test", "romeo@home.test"),
                                    strlen(MESSAGE("a@their.test", "romeo@home.test"))),
                         ERR_OK);
    loop_sim_advance(w->env.loop, 60000);
    assert_int_equal(w->got_count, 32);
}

#define SUBSCRIBE "<presence type='subscribe' from='a@their.test' to='romeo@home.test'/>"

static void subscription_requests_of_one_domain(void **state)
{
    static const char *const more[] = {"s2s.subscribe_rate=3"};
    struct world *w = *state;

    dialback(w, "valid");
    reload(w, more, 1);
    for (int i = 0; i < 5; i++)
        say(w, &w->in, SUBSCRIBE);
    assert_int_equal(w->got_count, 3);
    say(w, &w->in, "<presence from='a@their.test' to='romeo@home.test'/>");
    assert_int_equal(w->got_count, 4); /* nothing else is counted */
    say(w, &w->out, "<db:result from='their.test' to='home.test' type='valid'/>");
    assert_heard(&w->out, "resource-constraint");
    loop_sim_advance(w->env.loop, 21000); /* a third of a minute: one more */
    say(w, &w->in, SUBSCRIBE);
    say(w, &w->in, SUBSCRIBE);
    assert_int_equal(w->got_count, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_reload_changes_nothing),
        WORLD_TEST(denied_from_now_on),
        WORLD_TEST(what_waits_for_a_denied_domain_comes_back),
        WORLD_TEST(more_is_demanded),
        WORLD_TEST(a_flood_is_read_slowly),
        WORLD_TEST(messages_of_one_domain),
        WORLD_TEST(subscription_requests_of_one_domain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
