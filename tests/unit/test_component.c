/* Components: names are bound when the link is up, again after it was lost, and again when they
 * were refused; who else is there; what comes back. One component of the test's own, against a
 * router played by the test and against the real one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "component/component.h"
#include "xml/builder.h"
#include "xmpp/namespaces.h"

struct world {
    struct env env;
    struct config config;
    struct component *c, *router;
    struct link *router_end; /* the played router's */
    char told[4096];         /* what the component's ops were called with */
    char seen[4096];         /* what the played router received */
    bool destroyed;
};

static void note(char text[4096], const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void note(char text[4096], const char *fmt, ...)
{
    size_t len = strlen(text);
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text + len, 4096 - len, fmt, args);
    va_end(args);
}

static void expect(char text[4096], const char *expected)
{
    assert_string_equal(text, expected);
    text[0] = '\0';
}

/* --- the component under test; its env is the first member of the world --- */

static struct world *world_of(const struct component *c)
{
    return MEM_CONTAINER(c->env, struct world, env);
}

static enum error test_start(struct component *c)
{
    component_bind(c, STR("x.test"), PACKET_BIND_MULTI);
    component_bind(c, STR("x.test"), PACKET_BIND_MULTI); /* twice is once */
    return ERR_OK;
}

static void test_packet(struct component *c, struct packet *p)
{
    note(world_of(c)->told, "packet %d from %.*s error %d; ", (int)p->kind, STR_ARG(p->route_from),
         p->error);
    packet_destroy(p);
}

static void test_peer(struct component *c, struct str name, bool up)
{
    assert_int_equal(component_peer_up(c, name), up);
    note(world_of(c)->told, "%c%.*s; ", up ? '+' : '-', STR_ARG(name));
}

static void test_bound(struct component *c, struct str name, int error)
{
    note(world_of(c)->told, "bound %.*s %d; ", STR_ARG(name), error);
}

static void test_link_state(struct component *c, bool up)
{
    note(world_of(c)->told, "link %s; ", up ? "up" : "down");
}

static void test_destroy(struct component *c)
{
    world_of(c)->destroyed = true;
}

static const struct component_ops test_component = {
    .name = "test",
    .start = test_start,
    .packet = test_packet,
    .peer = test_peer,
    .bound = test_bound,
    .link_state = test_link_state,
    .destroy = test_destroy,
};

/* --- the played router --- */

static void on_packet(void *owner, struct packet *p)
{
    static const char *const kinds[] = {[PACKET_BIND] = "bind", [PACKET_UNBIND] = "unbind"};
    struct world *w = owner;

    if (p->kind == PACKET_BIND || p->kind == PACKET_UNBIND)
        note(w->seen, "%s %.*s %u; ", kinds[p->kind], STR_ARG(p->name), p->bind_flags);
    else
        note(w->seen, "packet to %.*s; ", STR_ARG(p->route_to));
    packet_destroy(p);
}

static const struct link_events played_events = {.packet = on_packet};

static void played_attach(struct component *router, struct link *end, const char *name)
{
    struct world *w = world_of(router);

    w->router_end = end;
    link_set_events(end, &played_events, w);
}

static const struct component_ops played_router = {.name = "played", .attach = played_attach};

static void settle(struct world *w)
{
    while (loop_sim_turn(w->env.loop))
        continue;
}

static void say(struct world *w, enum packet_kind kind, const char *name, bool up, int error)
{
    struct packet *p = packet_create_control(kind, str_of(name), 0);

    p->up = up;
    p->error = error;
    link_send(w->router_end, p);
    settle(w);
}

static int setup(void **state)
{
    struct world *w = MEM_NEW(struct world);

    w->env.loop = loop_create_sim(1767225600000);
    w->env.random = random_create_seeded(3);
    w->env.net = net_create_sim(w->env.loop, 3);
    w->env.parsers = parser_pool_create(w->env.random);
    w->env.data_dir = "";
    w->config.router_address = "127.0.0.1";
    w->config.router_port = 5347;
    w->config.router_secret_file = "";
    w->config.router_user = "jackdaw";
    w->config.router_max_queue = 1 << 20;
    w->env.config = &w->config;
    *state = w;
    return 0;
}

static int setup_played(void **state)
{
    struct world *w;

    setup(state);
    w = *state;
    w->router = component_create(&played_router, &w->env, NULL);
    w->c = component_create(&test_component, &w->env, "test-1");
    component_attach_local(w->c, w->router);
    assert_int_equal(component_start(w->c), ERR_OK);
    expect(w->seen, "");
    settle(w);
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    link_close(w->router_end);
    component_destroy(w->c);
    assert_true(w->destroyed);
    component_destroy(w->router);
    loop_sim_advance(w->env.loop, 5000);
    net_destroy(w->env.net);
    parser_pool_destroy(w->env.parsers);
    loop_destroy(w->env.loop);
    random_destroy(w->env.random);
    free(w);
    return 0;
}

/* --- tests --- */

static void binds_its_id_first_then_the_rest(void **state)
{
    struct world *w = *state;

    expect(w->seen, "bind test-1 16; bind x.test 1; ");
    expect(w->told, "link up; ");
    say(w, PACKET_BIND, NULL, false, 0);
    say(w, PACKET_BIND, NULL, false, 0);
    expect(w->told, "bound test-1 0; bound x.test 0; ");
    component_bind(w->c, STR("later"), PACKET_BIND_DEFAULT);
    component_unbind(w->c, STR("x.test"));
    component_unbind(w->c, STR("never"));
    settle(w);
    expect(w->seen, "bind later 2; unbind x.test 0; ");
    say(w, PACKET_BIND, NULL, false, 0);
    say(w, PACKET_UNBIND, NULL, false, 0);
    expect(w->told, "bound later 0; ");
    say(w, PACKET_BIND, NULL, false, 0); /* never asked for */
    expect(w->told, "");
}

static void asks_again_for_a_refused_name(void **state)
{
    struct world *w = *state;

    expect(w->seen, "bind test-1 16; bind x.test 1; ");
    say(w, PACKET_BIND, NULL, false, 0);
    say(w, PACKET_BIND, NULL, false, 409);
    expect(w->told, "link up; bound test-1 0; bound x.test 409; ");
    loop_sim_advance(w->env.loop, 900);
    expect(w->seen, "");
    loop_sim_advance(w->env.loop, 200);
    expect(w->seen, "bind x.test 1; ");
    say(w, PACKET_BIND, NULL, false, 0);
    expect(w->told, "bound x.test 0; ");
    loop_sim_advance(w->env.loop, 10000);
    expect(w->seen, "");
}

static void knows_who_is_there(void **state)
{
    struct world *w = *state;

    expect(w->told, "link up; ");
    assert_false(component_peer_up(w->c, STR("sm")));
    say(w, PACKET_PRESENCE, "sm", true, 0);
    say(w, PACKET_PRESENCE, "sm", true, 0); /* no news */
    say(w, PACKET_PRESENCE, "c2s", false, 0);
    say(w, PACKET_PRESENCE, "y.test", true, 0);
    expect(w->told, "+sm; +y.test; ");
    say(w, PACKET_PRESENCE, "sm", false, 0);
    expect(w->told, "-sm; ");
    link_close(w->router_end);
    w->router_end = NULL;
    settle(w);
    expect(w->told, "-y.test; link down; ");
}

static void says_nodes(struct world *w, const char *nodes)
{
    link_send(w->router_end, packet_create_presence(STR("y.test"), true, str_of(nodes)));
    settle(w);
}

static void knows_who_shares_a_name(void **state)
{
    struct world *w = *state;
    struct str owner;
    bool other = false;

    w->told[0] = '\0';
    says_nodes(w, NULL);
    expect(w->told, "+y.test; ");
    assert_null(component_owner(w->c, STR("y.test"), STR("a@y.test")).data);
    assert_null(component_owner(w->c, STR("z.test"), STR("a@z.test")).data);
    says_nodes(w, "sm-1 sm-2");
    says_nodes(w, "sm-1 sm-2"); /* no news */
    expect(w->told, "+y.test; ");
    owner = component_owner(w->c, STR("y.test"), STR("a@y.test"));
    assert_true(str_is(owner, "sm-1") || str_is(owner, "sm-2"));
    for (char key[] = "b@y.test"; key[0] <= 'z' && !other; key[0]++)
        other = !str_eq(component_owner(w->c, STR("y.test"), str_of(key)), owner);
    assert_true(other);
    says_nodes(w, NULL);
    expect(w->told, "+y.test; ");
    assert_null(component_owner(w->c, STR("y.test"), STR("a@y.test")).data);
}

static void sends_and_receives(void **state)
{
    struct world *w = *state;
    struct packet *p = packet_create(PACKET_STANZA, STR("test-1"), STR("c2s"));

    w->seen[0] = w->told[0] = '\0';
    component_send(w->c, packet_create(PACKET_STANZA, STR("sm"), STR("test-1")));
    link_send(w->router_end, p);
    link_send(w->router_end, packet_create(PACKET_BROADCAST, STR_NULL, STR("c2s")));
    settle(w);
    expect(w->seen, "packet to sm; ");
    expect(w->told, "packet 0 from c2s error 0; packet 2 from c2s error 0; ");
    link_close(w->router_end);
    w->router_end = NULL;
    settle(w);
    w->told[0] = '\0';
    component_send(w->c, packet_create(PACKET_STANZA, STR("sm"), STR("test-1")));
    settle(w);
    expect(w->told, "packet 0 from sm error 503; ");
}

static void on_halt(void *arg, bool restart)
{
    struct world *w = arg;

    note(w->told, "%s; ", restart ? "restart" : "shutdown");
}

/* The one that was asked goes a second after the others, whoever has gone by then. */
static void an_order_to_end_outlives_the_router(void **state)
{
    struct world *w = *state;

    w->env.halt = on_halt;
    w->env.halt_arg = w;
    w->told[0] = '\0';
    component_halt(w->c, true);
    settle(w);
    link_close(w->router_end);
    w->router_end = NULL;
    settle(w);
    expect(w->told, "link down; ");
    loop_sim_advance(w->env.loop, 1000);
    expect(w->told, "restart; ");
}

static void status_and_stop(void **state)
{
    struct world *w = *state;
    json_t *status;

    loop_sim_advance(w->env.loop, 7000);
    status = component_status(w->c);
    assert_int_equal(json_integer_value(json_object_get(status, "uptime")), 7);
    assert_true(json_is_true(json_object_get(json_object_get(status, "link"), "up")));
    json_decref(status);
    assert_false(w->c->stopped);
    component_stop(w->c); /* without an op of its own it has nothing to drain */
    assert_true(w->c->stopped);
}

/* The router dies and is started again: everything is bound and told anew, by itself. */
static struct component *start_over_tcp(struct world *w, const struct component_ops *ops,
                                        const char *id)
{
    static char *users[] = {"tester:secret:all"};
    struct link_tcp_config link = {.user = STR("tester"), .secret = STR("secret")};
    struct component *c = component_create(ops, &w->env, id);

    w->config.router_users = (struct config_list){users, 1};
    (void)snprintf(link.router.ip, sizeof(link.router.ip), "127.0.0.1");
    link.router.port = 5347;
    component_attach_tcp(c, &link);
    assert_int_equal(component_start(c), ERR_OK);
    return c;
}

static void a_router_that_comes_back(void **state)
{
    struct world *w = *state;

    w->c = start_over_tcp(w, &test_component, "test-1");
    loop_sim_advance(w->env.loop, 10000);
    expect(w->told, "");
    for (int round = 0; round < 3; round++) {
        w->router = component_create(&router_component, &w->env, NULL);
        assert_int_equal(component_start(w->router), ERR_OK);
        loop_sim_advance(w->env.loop, 3000);
        expect(w->told, "link up; bound test-1 0; bound x.test 0; ");
        component_destroy(w->router);
        w->router = NULL;
        loop_sim_advance(w->env.loop, 500);
        expect(w->told, "link down; ");
    }
}

static enum error watcher_start(struct component *c)
{
    (void)c;
    return ERR_OK;
}

static const struct component_ops watcher = {
    .name = "watcher", .start = watcher_start, .packet = test_packet};

/* Two share x.test. When the router comes back one of them is first, and must not be taken for the
 * only one: whoever is told of the name is told of both. */
static void a_shared_name_comes_back_whole(void **state)
{
    struct world *w = *state;
    struct component *second = start_over_tcp(w, &test_component, "test-2"),
                     *watching = start_over_tcp(w, &watcher, "watcher");
    size_t seen = 0;

    w->c = start_over_tcp(w, &test_component, "test-1");
    for (int round = 0; round < 5; round++) {
        w->router = component_create(&router_component, &w->env, NULL);
        assert_int_equal(component_start(w->router), ERR_OK);
        for (int step = 0; step < 500; step++) {
            loop_sim_advance(w->env.loop, 10);
            if (round == 0 || !component_peer_up(watching, STR("x.test")))
                continue;
            assert_int_equal(component_owners(watching, STR("x.test")), 2);
            seen++;
        }
        assert_int_equal(component_owners(w->c, STR("x.test")), 2);
        component_destroy(w->router);
        w->router = NULL;
        loop_sim_advance(w->env.loop, 500);
    }
    assert_in_range(seen, 1000, 2000);
    component_destroy(second);
    component_destroy(watching);
}

#define PLAYED(f) cmocka_unit_test_setup_teardown(f, setup_played, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAYED(binds_its_id_first_then_the_rest),
        PLAYED(asks_again_for_a_refused_name),
        PLAYED(knows_who_is_there),
        PLAYED(knows_who_shares_a_name),
        PLAYED(sends_and_receives),
        PLAYED(an_order_to_end_outlives_the_router),
        PLAYED(status_and_stop),
        cmocka_unit_test_setup_teardown(a_router_that_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_shared_name_comes_back_whole, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
