/* The wire: every kind of packet there and back, what jabberd2 2.7.0 writes, and what must not get
 * through. */
#include "parsing.h"

#include "base/mem.h"
#include "link/wire.h"
#include "xml/builder.h"
#include "xmpp/namespaces.h"

#define COMP " xmlns='http://jabberd.jabberstudio.org/ns/component/1.0'"
#define SESS "'http://jabberd.jabberstudio.org/ns/session/1.0'"

static struct packet *parse(const char *text)
{
    struct stanza *s = parsing_read(str_of(text));
    const char *why = "";
    struct packet *p = wire_parse(s, &why);

    stanza_unref(s);
    if (!p)
        fail_msg("%s: %s", why, text);
    return p;
}

static void refused(const char *text)
{
    struct stanza *s = parsing_read(str_of(text));
    const char *why = NULL;

    assert_null(wire_parse(s, &why));
    assert_non_null(why);
    stanza_unref(s);
}

static char *written(const struct packet *p)
{
    size_t size = wire_size(p);
    char *out = mem_alloc(size + 1);
    size_t len = wire_write(p, out);

    assert_true(len <= size);
    out[len] = '\0';
    return out;
}

static void assert_written(const struct packet *p, const char *expected)
{
    char *out = written(p);

    assert_string_equal(out, expected);
    free(out);
}

/* Through the wire and back; destroys the first. */
static struct packet *again(struct packet *p)
{
    char *out = written(p);
    struct packet *got = parse(out);

    free(out);
    packet_destroy(p);
    return got;
}

static struct packet *chat(enum packet_kind kind)
{
    struct builder *b = builder_create(STR("message"), NS_CLIENT);
    struct packet *p =
        packet_create(kind, kind == PACKET_BROADCAST ? STR_NULL : STR("sm"), STR("c2s"));

    builder_lang(b, STR("en"));
    builder_attr(b, STR("type"), STR("chat"));
    builder_leaf(b, STR("body"), STR_NULL, STR("a < b & 'c'"));
    p->stanza = builder_finish(b);
    p->from = jid_parse(STR("a@x.test/r'1"));
    p->to = jid_parse(STR("b@x.test"));
    return p;
}

static void assert_chat(const struct packet *p)
{
    assert_str(stanza_name(p->stanza, STANZA_ROOT), "message");
    assert_str(stanza_ns(p->stanza, STANZA_ROOT), "jabber:client");
    assert_str(stanza_lang(p->stanza, STANZA_ROOT), "en");
    assert_str(stanza_text(p->stanza, stanza_first(p->stanza, STANZA_ROOT)), "a < b & 'c'");
    assert_str(jid_full(p->from), "a@x.test/r'1");
    assert_str(jid_full(p->to), "b@x.test");
    assert_int_equal(stanza_attr_count(p->stanza, STANZA_ROOT),
                     4); /* type from to lang: no session ids left */
}

static void stanza_there_and_back(void **state)
{
    struct packet *p = chat(PACKET_STANZA);

    assert_true(session_id_set(&p->c2s, STR("12")));
    assert_true(session_id_set(&p->sm, STR("6281'<&>")));
    p->trace = 0xFEDCBA9876543210u;
    p = again(p);
    assert_true(p->trace == 0xFEDCBA9876543210u);
    assert_int_equal(p->kind, PACKET_STANZA);
    assert_str(p->route_to, "sm");
    assert_str(p->route_from, "c2s");
    assert_str(session_id_str(&p->c2s), "12");
    assert_str(session_id_str(&p->sm), "6281'<&>");
    assert_int_equal(p->error, 0);
    assert_chat(p);
    packet_destroy(p);
}

static void stanza_without_a_session(void **state)
{
    struct packet *p = again(chat(PACKET_STANZA));

    assert_int_equal(p->c2s.len, 0);
    assert_int_equal(p->sm.len, 0);
    assert_chat(p);
    packet_destroy(p);
}

static void delay_becomes_a_child(void **state)
{
    struct packet *p = chat(PACKET_STANZA);
    struct builder *b = builder_create(STR("delay"), NS_DELAY);

    builder_attr(b, STR("stamp"), STR("2026-01-01T00:00:00Z"));
    p->delay = builder_finish(b);
    p = again(p);
    assert_null(p->delay);
    assert_true(stanza_child(p->stanza, STANZA_ROOT, STR("delay"), NS_DELAY) != STANZA_NONE);
    packet_destroy(p);
}

static void foreign_attributes_stay(void **state)
{
    struct packet *p =
        parse("<route" COMP " to='sm' from='c2s'><message xmlns='jabber:client' xmlns:sc=" SESS
              " xmlns:q='urn:q' sc:c2s='1' q:mark='&lt;2&gt;' xml:lang='de' to='b@x.test'>"
              "<q:x/></message></route>");

    assert_str(stanza_attr_ns(p->stanza, STANZA_ROOT, STR("mark"), STR("urn:q")), "<2>");
    assert_str(stanza_lang(p->stanza, STANZA_ROOT), "de");
    assert_true(stanza_child(p->stanza, STANZA_ROOT, STR("x"), STR("urn:q")) != STANZA_NONE);
    assert_null(stanza_attr_ns(p->stanza, STANZA_ROOT, STR("c2s"), NS_ROUTER_SESSION).data);
    p = again(p);
    assert_str(stanza_attr_ns(p->stanza, STANZA_ROOT, STR("mark"), STR("urn:q")), "<2>");
    packet_destroy(p);
}

/* As jabberd2's router bounces: the names as they were sent, and error. In a packet they are turned
 * around. */
static void bounce_keeps_the_names_on_the_wire(void **state)
{
    struct packet *p = chat(PACKET_STANZA);
    char *out;

    packet_bounce(p, 404);
    out = written(p);
    assert_non_null(strstr(out, "<route" COMP " to='sm' from='c2s' error='404'>"));
    free(out);
    p = again(p);
    assert_int_equal(p->error, 404);
    assert_str(p->route_to, "c2s");
    assert_str(p->route_from, "sm");
    assert_chat(p);
    packet_destroy(p);
}

static void broadcast_and_log(void **state)
{
    struct packet *p = again(chat(PACKET_BROADCAST));

    assert_int_equal(p->kind, PACKET_BROADCAST);
    assert_null(p->route_to.data);
    assert_chat(p);
    packet_destroy(p);
    p = again(chat(PACKET_LOG));
    assert_int_equal(p->kind, PACKET_LOG);
    assert_chat(p);
    packet_destroy(p);
}

static void session_actions_there_and_back(void **state)
{
    struct jid *target = jid_parse(STR("a@x.test/<&'>"));

    for (int a = SESSION_CREATE; a <= SESSION_REPLACED; a++) {
        struct packet *p = packet_create_session(STR("x.test"), STR("c2s"), (enum session_action)a,
                                                 target, STR_NULL);
        session_id_make(&p->c2s, parsing.random);
        session_id_make(&p->sm, parsing.random);
        session_id_make(&p->request, parsing.random);
        struct session_id c2s = p->c2s, sm = p->sm, request = p->request;
        p = again(p);
        assert_int_equal(p->kind, PACKET_SESSION);
        assert_int_equal(p->action, a);
        assert_str(jid_full(p->target), "a@x.test/<&'>");
        assert_true(str_eq(session_id_str(&p->c2s), session_id_str(&c2s)));
        assert_true(str_eq(session_id_str(&p->sm), session_id_str(&sm)));
        assert_true(str_eq(session_id_str(&p->request), session_id_str(&request)));
        assert_false(p->failed);
        assert_null(p->reason.data);
        assert_null(p->stanza);
        packet_destroy(p);
    }
    jid_unref(target);
}

static void a_refusal_is_the_request_come_back(void **state)
{
    struct packet *p =
        packet_create_session(STR("c2s"), STR("sm"), SESSION_STARTED, NULL, STR("conflict"));

    p->failed = true;
    p = again(p);
    assert_int_equal(p->action, SESSION_START);
    assert_true(p->failed);
    assert_str(p->reason, "conflict");
    packet_destroy(p);
}

static void log_copy_of_a_session_action(void **state)
{
    struct packet *p = packet_create_session(STR("c2s"), STR("sm"), SESSION_END, NULL, STR_NULL);

    p->kind = PACKET_LOG;
    p = again(p);
    assert_int_equal(p->kind, PACKET_LOG);
    assert_int_equal(p->action, SESSION_END);
    packet_destroy(p);
}

static void bind_unbind_presence_throttle(void **state)
{
    static const struct {
        unsigned flags;
        const char *xml;
    } binds[] = {
        {0, "<bind" COMP " name='sm'/>"},
        {PACKET_BIND_MULTI, "<bind" COMP " name='sm' multi='to'/>"},
        {PACKET_BIND_MULTI_FROM, "<bind" COMP " name='sm' multi='from'/>"},
        {PACKET_BIND_DEFAULT, "<bind" COMP " name='sm'><default/></bind>"},
        {PACKET_BIND_LOG, "<bind" COMP " name='sm'><log/></bind>"},
        {PACKET_BIND_DEFAULT | PACKET_BIND_LOG, "<bind" COMP " name='sm'><default/><log/></bind>"},
    };
    struct packet *p;

    for (size_t i = 0; i < sizeof(binds) / sizeof(binds[0]); i++) {
        p = packet_create_control(PACKET_BIND, STR("sm"), binds[i].flags);
        assert_written(p, binds[i].xml);
        p = again(p);
        assert_int_equal(p->bind_flags, binds[i].flags);
        assert_str(p->name, "sm");
        packet_destroy(p);
    }
    p = packet_create_control(PACKET_BIND, STR_NULL, 0);
    p->error = 409;
    assert_written(p, "<bind" COMP " error='409'/>");
    p = again(p);
    assert_int_equal(p->error, 409);
    assert_null(p->name.data);
    packet_destroy(p);
    p = packet_create_bind(STR("x.test"), PACKET_BIND_MULTI, STR("sm-1 sm-2"));
    assert_written(p, "<bind" COMP " name='x.test' multi='to' nodes='sm-1 sm-2'/>");
    p = again(p);
    assert_str(p->nodes, "sm-1 sm-2");
    packet_destroy(p);
    p = again(packet_create_control(PACKET_UNBIND, STR("sm"), 0));
    assert_int_equal(p->kind, PACKET_UNBIND);
    assert_str(p->name, "sm");
    packet_destroy(p);
    p = packet_create_control(PACKET_PRESENCE, STR("x.test"), 0);
    assert_written(p, "<presence" COMP " from='x.test' type='unavailable'/>");
    p->up = true;
    assert_written(p, "<presence" COMP " from='x.test'/>");
    p = again(p);
    assert_true(p->up);
    assert_str(p->name, "x.test");
    packet_destroy(p);
    p = packet_create_presence(STR("x.test"), true, STR("sm-1 sm-2"));
    assert_written(p, "<presence" COMP " from='x.test' nodes='sm-1 sm-2'/>");
    p = again(p);
    assert_str(p->nodes, "sm-1 sm-2");
    packet_destroy(p);
    p = again(packet_create_control(PACKET_THROTTLE, STR_NULL, 0));
    assert_int_equal(p->kind, PACKET_THROTTLE);
    packet_destroy(p);
}

/* What jabberd2's c2s and sm send (jabberd2.md 1.2, 1.3; captured there). */
static void jabberd2_samples(void **state)
{
    struct packet *p = parse("<route" COMP " to='jd2.test' from='c2s'><sc:session xmlns:sc=" SESS
                             " sc:c2s='12' action='start' target='alice@jd2.test/home' "
                             "id='6a32000000000000000000000000000000000000'/></route>");

    assert_int_equal(p->action, SESSION_START);
    assert_str(session_id_str(&p->c2s), "12");
    assert_int_equal(p->sm.len, 0);
    assert_str(jid_full(p->target), "alice@jd2.test/home");
    assert_int_equal(p->request.len, 40);
    packet_destroy(p);
    p = parse(
        "<route" COMP " to='c2s' from='sm'><sc:session xmlns:sc=" SESS
        " sc:c2s='12' action='create' target='alice@jd2.test' id='669f' sc:failed='1'/></route>");
    assert_true(p->failed);
    assert_int_equal(p->action, SESSION_CREATE);
    packet_destroy(p);
    p = parse("<route" COMP " to='c2s' from='jd2.test'><iq xmlns='jabber:client' xmlns:sm=" SESS
              " type='result' id='a' sm:c2s='12' sm:sm='6281'/></route>");
    assert_str(session_id_str(&p->sm), "6281");
    assert_null(p->to);
    assert_int_equal(stanza_attr_count(p->stanza, STANZA_ROOT), 2);
    packet_destroy(p);
    p = parse("<bind" COMP " error='409'/>");
    assert_int_equal(p->error, 409);
    packet_destroy(p);
    p = parse("<bind" COMP " multi=''  name='jd2.test'/>");
    assert_int_equal(p->bind_flags, PACKET_BIND_MULTI);
    packet_destroy(p);
}

static void missing_names_are_the_routers_to_judge(void **state)
{
    struct packet *p = parse("<route" COMP "><iq xmlns='jabber:client'/></route>");

    assert_null(p->route_to.data);
    assert_null(p->route_from.data);
    packet_destroy(p);
    p = parse("<bind" COMP "/>");
    assert_null(p->name.data);
    packet_destroy(p);
}

static void an_error_that_makes_no_sense_is_still_one(void **state)
{
    struct packet *p =
        parse("<route" COMP " to='a' from='b' error='banana'><iq xmlns='jabber:client'/></route>");

    assert_int_equal(p->error, 500);
    packet_destroy(p);
}

static void malformed_addresses_stay_text(void **state)
{
    struct packet *p =
        parse("<route" COMP " to='a' from='b'><iq xmlns='jabber:client' to='@@' from=''/></route>");

    assert_null(p->to);
    assert_null(p->from);
    assert_str(stanza_attr(p->stanza, STANZA_ROOT, STR("to")), "@@");
    packet_destroy(p);
}

static void refuses_what_makes_no_packet(void **state)
{
    refused("<bind xmlns='jabber:client' name='sm'/>");
    refused("<dance" COMP "/>");
    refused("<route" COMP " to='a' from='b'/>");
    refused("<route" COMP " to='a' from='b'>text</route>");
    refused("<route" COMP " to='a' from='b'><a xmlns='x'/><b xmlns='x'/></route>");
    refused("<route" COMP " to='a' from='b' type='dance'><a xmlns='x'/></route>");
    refused("<route" COMP " to='a' from='b'><s:session xmlns:s=" SESS "/></route>");
    refused("<route" COMP " to='a' from='b'><s:session xmlns:s=" SESS " action='dance'/></route>");
    refused("<route" COMP " to='a' from='b'><s:session xmlns:s=" SESS
            " action='start' target='@'/></route>");
    refused("<route" COMP " to='a' from='b'><s:session xmlns:s=" SESS
            " action='end' s:c2s='12345678901234567890123456789012345678901234567'/></route>");
    refused("<route" COMP " to='a' from='b'><iq xmlns='jabber:client' xmlns:s=" SESS
            " s:sm='12345678901234567890123456789012345678901234567'/></route>");
    refused("<presence" COMP "/>");
    refused("<presence" COMP " from=''/>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stanza_there_and_back),
        cmocka_unit_test(stanza_without_a_session),
        cmocka_unit_test(delay_becomes_a_child),
        cmocka_unit_test(foreign_attributes_stay),
        cmocka_unit_test(bounce_keeps_the_names_on_the_wire),
        cmocka_unit_test(broadcast_and_log),
        cmocka_unit_test(session_actions_there_and_back),
        cmocka_unit_test(a_refusal_is_the_request_come_back),
        cmocka_unit_test(log_copy_of_a_session_action),
        cmocka_unit_test(bind_unbind_presence_throttle),
        cmocka_unit_test(jabberd2_samples),
        cmocka_unit_test(missing_names_are_the_routers_to_judge),
        cmocka_unit_test(an_error_that_makes_no_sense_is_still_one),
        cmocka_unit_test(malformed_addresses_stay_text),
        cmocka_unit_test(refuses_what_makes_no_packet),
    };
    return cmocka_run_group_tests(tests, parsing_set_up, parsing_tear_down);
}
