/* Parser: any split gives the same events; everything XMPP forbids ends in its own status; streams
 * share warm expat parsers without ever noticing each other. Rows of reliability.md section B by
 * their numbers. */
#include "parsing.h"
#include "xml/parser_impl.h"

#define HEADER                                                                                     \
    "<?xml version='1.0'?><stream:stream to='a.example' xmlns='jabber:client' "                    \
    "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
#define CLOSE "</stream:stream>"

static const struct parser_limits wide = {262144, 0, 64, 64, 32, 5000};
/* A stream whose events are written down, with what a handler shall do at a stanza of that name. */
struct stream {
    struct parser *parser;
    struct buffer log;
    size_t rest; /* parser_rest at the last stanza */
};

static void on_open(void *owner, const struct stanza *header)
{
    struct stream *st = owner;
    buffer_add_str(&st->log, STR("["));
    stanza_write(header, NULL, &st->log);
    buffer_add_str(&st->log, STR("]"));
}

static void on_stanza(void *owner, struct stanza *s)
{
    struct stream *st = owner;
    st->rest = parser_rest(st->parser);
    stanza_write(s, NULL, &st->log);
    struct str name = stanza_name(s, STANZA_ROOT);
    if (str_eq(name, STR("restart"))) {
        parser_restart(st->parser);
    } else if (str_eq(name, STR("stop"))) {
        parser_stop(st->parser);
    } else if (str_eq(name, STR("destroy"))) {
        parser_stop(st->parser);
        parser_destroy(st->parser);
    } else if (str_eq(name, STR("nested"))) {
        enum parser_status status = PARSER_OK;
        struct stanza *d = parser_document(parsing.pool, STR("<d xmlns='u'>x</d>"), &wide, &status);
        assert_non_null(d);
        stanza_write(d, NULL, &st->log);
        stanza_unref(d);
    }
    stanza_unref(s);
}

static void on_close(void *owner)
{
    buffer_add_str(&((struct stream *)owner)->log, STR("[close]"));
}

static const struct parser_events events = {
    .stream_open = on_open, .stanza = on_stanza, .stream_close = on_close};

static void stream_init(struct stream *st, const struct parser_limits *limits)
{
    *st = (struct stream){0};
    buffer_init(&st->log, 1 << 24);
    st->parser = parser_create(parsing.pool, limits, &events, st);
}

static void stream_finish(struct stream *st)
{
    parser_destroy(st->parser);
    buffer_finish(&st->log);
}

static enum parser_status feed(struct stream *st, const char *text)
{
    return parser_feed(st->parser, text, strlen(text));
}

/* What came since the last call, which it forgets. */
static void assert_log(struct stream *st, const char *expected)
{
    if (!str_is(buffer_str(&st->log), expected))
        fail_msg("\"%.*s\" instead of \"%s\"", STR_ARG(buffer_str(&st->log)), expected);
    buffer_clear(&st->log);
}

/* In pieces of that size: the status at the end. */
static enum parser_status feed_pieces(struct stream *st, struct str bytes, size_t piece)
{
    enum parser_status status = PARSER_OK;
    for (size_t at = 0; at < bytes.len && status == PARSER_OK; at += piece) {
        size_t n = bytes.len - at < piece ? bytes.len - at : piece;
        char *exact = malloc(n);
        assert_non_null(exact);
        memcpy(exact, bytes.data + at, n);
        status = parser_feed(st->parser, exact, n);
        free(exact);
    }
    return status;
}

/* Whole, byte by byte, and in sevens: that status and that log. */
static void assert_outcome_of(struct str bytes, const struct parser_limits *limits,
                              enum parser_status status, const char *log)
{
    const size_t pieces[] = {bytes.len, 1, 7};
    for (size_t i = 0; i < 3; i++) {
        struct stream st;
        stream_init(&st, limits);
        enum parser_status got = feed_pieces(&st, bytes, pieces[i]);
        if (got != status)
            fail_msg("status %d (%s) instead of %d in pieces of %zu: %.*s", (int)got,
                     parser_why(st.parser), (int)status, pieces[i], STR_ARG(bytes));
        if (status != PARSER_OK) {
            assert_true(parser_why(st.parser)[0] != '\0');
            assert_int_equal(feed(&st, "<a/>"), status); /* accepts nothing more */
        }
        if (log)
            assert_log(&st, log);
        stream_finish(&st);
    }
}

#define assert_outcome(text, status) assert_outcome_of(STR(text), &wide, status, NULL)

static void one_stream(void **state)
{
    assert_outcome_of(STR(HEADER "<message to='b'><body>hi</body></message>\n <presence/>" CLOSE),
                      &wide, PARSER_OK,
                      "[<stream xmlns='jabber:client' to='a.example' version='1.0'/>]"
                      "<message to='b'><body>hi</body></message><presence/>[close]");
    assert_outcome_of(
        STR("<stream xmlns='http://etherx.jabber.org/streams' xmlns:c='jabber:client' "
            "xml:lang='en'>"
            "<c:a/><x xmlns=''/></stream>"),
        &wide, PARSER_OK,
        "[<stream xmlns='http://etherx.jabber.org/streams' xml:lang='en'/>]<a/><x/>[close]");
    /* No default namespace declared, as jabberd2's components do. */
    assert_outcome_of(
        STR("<s:stream xmlns:s='http://etherx.jabber.org/streams'><route xmlns='c'><a/></route>"),
        &wide, PARSER_OK, "[<stream/>]<route><a/></route>");
    assert_outcome_of(STR("<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns=''/>"), &wide,
                      PARSER_OK, "[<stream xmlns=''/>][close]");
}

static void ignores_what_follows_the_end(void **state)
{
    assert_outcome_of(STR(HEADER CLOSE "<a/> & \xFF"), &wide, PARSER_OK,
                      "[<stream xmlns='jabber:client' to='a.example' version='1.0'/>][close]");
}

/* Every split in two of a stream with most of what XML offers. */
static void every_split(void **state)
{
    struct str bytes =
        STR(HEADER "<m a='&lt;&#x10FFFF;\"' p:b=\"it's\" xmlns:p='u'>t&amp;\r\n\xE2\x82\xAC]]&gt;"
                   "<![CDATA[<x>]]><p:c/></m> \r\n<n xml:lang='de'/><restart/>"
                   "<?xml version=\"1.0\" encoding='utf-8' ?>\n"
                   "<stream:stream xmlns='jabber:client' "
                   "xmlns:stream='http://etherx.jabber.org/streams'><o/>" CLOSE);
    const char *expected =
        "[<stream xmlns='jabber:client' to='a.example' version='1.0'/>]"
        "<m a='&lt;\xF4\x8F\xBF\xBF\"' xmlns:ns0='u' ns0:b='it&apos;s'>t&amp;\n\xE2\x82\xAC]]&gt;"
        "&lt;x&gt;<c xmlns='u'/></m><n xml:lang='de'/><restart/>"
        "[<stream xmlns='jabber:client'/>]<o/>[close]";
    for (size_t at = 1; at < bytes.len; at++) {
        struct stream st;
        stream_init(&st, &wide);
        assert_int_equal(feed_pieces(&st, (struct str){bytes.data, at}, at), PARSER_OK);
        assert_int_equal(feed_pieces(&st, (struct str){bytes.data + at, bytes.len - at}, bytes.len),
                         PARSER_OK);
        assert_log(&st, expected);
        stream_finish(&st);
    }
    assert_outcome_of(bytes, &wide, PARSER_OK, expected);
}

/* A start tag in two segments must be delivered at once (expat's reparse deferral is off). */
static void no_deferral(void **state)
{
    struct stream st;
    stream_init(&st, &wide);
    assert_int_equal(feed(&st, HEADER), PARSER_OK);
    buffer_clear(&st.log);
    assert_int_equal(feed(&st, "<message to='somebod"), PARSER_OK);
    assert_int_equal(feed(&st, "y'/>"), PARSER_OK);
    assert_log(&st, "<message to='somebody'/>");
    stream_finish(&st);
}

/* B 1 */
static void not_xml(void **state)
{
    assert_outcome("GET / HTTP/1.1\r\nHost: a\r\n\r\n", PARSER_NOT_WELL_FORMED);
    assert_outcome("\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03", PARSER_NOT_WELL_FORMED);
    assert_outcome("\x80random", PARSER_NOT_WELL_FORMED);
    assert_outcome("\n{}", PARSER_NOT_WELL_FORMED);
}

/* B 2 */
static void restricted(void **state)
{
    assert_outcome("<!DOCTYPE a><a>", PARSER_RESTRICTED_XML);
    assert_outcome("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", PARSER_RESTRICTED_XML);
    assert_outcome("<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", PARSER_RESTRICTED_XML);
    assert_outcome("<?target?><a>", PARSER_RESTRICTED_XML);
    assert_outcome(HEADER "<?target data?>", PARSER_RESTRICTED_XML);
    assert_outcome(HEADER "<a><!-- comment --></a>", PARSER_RESTRICTED_XML);
    assert_outcome("<!-- comment -->" HEADER, PARSER_RESTRICTED_XML);
}

/* B 3 */
static void not_well_formed(void **state)
{
    assert_outcome(HEADER "<a>&nbsp;</a>", PARSER_NOT_WELL_FORMED);
    assert_outcome(HEADER "<a></b>", PARSER_NOT_WELL_FORMED);
    assert_outcome(HEADER "<a b='1' b='2'/>", PARSER_NOT_WELL_FORMED);
    assert_outcome(HEADER "<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>", PARSER_NOT_WELL_FORMED);
    assert_outcome(HEADER "<a b=1/>", PARSER_NOT_WELL_FORMED);
    assert_outcome(HEADER "<a b='<'/>", PARSER_NOT_WELL_FORMED);
    assert_outcome(HEADER "<a>]]></a>", PARSER_NOT_WELL_FORMED);
    assert_outcome(HEADER "<a>\x01</a>", PARSER_NOT_WELL_FORMED);
    assert_outcome(HEADER "<a>\xEF\xBF\xBE</a>", PARSER_NOT_WELL_FORMED);
    assert_outcome(HEADER "<a>\xEF\xBF\xBF</a>", PARSER_NOT_WELL_FORMED);
    assert_outcome_of(STR(HEADER "<a>\0</a>"), &wide, PARSER_NOT_WELL_FORMED, NULL);
    const char *const references[] = {"&#0;",     "&#1;",     "&#x1F;",     "&#xD800;",
                                      "&#xFFFE;", "&#xFFFF;", "&#x110000;", "&#99999999999;",
                                      "&#;",      "&#x;",     "&;",         "& "};
    for (size_t i = 0; i < sizeof references / sizeof references[0]; i++) {
        struct buffer text;
        buffer_init(&text, 1000);
        assert_true(buffer_printf(&text, HEADER "<a>%s</a>", references[i]));
        assert_outcome_of(buffer_str(&text), &wide, PARSER_NOT_WELL_FORMED, NULL);
        buffer_finish(&text);
    }
    assert_outcome(" <?xml version='1.0'?>" HEADER, PARSER_NOT_WELL_FORMED);
    assert_outcome(HEADER "<?xml version='1.0'?>", PARSER_NOT_WELL_FORMED);
    assert_outcome("<?xml version='1.1'?><a>", PARSER_NOT_WELL_FORMED);
    assert_outcome(HEADER "</stream>", PARSER_NOT_WELL_FORMED);
    assert_outcome(HEADER "<a xmlns:p=''/>", PARSER_NOT_WELL_FORMED);
}

static void bad_prefix(void **state)
{
    assert_outcome(HEADER "<x:a/>", PARSER_BAD_NAMESPACE_PREFIX);
    assert_outcome(HEADER "<a x:b='1'/>", PARSER_BAD_NAMESPACE_PREFIX);
    assert_outcome("<stream:stream>", PARSER_BAD_NAMESPACE_PREFIX);
    assert_outcome(HEADER "<a xmlns:xml='u'/>", PARSER_BAD_NAMESPACE_PREFIX);
    assert_outcome(HEADER "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
                   PARSER_BAD_NAMESPACE_PREFIX);
    /* It could not be written without a prefix: whoever got it would refuse the stanza. */
    assert_outcome(HEADER "<a><xml:b/></a>", PARSER_BAD_NAMESPACE_PREFIX);
}

/* B 4 */
static void encodings(void **state)
{
    assert_outcome("<?xml version='1.0' encoding='ISO-8859-1'?><a>", PARSER_UNSUPPORTED_ENCODING);
    assert_outcome("<?xml version='1.0' encoding='UTF-16'?><a>", PARSER_UNSUPPORTED_ENCODING);
    assert_outcome_of(STR("\xFF\xFE<\0a\0>\0"), &wide, PARSER_UNSUPPORTED_ENCODING, NULL);
    assert_outcome_of(STR("\xFE\xFF\0<\0a\0>"), &wide, PARSER_UNSUPPORTED_ENCODING, NULL);
    assert_outcome_of(STR("<\0a\0>\0"), &wide, PARSER_UNSUPPORTED_ENCODING, NULL);
    assert_outcome_of(STR("\0<\0a\0>"), &wide, PARSER_UNSUPPORTED_ENCODING, NULL);
    assert_outcome("<?xml version='1.0' encoding='utf-8'?>"
                   "<a xmlns='u'/>",
                   PARSER_OK);
    assert_outcome("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone='yes'?>"
                   "<a/>",
                   PARSER_OK);
}

/* B 5: and no byte of the stanza gets out (RFC 6120 section 4.9.3.22 names this condition). */
static void bad_utf8(void **state)
{
    const char *const bad[] = {"\xC0\xBC",
                               "\xC1\x81",
                               "\xE0\x80\xAF",
                               "\xF0\x80\x80\xAF",
                               "\xED\xA0\x80",
                               "\xED\xBF\xBF",
                               "\xF4\x90\x80\x80",
                               "\xF5\x80\x80\x80",
                               "\xE2\x82",
                               "\xC3",
                               "\x80",
                               "\xFF",
                               "\xF0\x9F\x98"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct buffer text;
        buffer_init(&text, 1000);
        assert_true(buffer_printf(&text, HEADER "<m/><a b='1'>x%s</a><n/>", bad[i]));
        assert_outcome_of(buffer_str(&text), &wide, PARSER_UNSUPPORTED_ENCODING,
                          "[<stream xmlns='jabber:client' to='a.example' version='1.0'/>]<m/>");
        buffer_finish(&text);
    }
    assert_outcome(HEADER "<a b='\xE9t\xE9'/>", PARSER_UNSUPPORTED_ENCODING);
    /* What is wrong before it counts first. */
    assert_outcome(HEADER "<a></b>\xFF", PARSER_NOT_WELL_FORMED);
}

/* B 11 */
static void bad_format(void **state)
{
    assert_outcome(HEADER "text", PARSER_BAD_FORMAT);
    assert_outcome(HEADER "<a/>text<b/>", PARSER_BAD_FORMAT);
    assert_outcome(HEADER "&#32;", PARSER_BAD_FORMAT);
    assert_outcome(HEADER "<![CDATA[ ", PARSER_BAD_FORMAT);
    assert_outcome(HEADER "<stream:stream xmlns='jabber:client'>", PARSER_BAD_FORMAT);
    assert_outcome(HEADER "<a><stream:stream/></a>", PARSER_OK);
}

/* Repeats `unit` n times between two texts. */
static struct buffer repeated(const char *before, const char *unit, size_t n, const char *after)
{
    struct buffer b;
    buffer_init(&b, 1 << 24);
    buffer_add_str(&b, str_of(before));
    for (size_t i = 0; i < n; i++)
        buffer_add_str(&b, str_of(unit));
    buffer_add_str(&b, str_of(after));
    return b;
}

static void assert_repeated(const struct parser_limits *limits, const char *before,
                            const char *unit, size_t n, const char *after,
                            enum parser_status status)
{
    struct buffer b = repeated(before, unit, n, after);
    assert_outcome_of(buffer_str(&b), limits, status, NULL);
    buffer_finish(&b);
}

/* B 9: to the byte. */
static void stanza_size_limit(void **state)
{
    const struct parser_limits limits = {1000, 0, 64, 64, 32, 100};
    assert_repeated(&limits, HEADER "<a>", "x", 993, "</a>", PARSER_OK);
    assert_repeated(&limits, HEADER "<a>", "x", 994, "</a>", PARSER_POLICY_VIOLATION);
    assert_repeated(&limits, HEADER "<a b='", "x", 991, "'/>", PARSER_OK);
    assert_repeated(&limits, HEADER "<a b='", "x", 992, "'/>", PARSER_POLICY_VIOLATION);
    assert_repeated(&limits, HEADER "<a b='", "x", 5000, "", PARSER_POLICY_VIOLATION);
    assert_repeated(&limits, HEADER "<", "a", 5000, "", PARSER_POLICY_VIOLATION);
    assert_repeated(&limits, HEADER "<a>&", "a", 5000, "", PARSER_POLICY_VIOLATION);
    assert_repeated(&limits, HEADER "<a></a", " ", 5000, "", PARSER_POLICY_VIOLATION);
    assert_repeated(&limits, HEADER "<!--", "a", 5000, "", PARSER_POLICY_VIOLATION);
    assert_repeated(&limits, "<a b='", "x", 5000, "'>", PARSER_POLICY_VIOLATION);
    assert_repeated(&limits, "", " ", 5000, HEADER, PARSER_POLICY_VIOLATION);
    /* White space between stanzas, and stanzas one after another, do not add up. */
    assert_repeated(&limits, HEADER, " ", 5000, "<a/>", PARSER_OK);
    assert_repeated(&limits, HEADER, "<a>some text</a>", 500, "", PARSER_OK);
    /* Longer when written canonically. */
    assert_repeated(&limits, HEADER "<a>", ">", 248, "</a>", PARSER_OK);
    assert_repeated(&limits, HEADER "<a>", ">", 249, "</a>", PARSER_POLICY_VIOLATION);
    assert_repeated(&limits, HEADER "<a xmlns:p='urn:a:long:namespace:name'>", "<p:b/>", 30, "</a>",
                    PARSER_POLICY_VIOLATION);
    /* A syntax error within the limit comes first, also in what was held back. */
    struct parser_limits big = {6000, 0, 64, 64, 32, 100};
    struct buffer b = repeated(HEADER "<a b='", "x", 3000, "' \x01");
    struct buffer c = repeated("", "y", 4000, "");
    buffer_add_str(&b, buffer_str(&c));
    assert_outcome_of(buffer_str(&b), &big, PARSER_NOT_WELL_FORMED, NULL);
    buffer_finish(&b);
    buffer_finish(&c);
}

static void total_limit(void **state)
{
    struct parser_limits limits = wide;
    limits.total_bytes = strlen(HEADER) + 100;
    assert_repeated(&limits, HEADER, " ", 100, "", PARSER_OK);
    assert_repeated(&limits, HEADER, " ", 101, "", PARSER_POLICY_VIOLATION);
    assert_repeated(&limits, HEADER, "<a/>", 25, "", PARSER_OK);
    assert_repeated(&limits, HEADER, "<a/>", 25, "<", PARSER_POLICY_VIOLATION);
    assert_repeated(&limits, HEADER "<a>", "x", 200, "", PARSER_POLICY_VIOLATION);
    /* A restart does not give a new budget; new limits do. */
    struct stream st;
    stream_init(&st, &limits);
    assert_int_equal(feed(&st, HEADER "<restart/>"), PARSER_OK);
    assert_int_equal(feed(&st, HEADER), PARSER_POLICY_VIOLATION);
    stream_finish(&st);
    stream_init(&st, &limits);
    assert_int_equal(feed(&st, HEADER "<restart/>"), PARSER_OK);
    parser_set_limits(st.parser, &wide);
    assert_int_equal(feed(&st, HEADER "<stream:stream/>"), PARSER_BAD_FORMAT);
    stream_finish(&st);
}

/* B 10 */
static void bombs(void **state)
{
    const struct parser_limits limits = {100000, 0, 10, 5, 3, 20};
    assert_repeated(&limits, HEADER, "<a>", 10, "", PARSER_OK);
    assert_repeated(&limits, HEADER, "<a>", 11, "", PARSER_POLICY_VIOLATION);
    assert_repeated(&limits, HEADER "<a>", "<b/>", 20, "</a>", PARSER_OK);
    assert_repeated(&limits, HEADER "<a>", "<b/>", 21, "</a>", PARSER_POLICY_VIOLATION);
    assert_outcome_of(STR(HEADER "<a b='' c='' d='' e='' xml:lang='' xmlns='u'/>"), &limits,
                      PARSER_OK, NULL);
    assert_outcome_of(STR(HEADER "<a b='' c='' d='' e='' f='' xml:lang=''/>"), &limits,
                      PARSER_POLICY_VIOLATION, NULL);
    assert_outcome_of(STR(HEADER "<a xmlns='1' xmlns:b='2'><b xmlns:b='3'/></a><a xmlns='1'/>"),
                      &limits, PARSER_OK, NULL);
    /* Of one element: many payloads may have their own each. */
    assert_outcome_of(STR(HEADER "<a xmlns='1' xmlns:b='2'><b xmlns:b='3' xmlns:c='4'/></a>"),
                      &limits, PARSER_OK, NULL);
    assert_repeated(&limits, HEADER "<a>", "<b xmlns='u'/>", 20, "</a>", PARSER_OK);
    assert_outcome_of(STR(HEADER "<a><b xmlns='1' xmlns:b='2' xmlns:c='3' xmlns:d='4'/></a>"),
                      &limits, PARSER_POLICY_VIOLATION, NULL);
    assert_outcome_of(STR("<a xmlns='1' xmlns:b='2' xmlns:c='3' xmlns:d='4'>"), &limits,
                      PARSER_POLICY_VIOLATION, NULL);
}

/* Names that expat would intern for ever: its memory is bounded for the stream, and others do not
 * notice. */
static void memory_limit(void **state)
{
    struct parser_limits limits = {200000, 0, 64, 64, 32, UINT32_MAX};
    struct buffer b;
    buffer_init(&b, 1 << 20);
    buffer_add_str(&b, STR(HEADER "<a>"));
    for (int i = 0; i < 25000; i++)
        buffer_printf(&b, "<x%d/>", i);
    struct stream st, other;
    stream_init(&st, &limits);
    stream_init(&other, &wide);
    feed(&other, HEADER);
    assert_int_equal(parser_feed(st.parser, buffer_str(&b).data, buffer_len(&b)),
                     PARSER_POLICY_VIOLATION);
    assert_int_equal(feed(&other, "<a/>"), PARSER_OK);
    stream_finish(&other);
    stream_finish(&st);
    buffer_finish(&b);
}

/* A long tag in small pieces, with '>' in its attributes: held back and complete at once at its
 * end. */
static void long_token(void **state)
{
    struct buffer b = repeated("<a b=\"", "x>'y", 10000, "\" c='&lt;'/>");
    struct stream st;
    stream_init(&st, &wide);
    feed(&st, HEADER);
    buffer_clear(&st.log);
    assert_int_equal(feed_pieces(&st, buffer_str(&b), 3), PARSER_OK);
    struct buffer expected = repeated("<a b='", "x&gt;&apos;y", 10000, "' c='&lt;'/>");
    assert_true(str_eq(buffer_str(&st.log), buffer_str(&expected)));
    buffer_clear(&st.log);
    assert_int_equal(feed(&st, "<b/>"), PARSER_OK);
    assert_log(&st, "<b/>");
    stream_finish(&st);
    buffer_finish(&expected);
    buffer_finish(&b);
}

static void interleaved_streams(void **state)
{
    const char *const headers[] = {
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
        "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='urn:db'>",
        "<stream xmlns='http://etherx.jabber.org/streams' xmlns:db='urn:other'>",
        "<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='it&apos;s'>",
    };
    enum { STREAMS = 12 };
    struct stream st[STREAMS];
    for (int i = 0; i < STREAMS; i++) {
        stream_init(&st[i], &wide);
        assert_int_equal(feed(&st[i], headers[i % 4]), PARSER_OK);
        buffer_clear(&st[i].log);
    }
    /* Each sends a part while the others are in the midst of something. */
    const char *const parts[] = {"<a",    " b='1'>", "<c>t", "</c><db:d/>",
                                 "</a> ", "<e/><f>", "</f>", "<g/>"};
    for (size_t part = 0; part < sizeof parts / sizeof parts[0]; part++) {
        for (int i = 0; i < STREAMS; i++) {
            bool bound = i % 4 == 1 || i % 4 == 2;
            if (!bound && strstr(parts[part], "db:"))
                assert_int_equal(feed(&st[i], "</c>"), PARSER_OK);
            else
                assert_int_equal(feed(&st[i], parts[part]), PARSER_OK);
        }
    }
    for (int i = 0; i < STREAMS; i++) {
        const char *const d[] = {"", "<d xmlns='urn:db'/>", "<d xmlns='urn:other'/>", ""};
        char expected[200];
        snprintf(expected, sizeof expected, "<a b='1'><c>t</c>%s</a><e/><f/><g/>", d[i % 4]);
        assert_log(&st[i], expected);
    }
    /* The end tag is the one that each opened with. */
    const char *const ends[] = {"</stream:stream>", "</stream:stream>", "</stream>", "</s:stream>"};
    for (int i = 0; i < STREAMS; i++) {
        bool right = i < 8;
        assert_int_equal(feed(&st[i], ends[right ? i % 4 : (i + 2) % 4]),
                         right ? PARSER_OK : PARSER_NOT_WELL_FORMED);
        assert_log(&st[i], right ? "[close]" : "");
        stream_finish(&st[i]);
    }
}

/* Whatever state a stream ends in, the next one with the same header starts clean. */
static void errors_do_not_taint_the_pool(void **state)
{
    const char *const ends[] = {
        "<a></b>",    "<a>\x01",      "<!--",   "<![CDATA[ ", "<a><![CDATA[ ",
        "<a b='",     "&#32;",        "<x:a/>", "text",       "</",
        "<stop/><b>", "<a>\xE2\x82",  "\r",     "<a",         "<a xmlns:q='u'>",
        "<restart/>", "<restart/> x", "]]",     " \r",        "<a>]]"};
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
            struct stream bad, good;
            stream_init(&bad, &wide);
            stream_init(&good, &wide);
            feed(&bad, HEADER);
            feed(&good, HEADER);
            buffer_clear(&good.log);
            feed(&bad, ends[i]);
            assert_int_equal(feed(&good, "<m a='1'>x</m>"), PARSER_OK);
            assert_log(&good, "<m a='1'>x</m>");
            stream_finish(&bad);
            assert_int_equal(feed(&good, " <q:n xmlns:q='v'/>"), PARSER_OK);
            assert_log(&good, "<n/>");
            stream_finish(&good);
        }
    }
}

/* More kinds of streams than lanes stay warm. */
static void many_headers(void **state)
{
    enum { STREAMS = 200 };
    static struct stream st[STREAMS];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < STREAMS; i++) {
            char text[200];
            if (round == 0) {
                stream_init(&st[i], &wide);
                snprintf(text, sizeof text, "<s xmlns:p%d='u%d'>", i, i);
                assert_int_equal(feed(&st[i], text), PARSER_OK);
                buffer_clear(&st[i].log);
            }
            snprintf(text, sizeof text, "<p%d:a/>", i);
            assert_int_equal(feed(&st[i], text), PARSER_OK);
            assert_log(&st[i], "<a/>");
            assert_in_range(parsing.pool->warm, 1, 32);
        }
    }
    for (int i = 0; i < STREAMS; i++)
        stream_finish(&st[i]);
}

/* What the pool is for: an idle stream owns no expat parser, and few stay warm whatever comes. */
/* A lane that a stream with a prefix had is used again at the start of the next one: nothing of the
 * prefix, of the header's names or of the depth is left in it. */
static void used_again_as_new(void **state)
{
    struct stream st;
    struct parser_pool *shared = parsing.pool;
    parsing.pool = parser_pool_create(parsing.random);
    stream_init(&st, &wide);
    assert_int_equal(feed(&st, "<s:stream to='a' xmlns='jabber:client' xmlns:p='urn:p' "
                               "xmlns:s='http://etherx.jabber.org/streams'><message p:a='1'/>"),
                     PARSER_OK);
    stream_finish(&st);
    assert_int_equal(parsing.pool->blank_count, 1);
    stream_init(&st, &wide);
    assert_int_equal(feed(&st, HEADER), PARSER_OK);
    assert_int_equal(parsing.pool->blank_count, 0);
    buffer_clear(&st.log);
    assert_int_equal(feed(&st, "<message><b>x</b></message>"), PARSER_OK);
    assert_log(&st, "<message><b>x</b></message>");
    assert_int_equal(feed(&st, "<message p:a='1'/>"), PARSER_BAD_NAMESPACE_PREFIX);
    stream_finish(&st);
    parser_pool_destroy(parsing.pool);
    parsing.pool = shared;
}

static void idle_streams_own_no_parser(void **state)
{
    enum { STREAMS = 50 };
    static struct stream st[STREAMS];
    uint32_t before = parsing.pool->warm;
    for (int i = 0; i < STREAMS; i++) {
        stream_init(&st[i], &wide);
        assert_int_equal(feed(&st[i], HEADER), PARSER_OK);
        assert_null(st[i].parser->lane);
        assert_ptr_equal(st[i].parser->key, st[0].parser->key);
    }
    for (int i = 0; i < STREAMS; i++) {
        assert_int_equal(feed(&st[i], "<a><b>"), PARSER_OK);
        assert_non_null(st[i].parser->lane);
    }
    for (int i = 0; i < STREAMS; i++) {
        assert_int_equal(feed(&st[i], "</b></a>"), PARSER_OK);
        assert_null(st[i].parser->lane);
        assert_in_range(st[i].parser->key->warm, 1, 4);
    }
    /* A lane that met many names is not kept: expat would never forget them. */
    struct buffer b;
    buffer_init(&b, 1 << 20);
    buffer_add_str(&b, STR("<m>"));
    for (int i = 0; i < 500; i++)
        buffer_printf(&b, "<name-number-%d/>", i);
    buffer_add_str(&b, STR("</m>"));
    uint32_t warm = st[0].parser->key->warm;
    assert_int_equal(parser_feed(st[0].parser, buffer_str(&b).data, buffer_len(&b)), PARSER_OK);
    assert_int_equal(st[0].parser->key->warm, warm - 1);
    buffer_finish(&b);
    for (int i = 0; i < STREAMS; i++)
        stream_finish(&st[i]);
    assert_int_equal(parsing.pool->warm, before);
}

static void restart(void **state)
{
    struct stream st;
    stream_init(&st, &wide);
    /* Pipelined behind the stanza that restarts; with other namespaces then. */
    assert_int_equal(
        feed(
            &st, HEADER
            "<restart/>\n<?xml version='1.0'?><s:stream xmlns:s='http://etherx.jabber.org/streams' "
            "xmlns='jabber:server'><a/>"),
        PARSER_OK);
    assert_log(&st, "[<stream xmlns='jabber:client' to='a.example' version='1.0'/>]<restart/>"
                    "[<stream xmlns='jabber:server'/>]<a/>");
    assert_int_equal(feed(&st, "<restart/>"), PARSER_OK);
    assert_int_equal(st.rest, 0);
    assert_int_equal(feed(&st, " "), PARSER_OK);
    assert_int_equal(feed(&st, HEADER "<b/>"), PARSER_OK);
    assert_log(&st, "<restart/>[<stream xmlns='jabber:client' to='a.example' version='1.0'/>]<b/>");
    /* Between feeds, in the midst of a stanza. */
    assert_int_equal(feed(&st, "<c><d"), PARSER_OK);
    parser_restart(st.parser);
    assert_int_equal(feed(&st, HEADER "<e/>" CLOSE), PARSER_OK);
    assert_log(&st, "[<stream xmlns='jabber:client' to='a.example' version='1.0'/>]<e/>[close]");
    stream_finish(&st);
}

/* CVE-2011-0411: what lies behind <starttls/> in the same feed is known within its event. */
static void rest(void **state)
{
    struct stream st;
    stream_init(&st, &wide);
    assert_int_equal(parser_rest(st.parser), 0);
    feed(&st, HEADER);
    feed(&st, "<a/>");
    assert_int_equal(st.rest, 0);
    feed(&st, "<a/> ");
    assert_int_equal(st.rest, 1);
    feed(&st, "<a");
    feed(&st, ">x</a><nested></nested>");
    assert_int_equal(st.rest, 0);
    feed(&st, "<a></a><b><c>");
    assert_int_equal(st.rest, 6);
    feed(&st, "</c></b>");
    /* More than expat gets at a time. */
    struct buffer b = repeated("<a/>", " ", 20000, "");
    parser_feed(st.parser, buffer_str(&b).data, buffer_len(&b));
    assert_int_equal(st.rest, 20000);
    assert_int_equal(parser_rest(st.parser), 0);
    buffer_finish(&b);
    stream_finish(&st);
}

static void stop_and_destroy(void **state)
{
    struct stream st;
    stream_init(&st, &wide);
    assert_int_equal(feed(&st, HEADER "<stop/><a/>"), PARSER_STOPPED);
    assert_log(&st, "[<stream xmlns='jabber:client' to='a.example' version='1.0'/>]<stop/>");
    assert_int_equal(feed(&st, "<a/>"), PARSER_STOPPED);
    assert_log(&st, "");
    stream_finish(&st);

    stream_init(&st, &wide);
    assert_int_equal(feed(&st, HEADER "<destroy/><a/>"), PARSER_STOPPED);
    assert_log(&st, "[<stream xmlns='jabber:client' to='a.example' version='1.0'/>]<destroy/>");
    buffer_finish(&st.log);
    parser_destroy(NULL);
}

static void nested_use(void **state)
{
    assert_outcome_of(STR(HEADER "<nested/><nested><x/></nested>"), &wide, PARSER_OK,
                      "[<stream xmlns='jabber:client' to='a.example' version='1.0'/>]"
                      "<nested/><d>x</d><nested><x/></nested><d>x</d>");
}

static void assert_document(const char *xml, enum parser_status expected)
{
    enum parser_status status = PARSER_OK;
    struct stanza *s = parser_document(parsing.pool, str_of(xml), &wide, &status);
    if (status != expected || (s != NULL) != (expected == PARSER_OK))
        fail_msg("status %d instead of %d: %s", (int)status, (int)expected, xml);
    stanza_unref(s);
}

static void documents(void **state)
{
    for (int round = 0; round < 3; round++) {
        assert_document("<a xmlns='u'><b/></a>", PARSER_OK);
        assert_document("\r\n <p:a xmlns:p='u'/> \r", PARSER_OK);
        assert_document("", PARSER_NOT_WELL_FORMED);
        assert_document(" ", PARSER_NOT_WELL_FORMED);
        assert_document("<a>", PARSER_NOT_WELL_FORMED);
        assert_document("<a/><b", PARSER_NOT_WELL_FORMED);
        assert_document("<a/><b/>", PARSER_BAD_FORMAT);
        assert_document("<a/>text", PARSER_BAD_FORMAT);
        assert_document("</document><document><a/>", PARSER_NOT_WELL_FORMED);
        assert_document("<a/></document>", PARSER_NOT_WELL_FORMED);
        assert_document("<!DOCTYPE a><a/>", PARSER_NOT_WELL_FORMED);
        assert_document("<a><!-- --></a>", PARSER_RESTRICTED_XML);
        assert_document("<a>\xFF</a>", PARSER_UNSUPPORTED_ENCODING);
        assert_document("<p:a/>", PARSER_BAD_NAMESPACE_PREFIX);
        assert_document("<stream xmlns='http://etherx.jabber.org/streams'/>", PARSER_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_stream),
        cmocka_unit_test(ignores_what_follows_the_end),
        cmocka_unit_test(every_split),
        cmocka_unit_test(no_deferral),
        cmocka_unit_test(not_xml),
        cmocka_unit_test(restricted),
        cmocka_unit_test(not_well_formed),
        cmocka_unit_test(bad_prefix),
        cmocka_unit_test(encodings),
        cmocka_unit_test(bad_utf8),
        cmocka_unit_test(bad_format),
        cmocka_unit_test(stanza_size_limit),
        cmocka_unit_test(total_limit),
        cmocka_unit_test(bombs),
        cmocka_unit_test(memory_limit),
        cmocka_unit_test(long_token),
        cmocka_unit_test(interleaved_streams),
        cmocka_unit_test(errors_do_not_taint_the_pool),
        cmocka_unit_test(many_headers),
        cmocka_unit_test(used_again_as_new),
        cmocka_unit_test(idle_streams_own_no_parser),
        cmocka_unit_test(restart),
        cmocka_unit_test(rest),
        cmocka_unit_test(stop_and_destroy),
        cmocka_unit_test(nested_use),
        cmocka_unit_test(documents),
    };
    return cmocka_run_group_tests(tests, parsing_set_up, parsing_tear_down);
}
