/* RFC 6121 section 2: get, set, remove, pushes, versions, and what is refused. */
#include "sm_world.h"

#include "sm/roster.h"

static void get(struct client *c, const char *ver)
{
    char xml[256];
    snprintf(xml, sizeof xml, "<iq type='get' id='g'><query xmlns='jabber:iq:roster'%s%s%s/></iq>",
             ver ? " ver='" : "", ver ? ver : "", ver ? "'" : "");
    client_send(c, xml);
}

static void set(struct client *c, const char *item)
{
    char *xml = malloc(strlen(item) + 128);
    sprintf(xml, "<iq type='set' id='s'><query xmlns='jabber:iq:roster'>%s</query></iq>", item);
    client_send(c, xml);
    free(xml);
}

/* Set, and the push and the result that it must have. */
static void set_ok(struct client *c, const char *item, const char *ver, const char *pushed)
{
    char xml[512];
    set(c, item);
    snprintf(
        xml, sizeof xml,
        "<iq type='set' id='*' to='%s'><query xmlns='jabber:iq:roster' ver='%s'>%s</query></iq>",
        c->jid->text, ver, pushed);
    client_expect(c, xml);
    snprintf(xml, sizeof xml, "<iq type='result' id='s' to='%s'/>", c->jid->text);
    client_expect(c, xml);
}

static void refused(struct client *c, const char *item, const char *condition)
{
    set(c, item);
    if (c->in.taken == c->in.count || !strstr(c->in.texts[c->in.taken], condition) ||
        !strstr(c->in.texts[c->in.taken], "type='error'"))
        fail_msg("%.80s: no %s but %s", item, condition,
                 c->in.taken < c->in.count ? c->in.texts[c->in.taken] : "nothing");
    c->in.taken++;
    client_nothing(c);
}

static void add_change_remove(void **state)
{
    struct sm_world *w = *state;
    struct client *c = client_online(w, "juliet@example.net/balcony");
    get(c, NULL);
    client_expect(c, "<iq type='result' id='g' to='juliet@example.net/balcony'>"
                     "<query xmlns='jabber:iq:roster' ver='0'/></iq>");
    set_ok(c, "<item jid='nurse@example.net' name='Nurse'><group>Servants</group></item>",
           "1", /* 2.3 */
           "<item jid='nurse@example.net' name='Nurse' "
           "subscription='none'><group>Servants</group></item>");
    set_ok(c, "<item jid='nurse@example.net'><group>A</group><group>B &amp; C</group></item>",
           "2", /* 2.4 */
           "<item jid='nurse@example.net' subscription='none'><group>A</group><group>B &amp; "
           "C</group></item>");
    /* What only the server may say is not taken from the client: B 35. */
    set_ok(c, "<item jid='abc@example.net' subscription='both' ask='subscribe' approved='true'/>",
           "3", "<item jid='abc@example.net' subscription='none'/>");
    get(c, NULL);
    client_expect(c, "<iq type='result' id='g' to='juliet@example.net/balcony'><query "
                     "xmlns='jabber:iq:roster' ver='3'>"
                     "<item jid='abc@example.net' subscription='none'/>"
                     "<item jid='nurse@example.net' subscription='none'><group>A</group><group>B "
                     "&amp; C</group></item>"
                     "</query></iq>");
    set_ok(c, "<item jid='nurse@example.net' subscription='remove'/>", "4", /* 2.5 */
           "<item jid='nurse@example.net' subscription='remove'/>");
    refused(c, "<item jid='nurse@example.net' subscription='remove'/>", "<item-not-found");
    client_end(c);
    loop_sim_advance(w->env.loop, 120000);
    assert_int_equal(world_status(w, "users_loaded"), 0);
    c = client_start(w, "juliet@example.net/balcony", NULL); /* from the store */
    get(c, NULL);
    client_expect(c, "<iq type='result' id='g' to='juliet@example.net/balcony'><query "
                     "xmlns='jabber:iq:roster' ver='4'>"
                     "<item jid='abc@example.net' subscription='none'/></query></iq>");
}

static void pushes_go_to_interested_resources(void **state) /* 2.1.6 */
{
    struct sm_world *w = *state;
    struct client *a = client_online(w, "juliet@example.net/a");
    struct client *b = client_online(w, "juliet@example.net/b");
    struct client *c =
        client_start(w, "juliet@example.net/c", NULL); /* did not ask for the roster */
    client_send(c, "<presence/>");
    world_forget(w);
    set(a, "<item jid='x@y'/>");
    client_expect(
        b,
        "<iq type='set' id='*' to='juliet@example.net/b'><query xmlns='jabber:iq:roster' ver='1'>"
        "<item jid='x@y' subscription='none'/></query></iq>");
    client_expect(
        a,
        "<iq type='set' id='*' to='juliet@example.net/a'><query xmlns='jabber:iq:roster' ver='1'>"
        "<item jid='x@y' subscription='none'/></query></iq>");
    client_expect(a, "<iq type='result' id='s' to='juliet@example.net/a'/>");
    client_nothing(b);
    client_nothing(c);
    client_send(b, "<iq type='result' id='anything'/>"); /* the client's answer to a push */
    client_nothing(b);
}

static void what_is_refused(void **state) /* 2.3.3, reliability.md B 35 */
{
    struct sm_world *w = *state;
    struct client *c = client_online(w, "juliet@example.net/balcony");
    char item[8192], *at;
    refused(c, "", "<bad-request");
    refused(c, "<item jid='a@b'/><item jid='c@d'/>", "<bad-request");
    refused(c, "<item/>", "<bad-request");
    refused(c, "<item jid='@b'/>", "<jid-malformed");
    refused(c, "<thing jid='a@b'/>", "<bad-request");
    refused(c, "<item jid='a@b'><group>x</group><group>x</group></item>", "<bad-request");
    refused(c, "<item jid='a@b'><group/></item>", "<not-acceptable");
    sprintf(item, "<item jid='a@b' name='%01024d'/>", 1);
    refused(c, item, "<not-acceptable");
    sprintf(item, "<item jid='a@b'><group>%01024d</group></item>", 1);
    refused(c, item, "<not-acceptable");
    at = item + sprintf(item, "<item jid='a@b'>");
    for (int i = 0; i < 101; i++)
        at += sprintf(at, "<group>%d</group>", i);
    strcpy(at, "</item>");
    refused(c, item, "<not-acceptable");
    get(c, NULL);
    client_expect(c, "<iq type='result' id='g' to='juliet@example.net/balcony'>"
                     "<query xmlns='jabber:iq:roster' ver='0'/></iq>");
}

static void the_longest_is_accepted(void **state)
{
    struct sm_world *w = *state;
    struct client *c = client_online(w, "juliet@example.net/balcony");
    char item[4096], pushed[4096];
    snprintf(item, sizeof item, "<item jid='a@b' name='%01023d'><group>%01023d</group></item>", 1,
             2);
    set(c, item);
    snprintf(pushed, sizeof pushed,
             "<iq type='set' id='*' to='juliet@example.net/balcony'><query "
             "xmlns='jabber:iq:roster' ver='1'>"
             "<item jid='a@b' name='%01023d' "
             "subscription='none'><group>%01023d</group></item></query></iq>",
             1, 2);
    client_expect(c, pushed);
}

static void rosters_have_a_limit(void **state)
{
    struct sm_world *w = *state;
    struct client *c = client_online(w, "juliet@example.net/balcony");
    w->config.sm_max_roster = 10;
    char xml[256];
    for (int i = 0; i < 10; i++) {
        snprintf(xml, sizeof xml, "<item jid='u%d@b'/>", i);
        set(c, xml);
    }
    client_forget(c);
    refused(c, "<item jid='u10@b'/>", "<resource-constraint");
    set(c, "<item jid='u3@b' name='changed'/>"); /* no new one */
    client_expect(c, "<iq type='set' id='*' to='juliet@example.net/balcony'><query "
                     "xmlns='jabber:iq:roster' ver='11'>"
                     "<item jid='u3@b' name='changed' subscription='none'/></query></iq>");
    client_forget(c);
    client_send(c, "<presence type='subscribe' to='new@remote.example'/>");
    assert_non_null(strstr(c->in.texts[c->in.taken], "<resource-constraint"));
    client_forget(c);
    remote_nothing(w);
    /* Requests of strangers have a limit of their own: B 36. */
    for (int i = 0; i < 12; i++) {
        snprintf(xml, sizeof xml,
                 "<presence type='subscribe' from='s%d@remote.example' to='juliet@example.net'/>",
                 i);
        remote_send(w, xml);
    }
    assert_int_equal(c->in.count - c->in.taken, 10);
}

static void
somebody_elses(void **state) /* 2.3.3: forbidden; the same for accounts that do not exist: B 31 */
{
    struct sm_world *w = *state;
    struct client *c = client_online(w, "juliet@example.net/balcony");
    client_online(w, "romeo@example.net/orchard");
    const char *const whose[] = {"romeo", "nobody"};
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++) {
            char xml[256], error[512];
            snprintf(
                xml, sizeof xml,
                "<iq type='%s' id='1' to='%s@example.net'><query xmlns='jabber:iq:roster'/></iq>",
                k ? "set" : "get", whose[i]);
            client_send(c, xml);
            snprintf(
                error, sizeof error,
                "<iq type='error' id='1' from='%s@example.net' to='juliet@example.net/balcony'>"
                "<query xmlns='jabber:iq:roster'/><error type='auth'>"
                "<forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
                whose[i]);
            client_expect(c, error);
        }
}

static void removal_ends_subscriptions(void **state) /* 2.5.2 */
{
    struct sm_world *w = *state;
    struct client *c = client_online(w, "juliet@example.net/balcony");
    client_send(c, "<presence type='subscribe' to='romeo@remote.example'/>");
    remote_send(
        w, "<presence type='subscribed' from='romeo@remote.example' to='juliet@example.net'/>");
    remote_send(w,
                "<presence type='subscribe' from='romeo@remote.example' to='juliet@example.net'/>");
    client_send(c, "<presence type='subscribed' to='romeo@remote.example'/>");
    world_forget(w);
    set_ok(c, "<item jid='romeo@remote.example' subscription='remove'/>", "5",
           "<item jid='romeo@remote.example' subscription='remove'/>");
    remote_expect(
        w, "<presence type='unsubscribe' from='juliet@example.net' to='romeo@remote.example'/>");
    remote_expect(
        w, "<presence type='unsubscribed' from='juliet@example.net' to='romeo@remote.example'/>");
    remote_expect(w, "<presence type='unavailable' from='juliet@example.net/balcony' "
                     "to='romeo@remote.example'/>");
    remote_nothing(w);
}

static void versions(void **state) /* 2.6 */
{
    struct sm_world *w = *state;
    struct client *a = client_online(w, "juliet@example.net/a");
    set(a, "<item jid='one@b'/>");
    set(a, "<item jid='two@b'/>");
    set(a, "<item jid='three@b'/>");
    set(a, "<item jid='two@b' subscription='remove'/>");
    set(a, "<item jid='one@b' name='One'/>");
    world_forget(w);
    struct client *b = client_start(w, "juliet@example.net/b", NULL);
    get(b, "5"); /* the newest */
    client_expect(b, "<iq type='result' id='g' to='juliet@example.net/b'/>");
    client_nothing(b);
    get(b, "2"); /* what came since, in order, the removal too */
    client_expect(b, "<iq type='result' id='g' to='juliet@example.net/b'/>");
    client_expect(
        b,
        "<iq type='set' id='*' to='juliet@example.net/b'><query xmlns='jabber:iq:roster' ver='3'>"
        "<item jid='three@b' subscription='none'/></query></iq>");
    client_expect(
        b,
        "<iq type='set' id='*' to='juliet@example.net/b'><query xmlns='jabber:iq:roster' ver='4'>"
        "<item jid='two@b' subscription='remove'/></query></iq>");
    client_expect(
        b,
        "<iq type='set' id='*' to='juliet@example.net/b'><query xmlns='jabber:iq:roster' ver='5'>"
        "<item jid='one@b' name='One' subscription='none'/></query></iq>");
    client_nothing(b);
    const char *const strange[] = {"", "6", "abc", "-1", "999999999999999999999"};
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
        get(b, strange[i]);
        client_expect(b, "<iq type='result' id='g' to='juliet@example.net/b'><query "
                         "xmlns='jabber:iq:roster' ver='5'>"
                         "<item jid='one@b' name='One' subscription='none'/>"
                         "<item jid='three@b' subscription='none'/></query></iq>");
        client_nothing(b);
    }
}

/* --- the structure alone --- */

static void sorted(void **state)
{
    struct roster r = {.count = 0};
    for (int i = 0; i < 500; i++) {
        char text[32];
        snprintf(text, sizeof text, "u%03d@x", (i * 7) % 500);
        struct jid *jid = jid_parse(str_of(text));
        struct roster_item *item = roster_put(&r, jid);
        assert_ptr_equal(roster_put(&r, jid), item);
        roster_set_hidden(&r, item, i % 2 == 0);
        jid_unref(jid);
    }
    assert_int_equal(r.count, 500);
    assert_int_equal(r.hidden, 250);
    for (uint32_t i = 0; i + 1 < r.count; i++)
        assert_true(str_cmp(jid_full(r.items[i]->jid), jid_full(r.items[i + 1]->jid)) < 0);
    assert_null(roster_find(&r, STR("u500@x")));
    struct roster_item *item = roster_take(&r, STR("u250@x"));
    assert_non_null(item);
    assert_null(roster_find(&r, STR("u250@x")));
    roster_restore(&r, item);
    assert_ptr_equal(roster_find(&r, STR("u250@x")), item);
    roster_finish(&r);
}

int main(void)
{
#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(add_change_remove),
        WORLD_TEST(pushes_go_to_interested_resources),
        WORLD_TEST(what_is_refused),
        WORLD_TEST(the_longest_is_accepted),
        WORLD_TEST(rosters_have_a_limit),
        WORLD_TEST(somebody_elses),
        WORLD_TEST(removal_ends_subscriptions),
        WORLD_TEST(versions),
        cmocka_unit_test(sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
