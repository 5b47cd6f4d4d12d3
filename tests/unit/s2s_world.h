/* The s2s component on a simulated network, with a router and somebody who has bound home.test. The
 * other servers are played by the test, in plain text. For test_s2s*.c.
 */
#ifndef JACKDAW_TESTS_S2S_WORLD_H
#define JACKDAW_TESTS_S2S_WORLD_H

#include "unit.h"

#include "base/mem.h"
#include "component/component.h"
#include "config/config.h"
#include "xml/builder.h"

#define GOT_MAX 64
#define HEADER(from, to)                                                                           \
    "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' "        \
    "xmlns:db='jabber:server:dialback' from='" from "' to='" to "' version='1.0' id='theirs'>"

struct end {
    struct conn *conn;
    struct buffer text; /* what s2s said */
    bool closed;
};

struct world {
    struct env env;
    struct config *config;
    struct component *router, *s2s;
    struct link *home; /* whoever has bound home.test */
    struct packet *got[GOT_MAX];
    size_t got_count;
    struct net_listener *listener; /* their.test's */
    struct end in, out;            /* made by the test; made by s2s */
    struct end *aside;             /* where the next one goes that s2s makes; NULL: out */
    size_t accepted;
};

static inline void settle(struct world *w)
{
    loop_sim_advance(w->env.loop, 300);
}

/* --- ends --- */

static inline void end_data(void *owner, const char *bytes, size_t len)
{
    assert_true(buffer_add(&((struct end *)owner)->text, bytes, len));
}

static inline void end_close(void *owner, enum error e, const char *why)
{
    struct end *end = owner;

    (void)e, (void)why;
    conn_close(end->conn, 0);
    end->conn = NULL;
    end->closed = true;
}

static const struct conn_events end_events = {.on_data = end_data, .on_close = end_close};

static inline void on_accept(void *arg, struct conn *conn)
{
    struct world *w = arg;
    struct end *end = w->aside ? w->aside : &w->out;

    w->accepted++;
    w->aside = NULL;
    if (end->conn)
        conn_close(end->conn, 0);
    end->conn = conn;
    end->closed = false;
    buffer_clear(&end->text);
    conn_start(conn, &end_events, end, 0);
}

static inline void say(struct world *w, struct end *e, const char *text)
{
    assert_non_null(e->conn);
    buffer_clear(&e->text);
    assert_int_equal(conn_write(e->conn, text, strlen(text)), ERR_OK);
    settle(w);
}

static inline bool heard(const struct end *e, const char *text)
{
    struct str all = buffer_str(&e->text);

    return memmem(all.data, all.len, text, strlen(text)) != NULL;
}

static inline void assert_heard(const struct end *e, const char *text)
{
    if (!heard(e, text))
        fail_msg("not '%s' but '%.*s'", text, STR_ARG(buffer_str(&e->text)));
}

static inline void come_in(struct world *w, const char *header)
{
    struct net_address at = {.ip = "10.0.0.1", .port = 5269};

    w->in.conn = conn_connect(w->env.net, &at, &end_events, &w->in);
    say(w, &w->in, header);
}

/* --- home --- */

static inline void home_packet(void *owner, struct packet *p)
{
    struct world *w = owner;

    if (p->kind != PACKET_STANZA) {
        packet_destroy(p);
        return;
    }
    assert_true(w->got_count < GOT_MAX);
    w->got[w->got_count++] = p;
}

static inline void nothing(void *owner)
{
    (void)owner;
}

static inline void home_down(void *owner, const char *why)
{
    (void)owner, (void)why;
}

static const struct link_events home_events = {
    .packet = home_packet, .up = nothing, .down = home_down, .writable = nothing};

static inline void send_from(struct world *w, const char *sender, const char *to, const char *id)
{
    struct jid *from = jid_parse(str_of(sender)), *receiver = jid_parse(str_of(to));
    struct packet *p = packet_create(PACKET_STANZA, jid_domain(receiver), jid_domain(from));
    struct builder *b = builder_create(STR("message"), STR("jabber:client"));

    builder_attr(b, STR("id"), str_of(id));
    builder_leaf(b, STR("body"), STR_NULL, STR("hello"));
    p->stanza = builder_finish(b);
    p->from = from;
    p->to = receiver;
    link_send(w->home, p);
    settle(w);
}

static inline void send_out(struct world *w, const char *to, const char *id)
{
    send_from(w, "romeo@home.test", to, id);
}

/* --- the world --- */

static inline void report(void *arg, const char *message)
{
    (void)arg;
    fail_msg("%s", message);
}

static const char *const sets[] = {
    "server.domains=home.test,second.test",
    "s2s.tls=off",
    "s2s.require_certificate=false",
    "s2s.address=10.0.0.1",
    "s2s.queue_time=20",
    "s2s.max_queue=65536",
    "s2s.hosts=their.test=10.0.0.9:5269,also.test=10.0.0.9:5269,gone.test=10.0.0.8:1,"
    "two.test=[2001:db8::9]:5269,two.test=10.0.0.9:5269,"
    "rooms.test=10.0.0.7:5269",
    "s2s.deny=bad.test",
    "router.port=0",
};

static inline void home_comes(struct world *w)
{
    struct link *theirs;

    link_local_pair(w->env.loop, "home", &w->home, &theirs);
    link_set_events(w->home, &home_events, w);
    router_component.attach(w->router, theirs, "home");
    settle(w);
    link_send(w->home, packet_create_control(PACKET_BIND, STR("home.test"), 0));
    link_send(w->home, packet_create_control(PACKET_BIND, STR("second.test"), 0));
    settle(w);
}

static inline int set_up(void **state)
{
    struct world *w = MEM_NEW(struct world);
    struct net_address at = {.ip = "10.0.0.9", .port = 5269};

    w->env.loop = loop_create_sim(1767225600000);
    w->env.random = random_create_seeded(7);
    w->env.net = net_create_sim(w->env.loop, 7);
    w->env.parsers = parser_pool_create(w->env.random);
    w->env.data_dir = "";
    if (getenv("TEST_LOG"))
        w->env.log.sink = log_sink_create(stderr, LOG_DEBUG, LOG_TEXT);
    w->config = config_load(NULL, sets, sizeof(sets) / sizeof(sets[0]), report, NULL);
    w->env.config = w->config;
    buffer_init(&w->in.text, 1 << 20);
    buffer_init(&w->out.text, 1 << 20);
    w->router = component_create(&router_component, &w->env, NULL);
    assert_int_equal(component_start(w->router), ERR_OK);
    w->s2s = component_create(&s2s_component, &w->env, "s2s");
    component_attach_local(w->s2s, w->router);
    assert_int_equal(component_start(w->s2s), ERR_OK);
    home_comes(w);
    assert_int_equal(net_listen(w->env.net, &at, on_accept, w, &w->listener), ERR_OK);
    net_sim_set_client(w->env.net, "10.0.0.9");
    settle(w);
    *state = w;
    return 0;
}

static inline int tear_down(void **state)
{
    struct world *w = *state;

    conn_close(w->in.conn, 0);
    conn_close(w->out.conn, 0);
    w->out.conn = NULL; /* they may call again */
    link_close(w->home);
    settle(w);
    component_destroy(w->s2s);
    component_destroy(w->router);
    for (size_t i = 0; i < w->got_count; i++)
        packet_destroy(w->got[i]);
    buffer_finish(&w->in.text);
    buffer_finish(&w->out.text);
    conn_close(w->out.conn, 0);
    net_listener_close(w->listener);
    net_destroy(w->env.net);
    parser_pool_destroy(w->env.parsers);
    loop_destroy(w->env.loop);
    random_destroy(w->env.random);
    log_sink_destroy(w->env.log.sink);
    config_destroy(w->config);
    free(w);
    return 0;
}

static inline void assert_error(const struct world *w, size_t at, const char *condition)
{
    const struct stanza *s;
    stanza_el error;

    assert_true(at < w->got_count);
    s = w->got[at]->stanza;
    assert_true(str_is(stanza_attr(s, STANZA_ROOT, STR("type")), "error"));
    error = stanza_child(s, STANZA_ROOT, STR("error"), STR_NULL);
    assert_int_not_equal(error, STANZA_NONE);
    if (stanza_child(s, error, str_of(condition), STR_NULL) == STANZA_NONE)
        fail_msg("not %s: %.*s", condition, STR_ARG(stanza_inner(s, STANZA_ROOT)));
}

#define MESSAGE(from, to) "<message from='" from "' to='" to "'><body>x</body></message>"

/* Takes what stands between `before` and the next apostrophe of what was heard. */
static inline void pick(const struct end *e, const char *before, char *out, size_t size)
{
    struct str all = buffer_str(&e->text);
    const char *at = memmem(all.data, all.len, before, strlen(before));
    size_t len = 0;

    assert_non_null(at);
    for (at += strlen(before); at[len] != '\'' && len + 1 < size; len++)
        out[len] = at[len];
    out[len] = '\0';
}

/* their.test shows a key; s2s calls back; the authority says `type`. */
static inline void dialback(struct world *w, const char *type)
{
    char id[64], text[512];

    come_in(w, HEADER("their.test", "home.test"));
    pick(&w->in, " id='", id, sizeof(id));
    say(w, &w->in, "<db:result from='their.test' to='home.test'>a-key</db:result>");
    assert_int_equal(w->accepted, 1); /* it calls back */
    assert_heard(&w->out, "from='home.test' to='their.test'");
    say(w, &w->out,
        HEADER("their.test", "home.test") "<stream:features><dialback "
                                          "xmlns='urn:xmpp:features:dialback'/></stream:features>");
    (void)snprintf(text, sizeof(text),
                   "<db:verify from='home.test' to='their.test' id='%s'>a-key</db:verify>", id);
    assert_heard(&w->out, text);
    (void)snprintf(text, sizeof(text),
                   "<db:verify from='their.test' to='home.test' id='%s' type='%s'/>", id, type);
    buffer_clear(&w->in.text);
    say(w, &w->out, text);
}

/* As SIGHUP: the settings of `sets`, then these. */
static inline void reload(struct world *w, const char *const more[], size_t count)
{
    const char *all[32];
    size_t n = sizeof(sets) / sizeof(sets[0]);
    struct config *old = w->config;

    memcpy(all, sets, sizeof(sets));
    for (size_t i = 0; i < count; i++)
        all[n++] = more[i];
    w->config = config_load(NULL, all, n, report, NULL);
    w->env.config = w->config;
    assert_int_equal(component_reload(w->s2s), ERR_OK);
    config_destroy(old);
    settle(w);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
