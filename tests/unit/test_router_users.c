/* The router's users and what is read again on SIGHUP; components over TCP. */
#include "router_world.h"

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

static void aliases_are_read_again(void **state)
{
    struct world *w = *state;
    static char *more[] = {"alias.test=x.test", "new.test=x.test"};
    static char *other[] = {"new.test=x.test"};
    static char *wrong[] = {"new.test"}, *taken[] = {"new.test=x.test", "x.test=y.test"};
    struct fake *a = attach(w, "a"), *b = attach(w, "b");

    bound(w, a, "x.test");
    bound(w, b, "b");
    w->config.router_aliases = (struct config_list){more, 2};
    assert_int_equal(component_reload(w->router), ERR_OK);
    settle(w);
    expect_presence(b, "new.test", true); /* and of the one that stays nothing is said */
    nothing_more(b);
    nothing_more(a);
    w->config.router_aliases = (struct config_list){wrong, 1};
    assert_int_equal(component_reload(w->router), ERR_CONFIG);
    settle(w);
    nothing_more(b);
    w->config.router_aliases = (struct config_list){other, 1};
    assert_int_equal(component_reload(w->router), ERR_OK);
    settle(w);
    expect_presence(b, "alias.test", false);
    nothing_more(b);
    w->config.router_aliases = (struct config_list){taken, 2};
    assert_int_equal(component_reload(w->router), ERR_CONFIG);
    send_route(w, b, "new.test", "b");
    expect(a, PACKET_STANZA, 0);
    send_route(w, b, "alias.test", "b");
    expect(b, PACKET_STANZA, 404);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(acls),
        TEST(users_are_read_again),
        TEST(aliases_are_read_again),
        TEST(routes_over_tcp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
