/* Builder: what it makes is what the parser makes of the same bytes, and nothing put into it breaks
 * a stream. */
#include "parsing.h"
#include "stanza_same.h"
#include "xml/builder.h"

static const struct parser_limits limits = {1 << 22, 0, 64, 64, UINT32_MAX, 100000};

static struct stanza *parse(struct str xml)
{
    struct random *random = random_create_seeded(1);
    struct parser_pool *pool = parser_pool_create(random);
    enum parser_status status = PARSER_OK;
    struct stanza *s = parser_document(pool, xml, &limits, &status);
    if (!s)
        fail_msg("%.*s: status %d", STR_ARG(xml), (int)status);
    parser_pool_destroy(pool);
    random_destroy(random);
    return s;
}

/* Finishes the builder: its bytes are `expected`, and parsing them gives the same block. */
static void assert_built(struct builder *b, const char *expected)
{
    struct stanza *s = builder_finish(b);
    struct buffer out;
    buffer_init(&out, 1 << 22);
    assert_true(stanza_write(s, NULL, &out));
    if (expected)
        assert_str(buffer_str(&out), expected);
    buffer_clear(&out);
    struct stanza_stamp stamp = {.xmlns = stanza_ns(s, STANZA_ROOT)};
    assert_true(stanza_write(s, &stamp, &out));
    struct stanza *again = parse(buffer_str(&out));
    assert_true(stanza_same(s, again));
    stanza_unref(again);
    stanza_unref(s);
    buffer_finish(&out);
}

static void elements(void **state)
{
    struct builder *b = builder_create(STR("iq"), STR("jabber:client"));
    builder_attr(b, STR("type"), STR("result"));
    builder_attr(b, STR("id"), STR_NULL);
    builder_attr_u64(b, STR("n"), UINT64_MAX);
    builder_start(b, STR("query"), STR("jabber:iq:roster"));
    builder_attr(b, STR("ver"), STR(""));
    builder_start(b, STR("item"), STR_NULL);
    builder_attr(b, STR("name"), STR("<R&J's>"));
    builder_leaf(b, STR("group"), STR_NULL, STR("Friends & <foes>"));
    builder_leaf(b, STR("empty"), STR("urn:other"), STR(""));
    builder_end(b);
    builder_end(b);
    builder_start(b, STR("same"), STR("jabber:client"));
    assert_built(
        b, "<iq type='result' n='18446744073709551615'><query xmlns='jabber:iq:roster' ver=''>"
           "<item name='&lt;R&amp;J&apos;s&gt;'><group>Friends &amp; &lt;foes&gt;</group>"
           "<empty xmlns='urn:other'/></item></query><same/></iq>");
}

/* Plain attributes come first whatever the order of the calls. */
static void attribute_order(void **state)
{
    struct builder *b = builder_create(STR("m"), STR("u"));
    builder_lang(b, STR("en"));
    builder_attr(b, STR("from"), STR("a'b"));
    builder_attr_ns(b, STR("x"), STR("urn:&"), STR("1<"));
    builder_attr_ns(b, STR("y"), STR("urn:&"), STR("2"));
    builder_attr(b, STR("to"), STR("c"));
    builder_attr_ns(b, STR("z"), STR(""), STR("plain"));
    builder_attr_ns(b, STR("w"), STR("urn:v"), STR("4"));
    builder_start(b, STR("k"), STR("v'"));
    builder_attr_ns(b, STR("q"), STR("v'"), STR("5"));
    builder_attr(b, STR("r"), STR("6"));
    assert_built(
        b, "<m from='a&apos;b' to='c' z='plain' xml:lang='en' xmlns:ns0='urn:&amp;' ns0:x='1&lt;' "
           "ns0:y='2' xmlns:ns1='urn:v' ns1:w='4'>"
           "<k xmlns='v&apos;' r='6' xmlns:ns0='v&apos;' ns0:q='5'/></m>");
}

static void attribute_given_twice(void **state)
{
    struct builder *b = builder_create(STR("m"), STR("u"));
    builder_attr(b, STR("id"), STR("1"));
    builder_lang(b, STR("en"));
    builder_attr_u64(b, STR("id"), 2);
    builder_lang(b, STR("de"));
    builder_attr_ns(b, STR("id"), STR("v"), STR("3"));
    builder_start(b, STR("k"), STR_NULL);
    builder_attr(b, STR("id"), STR("4"));
    assert_built(b, "<m id='1' xml:lang='en' xmlns:ns0='v' ns0:id='3'><k id='4'/></m>");
}

static void mixed_text(void **state)
{
    struct builder *b = builder_create(STR("m"), STR(""));
    builder_text(b, STR("a"));
    builder_text(b, STR("b&"));
    builder_leaf(b, STR("c"), STR_NULL, STR("<"));
    builder_text(b, STR(""));
    builder_text(b, STR("d\r\n"));
    struct stanza *s = builder_finish(b);
    assert_str(stanza_text(s, 0), "ab&d\r\n");
    assert_str(stanza_inner(s, 0), "ab&amp;<c>&lt;</c>d&#xD;\n");
    stanza_unref(s);
}

static void copies(void **state)
{
    struct stanza *from =
        parse(STR("<m xmlns='jabber:client' to='x' xml:lang='en'>t&amp;<a b='&lt;'><c/>u</a>"
                  "<d xmlns='v'><e xmlns='jabber:client'/></d>w</m>"));
    struct builder *b = builder_create(STR("m"), STR("jabber:client"));
    builder_copy_inner(b, from, STANZA_ROOT);
    builder_leaf(b, STR("last"), STR_NULL, STR("1"));
    assert_built(b, "<m>t&amp;<a b='&lt;'><c/>u</a><d xmlns='v'><e "
                    "xmlns='jabber:client'/></d>w<last>1</last></m>");

    /* In another namespace nothing may change its own. */
    b = builder_create(STR("m"), STR("jabber:server"));
    builder_copy_inner(b, from, STANZA_ROOT);
    assert_built(b, "<m>t&amp;<a xmlns='jabber:client' b='&lt;'><c/>u</a>"
                    "<d xmlns='v'><e xmlns='jabber:client'/></d>w</m>");

    b = builder_create(STR("forwarded"), STR("v"));
    builder_text(b, STR("0"));
    builder_copy(b, from, STANZA_ROOT);
    builder_copy(b, from, 3);
    builder_copy(b, from, 4);
    builder_text(b, STR("1"));
    assert_built(
        b, "<forwarded>0<m xmlns='jabber:client' to='x' xml:lang='en'>t&amp;<a b='&lt;'><c/>u</a>"
           "<d xmlns='v'><e xmlns='jabber:client'/></d>w</m><d><e xmlns='jabber:client'/></d>"
           "<e xmlns='jabber:client'/>1</forwarded>");

    /* Twice the same, behind children that are there already: siblings must stay linked. */
    b = builder_create(STR("m"), STR("jabber:client"));
    builder_leaf(b, STR("first"), STR_NULL, STR("x"));
    builder_copy_inner(b, from, STANZA_ROOT);
    builder_copy_inner(b, from, STANZA_ROOT);
    builder_start(b, STR("after"), STR_NULL);
    assert_built(b, NULL);
    stanza_unref(from);
}

/* More than the builder's own memory holds. */
static void growth(void **state)
{
    struct builder *b = builder_create(STR("root"), STR("u"));
    char text[2000];
    memset(text, 'x', sizeof text);
    for (uint32_t i = 0; i < 3000; i++) {
        builder_start(b, STR("item"), i % 3 ? STR_NULL : STR("other'"));
        builder_attr_u64(b, STR("i"), i);
        builder_attr(b, STR("a"), (struct str){text, i % 50});
        builder_lang(b, STR("e'n"));
        builder_text(b, (struct str){text, i % 300 ? i % 20 : sizeof text});
        if (i % 10 == 0) {
            builder_leaf(b, STR("deeper"), STR_NULL, STR("&"));
            builder_text(b, STR("tail"));
        }
        builder_end(b);
    }
    assert_built(b, NULL);
}

static void destroy_unfinished(void **state)
{
    struct builder *b = builder_create(STR("a"), STR("u"));
    builder_start(b, STR("b"), STR_NULL);
    for (int i = 0; i < 100; i++)
        builder_leaf(b, STR("c"), STR_NULL, STR("some text"));
    builder_destroy(b);
    builder_destroy(NULL);
}

static void text_ok(void **state)
{
    assert_true(builder_text_ok(STR("")));
    assert_true(builder_text_ok(STR("a\t\n\r\x7F\xC2\x80\xEF\xBF\xBD\xF4\x8F\xBF\xBF")));
    const struct str bad[] = {STR("\0"),           STR("a\x01"),
                              STR("\x1F"),         STR("\x80"),
                              STR("\xC0\x80"),     STR("\xC3"),
                              STR("\xED\xA0\x80"), STR("\xEF\xBF\xBE"),
                              STR("\xEF\xBF\xBF"), STR("\xF4\x90\x80\x80"),
                              STR("\xE2\x82"),     STR("ab\xC3(")};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        for (size_t before = 0; before < 20; before++) {
            char text[64];
            memset(text, 'a', sizeof text);
            memcpy(text + before, bad[i].data, bad[i].len);
            if (builder_text_ok((struct str){text, before + bad[i].len}) ||
                builder_text_ok((struct str){text, sizeof text}))
                fail_msg("number %zu passes behind %zu others", i, before);
        }
    }
}

/* What XML cannot hold becomes U+FFFD, so that no stanza of ours is refused by its receiver. */
static void bad_text_is_mended(void **state)
{
    struct builder *b = builder_create(STR("a"), STR("u"));
    builder_attr(b, STR("x"),
                 STR("1\x01"
                     "2\xFF"));
    builder_text(b, STR("ok\x0C\xE2\x82&"));
    assert_built(b, "<a x='1\xEF\xBF\xBD"
                    "2\xEF\xBF\xBD'>ok\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD&amp;</a>");
}

static void escapes(void **state)
{
    struct buffer out;
    buffer_init(&out, 64);
    assert_true(builder_escape_text(&out, STR("a<b>&'\"\t\r\n")));
    assert_str(buffer_str(&out), "a&lt;b&gt;&amp;'\"\t&#xD;\n");
    buffer_clear(&out);
    assert_true(builder_escape_attr(&out, STR("a<b>&'\"\t\r\n")));
    assert_str(buffer_str(&out), "a&lt;b&gt;&amp;&apos;\"&#x9;&#xD;&#xA;");
    buffer_clear(&out);
    assert_false(builder_escape_attr(&out, STR("''''''''''''")));
    assert_int_equal(buffer_len(&out), 0);
    buffer_finish(&out);
}

/* Every place of a special character within the words that are looked at in one go. */
static void escapes_at_every_offset(void **state)
{
    const char specials[] = "&<>\r'\t\n\"=%$;?\x0C\x0E,";
    for (size_t len = 1; len < 40; len++) {
        for (size_t at = 0; at < len; at++) {
            for (const char *c = specials; *c; c++) {
                char in[40];
                memset(in, 'a', sizeof in);
                in[at] = *c;
                struct buffer attr, text;
                buffer_init(&attr, 100);
                buffer_init(&text, 100);
                assert_true(builder_escape_attr(&attr, (struct str){in, len}));
                assert_true(builder_escape_text(&text, (struct str){in, len}));
                assert_int_equal(buffer_len(&attr) > len, strchr("&<>\r'\t\n", *c) != NULL);
                assert_int_equal(buffer_len(&text) > len, strchr("&<>\r", *c) != NULL);
                assert_int_equal(buffer_str(&attr).data[at], buffer_len(&attr) > len ? '&' : *c);
                buffer_finish(&attr);
                buffer_finish(&text);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements),
        cmocka_unit_test(attribute_order),
        cmocka_unit_test(attribute_given_twice),
        cmocka_unit_test(mixed_text),
        cmocka_unit_test(copies),
        cmocka_unit_test(growth),
        cmocka_unit_test(destroy_unfinished),
        cmocka_unit_test(text_ok),
        cmocka_unit_test(bad_text_is_mended),
        cmocka_unit_test(escapes),
        cmocka_unit_test(escapes_at_every_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
