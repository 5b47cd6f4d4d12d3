/* RFC 6121 section 4 (presence) and section 3 (subscriptions as they are carried out). */
#include "sm_world.h"

/* Both subscribed to each other; nothing unread. */
static void befriend(struct client *a, struct client *b)
{
    char xml[256];
    struct client *pair[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        struct client *from = pair[i], *to = pair[1 - i];
        snprintf(xml, sizeof xml, "<presence type='subscribe' to='%.*s'/>",
                 STR_ARG(jid_bare(to->jid)));
        client_send(from, xml);
        snprintf(xml, sizeof xml, "<presence type='subscribed' to='%.*s'/>",
                 STR_ARG(jid_bare(from->jid)));
        client_send(to, xml);
    }
    world_forget(a->world);
}

/* --- section 3.1: a subscription from beginning to end --- */

static void subscribing(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    struct client *juliet = client_online(w, "juliet@example.net/balcony");
    client_send(romeo, "<presence type='subscribe' to='juliet@example.net/balcony' id='s1'/>");
    client_expect(romeo, "<iq type='set' id='*' to='romeo@example.net/orchard'><query "
                         "xmlns='jabber:iq:roster' "
                         "ver='1'>"
                         "<item jid='juliet@example.net' subscription='none' "
                         "ask='subscribe'/></query></iq>"); /* 3.1.2
                                                             */
    client_expect(
        juliet,
        "<presence type='subscribe' id='s1' from='romeo@example.net' to='juliet@example.net'/>");
    client_nothing(juliet); /* no push for None + Pending In: 3.1.3 */
    client_send(juliet, "<presence type='subscribed' to='romeo@example.net' id='s2'/>");
    client_expect(juliet,
                  "<iq type='set' id='*' to='juliet@example.net/balcony'><query "
                  "xmlns='jabber:iq:roster' ver='2'>"
                  "<item jid='romeo@example.net' subscription='from'/></query></iq>"); /* 3.1.5 */
    client_nothing(juliet);
    client_expect(
        romeo,
        "<presence type='subscribed' id='s2' from='juliet@example.net' to='romeo@example.net'/>");
    /* The presence may come before or behind the push: the push waits for the disk. */
    client_expect_some(
        romeo, "<iq type='set' id='*' to='romeo@example.net/orchard'>"
               "<query xmlns='jabber:iq:roster' ver='2'>"
               "<item jid='juliet@example.net' subscription='to'/></query></iq>"); /* 3.1.6 */
    client_expect_some(romeo,
                       "<presence from='juliet@example.net/balcony' to='romeo@example.net'/>");
    client_nothing(romeo);
}

static void a_second_request_is_not_delivered(void **state) /* A.3.1 */
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    struct client *juliet = client_online(w, "juliet@example.net/balcony");
    client_send(romeo, "<presence type='subscribe' to='juliet@example.net'/>");
    world_forget(w);
    client_send(romeo, "<presence type='subscribe' to='juliet@example.net'/>");
    client_nothing(juliet);
    client_nothing(romeo);
    /* When it is there already, the server answers itself: 3.1.3. */
    client_send(juliet, "<presence type='subscribed' to='romeo@example.net'/>");
    world_forget(w);
    remote_send(
        w,
        "<presence type='subscribed' from='x@remote.example' to='juliet@example.net'/>"); /* B 36 */
    client_nothing(juliet);
}

static void a_request_waits_for_its_answer(void **state) /* 3.1.3, rule 4 */
{
    struct sm_world *w = *state;
    account_action(w, SESSION_CREATE, "juliet@example.net");
    remote_send(
        w,
        "<presence type='subscribe' from='romeo@remote.example/x' to='juliet@example.net' id='1'>"
        "<status>Please!</status></presence>");
    remote_send(
        w,
        "<presence type='subscribe' from='romeo@remote.example' to='juliet@example.net' id='2'/>");
    remote_nothing(w);
    for (int login = 0; login < 2; login++) {
        struct client *juliet = client_start(w, "juliet@example.net/balcony", NULL);
        client_send(juliet, "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
        client_expect(juliet,
                      "<iq type='result' id='r' to='juliet@example.net/balcony'>"
                      "<query xmlns='jabber:iq:roster' ver='1'/></iq>"); /* not an item: 2.1.2.5 */
        client_send(juliet, "<presence/>");
        client_expect(
            juliet,
            "<presence from='juliet@example.net/balcony' to='juliet@example.net/balcony'/>");
        client_expect(
            juliet,
            "<presence type='subscribe' id='1' from='romeo@remote.example' to='juliet@example.net'>"
            "<status>Please!</status></presence>");
        client_nothing(juliet);
        client_end(juliet);
        loop_sim_advance(w->env.loop, 120000); /* unloaded meanwhile: it comes from the store */
        assert_int_equal(world_status(w, "users_loaded"), 0);
    }
    struct client *juliet = client_online(w, "juliet@example.net/balcony");
    client_send(juliet, "<presence type='unsubscribed' to='romeo@remote.example'/>"); /* 3.2.2 */
    remote_expect(
        w, "<presence type='unsubscribed' from='juliet@example.net' to='romeo@remote.example'/>");
    client_nothing(juliet);
    client_end(juliet);
    juliet = client_start(w, "juliet@example.net/balcony", NULL);
    client_send(juliet, "<presence/>");
    client_expect(juliet,
                  "<presence from='juliet@example.net/balcony' to='juliet@example.net/balcony'/>");
    client_nothing(juliet);
}

static void unsubscribing(void **state) /* 3.3 */
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    struct client *juliet = client_online(w, "juliet@example.net/balcony");
    befriend(romeo, juliet);
    client_send(romeo, "<presence type='unsubscribe' to='juliet@example.net'/>");
    client_expect_some(
        romeo, "<iq type='set' id='*' to='romeo@example.net/orchard'>"
               "<query xmlns='jabber:iq:roster' ver='5'>"
               "<item jid='juliet@example.net' subscription='from'/></query></iq>"); /* 3.3.2 */
    client_expect_some(
        romeo,
        "<presence type='unavailable' from='juliet@example.net/balcony' to='romeo@example.net'/>");
    client_nothing(romeo);
    client_expect(
        juliet,
        "<presence type='unsubscribe' from='romeo@example.net' to='juliet@example.net'/>"); /* 3.3.3
                                                                                             */
    client_expect(juliet, "<iq type='set' id='*' to='juliet@example.net/balcony'>"
                          "<query xmlns='jabber:iq:roster' ver='5'>"
                          "<item jid='romeo@example.net' subscription='to'/></query></iq>");
    client_nothing(juliet);
}

static void cancelling(void **state) /* 3.2 */
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    struct client *juliet = client_online(w, "juliet@example.net/balcony");
    befriend(romeo, juliet);
    client_send(juliet, "<presence type='unsubscribed' to='romeo@example.net'/>");
    client_expect(juliet, "<iq type='set' id='*' to='juliet@example.net/balcony'>"
                          "<query xmlns='jabber:iq:roster' ver='5'>"
                          "<item jid='romeo@example.net' subscription='to'/></query></iq>");
    client_nothing(juliet);
    client_expect_some(
        romeo, "<presence type='unsubscribed' from='juliet@example.net' to='romeo@example.net'/>");
    client_expect_some(
        romeo,
        "<presence type='unavailable' from='juliet@example.net/balcony' to='romeo@example.net'/>");
    client_expect_some(romeo, "<iq type='set' id='*' to='romeo@example.net/orchard'>"
                              "<query xmlns='jabber:iq:roster' ver='5'>"
                              "<item jid='juliet@example.net' subscription='from'/></query></iq>");
    client_nothing(romeo);
}

static void pre_approval(void **state) /* 3.4 */
{
    struct sm_world *w = *state;
    struct client *juliet = client_online(w, "juliet@example.net/balcony");
    client_send(juliet, "<presence type='subscribed' to='romeo@remote.example'/>");
    client_expect(
        juliet,
        "<iq type='set' id='*' to='juliet@example.net/balcony'>"
        "<query xmlns='jabber:iq:roster' ver='1'>"
        "<item jid='romeo@remote.example' subscription='none' approved='true'/></query></iq>");
    remote_nothing(w); /* MUST NOT be routed */
    client_send(juliet, "<presence type='subscribed' to='romeo@remote.example'/>");
    client_nothing(juliet);
    remote_send(w,
                "<presence type='subscribe' from='romeo@remote.example' to='juliet@example.net'/>");
    remote_expect(
        w, "<presence type='subscribed' from='juliet@example.net' to='romeo@remote.example'/>");
    remote_expect(w, "<presence from='juliet@example.net/balcony' to='romeo@remote.example'/>");
    client_expect(
        juliet,
        "<iq type='set' id='*' to='juliet@example.net/balcony'>"
        "<query xmlns='jabber:iq:roster' ver='2'>"
        "<item jid='romeo@remote.example' subscription='from' approved='true'/></query></iq>");
    client_nothing(juliet); /* the request itself is not delivered */
    client_send(juliet,
                "<presence type='unsubscribed' to='romeo@remote.example'/>"); /* ends both */
    client_expect(juliet, "<iq type='set' id='*' to='juliet@example.net/balcony'>"
                          "<query xmlns='jabber:iq:roster' ver='3'>"
                          "<item jid='romeo@remote.example' subscription='none'/></query></iq>");
}

static void cancelling_a_pre_approval(void **state) /* 3.4.2 */
{
    struct sm_world *w = *state;
    struct client *juliet = client_online(w, "juliet@example.net/balcony");
    client_send(juliet,
                "<presence type='unsubscribed' to='romeo@remote.example'/>"); /* there is none */
    client_nothing(juliet);
    client_send(juliet, "<presence type='subscribed' to='romeo@remote.example'/>");
    world_forget(w);
    client_send(juliet, "<presence type='unsubscribed' to='romeo@remote.example'/>");
    remote_nothing(w);
    client_expect(juliet, "<iq type='set' id='*' to='juliet@example.net/balcony'>"
                          "<query xmlns='jabber:iq:roster' ver='2'>"
                          "<item jid='romeo@remote.example' subscription='none'/></query></iq>");
}

/* --- section 4.2: initial presence --- */

static void initial_presence(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    struct client *juliet = client_online(w, "juliet@example.net/balcony");
    befriend(romeo, juliet);
    struct client *chamber = client_start(w, "juliet@example.net/chamber", NULL);
    client_nothing(romeo);
    client_send(chamber, "<presence><show>away</show></presence>");
    /* 4.2.2: to the contact, to the other resource and back to itself; then what the newcomer needs
     * to know. */
    client_expect(romeo, "<presence from='juliet@example.net/chamber' "
                         "to='romeo@example.net'><show>away</show></presence>");
    client_expect(juliet,
                  "<presence from='juliet@example.net/chamber' to='juliet@example.net/balcony'>"
                  "<show>away</show></presence>");
    client_expect(chamber,
                  "<presence from='juliet@example.net/chamber' to='juliet@example.net/chamber'>"
                  "<show>away</show></presence>");
    client_expect(chamber,
                  "<presence from='juliet@example.net/balcony' to='juliet@example.net/chamber'/>");
    client_expect(
        chamber,
        "<presence from='romeo@example.net/orchard' to='juliet@example.net/chamber'/>"); /* 4.3 */
    client_nothing(chamber);
    client_nothing(juliet);
    client_nothing(romeo);
    /* 4.4: an update makes no probes. */
    client_send(chamber, "<presence><show>dnd</show></presence>");
    client_expect(romeo, "<presence from='juliet@example.net/chamber' "
                         "to='romeo@example.net'><show>dnd</show></presence>");
    client_expect(juliet,
                  "<presence from='juliet@example.net/chamber' to='juliet@example.net/balcony'>"
                  "<show>dnd</show></presence>");
    client_expect(chamber,
                  "<presence from='juliet@example.net/chamber' to='juliet@example.net/chamber'>"
                  "<show>dnd</show></presence>");
    client_nothing(chamber);
}

static void priorities(void **state) /* 4.7.2.3 */
{
    struct sm_world *w = *state;
    struct client *romeo = client_start(w, "romeo@example.net/orchard", NULL);
    const char *const bad[] = {"128", "-129", "x", "", "1.5", "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char xml[128];
        snprintf(xml, sizeof xml, "<presence id='p'><priority>%s</priority></presence>", bad[i]);
        client_send(romeo, xml);
        assert_non_null(strstr(romeo->in.texts[romeo->in.count - 1], "<bad-request"));
        client_forget(romeo);
    }
    client_send(romeo, "<presence><priority>-128</priority></presence>");
    client_expect(romeo,
                  "<presence from='romeo@example.net/orchard' to='romeo@example.net/orchard'>"
                  "<priority>-128</priority></presence>");
}

/* --- 4.3: probes --- */

static void probes(void **state)
{
    struct sm_world *w = *state;
    struct client *juliet = client_online(w, "juliet@example.net/balcony");
    remote_send(w,
                "<presence type='probe' from='romeo@remote.example/x' to='juliet@example.net'/>");
    remote_expect(
        w, "<presence type='unsubscribed' from='juliet@example.net' to='romeo@remote.example'/>");
    remote_send(
        w,
        "<presence type='probe' from='romeo@remote.example/x' to='nobody@example.net'/>"); /* B 31
                                                                                            */
    remote_expect(
        w, "<presence type='unsubscribed' from='nobody@example.net' to='romeo@remote.example'/>");
    client_send(juliet, "<presence type='subscribed' to='romeo@remote.example'/>");
    remote_send(w,
                "<presence type='subscribe' from='romeo@remote.example' to='juliet@example.net'/>");
    world_forget(w);
    remote_send(w,
                "<presence type='probe' from='romeo@remote.example/x' to='juliet@example.net'/>");
    remote_expect(w, "<presence from='juliet@example.net/balcony' to='romeo@remote.example/x'/>");
    client_nothing(juliet);
    client_end(juliet);
    world_forget(w);
    remote_send(w,
                "<presence type='probe' from='romeo@remote.example/x' to='juliet@example.net'/>");
    remote_expect(
        w, "<presence type='unavailable' from='juliet@example.net' to='romeo@remote.example/x'/>");
}

static void probes_are_sent_for_the_newcomer(void **state) /* 4.3.1 */
{
    struct sm_world *w = *state;
    struct client *juliet = client_online(w, "juliet@example.net/balcony");
    client_send(juliet, "<presence type='subscribe' to='romeo@remote.example'/>");
    remote_send(
        w, "<presence type='subscribed' from='romeo@remote.example' to='juliet@example.net'/>");
    client_end(juliet);
    world_forget(w);
    juliet = client_start(w, "juliet@example.net/balcony", NULL);
    client_send(juliet, "<presence/>");
    remote_expect(
        w, "<presence type='probe' from='juliet@example.net/balcony' to='romeo@remote.example'/>");
    remote_nothing(w);
    remote_send(w, "<presence from='romeo@remote.example/x' to='juliet@example.net/balcony'/>");
    client_expect_some(juliet,
                       "<presence from='romeo@remote.example/x' to='juliet@example.net/balcony'/>");
}

/* --- 4.5: unavailable --- */

static void unavailable(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    struct client *balcony = client_online(w, "juliet@example.net/balcony");
    struct client *chamber = client_online(w, "juliet@example.net/chamber");
    befriend(romeo, balcony);
    client_send(chamber, "<presence type='unavailable'><status>Night</status></presence>");
    client_expect(
        romeo,
        "<presence type='unavailable' from='juliet@example.net/chamber' to='romeo@example.net'>"
        "<status>Night</status></presence>");
    client_expect(balcony, "<presence type='unavailable' from='juliet@example.net/chamber' "
                           "to='juliet@example.net/balcony'><status>Night</status></presence>");
    client_expect(chamber, "<presence type='unavailable' from='juliet@example.net/chamber' "
                           "to='juliet@example.net/chamber'><status>Night</status></presence>");
    client_send(chamber, "<presence type='unavailable'/>"); /* was already */
    client_nothing(romeo);
    client_end(chamber);
    client_nothing(romeo);
    client_end(balcony); /* without a word: the server says it */
    client_expect(
        romeo,
        "<presence type='unavailable' from='juliet@example.net/balcony' to='romeo@example.net'/>");
    client_nothing(romeo);
}

/* --- 4.6: directed --- */

static void directed(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    client_send(romeo, "<presence to='room@remote.example/nick'><x "
                       "xmlns='http://jabber.org/protocol/muc'/></presence>");
    remote_expect(w, "<presence from='romeo@example.net/orchard' to='room@remote.example/nick'>"
                     "<x xmlns='http://jabber.org/protocol/muc'/></presence>");
    client_send(romeo, "<presence to='other@remote.example'/>");
    client_send(romeo, "<presence type='unavailable' to='other@remote.example'/>");
    world_forget(w);
    client_send(romeo, "<presence><show>away</show></presence>"); /* updates are not for them */
    remote_nothing(w);
    client_send(romeo, "<presence type='unavailable'/>");
    remote_expect(w, "<presence type='unavailable' from='romeo@example.net/orchard' "
                     "to='room@remote.example/nick'/>");
    remote_nothing(w);
    client_end(romeo);
    remote_nothing(w);
}

static void directed_without_initial_presence(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_start(w, "romeo@example.net/orchard", NULL);
    client_send(romeo, "<presence to='b@remote.example'/>");
    client_send(romeo, "<presence to='a@remote.example'/>");
    client_send(romeo, "<presence to='a@remote.example'/>");
    client_send(romeo, "<presence to='c@remote.example'/>");
    client_send(romeo, "<presence to='c@remote.example' type='unavailable'/>");
    world_forget(w);
    client_end(romeo);
    remote_expect(
        w, "<presence type='unavailable' from='romeo@example.net/orchard' to='a@remote.example'/>");
    remote_expect(
        w, "<presence type='unavailable' from='romeo@example.net/orchard' to='b@remote.example'/>");
    remote_nothing(w);
}

static void directed_has_a_limit(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    char xml[128];
    for (int i = 0; i < 1000; i++) {
        snprintf(xml, sizeof xml, "<presence to='r%d@remote.example/n'/>", (i * 7919) % 1000);
        client_send(romeo, xml);
    }
    client_nothing(romeo);
    client_send(romeo, "<presence to='more@remote.example/n'/>");
    assert_non_null(strstr(romeo->in.texts[romeo->in.taken], "<resource-constraint"));
    world_forget(w);
    for (int i = 0; i < 1000; i += 2) {
        snprintf(xml, sizeof xml, "<presence type='unavailable' to='r%d@remote.example/n'/>", i);
        client_send(romeo, xml);
    }
    client_send(romeo, "<presence to='more@remote.example/n'/>");
    world_forget(w);
    client_end(romeo);
    assert_int_equal(w->from_sm.count - w->from_sm.taken, 501);
}

static void arriving(void **state) /* 8.5.2.1.2, 8.5.3 */
{
    struct sm_world *w = *state;
    struct client *a = client_online(w, "romeo@example.net/a");
    struct client *b = client_start(w, "romeo@example.net/b", NULL);
    remote_send(w, "<presence from='x@remote.example/r' to='romeo@example.net'/>");
    client_expect(a, "<presence from='x@remote.example/r' to='romeo@example.net'/>");
    client_nothing(b);
    remote_send(w, "<presence from='x@remote.example/r' to='romeo@example.net/b' type='error'/>");
    client_expect(b, "<presence from='x@remote.example/r' to='romeo@example.net/b' type='error'/>");
    remote_send(w, "<presence from='x@remote.example/r' to='romeo@example.net' type='error'/>");
    remote_send(w, "<presence from='x@remote.example/r' to='romeo@example.net/none'/>");
    client_nothing(a);
    client_nothing(b);
}

static void nonsense(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    client_send(romeo, "<presence type='hello' id='1'/>");
    assert_non_null(strstr(romeo->in.texts[romeo->in.taken], "<bad-request"));
    client_forget(romeo);
    client_send(romeo, "<presence type='subscribe' id='1'/>");
    assert_non_null(strstr(romeo->in.texts[romeo->in.taken], "<bad-request"));
    client_forget(romeo);
    client_send(romeo, "<presence type='error'/>");
    client_send(romeo, "<presence type='subscribe' to='romeo@example.net'/>");
    client_nothing(romeo);
}

/* --- sessions --- */

static void a_resource_is_replaced(void **state) /* RFC 6120 section 7.7.2.2 */
{
    struct sm_world *w = *state;
    struct client *old = client_online(w, "romeo@example.net/orchard");
    struct client *new = client_start(w, "romeo@example.net/orchard", NULL);
    assert_true(new->up);
    assert_int_equal(old->last, SESSION_REPLACED);
    assert_int_equal(world_status(w, "sessions"), 1);
    w->config.c2s_conflict = "refuse";
    struct client *third = client_start(w, "romeo@example.net/orchard", NULL);
    assert_false(third->up);
    assert_true(third->failed);
    assert_string_equal(third->reason, "conflict");
    assert_int_equal(third->last, SESSION_START);
}

static void resources_have_a_limit(void **state) /* reliability.md B 24 */
{
    struct sm_world *w = *state;
    w->config.sm_max_resources = 2;
    client_online(w, "romeo@example.net/a");
    client_online(w, "romeo@example.net/b");
    struct client *c = client_start(w, "romeo@example.net/c", NULL);
    assert_true(c->failed);
    assert_string_equal(c->reason, "resource-constraint");
}

static void an_account_goes(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    struct client *juliet = client_online(w, "juliet@example.net/balcony");
    befriend(romeo, juliet);
    account_action(w, SESSION_DELETE, "romeo@example.net");
    assert_true(w->answered);
    assert_int_equal(w->answer, SESSION_DELETED);
    assert_false(w->answer_failed);
    assert_int_equal(romeo->last, SESSION_ENDED);
    assert_string_equal(romeo->reason, "not-authorized");
    client_expect_some(
        juliet,
        "<presence type='unavailable' from='romeo@example.net/orchard' to='juliet@example.net'/>");
    client_expect_some(
        juliet, "<presence type='unsubscribe' from='romeo@example.net' to='juliet@example.net'/>");
    client_expect_some(
        juliet, "<presence type='unsubscribed' from='romeo@example.net' to='juliet@example.net'/>");
    client_forget(juliet);
    client_send(juliet, "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
    client_expect(juliet, "<iq type='result' id='r' to='juliet@example.net/balcony'>"
                          "<query xmlns='jabber:iq:roster' ver='6'>"
                          "<item jid='romeo@example.net' subscription='none'/></query></iq>");
    romeo = client_start(w, "romeo@example.net/orchard",
                         NULL); /* a new one of that name finds nothing */
    client_send(romeo, "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
    client_expect(romeo, "<iq type='result' id='r' to='romeo@example.net/orchard'>"
                         "<query xmlns='jabber:iq:roster' ver='0'/></iq>");
}

static bool is_leaving(struct sm_world *w, const char *jid)
{
    json_t *request = json_pack("{s:s, s:s}", "command", "user-leaving", "jid", jid);
    json_t *answer = w->sm->ops->command(w->sm, request);
    bool leaving = json_integer_value(json_object_get(answer, "leaving")) == 1;
    json_decref(request);
    json_decref(answer);
    return leaving;
}

static void an_account_goes_by_command(void **state) /* jackdaw user del on a running server */
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    struct client *juliet = client_online(w, "juliet@example.net/balcony");
    befriend(romeo, juliet);
    json_t *request = json_pack("{s:s, s:s}", "command", "user-gone", "jid", "romeo@example.net");
    json_t *answer = w->sm->ops->command(w->sm, request);
    assert_true(json_is_true(json_object_get(answer, "ok")));
    json_decref(request);
    json_decref(answer);
    assert_true(is_leaving(w, "romeo@example.net")); /* its rows are still wanted */
    assert_false(is_leaving(w, "nobody@example.net"));
    world_settle(w);
    assert_false(is_leaving(w, "romeo@example.net"));
    assert_int_equal(romeo->last, SESSION_ENDED);
    client_expect_some(
        juliet, "<presence type='unsubscribed' from='romeo@example.net' to='juliet@example.net'/>");
    request = json_pack("{s:s}", "command", "status");
    assert_null(w->sm->ops->command(w->sm, request)); /* not ours */
    json_decref(request);
}

static void an_unknown_session_is_started_again(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    session_id_make(&romeo->sm, w->env.random);
    client_send(romeo, "<message to='x@remote.example' id='1'><body>hi</body></message>");
    assert_int_equal(romeo->last, SESSION_ENDED);
    assert_string_equal(romeo->reason, "system-shutdown");
    assert_non_null(strstr(romeo->in.texts[romeo->in.taken], "<recipient-unavailable"));
    remote_nothing(w);
}

static void a_resumed_session_wants_pushes(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_start(w, "romeo@example.net/orchard", "resumed");
    client_send(
        romeo,
        "<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='a@b'/></query></iq>");
    client_expect(romeo, "<iq type='set' id='*' to='romeo@example.net/orchard'>"
                         "<query xmlns='jabber:iq:roster' ver='1'><item jid='a@b' "
                         "subscription='none'/></query></iq>");
}

int main(void)
{
#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(subscribing),
        WORLD_TEST(a_second_request_is_not_delivered),
        WORLD_TEST(a_request_waits_for_its_answer),
        WORLD_TEST(unsubscribing),
        WORLD_TEST(cancelling),
        WORLD_TEST(pre_approval),
        WORLD_TEST(cancelling_a_pre_approval),
        WORLD_TEST(initial_presence),
        WORLD_TEST(priorities),
        WORLD_TEST(probes),
        WORLD_TEST(probes_are_sent_for_the_newcomer),
        WORLD_TEST(unavailable),
        WORLD_TEST(directed),
        WORLD_TEST(directed_without_initial_presence),
        WORLD_TEST(directed_has_a_limit),
        WORLD_TEST(arriving),
        WORLD_TEST(nonsense),
        WORLD_TEST(a_resource_is_replaced),
        WORLD_TEST(resources_have_a_limit),
        WORLD_TEST(an_account_goes),
        WORLD_TEST(an_account_goes_by_command),
        WORLD_TEST(an_unknown_session_is_started_again),
        WORLD_TEST(a_resumed_session_wants_pushes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
