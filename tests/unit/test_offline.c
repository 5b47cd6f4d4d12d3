/* Offline messages: XEP-0160, XEP-0203, XEP-0334 - which, in what order, none lost, none twice. */
#include "sm_world.h"

#include "sm/offline.h"

#define DELAY(stamp)                                                                               \
    "<delay xmlns='urn:xmpp:delay' from='example.net' stamp='" stamp "'>Offline Storage</delay>"

static void say(struct client *c, const char *to, int n)
{
    char xml[256];
    snprintf(xml, sizeof xml, "<message type='chat' to='%s' id='m%d'><body>%d</body></message>", to,
             n, n);
    client_send(c, xml);
}

/* The numbers of the messages the client got and has not looked at, in order. */
static size_t numbers(struct client *c, int *ret, size_t max)
{
    size_t count = 0;
    while (c->in.taken < c->in.count) {
        const char *body = strstr(c->in.texts[c->in.taken++], "<body>");
        if (body) {
            assert_true(count < max);
            ret[count++] = (int)strtol(body + 6, NULL, 10);
        }
    }
    return count;
}

static void expect_run(struct client *c, int first, int last)
{
    static int got[2000];
    size_t count = numbers(c, got, 2000);
    assert_int_equal(count, last - first + 1);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(got[i], first + (int)i);
}

static void kept_and_delivered(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    account_action(w, SESSION_CREATE, "juliet@example.net");
    client_send(
        romeo, "<message to='juliet@example.net' id='1' xml:lang='it'><body>Ciao</body></message>");
    loop_sim_advance(w->env.loop, 60000);
    client_send(
        romeo,
        "<message type='chat' to='juliet@example.net/gone' id='2'><body>Hi</body></message>");
    client_nothing(romeo);
    loop_sim_advance(w->env.loop, 3600000); /* unloaded meanwhile */
    struct client *juliet = client_start(w, "juliet@example.net/balcony", NULL);
    client_nothing(juliet);
    client_send(juliet,
                "<presence><priority>-1</priority></presence>"); /* not with a negative priority */
    client_forget(juliet);
    client_nothing(juliet);
    client_send(juliet, "<presence/>");
    client_expect(juliet,
                  "<presence from='juliet@example.net/balcony' to='juliet@example.net/balcony'/>");
    client_expect(
        juliet,
        "<message from='romeo@example.net/orchard' to='juliet@example.net' id='1' xml:lang='it'>"
        "<body>Ciao</body>" DELAY("2026-01-01T00:00:00Z") "</message>");
    client_expect(
        juliet,
        "<message from='romeo@example.net/orchard' to='juliet@example.net/gone' id='2' type='chat'>"
        "<body>Hi</body>" DELAY("2026-01-01T00:01:00Z") "</message>");
    client_nothing(juliet);
    client_end(juliet);
    juliet = client_online(w, "juliet@example.net/balcony"); /* and not again */
    for (size_t i = 0; i < juliet->in.count; i++)
        assert_null(strstr(juliet->in.texts[i], "<message"));
}

static void order_over_many_pages(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    account_action(w, SESSION_CREATE, "juliet@example.net");
    for (int i = 1; i <= 350; i++)
        say(romeo, "juliet@example.net", i);
    struct client *juliet = client_online(w, "juliet@example.net/balcony");
    juliet->in.taken = 0;
    expect_run(juliet, 1, 350);
    say(romeo, "juliet@example.net", 351);
    expect_run(juliet, 351, 351);
    assert_int_equal(world_status(w, "offline_delivered"), 350);
}

/* Puts a packet on its way without letting the world run. */
static void post(struct client *c, const char *body)
{
    struct builder *b = builder_create(STR("message"), STR("jabber:client"));
    builder_attr(b, STR("to"), STR("juliet@example.net"));
    builder_attr(b, STR("type"), STR("chat"));
    builder_leaf(b, STR("body"), STR_NULL, str_of(body));
    struct packet *p = packet_create(PACKET_STANZA, STR("sm"), STR("c2s"));
    p->stanza = builder_finish(b);
    p->c2s = c->c2s;
    p->sm = c->sm;
    link_send(c->world->c2s, p);
}

static void post_presence(struct client *c)
{
    struct packet *p = packet_create(PACKET_STANZA, STR("sm"), STR("c2s"));
    p->stanza = builder_finish(builder_create(STR("presence"), STR("jabber:client")));
    p->c2s = c->c2s;
    p->sm = c->sm;
    link_send(c->world->c2s, p);
}

static void what_comes_during_the_flush_waits(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    account_action(w, SESSION_CREATE, "juliet@example.net");
    for (int i = 1; i <= 250; i++)
        say(romeo, "juliet@example.net", i);
    struct client *juliet = client_start(w, "juliet@example.net/balcony", NULL);
    char text[16];
    post_presence(juliet);
    for (int i = 251; i <= 260; i++) {
        snprintf(text, sizeof text, "%d", i);
        post(romeo, text);
        loop_sim_turn(w->env.loop); /* some in each stage of the flush */
    }
    world_settle(w);
    expect_run(juliet, 1, 260);
}

static void two_come_at_once(void **state)
{
    struct sm_world *w = *state;
    static int got[2000];
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    account_action(w, SESSION_CREATE, "juliet@example.net");
    for (int i = 1; i <= 250; i++)
        say(romeo, "juliet@example.net", i);
    struct client *a = client_start(w, "juliet@example.net/a", NULL);
    struct client *b = client_start(w, "juliet@example.net/b", NULL);
    post_presence(a);
    post_presence(b);
    world_settle(w);
    expect_run(a, 1, 250); /* one of them gets all */
    assert_int_equal(numbers(b, got, 2000), 0);
}

static void end_now(struct client *c)
{
    struct packet *p = packet_create_session(STR("sm"), STR("c2s"), SESSION_END, c->jid, STR_NULL);
    p->c2s = c->c2s;
    p->sm = c->sm;
    link_send(c->world->c2s, p);
}

/* What the session got stays got, the rest is for the next one. */
static void the_session_dies_in_the_middle(void **state)
{
    struct sm_world *w = *state;
    static int got[2000];
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    account_action(w, SESSION_CREATE, "juliet@example.net");
    for (int i = 1; i <= 450; i++)
        say(romeo, "juliet@example.net", i);
    struct client *a = client_start(w, "juliet@example.net/a", NULL);
    post_presence(a);
    while (a->in.count < 150)
        assert_true(loop_sim_turn(w->env.loop));
    end_now(a);
    post(romeo, "451");
    world_settle(w);
    size_t count = numbers(a, got, 2000);
    assert_true(count >= 100 && count < 450);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(got[i], i + 1);
    struct client *b = client_online(w, "juliet@example.net/b");
    b->in.taken = 0;
    expect_run(b, (int)count + 1, 451);
}

/* The c2s gives back what its client did not get: it returns to its old place, before what came
 * later. */
static void what_comes_back_keeps_its_place(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    account_action(w, SESSION_CREATE, "juliet@example.net");
    for (int i = 1; i <= 150; i++)
        say(romeo, "juliet@example.net", i);
    struct client *a = client_start(w, "juliet@example.net/a", NULL);
    post_presence(a);
    while (a->in.count < 60)
        assert_true(loop_sim_turn(w->env.loop));
    end_now(a);
    world_settle(w);
    /* As c2s does it: the stanza as it came, by the sm's name, from its own. */
    for (size_t i = 1; i < a->in.count; i++) {
        struct stanza *s = parser_document(w->env.parsers, str_of(a->in.texts[i]),
                                           &(struct parser_limits){.stanza_bytes = 100000,
                                                                   .depth = 9,
                                                                   .attributes = 9,
                                                                   .namespaces = 9,
                                                                   .children = 99},
                                           &(enum parser_status){0});
        assert_non_null(s);
        struct builder *b = builder_create(STR("message"), STR("jabber:client"));
        const char *const names[] = {"type", "to", "id", "from"};
        for (int k = 0; k < 4; k++)
            builder_attr(b, str_of(names[k]), stanza_attr(s, STANZA_ROOT, str_of(names[k])));
        builder_leaf(b, STR("body"), STR_NULL, stanza_text(s, stanza_first(s, STANZA_ROOT)));
        builder_copy(b, s, stanza_next(s, stanza_first(s, STANZA_ROOT)));
        stanza_unref(s);
        struct packet *p = packet_create(PACKET_STANZA, STR("sm"), STR("c2s"));
        p->stanza = builder_finish(b);
        link_send(w->c2s, p);
    }
    post(romeo, "151");
    world_settle(w);
    struct client *b = client_online(w, "juliet@example.net/b");
    b->in.taken = 0;
    expect_run(b, 1, 151);
}

static void a_live_message_comes_back(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    struct client *juliet = client_online(w, "juliet@example.net/a");
    say(romeo, "juliet@example.net", 1);
    assert_int_equal(juliet->in.count - juliet->in.taken, 1);
    client_end(juliet);
    client_forget(juliet);
    struct packet *p = packet_create(PACKET_STANZA, STR("sm"), STR("c2s"));
    struct builder *b = builder_create(STR("message"), STR("jabber:client"));
    builder_leaf(b, STR("body"), STR_NULL, STR("1"));
    p->stanza = builder_finish(b);
    p->from = jid_ref(romeo->jid);
    p->to = jid_to_bare(juliet->jid);
    link_send(w->c2s, p);
    world_settle(w);
    assert_int_equal(world_status(w, "offline_stored"), 1);
    juliet = client_online(w, "juliet@example.net/b");
    juliet->in.taken = 0;
    expect_run(juliet, 1, 1);
}

static void quota(void **state) /* RFC 6121 section 8.5.2.2.1, reliability.md B 42 */
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    account_action(w, SESSION_CREATE, "juliet@example.net");
    w->config.sm_max_offline = 3;
    for (int i = 1; i <= 3; i++)
        say(romeo, "juliet@example.net", i);
    client_nothing(romeo);
    say(romeo, "juliet@example.net", 4);
    client_expect(
        romeo,
        "<message type='error' id='m4' from='juliet@example.net' to='romeo@example.net/orchard'>"
        "<body>4</body><error type='cancel' by='example.net'>"
        "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>");
    struct client *juliet = client_online(w, "juliet@example.net/balcony");
    juliet->in.taken = 0;
    expect_run(juliet, 1, 3);
    w->config.sm_max_offline = 0;
    client_end(juliet);
    say(romeo, "juliet@example.net", 5);
    assert_non_null(strstr(romeo->in.texts[romeo->in.taken], "<service-unavailable"));
}

static void messages_of_a_removed_account_go_back(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    account_action(w, SESSION_CREATE, "juliet@example.net");
    for (int i = 1; i <= 150; i++)
        say(romeo, "juliet@example.net", i);
    client_nothing(romeo);
    account_action(w, SESSION_DELETE, "juliet@example.net");
    assert_int_equal(w->answer, SESSION_DELETED);
    assert_int_equal(romeo->in.count - romeo->in.taken, 150);
    for (size_t i = romeo->in.taken; i < romeo->in.count; i++)
        assert_non_null(strstr(romeo->in.texts[i], "<service-unavailable"));
    client_forget(romeo);
    struct client *juliet = client_online(w, "juliet@example.net/balcony");
    juliet->in.taken = 0;
    static int got[10];
    assert_int_equal(numbers(juliet, got, 10), 0);
}

static void keep(struct sm_world *w, const char *inner, bool expected)
{
    char xml[1024];
    static const struct parser_limits limits = {
        .stanza_bytes = 4096, .depth = 9, .attributes = 9, .namespaces = 9, .children = 99};
    enum parser_status status;
    snprintf(xml, sizeof xml, "<message xmlns='jabber:client'>%s</message>", inner);
    struct stanza *s = parser_document(w->env.parsers, str_of(xml), &limits, &status);
    assert_non_null(s);
    if (offline_keeps(s) != expected)
        fail_msg("%s", inner);
    stanza_unref(s);
}

static void which_are_kept(void **state) /* XEP-0160 section 3, XEP-0334 */
{
    struct sm_world *w = *state;
    keep(w, "<body>hi</body>", true);
    keep(w, "<body>hi</body><active xmlns='http://jabber.org/protocol/chatstates'/>", true);
    keep(w, "<composing xmlns='http://jabber.org/protocol/chatstates'/>", false);
    keep(w, "<composing xmlns='http://jabber.org/protocol/chatstates'/><thread>1</thread>", false);
    keep(w, "<received xmlns='urn:xmpp:receipts' id='1'/>", true);
    keep(w, "<body>hi</body><no-store xmlns='urn:xmpp:hints'/>", false);
    keep(w,
         "<paused xmlns='http://jabber.org/protocol/chatstates'/><store xmlns='urn:xmpp:hints'/>",
         true);
    keep(w, "", false);
}

static void not_kept_is_dropped(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    account_action(w, SESSION_CREATE, "juliet@example.net");
    client_send(romeo, "<message type='chat' to='juliet@example.net'>"
                       "<composing xmlns='http://jabber.org/protocol/chatstates'/></message>");
    client_nothing(romeo);
    assert_int_equal(world_status(w, "offline_stored"), 0);
}

int main(void)
{
#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(kept_and_delivered),
        WORLD_TEST(order_over_many_pages),
        WORLD_TEST(what_comes_during_the_flush_waits),
        WORLD_TEST(two_come_at_once),
        WORLD_TEST(the_session_dies_in_the_middle),
        WORLD_TEST(what_comes_back_keeps_its_place),
        WORLD_TEST(a_live_message_comes_back),
        WORLD_TEST(quota),
        WORLD_TEST(messages_of_a_removed_account_go_back),
        WORLD_TEST(which_are_kept),
        WORLD_TEST(not_kept_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
