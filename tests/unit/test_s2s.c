/* The s2s component on a simulated network: what it answers to servers that lie, and what becomes
 * of stanzas for servers that do not answer. The other servers are played by the test, in plain
 * text.
 */
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
    size_t accepted;
};

static void settle(struct world *w)
{
    loop_sim_advance(w->env.loop, 300);
}

/* --- ends --- */

static void end_data(void *owner, const char *bytes, size_t len)
{
    assert_true(buffer_add(&((struct end *)owner)->text, bytes, len));
}

static void end_close(void *owner, enum error e, const char *why)
{
    struct end *end = owner;

    (void)e, (void)why;
    conn_close(end->conn, 0);
    end->conn = NULL;
    end->closed = true;
}

static const struct conn_events end_events = {.on_data = end_data, .on_close = end_close};

static void on_accept(void *arg, struct conn *conn)
{
    struct world *w = arg;

    w->accepted++;
    if (w->out.conn)
        conn_close(w->out.conn, 0);
    w->out.conn = conn;
    w->out.closed = false;
    buffer_clear(&w->out.text);
    conn_start(conn, &end_events, &w->out, 0);
}

static void say(struct world *w, struct end *e, const char *text)
{
    assert_non_null(e->conn);
    buffer_clear(&e->text);
    assert_int_equal(conn_write(e->conn, text, strlen(text)), ERR_OK);
    settle(w);
}

static bool heard(const struct end *e, const char *text)
{
    struct str all = buffer_str(&e->text);

    return memmem(all.data, all.len, text, strlen(text)) != NULL;
}

static void assert_heard(const struct end *e, const char *text)
{
    if (!heard(e, text))
        fail_msg("not '%s' but '%.*s'", text, STR_ARG(buffer_str(&e->text)));
}

static void come_in(struct world *w, const char *header)
{
    struct net_address at = {.ip = "10.0.0.1", .port = 5269};

    w->in.conn = conn_connect(w->env.net, &at, &end_events, &w->in);
    say(w, &w->in, header);
}

/* --- home --- */

static void home_packet(void *owner, struct packet *p)
{
    struct world *w = owner;

    if (p->kind != PACKET_STANZA) {
        packet_destroy(p);
        return;
    }
    assert_true(w->got_count < GOT_MAX);
    w->got[w->got_count++] = p;
}

static void nothing(void *owner)
{
    (void)owner;
}

static void home_down(void *owner, const char *why)
{
    (void)owner, (void)why;
}

static const struct link_events home_events = {
    .packet = home_packet, .up = nothing, .down = home_down, .writable = nothing};

static void send_from(struct world *w, const char *sender, const char *to, const char *id)
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

static void send_out(struct world *w, const char *to, const char *id)
{
    send_from(w, "romeo@home.test", to, id);
}

/* --- the world --- */

static void report(void *arg, const char *message)
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
    "s2s.hosts=their.test=10.0.0.9:5269,also.test=10.0.0.9:5269,gone.test=10.0.0.8:1,"
    "two.test=[2001:db8::9]:5269,two.test=10.0.0.9:5269",
    "s2s.deny=bad.test",
    "router.port=0",
};

static void home_comes(struct world *w)
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

static int set_up(void **state)
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

static int tear_down(void **state)
{
    struct world *w = *state;

    conn_close(w->in.conn, 0);
    conn_close(w->out.conn, 0);
    link_close(w->home);
    settle(w);
    component_destroy(w->s2s);
    component_destroy(w->router);
    for (size_t i = 0; i < w->got_count; i++)
        packet_destroy(w->got[i]);
    buffer_finish(&w->in.text);
    buffer_finish(&w->out.text);
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

static void assert_error(const struct world *w, size_t at, const char *condition)
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

/* --- who comes in --- */

static void headers_of_liars(void **state)
{
    static const struct {
        const char *header, *condition;
    } cases[] = {
        {HEADER("home.test", "home.test"), "invalid-from"},
        {HEADER("their.test", "other.test"), "host-unknown"},
        {HEADER("bad.test", "home.test"), "policy-violation"},
        {HEADER("their test", "home.test"), "improper-addressing"},
        {"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
         "to='home.test' version='1.0'>",
         "invalid-namespace"},
        {"GET / HTTP/1.0\r\n\r\n", "not-well-formed"},
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        come_in(w, cases[i].header);
        assert_heard(&w->in, cases[i].condition);
        loop_sim_advance(w->env.loop, 5000);
        assert_true(w->in.closed);
    }
    assert_int_equal(w->got_count, 0);
}

#define MESSAGE(from, to) "<message from='" from "' to='" to "'><body>x</body></message>"

static void nothing_before_the_proof(void **state)
{
    struct world *w = *state;

    come_in(w, HEADER("their.test", "home.test"));
    assert_heard(&w->in, "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>");
    say(w, &w->in, MESSAGE("a@their.test", "romeo@home.test"));
    assert_heard(&w->in, "not-authorized");
    assert_int_equal(w->got_count, 0);
}

static void external_without_tls(void **state)
{
    struct world *w = *state;

    come_in(w, HEADER("their.test", "home.test"));
    assert_false(heard(&w->in, "EXTERNAL"));
    say(w, &w->in, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
    assert_heard(&w->in, "encryption-required");
    say(w, &w->in, MESSAGE("a@their.test", "romeo@home.test"));
    assert_heard(&w->in, "not-authorized");
}

/* Takes what stands between `before` and the next apostrophe of what was heard. */
static void pick(const struct end *e, const char *before, char *out, size_t size)
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
static void dialback(struct world *w, const char *type)
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

static void proven_by_dialback(void **state)
{
    struct world *w = *state;

    dialback(w, "valid");
    assert_heard(&w->in, "<db:result from='home.test' to='their.test' type='valid'/>");
    say(w, &w->in, MESSAGE("a@their.test/x", "romeo@home.test"));
    assert_int_equal(w->got_count, 1);
    assert_true(str_is(stanza_ns(w->got[0]->stanza, STANZA_ROOT), "jabber:client"));
    assert_true(str_is(stanza_ns(w->got[0]->stanza, 1), "jabber:client"));
    assert_true(str_is(jid_full(w->got[0]->from), "a@their.test/x"));
    assert_true(str_is(w->got[0]->route_from, "s2s"));
    say(w, &w->in, MESSAGE("a@their.test", "nobody@elsewhere.test"));
    assert_heard(&w->in, "host-unknown");
    assert_int_equal(w->got_count, 1);
}

static void only_for_that_pair(void **state)
{
    struct world *w = *state;

    dialback(w, "valid");
    say(w, &w->in, MESSAGE("admin@home.test", "romeo@home.test"));
    assert_heard(&w->in, "invalid-from");
    assert_int_equal(w->got_count, 0);
}

static void refused_by_the_authority(void **state)
{
    struct world *w = *state;

    dialback(w, "invalid");
    /* XEP-0220 section 2.2.1: then there is nothing to stay for. */
    assert_heard(&w->in, "type='invalid'/></stream:stream>");
    loop_sim_advance(w->env.loop, 5000);
    assert_true(w->in.closed);
    assert_int_equal(w->got_count, 0);
}

static void answers_nobody_asked_for(void **state)
{
    struct world *w = *state;

    come_in(w, HEADER("their.test", "home.test"));
    say(w, &w->in, "<db:verify from='their.test' to='home.test' id='x' type='valid'/>");
    assert_heard(&w->in, "invalid-from");
    loop_sim_advance(w->env.loop, 5000);
    dialback(w, "valid");
    say(w, &w->out, "<db:verify from='their.test' to='home.test' id='other' type='valid'/>");
    assert_heard(&w->out, "invalid-from");
}

static void own_domain_and_foreign_target(void **state)
{
    struct world *w = *state;

    come_in(w, HEADER("their.test", "home.test"));
    say(w, &w->in, "<db:result from='their.test' to='not-here.test'>k</db:result>");
    assert_heard(&w->in, "item-not-found");
    say(w, &w->in, "<db:result from='bad.test' to='home.test'>k</db:result>");
    assert_heard(&w->in, "<not-authorized");
    say(w, &w->in, "<db:result from='home.test' to='home.test'>k</db:result>");
    assert_heard(&w->in, "invalid-from");
    assert_int_equal(w->accepted, 0);
}

/* B 47: 8 of one connection. */
static void no_amplification(void **state)
{
    struct world *w = *state;
    char text[200];

    come_in(w, HEADER("their.test", "home.test"));
    for (int i = 0; i < 9; i++) {
        (void)snprintf(text, sizeof(text),
                       "<db:result from='fake%d.their.test' to='home.test'>k</db:result>", i);
        assert_int_equal(conn_write(w->in.conn, text, strlen(text)), ERR_OK);
    }
    buffer_clear(&w->in.text);
    loop_sim_advance(w->env.loop, 50);
    assert_heard(&w->in, "from='home.test' to='fake8.their.test' type='error'");
    assert_heard(&w->in, "resource-constraint");
}

static void keys_that_claim_to_be_ours(void **state)
{
    struct world *w = *state;
    char key[128], text[512];

    /* s2s shows a key to their.test, which asks home.test about it, and about another one. */
    send_out(w, "juliet@their.test", "m1");
    say(w, &w->out,
        HEADER("their.test", "home.test") "<stream:features><dialback "
                                          "xmlns='urn:xmpp:features:dialback'/></stream:features>");
    assert_heard(&w->out, "<db:result from='home.test' to='their.test'>");
    {
        struct str all = buffer_str(&w->out.text);
        const char *at = memmem(all.data, all.len, "'>", 2);
        assert_non_null(at);
        memcpy(key, at + 2, 64);
        key[64] = '\0';
    }
    come_in(w, HEADER("their.test", "home.test"));
    (void)snprintf(text, sizeof(text),
                   "<db:verify from='their.test' to='home.test' id='theirs'>%s</db:verify>", key);
    say(w, &w->in, text);
    assert_heard(&w->in, "id='theirs' type='valid'");
    say(w, &w->in, "<db:verify from='their.test' to='home.test' id='theirs'>bogus</db:verify>");
    assert_heard(&w->in, "id='theirs' type='invalid'");
    say(w, &w->in, "<db:verify from='their.test' to='no.test' id='theirs'>bogus</db:verify>");
    assert_heard(&w->in, "item-not-found");
    say(w, &w->out, "<db:result from='their.test' to='home.test' type='valid'/>");
    assert_heard(&w->out, "<message id='m1' from='romeo@home.test' to='juliet@their.test'>");
    assert_false(heard(&w->out, "jabber:client"));
}

/* --- what goes out --- */

static void no_stanza_before_we_are_proven(void **state)
{
    struct world *w = *state;

    send_out(w, "juliet@their.test", "m1");
    say(w, &w->out,
        HEADER("their.test", "home.test") "<stream:features><dialback "
                                          "xmlns='urn:xmpp:features:dialback'/></stream:features>");
    assert_false(heard(&w->out, "<message"));
    say(w, &w->out, "<db:result from='their.test' to='home.test' type='invalid'/>");
    assert_false(heard(&w->out, "<message"));
    assert_error(w, 0, "remote-server-timeout");
}

static void unsolicited_result(void **state)
{
    struct world *w = *state;

    send_out(w, "juliet@their.test", "m1");
    say(w, &w->out,
        HEADER("their.test", "home.test") "<stream:features><dialback "
                                          "xmlns='urn:xmpp:features:dialback'/></stream:features>");
    say(w, &w->out, "<db:result from='other.test' to='home.test' type='valid'/>");
    assert_heard(&w->out, "invalid-from");
}

/* RFC 8305: the first address swallows everything; RFC 6724: or this machine has no route to it. */
static void the_address_that_answers(void **state)
{
    struct world *w = *state;
    struct net_address at = {.ip = "2001:db8::9", .port = 5269};
    struct net_listener *silent;

    assert_int_equal(net_listen(w->env.net, &at, on_accept, w, &silent), ERR_OK);
    net_sim_blackhole(w->env.net, at.ip, at.port, true);
    send_out(w, "a@two.test", "m1");
    assert_int_equal(w->accepted, 1);
    assert_heard(&w->out, "to='two.test'");
    net_sim_blackhole(w->env.net, at.ip, at.port, false);
    net_listener_close(silent);
    conn_close(w->out.conn, 0);
    w->out.conn = NULL;
    loop_sim_advance(w->env.loop, 3000); /* and again, with no route */
    assert_int_equal(w->accepted, 2);
    assert_heard(&w->out, "to='two.test'");
    assert_int_equal(w->got_count, 0);
}

/* An address that answers and is of no use is not the end. */
static void the_next_address_after_a_bad_stream(void **state)
{
    struct world *w = *state;
    struct net_address at = {.ip = "2001:db8::9", .port = 5269};
    struct net_listener *other;

    assert_int_equal(net_listen(w->env.net, &at, on_accept, w, &other), ERR_OK);
    send_out(w, "a@two.test", "m1");
    assert_int_equal(w->accepted, 1);
    say(w, &w->out, "SSH-2.0-OpenSSH_9.2p1\r\n");
    assert_int_equal(w->accepted, 2);
    assert_heard(&w->out, "to='two.test'");
    assert_int_equal(w->got_count, 0);
    net_listener_close(other);
}

static void nobody_there(void **state)
{
    struct world *w = *state;

    send_out(w, "a@gone.test", "m1");
    assert_int_equal(w->got_count, 0); /* it is tried again first */
    loop_sim_advance(w->env.loop, 25000);
    assert_int_equal(w->got_count, 1);
    assert_error(w, 0, "remote-server-timeout");
}

static void no_resolver(void **state)
{
    struct world *w = *state;

    send_out(w, "a@unknown.test", "m1");
    loop_sim_advance(w->env.loop, 30000);
    assert_int_equal(w->got_count, 1);
    assert_error(w, 0, "remote-server-timeout");
}

static void denied(void **state)
{
    struct world *w = *state;

    send_out(w, "a@bad.test", "m1");
    assert_error(w, 0, "not-allowed");
}

static void it_serves_another_domain(void **state)
{
    struct world *w = *state;

    send_out(w, "a@their.test", "m1");
    say(w, &w->out,
        HEADER("x.test", "home.test") "<stream:error><host-unknown "
                                      "xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
                                      "</stream:error></stream:stream>");
    assert_error(w, 0, "remote-server-not-found");
    send_out(w, "a@their.test", "m2"); /* believed for a while: at once, without asking again */
    assert_error(w, 1, "remote-server-not-found");
    assert_int_equal(w->accepted, 1);
}

/* XEP-0198: what was not acknowledged goes again, in order; what was, does not. */
static void unacknowledged_goes_again(void **state)
{
    static const char features[] = "<stream:features><dialback "
                                   "xmlns='urn:xmpp:features:dialback'/><sm "
                                   "xmlns='urn:xmpp:sm:3'/></stream:features>";
    struct world *w = *state;
    char text[1024];

    (void)snprintf(text, sizeof(text), "%s%s", HEADER("their.test", "home.test"), features);
    send_out(w, "a@their.test", "m1");
    say(w, &w->out, text);
    say(w, &w->out, "<db:result from='their.test' to='home.test' type='valid'/>");
    assert_heard(&w->out, "<enable xmlns='urn:xmpp:sm:3'/><message id='m1'");
    say(w, &w->out, "<enabled xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='1'/>");
    send_out(w, "a@their.test", "m2");
    send_out(w, "a@their.test", "m3");
    conn_close(w->out.conn, 0);
    w->out.conn = NULL;
    loop_sim_advance(w->env.loop, 3000);
    assert_int_equal(w->accepted, 2);
    say(w, &w->out, text);
    say(w, &w->out, "<db:result from='their.test' to='home.test' type='valid'/>");
    assert_false(heard(&w->out, "id='m1'"));
    assert_heard(&w->out, "id='m2'");
    assert_heard(&w->out, "id='m3'");
    say(w, &w->out, "<a xmlns='urn:xmpp:sm:3' h='3'/>"); /* of two */
    assert_heard(&w->out, "undefined-condition");
    assert_int_equal(w->got_count, 0);
}

/* XEP-0220 section 2.6: more senders and, where the other server can say no, more targets. */
static void many_pairs_over_one_stream(void **state)
{
    struct world *w = *state;

    send_out(w, "a@their.test", "m1");
    say(w, &w->out,
        HEADER("their.test", "home.test") "<stream:features><dialback "
                                          "xmlns='urn:xmpp:features:dialback'><errors/></dialback>"
                                          "</stream:features>");
    say(w, &w->out, "<db:result from='their.test' to='home.test' type='valid'/>");
    buffer_clear(&w->out.text);
    send_from(w, "x@second.test", "a@their.test", "m2");
    assert_heard(&w->out, "<db:result from='second.test' to='their.test'>");
    assert_false(heard(&w->out, "m2"));
    say(w, &w->out, "<db:result from='their.test' to='second.test' type='valid'/>");
    assert_heard(&w->out, "id='m2' from='x@second.test'");
    buffer_clear(&w->out.text);
    send_out(w, "b@also.test", "m3");
    assert_heard(&w->out, "<db:result from='home.test' to='also.test'>");
    say(w, &w->out, "<db:result from='also.test' to='home.test' type='valid'/>");
    assert_heard(&w->out, "id='m3'");
    assert_int_equal(w->accepted, 1);
}

/* A server that does not want to share gets a stream of its own for the domain. */
static void a_shared_stream_is_refused(void **state)
{
    struct world *w = *state;

    send_out(w, "a@their.test", "m1");
    say(w, &w->out,
        HEADER("their.test", "home.test") "<stream:features><dialback "
                                          "xmlns='urn:xmpp:features:dialback'><errors/></dialback>"
                                          "</stream:features>");
    say(w, &w->out, "<db:result from='their.test' to='home.test' type='valid'/>");
    send_out(w, "b@also.test", "m2");
    say(w, &w->out,
        "<db:result from='also.test' to='home.test' type='error'><error type='cancel'>"
        "<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>");
    assert_int_equal(w->accepted, 2);
    assert_heard(&w->out, "to='also.test'");
    assert_int_equal(w->got_count, 0); /* nothing has come back */
}

static const char bidi_header[] = "<stream:features><dialback xmlns='urn:xmpp:features:dialback'/>"
                                  "<bidi xmlns='urn:xmpp:features:bidi'/></stream:features>";

/* XEP-0288: both ways on the stream that we made, for the inverse of what was proven and nothing
 * else. */
static void both_ways_on_our_stream(void **state)
{
    struct world *w = *state;
    char text[1024];

    (void)snprintf(text, sizeof(text), "%s%s", HEADER("their.test", "home.test"), bidi_header);
    send_out(w, "a@their.test", "m1");
    say(w, &w->out, text);
    assert_heard(&w->out, "<bidi xmlns='urn:xmpp:bidi'/><db:result");
    say(w, &w->out,
        "<db:result from='their.test' to='home.test' type='valid'/>" MESSAGE("a@their.test",
                                                                             "romeo@home.test"));
    assert_int_equal(w->got_count, 1);
    say(w, &w->out, MESSAGE("a@their.test", "romeo@second.test"));
    assert_heard(&w->out, "not-authorized");
    assert_int_equal(w->got_count, 1);
}

static void no_stanza_on_our_stream_without_bidi(void **state)
{
    struct world *w = *state;

    send_out(w, "a@their.test", "m1");
    say(w, &w->out,
        HEADER("their.test", "home.test") "<stream:features><dialback "
                                          "xmlns='urn:xmpp:features:dialback'/></stream:features>");
    say(w, &w->out, "<db:result from='their.test' to='home.test' type='valid'/>");
    say(w, &w->out, MESSAGE("a@their.test", "romeo@home.test"));
    assert_heard(&w->out, "invalid-from");
    assert_int_equal(w->got_count, 0);
}

/* The session manager is away for a while: nothing is lost, nothing is answered in its name. */
static void what_comes_in_waits_for_home(void **state)
{
    struct world *w = *state;

    dialback(w, "valid");
    link_close(w->home);
    w->home = NULL;
    settle(w);
    say(w, &w->in, MESSAGE("a@their.test", "romeo@home.test"));
    loop_sim_advance(w->env.loop, 10000);
    assert_int_equal(w->got_count, 0);
    assert_false(heard(&w->out, "<message"));
    home_comes(w);
    loop_sim_advance(w->env.loop, 1000);
    assert_int_equal(w->got_count, 1);
    assert_true(str_is(stanza_name(w->got[0]->stanza, STANZA_ROOT), "message"));
}

/* --- reload --- */

/* As SIGHUP: the settings of `sets`, then these. */
static void reload(struct world *w, const char *const more[], size_t count)
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(headers_of_liars),
        TEST(nothing_before_the_proof),
        TEST(external_without_tls),
        TEST(proven_by_dialback),
        TEST(only_for_that_pair),
        TEST(refused_by_the_authority),
        TEST(answers_nobody_asked_for),
        TEST(own_domain_and_foreign_target),
        TEST(no_amplification),
        TEST(keys_that_claim_to_be_ours),
        TEST(no_stanza_before_we_are_proven),
        TEST(unsolicited_result),
        TEST(the_address_that_answers),
        TEST(the_next_address_after_a_bad_stream),
        TEST(nobody_there),
        TEST(no_resolver),
        TEST(denied),
        TEST(it_serves_another_domain),
        TEST(unacknowledged_goes_again),
        TEST(what_comes_in_waits_for_home),
        TEST(many_pairs_over_one_stream),
        TEST(a_shared_stream_is_refused),
        TEST(both_ways_on_our_stream),
        TEST(no_stanza_on_our_stream_without_bidi),
        TEST(a_reload_changes_nothing),
        TEST(denied_from_now_on),
        TEST(what_waits_for_a_denied_domain_comes_back),
        TEST(more_is_demanded),
        TEST(a_flood_is_read_slowly),
        TEST(messages_of_one_domain),
        TEST(subscription_requests_of_one_domain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
