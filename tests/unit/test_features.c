/* The small features: disco (XEP-0030, 0157), version (0092), time (0202), last activity (0012),
 * ping (0199). */
#include "sm_world.h"

#include "sm/path.h"

#define ERROR(type, condition)                                                                     \
    "<error type='" type "'><" condition                                                           \
    " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"

static void ask(struct client *c, const char *to, const char *payload)
{
    char xml[512];
    snprintf(xml, sizeof xml, "<iq type='get' id='1'%s%s%s>%s</iq>", to ? " to='" : "",
             to ? to : "", to ? "'" : "", payload);
    client_send(c, xml);
}

static void trust(struct sm_world *w, struct client *owner, const char *contact)
{
    char xml[256];
    snprintf(xml, sizeof xml, "<presence type='subscribed' to='%s'/>", contact);
    client_send(owner, xml);
    snprintf(xml, sizeof xml, "<presence type='subscribe' from='%s' to='%.*s'/>", contact,
             STR_ARG(jid_bare(owner->jid)));
    if (strstr(contact, "remote.example"))
        remote_send(w, xml);
}

/* What the features' registrations announce: disco must show exactly that (XEP-0030 section 3.1).
 */
static const char *announced(bool server)
{
    static char xml[8192];
    size_t len = 0;
    for (int f = 0; f < FEATURES; f++) {
        const struct feature *feature = path_features[f];
        const struct str *const *at = server ? feature->server_features : feature->account_features;
        for (; at && *at; at++)
            len += (size_t)snprintf(xml + len, sizeof xml - len, "<feature var='%.*s'/>",
                                    STR_ARG(**at));
        assert_true(len < sizeof xml);
    }
    return xml;
}

static void disco_of_the_server(void **state)
{
    struct sm_world *w = *state;
    char expected[16384];
    static char *contact[] = {"abuse:mailto:abuse@example.net", "admin:xmpp:admin@example.net",
                              "abuse:xmpp:abuse@example.net", "nonsense:x"};
    struct client *c = client_online(w, "juliet@example.net/balcony");
    w->config.domain_contact = (struct config_list){contact, 4};
    ask(c, "example.net", "<query xmlns='http://jabber.org/protocol/disco#info'/>");
    snprintf(
        expected, sizeof expected,
        "<iq type='result' id='1' from='example.net' to='juliet@example.net/balcony'>"
        "<query xmlns='http://jabber.org/protocol/disco#info'>"
        "<identity category='server' type='im' name='Jackdaw'/>%s"
        "<x xmlns='jabber:x:data' type='result'>"
        "<field var='FORM_TYPE' type='hidden'>"
        "<value>http://jabber.org/network/serverinfo</value></field>"
        "<field var='abuse-addresses' type='list-multi'><value>mailto:abuse@example.net</value>"
        "<value>xmpp:abuse@example.net</value></field>"
        "<field var='admin-addresses' type='list-multi'><value>xmpp:admin@example.net</value>"
        "</field></x></query></iq>",
        announced(true));
    assert_non_null(strstr(expected, "<feature var='urn:xmpp:ping'/>"));
    client_expect(c, expected);
    ask(c, "example.net", "<query xmlns='http://jabber.org/protocol/disco#items'/>");
    client_expect(c, "<iq type='result' id='1' from='example.net' to='juliet@example.net/balcony'>"
                     "<query xmlns='http://jabber.org/protocol/disco#items'/></iq>");
    ask(c, "example.net", "<query xmlns='http://jabber.org/protocol/disco#info' node='x'/>");
    client_expect(c, "<iq type='error' id='1' from='example.net' to='juliet@example.net/balcony'>"
                     "<query xmlns='http://jabber.org/protocol/disco#info' node='x'/>" ERROR(
                         "cancel", "item-not-found"));
}

static void services_of_the_server(void **state) /* XEP-0030 section 4 */
{
    struct sm_world *w = *state;
    static char *components[] = {"gateway:secret"}; /* the names without a dot that are shown */
    struct client *c = client_online(w, "juliet@example.net/balcony");
    w->config.router_components = (struct config_list){components, 1};
    link_send(w->remote, packet_create_control(PACKET_BIND, STR("gateway"), 0));
    link_send(w->remote, packet_create_control(PACKET_BIND, STR("process"), 0));
    link_send(w->remote, packet_create_control(PACKET_BIND, STR("rooms.example.net"), 0));
    link_send(w->remote, packet_create_control(PACKET_BIND, STR("notexample.net"), 0));
    world_settle(w);
    ask(c, "example.net", "<query xmlns='http://jabber.org/protocol/disco#items'/>");
    client_expect(c, "<iq type='result' id='1' from='example.net' to='juliet@example.net/balcony'>"
                     "<query xmlns='http://jabber.org/protocol/disco#items'>"
                     "<item jid='gateway'/><item jid='rooms.example.net'/></query></iq>");
    link_send(w->remote, packet_create_control(PACKET_UNBIND, STR("gateway"), 0));
    link_send(w->remote, packet_create_control(PACKET_UNBIND, STR("rooms.example.net"), 0));
    world_settle(w);
    ask(c, "example.net", "<query xmlns='http://jabber.org/protocol/disco#items'/>");
    client_expect(c, "<iq type='result' id='1' from='example.net' to='juliet@example.net/balcony'>"
                     "<query xmlns='http://jabber.org/protocol/disco#items'/></iq>");
}

/* XEP-0030 section 8: only for those who may see presence; others cannot tell whether the account
 * exists. */
static void disco_of_an_account(void **state)
{
    struct sm_world *w = *state;
    struct client *c = client_online(w, "juliet@example.net/balcony");
    const char *const whose[] = {"juliet@example.net", "nobody@example.net"};
    for (int i = 0; i < 2; i++) {
        char xml[512];
        snprintf(xml, sizeof xml,
                 "<iq type='get' id='1' from='x@remote.example/r' to='%s'>"
                 "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
                 whose[i]);
        remote_send(w, xml);
        snprintf(xml, sizeof xml,
                 "<iq type='error' id='1' from='%s' to='x@remote.example/r'>"
                 "<query xmlns='http://jabber.org/protocol/disco#info'/>" ERROR(
                     "cancel", "service-unavailable"),
                 whose[i]);
        remote_expect(w, xml);
    }
    ask(c, NULL, "<query xmlns='http://jabber.org/protocol/disco#info'/>");
    char expected[16384];
    snprintf(expected, sizeof expected,
             "<iq type='result' id='1' to='juliet@example.net/balcony'>"
             "<query xmlns='http://jabber.org/protocol/disco#info'>"
             "<identity category='account' type='registered'/>%s</query></iq>",
             announced(false));
    client_expect(c, expected);
    trust(w, c, "x@remote.example");
    world_forget(w);
    remote_send(w, "<iq type='get' id='1' from='x@remote.example/r' to='juliet@example.net'>"
                   "<query xmlns='http://jabber.org/protocol/disco#items'/></iq>");
    remote_expect(w, "<iq type='result' id='1' from='juliet@example.net' to='x@remote.example/r'>"
                     "<query xmlns='http://jabber.org/protocol/disco#items'>"
                     "<item jid='juliet@example.net/balcony'/></query></iq>");
}

static void version_and_time(void **state)
{
    struct sm_world *w = *state;
    struct client *c = client_online(w, "juliet@example.net/balcony");
    ask(c, "example.net", "<query xmlns='jabber:iq:version'/>");
    client_expect(c,
                  "<iq type='result' id='1' from='example.net' to='juliet@example.net/balcony'>"
                  "<query xmlns='jabber:iq:version'><name>Jackdaw</name><version>" JACKDAW_VERSION
                  "</version></query></iq>"); /* no <os/> */
    loop_sim_advance(w->env.loop, 90061000);
    ask(c, "example.net", "<time xmlns='urn:xmpp:time'/>");
    client_expect(
        c,
        "<iq type='result' id='1' from='example.net' to='juliet@example.net/balcony'>"
        "<time xmlns='urn:xmpp:time'><tzo>+00:00</tzo><utc>2026-01-02T01:01:01Z</utc></time></iq>");
    ask(c, "example.net", "<query xmlns='jabber:iq:last'/>");
    client_expect(c, "<iq type='result' id='1' from='example.net' to='juliet@example.net/balcony'>"
                     "<query xmlns='jabber:iq:last' seconds='90061'/></iq>");
    client_send(c,
                "<iq type='set' id='1' to='example.net'><query xmlns='jabber:iq:version'/></iq>");
    assert_non_null(strstr(c->in.texts[c->in.taken++], "<service-unavailable"));
    ask(c, "example.net/announce", "<query xmlns='jabber:iq:version'/>");
    assert_non_null(strstr(c->in.texts[c->in.taken++], "<service-unavailable"));
}

static void last_activity(void **state) /* XEP-0012 */
{
    struct sm_world *w = *state;
    struct client *juliet = client_online(w, "juliet@example.net/balcony");
    const char *question =
        "<iq type='get' id='1' from='x@remote.example/r' to='juliet@example.net'>"
        "<query xmlns='jabber:iq:last'/></iq>";
    remote_send(w, question);
    remote_expect(w, "<iq type='error' id='1' from='juliet@example.net' to='x@remote.example/r'>"
                     "<query xmlns='jabber:iq:last'/>" ERROR("auth", "forbidden"));
    trust(w, juliet, "x@remote.example");
    world_forget(w);
    remote_send(w, question);
    remote_expect(w, "<iq type='result' id='1' from='juliet@example.net' to='x@remote.example/r'>"
                     "<query xmlns='jabber:iq:last' seconds='0'/></iq>");
    client_send(juliet, "<presence type='unavailable'><status>Heading Home</status></presence>");
    client_end(juliet);
    world_forget(w);
    loop_sim_advance(w->env.loop, 903000);
    assert_int_equal(world_status(w, "users_loaded"), 0);
    remote_send(w, question);
    remote_expect(w, "<iq type='result' id='1' from='juliet@example.net' to='x@remote.example/r'>"
                     "<query xmlns='jabber:iq:last' seconds='903'>Heading Home</query></iq>");
    remote_send(w, "<iq type='get' id='1' from='x@remote.example/r' to='nobody@example.net'>"
                   "<query xmlns='jabber:iq:last'/></iq>"); /* as if it existed */
    remote_expect(w, "<iq type='error' id='1' from='nobody@example.net' to='x@remote.example/r'>"
                     "<query xmlns='jabber:iq:last'/>" ERROR("auth", "forbidden"));
}

static void ping(void **state)
{
    struct sm_world *w = *state;
    struct client *c = client_online(w, "juliet@example.net/balcony");
    ask(c, NULL, "<ping xmlns='urn:xmpp:ping'/>");
    client_expect(c, "<iq type='result' id='1' to='juliet@example.net/balcony'/>");
    ask(c, "juliet@example.net", "<ping xmlns='urn:xmpp:ping'/>");
    client_expect(
        c, "<iq type='result' id='1' from='juliet@example.net' to='juliet@example.net/balcony'/>");
    remote_send(w, "<iq type='get' id='1' from='x@remote.example/r' to='juliet@example.net'>"
                   "<ping xmlns='urn:xmpp:ping'/></iq>");
    remote_expect(w, "<iq type='error' id='1' from='juliet@example.net' to='x@remote.example/r'>"
                     "<ping xmlns='urn:xmpp:ping'/>" ERROR("cancel", "service-unavailable"));
}

static void unknown_requests(void **state) /* RFC 6120 section 8.4 */
{
    struct sm_world *w = *state;
    struct client *c = client_online(w, "juliet@example.net/balcony");
    const char *const to[] = {NULL, "example.net", "juliet@example.net"};
    for (int i = 0; i < 3; i++) {
        ask(c, to[i], "<query xmlns='urn:unknown'/>");
        assert_non_null(strstr(c->in.texts[c->in.taken++], "<service-unavailable"));
    }
    client_send(c, "<iq type='result' id='x' to='example.net'/>");
    client_nothing(c);
}

int main(void)
{
#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(disco_of_the_server), WORLD_TEST(services_of_the_server),
        WORLD_TEST(disco_of_an_account), WORLD_TEST(version_and_time),
        WORLD_TEST(last_activity),       WORLD_TEST(ping),
        WORLD_TEST(unknown_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
