/* Two routers of one process: what is bound at one can be reached from the other, and what cannot
 * be delivered comes back to whoever sent it, wherever he is. */
#include "router_world.h"

struct pair {
    struct world *a, *b;
};

static int setup_pair(void **state)
{
    struct pair *pair = MEM_NEW(struct pair);
    void *first;

    (void)setup(&first);
    pair->a = first;
    pair->b = MEM_NEW(struct world);
    pair->b->env = pair->a->env;
    pair->b->env.config = &pair->a->config;
    pair->b->env.seat = 1;
    pair->b->router = component_create(&router_component, &pair->b->env, "router-2");
    assert_int_equal(component_start(pair->b->router), ERR_OK); /* and does not listen as well */
    component_join(pair->a->router, pair->b->router);
    settle(pair->a);
    *state = pair;
    return 0;
}

static int teardown_pair(void **state)
{
    struct pair *pair = *state;
    struct world *b = pair->b;
    void *first = pair->a;

    component_destroy(b->router);
    for (size_t i = 0; i < b->fake_count; i++) {
        link_close(b->fakes[i]->link);
        for (size_t k = 0; k < b->fakes[i]->count; k++)
            packet_destroy(b->fakes[i]->got[k]);
        free(b->fakes[i]);
    }
    free(b);
    free(pair);
    return teardown(&first);
}

#define PAIR_TEST(f) cmocka_unit_test_setup_teardown(f, setup_pair, teardown_pair)

static void names_are_known_on_both(void **state)
{
    struct pair *p = *state;
    struct fake *here = attach(p->a, "c2s"), *there = attach(p->b, "sm"), *late;

    bound(p->a, here, "c2s");
    bound(p->b, there, "sm");
    expect_presence(here, "sm", true);
    forget(p->a);
    bind_expect(p->b, there, "x.test", 0, 0);
    expect_presence(here, "x.test", true);
    expect_presence(here, "alias.test", true);
    bind_expect(p->a, here, "x.test", 0, 409);
    bind_expect(p->a, here, "sm", 0, 409);
    late = attach(p->a, "late");
    bound(p->a, late, "late");
    assert_int_equal(late->count, 5); /* the answer, c2s, sm, x.test, alias.test */
    forget(p->a);
    send_control(p->b, there, PACKET_UNBIND, "x.test", 0);
    expect_presence(here, "x.test", false);
    expect_presence(here, "alias.test", false);
    nothing_more(here);
    bound(p->a, here, "x.test");
}

/* Whoever was there before the trunk is told of when it comes up. */
static void who_was_there_before(void **state)
{
    struct pair *p = *state;
    struct world third = {.env = p->a->env};
    struct fake *here = attach(p->a, "c2s");

    bound(p->a, here, "c2s");
    third.env.seat = 2;
    third.router = component_create(&router_component, &third.env, "router-3");
    assert_int_equal(component_start(third.router), ERR_OK);
    struct fake *there = attach(&third, "sm");
    bound(&third, there, "sm");
    component_join(p->a->router, third.router);
    settle(&third);
    expect_presence(there, "c2s", true);
    expect_presence(here, "sm", true);
    component_destroy(third.router);
    settle(&third);
    expect_presence(here, "sm", false);
    send_route(p->a, here, "sm", "c2s");
    (void)expect(here, PACKET_STANZA, 404);
    link_close(there->link);
    for (size_t i = 0; i < there->count; i++)
        packet_destroy(there->got[i]);
    free(there);
}

static void packets_cross(void **state)
{
    struct pair *p = *state;
    struct fake *here = attach(p->a, "c2s"), *there = attach(p->b, "sm");
    struct packet *sent = message("sm", "c2s", "a@x.test/r", "b@x.test");

    bound(p->a, here, "c2s");
    bound(p->b, there, "sm");
    forget(p->a);
    link_send(here->link, sent);
    settle(p->a);
    assert_ptr_equal(expect(there, PACKET_STANZA, 0), sent); /* the packet itself */
    send_route(p->b, there, "c2s", "sm");
    (void)expect(here, PACKET_STANZA, 0);
    send_route(p->b, there, "c2s", "x.test"); /* not its name */
    (void)expect(there, PACKET_STANZA, 401);
    send_route(p->b, there, "nobody.test", "sm");
    (void)expect(there, PACKET_STANZA, 404);
    nothing_more(here);
}

/* Both ends of a shared name are chosen alike on both loops: a packet never goes astray. */
static void sharing_a_name_over_loops(void **state)
{
    struct pair *p = *state;
    struct fake *c2s = attach(p->a, "c2s"), *other = attach(p->b, "c2s-2");
    struct fake *sm[2] = {attach(p->a, "sm-1"), attach(p->b, "sm-2")};

    bound(p->a, c2s, "c2s");
    bound(p->b, other, "c2s-2");
    bound(p->a, sm[0], "sm-1");
    bound(p->b, sm[1], "sm-2");
    bind_expect(p->a, sm[0], "x.test", PACKET_BIND_MULTI, 0);
    bind_expect(p->b, sm[1], "x.test", PACKET_BIND_MULTI, 0);
    forget(p->a);
    forget(p->b);
    for (int i = 0; i < 50; i++) {
        char user[32];
        size_t before[2] = {sm[0]->count, sm[1]->count};
        (void)snprintf(user, sizeof(user), "user%d@x.test", i);
        link_send(c2s->link, message("x.test", "c2s", "a@x.test/r", user));
        link_send(other->link, message("x.test", "c2s-2", "a@x.test/r", user));
        settle(p->a);
        assert_true(sm[0]->count == before[0] + 2 || sm[1]->count == before[1] + 2);
    }
    assert_true(sm[0]->count - sm[0]->taken > 20 && sm[1]->count - sm[1]->taken > 20);
}

static void the_share_of_one_who_goes(void **state)
{
    struct pair *p = *state;
    struct fake *c2s = attach(p->a, "c2s");
    struct fake *sm[2] = {attach(p->a, "sm-1"), attach(p->b, "sm-2")};

    bound(p->a, c2s, "c2s");
    bound(p->a, sm[0], "sm-1");
    bound(p->b, sm[1], "sm-2");
    bind_expect(p->a, sm[0], "x.test", PACKET_BIND_MULTI, 0);
    forget(p->a);
    bind_expect(p->b, sm[1], "x.test", PACKET_BIND_MULTI, 0);
    expect_nodes(c2s, "x.test", "sm-1 sm-2");
    expect_nodes(c2s, "alias.test", "sm-1 sm-2");
    link_close(sm[1]->link);
    sm[1]->link = NULL;
    settle(p->a);
    expect_presence(c2s, "sm-2", false);
    expect_nodes(c2s, "x.test", NULL);
    for (int i = 0; i < 10; i++) {
        char user[32];
        (void)snprintf(user, sizeof(user), "user%d@x.test", i);
        link_send(c2s->link, message("x.test", "c2s", "a@x.test/r", user));
    }
    size_t before = sm[0]->count;
    settle(p->a);
    assert_int_equal(sm[0]->count, before + 10);
}

/* sm-2 closes over what its router has already handed it, and over what is still on its way. */
static void what_was_not_taken_comes_back(void **state)
{
    struct pair *p = *state;
    struct fake *c2s = attach(p->a, "c2s"), *sm = attach(p->b, "sm");

    bound(p->a, c2s, "c2s");
    bound(p->b, sm, "sm");
    forget(p->a);
    link_pause(sm->link);
    send_route(p->a, c2s, "sm", "c2s");
    link_send(c2s->link, message("sm", "c2s", "a@x.test/r", "b@x.test"));
    link_close(sm->link);
    sm->link = NULL;
    settle(p->a);
    size_t returned = 0;
    for (struct packet *got; (got = take(c2s)) != NULL;)
        returned += got->kind == PACKET_STANZA && got->error == 404;
    assert_int_equal(returned, 2);
}

static void the_default_route_is_elsewhere(void **state)
{
    struct pair *p = *state;
    struct fake *sm = attach(p->a, "sm"), *s2s = attach(p->b, "s2s"),
                *second = attach(p->a, "second");

    bound(p->a, sm, "sm");
    bind_expect(p->b, s2s, "s2s", PACKET_BIND_DEFAULT, 0);
    forget(p->a);
    forget(p->b);
    send_route(p->a, sm, "far.test", "sm");
    (void)expect(s2s, PACKET_STANZA, 0);
    send_route(p->b, s2s, "far.test", "s2s");
    (void)expect(s2s, PACKET_STANZA, 404);
    bind_expect(p->a, second, "s2s-2", PACKET_BIND_DEFAULT, 0); /* they share the world */
    send_control(p->b, s2s, PACKET_UNBIND, "s2s", 0);
    forget(p->a);
    send_route(p->a, sm, "far.test", "sm");
    (void)expect(second, PACKET_STANZA, 0);
    send_control(p->a, second, PACKET_UNBIND, "s2s-2", 0);
    forget(p->a);
    send_route(p->a, sm, "far.test", "sm");
    (void)expect(sm, PACKET_STANZA, 404);
}

static void broadcasts_and_log_copies(void **state)
{
    struct pair *p = *state;
    struct fake *here = attach(p->a, "c2s"), *beside = attach(p->a, "sm"),
                *there = attach(p->b, "sm-2"),
                *log[2] = {attach(p->b, "log"), attach(p->b, "log-2")};

    bound(p->a, here, "c2s");
    bound(p->a, beside, "sm");
    bound(p->b, there, "sm-2");
    for (int i = 0; i < 2; i++)
        bind_expect(p->b, log[i], i ? "log-2" : "log", PACKET_BIND_LOG, 0);
    forget(p->a);
    forget(p->b);
    link_send(here->link, packet_create(PACKET_BROADCAST, STR_NULL, STR("c2s")));
    settle(p->a);
    (void)expect(beside, PACKET_BROADCAST, 0);
    (void)expect(there, PACKET_BROADCAST, 0);
    nothing_more(here);
    forget(p->b);
    send_route(p->a, here, "sm-2", "c2s");
    (void)expect(there, PACKET_STANZA, 0);
    for (int i = 0; i < 2; i++) {
        (void)expect(log[i], PACKET_LOG, 0);
        nothing_more(log[i]);
    }
    nothing_more(here);
    for (int i = 0; i < 2; i++)
        send_control(p->b, log[i], PACKET_UNBIND, i ? "log-2" : "log", 0);
    forget(p->b);
    send_route(p->a, here, "sm-2", "c2s");
    nothing_more(log[0]);
}

/* A slow component of another loop holds up who sends to it, and is given up after 5 s. */
static void waiting_for_another_loop(void **state)
{
    struct pair *p = *state;
    struct fake *here = attach(p->a, "c2s"), *slow = attach(p->b, "sm");
    size_t sent = 0;

    bound(p->a, here, "c2s");
    bound(p->b, slow, "sm");
    forget(p->a);
    link_pause(slow->link);
    while (sent < 200) {
        for (int i = 0; i < 10; i++, sent++)
            link_send(here->link, message("sm", "c2s", "a@x.test/r", "b@x.test"));
        settle(p->a);
    }
    assert_true(link_queued(here->link) > 0); /* its router does not read it */
    nothing_more(here);
    link_resume(slow->link);
    settle(p->a);
    assert_int_equal(link_queued(here->link), 0);
    nothing_more(here);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(names_are_known_on_both),
        PAIR_TEST(who_was_there_before),
        PAIR_TEST(packets_cross),
        PAIR_TEST(sharing_a_name_over_loops),
        PAIR_TEST(the_share_of_one_who_goes),
        PAIR_TEST(what_was_not_taken_comes_back),
        PAIR_TEST(the_default_route_is_elsewhere),
        PAIR_TEST(broadcasts_and_log_copies),
        PAIR_TEST(waiting_for_another_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
