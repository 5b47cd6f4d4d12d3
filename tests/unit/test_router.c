/* The router: every error code of jabberd2.md 1.2, names and who hears of them, spreading,
 * throttle, log copies, aliases, slow components. test_router_users.c has what a user may do. */
#include "link/spread.h"
#include "router_world.h"

/* --- binding --- */

static void bind_errors(void **state)
{
    struct world *w = *state;
    struct fake *a = attach(w, "a"), *b = attach(w, "b");

    bind_expect(w, a, NULL, 0, 400);
    bind_expect(w, a, "", 0, 400);
    bind_expect(w, a, "not a name", 0, 400);
    bind_expect(w, a, "x.test", 0, 0);
    bind_expect(w, b, "x.test", 0, 409);
    bind_expect(w, b, "X.Test", 0, 409);
    bind_expect(w, b, "x.test", PACKET_BIND_MULTI, 409); /* bound otherwise */
    bind_expect(w, a, "x.test", 0, 409);                 /* already its own */
    bind_expect(w, b, "alias.test", 0, 409);
    bind_expect(w, a, "s2s", PACKET_BIND_DEFAULT, 0);
    bind_expect(w, b, "alias.test", PACKET_BIND_DEFAULT, 409);
    bind_expect(w, b, "s2s-2", 0, 0); /* the refusal left nothing behind */
}

static void unbind_errors(void **state)
{
    struct world *w = *state;
    struct fake *a = attach(w, "a"), *b = attach(w, "b");

    bound(w, a, "x.test");
    send_control(w, a, PACKET_UNBIND, NULL, 0);
    expect(a, PACKET_UNBIND, 400);
    send_control(w, a, PACKET_UNBIND, "y.test", 0);
    expect(a, PACKET_UNBIND, 404);
    send_control(w, b, PACKET_UNBIND, "x.test", 0); /* another's */
    expect(b, PACKET_UNBIND, 404);
    send_control(w, a, PACKET_UNBIND, "x.test", 0);
    expect(a, PACKET_UNBIND, 0);
    bind_expect(w, b, "x.test", 0, 0);
}

static void presence_of_names(void **state)
{
    struct world *w = *state;
    struct fake *a = attach(w, "a"), *b = attach(w, "b"), *idle = attach(w, "idle");

    send_control(w, a, PACKET_BIND, "x.test", PACKET_BIND_MULTI);
    expect(a, PACKET_BIND, 0);
    nothing_more(a);
    send_control(w, b, PACKET_BIND, "b", 0);
    expect(b, PACKET_BIND, 0); /* the answer first: jabberd2 drops what comes before it */
    struct packet *first = expect(b, PACKET_PRESENCE, 0), *second = expect(b, PACKET_PRESENCE, 0);
    assert_true(str_is(first->name, "x.test") != str_is(second->name, "x.test"));
    assert_true(str_is(first->name, "alias.test") != str_is(second->name, "alias.test"));
    nothing_more(b);
    expect_presence(a, "b", true);
    /* When another shares it, or no longer does, everybody hears who has it now. */
    send_control(w, b, PACKET_BIND, "x.test", PACKET_BIND_MULTI);
    expect(b, PACKET_BIND, 0);
    expect_nodes(b, "x.test", "x.test b");
    nothing_more(b);
    expect_nodes(a, "x.test", "x.test b");
    expect_nodes(a, "alias.test", "x.test b");
    send_control(w, a, PACKET_UNBIND, "x.test", 0);
    expect(a, PACKET_UNBIND, 0);
    nothing_more(a); /* it has no name left */
    expect_nodes(b, "x.test", NULL);
    expect_nodes(b, "alias.test", NULL);
    send_control(w, a, PACKET_BIND, "a", 0);
    expect(a, PACKET_BIND, 0);
    expect_presence(b, "a", true);
    forget(w);
    send_control(w, b, PACKET_UNBIND, "x.test", 0);
    expect(b, PACKET_UNBIND, 0);
    expect_presence(a, "x.test", false);
    expect_presence(a, "alias.test", false);
    nothing_more(idle); /* who bound nothing is told nothing */
}

/* A newcomer learns who shares what, and can tell where a user's packets go. */
static void nodes_foretell_the_way(void **state)
{
    struct world *w = *state;
    struct fake *sm[2] = {attach(w, "1"), attach(w, "2")}, *c2s = attach(w, "c2s");
    struct packet *p;
    struct str nodes = STR_NULL;
    char to[32];

    for (int i = 0; i < 2; i++) {
        bound(w, sm[i], i ? "sm-2" : "sm-1");
        bind_expect(w, sm[i], "x.test", PACKET_BIND_MULTI, 0);
    }
    send_control(w, c2s, PACKET_BIND, "c2s", 0);
    while ((p = take(c2s)) != NULL)
        if (str_is(p->name, "x.test"))
            nodes = p->nodes;
    assert_true(str_is(nodes, "sm-1 sm-2"));
    forget(w);
    for (int i = 0; i < 50; i++) {
        (void)snprintf(to, sizeof(to), "u%d@x.test", i);
        link_send(c2s->link, message("x.test", "c2s", NULL, to));
        settle(w);
        expect(str_is(spread_pick(nodes, str_of(to)), "sm-1") ? sm[0] : sm[1], PACKET_STANZA, 0);
    }
}

/* As one does that had the name before the router was lost. */
static void bind_again(struct world *w, struct fake *f, const char *name, const char *nodes)
{
    link_send(f->link, packet_create_bind(str_of(name), PACKET_BIND_MULTI, str_of(nodes)));
    settle(w);
    while (f->taken < f->count && f->got[f->taken]->kind != PACKET_BIND)
        f->taken++;
    expect(f, PACKET_BIND, 0);
}

/* Whoever comes back first does not get what belongs to all; and nothing of it is lost, or out of
 * order. */
static void a_name_waits_for_those_who_shared_it(void **state)
{
    struct world *w = *state;
    struct fake *sm[2] = {attach(w, "1"), attach(w, "2")}, *c2s = attach(w, "c2s");
    size_t got[2] = {0, 0};
    char to[32];

    bound(w, sm[0], "sm-1");
    bound(w, c2s, "c2s");
    bind_again(w, sm[0], "x.test", "sm-1 sm-2");
    nothing_more(c2s);
    for (int i = 0; i < 20; i++) {
        (void)snprintf(to, sizeof(to), "u%d@x.test", i);
        link_send(c2s->link, message("x.test", "c2s", NULL, to));
    }
    settle(w);
    nothing_more(sm[0]);
    bound(w, sm[1], "sm-2");
    bind_again(w, sm[1], "x.test", "sm-1 sm-2");
    expect_nodes(c2s, "x.test", "sm-1 sm-2");
    expect_presence(c2s, "alias.test", true);
    expect_nodes(sm[0], "x.test", "sm-1 sm-2");
    expect_nodes(sm[1], "x.test", "sm-1 sm-2");
    forget(w);
    for (int i = 0; i < 20; i++) {
        (void)snprintf(to, sizeof(to), "u%d@x.test", i);
        link_send(c2s->link, message("x.test", "c2s", NULL, to));
    }
    settle(w);
    for (int k = 0; k < 2; k++)
        while (take(sm[k]))
            got[k]++;
    assert_int_equal(got[0] + got[1], 20); /* the others were there before: */
    for (int k = 0; k < 2; k++) {
        size_t held = 0;
        for (size_t i = 0; i < sm[k]->count; i++)
            held += sm[k]->got[i]->kind == PACKET_STANZA;
        assert_int_equal(held, 2 * got[k]);
        assert_int_not_equal(got[k], 0);
    }
    bind_again(w, c2s, "x.test", "sm-1 sm-2 gone"); /* all are told of it already */
    expect_nodes(sm[0], "x.test", "sm-1 sm-2 c2s");
}

static void a_name_does_not_wait_for_ever(void **state)
{
    struct world *w = *state;
    struct fake *sm = attach(w, "sm"), *c2s = attach(w, "c2s");

    bound(w, sm, "sm-1");
    bound(w, c2s, "c2s");
    bind_again(w, sm, "x.test", "sm-1 sm-2");
    send_route(w, c2s, "x.test", "c2s");
    loop_sim_advance(w->env.loop, 2500);
    nothing_more(sm);
    nothing_more(c2s);
    loop_sim_advance(w->env.loop, 500);
    expect(sm, PACKET_STANZA, 0);
    expect_nodes(c2s, "x.test", NULL);
    send_control(w, sm, PACKET_UNBIND, "x.test", 0);
    expect(sm, PACKET_UNBIND, 0);
    forget(w);
    /* And whoever goes meanwhile leaves nothing behind. */
    bind_again(w, sm, "x.test", "sm-1 sm-2");
    send_route(w, c2s, "x.test", "c2s");
    nothing_more(c2s);
    link_close(sm->link);
    sm->link = NULL;
    settle(w);
    expect_presence(c2s, "sm-1", false);
    expect(c2s, PACKET_STANZA, 404);
    nothing_more(c2s);
}

static void what_waits_for_a_name_has_a_maximum(void **state)
{
    struct world *w = *state;
    struct fake *sm = attach(w, "sm"), *c2s = attach(w, "c2s");
    size_t sent = 0;

    bound(w, sm, "sm-1");
    bound(w, c2s, "c2s");
    bind_again(w, sm, "x.test", "sm-1 sm-2");
    for (; c2s->taken == c2s->count && sent < 1000; sent++) {
        link_send(c2s->link, message("x.test", "c2s", "a@x.test/r", "b@x.test"));
        settle(w);
    }
    expect(c2s, PACKET_STANZA, 503);
    assert_in_range(sent, 20, 999);
}

static void a_lost_component_frees_its_names(void **state)
{
    struct world *w = *state;
    struct fake *a = attach(w, "a"), *b = attach(w, "b");

    bound(w, a, "a");
    bind_expect(w, a, "s2s", PACKET_BIND_DEFAULT, 0);
    bound(w, b, "b");
    link_close(a->link);
    a->link = NULL;
    settle(w);
    expect(b, PACKET_PRESENCE, 0);
    expect(b, PACKET_PRESENCE, 0);
    nothing_more(b);
    send_route(w, b, "elsewhere.test", "b");
    expect(b, PACKET_STANZA, 404); /* the default route went as well */
    bind_expect(w, b, "a", PACKET_BIND_DEFAULT, 0);
}

/* --- routing --- */

static void route_errors(void **state)
{
    struct world *w = *state;
    struct fake *a = attach(w, "a"), *b = attach(w, "b");
    struct packet *p;

    bound(w, a, "a");
    bound(w, b, "b");
    send_route(w, a, NULL, "a");
    expect(a, PACKET_STANZA, 400);
    send_route(w, a, "b", NULL);
    expect(a, PACKET_STANZA, 400);
    send_route(w, a, "b", "b");
    p = expect(a, PACKET_STANZA, 401);
    assert_true(str_is(p->route_to, "b")); /* turned around */
    send_route(w, a, "b", "nobody");
    expect(a, PACKET_STANZA, 401);
    send_route(w, a, "nobody", "a");
    p = expect(a, PACKET_STANZA, 404);
    assert_true(str_is(p->route_from, "nobody") && str_is(p->route_to, "a"));
    assert_true(str_is(jid_full(p->to), "b@x.test"));
    nothing_more(a);
    nothing_more(b);
    send_route(w, a, "b", "a");
    p = expect(b, PACKET_STANZA, 0);
    assert_true(str_is(p->route_from, "a"));
    assert_int_equal(counter(w, "bounced"), 5);
    assert_int_equal(counter(w, "routed"), 1);
}

/* As jabberd2: case and whole JIDs do not matter. */
static void names_in_other_forms(void **state)
{
    struct world *w = *state;
    struct fake *a = attach(w, "a"), *b = attach(w, "b");

    bound(w, a, "a");
    bound(w, b, "x.test");
    send_route(w, a, "X.TEST", "A");
    expect(b, PACKET_STANZA, 0);
    send_route(w, a, "user@x.test/home", "a");
    expect(b, PACKET_STANZA, 0);
    send_route(w, a, "@@", "a");
    expect(a, PACKET_STANZA, 400);
}

static void an_error_goes_no_further(void **state)
{
    struct world *w = *state;
    struct fake *a = attach(w, "a"), *b = attach(w, "b");
    struct packet *p = message("b", "a", NULL, NULL);

    bound(w, a, "a");
    bound(w, b, "b");
    p->error = 404;
    link_send(a->link, p);
    settle(w);
    nothing_more(a);
    nothing_more(b);
    assert_int_equal(counter(w, "dropped"), 1);
}

static void default_route(void **state)
{
    struct world *w = *state;
    struct fake *a = attach(w, "a"), *s2s = attach(w, "s2s");

    bound(w, a, "a");
    bind_expect(w, s2s, "s2s", PACKET_BIND_DEFAULT, 0);
    forget(w);
    send_route(w, a, "elsewhere.test", "a");
    expect(s2s, PACKET_STANZA, 0);
    nothing_more(a);
    send_route(w, s2s, "elsewhere.test", "s2s"); /* not back to itself */
    expect(s2s, PACKET_STANZA, 404);
    send_control(w, s2s, PACKET_UNBIND, "s2s", 0);
    forget(w);
    send_route(w, a, "elsewhere.test", "a");
    expect(a, PACKET_STANZA, 404);
}

/* Several: each domain has its one, what goes there stays in order; the rest moves when one goes.
 */
static void several_default_routes(void **state)
{
    struct world *w = *state;
    struct fake *a = attach(w, "a"), *s2s[2] = {attach(w, "s2s"), attach(w, "s2s-2")};
    size_t got[2] = {0}, home[40];
    char domain[32];

    bound(w, a, "a");
    bind_expect(w, s2s[0], "s2s", PACKET_BIND_DEFAULT, 0);
    bind_expect(w, s2s[1], "s2s-2", PACKET_BIND_DEFAULT, 0);
    forget(w);
    for (int i = 0; i < 80; i++) {
        size_t who;
        (void)snprintf(domain, sizeof(domain), "d%d.test", i % 40);
        send_route(w, a, domain, "a");
        who = s2s[1]->count > s2s[1]->taken;
        expect(s2s[who], PACKET_STANZA, 0);
        nothing_more(s2s[0]);
        nothing_more(s2s[1]);
        if (i < 40)
            home[i] = who;
        else
            assert_int_equal(home[i - 40], who);
        got[who]++;
    }
    assert_true(got[0] > 10 && got[1] > 10);
    send_route(w, s2s[0], "elsewhere.test", "s2s"); /* not to each other */
    expect(s2s[0], PACKET_STANZA, 404);
    nothing_more(s2s[1]);
    send_control(w, s2s[1], PACKET_UNBIND, "s2s-2", 0);
    forget(w);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(domain, sizeof(domain), "d%d.test", i);
        send_route(w, a, domain, "a");
        expect(s2s[0], PACKET_STANZA, 0);
    }
}

static void broadcast(void **state)
{
    struct world *w = *state;
    struct fake *a = attach(w, "a"), *b = attach(w, "b"), *c = attach(w, "c");
    struct packet *p = message(NULL, "a", NULL, NULL);

    bound(w, a, "a");
    bound(w, b, "b");
    bound(w, c, "c");
    bound(w, c, "c2"); /* two names, one copy */
    p->kind = PACKET_BROADCAST;
    link_send(a->link, p);
    settle(w);
    expect(b, PACKET_BROADCAST, 0);
    expect(c, PACKET_BROADCAST, 0);
    nothing_more(a);
    nothing_more(c);
    p = message(NULL, NULL, NULL, NULL);
    p->kind = PACKET_BROADCAST;
    link_send(a->link, p);
    settle(w);
    expect(a, PACKET_BROADCAST, 400);
    p = message(NULL, "b", NULL, NULL);
    p->kind = PACKET_BROADCAST;
    link_send(a->link, p);
    settle(w);
    expect(a, PACKET_BROADCAST, 401);
}

static void log_copies(void **state)
{
    struct world *w = *state;
    struct fake *a = attach(w, "a"), *b = attach(w, "b"), *sink = attach(w, "sink");
    struct packet *p, *copy;

    bound(w, a, "a");
    bound(w, b, "b");
    bind_expect(w, sink, "sink", PACKET_BIND_LOG, 0);
    forget(w);
    send_route(w, a, "b", "a");
    p = expect(b, PACKET_STANZA, 0);
    copy = expect(sink, PACKET_LOG, 0);
    assert_ptr_equal(p->stanza, copy->stanza);
    assert_true(str_is(copy->route_to, "b") && str_is(copy->route_from, "a"));
    send_route(w, a, "nobody", "a"); /* what goes nowhere is not copied */
    nothing_more(sink);
    p = message("b", "sink", NULL, NULL);
    p->kind = PACKET_LOG; /* nobody may make one */
    link_send(sink->link, p);
    settle(w);
    nothing_more(b);
    send_control(w, sink, PACKET_UNBIND, "sink", 0);
    forget(w);
    send_route(w, a, "b", "a");
    nothing_more(sink);
}

static void aliases(void **state)
{
    struct world *w = *state;
    struct fake *a = attach(w, "a"), *b = attach(w, "b");
    struct packet *p;

    bound(w, a, "a");
    send_route(w, a, "alias.test", "a");
    expect(a, PACKET_STANZA, 404);
    bound(w, b, "x.test");
    send_route(w, a, "alias.test", "a");
    p = expect(b, PACKET_STANZA, 0);
    assert_true(str_is(p->route_to, "alias.test"));
    send_route(w, b, "a", "alias.test"); /* it may speak for its alias */
    expect(a, PACKET_STANZA, 0);
}

static void throttle(void **state)
{
    struct world *w = *state;
    struct fake *a = attach(w, "a"), *b = attach(w, "b");

    bound(w, a, "a");
    bound(w, b, "b");
    send_control(w, b, PACKET_THROTTLE, NULL, 0);
    expect(b, PACKET_THROTTLE, 0);
    for (int i = 0; i < 3; i++)
        send_route(w, a, "b", "a");
    nothing_more(b);
    assert_true(counter(w, "queued") > 0);
    send_control(w, b, PACKET_THROTTLE, NULL, 0);
    expect(b, PACKET_THROTTLE, 0);
    for (int i = 0; i < 3; i++)
        expect(b, PACKET_STANZA, 0);
    nothing_more(b);
    assert_int_equal(counter(w, "queued"), 0);
}

static void a_throttle_has_a_maximum(void **state)
{
    struct world *w = *state;
    struct fake *a = attach(w, "a"), *b = attach(w, "b");
    size_t sent = 0;

    bound(w, a, "a");
    bound(w, b, "b");
    send_control(w, b, PACKET_THROTTLE, NULL, 0);
    expect(b, PACKET_THROTTLE, 0);
    while (a->taken == a->count && sent++ < 1000)
        send_route(w, a, "b", "a");
    expect(a, PACKET_STANZA, 503);
    assert_in_range(sent, 20, 999);
    link_close(b->link); /* gone: what was held for it comes back to the sender */
    b->link = NULL;
    settle(w);
    for (size_t i = 0; i < sent - 1; i++)
        expect(a, PACKET_STANZA, 404);
    expect_presence(a, "b", false);
    nothing_more(a);
}

/* --- a slow component --- */

static void waiting_for_a_slow_component(void **state)
{
    struct world *w = *state;
    struct fake *a = attach(w, "a"), *b = attach(w, "b");
    size_t in_b = 0;
    struct packet *p;

    bound(w, a, "a");
    bound(w, b, "b");
    link_pause(b->link);
    for (int i = 0; i < 100; i++)
        link_send(a->link, message("b", "a", "a@x.test/r", "b@x.test"));
    settle(w);
    assert_true(link_queued(a->link) > 0); /* the router has stopped reading a */
    nothing_more(a);
    link_resume(b->link);
    settle(w);
    while ((p = take(b)) != NULL)
        in_b += p->kind == PACKET_STANZA;
    assert_int_equal(in_b, 100); /* all, in the end, and none bounced */
    nothing_more(a);
    assert_int_equal(link_queued(a->link), 0);
}

static void a_stuck_component_holds_nobody_up(void **state)
{
    struct world *w = *state;
    struct fake *a = attach(w, "a"), *b = attach(w, "b"), *c = attach(w, "c");
    size_t bounced = 0, arrived = 0;
    struct packet *p;

    bound(w, a, "a");
    bound(w, b, "b");
    bound(w, c, "c");
    link_pause(b->link);
    for (int i = 0; i < 100; i++)
        link_send(a->link, message("b", "a", "a@x.test/r", "b@x.test"));
    link_send(a->link, message("c", "a", "a@x.test/r", "b@x.test"));
    settle(w);
    nothing_more(c);
    loop_sim_advance(w->env.loop, 6000);
    expect(c, PACKET_STANZA, 0);
    while ((p = take(a)) != NULL)
        bounced += p->error == 503;
    link_resume(b->link);
    settle(w);
    while ((p = take(b)) != NULL)
        arrived += p->kind == PACKET_STANZA;
    assert_int_equal(bounced + arrived, 100); /* each exactly once, one way or the other */
    assert_true(bounced > 0 && arrived > 0);
    send_route(w, a, "b", "a");
    expect(b, PACKET_STANZA, 0);
}

static void packets_of_a_dead_component_come_back(void **state)
{
    struct world *w = *state;
    struct fake *a = attach(w, "a"), *b = attach(w, "b");

    bound(w, a, "a");
    bound(w, b, "b");
    link_pause(b->link);
    send_route(w, a, "b", "a");
    send_route(w, a, "b", "a");
    link_close(b->link);
    b->link = NULL;
    settle(w);
    expect(a, PACKET_STANZA, 404);
    expect(a, PACKET_STANZA, 404);
    expect_presence(a, "b", false);
}

/* --- spreading --- */

static void spread_by_the_receiver(void **state)
{
    struct world *w = *state;
    struct fake *c2s = attach(w, "c2s"), *sm[2] = {attach(w, "sm-1"), attach(w, "sm-2")};
    struct jid *target = jid_parse(STR("u7@x.test/home"));
    struct packet *p;
    char to[32];

    bound(w, c2s, "c2s");
    for (int i = 0; i < 2; i++) {
        bound(w, sm[i], i ? "sm-2" : "sm-1");
        bind_expect(w, sm[i], "x.test", PACKET_BIND_MULTI, 0);
    }
    forget(w);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(to, sizeof(to), "u%d@x.test/%d", i, i);
        link_send(c2s->link, message("x.test", "c2s", NULL, to));
    }
    settle(w);
    assert_in_range(sm[0]->count - sm[0]->taken, 30, 70);
    assert_int_equal(sm[0]->count - sm[0]->taken + sm[1]->count - sm[1]->taken, 100);
    forget(w);
    /* A session goes where the messages of its user go: by target as by to, whatever the resource.
     */
    p = packet_create_session(STR("x.test"), STR("c2s"), SESSION_START, target, STR_NULL);
    link_send(c2s->link, p);
    link_send(c2s->link, message("x.test", "c2s", "z@x.test", "u7@x.test"));
    settle(w);
    struct fake *home = sm[0]->taken < sm[0]->count ? sm[0] : sm[1];
    expect(home, PACKET_SESSION, 0);
    expect(home, PACKET_STANZA, 0);
    jid_unref(target);
}

static void spread_by_the_sender(void **state)
{
    struct world *w = *state;
    struct fake *c2s = attach(w, "c2s"), *g[2] = {attach(w, "g1"), attach(w, "g2")};

    bound(w, c2s, "c2s");
    for (int i = 0; i < 2; i++) {
        bound(w, g[i], i ? "g2" : "g1");
        bind_expect(w, g[i], "gate.test", PACKET_BIND_MULTI_FROM, 0);
    }
    bind_expect(w, c2s, "gate.test", PACKET_BIND_MULTI, 409); /* spread in another way */
    forget(w);
    for (int i = 0; i < 10; i++) {
        char to[32];
        (void)snprintf(to, sizeof(to), "u%d@gate.test", i);
        link_send(c2s->link, message("gate.test", "c2s", "me@x.test/r", to));
    }
    settle(w);
    assert_true(g[0]->count - g[0]->taken == 10 || g[1]->count - g[1]->taken == 10);
}

static void status_tells(void **state)
{
    struct world *w = *state;
    struct fake *a = attach(w, "a");
    json_t *status, *names;

    bind_expect(w, a, "x.test", PACKET_BIND_DEFAULT, 0);
    status = component_status(w->router);
    names = json_object_get(status, "names");
    assert_int_equal(
        json_array_size(json_object_get(json_object_get(names, "x.test"), "components")), 1);
    assert_true(json_is_true(json_object_get(json_object_get(names, "x.test"), "default")));
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(names, "alias.test"), "alias")),
        "x.test");
    assert_int_equal(json_array_size(json_object_get(status, "links")), 1);
    assert_int_equal(json_integer_value(json_object_get(status, "port")), 5347);
    json_decref(status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bind_errors),
        TEST(unbind_errors),
        TEST(presence_of_names),
        TEST(nodes_foretell_the_way),
        TEST(a_name_waits_for_those_who_shared_it),
        TEST(a_name_does_not_wait_for_ever),
        TEST(what_waits_for_a_name_has_a_maximum),
        TEST(a_lost_component_frees_its_names),
        TEST(route_errors),
        TEST(names_in_other_forms),
        TEST(an_error_goes_no_further),
        TEST(default_route),
        TEST(several_default_routes),
        TEST(broadcast),
        TEST(log_copies),
        TEST(aliases),
        TEST(throttle),
        TEST(a_throttle_has_a_maximum),
        TEST(waiting_for_a_slow_component),
        TEST(a_stuck_component_holds_nobody_up),
        TEST(packets_of_a_dead_component_come_back),
        TEST(spread_by_the_receiver),
        TEST(spread_by_the_sender),
        TEST(status_tells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
