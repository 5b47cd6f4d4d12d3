/* The stream table cell by cell, what an element counts as, and the checks of a stream header. The
 * table here is written by hand from RFC 6120, in shorthand, so that it can disagree with stream.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "xml/builder.h"
#include "xml/parser.h"
#include "xmpp/namespaces.h"
#include "xmpp/stream.h"

/* clang-format off */
/* Columns in the order of enum stream_input. Lower case: what is done. Upper case: the stream error. */
static const char *const expected[STREAM_STATES] = {
    /*                       hdr   tls   auth  resp  abort auth2 resp2 abrt2 next  data  reg   bind  sess  stnza otherns sm   csi   error unkn  close space */
    [STREAM_WAIT_HEADER]  = "open  FORM  FORM  FORM  FORM  FORM  FORM  FORM  FORM  FORM  FORM  FORM  FORM  FORM  FORM  FORM  FORM  FORM  FORM  close  skip",
    [STREAM_NEGOTIATING]  = "FORM  tls  auth  badmsg  badmsg  auth2  bad2  bad2  bad2  bad2  reg  AUTH  AUTH  AUTH  AUTH  sm  AUTH  close  TYPE  close  skip",
    [STREAM_TLS]          = "skip  skip  skip  skip  skip  skip  skip  skip  skip  skip  skip  skip  skip  skip  skip  skip  skip  skip  skip  skip  skip",
    [STREAM_SASL]         = "FORM  notls  badmsg  resp  abort  POL  POL  POL  POL  POL  AUTH  AUTH  AUTH  AUTH  AUTH  AUTH  AUTH  close  TYPE  close  skip",
    [STREAM_SASL2]        = "FORM  POL  POL  POL  POL  POL  resp  abort  POL  POL  AUTH  AUTH  AUTH  AUTH  AUTH  AUTH  AUTH  close  TYPE  close  POL",
    [STREAM_SASL2_TASKS]  = "FORM  POL  POL  POL  POL  POL  POL  abort  next  POL  AUTH  AUTH  AUTH  AUTH  AUTH  AUTH  AUTH  close  TYPE  close  POL",
    [STREAM_SASL2_TASK]   = "FORM  POL  POL  POL  POL  POL  POL  abort  POL  data  AUTH  AUTH  AUTH  AUTH  AUTH  AUTH  AUTH  close  TYPE  close  POL",
    [STREAM_WAIT_RESTART] = "open  POL  POL  POL  POL  POL  POL  POL  POL  POL  POL  POL  POL  POL  POL  POL  POL  close  POL  close  skip",
    [STREAM_UNBOUND]      = "FORM  notls  POL  POL  POL  POL  POL  POL  POL  POL  AUTH  bind  AUTH  AUTH  AUTH  sm  skip  close  TYPE  close  skip",
    [STREAM_BINDING]      = "FORM  notls  POL  POL  POL  POL  POL  POL  POL  POL  AUTH  AUTH  AUTH  AUTH  AUTH  sm  skip  close  TYPE  close  skip",
    [STREAM_BOUND]        = "FORM  notls  POL  POL  POL  POL  POL  POL  POL  POL  reg  stnza  sess  stnza  NS  sm  csi  close  TYPE  close  skip",
    [STREAM_CLOSED]       = "skip  skip  skip  skip  skip  skip  skip  skip  skip  skip  skip  skip  skip  skip  skip  skip  skip  skip  skip  skip  skip",
};
/* clang-format on */

static const struct {
    const char *word;
    enum stream_action action;
    enum stream_condition condition;
} words[] = {
    {"skip", STREAM_DO_IGNORE, STREAM_ERR_NONE},
    {"open", STREAM_DO_OPEN, STREAM_ERR_NONE},
    {"tls", STREAM_DO_STARTTLS, STREAM_ERR_NONE},
    {"notls", STREAM_DO_TLS_FAILURE, STREAM_ERR_NONE},
    {"auth", STREAM_DO_AUTH, STREAM_ERR_NONE},
    {"resp", STREAM_DO_RESPONSE, STREAM_ERR_NONE},
    {"abort", STREAM_DO_ABORT, STREAM_ERR_NONE},
    {"badmsg", STREAM_DO_SASL_MALFORMED, STREAM_ERR_NONE},
    {"auth2", STREAM_DO_AUTHENTICATE, STREAM_ERR_NONE},
    {"bad2", STREAM_DO_SASL2_MALFORMED, STREAM_ERR_NONE},
    {"next", STREAM_DO_NEXT, STREAM_ERR_NONE},
    {"data", STREAM_DO_TASK_DATA, STREAM_ERR_NONE},
    {"reg", STREAM_DO_REGISTER, STREAM_ERR_NONE},
    {"bind", STREAM_DO_BIND, STREAM_ERR_NONE},
    {"sess", STREAM_DO_SESSION, STREAM_ERR_NONE},
    {"stnza", STREAM_DO_STANZA, STREAM_ERR_NONE},
    {"sm", STREAM_DO_SM, STREAM_ERR_NONE},
    {"csi", STREAM_DO_CSI, STREAM_ERR_NONE},
    {"close", STREAM_DO_CLOSE, STREAM_ERR_NONE},
    {"FORM", STREAM_DO_ERROR, STREAM_ERR_BAD_FORMAT},
    {"AUTH", STREAM_DO_ERROR, STREAM_ERR_NOT_AUTHORIZED},
    {"TYPE", STREAM_DO_ERROR, STREAM_ERR_UNSUPPORTED_STANZA_TYPE},
    {"POL", STREAM_DO_ERROR, STREAM_ERR_POLICY_VIOLATION},
    {"NS", STREAM_DO_ERROR, STREAM_ERR_INVALID_NAMESPACE},
};

static void test_every_cell(void **state)
{
    (void)state;
    size_t cells = 0;
    for (int s = 0; s < STREAM_STATES; s++) {
        struct str rest = str_of(expected[s]), word;
        int in = 0;
        while (str_split(&rest, ' ', &word)) {
            if (word.len == 0)
                continue;
            size_t w = 0;
            while (w < sizeof(words) / sizeof(words[0]) && !str_is(word, words[w].word))
                w++;
            assert_true(w < sizeof(words) / sizeof(words[0]));
            assert_true(in < STREAM_INPUTS);
            enum stream_condition condition = STREAM_ERR_RESET;
            enum stream_action action =
                stream_next((enum stream_state)s, (enum stream_input)in, &condition);
            if (action != words[w].action || condition != words[w].condition)
                fail_msg("state %s, input %d: action %d (%s)",
                         stream_state_name((enum stream_state)s), in, action,
                         stream_error_element(condition).data);
            in++;
            cells++;
        }
        assert_int_equal(in, STREAM_INPUTS);
    }
    assert_int_equal(cells, STREAM_STATES * STREAM_INPUTS);
}

/* What reliability.md B 16 forbids, said once more without the table: nothing but BOUND lets a
 * stanza through. */
static void test_no_stanza_before_bind(void **state)
{
    (void)state;
    for (int s = 0; s < STREAM_STATES; s++)
        for (int in = 0; in < STREAM_INPUTS; in++) {
            enum stream_condition condition;
            enum stream_action a =
                stream_next((enum stream_state)s, (enum stream_input)in, &condition);
            if (a == STREAM_DO_STANZA || a == STREAM_DO_SESSION)
                assert_int_equal(s, STREAM_BOUND);
            if (a == STREAM_DO_BIND)
                assert_int_equal(s, STREAM_UNBOUND);
            if (a == STREAM_DO_ERROR)
                assert_int_not_equal(condition, STREAM_ERR_NONE);
        }
}

static enum stream_input classify(const char *name, struct str ns, const char *type, const char *to,
                                  const char *child, struct str child_ns)
{
    struct builder *b = builder_create(str_of(name), ns);
    builder_attr(b, STR("type"), str_of(type));
    builder_attr(b, STR("to"), str_of(to));
    if (child)
        builder_leaf(b, str_of(child), child_ns, STR_NULL);
    struct stanza *s = builder_finish(b);
    enum stream_input in = stream_classify(s, STR("example.com"));
    stanza_unref(s);
    return in;
}
#define PLAIN(name, ns) classify(name, ns, NULL, NULL, NULL, STR_NULL)

static void test_classify(void **state)
{
    (void)state;
    assert_int_equal(PLAIN("message", NS_CLIENT), STREAM_IN_STANZA);
    assert_int_equal(PLAIN("presence", NS_CLIENT), STREAM_IN_STANZA);
    assert_int_equal(PLAIN("iq", NS_CLIENT), STREAM_IN_STANZA);
    assert_int_equal(PLAIN("message", NS_SERVER), STREAM_IN_OTHER_NS_STANZA);
    assert_int_equal(PLAIN("iq", STR("")), STREAM_IN_OTHER_NS_STANZA);
    assert_int_equal(PLAIN("auth", NS_SASL), STREAM_IN_AUTH);
    assert_int_equal(PLAIN("response", NS_SASL), STREAM_IN_RESPONSE);
    assert_int_equal(PLAIN("abort", NS_SASL), STREAM_IN_ABORT);
    assert_int_equal(PLAIN("success", NS_SASL), STREAM_IN_UNKNOWN);
    assert_int_equal(PLAIN("auth", NS_CLIENT), STREAM_IN_UNKNOWN);
    assert_int_equal(PLAIN("starttls", NS_TLS), STREAM_IN_STARTTLS);
    assert_int_equal(PLAIN("proceed", NS_TLS), STREAM_IN_UNKNOWN);
    assert_int_equal(PLAIN("enable", NS_SM), STREAM_IN_SM);
    assert_int_equal(PLAIN("r", NS_SM), STREAM_IN_SM);
    assert_int_equal(PLAIN("r", NS_CLIENT), STREAM_IN_UNKNOWN);
    assert_int_equal(PLAIN("active", NS_CSI), STREAM_IN_CSI);
    assert_int_equal(PLAIN("inactive", NS_CSI), STREAM_IN_CSI);
    assert_int_equal(PLAIN("csi", NS_CSI), STREAM_IN_UNKNOWN);
    assert_int_equal(PLAIN("error", NS_STREAM), STREAM_IN_ERROR);
    assert_int_equal(PLAIN("features", NS_STREAM), STREAM_IN_UNKNOWN);
    assert_int_equal(PLAIN("error", NS_CLIENT), STREAM_IN_UNKNOWN);
}

static void test_classify_iq(void **state)
{
    (void)state;
    assert_int_equal(classify("iq", NS_CLIENT, "set", NULL, "bind", NS_BIND), STREAM_IN_BIND);
    assert_int_equal(classify("iq", NS_CLIENT, "get", NULL, "bind", NS_BIND), STREAM_IN_STANZA);
    assert_int_equal(classify("iq", NS_CLIENT, "result", NULL, "bind", NS_BIND), STREAM_IN_STANZA);
    assert_int_equal(classify("message", NS_CLIENT, "set", NULL, "bind", NS_BIND),
                     STREAM_IN_STANZA);
    assert_int_equal(classify("iq", NS_CLIENT, "set", NULL, "session", NS_SESSION),
                     STREAM_IN_SESSION);
    assert_int_equal(classify("iq", NS_CLIENT, "get", NULL, "query", NS_REGISTER),
                     STREAM_IN_REGISTER);
    assert_int_equal(classify("iq", NS_CLIENT, "set", "Example.COM.", "query", NS_REGISTER),
                     STREAM_IN_REGISTER);
    assert_int_equal(classify("iq", NS_CLIENT, "set", "icq.example.com", "query", NS_REGISTER),
                     STREAM_IN_STANZA);
    assert_int_equal(classify("iq", NS_CLIENT, "set", "a@example.com", "query", NS_REGISTER),
                     STREAM_IN_STANZA);
    assert_int_equal(classify("iq", NS_CLIENT, "result", NULL, "query", NS_REGISTER),
                     STREAM_IN_STANZA);
    assert_int_equal(classify("iq", NS_CLIENT, NULL, NULL, "query", NS_REGISTER), STREAM_IN_STANZA);
    assert_int_equal(classify("iq", NS_CLIENT, "get", NULL, "query", NS_ROSTER), STREAM_IN_STANZA);
}

struct heard {
    char to_out[1024];
    struct str to;
    enum stream_condition condition;
    int headers;
};

static void on_header(void *owner, const struct stanza *header)
{
    struct heard *h = owner;
    h->headers++;
    h->condition = stream_check_header(header, h->to_out, &h->to);
}

static void on_stanza(void *owner, struct stanza *s)
{
    (void)owner;
    stanza_unref(s);
}

static void on_close(void *owner)
{
    (void)owner;
}

static struct heard hear(const char *xml)
{
    static const struct parser_events events = {
        .stream_open = on_header, .stanza = on_stanza, .stream_close = on_close};
    static const struct parser_limits limits = {10000, 0, 16, 64, 32, 100};
    struct heard h = {.condition = STREAM_ERR_RESET};
    struct random *random = random_create_seeded(1);
    struct parser_pool *pool = parser_pool_create(random);
    struct parser *p = parser_create(pool, &limits, &events, &h);
    parser_feed(p, xml, strlen(xml));
    assert_int_equal(h.headers, 1);
    parser_destroy(p);
    parser_pool_destroy(pool);
    random_destroy(random);
    if (h.to.data)
        h.to.data = NULL; /* it pointed into the struct that has moved; its length remains */
    return h;
}

#define OPEN(rest) "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' " rest ">"
#define CLIENT     "xmlns='jabber:client' "

static void test_header(void **state)
{
    (void)state;
    static const struct {
        const char *xml;
        enum stream_condition condition;
        const char *to;
    } rows[] = {
        {OPEN(CLIENT "to='example.com' version='1.0'"), STREAM_ERR_NONE, "example.com"},
        {OPEN(CLIENT "to='Example.COM.' version='1.0'"), STREAM_ERR_NONE, "example.com"},
        {OPEN(CLIENT "from='a@example.com' version='1.0'"), STREAM_ERR_NONE, NULL},
        {OPEN(CLIENT "to='x' version='1.1'"), STREAM_ERR_NONE, "x"},
        {OPEN(CLIENT "to='x' version='99.0'"), STREAM_ERR_NONE, "x"},
        {OPEN(CLIENT "to='x' version='01.00'"), STREAM_ERR_NONE, "x"},
        /* version: section 4.7.5 */
        {OPEN(CLIENT "to='x'"), STREAM_ERR_UNSUPPORTED_VERSION, NULL},
        {OPEN(CLIENT "to='x' version='0.9'"), STREAM_ERR_UNSUPPORTED_VERSION, NULL},
        {OPEN(CLIENT "to='x' version=''"), STREAM_ERR_UNSUPPORTED_VERSION, NULL},
        {OPEN(CLIENT "to='x' version='1'"), STREAM_ERR_UNSUPPORTED_VERSION, NULL},
        {OPEN(CLIENT "to='x' version='1.'"), STREAM_ERR_UNSUPPORTED_VERSION, NULL},
        {OPEN(CLIENT "to='x' version='1.0x'"), STREAM_ERR_UNSUPPORTED_VERSION, NULL},
        {OPEN(CLIENT "to='x' version='-1.0'"), STREAM_ERR_UNSUPPORTED_VERSION, NULL},
        {OPEN(CLIENT "to='x' version='1.0.0'"), STREAM_ERR_UNSUPPORTED_VERSION, NULL},
        {OPEN(CLIENT "to='x' version='99999999999.0'"), STREAM_ERR_UNSUPPORTED_VERSION, NULL},
        {OPEN(CLIENT "to='x' version='one.zero'"), STREAM_ERR_UNSUPPORTED_VERSION, NULL},
        /* addresses */
        {OPEN(CLIENT "to='' version='1.0'"), STREAM_ERR_IMPROPER_ADDRESSING, NULL},
        {OPEN(CLIENT "to='a@x' version='1.0'"), STREAM_ERR_IMPROPER_ADDRESSING, NULL},
        {OPEN(CLIENT "to='x/r' version='1.0'"), STREAM_ERR_IMPROPER_ADDRESSING, NULL},
        {OPEN(CLIENT "to='a b' version='1.0'"), STREAM_ERR_IMPROPER_ADDRESSING, NULL},
        {OPEN(CLIENT "to='x' from='@' version='1.0'"), STREAM_ERR_IMPROPER_ADDRESSING, NULL},
        /* namespaces: section 4.8 */
        {OPEN("to='x' version='1.0'"), STREAM_ERR_INVALID_NAMESPACE, NULL},
        {OPEN("xmlns='jabber:server' to='x' version='1.0'"), STREAM_ERR_INVALID_NAMESPACE, NULL},
        {"<stream xmlns='jabber:client' to='x' version='1.0'>", STREAM_ERR_INVALID_NAMESPACE, NULL},
        {"<s:stream xmlns:s='urn:other' xmlns='jabber:client' to='x' version='1.0'>",
         STREAM_ERR_INVALID_NAMESPACE, NULL},
        {"<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:client' to='x' "
         "version='1.0'>",
         STREAM_ERR_NONE, "x"},
        /* root */
        {"<message xmlns='jabber:client'>", STREAM_ERR_BAD_FORMAT, NULL},
        {"<stream:error xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client'>",
         STREAM_ERR_BAD_FORMAT, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct heard h = hear(rows[i].xml);
        if (h.condition != rows[i].condition)
            fail_msg("%s: %s", rows[i].xml, stream_error_element(h.condition).data);
        assert_int_equal(h.to.len, rows[i].to ? strlen(rows[i].to) : 0);
        if (rows[i].to)
            assert_memory_equal(h.to_out, rows[i].to, strlen(rows[i].to));
    }
}

static void test_write_header(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 4096);
    assert_true(stream_write_header(&out, STR("example.com"), STR("a'b@example.com"), STR("id1"),
                                    STR("en")));
    assert_true(str_is(buffer_str(&out),
                       "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
                       "xmlns:stream='http://etherx.jabber.org/streams' version='1.0' id='id1' "
                       "from='example.com' to='a&apos;b@example.com' xml:lang='en'>"));
    buffer_clear(&out);
    assert_true(stream_write_header(&out, STR_NULL, STR_NULL, STR_NULL, STR_NULL));
    assert_true(str_is(buffer_str(&out),
                       "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
                       "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"));
    buffer_finish(&out);
    buffer_init(&out, 30);
    assert_false(stream_write_header(&out, STR_NULL, STR_NULL, STR_NULL, STR_NULL));
    assert_int_equal(buffer_len(&out), 0);
    buffer_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cell), cmocka_unit_test(test_no_stanza_before_bind),
        cmocka_unit_test(test_classify),   cmocka_unit_test(test_classify_iq),
        cmocka_unit_test(test_header),     cmocka_unit_test(test_write_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
