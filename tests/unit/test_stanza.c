/* Stanza: every look-up, the canonical form rule by rule, and what a forwarder writes. */
#include "parsing.h"
#include "stanza_same.h"

static struct stanza *parse(const char *xml)
{
    return parsing_read(str_of(xml));
}

static void assert_written(const struct stanza *s, const struct stanza_stamp *stamp,
                           const char *expected)
{
    struct buffer out;
    buffer_init(&out, 1 << 20);
    assert_true(stanza_write(s, stamp, &out));
    assert_str(buffer_str(&out), expected);
    assert_int_equal(stanza_write_size(s, stamp), buffer_len(&out));
    buffer_finish(&out);
}

/* The document's canonical form. */
static void assert_canonical(const char *xml, const char *expected)
{
    struct stanza *s = parse(xml);
    assert_written(s, NULL, expected);
    assert_int_equal(stanza_size(s), strlen(expected));
    stanza_unref(s);
}

static void look_ups(void **state)
{
    struct stanza *s = parse("<iq xmlns='jabber:client' id='1' xml:lang='de'>"
                             "<query xmlns='jabber:iq:roster' ver=''>"
                             "<item jid='a@b'/><item jid='c@d'><group>G</group></item>"
                             "</query><other/></iq>");
    assert_int_equal(stanza_count(s), 6);
    assert_str(stanza_name(s, STANZA_ROOT), "iq");
    assert_str(stanza_ns(s, STANZA_ROOT), "jabber:client");
    assert_int_equal(stanza_parent(s, STANZA_ROOT), STANZA_NONE);
    assert_int_equal(stanza_next(s, STANZA_ROOT), STANZA_NONE);
    assert_int_equal(stanza_children(s, STANZA_ROOT), 2);

    stanza_el query = stanza_child(s, STANZA_ROOT, STR("query"), STR("jabber:iq:roster"));
    assert_int_equal(query, 1);
    assert_int_equal(stanza_parent(s, query), STANZA_ROOT);
    assert_int_equal(stanza_first(s, query), 2);
    assert_int_equal(stanza_next(s, 2), 3);
    assert_int_equal(stanza_next(s, 3), STANZA_NONE);
    assert_int_equal(stanza_first(s, 3), 4);
    assert_str(stanza_text(s, 4), "G");
    assert_str(stanza_ns(s, 4), "jabber:iq:roster");
    assert_int_equal(stanza_parent(s, 4), 3);
    assert_int_equal(stanza_first(s, 2), STANZA_NONE);
    assert_int_equal(stanza_next(s, query), 5);
    assert_str(stanza_name(s, 5), "other");
    assert_str(stanza_ns(s, 5), "jabber:client");

    assert_int_equal(stanza_child(s, STANZA_ROOT, STR("query"), STR_NULL), 1);
    assert_int_equal(stanza_child(s, STANZA_ROOT, STR_NULL, STR("jabber:client")), 5);
    assert_int_equal(stanza_child(s, STANZA_ROOT, STR("query"), STR("jabber:client")), STANZA_NONE);
    assert_int_equal(stanza_child(s, STANZA_ROOT, STR("item"), STR_NULL), STANZA_NONE);
    assert_true(stanza_is(s, query, STR("query"), STR("jabber:iq:roster")));
    assert_false(stanza_is(s, query, STR("query"), STR("jabber:iq:rosters")));
    stanza_unref(s);
}

static void attributes(void **state)
{
    struct stanza *s = parse(
        "<a x:b='ns' b='plain' xmlns:x='urn:x' c='' x:d='2' xml:lang='en' e='&lt;\"&apos;'/>");
    assert_int_equal(stanza_attr_count(s, 0), 6);
    assert_str(stanza_attr(s, 0, STR("b")), "plain");
    assert_str(stanza_attr(s, 0, STR("c")), "");
    assert_str(stanza_attr(s, 0, STR("e")), "<\"'");
    assert_null(stanza_attr(s, 0, STR("d")).data);
    assert_null(stanza_attr(s, 0, STR("lang")).data);
    assert_str(stanza_lang(s, 0), "en");
    assert_str(stanza_attr_ns(s, 0, STR("b"), STR("urn:x")), "ns");
    assert_str(stanza_attr_ns(s, 0, STR("d"), STR("urn:x")), "2");
    assert_null(stanza_attr_ns(s, 0, STR("d"), STR("urn:y")).data);
    const char *const order[][3] = {
        {"b", "", "plain"},  {"c", "", ""},
        {"e", "", "<\"'"},   {"b", "urn:x", "ns"},
        {"d", "urn:x", "2"}, {"lang", "http://www.w3.org/XML/1998/namespace", "en"}};
    for (uint32_t i = 0; i < 6; i++) {
        struct str name, ns, value;
        stanza_attr_at(s, 0, i, &name, &ns, &value);
        assert_str(name, order[i][0]);
        assert_str(ns, order[i][1]);
        assert_str(value, order[i][2]);
    }
    stanza_unref(s);
}

static void text(void **state)
{
    struct stanza *s = parse("<a>one<b>two</b> &amp; <c/>three&#13;<d>x&lt;</d><![CDATA[<&]]></a>");
    assert_str(stanza_text(s, 0), "one & three\r<&");
    assert_str(stanza_text(s, 1), "two");
    assert_str(stanza_text(s, 2), "");
    assert_str(stanza_text(s, 3), "x<");
    assert_str(stanza_inner(s, 0), "one<b>two</b> &amp; <c/>three&#xD;<d>x&lt;</d>&lt;&amp;");
    assert_str(stanza_inner(s, 1), "two");
    assert_str(stanza_inner(s, 2), "");
    assert_str(stanza_inner(s, 3), "x&lt;");
    stanza_unref(s);
}

static void canonical_quotes_and_escapes(void **state)
{
    assert_canonical("<a b=\"it's\" c='say \"hi\"'/>", "<a b='it&apos;s' c='say \"hi\"'/>");
    assert_canonical("<a>'\"&gt;></a>", "<a>'\"&gt;&gt;</a>");
    assert_canonical("<a b='&#9;&#10;&#13;&lt;&gt;&amp;'/>",
                     "<a b='&#x9;&#xA;&#xD;&lt;&gt;&amp;'/>");
    assert_canonical("<a b='x\ty\nz'/>", "<a b='x y z'/>"); /* XML 1.0 section 3.3.3 */
    assert_canonical("<a>x\ty\nz\r\n&#13;</a>", "<a>x\ty\nz\n&#xD;</a>");
    assert_canonical("<a>&#x10FFFF;&#65;&quot;</a>", "<a>\xF4\x8F\xBF\xBF"
                                                     "A\"</a>");
    assert_canonical("<a><![CDATA[]]></a>", "<a/>");
}

static void canonical_shape(void **state)
{
    assert_canonical("<a></a>", "<a/>");
    assert_canonical("<a  b = 'c'\n><d ></d ><e\t/></a\n>", "<a b='c'><d/><e/></a>");
    assert_canonical("<a z='1' y='2' x='3'/>", "<a z='1' y='2' x='3'/>");
    assert_canonical("\n <a/>\r\n", "<a/>");
}

static void canonical_namespaces(void **state)
{
    /* The root's own is not written; equal to the parent's is not either. */
    assert_canonical("<a xmlns='u'><b/><c xmlns='u'/></a>", "<a><b/><c/></a>");
    assert_canonical("<p:a xmlns:p='u'><p:b/><c/></p:a>", "<a><b/><c xmlns=''/></a>");
    assert_canonical("<a xmlns='u'><b xmlns='v'><c xmlns='u'/><d xmlns='v'/></b></a>",
                     "<a><b xmlns='v'><c xmlns='u'/><d/></b></a>");
    assert_canonical("<a xmlns='u'><b xmlns=''><c/></b></a>", "<a><b xmlns=''><c/></b></a>");
    assert_canonical("<a xmlns:q='v' xmlns:r='w'><q:b c='1'/></a>", "<a><b xmlns='v' c='1'/></a>");
    assert_canonical("<a><b xmlns=\"it's&lt;\"><c/></b></a>",
                     "<a><b xmlns='it&apos;s&lt;'><c/></b></a>");
}

static void canonical_namespaced_attributes(void **state)
{
    assert_canonical("<a xml:lang='en' b='1'/>", "<a b='1' xml:lang='en'/>");
    assert_canonical("<a xmlns:p='u' p:x='1' y='2'/>", "<a y='2' xmlns:ns0='u' ns0:x='1'/>");
    assert_canonical(
        "<a xmlns:p='u' xmlns:q='v' q:x='1' p:x='2' q:y='3' xml:space='preserve'/>",
        "<a xmlns:ns0='v' ns0:x='1' xmlns:ns1='u' ns1:x='2' ns0:y='3' xml:space='preserve'/>");
    assert_canonical(
        "<a xmlns:p='u'><p:b p:x='1'><c p:x='2'/></p:b></a>",
        "<a><b xmlns='u' xmlns:ns0='u' ns0:x='1'><c xmlns='' xmlns:ns0='u' ns0:x='2'/></b></a>");
}

static void escaped_namespace_views(void **state)
{
    struct stanza *s =
        parse("<a><b xmlns=\"it's\"><c x='1'/></b><p:d xmlns:p='&lt;' p:e='&gt;'/></a>");
    assert_str(stanza_ns(s, 1), "it's");
    assert_str(stanza_ns(s, 2), "it's");
    assert_str(stanza_ns(s, 3), "<");
    assert_str(stanza_attr_ns(s, 3, STR("e"), STR("<")), ">");
    assert_str(stanza_ns(s, 0), "");
    stanza_unref(s);
}

static void extract(void **state)
{
    struct stanza *s =
        parse("<m xmlns='jabber:client'>x<f xmlns='urn:xmpp:forward:0' a='&lt;'>"
              "<m xmlns='jabber:client' to='a'><body>b&amp;</body>t</m><g/></f>y</m>");
    struct stanza *f = stanza_extract(s, 1);
    assert_written(f, NULL,
                   "<f a='&lt;'><m xmlns='jabber:client' to='a'><body>b&amp;</body>t</m><g/></f>");
    assert_str(stanza_ns(f, 0), "urn:xmpp:forward:0");
    assert_str(stanza_ns(f, 2), "jabber:client");
    assert_str(stanza_text(f, 2), "b&");
    assert_str(stanza_text(f, 1), "t");
    assert_int_equal(stanza_next(f, 1), 3);
    struct stanza *m = stanza_extract(f, 1);
    struct stanza *expected = parse("<m xmlns='jabber:client' to='a'><body>b&amp;</body>t</m>");
    assert_true(stanza_same(m, expected));
    struct stanza *g = stanza_extract(s, 4);
    assert_written(g, NULL, "<g/>");
    assert_str(stanza_ns(g, 0), "urn:xmpp:forward:0");
    struct stanza *all = stanza_extract(s, STANZA_ROOT);
    assert_true(stanza_same(all, s));
    stanza_unref(all);
    stanza_unref(g);
    stanza_unref(expected);
    stanza_unref(m);
    stanza_unref(f);
    stanza_unref(s);
}

/* What inherits the root's namespace follows it; what declared its own keeps it. */
static void another_namespace(void **state)
{
    struct stanza *s = parse("<m xmlns='jabber:server' to='a'><body>b&amp;</body>"
                             "<x xmlns='u'><y/><z xmlns='jabber:server'/></x></m>");
    struct stanza *c = stanza_with_ns(s, STR("jabber:client"));
    assert_written(
        c, NULL,
        "<m to='a'><body>b&amp;</body><x xmlns='u'><y/><z xmlns='jabber:server'/></x></m>");
    assert_str(stanza_ns(c, 0), "jabber:client");
    assert_str(stanza_ns(c, 1), "jabber:client");
    assert_str(stanza_ns(c, 3), "u");
    assert_str(stanza_ns(c, 4), "jabber:server");
    assert_str(stanza_text(c, 1), "b&");
    assert_str(stanza_ns(s, 1), "jabber:server");
    struct stanza *same = stanza_with_ns(c, STR("jabber:client"));
    assert_ptr_equal(same, c);
    stanza_unref(same);
    stanza_unref(c);
    stanza_unref(s);
}

static void write_stamps(void **state)
{
    struct stanza *s =
        parse("<message xmlns='jabber:client' type='chat' from='forged' x='1' to='b' xml:lang='en'>"
              "<body>hi</body></message>");
    struct stanza_stamp none = {0};
    assert_written(
        s, &none,
        "<message type='chat' from='forged' x='1' to='b' xml:lang='en'><body>hi</body></message>");
    struct stanza_stamp over = {.from = STR("a@b/it's"), .to = STANZA_DROP, .id = STR("7")};
    assert_written(s, &over,
                   "<message type='chat' from='a@b/it&apos;s' x='1' id='7' "
                   "xml:lang='en'><body>hi</body></message>");
    struct stanza_stamp more = {.type = STANZA_DROP,
                                .id = STANZA_DROP,
                                .xmlns = STR("jabber:client"),
                                .extra = STR(" sc:c2s='12'"),
                                .extra_inner = STR("<delay/>")};
    assert_written(
        s, &more,
        "<message xmlns='jabber:client' from='forged' x='1' to='b' xml:lang='en' sc:c2s='12'>"
        "<body>hi</body><delay/></message>");
    struct stanza_stamp empty = {.to = STR("")};
    assert_written(
        s, &empty,
        "<message type='chat' from='forged' x='1' to='' xml:lang='en'><body>hi</body></message>");
    stanza_unref(s);
}

static void write_childless(void **state)
{
    struct stanza *s = parse("<presence/>");
    struct stanza_stamp stamp = {
        .from = STR("a"), .to = STR("b"), .id = STR("c"), .type = STR("d")};
    assert_written(s, &stamp, "<presence from='a' to='b' id='c' type='d'/>");
    stamp = (struct stanza_stamp){.extra_inner = STR("<x/>"), .extra = STR(" y='1'")};
    assert_written(s, &stamp, "<presence y='1'><x/></presence>");
    stanza_unref(s);
}

/* A namespaced `to` is not the address. */
static void write_leaves_namespaced_alone(void **state)
{
    struct stanza *s = parse("<a xmlns:p='u' p:to='1' p:from='2'/>");
    struct stanza_stamp stamp = {.to = STR("x"), .from = STANZA_DROP};
    assert_written(s, &stamp, "<a to='x' xmlns:ns0='u' ns0:to='1' ns0:from='2'/>");
    stanza_unref(s);
}

static void write_respects_the_maximum(void **state)
{
    struct stanza *s = parse("<presence from='somebody'/>"); /* 27 bytes */
    struct buffer out;
    buffer_init(&out, 27);
    assert_true(stanza_write(s, NULL, &out));
    assert_false(stanza_write(s, NULL, &out));
    assert_int_equal(buffer_len(&out), 27);
    buffer_clear(&out);
    struct stanza_stamp longer = {.from = STR("somebody else")};
    assert_false(stanza_write(s, &longer, &out));
    buffer_clear(&out);
    struct stanza_stamp same = {.from = STR("anybody!")};
    assert_true(stanza_write(s, &same, &out));
    assert_str(buffer_str(&out), "<presence from='anybody!'/>");
    buffer_finish(&out);
    stanza_unref(s);
}

static void references(void **state)
{
    struct stanza *s = parse("<a>text</a>");
    assert_ptr_equal(stanza_ref(s), s);
    stanza_unref(s);
    assert_str(stanza_text(s, 0), "text");
    stanza_unref(s);
    stanza_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(look_ups),
        cmocka_unit_test(attributes),
        cmocka_unit_test(text),
        cmocka_unit_test(canonical_quotes_and_escapes),
        cmocka_unit_test(canonical_shape),
        cmocka_unit_test(canonical_namespaces),
        cmocka_unit_test(canonical_namespaced_attributes),
        cmocka_unit_test(escaped_namespace_views),
        cmocka_unit_test(extract),
        cmocka_unit_test(another_namespace),
        cmocka_unit_test(write_stamps),
        cmocka_unit_test(write_childless),
        cmocka_unit_test(write_leaves_namespaced_alone),
        cmocka_unit_test(write_respects_the_maximum),
        cmocka_unit_test(references),
    };
    return cmocka_run_group_tests(tests, parsing_set_up, parsing_tear_down);
}
