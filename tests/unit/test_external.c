/* External components (XEP-0114) at the router: a script that speaks as one, over the simulated
 * network, and components of ours on the other side. */
#include "router_world.h"
#include "xmpp/handshake.h"

struct script {
    struct conn *conn;
    struct buffer in;
    bool closed;
};

static void script_data(void *owner, const char *bytes, size_t len)
{
    assert_true(buffer_add(&((struct script *)owner)->in, bytes, len));
}

static void script_close(void *owner, enum error e, const char *why)
{
    ((struct script *)owner)->closed = true;
}

static const struct conn_events script_events = {.on_data = script_data, .on_close = script_close};

static void dial(struct world *w, struct script *s)
{
    struct net_address at = {.ip = "127.0.0.1", .port = 5347};

    *s = (struct script){0};
    buffer_init(&s->in, 1 << 22);
    s->conn = conn_connect(w->env.net, &at, &script_events, s);
    loop_sim_advance(w->env.loop, 200);
}

static void hang_up(struct world *w, struct script *s)
{
    conn_close(s->conn, 0);
    s->conn = NULL;
    buffer_finish(&s->in);
    loop_sim_advance(w->env.loop, 200);
}

static void say(struct world *w, struct script *s, const char *text)
{
    buffer_clear(&s->in);
    assert_int_equal(conn_write(s->conn, text, strlen(text)), ERR_OK);
    loop_sim_advance(w->env.loop, 400);
}

static bool has(const struct script *s, const char *text)
{
    struct str in = buffer_str(&s->in);

    return memmem(in.data, in.len, text, strlen(text)) != NULL;
}

static void heard(const struct script *s, const char *text)
{
    if (!has(s, text))
        fail_msg("\"%.*s\" holds no \"%s\"", STR_ARG(buffer_str(&s->in)), text);
}

#define HEADER(to)                                                                                 \
    "<stream:stream xmlns='jabber:component:accept' "                                              \
    "xmlns:stream='http://etherx.jabber.org/streams'" to ">"

static void shake(struct world *w, struct script *s, const char *secret)
{
    struct str in = buffer_str(&s->in);
    const char *id = memmem(in.data, in.len, "id='", 4);
    char text[] = "<handshake>----------------------------------------</handshake>";

    assert_non_null(id);
    assert_true(handshake_make((struct str){id + 4, 26}, str_of(secret), text + 11));
    say(w, s, text);
}

static void come(struct world *w, struct script *s)
{
    dial(w, s);
    say(w, s, HEADER(" to='irc.x.test'"));
    heard(s, "<stream:stream xmlns='jabber:component:accept' "
             "xmlns:stream='http://etherx.jabber.org/streams' from='irc.x.test' id='");
    shake(w, s, "secret:with:colons");
    heard(s, "<handshake/>");
}

static char *components[] = {"IRC.x.test:secret:with:colons", "b\xc3\xbc"
                                                              "cher.test:other"};

static int setup_externals(void **state)
{
    struct world *w;

    (void)setup(state);
    w = *state;
    w->config.router_components = (struct config_list){components, 2};
    w->config.router_max_stanza = 20000;
    assert_int_equal(component_reload(w->router), ERR_OK);
    return 0;
}

/* --- the way in --- */

static void the_handshake_of_the_specification(void **state)
{
    char out[HANDSHAKE_LEN];

    /* sha1("3BF96D32" "test") */
    assert_true(handshake_make(STR("3BF96D32"), STR("test"), out));
    assert_memory_equal(out, "aaee83c26aeeafcbabeabfcbcd50df997e0a2a1e", HANDSHAKE_LEN);
    assert_true(handshake_check(STR("3BF96D32"), STR("test"), (struct str){out, sizeof(out)}));
    assert_false(handshake_check(STR("3BF96D32"), STR("test"), (struct str){out, 39}));
    assert_false(handshake_check(STR("3BF96D33"), STR("test"), (struct str){out, sizeof(out)}));
    assert_false(handshake_check(STR("3BF96D32"), STR("tesT"), (struct str){out, sizeof(out)}));
    assert_false(handshake_check(STR("3BF96D32"), STR("test"), STR_NULL));
}

static void comes_and_goes(void **state)
{
    struct world *w = *state;
    struct fake *sm = attach(w, "sm");
    struct script s;

    bound(w, sm, "x.test");
    come(w, &s);
    expect_presence(sm, "irc.x.test", true);
    say(w, &s, "</stream:stream>");
    heard(&s, "</stream:stream>");
    assert_true(s.closed);
    expect_presence(sm, "irc.x.test", false);
    hang_up(w, &s);
    come(w, &s); /* and again */
    expect_presence(sm, "irc.x.test", true);
    hang_up(w, &s);
    expect_presence(sm, "irc.x.test", false);
}

static void refused(struct world *w, const char *text, const char *condition)
{
    struct script s;

    dial(w, &s);
    say(w, &s, text);
    heard(&s, condition);
    heard(&s, "</stream:stream>");
    assert_true(s.closed);
    hang_up(w, &s);
}

static void wrong_headers(void **state)
{
    struct world *w = *state;

    refused(w, HEADER(""), "<improper-addressing");
    refused(w, HEADER(" to='a b'"), "<improper-addressing");
    refused(w, HEADER(" to='icq.x.test'"), "<host-unknown");
    refused(w, HEADER(" to='x.test'"), "<host-unknown");
    refused(w,
            "<stream:stream xmlns='jabber:component:connect' to='irc.x.test' "
            "xmlns:stream='http://etherx.jabber.org/streams'>",
            "<invalid-namespace");
    refused(w,
            "<stream:stream xmlns='jabber:client' to='irc.x.test' version='1.0' "
            "xmlns:stream='http://etherx.jabber.org/streams'>",
            "<invalid-namespace");
}

static void before_the_handshake(void **state)
{
    struct world *w = *state;
    struct fake *sm = attach(w, "sm");

    bound(w, sm, "x.test");
    refused(w, HEADER(" to='irc.x.test'") "<message from='irc.x.test' to='a@x.test'/>",
            "<not-authorized");
    refused(w, HEADER(" to='irc.x.test'") "<handshake/>", "<not-authorized");
    refused(w, HEADER(" to='irc.x.test'") "<handshake xmlns='urn:other'>x</handshake>",
            "<not-authorized");
    refused(w, HEADER(" to='irc.x.test'") "<!-- -->", "<restricted-xml");
    nothing_more(sm);
}

static void a_wrong_handshake(void **state)
{
    struct world *w = *state;
    struct script s;

    dial(w, &s);
    say(w, &s, HEADER(" to='irc.x.test'"));
    shake(w, &s, "other");
    heard(&s, "<not-authorized");
    assert_true(s.closed);
    assert_false(has(&s, "<handshake/>"));
    hang_up(w, &s);
}

/* Each stream has an id of its own, so what was right once is wrong the next time. */
static void a_replayed_handshake(void **state)
{
    struct world *w = *state;
    struct script s;
    char text[] = "<handshake>----------------------------------------</handshake>";
    char first[27] = "";

    for (int round = 0; round < 2; round++) {
        dial(w, &s);
        say(w, &s, HEADER(" to='irc.x.test'"));
        struct str in = buffer_str(&s.in);
        const char *id = (const char *)memmem(in.data, in.len, "id='", 4) + 4;
        assert_memory_not_equal(id, first, 26);
        if (round == 0) {
            memcpy(first, id, 26);
            assert_true(handshake_make(str_of(first), STR("secret:with:colons"), text + 11));
        }
        say(w, &s, text);
        heard(&s, round == 0 ? "<handshake/>" : "<not-authorized");
        hang_up(w, &s);
    }
}

static void ten_seconds(void **state)
{
    struct world *w = *state;
    struct script s;

    dial(w, &s);
    say(w, &s, HEADER(" to='irc.x.test'"));
    loop_sim_advance(w->env.loop, 10000);
    heard(&s, "<connection-timeout");
    hang_up(w, &s);
}

static void secrets_are_read_anew(void **state)
{
    struct world *w = *state;
    struct script s;
    static char *changed[] = {"irc.x.test:changed"};

    dial(w, &s);
    say(w, &s, HEADER(" to='irc.x.test'"));
    w->config.router_components = (struct config_list){changed, 1};
    assert_int_equal(component_reload(w->router), ERR_OK);
    shake(w, &s, "changed");
    heard(&s, "<handshake/>");
    hang_up(w, &s);
    refused(w,
            HEADER(" to='b\xc3\xbc"
                   "cher.test'"),
            "<host-unknown");
}

/* RFC 6120 section 4.9.3.5: one that is configured no more is told so; the others stay. */
static void taken_out_of_the_configuration(void **state)
{
    struct world *w = *state;
    static char *other[] = {"other.test:x"};
    struct script s;

    come(w, &s);
    w->config.router_components = (struct config_list){components, 1};
    assert_int_equal(component_reload(w->router), ERR_OK);
    loop_sim_advance(w->env.loop, 400);
    assert_false(s.closed);
    w->config.router_components = (struct config_list){other, 1};
    assert_int_equal(component_reload(w->router), ERR_OK);
    loop_sim_advance(w->env.loop, 400);
    heard(&s, "<stream:error><host-gone");
    assert_true(s.closed);
    hang_up(w, &s);
}

/* Section 4.9.3.20 */
static void the_router_stops(void **state)
{
    struct world *w = *state;
    struct script s;

    come(w, &s);
    component_stop(w->router);
    loop_sim_advance(w->env.loop, 400);
    heard(&s, "<stream:error><system-shutdown");
    assert_true(s.closed);
    hang_up(w, &s);
}

static void wrong_settings(void **state)
{
    struct world *w = *state;
    static char *domains[] = {"Users.test"};
    static char *lists[][2] = {{"irc.x.test", ""},        {"irc.x.test:", ""},
                               {"a b:secret", ""},        {":secret", ""},
                               {"users.test:secret", ""}, {"irc.x.test:a", "IRC.x.test:b"}};
    struct script s;

    w->config.server_domains = (struct config_list){domains, 1};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        w->config.router_components = (struct config_list){lists[i], lists[i][1][0] ? 2 : 1};
        assert_int_equal(component_reload(w->router), ERR_CONFIG);
    }
    come(w, &s); /* what was in force stays */
    hang_up(w, &s);
}

/* --- names --- */

/* Somebody of ours has the name, in whatever way: it is not shared with a stranger. */
static void names_of_others(void **state)
{
    struct world *w = *state;
    struct fake *sm = attach(w, "sm");

    for (unsigned flags = 0; flags <= PACKET_BIND_MULTI; flags += PACKET_BIND_MULTI) {
        struct script s;
        bind_expect(w, sm, "irc.x.test", flags, 0);
        dial(w, &s);
        say(w, &s, HEADER(" to='irc.x.test'"));
        shake(w, &s, "secret:with:colons");
        heard(&s, "<conflict");
        assert_false(has(&s, "<handshake/>"));
        assert_true(s.closed);
        hang_up(w, &s);
        send_control(w, sm, PACKET_UNBIND, "irc.x.test", 0);
    }
}

static unsigned copies(const struct script *s)
{
    struct str in = buffer_str(&s->in);
    unsigned n = 0;

    for (const char *at = in.data;
         (at = memmem(at, (size_t)(in.data + in.len - at), "<message", 8)) != NULL; at++)
        n++;
    return n;
}

static unsigned send_to_rooms(struct world *w, struct fake *sm, unsigned rooms)
{
    for (unsigned i = 0; i < rooms; i++) {
        char room[64];
        (void)snprintf(room, sizeof(room), "room%u@irc.x.test", i);
        link_send(sm->link, message("irc.x.test", "x.test", "a@x.test/r", room));
    }
    loop_sim_advance(w->env.loop, 1000);
    return rooms;
}

static void several_instances(void **state)
{
    struct world *w = *state;
    struct fake *sm = attach(w, "sm");
    struct script a, b;
    unsigned of_a, of_b;

    bound(w, sm, "x.test");
    come(w, &a);
    come(w, &b);
    expect_nodes(sm, "irc.x.test", NULL);
    expect_nodes(sm, "irc.x.test", "irc.x.test irc.x.test#2");
    buffer_clear(&a.in);
    buffer_clear(&b.in);
    send_to_rooms(w, sm, 60);
    of_a = copies(&a);
    of_b = copies(&b);
    assert_int_equal(of_a + of_b, 60);
    assert_in_range(of_a, 10, 50);
    hang_up(w, &b); /* the other does it all */
    send_to_rooms(w, sm, 60);
    assert_int_equal(copies(&a), of_a + 60);
    come(w, &b); /* back, with the share it had */
    buffer_clear(&a.in);
    buffer_clear(&b.in);
    send_to_rooms(w, sm, 60);
    assert_int_equal(copies(&a), of_a);
    assert_int_equal(copies(&b), of_b);
    hang_up(w, &a);
    hang_up(w, &b);
}

/* --- stanzas --- */

static void stanzas_both_ways(void **state)
{
    struct world *w = *state;
    struct fake *sm = attach(w, "sm");
    struct script s;
    struct packet *p;

    bound(w, sm, "x.test");
    come(w, &s);
    forget(w);
    say(w, &s, "<message from='r@irc.x.test/me' to='A@x.test/h'><body>hi</body></message>");
    p = expect(sm, PACKET_STANZA, 0);
    assert_true(stanza_is(p->stanza, STANZA_ROOT, STR("message"), NS_CLIENT));
    assert_true(stanza_is(p->stanza, 1, STR("body"), NS_CLIENT));
    assert_true(str_is(p->route_to, "x.test") && str_is(p->route_from, "irc.x.test"));
    assert_true(str_is(jid_full(p->from), "r@irc.x.test/me"));
    assert_true(str_is(jid_full(p->to), "a@x.test/h"));
    say(w, &s, "<presence xmlns='jabber:client' to='a@x.test'/>"); /* no `from`: itself */
    p = expect(sm, PACKET_STANZA, 0);
    assert_true(str_is(jid_full(p->from), "irc.x.test"));
    buffer_clear(&s.in);
    send_route(w, sm, "irc.x.test", "x.test");
    heard(&s, "<message from='a@x.test/r' to='b@x.test'><body>hi</body></message>");
    hang_up(w, &s);
}

static void wrong_stanzas(void **state)
{
    struct world *w = *state;
    struct fake *sm = attach(w, "sm");
    static const char *const ends[][2] = {
        {"<message from='a@x.test' to='b@x.test'/>", "<invalid-from"},
        {"<message from='irc.x.test.evil' to='b@x.test'/>", "<invalid-from"},
        {"<message from='a b@irc.x.test' to='b@x.test'/>", "<invalid-from"},
        {"<route xmlns='http://jabberd.jabberstudio.org/ns/component/1.0' to='sm' "
         "from='irc.x.test'/>",
         "<unsupported-stanza-type"},
        {"<bind xmlns='http://jabberd.jabberstudio.org/ns/component/1.0' name='sm'/>",
         "<unsupported-stanza-type"},
        {"<message xmlns='jabber:server' from='irc.x.test' to='b@x.test'/>",
         "<unsupported-stanza-type"},
        {"<handshake/>", "<unsupported-stanza-type"},
        {"text", "<bad-format"},
        {"<!-- x -->", "<restricted-xml"},
    };
    struct script s;

    bound(w, sm, "x.test");
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        come(w, &s);
        forget(w);
        say(w, &s, ends[i][0]);
        heard(&s, ends[i][1]);
        assert_true(s.closed);
        hang_up(w, &s);
        expect_presence(sm, "irc.x.test", false);
        nothing_more(sm);
    }
    come(w, &s);
    say(w, &s, "<message id='1'/>");
    heard(&s, "id='1' type='error'");
    heard(&s, "<bad-request");
    say(w, &s, "<iq type='get' id='2' to='a b@x.test'><x xmlns='y'/></iq>");
    heard(&s, "<jid-malformed");
    say(w, &s, "<iq type='result' id='3'/>"); /* is never answered */
    assert_int_equal(buffer_len(&s.in), 0);
    assert_false(s.closed);
    hang_up(w, &s);
}

static void a_stanza_too_large(void **state)
{
    struct world *w = *state;
    struct script s;
    char *text = mem_alloc(30000);

    memset(text, 'x', 29999);
    memcpy(text, "<message to='b@x.test'><body>", 29);
    come(w, &s);
    say(w, &s, text);
    heard(&s, "<policy-violation");
    assert_true(s.closed);
    hang_up(w, &s);
    free(text);
}

static void to_nobody(void **state)
{
    struct world *w = *state;
    struct script s;

    come(w, &s);
    say(w, &s, "<message from='r@irc.x.test' to='b@nowhere.test' id='7'><body>x</body></message>");
    heard(&s, "<message from='b@nowhere.test' to='r@irc.x.test' id='7' type='error'>");
    heard(&s, "<remote-server-not-found");
    say(w, &s, "<message from='irc.x.test' to='b@nowhere.test' type='error'/>");
    assert_int_equal(buffer_len(&s.in), 0);
    hang_up(w, &s);
}

/* Who is away is not looked for elsewhere. */
static void an_absent_component(void **state)
{
    struct world *w = *state;
    struct fake *sm = attach(w, "sm"), *s2s = attach(w, "s2s");

    bound(w, sm, "x.test");
    bind_expect(w, s2s, "s2s", PACKET_BIND_DEFAULT, 0);
    forget(w);
    send_route(w, sm, "irc.x.test", "x.test");
    expect(sm, PACKET_STANZA, 404);
    nothing_more(s2s);
    send_route(w, sm, "elsewhere.test", "x.test");
    expect(s2s, PACKET_STANZA, 0);
    nothing_more(sm);
}

static void a_lost_component(void **state)
{
    struct world *w = *state;
    struct fake *sm = attach(w, "sm");
    struct script s;

    bound(w, sm, "x.test");
    come(w, &s);
    net_sim_cut(w->env.net, "127.0.0.1", 5347);
    loop_sim_advance(w->env.loop, 100);
    forget(w);
    send_route(w, sm, "irc.x.test", "x.test");
    expect(sm, PACKET_STANZA, 404);
    hang_up(w, &s);
}

/* Session actions are of a protocol that it does not speak. */
static void not_a_session_manager(void **state)
{
    struct world *w = *state;
    struct fake *c2s = attach(w, "c2s");
    struct script s;
    struct jid *target = jid_parse(STR("a@irc.x.test/r"));

    bound(w, c2s, "c2s");
    come(w, &s);
    forget(w);
    buffer_clear(&s.in);
    link_send(c2s->link, packet_create_session(STR("irc.x.test"), STR("c2s"), SESSION_START, target,
                                               STR_NULL));
    loop_sim_advance(w->env.loop, 400);
    expect(c2s, PACKET_SESSION, 503);
    assert_int_equal(buffer_len(&s.in), 0);
    jid_unref(target);
    hang_up(w, &s);
}

static void is_kept_alive(void **state)
{
    struct world *w = *state;
    struct script s;

    come(w, &s);
    buffer_clear(&s.in);
    loop_sim_advance(w->env.loop, 31000);
    assert_true(str_is(buffer_str(&s.in), " "));
    hang_up(w, &s);
}

#define EXTERNAL_TEST(f) cmocka_unit_test_setup_teardown(f, setup_externals, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_handshake_of_the_specification),
        EXTERNAL_TEST(comes_and_goes),
        EXTERNAL_TEST(wrong_headers),
        EXTERNAL_TEST(before_the_handshake),
        EXTERNAL_TEST(a_wrong_handshake),
        EXTERNAL_TEST(a_replayed_handshake),
        EXTERNAL_TEST(ten_seconds),
        EXTERNAL_TEST(secrets_are_read_anew),
        EXTERNAL_TEST(taken_out_of_the_configuration),
        EXTERNAL_TEST(the_router_stops),
        EXTERNAL_TEST(wrong_settings),
        EXTERNAL_TEST(names_of_others),
        EXTERNAL_TEST(several_instances),
        EXTERNAL_TEST(stanzas_both_ways),
        EXTERNAL_TEST(wrong_stanzas),
        EXTERNAL_TEST(a_stanza_too_large),
        EXTERNAL_TEST(to_nobody),
        EXTERNAL_TEST(an_absent_component),
        EXTERNAL_TEST(a_lost_component),
        EXTERNAL_TEST(not_a_session_manager),
        EXTERNAL_TEST(is_kept_alive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
