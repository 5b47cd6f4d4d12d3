/* The s2s component on a simulated network: what it answers to servers that lie, and what becomes
 * of stanzas for servers that do not answer. */
#include "s2s_world.h"

#include "xmpp/namespaces.h"

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
    assert_heard(&w->out, "<handled-count-too-high xmlns='urn:xmpp:sm:3' h='3' send-count='2'/>");
    assert_int_equal(w->got_count, 0);
}

/* A component of ours, with that name. */
static struct link *attach(struct world *w, const char *name, unsigned flags)
{
    struct link *ours, *theirs;

    link_local_pair(w->env.loop, name, &ours, &theirs);
    link_set_events(ours, &home_events, w);
    router_component.attach(w->router, theirs, name);
    settle(w);
    link_send(ours, packet_create_control(PACKET_BIND, str_of(name), flags));
    settle(w);
    return ours;
}

/* As a session manager that waits for receipts; `since` in its next life. */
static void send_counted(struct world *w, const char *id, uint64_t trace, uint64_t number,
                         int64_t since)
{
    struct builder *b = builder_create(STR("message"), NS_CLIENT);
    struct packet *p = packet_create(PACKET_STANZA, STR("their.test"), STR("home.test"));

    builder_attr(b, STR("id"), str_of(id));
    p->stanza = builder_finish(b);
    p->from = jid_parse(STR("romeo@home.test"));
    p->to = jid_parse(STR("a@their.test"));
    p->trace = trace;
    p->receipt.number = number;
    p->receipt.origin = jid_parse(STR("home.test"));
    p->receipt.since = since;
    link_send(w->home, p);
    settle(w);
}

#define NEXT_LIFE UINT64_C(9000000000000) /* where its numbers begin */

static unsigned times_heard(const struct end *e, const char *text)
{
    struct str rest = buffer_str(&e->text);
    unsigned count = 0;

    for (const char *at; (at = memmem(rest.data, rest.len, text, strlen(text))); count++)
        rest = (struct str){at + 1, rest.len - (size_t)(at + 1 - rest.data)};
    return count;
}

/* A session manager has died and sends again what still waits here, or has left without being
 * acknowledged: each goes once, in the first order, and its new receipt is answered. */
static void another_life_sends_again(void **state)
{
    struct world *w = *state;

    link_close(w->home);
    w->home = attach(w, "home.test", PACKET_BIND_RECEIPTS);
    send_counted(w, "m1", 1, 11, 0);
    send_counted(w, "m2", 2, 12, 0);
    send_counted(w, "m1", 1, NEXT_LIFE + 1, 1000);
    say(w, &w->out,
        HEADER("their.test", "home.test") "<stream:features><dialback "
                                          "xmlns='urn:xmpp:features:dialback'/><sm "
                                          "xmlns='urn:xmpp:sm:3'/></stream:features>");
    say(w, &w->out, "<db:result from='their.test' to='home.test' type='valid'/>");
    assert_heard(&w->out, "<enable xmlns='urn:xmpp:sm:3'/><message id='m1'");
    send_counted(w, "m2", 2, NEXT_LIFE + 2, 1000);
    assert_int_equal(times_heard(&w->out, "id='m1'"), 1);
    assert_int_equal(times_heard(&w->out, "id='m2'"), 1);
    assert_int_equal(w->got_count, 0);
    say(w, &w->out, "<enabled xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='2'/>");
    assert_int_equal(w->got_count, 1);
    assert_true(str_is(stanza_name(w->got[0]->stanza, STANZA_ROOT), "handled"));
    assert_true(str_is(stanza_text(w->got[0]->stanza, STANZA_ROOT), "9000000000001-9000000000002"));
}

/* Nothing comes back while there is nobody to be told. */
static void nobody_to_be_told(void **state)
{
    struct world *w = *state;

    link_close(w->home);
    w->home = attach(w, "home.test", PACKET_BIND_RECEIPTS);
    send_counted(w, "m1", 1, 11, 0);
    link_close(w->home);
    w->home = NULL;
    loop_sim_advance(w->env.loop, 60000);
    w->home = attach(w, "home.test", PACKET_BIND_RECEIPTS);
    loop_sim_advance(w->env.loop, 2000);
    assert_int_equal(w->got_count, 1);
    assert_int_equal((int)w->got[0]->receipt.answers, 11);
}

/* XEP-0198 between servers, from the other side: sections 3 to 6. */
static void acknowledgements_misused(void **state)
{
    struct world *w = *state;

    come_in(w, HEADER("their.test", "home.test"));
    assert_heard(&w->in, "<sm xmlns='urn:xmpp:sm:3'/>");
    say(w, &w->in, "<enable xmlns='urn:xmpp:sm:3'/>"); /* section 3: not before the proof */
    assert_heard(&w->in, "<failed xmlns='urn:xmpp:sm:3'><unexpected-request ");
    conn_close(w->in.conn, 0);
    dialback(w, "valid");
    say(w, &w->in, "<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>"); /* section 5 */
    assert_heard(&w->in, "<failed xmlns='urn:xmpp:sm:3'><feature-not-implemented ");
    say(w, &w->in, MESSAGE("a@their.test", "romeo@home.test"));
    say(w, &w->in, "<enable xmlns='urn:xmpp:sm:3' resume='true'/><r xmlns='urn:xmpp:sm:3'/>");
    /* No resumption, and what came before is not counted. */
    assert_heard(&w->in, "<enabled xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='0'/>");
    say(w, &w->in, "<enable xmlns='urn:xmpp:sm:3'/>"); /* section 3: once */
    assert_heard(&w->in, "<policy-violation ");
}

static void acknowledgement_of_nothing(void **state)
{
    struct world *w = *state;

    dialback(w, "valid");
    say(w, &w->in, "<a xmlns='urn:xmpp:sm:3' h='0'/>"); /* of a stream without */
    assert_heard(&w->in, "<policy-violation ");
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

static void home_goes(struct world *w)
{
    link_close(w->home);
    w->home = NULL;
    settle(w);
}

static struct link *neighbour_speaks(struct world *w)
{
    struct link *neighbour = attach(w, "next.test", 0);
    struct packet *p = packet_create(PACKET_STANZA, STR("home.test"), STR("next.test"));

    p->stanza = builder_finish(builder_create(STR("message"), NS_CLIENT));
    p->from = jid_parse(STR("a@next.test"));
    p->to = jid_parse(STR("romeo@home.test"));
    link_send(neighbour, p);
    settle(w);
    return neighbour;
}

/* It waits here. */
static void what_is_sent_waits_for_home(void **state)
{
    struct world *w = *state;
    struct link *neighbour;

    home_goes(w);
    neighbour = neighbour_speaks(w);
    loop_sim_advance(w->env.loop, 10000);
    assert_int_equal(w->got_count, 0);
    home_comes(w);
    assert_int_equal(w->got_count, 1);
    assert_true(str_is(jid_full(w->got[0]->to), "romeo@home.test"));
    link_close(neighbour);
}

/* RFC 6120 section 10.1: a stream that comes while nobody is at home is not read before the others,
 * whose stanzas were sent before. */
static void later_streams_wait_for_home(void **state)
{
    struct world *w = *state;

    home_goes(w);
    dialback(w, "valid");
    say(w, &w->in,
        MESSAGE("a@their.test", "romeo@home.test") MESSAGE("b@their.test", "x@second.test"));
    loop_sim_advance(w->env.loop, 10000);
    assert_false(heard(&w->in, "not-authorized")); /* that pair was never proven */
    home_comes(w);
    assert_int_equal(w->got_count, 1);
    assert_true(str_is(jid_full(w->got[0]->to), "romeo@home.test"));
    assert_heard(&w->in, "not-authorized");
}

/* RFC 6120 section 8.3.3.13: not for ever, and whoever sent it may try again. */
static void nobody_comes_home(void **state)
{
    struct world *w = *state;
    struct link *neighbour;

    home_goes(w);
    neighbour = neighbour_speaks(w);
    loop_sim_advance(w->env.loop, 18000);
    assert_int_equal(w->got_count, 0);
    loop_sim_advance(w->env.loop, 4000);
    assert_int_equal(w->got_count, 1);
    assert_true(str_is(jid_full(w->got[0]->to), "a@next.test"));
    assert_true(str_is(stanza_attr(w->got[0]->stanza, STANZA_ROOT, STR("type")), "error"));
    home_comes(w);
    assert_int_equal(w->got_count, 1);
    link_close(neighbour);
}

/* A stream without acknowledgements: nobody would send it again (0098). */
static void what_dies_at_home_goes_again(void **state)
{
    struct world *w = *state;

    dialback(w, "valid");
    home_goes(w);
    w->home = attach(w, "home.test", PACKET_BIND_RECEIPTS);
    say(w, &w->in, MESSAGE("a@their.test", "romeo@home.test"));
    assert_int_equal(w->got_count, 1);
    home_goes(w);
    home_comes(w);
    assert_int_equal(w->got_count, 2);
    assert_true(str_is(jid_full(w->got[1]->to), "romeo@home.test"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(what_is_sent_waits_for_home),
        WORLD_TEST(nobody_comes_home),
        WORLD_TEST(later_streams_wait_for_home),
        WORLD_TEST(what_dies_at_home_goes_again),
        WORLD_TEST(headers_of_liars),
        WORLD_TEST(nothing_before_the_proof),
        WORLD_TEST(external_without_tls),
        WORLD_TEST(proven_by_dialback),
        WORLD_TEST(only_for_that_pair),
        WORLD_TEST(refused_by_the_authority),
        WORLD_TEST(answers_nobody_asked_for),
        WORLD_TEST(own_domain_and_foreign_target),
        WORLD_TEST(no_amplification),
        WORLD_TEST(keys_that_claim_to_be_ours),
        WORLD_TEST(no_stanza_before_we_are_proven),
        WORLD_TEST(unsolicited_result),
        WORLD_TEST(the_address_that_answers),
        WORLD_TEST(the_next_address_after_a_bad_stream),
        WORLD_TEST(nobody_there),
        WORLD_TEST(no_resolver),
        WORLD_TEST(denied),
        WORLD_TEST(it_serves_another_domain),
        WORLD_TEST(unacknowledged_goes_again),
        WORLD_TEST(another_life_sends_again),
        WORLD_TEST(nobody_to_be_told),
        WORLD_TEST(acknowledgements_misused),
        WORLD_TEST(acknowledgement_of_nothing),
        WORLD_TEST(what_comes_in_waits_for_home),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
