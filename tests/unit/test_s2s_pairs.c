/* Several pairs of domains over one stream (XEP-0220 section 2.6), and both ways over one stream
 * (XEP-0288). */
#include "s2s_world.h"

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

/* XEP-0220 section 2.4: they could not reach our authority for the moment; what waits is not given
 * up, and our key is shown again. */
static void they_cannot_ask_us_for_the_moment(void **state)
{
    struct world *w = *state;

    send_out(w, "a@their.test", "m1");
    say(w, &w->out,
        HEADER("their.test", "home.test") "<stream:features><dialback "
                                          "xmlns='urn:xmpp:features:dialback'><errors/></dialback>"
                                          "</stream:features>");
    say(w, &w->out,
        "<db:result from='their.test' to='home.test' type='error'><error type='wait'>"
        "<remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>");
    send_out(w, "a@their.test", "m2");
    assert_false(heard(&w->out, "<db:result"));
    assert_int_equal(w->got_count, 0); /* nothing has come back */
    loop_sim_advance(w->env.loop, 4000);
    assert_heard(&w->out, "<db:result from='home.test' to='their.test'>");
    say(w, &w->out, "<db:result from='their.test' to='home.test' type='valid'/>");
    assert_heard(&w->out, "id='m1'");
    assert_heard(&w->out, "id='m2'");
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

/* XEP-0288 section 2.2: a key for another pair on our stream is checked with its authority over
 * another connection. */
static void their_key_on_our_stream(void **state)
{
    struct world *w = *state;
    struct net_address at = {.ip = "10.0.0.7", .port = 5269};
    struct net_listener *listener;
    struct end ours;
    char text[1024], out[1024];

    (void)snprintf(text, sizeof(text), "%s%s", HEADER("their.test", "home.test"), bidi_header);
    send_out(w, "a@their.test", "m1");
    say(w, &w->out, text);
    say(w, &w->out, "<db:result from='their.test' to='home.test' type='valid'/>");
    ours = w->out; /* the authority of rooms.test is to be w->out */
    memset(&w->out, 0, sizeof(w->out));
    buffer_init(&w->out.text, 1 << 20);
    conn_start(ours.conn, &end_events, &ours, 0);
    assert_int_equal(net_listen(w->env.net, &at, on_accept, w, &listener), ERR_OK);
    say(w, &ours, "<db:result from='rooms.test' to='home.test'>their-key</db:result>");
    assert_heard(&w->out, "to='rooms.test'");
    say(w, &w->out,
        HEADER("rooms.test", "home.test") "<stream:features><dialback "
                                          "xmlns='urn:xmpp:features:dialback'/></stream:features>");
    (void)snprintf(out, sizeof(out),
                   "<db:verify from='home.test' to='rooms.test' id='theirs'>their-key</db:verify>");
    assert_heard(&w->out, out);
    say(w, &w->out, "<db:verify from='rooms.test' to='home.test' id='theirs' type='valid'/>");
    assert_heard(&ours, "<db:result from='home.test' to='rooms.test' type='valid'/>");
    say(w, &ours, MESSAGE("room@rooms.test", "romeo@home.test"));
    assert_int_equal(w->got_count, 1);
    conn_close(ours.conn, 0);
    buffer_finish(&ours.text);
    net_listener_close(listener);
}

static void their_key_on_a_stream_that_is_ours_alone(void **state)
{
    struct world *w = *state;

    send_out(w, "a@their.test", "m1");
    say(w, &w->out,
        HEADER("their.test", "home.test") "<stream:features><dialback "
                                          "xmlns='urn:xmpp:features:dialback'/></stream:features>");
    say(w, &w->out, "<db:result from='their.test' to='home.test' type='valid'/>");
    say(w, &w->out, "<db:result from='rooms.test' to='home.test'>their-key</db:result>");
    assert_heard(&w->out, "not-acceptable");
    assert_int_equal(w->accepted, 1);
}

/* their.test came to us with both ways, and cannot be reached itself: its stream is the way for our
 * other domain too. Returns with our key shown on it. */
static void key_on_their_stream(struct world *w)
{
    char id[64], text[512];

    come_in(w, HEADER("their.test", "home.test") "<bidi xmlns='urn:xmpp:bidi'/>");
    pick(&w->in, " id='", id, sizeof(id));
    say(w, &w->in, "<db:result from='their.test' to='home.test'>a-key</db:result>");
    say(w, &w->out, HEADER("their.test", "home.test") "<stream:features/>");
    (void)snprintf(text, sizeof(text),
                   "<db:verify from='their.test' to='home.test' id='%s' type='valid'/>", id);
    say(w, &w->out, text);
    net_listener_close(w->listener);
    w->listener = NULL;
    conn_close(w->out.conn, 0);
    w->out.conn = NULL;
    settle(w);
    buffer_clear(&w->in.text);
    send_from(w, "x@second.test", "a@their.test", "m1");
    loop_sim_advance(w->env.loop, 1500);
    assert_heard(&w->in, "<db:result from='second.test' to='their.test'>");
    assert_false(heard(&w->in, "m1"));
}

static void our_key_on_their_stream(void **state)
{
    struct world *w = *state;

    key_on_their_stream(w);
    say(w, &w->in, "<db:result from='their.test' to='second.test' type='valid'/>");
    assert_heard(&w->in, "id='m1' from='x@second.test'");
    say(w, &w->in, MESSAGE("a@their.test", "x@second.test"));
    assert_int_equal(w->got_count, 1);
    assert_true(str_is(jid_full(w->got[0]->to), "x@second.test"));
}

/* What was sent on their stream before they wanted acknowledgements is not among what they count
 * (XEP-0198 section 3), but it is not known to have arrived either. */
static void sent_before_they_count(struct world *w, bool answered)
{
    key_on_their_stream(w);
    say(w, &w->in, "<db:result from='their.test' to='second.test' type='valid'/>");
    assert_heard(&w->in, "id='m1' from='x@second.test'");
    say(w, &w->in, "<enable xmlns='urn:xmpp:sm:3'/>");
    assert_heard(&w->in, "<enabled xmlns='urn:xmpp:sm:3'/><r xmlns='urn:xmpp:sm:3'/>");
    if (answered)
        say(w, &w->in, "<a xmlns='urn:xmpp:sm:3' h='0'/>");
    conn_close(w->in.conn, 0);
    w->in.conn = NULL;
    loop_sim_advance(w->env.loop, 40000);
}

static void sent_before_they_count_and_lost(void **state)
{
    struct world *w = *state;

    sent_before_they_count(w, false);
    assert_int_equal(w->got_count, 1);
    assert_error(w, 0, "remote-server-timeout");
}

static void sent_before_they_count_and_read(void **state)
{
    struct world *w = *state;

    sent_before_they_count(w, true);
    assert_int_equal(w->got_count, 0);
}

static void our_key_on_their_stream_is_refused(void **state)
{
    struct world *w = *state;

    key_on_their_stream(w);
    say(w, &w->in, "<db:result from='their.test' to='second.test' type='invalid'/>");
    assert_false(w->in.closed);
    say(w, &w->in, MESSAGE("a@their.test", "romeo@home.test"));
    assert_int_equal(w->got_count, 1);
    loop_sim_advance(w->env.loop, 25000);
    assert_int_equal(w->got_count, 2); /* queue_time is over, the stream is not */
    assert_error(w, 1, "remote-server-timeout");
    assert_false(heard(&w->in, "from='second.test'"));
}

static void our_key_on_their_stream_is_not_answered(void **state)
{
    struct world *w = *state;

    key_on_their_stream(w);
    loop_sim_advance(w->env.loop, 30000);
    assert_error(w, 0, "remote-server-timeout");
    say(w, &w->in, MESSAGE("a@their.test", "romeo@home.test"));
    assert_int_equal(w->got_count, 2); /* what was proven stays so */
}

static void an_answer_to_no_key_on_their_stream(void **state)
{
    struct world *w = *state;

    dialback(w, "valid");
    say(w, &w->in, "<db:result from='their.test' to='second.test' type='valid'/>");
    assert_heard(&w->in, "invalid-from");
}

/* XEP-0220 section 2.5: full for further pairs; another connection may do. */
static void a_full_stream(void **state)
{
    struct world *w = *state;

    send_out(w, "a@their.test", "m1");
    say(w, &w->out,
        HEADER("their.test", "home.test") "<stream:features><dialback "
                                          "xmlns='urn:xmpp:features:dialback'><errors/></dialback>"
                                          "</stream:features>");
    say(w, &w->out, "<db:result from='their.test' to='home.test' type='valid'/>");
    send_from(w, "x@second.test", "a@their.test", "m2");
    say(w, &w->out,
        "<db:result from='their.test' to='second.test' type='error'><error type='wait'>"
        "<resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>");
    assert_int_equal(w->accepted, 2);
    assert_heard(&w->out, "from='second.test' to='their.test'");
    assert_int_equal(w->got_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(many_pairs_over_one_stream),
        WORLD_TEST(a_shared_stream_is_refused),
        WORLD_TEST(they_cannot_ask_us_for_the_moment),
        WORLD_TEST(both_ways_on_our_stream),
        WORLD_TEST(no_stanza_on_our_stream_without_bidi),
        WORLD_TEST(their_key_on_our_stream),
        WORLD_TEST(their_key_on_a_stream_that_is_ours_alone),
        WORLD_TEST(our_key_on_their_stream),
        WORLD_TEST(sent_before_they_count_and_lost),
        WORLD_TEST(sent_before_they_count_and_read),
        WORLD_TEST(our_key_on_their_stream_is_refused),
        WORLD_TEST(our_key_on_their_stream_is_not_answered),
        WORLD_TEST(an_answer_to_no_key_on_their_stream),
        WORLD_TEST(a_full_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
