/* The tables of streams between servers cell by cell, what an element counts as, and headers. The
 * tables here are written by hand from RFC 6120, XEP-0220, 0288 and 0198, in shorthand, so that
 * they can disagree with s2s_stream.c. */
#include "unit.h"

#include "xml/builder.h"
#include "xmpp/namespaces.h"
#include "xmpp/s2s_stream.h"

/* clang-format off */
/* Columns in the order of enum s2s_input. Lower case: what is done. Upper case: the stream error. */
static const char *const expected[S2S_ROLES][S2S_STATES] = {
    [S2S_ACCEPTED] = {
        /*                      hdr  feat starttls proc tlsf auth succ fail chal   res  resans ver  verans bidi sm   stnza other err  unkn close */
        [S2S_WAIT_HEADER]   = "open  FORM FORM FORM FORM FORM FORM FORM FORM FORM FORM FORM FORM FORM FORM FORM FORM FORM FORM close",
        [S2S_WAIT_FEATURES] = "skip  skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip",
        [S2S_NEGOTIATING]   = "FORM  TYPE tls  TYPE TYPE auth TYPE TYPE bad  res  FROM ver  FROM bidi sm   AUTH AUTH err  TYPE close",
        [S2S_WAIT_PROCEED]  = "skip  skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip",
        [S2S_TLS]           = "skip  skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip",
        [S2S_SASL]          = "skip  skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip",
        [S2S_OPEN]          = "FORM  TYPE notls TYPE TYPE POL TYPE TYPE POL  res  rans ver  FROM POL  sm   stnza NS  err  TYPE close",
        [S2S_CLOSED]        = "skip  skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip",
    },
    [S2S_MADE] = {
        [S2S_WAIT_HEADER]   = "open  FORM FORM FORM FORM FORM FORM FORM FORM FORM FORM FORM FORM FORM FORM FORM FORM FORM FORM close",
        [S2S_WAIT_FEATURES] = "FORM  feat TYPE TYPE TYPE TYPE TYPE TYPE TYPE TYPE TYPE TYPE TYPE TYPE TYPE AUTH AUTH err  TYPE close",
        [S2S_NEGOTIATING]   = "skip  skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip",
        [S2S_WAIT_PROCEED]  = "FORM  TYPE TYPE proc notls TYPE TYPE TYPE TYPE TYPE TYPE TYPE TYPE TYPE TYPE AUTH AUTH err TYPE close",
        [S2S_TLS]           = "skip  skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip",
        [S2S_SASL]          = "FORM  TYPE TYPE TYPE TYPE TYPE succ fail bad  TYPE TYPE TYPE TYPE TYPE TYPE AUTH AUTH err  TYPE close",
        [S2S_OPEN]          = "FORM  skip TYPE TYPE TYPE TYPE TYPE TYPE TYPE res  rans ver  vans TYPE sm   stnza NS  err  TYPE close",
        [S2S_CLOSED]        = "skip  skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip skip",
    },
};
/* clang-format on */

static const struct {
    const char *word;
    enum s2s_action action;
    enum stream_condition condition;
} words[] = {
    {"skip", S2S_DO_IGNORE, STREAM_ERR_NONE},
    {"open", S2S_DO_OPEN, STREAM_ERR_NONE},
    {"feat", S2S_DO_FEATURES, STREAM_ERR_NONE},
    {"tls", S2S_DO_STARTTLS, STREAM_ERR_NONE},
    {"proc", S2S_DO_PROCEED, STREAM_ERR_NONE},
    {"notls", S2S_DO_NO_TLS, STREAM_ERR_NONE},
    {"auth", S2S_DO_AUTH, STREAM_ERR_NONE},
    {"bad", S2S_DO_SASL_MALFORMED, STREAM_ERR_NONE},
    {"succ", S2S_DO_SUCCESS, STREAM_ERR_NONE},
    {"fail", S2S_DO_FAILURE, STREAM_ERR_NONE},
    {"res", S2S_DO_RESULT, STREAM_ERR_NONE},
    {"rans", S2S_DO_RESULT_ANSWER, STREAM_ERR_NONE},
    {"ver", S2S_DO_VERIFY, STREAM_ERR_NONE},
    {"vans", S2S_DO_VERIFY_ANSWER, STREAM_ERR_NONE},
    {"bidi", S2S_DO_BIDI, STREAM_ERR_NONE},
    {"sm", S2S_DO_SM, STREAM_ERR_NONE},
    {"stnza", S2S_DO_STANZA, STREAM_ERR_NONE},
    {"err", S2S_DO_PEER_ERROR, STREAM_ERR_NONE},
    {"close", S2S_DO_CLOSE, STREAM_ERR_NONE},
    {"FORM", S2S_DO_ERROR, STREAM_ERR_BAD_FORMAT},
    {"AUTH", S2S_DO_ERROR, STREAM_ERR_NOT_AUTHORIZED},
    {"TYPE", S2S_DO_ERROR, STREAM_ERR_UNSUPPORTED_STANZA_TYPE},
    {"POL", S2S_DO_ERROR, STREAM_ERR_POLICY_VIOLATION},
    {"NS", S2S_DO_ERROR, STREAM_ERR_INVALID_NAMESPACE},
    {"FROM", S2S_DO_ERROR, STREAM_ERR_INVALID_FROM},
};

static void check_cell(int role, int state, int in, struct str word)
{
    enum stream_condition condition = STREAM_ERR_RESET;
    enum s2s_action action =
        s2s_stream_next((enum s2s_role)role, (enum s2s_state)state, (enum s2s_input)in, &condition);
    size_t w = 0;

    while (w < sizeof(words) / sizeof(words[0]) && !str_is(word, words[w].word))
        w++;
    assert_true(w < sizeof(words) / sizeof(words[0]));
    if (action != words[w].action || condition != words[w].condition)
        fail_msg("role %d, state %s, input %d: action %d (%s), not %s", role,
                 s2s_state_name((enum s2s_state)state), in, action,
                 stream_error_element(condition).data, words[w].word);
}

static void every_cell(void **unused)
{
    (void)unused;
    for (int role = 0; role < S2S_ROLES; role++)
        for (int state = 0; state < S2S_STATES; state++) {
            struct str rest = str_of(expected[role][state]), word;
            int in = 0;
            while (str_split(&rest, ' ', &word))
                if (word.len > 0)
                    check_cell(role, state, in++, word);
            assert_int_equal(in, S2S_INPUTS);
        }
}

/* B 47 once more without the table: only an open stream lets a stanza through. */
static void no_stanza_before_open(void **unused)
{
    enum stream_condition condition;

    (void)unused;
    for (int role = 0; role < S2S_ROLES; role++)
        for (int state = 0; state < S2S_STATES; state++)
            for (int in = 0; in < S2S_INPUTS; in++)
                if (s2s_stream_next((enum s2s_role)role, (enum s2s_state)state, (enum s2s_input)in,
                                    &condition) == S2S_DO_STANZA)
                    assert_int_equal(state, S2S_OPEN);
}

static void elements(void **unused)
{
    static const struct {
        const char *name, *ns, *type;
        enum s2s_input input;
    } cases[] = {
        {"message", "jabber:server", NULL, S2S_IN_STANZA},
        {"presence", "jabber:server", "error", S2S_IN_STANZA},
        {"iq", "jabber:client", "get", S2S_IN_OTHER_NS_STANZA},
        {"jump", "jabber:server", NULL, S2S_IN_UNKNOWN},
        {"result", "jabber:server:dialback", NULL, S2S_IN_RESULT},
        {"result", "jabber:server:dialback", "valid", S2S_IN_RESULT_ANSWER},
        {"verify", "jabber:server:dialback", NULL, S2S_IN_VERIFY},
        {"verify", "jabber:server:dialback", "", S2S_IN_VERIFY_ANSWER},
        {"verify", "jabber:server", NULL, S2S_IN_UNKNOWN},
        {"features", "http://etherx.jabber.org/streams", NULL, S2S_IN_FEATURES},
        {"error", "http://etherx.jabber.org/streams", NULL, S2S_IN_ERROR},
        {"starttls", "urn:ietf:params:xml:ns:xmpp-tls", NULL, S2S_IN_STARTTLS},
        {"failure", "urn:ietf:params:xml:ns:xmpp-tls", NULL, S2S_IN_TLS_FAILURE},
        {"failure", "urn:ietf:params:xml:ns:xmpp-sasl", NULL, S2S_IN_FAILURE},
        {"auth", "urn:ietf:params:xml:ns:xmpp-sasl", NULL, S2S_IN_AUTH},
        {"response", "urn:ietf:params:xml:ns:xmpp-sasl", NULL, S2S_IN_CHALLENGE},
        {"bidi", "urn:xmpp:bidi", NULL, S2S_IN_BIDI},
        {"bidi", "urn:xmpp:features:bidi", NULL, S2S_IN_UNKNOWN},
        {"a", "urn:xmpp:sm:3", NULL, S2S_IN_SM},
    };

    (void)unused;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct builder *b = builder_create(str_of(cases[i].name), str_of(cases[i].ns));
        struct stanza *s;
        builder_attr(b, STR("type"), str_of(cases[i].type));
        s = builder_finish(b);
        assert_int_equal(s2s_stream_classify(s), cases[i].input);
        stanza_unref(s);
    }
}

static enum stream_condition header(const char *name, struct str ns, const char *xmlns,
                                    const char *version, const char *from, const char *to,
                                    struct s2s_header *ret)
{
    struct builder *b = builder_create(str_of(name), ns);
    struct stanza *s;
    enum stream_condition condition;

    builder_attr(b, STR("xmlns"), str_of(xmlns));
    builder_attr(b, STR("version"), str_of(version));
    builder_attr(b, STR("from"), str_of(from));
    builder_attr(b, STR("to"), str_of(to));
    s = builder_finish(b);
    condition = s2s_stream_check_header(s, ret);
    stanza_unref(s);
    return condition;
}

static void headers(void **unused)
{
    struct s2s_header h;
    const char *server = "jabber:server";

    (void)unused;
    assert_int_equal(header("stream", NS_STREAM, server, "1.0", "A.example", "b.example", &h),
                     STREAM_ERR_NONE);
    assert_true(h.version && str_is(h.from, "a.example") && str_is(h.to, "b.example"));
    assert_int_equal(header("stream", NS_STREAM, server, NULL, NULL, NULL, &h), STREAM_ERR_NONE);
    assert_true(!h.version && !h.from.data && !h.to.data);
    assert_int_equal(header("stream", NS_STREAM, server, "0.9", NULL, NULL, &h), STREAM_ERR_NONE);
    assert_false(h.version);
    assert_int_equal(header("stream", NS_STREAM, "jabber:client", "1.0", NULL, NULL, &h),
                     STREAM_ERR_INVALID_NAMESPACE);
    assert_int_equal(header("stream", NS_SERVER, server, "1.0", NULL, NULL, &h),
                     STREAM_ERR_INVALID_NAMESPACE);
    assert_int_equal(header("steam", NS_STREAM, server, "1.0", NULL, NULL, &h),
                     STREAM_ERR_BAD_FORMAT);
    assert_int_equal(header("stream", NS_STREAM, server, "one", NULL, NULL, &h),
                     STREAM_ERR_UNSUPPORTED_VERSION);
    assert_int_equal(header("stream", NS_STREAM, server, "1.0", "a b", NULL, &h),
                     STREAM_ERR_IMPROPER_ADDRESSING);
    assert_int_equal(header("stream", NS_STREAM, server, "1.0", NULL, "", &h),
                     STREAM_ERR_IMPROPER_ADDRESSING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cell),
        cmocka_unit_test(no_stanza_before_open),
        cmocka_unit_test(elements),
        cmocka_unit_test(headers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
