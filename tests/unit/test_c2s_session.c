/* The c2s' half of the session protocol (jabberd2.md 1.3), against a session manager that the test
 * plays: what is asked, what each answer does, and what happens when answers do not come, come
 * late, or come from the wrong one. */
#include "unit.h"

#include "base/mem.h"
#include "component/component.h"
#include "xmpp/sasl.h"

#define TEXT_MAX 400000
#define GOT_MAX  256

/* --- the world --- */

struct world {
    struct env env;
    struct config config;
    struct component *router, *c2s;
    struct link *sm; /* the end the test plays */
    const char *sm_name;
    struct packet *got[GOT_MAX]; /* what the sm received */
    size_t got_count, got_taken;
    bool silent;        /* creates are not answered */
    bool refuse;        /* creates fail */
    struct conn *conn;  /* the client's */
    struct buffer text; /* what it received */
    bool closed;
};

/* Bytes take their time on the simulated network. */
static void settle(struct world *w)
{
    loop_sim_advance(w->env.loop, 200);
}

/* What a session manager does with a new account: nothing that this test is about. */
static void answer_create(struct world *w, struct packet *p)
{
    struct packet *a =
        packet_create_session(p->route_from, str_of(w->sm_name), SESSION_CREATED, p->target,
                              w->refuse ? STR("internal-server-error") : STR_NULL);

    a->failed = w->refuse;
    a->c2s = p->c2s;
    a->request = p->request;
    link_send(w->sm, a);
    packet_destroy(p);
}

static void on_sm_packet(void *owner, struct packet *p)
{
    struct world *w = owner;

    if (p->kind == PACKET_SESSION && p->action == SESSION_CREATE && !w->silent) {
        answer_create(w, p);
    } else if (p->kind == PACKET_SESSION || p->kind == PACKET_STANZA) {
        assert_true(w->got_count < GOT_MAX);
        w->got[w->got_count++] = p;
    } else {
        packet_destroy(p);
    }
}

static void on_nothing(void *owner)
{
    (void)owner;
}

static void on_sm_down(void *owner, const char *why)
{
    (void)owner;
    (void)why;
}

static const struct link_events sm_events = {
    .packet = on_sm_packet, .up = on_nothing, .down = on_sm_down, .writable = on_nothing};

static void sm_comes(struct world *w, const char *name)
{
    struct link *theirs;

    link_local_pair(w->env.loop, name, &w->sm, &theirs);
    link_set_events(w->sm, &sm_events, w);
    router_component.attach(w->router, theirs, name);
    settle(w);
    w->sm_name = name;
    link_send(w->sm, packet_create_control(PACKET_BIND, str_of(name), 0));
    link_send(w->sm, packet_create_control(PACKET_BIND, STR("example.net"), 0));
    settle(w);
}

static void sm_goes(struct world *w)
{
    link_close(w->sm);
    w->sm = NULL;
    settle(w);
}

static void configure(struct config *config)
{
    static char *domains[] = {"example.net"}, *addresses[] = {"127.0.0.1"},
                *mechanisms[] = {"SCRAM-SHA-256"};

    config->server_domains = (struct config_list){domains, 1};
    config->c2s_address = (struct config_list){addresses, 1};
    config->c2s_mechanisms = (struct config_list){mechanisms, 1};
    config->c2s_port = 5222;
    config->c2s_tls = config->domain_tls = "off";
    config->domain_instructions = "";
    config->c2s_certificates = "";
    config->c2s_max_connections = 1000;
    config->auth_driver = "store";
    config->c2s_max_stanza = 262144;
    config->c2s_max_stanza_preauth = 10240;
    config->c2s_max_preauth = 65536;
    config->c2s_preauth_time = 30;
    config->c2s_max_depth = 64;
    config->c2s_max_attributes = 64;
    config->c2s_max_queue = 1 << 20;
    config->c2s_hold_time = 300;
    config->c2s_auth_failures = 3;
    config->c2s_conflict = "replace";
    config->register_loopback = true;
    config->register_instructions = "";
    config->router_address = "127.0.0.1";
    config->router_secret_file = "";
    config->router_user = "jackdaw";
    config->router_max_queue = 1 << 24;
    config->store_url = "";
    config->store_accounts_url = "memory:";
}

static int set_up(void **state)
{
    struct world *w = MEM_NEW(struct world);

    w->env.loop = loop_create_sim(1767225600000); /* 2026-01-01T00:00:00Z */
    w->env.random = random_create_seeded(7);
    w->env.net = net_create_sim(w->env.loop, 7);
    w->env.parsers = parser_pool_create(w->env.random);
    w->env.data_dir = "";
    if (getenv("TEST_LOG"))
        w->env.log.sink = log_sink_create(stderr, LOG_DEBUG, LOG_TEXT);
    configure(&w->config);
    w->env.config = &w->config;
    w->router = component_create(&router_component, &w->env, NULL);
    assert_int_equal(component_start(w->router), ERR_OK);
    w->c2s = component_create(&c2s_component, &w->env, "c2s");
    component_attach_local(w->c2s, w->router);
    assert_int_equal(component_start(w->c2s), ERR_OK);
    buffer_init(&w->text, TEXT_MAX);
    settle(w);
    sm_comes(w, "sm");
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    conn_close(w->conn, 0);
    if (w->sm)
        link_close(w->sm);
    settle(w);
    component_destroy(w->c2s);
    component_destroy(w->router);
    settle(w);
    for (size_t i = 0; i < w->got_count; i++)
        packet_destroy(w->got[i]);
    buffer_finish(&w->text);
    net_destroy(w->env.net);
    parser_pool_destroy(w->env.parsers);
    loop_destroy(w->env.loop);
    random_destroy(w->env.random);
    log_sink_destroy(w->env.log.sink);
    free(w);
    return 0;
}

/* --- the session manager's side --- */

static struct packet *next(struct world *w)
{
    if (w->got_taken == w->got_count)
        fail_msg("the session manager got nothing");
    return w->got[w->got_taken++];
}

static void nothing(const struct world *w)
{
    assert_int_equal(w->got_taken, w->got_count);
}

static struct packet *next_session(struct world *w, enum session_action action)
{
    struct packet *p = next(w);

    assert_int_equal(p->kind, PACKET_SESSION);
    assert_string_equal(session_action_name(p->action), session_action_name(action));
    return p;
}

static struct packet *next_stanza(struct world *w, const char *name, const char *id)
{
    struct packet *p = next(w);

    assert_int_equal(p->kind, PACKET_STANZA);
    assert_true(str_is(stanza_name(p->stanza, STANZA_ROOT), name));
    if (id)
        assert_true(str_is(stanza_attr(p->stanza, STANZA_ROOT, STR("id")), id));
    return p;
}

static void answer(struct world *w, const struct packet *to, enum session_action action,
                   const char *reason)
{
    struct packet *p =
        packet_create_session(STR("c2s"), str_of(w->sm_name), action, to->target, str_of(reason));

    p->c2s = to->c2s;
    p->request = to->request;
    p->sm = to->sm;
    p->failed = reason && action == SESSION_START;
    if (action == SESSION_STARTED)
        session_id_make(&p->sm, w->env.random);
    link_send(w->sm, p);
    settle(w);
}

static bool same_id(const struct packet *a, const struct packet *b)
{
    return str_eq(session_id_str(&a->c2s), session_id_str(&b->c2s));
}

/* --- the client's side --- */

static void on_data(void *owner, const char *bytes, size_t len)
{
    struct world *w = owner;

    buffer_add(&w->text, bytes, len);
}

static void on_close(void *owner, enum error e, const char *why)
{
    struct world *w = owner;

    (void)e;
    (void)why;
    w->closed = true;
    conn_close(w->conn, 0);
    w->conn = NULL;
}

static const struct conn_events conn_events = {.on_data = on_data, .on_close = on_close};

static void say(struct world *w, const char *text)
{
    assert_int_equal(conn_write(w->conn, text, strlen(text)), ERR_OK);
    settle(w);
}

static bool hears(struct world *w, const char *text)
{
    struct str s = buffer_str(&w->text);

    return memmem(s.data, s.len, text, strlen(text)) != NULL;
}

static void open_stream(struct world *w)
{
    say(w, "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
           "to='example.net' version='1.0'>");
    assert_true(hears(w, "</stream:features>"));
    buffer_clear(&w->text);
}

static void connect_client(struct world *w)
{
    struct net_address at = {.ip = "127.0.0.1", .port = 5222};

    w->closed = false;
    w->conn = conn_connect(w->env.net, &at, &conn_events, w);
    settle(w);
    open_stream(w);
}

static void register_account(struct world *w)
{
    say(w, "<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>romeo</username>"
           "<password>secret</password></query></iq>");
}

static void say_base64(struct world *w, const char *element, const char *attribute,
                       struct buffer *raw)
{
    struct buffer text;

    buffer_init(&text, 8192);
    buffer_printf(&text, "<%s xmlns='urn:ietf:params:xml:ns:xmpp-sasl'%s>", element, attribute);
    sasl_base64_encode(buffer_str(raw), &text);
    buffer_printf(&text, "</%s>", element);
    buffer_add_char(&text, '\0');
    say(w, text.data);
    buffer_finish(&text);
}

/* The text of the one element that came. */
static void heard_base64(struct world *w, struct buffer *out)
{
    struct str s = buffer_str(&w->text);
    const char *from = memchr(s.data, '>', s.len), *to;

    assert_non_null(from);
    to = memchr(from, '<', s.len - (size_t)(from - s.data));
    assert_non_null(to);
    buffer_clear(out);
    assert_true(sasl_base64_decode((struct str){from + 1, (size_t)(to - from - 1)}, out));
    buffer_clear(&w->text);
}

/* As far as the session start that the sm must answer. */
static struct packet *login(struct world *w, const char *resource)
{
    struct scram_client *scram = scram_client_create(STR("romeo"), STR("secret"), w->env.random);
    struct buffer in, out;
    char bind[256];

    buffer_init(&in, 4096);
    buffer_init(&out, 4096);
    assert_true(scram_client_first(scram, &out));
    say_base64(w, "auth", " mechanism='SCRAM-SHA-256'", &out);
    heard_base64(w, &in);
    buffer_clear(&out);
    assert_true(scram_client_final(scram, buffer_str(&in), &out));
    say_base64(w, "response", "", &out);
    heard_base64(w, &in);
    assert_true(scram_client_verify(scram, buffer_str(&in)));
    scram_client_destroy(scram);
    buffer_finish(&in);
    buffer_finish(&out);
    open_stream(w);
    (void)snprintf(bind, sizeof(bind),
                   "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                   "<resource>%s</resource></bind></iq>",
                   resource);
    say(w, bind);
    return next_session(w, SESSION_START);
}

static struct packet *online(struct world *w)
{
    struct packet *start;

    connect_client(w);
    register_account(w);
    assert_true(hears(w, "type='result'"));
    buffer_clear(&w->text);
    start = login(w, "orchard");
    answer(w, start, SESSION_STARTED, NULL);
    assert_true(hears(w, "<jid>romeo@example.net/orchard</jid>"));
    buffer_clear(&w->text);
    return start;
}

/* --- tests --- */

static void test_start_and_end(void **state)
{
    struct world *w = *state;
    struct packet *start = online(w), *p;

    assert_true(str_is(start->route_to, "example.net"));
    assert_true(str_is(start->route_from, "c2s"));
    assert_true(str_is(jid_full(start->target), "romeo@example.net/orchard"));
    assert_null(start->reason.data);
    assert_int_equal(start->c2s.len, 32);
    say(w, "<message to='juliet@example.net' id='1'><body>hi</body></message>");
    p = next_stanza(w, "message", "1");
    assert_true(str_is(p->route_to, "sm")); /* its own name, not the domain's */
    assert_true(same_id(p, start));
    assert_true(p->sm.len > 0);
    assert_true(str_is(jid_full(p->from), "romeo@example.net/orchard"));
    assert_true(str_is(jid_full(p->to), "juliet@example.net"));
    say(w, "</stream:stream>");
    p = next_session(w, SESSION_END);
    assert_true(same_id(p, start));
    assert_true(p->sm.len > 0);
    assert_true(hears(w, "</stream:stream>"));
    nothing(w);
}

static void test_a_refused_start(void **state)
{
    struct world *w = *state;
    struct packet *start;

    connect_client(w);
    register_account(w);
    buffer_clear(&w->text);
    start = login(w, "orchard");
    answer(w, start, SESSION_START, "resource-constraint");
    assert_true(hears(w, "<resource-constraint"));
    buffer_clear(&w->text);
    /* the stream lives, and may try again */
    say(w, "<iq type='set' id='b2'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
    answer(w, next_session(w, SESSION_START), SESSION_STARTED, NULL);
    assert_true(hears(w, "<jid>romeo@example.net/"));
}

static void test_an_answer_that_comes_too_late(void **state)
{
    struct world *w = *state;
    struct packet *start, *end;

    connect_client(w);
    register_account(w);
    buffer_clear(&w->text);
    start = login(w, "orchard");
    conn_close(w->conn, 0);
    w->conn = NULL;
    settle(w);
    nothing(w);
    answer(w, start, SESSION_STARTED, NULL);
    end = next_session(w, SESSION_END);
    assert_true(same_id(end, start));
    assert_true(end->sm.len > 0);
}

static void test_no_answer_at_all(void **state)
{
    struct world *w = *state;
    struct packet *first, *second, *end;

    connect_client(w);
    register_account(w);
    buffer_clear(&w->text);
    first = login(w, "orchard");
    loop_sim_advance(w->env.loop, 12000);
    second = next_session(w, SESSION_START);
    assert_false(same_id(first, second));
    answer(w, second, SESSION_STARTED, NULL);
    assert_true(hears(w, "<jid>romeo@example.net/orchard</jid>"));
    /* the first was answered after all */
    answer(w, first, SESSION_STARTED, NULL);
    end = next_session(w, SESSION_END);
    assert_true(same_id(end, first));
    assert_false(w->closed);
}

static void test_the_sm_ends_it(void **state)
{
    struct world *w = *state;
    struct packet *start = online(w);

    answer(w, start, SESSION_REPLACED, NULL);
    assert_true(hears(w, "<conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"));
    nothing(w); /* no end for what has ended */
}

static void test_only_its_own_sm_may(void **state)
{
    struct world *w = *state;
    struct packet *start = online(w), *p;
    struct link *first = w->sm;

    w->sm = NULL;
    sm_comes(w, "intruder"); /* the domain is taken, the name is not */
    answer(w, start, SESSION_REPLACED, NULL);
    answer(w, start, SESSION_ENDED, "not-authorized");
    assert_int_equal(buffer_len(&w->text), 0);
    say(w, "<message to='juliet@example.net' id='1'/>");
    p = next_stanza(w, "message", "1");
    assert_true(str_is(p->route_to, "sm"));
    link_close(w->sm);
    settle(w);
    w->sm = first;
}

static void test_the_sm_dies(void **state)
{
    struct world *w = *state;
    struct packet *start = online(w), *again, *p;

    say(w, "<presence><show>away</show></presence>");
    next_stanza(w, "presence", NULL);
    sm_goes(w);
    say(w, "<message to='juliet@example.net' id='1'/>");
    say(w, "<message to='juliet@example.net' id='2'/>");
    assert_false(w->closed);
    nothing(w);
    sm_comes(w, "sm-2");
    again = next_session(w, SESSION_START);
    assert_false(same_id(start, again));
    assert_true(str_is(again->reason, "resumed"));
    assert_true(str_is(jid_full(again->target), "romeo@example.net/orchard"));
    nothing(w);
    answer(w, again, SESSION_STARTED, NULL);
    /* first the last presence, then what was held */
    p = next_stanza(w, "presence", NULL);
    assert_true(str_is(p->route_to, "sm-2"));
    assert_true(same_id(p, again));
    next_stanza(w, "message", "1");
    next_stanza(w, "message", "2");
    nothing(w);
    assert_int_equal(buffer_len(&w->text), 0);
}

static void test_presence_that_was_taken_back_is_not_repeated(void **state)
{
    struct world *w = *state;

    online(w);
    say(w, "<presence/>");
    next_stanza(w, "presence", NULL);
    say(w, "<presence to='juliet@example.net'/>"); /* directed: no broadcast */
    next_stanza(w, "presence", NULL);
    say(w, "<presence type='unavailable'/>");
    next_stanza(w, "presence", NULL);
    sm_goes(w);
    sm_comes(w, "sm");
    answer(w, next_session(w, SESSION_START), SESSION_STARTED, NULL);
    nothing(w);
}

static struct packet *bounced(struct world *w, struct packet *p, int error)
{
    struct packet *b = packet_copy(p);

    packet_bounce(b, error);
    (void)w;
    return b;
}

/* Stanzas on their way when the sm died come back one by one, before or after the news that it did.
 */
static void test_what_comes_back_goes_first(void **state)
{
    struct world *w = *state;
    struct packet *one, *two, *again;

    online(w);
    say(w, "<message to='juliet@example.net' id='1'/><message to='juliet@example.net' id='2'/>");
    one = next_stanza(w, "message", "1");
    two = next_stanza(w, "message", "2");
    link_send(w->sm, packet_create_control(PACKET_UNBIND, STR("example.net"), 0));
    settle(w);
    c2s_component.packet(w->c2s, bounced(w, one, 404));
    say(w, "<message to='juliet@example.net' id='3'/>");
    c2s_component.packet(w->c2s, bounced(w, two, 404));
    say(w, "<message to='juliet@example.net' id='4'/>");
    nothing(w);
    sm_goes(w);
    sm_comes(w, "sm");
    again = next_session(w, SESSION_START);
    answer(w, again, SESSION_STARTED, NULL);
    next_stanza(w, "message", "1");
    next_stanza(w, "message", "2");
    next_stanza(w, "message", "3");
    next_stanza(w, "message", "4");
    nothing(w);
}

static void test_a_bounce_for_another_reason_is_told(void **state)
{
    struct world *w = *state;

    online(w);
    say(w, "<message to='juliet@example.net' id='1'/>");
    c2s_component.packet(w->c2s, bounced(w, next_stanza(w, "message", "1"), 403));
    settle(w);
    assert_true(hears(w, "<forbidden"));
    say(w, "<message to='juliet@example.net' id='2'/>");
    next_stanza(w, "message", "2");
}

static void test_what_is_held_is_bounded(void **state)
{
    struct world *w = *state;
    char message[8300];
    json_t *status = json_object();

    online(w);
    sm_goes(w);
    (void)snprintf(message, sizeof(message),
                   "<message to='juliet@example.net'><body>%08000d</body></message>", 0);
    for (int i = 0; i < 100; i++)
        (void)conn_write(w->conn, message, strlen(message));
    settle(w);
    c2s_component.status(w->c2s, status);
    assert_true(json_integer_value(json_object_get(status, "held_bytes")) > 262144);
    assert_true(json_integer_value(json_object_get(status, "held_bytes")) < 262144 + 70000);
    json_decref(status);
    /* and nothing of the rest is lost: it is read when the sm is back */
    w->got_taken = w->got_count;
    sm_comes(w, "sm");
    answer(w, next_session(w, SESSION_START), SESSION_STARTED, NULL);
    status = json_object();
    c2s_component.status(w->c2s, status);
    assert_int_equal(json_integer_value(json_object_get(status, "held_bytes")), 0);
    assert_int_equal(json_integer_value(json_object_get(status, "stanzas_in")), 104);
    json_decref(status);
}

static struct packet *to_client(struct world *w, const struct packet *start, const char *xml)
{
    static const struct parser_limits limits = {
        .stanza_bytes = 65536, .depth = 9, .attributes = 9, .namespaces = 9, .children = 9};
    struct packet *p = packet_create(PACKET_STANZA, STR("c2s"), str_of(w->sm_name));
    enum parser_status status;

    p->stanza = parser_document(w->env.parsers, str_of(xml), &limits, &status);
    assert_non_null(p->stanza);
    p->c2s = start->c2s;
    session_id_set(&p->sm, STR("0123456789abcdef0123456789abcdef"));
    return p;
}

static void test_a_stanza_for_a_client_that_has_gone(void **state)
{
    struct world *w = *state;
    struct packet *start = online(w), *p;

    conn_close(w->conn, 0);
    w->conn = NULL;
    settle(w);
    next_session(w, SESSION_END);
    link_send(
        w->sm,
        to_client(
            w, start,
            "<message xmlns='jabber:client' from='a@b' to='romeo@example.net/orchard' id='9'/>"));
    settle(w);
    p = next_session(w, SESSION_END);
    assert_true(same_id(p, start));
    p = next_stanza(w, "message", "9");
    assert_int_equal(p->c2s.len, 0);
    assert_int_equal(p->sm.len, 0);
    /* an error is not worth a second journey */
    link_send(
        w->sm,
        to_client(w, start,
                  "<message xmlns='jabber:client' type='error' to='romeo@example.net/orchard'/>"));
    settle(w);
    next_session(w, SESSION_END);
    nothing(w);
    /* but where the sm keeps it, it is not called handled: its client may come back for it
     * (XEP-0198)
     */
    p = to_client(w, start, "<presence xmlns='jabber:client' from='a@b' id='10'/>");
    p->receipt.number = 7;
    p->receipt.origin = jid_parse(str_of(w->sm_name));
    link_send(w->sm, p);
    settle(w);
    next_session(w, SESSION_END);
    p = next_stanza(w, "presence", "10");
    assert_int_equal(p->receipt.answers, 7);
    nothing(w);
}

static void test_an_account_the_sm_cannot_take_is_taken_back(void **state)
{
    struct world *w = *state;

    w->refuse = true;
    connect_client(w);
    register_account(w);
    assert_true(hears(w, "<internal-server-error"));
    buffer_clear(&w->text);
    /* nor one that nobody answers for */
    w->silent = true;
    register_account(w);
    next_session(w, SESSION_CREATE);
    assert_int_equal(buffer_len(&w->text), 0);
    loop_sim_advance(w->env.loop, 10100);
    assert_true(hears(w, "<internal-server-error"));
    buffer_clear(&w->text);
    /* no conflict: it was never there */
    w->silent = w->refuse = false;
    register_account(w);
    assert_true(hears(w, "type='result'"));
}

static void test_removal(void **state)
{
    struct world *w = *state;
    struct packet *start = online(w), *p;

    say(w, "<iq type='set' id='x'><query xmlns='jabber:iq:register'><remove/></query></iq>");
    p = next_session(w, SESSION_DELETE);
    assert_true(str_is(jid_full(p->target), "romeo@example.net"));
    assert_int_equal(buffer_len(&w->text), 0);
    /* the sm ends the session first, as it must; the client is told in order all the same */
    answer(w, start, SESSION_ENDED, "not-authorized");
    assert_int_equal(buffer_len(&w->text), 0);
    answer(w, p, SESSION_DELETED, NULL);
    assert_true(hears(w, "type='result'"));
    assert_true(hears(w, "<not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"));
    nothing(w);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(start_and_end),
        TEST(a_refused_start),
        TEST(an_answer_that_comes_too_late),
        TEST(no_answer_at_all),
        TEST(the_sm_ends_it),
        TEST(only_its_own_sm_may),
        TEST(the_sm_dies),
        TEST(presence_that_was_taken_back_is_not_repeated),
        TEST(what_comes_back_goes_first),
        TEST(a_bounce_for_another_reason_is_told),
        TEST(what_is_held_is_bounded),
        TEST(a_stanza_for_a_client_that_has_gone),
        TEST(an_account_the_sm_cannot_take_is_taken_back),
        TEST(removal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
