/* RFC 6121 section 8.5: every row of the table, and what reaches whom. */
#include "sm_world.h"

#include "sm/deliver.h"

/* --- the table of 8.5.4: columns normal, chat, groupchat, headline, error --- */

static void table(void **state)
{
    static const enum deliver_action expected[DELIVER_CASES][DELIVER_KINDS] = {
        [DELIVER_NO_ACCOUNT] = {DELIVER_REFUSE, DELIVER_REFUSE, DELIVER_REFUSE, DELIVER_IGNORE,
                                DELIVER_IGNORE},
        [DELIVER_BARE_NOBODY] = {DELIVER_STORE, DELIVER_STORE, DELIVER_REFUSE, DELIVER_IGNORE,
                                 DELIVER_IGNORE},
        [DELIVER_BARE] = {DELIVER_ALL, DELIVER_ALL, DELIVER_REFUSE, DELIVER_ALL, DELIVER_IGNORE},
        [DELIVER_FULL_MATCH] = {DELIVER_ONE, DELIVER_ONE, DELIVER_ONE, DELIVER_ONE, DELIVER_ONE},
        [DELIVER_FULL_NOBODY] = {DELIVER_REFUSE, DELIVER_STORE, DELIVER_REFUSE, DELIVER_IGNORE,
                                 DELIVER_IGNORE},
        [DELIVER_FULL_OTHERS] = {DELIVER_REFUSE, DELIVER_ALL, DELIVER_REFUSE, DELIVER_IGNORE,
                                 DELIVER_IGNORE},
    };
    for (int c = 0; c < DELIVER_CASES; c++)
        for (int k = 0; k < DELIVER_KINDS; k++)
            assert_int_equal(deliver_rule((enum deliver_case)c, (enum deliver_kind)k),
                             expected[c][k]);
}

static const char *const types[DELIVER_KINDS] = {[DELIVER_NORMAL] = "",
                                                 [DELIVER_CHAT] = " type='chat'",
                                                 [DELIVER_GROUPCHAT] = " type='groupchat'",
                                                 [DELIVER_HEADLINE] = " type='headline'",
                                                 [DELIVER_ERROR] = " type='error'"};

static void say(struct client *c, const char *to, enum deliver_kind kind)
{
    char xml[512];
    snprintf(xml, sizeof xml, "<message%s to='%s' id='m'><body>hi</body></message>", types[kind],
             to);
    client_send(c, xml);
}

static bool got_message(struct client *c, const char *what)
{
    bool found = false;
    while (c->in.taken < c->in.count) {
        const char *text = c->in.texts[c->in.taken++];
        found = found || (strncmp(text, "<message", 8) == 0 && strstr(text, what));
    }
    return found;
}

/* What becomes of each type: A answered by an error, D delivered to juliet's resource, - neither
 * (ignored or kept). */
static void outcome(struct client *romeo, struct client *juliet, const char *to,
                    const char *expected)
{
    for (int k = 0; k < DELIVER_KINDS; k++) {
        say(romeo, to, (enum deliver_kind)k);
        bool error = got_message(romeo, "<service-unavailable");
        bool delivered = juliet && got_message(juliet, "<body>hi</body>");
        char is = error ? 'A' : delivered ? 'D' : '-';
        if (is != expected[k])
            fail_msg("message to %s%s: %c instead of %c", to, types[k], is, expected[k]);
    }
}

static void no_account(void **state) /* 8.5.1 */
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    outcome(romeo, NULL, "nobody@example.net", "AAA--");
    outcome(romeo, NULL, "nobody@example.net/x", "AAA--");
    client_send(
        romeo,
        "<iq type='get' id='1' to='nobody@example.net'><query xmlns='jabber:iq:version'/></iq>");
    client_expect(
        romeo, "<iq type='error' id='1' from='nobody@example.net' to='romeo@example.net/orchard'>"
               "<query xmlns='jabber:iq:version'/><error type='cancel'>"
               "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>");
    client_send(romeo, "<presence to='nobody@example.net'/>");
    client_send(romeo, "<presence type='unavailable' to='nobody@example.net'/>");
    client_nothing(romeo);
    client_send(romeo, "<presence type='probe' to='nobody@example.net'/>"); /* 4.3.2 */
    client_nothing(
        romeo); /* unsubscribed is for the bare JID's subscription, which there is none of */
    assert_int_equal(world_status(w, "users_loaded"), 1); /* made-up names leave nothing behind */
}

static void bare_without_resources(void **state) /* 8.5.2.2.1 */
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    account_action(w, SESSION_CREATE, "juliet@example.net");
    outcome(romeo, NULL, "juliet@example.net", "--A--");
    assert_int_equal(world_status(w, "offline_stored"), 2);
    outcome(romeo, NULL, "juliet@example.net/balcony", "A-A--");
    assert_int_equal(world_status(w, "offline_stored"), 3);
}

static void connected_but_not_available(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    struct client *juliet = client_start(w, "juliet@example.net/balcony", NULL);
    outcome(romeo, juliet, "juliet@example.net", "--A--");
    outcome(romeo, juliet, "juliet@example.net/balcony", "DDDDD"); /* 8.5.3.1 */
}

static void only_negative(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    struct client *juliet = client_start(w, "juliet@example.net/balcony", NULL);
    client_send(juliet, "<presence><priority>-1</priority></presence>");
    client_forget(juliet);
    outcome(romeo, juliet, "juliet@example.net", "--A--");
    outcome(romeo, juliet, "juliet@example.net/balcony", "DDDDD");
    outcome(romeo, juliet, "juliet@example.net/chamber", "A-A--");
}

static void one_resource(void **state) /* 8.5.2.1.1, 8.5.3 */
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    struct client *juliet = client_online(w, "juliet@example.net/balcony");
    outcome(romeo, juliet, "juliet@example.net", "DDAD-");
    outcome(romeo, juliet, "juliet@example.net/balcony", "DDDDD");
    outcome(romeo, juliet, "juliet@example.net/chamber", "ADA--");
}

static void all_that_are_not_negative(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    struct client *a = client_online(w, "juliet@example.net/a");
    struct client *b = client_online(w, "juliet@example.net/b");
    struct client *c = client_online(w, "juliet@example.net/c");
    client_send(b, "<presence><priority>5</priority></presence>");
    client_send(c, "<presence><priority>-5</priority></presence>");
    world_forget(w);
    say(romeo, "juliet@example.net", DELIVER_CHAT);
    client_expect(
        a, "<message type='chat' id='m' from='romeo@example.net/orchard' to='juliet@example.net'>"
           "<body>hi</body></message>");
    client_expect(
        b, "<message type='chat' id='m' from='romeo@example.net/orchard' to='juliet@example.net'>"
           "<body>hi</body></message>");
    client_nothing(c);
}

static void to_oneself_without_to(void **state) /* RFC 6120 section 10.3.1 */
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    client_send(romeo, "<message id='m'><body>hi</body></message>");
    client_expect(romeo, "<message id='m' from='romeo@example.net/orchard' to='romeo@example.net'>"
                         "<body>hi</body></message>");
}

static void iq_to_full(void **state) /* 8.5.3.1, 8.5.3.2.3 */
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    struct client *juliet = client_online(w, "juliet@example.net/balcony");
    client_send(romeo,
                "<iq type='get' id='1' to='juliet@example.net/balcony'><q xmlns='urn:x'/></iq>");
    client_expect(
        juliet,
        "<iq type='get' id='1' from='romeo@example.net/orchard' to='juliet@example.net/balcony'>"
        "<q xmlns='urn:x'/></iq>");
    client_send(juliet, "<iq type='result' id='1' to='romeo@example.net/orchard'/>");
    client_expect(romeo, "<iq type='result' id='1' from='juliet@example.net/balcony' "
                         "to='romeo@example.net/orchard'/>");
    client_send(romeo,
                "<iq type='get' id='2' to='juliet@example.net/none'><q xmlns='urn:x'/></iq>");
    client_expect(
        romeo,
        "<iq type='error' id='2' from='juliet@example.net/none' to='romeo@example.net/orchard'>"
        "<q xmlns='urn:x'/><error type='cancel'>"
        "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>");
    client_send(romeo,
                "<iq type='result' id='3' to='juliet@example.net/none'/>"); /* never answered */
    client_send(romeo, "<iq type='error' id='3' to='juliet@example.net'/>");
    client_nothing(romeo);
    client_nothing(juliet);
}

static void forged_from_is_replaced(void **state) /* reliability.md B 25 */
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    struct client *juliet = client_online(w, "juliet@example.net/balcony");
    client_send(
        romeo,
        "<message from='juliet@example.net' to='juliet@example.net'><body>hi</body></message>");
    client_expect(juliet, "<message from='romeo@example.net/orchard' to='juliet@example.net'>"
                          "<body>hi</body></message>");
    /* B 37: a roster push by somebody else shows who sent it. */
    client_send(
        romeo,
        "<iq type='set' id='*' to='juliet@example.net/balcony'><query xmlns='jabber:iq:roster'>"
        "<item jid='mallory@example.net'/></query></iq>");
    client_expect(
        juliet,
        "<iq type='set' id='*' from='romeo@example.net/orchard' to='juliet@example.net/balcony'>"
        "<query xmlns='jabber:iq:roster'><item jid='mallory@example.net'/></query></iq>");
    /* A delay in the name of our domain is taken out, another's stays. */
    client_send(
        romeo,
        "<message to='juliet@example.net'><delay xmlns='urn:xmpp:delay' from='example.net' "
        "stamp='x'/>"
        "<delay xmlns='urn:xmpp:delay' from='elsewhere' stamp='y'/><body>hi</body></message>");
    client_expect(
        juliet,
        "<message from='romeo@example.net/orchard' to='juliet@example.net'>"
        "<delay xmlns='urn:xmpp:delay' from='elsewhere' stamp='y'/><body>hi</body></message>");
}

static void malformed(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    client_send(romeo, "<message to='@example.net' id='1'><body>hi</body></message>"); /* B 26 */
    client_expect(romeo,
                  "<message id='1' type='error' "
                  "to='romeo@example.net/orchard'><body>hi</body>"
                  "<error type='modify' by='example.net'>"
                  "<jid-malformed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>");
    client_send(romeo, "<iq type='get' id='2'/>"); /* B 27 */
    client_expect(romeo,
                  "<iq type='error' id='2' to='romeo@example.net/orchard'><error type='modify'>"
                  "<bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>");
}

static void to_the_domain(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    outcome(romeo, NULL, "example.net", "AAAA-");
    client_send(romeo, "<iq type='get' id='1' to='example.net'><ping xmlns='urn:xmpp:ping'/></iq>");
    client_expect(romeo,
                  "<iq type='result' id='1' from='example.net' to='romeo@example.net/orchard'/>");
    client_send(romeo, "<presence to='example.net'/>");
    client_nothing(romeo);
}

static void to_other_servers_and_back(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    client_send(romeo, "<message to='nurse@remote.example' id='1'><body>hi</body></message>");
    remote_expect(w, "<message id='1' from='romeo@example.net/orchard' to='nurse@remote.example'>"
                     "<body>hi</body></message>");
    remote_send(w, "<message from='nurse@remote.example/a' to='romeo@example.net' "
                   "id='2'><body>ay</body></message>");
    client_expect(romeo, "<message id='2' from='nurse@remote.example/a' to='romeo@example.net'>"
                         "<body>ay</body></message>");
    link_close(w->remote); /* nobody has the domain: the router turns it round */
    w->remote = NULL;
    world_settle(w);
    client_send(romeo, "<message to='nurse@remote.example' id='3'><body>hi</body></message>");
    client_expect(
        romeo,
        "<message id='3' type='error' from='nurse@remote.example' to='romeo@example.net/orchard'>"
        "<body>hi</body><error type='cancel' by='example.net'>"
        "<remote-server-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>");
    client_send(romeo, "<message type='error' to='nurse@remote.example' id='4'/>");
    client_nothing(romeo);
}

/* What only we may say about a message: carbons (XEP-0280 section 11), a stamp in our name
 * (XEP-0203 section 5), ids in our name (XEP-0359 section 3). A server of ours would not let it
 * out. */
static void forged_by_strangers(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    remote_send(
        w, "<message from='nurse@remote.example/a' to='romeo@example.net/orchard' id='1'>"
           "<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'/>"
           "</received><sent xmlns='urn:xmpp:carbons:2'/><body>hi</body>"
           "<sent xmlns='urn:xmpp:carbons:2'/><private xmlns='urn:xmpp:carbons:2'/></message>");
    client_expect(romeo,
                  "<message id='1' from='nurse@remote.example/a' to='romeo@example.net/orchard'>"
                  "<body>hi</body><private xmlns='urn:xmpp:carbons:2'/></message>");
    remote_send(w, "<message from='nurse@remote.example/a' to='romeo@example.net/orchard' id='2'>"
                   "<delay xmlns='urn:xmpp:delay' from='Example.NET' stamp='2001-01-01T00:00:00Z'/>"
                   "<delay xmlns='urn:xmpp:delay' from='example.net' stamp='2001-01-01T00:00:00Z'/>"
                   "<stanza-id xmlns='urn:xmpp:sid:0' by='romeo@example.net' id='x'/>"
                   "<stanza-id xmlns='urn:xmpp:sid:0' by='Romeo@example.net' id='y'/></message>");
    client_expect(romeo,
                  "<message id='2' from='nurse@remote.example/a' to='romeo@example.net/orchard'/>");
}

static void a_c2s_goes(void **state)
{
    struct sm_world *w = *state;
    client_online(w, "juliet@example.net/balcony");
    assert_int_equal(world_status(w, "sessions"), 1);
    for (int i = 0; i < 30; i++) {
        char jid[64];
        snprintf(jid, sizeof jid, "u%d@example.net/r", i);
        client_online(w, jid);
    }
    world_c2s_gone(w);
    loop_sim_advance(w->env.loop, 100);
    assert_int_equal(world_status(w, "sessions"), 0);
    world_c2s_back(w);
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    say(romeo, "juliet@example.net", DELIVER_CHAT);
    client_nothing(romeo);
    assert_int_equal(world_status(w, "offline_stored"), 1);
}

int main(void)
{
#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        WORLD_TEST(no_account),
        WORLD_TEST(bare_without_resources),
        WORLD_TEST(connected_but_not_available),
        WORLD_TEST(only_negative),
        WORLD_TEST(one_resource),
        WORLD_TEST(all_that_are_not_negative),
        WORLD_TEST(to_oneself_without_to),
        WORLD_TEST(iq_to_full),
        WORLD_TEST(forged_from_is_replaced),
        WORLD_TEST(malformed),
        WORLD_TEST(to_the_domain),
        WORLD_TEST(to_other_servers_and_back),
        WORLD_TEST(forged_by_strangers),
        WORLD_TEST(a_c2s_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
