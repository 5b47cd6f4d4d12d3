/* A loop, a network, a listener, and ends of connections that record what happens to them: for
 * test_net and test_tls. */
#ifndef JACKDAW_TESTS_NET_WORLD_H
#define JACKDAW_TESTS_NET_WORLD_H

#include "unit.h"

#include "base/buffer.h"
#include "base/mem.h"
#include "net/net.h"

enum { WORLD_ENDS = 8 };

struct world;

/* One end of a connection. */
struct end {
    struct world *world;
    struct conn *conn;
    struct buffer got;
    int readies, closes, drains;
    enum error error;
    char why[256];
    void (*on_data)(struct end *e, const char *bytes, size_t len); /* NULL: collect in got */
    void (*on_ready)(struct end *e);
    void (*on_close)(struct end *e);
    void (*on_drain)(struct end *e);
};

struct world {
    struct loop *loop;
    struct net *net;
    struct net_listener *listener;
    struct net_address at;
    bool sim;
    size_t max_queue;
    void (*on_accept)(struct end *e); /* after conn_start */
    void (*prepare)(struct end *e);   /* before conn_start */
    struct end servers[WORLD_ENDS], client;
    int accepted;
    bool keep_closed; /* do not answer on_close with conn_close */
};

static const struct conn_events end_events;

static void end_close(struct end *e, uint32_t linger_ms)
{
    struct conn *c = e->conn;
    e->conn = NULL;
    conn_close(c, linger_ms);
}

static void end_on_data(void *owner, const char *bytes, size_t len)
{
    struct end *e = owner;
    assert_non_null(e->conn); /* nothing comes after conn_close */
    assert_int_equal(e->closes, 0);
    assert_true(len > 0);
    if (e->on_data)
        e->on_data(e, bytes, len);
    else
        assert_true(buffer_add(&e->got, bytes, len));
}

static void end_on_ready(void *owner)
{
    struct end *e = owner;
    e->readies++;
    if (e->on_ready)
        e->on_ready(e);
}

static void end_on_close(void *owner, enum error error, const char *why)
{
    struct end *e = owner;
    assert_non_null(e->conn);
    e->closes++;
    e->error = error;
    snprintf(e->why, sizeof e->why, "%s", why);
    if (e->on_close)
        e->on_close(e);
    if (!e->world->keep_closed)
        end_close(e, 0);
}

static void end_on_drain(void *owner)
{
    struct end *e = owner;
    e->drains++;
    if (e->on_drain)
        e->on_drain(e);
}

static const struct conn_events end_events = {end_on_data, end_on_ready, end_on_close,
                                              end_on_drain};

static void end_init(struct world *w, struct end *e)
{
    buffer_finish(&e->got);
    memset(e, 0, sizeof *e);
    e->world = w;
    buffer_init(&e->got, 1 << 26);
}

static void world_accept(void *arg, struct conn *conn)
{
    struct world *w = arg;
    struct end *e = &w->servers[w->accepted % WORLD_ENDS];
    assert_null(e->conn);
    end_init(w, e);
    w->accepted++;
    e->conn = conn;
    if (w->prepare)
        w->prepare(e);
    conn_start(conn, &end_events, e, w->max_queue);
    if (w->on_accept)
        w->on_accept(e);
}

static struct world *world_create(bool sim, uint64_t seed)
{
    struct world *w = MEM_NEW(struct world);
    w->sim = sim;
    w->loop = sim ? loop_create_sim(1700000000000) : loop_create();
    w->net = sim ? net_create_sim(w->loop, seed) : net_create(w->loop, (struct log){0});
    snprintf(w->at.ip, sizeof w->at.ip, "127.0.0.1");
    assert_int_equal(net_listen(w->net, &w->at, world_accept, w, &w->listener), ERR_OK);
    w->at.port = net_listener_port(w->listener);
    assert_true(w->at.port != 0);
    end_init(w, &w->client);
    return w;
}

static void world_destroy(struct world *w)
{
    net_destroy(w->net);
    loop_destroy(w->loop);
    buffer_finish(&w->client.got);
    for (int i = 0; i < WORLD_ENDS; i++)
        buffer_finish(&w->servers[i].got);
    free(w);
}

static void world_connect(struct world *w)
{
    w->client.conn = conn_connect(w->net, &w->at, &end_events, &w->client);
}

struct world_wait {
    struct loop_timer timer;
    bool (*done)(struct world *w);
    struct world *world;
    int tries;
};

static void world_wait_look(struct loop_timer *t)
{
    struct world_wait *wait = MEM_CONTAINER(t, struct world_wait, timer);
    if ((wait->done && wait->done(wait->world)) || --wait->tries <= 0)
        loop_stop(t->loop);
    else
        loop_timer_start(t, 1);
}

/* Runs the loop until `done` says so, at most `ms`; whether it did. NULL: all the time. */
static bool world_wait(struct world *w, bool (*done)(struct world *w), uint64_t ms)
{
    struct world_wait wait = {.done = done, .world = w, .tries = (int)ms + 1};
    loop_timer_init(&wait.timer, w->loop, world_wait_look);
    loop_timer_start(&wait.timer, 1);
    loop_run(w->loop);
    loop_timer_stop(&wait.timer);
    return done && done(w);
}

#endif
