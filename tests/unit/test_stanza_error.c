/* Error replies and results: what is copied, what is left out, and when nothing may be sent (RFC
 * 6120 section 8). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "xmpp/namespaces.h"
#include "xmpp/stanza_error.h"
#include "xmpp/stream_error.h"

static struct stanza *request(const char *name, const char *type, size_t body_len)
{
    struct builder *b = builder_create(str_of(name), NS_CLIENT);
    builder_attr(b, STR("from"), STR("juliet@example.com/balcony"));
    builder_attr(b, STR("to"), STR("romeo@example.net"));
    builder_attr(b, STR("id"), STR("x1"));
    builder_attr(b, STR("type"), str_of(type));
    builder_lang(b, STR("it"));
    char *body = malloc(body_len + 1);
    memset(body, 'a', body_len);
    body[body_len] = '\0';
    builder_leaf(b, STR("body"), STR_NULL, (struct str){body, body_len});
    free(body);
    return builder_finish(b);
}

static void assert_written(struct stanza *s, const char *expected)
{
    struct buffer out;
    assert_non_null(s);
    buffer_init(&out, 65536);
    assert_true(stanza_write(s, NULL, &out));
    buffer_add_char(&out, '\0');
    assert_string_equal(buffer_str(&out).data, expected);
    buffer_finish(&out);
    stanza_unref(s);
}

static void test_reply(void **state)
{
    (void)state;
    struct stanza *s = request("message", "chat", 2);
    assert_written(
        stanza_error_reply(s, STR("romeo@example.net"), STR("juliet@example.com/balcony"),
                           STANZA_ERR_SERVICE_UNAVAILABLE, NULL),
        "<message from='romeo@example.net' to='juliet@example.com/balcony' id='x1' type='error' "
        "xml:lang='it'><body>aa</body><error type='cancel'><service-unavailable "
        "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>");
    assert_written(
        stanza_error_reply_app(s, STR_NULL, STR_NULL, STANZA_ERR_POLICY_VIOLATION, "a < b",
                               STR("too-many"), STR("urn:x")),
        "<message id='x1' type='error' xml:lang='it'><body>aa</body><error type='modify'>"
        "<policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text "
        "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>a &lt; b</text><too-many "
        "xmlns='urn:x'/></error></message>");
    stanza_unref(s);
}

/* An error is not a way to make the server send much. */
static void test_echo_is_bounded(void **state)
{
    (void)state;
    struct stanza *s = request("iq", "set", 5000);
    struct stanza *e = stanza_error_reply(s, STR_NULL, STR_NULL, STANZA_ERR_BAD_REQUEST, NULL);
    assert_int_equal(stanza_children(e, STANZA_ROOT), 1);
    assert_true(stanza_size(e) < 300);
    stanza_unref(e);
    stanza_unref(s);
    s = request("iq", "set", 3000);
    e = stanza_error_reply(s, STR_NULL, STR_NULL, STANZA_ERR_BAD_REQUEST, NULL);
    assert_int_equal(stanza_children(e, STANZA_ROOT), 2);
    stanza_unref(e);
    stanza_unref(s);
}

/* Sections 8.2.3 and 8.3.1: errors breed no errors. */
static void test_never_answered(void **state)
{
    (void)state;
    static const char *const silent[][2] = {
        {"iq", "result"}, {"iq", "error"}, {"message", "error"}, {"presence", "error"}};
    for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
        struct stanza *s = request(silent[i][0], silent[i][1], 1);
        assert_null(stanza_error_reply(s, STR_NULL, STR_NULL, STANZA_ERR_CONFLICT, NULL));
        stanza_unref(s);
    }
    struct stanza *s = request("message", "result", 1); /* no type of a message, so like normal */
    struct stanza *e = stanza_error_reply(s, STR_NULL, STR_NULL, STANZA_ERR_CONFLICT, NULL);
    assert_non_null(e);
    stanza_unref(e);
    stanza_unref(s);
}

/* Section 8.3.3: condition and default type; XEP-0086: code. */
static void test_every_condition(void **state)
{
    (void)state;
    struct stanza *s = request("iq", "get", 1);
    size_t count = 0;
#define X(id, element, type, code)                                                                 \
    do {                                                                                           \
        struct stanza *e =                                                                         \
            stanza_error_reply(s, STR_NULL, STR_NULL, STANZA_ERR_##id, "text first is no matter"); \
        stanza_el el = stanza_child(e, STANZA_ROOT, STR("error"), NS_CLIENT);                      \
        assert_true(str_is(stanza_attr(e, el, STR("type")), type));                                \
        assert_true(stanza_is(e, stanza_first(e, el), STR(element), NS_STANZA_ERROR));             \
        assert_int_equal(stanza_error_parse(e), STANZA_ERR_##id);                                  \
        assert_true(str_is(stanza_error_element(STANZA_ERR_##id), element));                       \
        assert_string_equal(stanza_error_type(STANZA_ERR_##id), type);                             \
        assert_int_equal(stanza_error_code(STANZA_ERR_##id), code);                                \
        stanza_unref(e);                                                                           \
        count++;                                                                                   \
    } while (0);
#include "xmpp/stanza_error.def"
#undef X
    assert_int_equal(count, 22);
    stanza_unref(s);
}

static void test_parse_unknown(void **state)
{
    (void)state;
    struct stanza *s = request("message", "error", 1);
    assert_int_equal(stanza_error_parse(s), STANZA_ERR_UNDEFINED_CONDITION);
    stanza_unref(s);
    struct builder *b = builder_create(STR("message"), NS_CLIENT);
    builder_start(b, STR("error"), STR_NULL);
    builder_leaf(b, STR("conflict"), STR("urn:not-ours"), STR_NULL);
    builder_leaf(b, STR("made-up"), NS_STANZA_ERROR, STR_NULL);
    builder_leaf(b, STR("gone"), NS_STANZA_ERROR, STR("xmpp:a@b"));
    builder_end(b);
    s = builder_finish(b);
    assert_int_equal(stanza_error_parse(s), STANZA_ERR_GONE);
    stanza_unref(s);
}

/* jabberd2.md section 1.2, the table of router errors. */
static void test_route_codes(void **state)
{
    (void)state;
    assert_int_equal(stanza_error_from_route(400), STANZA_ERR_BAD_REQUEST);
    assert_int_equal(stanza_error_from_route(401), STANZA_ERR_NOT_AUTHORIZED);
    assert_int_equal(stanza_error_from_route(403), STANZA_ERR_FORBIDDEN);
    assert_int_equal(stanza_error_from_route(404), STANZA_ERR_REMOTE_SERVER_NOT_FOUND);
    assert_int_equal(stanza_error_from_route(409), STANZA_ERR_CONFLICT);
    assert_int_equal(stanza_error_from_route(503), STANZA_ERR_SERVICE_UNAVAILABLE);
    assert_int_equal(stanza_error_from_route(-1), STANZA_ERR_UNDEFINED_CONDITION);
    assert_int_equal(stanza_error_from_route(999), STANZA_ERR_UNDEFINED_CONDITION);
}

static void test_result(void **state)
{
    (void)state;
    struct stanza *s = request("iq", "get", 1);
    assert_written(stanza_result(s, STR("romeo@example.net"), STR("juliet@example.com/balcony")),
                   "<iq from='romeo@example.net' to='juliet@example.com/balcony' id='x1' "
                   "type='result'/>");
    struct builder *b = stanza_result_open(s, STR_NULL, STR("a@b/c"));
    builder_leaf(b, STR("query"), NS_VERSION, STR_NULL);
    assert_written(builder_finish(b), "<iq to='a@b/c' id='x1' type='result'><query "
                                      "xmlns='jabber:iq:version'/></iq>");
    stanza_unref(s);
}

static void test_stream_error(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 65536);
    assert_true(stream_error_write(&out, STREAM_ERR_POLICY_VIOLATION, "more than 10 & less"));
    assert_true(
        str_is(buffer_str(&out),
               "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text "
               "xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>more than 10 &amp; "
               "less</text></stream:error></stream:stream>"));
    buffer_clear(&out);
    assert_true(stream_error_write(&out, STREAM_ERR_RESET, NULL));
    assert_true(str_is(buffer_str(&out),
                       "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
                       "</stream:error></stream:stream>"));
    buffer_finish(&out);
    buffer_init(&out, 20); /* whole or not at all */
    assert_false(stream_error_write(&out, STREAM_ERR_RESET, NULL));
    assert_int_equal(buffer_len(&out), 0);
    buffer_finish(&out);
}

static void test_parser_status(void **state)
{
    (void)state;
    assert_int_equal(stream_error_from_parser(PARSER_OK), STREAM_ERR_NONE);
    assert_int_equal(stream_error_from_parser(PARSER_STOPPED), STREAM_ERR_NONE);
    assert_int_equal(stream_error_from_parser(PARSER_NOT_WELL_FORMED), STREAM_ERR_NOT_WELL_FORMED);
    assert_int_equal(stream_error_from_parser(PARSER_RESTRICTED_XML), STREAM_ERR_RESTRICTED_XML);
    assert_int_equal(stream_error_from_parser(PARSER_UNSUPPORTED_ENCODING),
                     STREAM_ERR_UNSUPPORTED_ENCODING);
    assert_int_equal(stream_error_from_parser(PARSER_BAD_NAMESPACE_PREFIX),
                     STREAM_ERR_BAD_NAMESPACE_PREFIX);
    assert_int_equal(stream_error_from_parser(PARSER_POLICY_VIOLATION),
                     STREAM_ERR_POLICY_VIOLATION);
    assert_int_equal(stream_error_from_parser(PARSER_BAD_FORMAT), STREAM_ERR_BAD_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reply),          cmocka_unit_test(test_echo_is_bounded),
        cmocka_unit_test(test_never_answered), cmocka_unit_test(test_every_condition),
        cmocka_unit_test(test_parse_unknown),  cmocka_unit_test(test_route_codes),
        cmocka_unit_test(test_result),         cmocka_unit_test(test_stream_error),
        cmocka_unit_test(test_parser_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
