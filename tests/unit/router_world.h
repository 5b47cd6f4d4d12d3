/* A router and components of bare links whose packets are recorded. For test_router*.c. */
#ifndef JACKDAW_TESTS_ROUTER_WORLD_H
#define JACKDAW_TESTS_ROUTER_WORLD_H

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

static inline void on_packet(void *owner, struct packet *p)
{
    struct fake *f = owner;

    assert_true(f->count < FAKE_MAX);
    f->got[f->count++] = p;
}

static inline void on_up(void *owner)
{
    ((struct fake *)owner)->ups++;
}

static inline void on_down(void *owner, const char *why)
{
    ((struct fake *)owner)->downs++;
}

static inline void on_writable(void *owner)
{
    ((struct fake *)owner)->writable++;
}

static const struct link_events fake_events = {
    .packet = on_packet, .up = on_up, .down = on_down, .writable = on_writable};

static inline void settle(struct world *w)
{
    while (loop_sim_turn(w->env.loop))
        continue;
}

static inline struct fake *fake_new(struct world *w)
{
    struct fake *f = MEM_NEW(struct fake);

    w->fakes[w->fake_count++] = f;
    return f;
}

static inline struct fake *attach(struct world *w, const char *name)
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

static inline struct fake *attach_tcp(struct world *w, const char *user, const char *secret)
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

static inline struct packet *take(struct fake *f)
{
    return f->taken < f->count ? f->got[f->taken++] : NULL;
}

static inline void forget(struct world *w)
{
    for (size_t i = 0; i < w->fake_count; i++)
        w->fakes[i]->taken = w->fakes[i]->count;
}

static inline void nothing_more(struct fake *f)
{
    assert_int_equal(f->taken, f->count);
}

static inline struct packet *expect(struct fake *f, enum packet_kind kind, int error)
{
    struct packet *p = take(f);

    if (!p)
        fail_msg("nothing came");
    assert_int_equal(p->kind, kind);
    assert_int_equal(p->error, error);
    return p;
}

static inline void expect_presence(struct fake *f, const char *name, bool up)
{
    struct packet *p = expect(f, PACKET_PRESENCE, 0);

    assert_true(str_is(p->name, name));
    assert_int_equal(p->up, up);
}

static inline void expect_nodes(struct fake *f, const char *name, const char *nodes)
{
    struct packet *p = expect(f, PACKET_PRESENCE, 0);

    assert_true(p->up && str_is(p->name, name));
    assert_true(nodes ? str_is(p->nodes, nodes) : !p->nodes.len);
}

static inline void send_control(struct world *w, struct fake *f, enum packet_kind kind,
                                const char *name, unsigned flags)
{
    link_send(f->link, packet_create_control(kind, str_of(name), flags));
    loop_sim_advance(w->env.loop, 400);
}

/* Binds and looks at nothing but the answer. */
static inline void bind_expect(struct world *w, struct fake *f, const char *name, unsigned flags,
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

static inline void bound(struct world *w, struct fake *f, const char *name)
{
    bind_expect(w, f, name, 0, 0);
    forget(w);
}

static inline struct packet *message(const char *route_to, const char *route_from, const char *from,
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

static inline void send_route(struct world *w, struct fake *f, const char *to, const char *from)
{
    link_send(f->link, message(to, from, "a@x.test/r", "b@x.test"));
    loop_sim_advance(w->env.loop, 400);
}

static inline int setup(void **state)
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

static inline int teardown(void **state)
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

static inline json_int_t counter(struct world *w, const char *name)
{
    json_t *status = component_status(w->router);
    json_int_t n = json_integer_value(json_object_get(json_object_get(status, "counters"), name));

    json_decref(status);
    return n;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
