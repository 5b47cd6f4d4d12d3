/* The router: every error code of jabberd2.md 1.2, names and who hears of them, spreading,
 * throttle, log copies, aliases, what a user may do. Components here are bare links whose packets
 * are recorded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "component/component.h"
#include "xml/builder.h"
#include "xmpp/namespaces.h"

#define FAKE_MAX 256

struct fake {
    struct link *link;
    struct packet *got[FAKE_MAX];
    size_t count, taken;
    int ups, downs, writable;
};

struct world {
    struct env env;
    struct config config;
    struct component *router;
    struct fake *fakes[16];
    size_t fake_count;
};

/* --- the harness --- */

static void on_packet(void *owner, struct packet *p)
{
    struct fake *f = owner;

    assert_true(f->count < FAKE_MAX);
    f->got[f->count++] = p;
}

static void on_up(void *owner)
{
    ((struct fake *)owner)->ups++;
}

static void on_down(void *owner, const char *why)
{
    ((struct fake *)owner)->downs++;
}

static void on_writable(void *owner)
{
    ((struct fake *)owner)->writable++;
}

static const struct link_events fake_events = {
    .packet = on_packet, .up = on_up, .down = on_down, .writable = on_writable};

static void settle(struct world *w)
{
    while (loop_sim_turn(w->env.loop))
        continue;
}

static struct fake *fake_new(struct world *w)
{
    struct fake *f = MEM_NEW(struct fake);

    w->fakes[w->fake_count++] = f;
    return f;
}

static struct fake *attach(struct world *w, const char *name)
{
    struct fake *f = fake_new(w);
    struct link *end;

    link_local_pair(w->env.loop, name, &f->link, &end);
    link_set_events(f->link, &fake_events, f);
    router_component.attach(w->router, end, name);
    settle(w);
    assert_int_equal(f->ups, 1);
    return f;
}

static struct fake *attach_tcp(struct world *w, const char *user, const char *secret)
{
    struct fake *f = fake_new(w);
    struct link_tcp_config config = {.user = str_of(user), .secret = str_of(secret)};

    (void)snprintf(config.router.ip, sizeof(config.router.ip), "127.0.0.1");
    config.router.port = 5347;
    f->link = link_tcp_connect(w->env.loop, w->env.net, w->env.parsers, w->env.random, w->env.log,
                               &config);
    link_set_events(f->link, &fake_events, f);
    loop_sim_advance(w->env.loop, 5000);
    assert_int_equal(f->ups, 1);
    return f;
}

static struct packet *take(struct fake *f)
{
    return f->taken < f->count ? f->got[f->taken++] : NULL;
}

static void forget(struct world *w)
{
    for (size_t i = 0; i < w->fake_count; i++)
        w->fakes[i]->taken = w->fakes[i]->count;
}

static void nothing_more(struct fake *f)
{
    assert_int_equal(f->taken, f->count);
}

static struct packet *expect(struct fake *f, enum packet_kind kind, int error)
{
    struct packet *p = take(f);

    if (!p)
        fail_msg("nothing came");
    assert_int_equal(p->kind, kind);
    assert_int_equal(p->error, error);
    return p;
}

static void expect_presence(struct fake *f, const char *name, bool up)
{
    struct packet *p = expect(f, PACKET_PRESENCE, 0);

    assert_true(str_is(p->name, name));
    assert_int_equal(p->up, up);
}

static void send_control(struct world *w, struct fake *f, enum packet_kind kind, const char *name,
                         unsigned flags)
{
    link_send(f->link, packet_create_control(kind, str_of(name), flags));
    loop_sim_advance(w->env.loop, 400);
}

/* Binds and looks at nothing but the answer. */
static void bind_expect(struct world *w, struct fake *f, const char *name, unsigned flags,
                        int error)
{
    struct packet *p = NULL;

    f->taken = f->count;
    send_control(w, f, PACKET_BIND, name, flags);
    while ((p = take(f)) != NULL && p->kind != PACKET_BIND)
        continue;
    assert_non_null(p);
    assert_int_equal(p->error, error);
    assert_null(p->name.data);
}

static void bound(struct world *w, struct fake *f, const char *name)
{
    bind_expect(w, f, name, 0, 0);
    forget(w);
}

static struct packet *message(const char *route_to, const char *route_from, const char *from,
                              const char *to)
{
    struct builder *b = builder_create(STR("message"), NS_CLIENT);
    struct packet *p = packet_create(PACKET_STANZA, str_of(route_to), str_of(route_from));

    builder_leaf(b, STR("body"), STR_NULL, STR("hi"));
    p->stanza = builder_finish(b);
    p->from = from ? jid_parse(str_of(from)) : NULL;
    p->to = to ? jid_parse(str_of(to)) : NULL;
    return p;
}

static void send_route(struct world *w, struct fake *f, const char *to, const char *from)
{
    link_send(f->link, message(to, from, "a@x.test/r", "b@x.test"));
    loop_sim_advance(w->env.loop, 400);
}

static int setup(void **state)
{
    struct world *w = MEM_NEW(struct world);
    static char *users[] = {"limited:secret1", "binder:secret2:bind",
                            "router2:secret3:default-route+log", "boss:secret4:all"};
    static char *aliases[] = {"alias.test=x.test"};

    w->env.loop = loop_create_sim(1767225600000);
    w->env.random = random_create_seeded(7);
    w->env.net = net_create_sim(w->env.loop, 7);
    w->env.parsers = parser_pool_create(w->env.random);
    w->env.data_dir = "";
    if (getenv("TEST_LOG"))
        w->env.log.sink = log_sink_create(stderr, LOG_DEBUG, LOG_TEXT);
    w->config.router_address = "127.0.0.1";
    w->config.router_port = 5347;
    w->config.router_secret_file = "";
    w->config.router_user = "jackdaw";
    w->config.router_max_queue = 65536;
    w->config.router_users = (struct config_list){users, 4};
    w->config.router_aliases = (struct config_list){aliases, 1};
    w->env.config = &w->config;
    w->router = component_create(&router_component, &w->env, NULL);
    assert_int_equal(component_start(w->router), ERR_OK);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < w->fake_count; i++) {
        link_close(w->fakes[i]->link);
        for (size_t k = 0; k < w->fakes[i]->count; k++)
            packet_destroy(w->fakes[i]->got[k]);
        free(w->fakes[i]);
    }
    settle(w);
    component_destroy(w->router);
    loop_sim_advance(w->env.loop, 5000);
    net_destroy(w->env.net);
    parser_pool_destroy(w->env.parsers);
    loop_destroy(w->env.loop);
    random_destroy(w->env.random);
    log_sink_destroy(w->env.log.sink);
    free(w);
    return 0;
}

static json_int_t counter(struct world *w, const char *name)
{
    json_t *status = component_status(w->router);
    json_int_t n = json_integer_value(json_object_get(json_object_get(status, "counters"), name));

    json_decref(status);
    return n;
}

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
    bind_expect(w, b, "s2s-2", PACKET_BIND_DEFAULT, 409);
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
    /* The second of a multi name is no news; nor is it when one of two goes. */
    send_control(w, b, PACKET_BIND, "x.test", PACKET_BIND_MULTI);
    expect(b, PACKET_BIND, 0);
    nothing_more(b);
    nothing_more(a);
    send_control(w, a, PACKET_UNBIND, "x.test", 0);
    expect(a, PACKET_UNBIND, 0);
    nothing_more(a);
    nothing_more(b);
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

/* --- users --- */

static void acls(void **state)
{
    struct world *w = *state;
    struct fake *limited = attach_tcp(w, "limited", "secret1"),
                *binder = attach_tcp(w, "binder", "secret2");
    struct fake *own = attach_tcp(w, "router2", "secret3"),
                *boss = attach_tcp(w, "boss", "secret4");

    bind_expect(w, limited, "x.test", 0, 403);
    bind_expect(w, limited, "limited", PACKET_BIND_DEFAULT, 403);
    bind_expect(w, limited, "limited", PACKET_BIND_LOG, 403);
    bind_expect(w, limited, "limited", 0, 0); /* its own name */
    bind_expect(w, binder, "x.test", 0, 0);
    bind_expect(w, binder, "y.test", PACKET_BIND_DEFAULT, 403);
    bind_expect(w, binder, "y.test", PACKET_BIND_LOG, 403);
    bind_expect(w, own, "z.test", 0, 403);
    bind_expect(w, own, "router2", PACKET_BIND_DEFAULT | PACKET_BIND_LOG, 0);
    bind_expect(w, boss, "anything.test", PACKET_BIND_LOG, 0);
    bind_expect(w, boss, "more.test", PACKET_BIND_MULTI, 0);
}

static void users_are_read_again(void **state)
{
    struct world *w = *state;
    static char *users[] = {"limited:secret1:bind"};
    static char *broken[] = {"limited:secret1:fly"};
    struct fake *limited = attach_tcp(w, "limited", "secret1");

    bind_expect(w, limited, "x.test", 0, 403);
    w->config.router_users = (struct config_list){users, 1};
    assert_int_equal(component_reload(w->router), ERR_OK);
    bind_expect(w, limited, "x.test", 0, 0);
    w->config.router_users = (struct config_list){broken, 1};
    assert_int_equal(component_reload(w->router), ERR_CONFIG);
}

static void routes_over_tcp(void **state)
{
    struct world *w = *state;
    struct fake *remote = attach_tcp(w, "boss", "secret4"), *local = attach(w, "local");
    struct packet *p;

    bound(w, remote, "remote");
    bound(w, local, "local");
    send_route(w, remote, "local", "remote");
    p = expect(local, PACKET_STANZA, 0);
    assert_true(str_is(jid_full(p->to), "b@x.test"));
    send_route(w, local, "remote", "local");
    expect(remote, PACKET_STANZA, 0);
    send_route(w, remote, "nobody", "remote");
    p = expect(remote, PACKET_STANZA, 404);
    assert_true(str_is(p->route_from, "nobody") && str_is(p->route_to, "remote"));
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

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bind_errors),
        TEST(unbind_errors),
        TEST(presence_of_names),
        TEST(a_lost_component_frees_its_names),
        TEST(route_errors),
        TEST(names_in_other_forms),
        TEST(an_error_goes_no_further),
        TEST(default_route),
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
        TEST(acls),
        TEST(users_are_read_again),
        TEST(routes_over_tcp),
        TEST(status_tells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
