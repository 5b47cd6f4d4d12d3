/* Acknowledgements from a server that knows no XEP-0198: pings behind what was sent, and what
 * becomes of it when the connection breaks. */
#include "s2s_world.h"

#define FEATURES "<stream:features><dialback xmlns='urn:xmpp:features:dialback'/></stream:features>"
#define PING     "<iq type='get' id='ack-"

/* Both directions are proven: theirs on a stream that they made, ours on one that we made. */
static void open_both(struct world *w)
{
    dialback(w, "valid");
    send_out(w, "a@their.test", "m0");
    assert_heard(&w->out, "<db:result from='home.test' to='their.test'>");
    assert_false(heard(&w->out, PING));
    say(w, &w->out, "<db:result from='their.test' to='home.test' type='valid'/>");
    assert_heard(&w->out, "id='m0'");
}

/* The answer to the last ping that was heard, with other attributes or content as given. */
static void answer_as(struct world *w, const char *from, const char *to, const char *rest)
{
    char id[64], text[512];

    pick(&w->out, PING, id, sizeof(id));
    (void)snprintf(text, sizeof(text), "<iq from='%s' to='%s' id='ack-%s' %s", from, to, id, rest);
    buffer_clear(&w->out.text);
    say(w, &w->in, text);
}

static void answer(struct world *w)
{
    answer_as(w, "their.test", "home.test", "type='result'/>");
}

static size_t pings(const struct end *e)
{
    struct str all = buffer_str(&e->text);
    size_t count = 0;

    for (size_t i = 0; i + sizeof(PING) <= all.len; i++)
        count += memcmp(all.data + i, PING, sizeof(PING) - 1) == 0;
    return count;
}

/* s2s has called again: our new stream is open. */
static void come_back(struct world *w)
{
    say(w, &w->out, HEADER("their.test", "home.test") FEATURES);
    assert_heard(&w->out, "<db:result from='home.test' to='their.test'>");
    say(w, &w->out, "<db:result from='their.test' to='home.test' type='valid'/>");
}

/* Their server dies, and comes back. */
static void die_and_come_back(struct world *w)
{
    size_t before = w->accepted;

    conn_close(w->out.conn, 0);
    w->out.conn = NULL;
    buffer_clear(&w->out.text);
    loop_sim_advance(w->env.loop, 3000);
    if (w->accepted > before) /* else nobody needs one */
        come_back(w);
}

static void not_answered_goes_again(void **state)
{
    struct world *w = *state;

    open_both(w);
    assert_heard(&w->out, "from='home.test' to='their.test'><ping xmlns='urn:xmpp:ping'/></iq>");
    send_out(w, "a@their.test", "m1");
    die_and_come_back(w);
    assert_heard(&w->out, "<message id='m0' ");
    assert_heard(&w->out, "<message id='m1' ");
    assert_heard(&w->out, "<delay xmlns='urn:xmpp:delay' from='home.test' stamp='2026-01-01T");
    assert_int_equal(pings(&w->out), 1);
    assert_int_equal(w->got_count, 0);
}

static void answered_does_not(void **state)
{
    struct world *w = *state;

    open_both(w);
    answer(w);
    send_out(w, "a@their.test", "m1");
    die_and_come_back(w);
    assert_false(heard(&w->out, "<message id='m0' "));
    assert_heard(&w->out, "<message id='m1' ");
    assert_int_equal(w->got_count, 0); /* the answers are no business of home's */
}

/* RFC 6120 section 8.2.3: who knows no pings says so. */
static void an_error_answers_too(void **state)
{
    struct world *w = *state;

    open_both(w);
    answer_as(w, "their.test", "home.test",
              "type='error'><error type='cancel'><service-unavailable "
              "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>");
    die_and_come_back(w);
    assert_int_equal(w->accepted, 1); /* nothing to send: nobody calls */
    assert_int_equal(w->got_count, 0);
}

/* One ping is out at a time, and the next is for all that came meanwhile. */
static void one_for_many(void **state)
{
    struct world *w = *state;

    open_both(w);
    assert_int_equal(pings(&w->out), 1);
    for (int i = 0; i < 20; i++)
        send_out(w, "a@their.test", "more");
    assert_int_equal(pings(&w->out), 1);
    answer(w);
    assert_int_equal(pings(&w->out), 1);
    answer(w);
    assert_int_equal(pings(&w->out), 0);
    die_and_come_back(w);
    assert_int_equal(w->accepted, 1);
}

static void only_who_was_asked_answers(void **state)
{
    static const struct {
        const char *from, *to, *rest;
    } cases[] = {
        {"mallory@their.test", "home.test", "type='result'/>"},
        {"their.test/x", "home.test", "type='result'/>"},
        {"their.test", "romeo@home.test", "type='result'/>"},
        {"their.test", "home.test", "type='get'/>"},
    };
    struct world *w = *state;
    char ping[200];

    open_both(w);
    pick(&w->out, PING, ping, sizeof(ping));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[400];
        (void)snprintf(text, sizeof(text), "<iq from='%s' to='%s' id='ack-%s' %s", cases[i].from,
                       cases[i].to, ping, cases[i].rest);
        say(w, &w->in, text);
        assert_int_equal(w->got_count, i + 1); /* a stanza like any other */
    }
    say(w, &w->in, "<iq from='their.test' to='home.test' id='ack-guessed-1' type='result'/>");
    die_and_come_back(w);
    assert_heard(&w->out, "<message id='m0' ");
}

/* As today then: it counts as sent. */
static void who_never_answers(void **state)
{
    struct world *w = *state;

    open_both(w);
    loop_sim_advance(w->env.loop, 31000);
    send_out(w, "a@their.test", "m1");
    assert_int_equal(pings(&w->out), 1); /* the first one */
    die_and_come_back(w);
    assert_int_equal(w->accepted, 1);
    assert_int_equal(w->got_count, 0);
}

/* What is kept is bounded, and what is never acknowledged stops nothing. */
static void more_than_is_kept(void **state)
{
    struct world *w = *state;
    char id[4000];

    open_both(w);
    memset(id, 'x', sizeof(id));
    for (int i = 0; i < 40; i++) {
        (void)snprintf(id + sizeof(id) - 4, 4, "%03d", i);
        send_out(w, "a@their.test", id);
    }
    assert_heard(&w->out, "x039' from='romeo@home.test'");
    die_and_come_back(w);
    assert_false(heard(&w->out, "x020' from='romeo@home.test'"));
    assert_heard(&w->out, "x039' from='romeo@home.test'");
    assert_int_equal(w->got_count, 0);
}

/* It has answered and does no more: the connection is dead, as with XEP-0198; but only once. */
static void who_answers_no_more(void **state)
{
    static const char *const more[] = {"s2s.queue_time=300"};
    struct world *w = *state;

    reload(w, more, 1);
    open_both(w);
    answer(w);
    send_out(w, "a@their.test", "m1");
    loop_sim_advance(w->env.loop, 55000);
    assert_int_equal(w->accepted, 1);
    loop_sim_advance(w->env.loop, 8000);
    assert_int_equal(w->accepted, 2);
    come_back(w);
    assert_heard(&w->out, "<message id='m1' ");
    assert_int_equal(pings(&w->out), 0);
}

/* Answers to others are not asked about, or two servers that ask would never stop. */
static void answers_ask_nothing(void **state)
{
    struct world *w = *state;
    struct builder *b = builder_create(STR("iq"), STR("jabber:client"));
    struct packet *p;

    open_both(w);
    answer(w);
    assert_int_equal(pings(&w->out), 0);
    p = packet_create(PACKET_STANZA, STR("their.test"), STR("home.test"));
    builder_attr(b, STR("type"), STR("result"));
    builder_attr(b, STR("id"), STR("r1"));
    p->stanza = builder_finish(b);
    p->from = jid_parse(STR("home.test"));
    p->to = jid_parse(STR("their.test"));
    link_send(w->home, p);
    loop_sim_advance(w->env.loop, 2000);
    assert_heard(&w->out, "id='r1'");
    assert_int_equal(pings(&w->out), 0);
}

/* XEP-0198 was announced and is refused then: pings after all. */
static void refused_acknowledgements(void **state)
{
    struct world *w = *state;

    dialback(w, "valid");
    conn_close(w->out.conn, 0);
    w->out.conn = NULL;
    settle(w);
    send_out(w, "a@their.test", "m0");
    loop_sim_advance(w->env.loop, 2000);
    say(w, &w->out,
        HEADER("their.test", "home.test") "<stream:features><dialback "
                                          "xmlns='urn:xmpp:features:dialback'/><sm "
                                          "xmlns='urn:xmpp:sm:3'/></stream:features>");
    say(w, &w->out, "<db:result from='their.test' to='home.test' type='valid'/>");
    assert_heard(&w->out, "<enable xmlns='urn:xmpp:sm:3'/><message id='m0'");
    say(w, &w->out, "<failed xmlns='urn:xmpp:sm:3'/>");
    assert_int_equal(pings(&w->out), 1);
    die_and_come_back(w);
    assert_heard(&w->out, "<message id='m0' ");
}

/* Another s2s process of ours, with an address of its own, to which their.test has made a stream.
 */
struct second {
    struct env env;
    struct config *config;
    struct component *s2s;
    struct end in, authority;
};

static void second_start(struct world *w, struct second *b)
{
    const char *all[32];
    size_t n = sizeof(sets) / sizeof(sets[0]);

    memcpy(all, sets, sizeof(sets));
    all[n++] = "s2s.address=10.0.0.2";
    b->env = w->env;
    b->config = config_load(NULL, all, n, report, NULL);
    b->env.config = b->config;
    buffer_init(&b->in.text, 1 << 20);
    buffer_init(&b->authority.text, 1 << 20);
    b->s2s = component_create(&s2s_component, &b->env, "s2s-2");
    component_attach_local(b->s2s, w->router);
    assert_int_equal(component_start(b->s2s), ERR_OK);
    settle(w);
}

static void second_proves(struct world *w, struct second *b)
{
    struct net_address at = {.ip = "10.0.0.2", .port = 5269};
    char id[64], text[512];

    b->in.conn = conn_connect(w->env.net, &at, &end_events, &b->in);
    say(w, &b->in, HEADER("their.test", "home.test"));
    pick(&b->in, " id='", id, sizeof(id));
    w->aside = &b->authority;
    say(w, &b->in, "<db:result from='their.test' to='home.test'>a-key</db:result>");
    say(w, &b->authority, HEADER("their.test", "home.test") FEATURES);
    (void)snprintf(text, sizeof(text),
                   "<db:verify from='their.test' to='home.test' id='%s' type='valid'/>", id);
    say(w, &b->authority, text);
    assert_heard(&b->in, "type='valid'");
}

static void second_end(struct world *w, struct second *b)
{
    component_destroy(b->s2s);
    conn_close(b->in.conn, 0);
    conn_close(b->authority.conn, 0);
    settle(w);
    buffer_finish(&b->in.text);
    buffer_finish(&b->authority.text);
    config_destroy(b->config);
}

/* Their streams come to either of us; the one that asked hears of the answer all the same. */
static void answered_at_another_s2s(void **state)
{
    struct world *w = *state;
    struct second b = {.config = NULL};
    char id[200], text[512];

    open_both(w);
    second_start(w, &b);
    second_proves(w, &b);
    pick(&w->out, PING, id, sizeof(id));
    (void)snprintf(text, sizeof(text),
                   "<iq from='their.test' to='home.test' id='ack-%s' type='result'/>", id);
    say(w, &b.in, text);
    die_and_come_back(w);
    assert_false(heard(&w->out, "<message id='m0' "));
    assert_int_equal(w->got_count, 0);
    second_end(w, &b);
}

/* An id that none of us has made is that of any stanza, whomever it names. */
static void forged_for_another_s2s(void **state)
{
    static const char *const ids[] = {"ack-aaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-1-s2s", "ack-1-s2s",
                                      "ack-aaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-1", "ack-",
                                      "ack-aaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb--home"};
    struct world *w = *state;
    struct second b = {.config = NULL};
    char text[512];

    open_both(w);
    second_start(w, &b);
    second_proves(w, &b);
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        (void)snprintf(text, sizeof(text),
                       "<iq from='their.test' to='home.test' id='%s' type='result'/>", ids[i]);
        say(w, &b.in, text);
        assert_int_equal(w->got_count, i + 1);
    }
    die_and_come_back(w);
    assert_heard(&w->out, "<message id='m0' ");
    second_end(w, &b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(not_answered_goes_again),    WORLD_TEST(answered_does_not),
        WORLD_TEST(an_error_answers_too),       WORLD_TEST(one_for_many),
        WORLD_TEST(only_who_was_asked_answers), WORLD_TEST(who_never_answers),
        WORLD_TEST(more_than_is_kept),          WORLD_TEST(who_answers_no_more),
        WORLD_TEST(answers_ask_nothing),        WORLD_TEST(refused_acknowledgements),
        WORLD_TEST(answered_at_another_s2s),    WORLD_TEST(forged_for_another_s2s),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
