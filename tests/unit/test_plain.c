/* Plain: what it takes it takes whole and as expat would have, and what it must not judge it leaves
 * alone. (That both give the same stanzas for whatever input is the work of fuzz_stream, which
 * feeds byte by byte what it has fed at once, and of fuzz_canonical.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "stanza_same.h"
#include "xml/parser_impl.h"

#define NS "jabber:client"

static const struct parser_limits limits = {1000, 0, 3, 4, 2, 5};

static struct random *rng;
static struct parser_pool *pool;
static struct block_writer writer;

static int setup(void **state)
{
    rng = random_create_seeded(1);
    pool = parser_pool_create(rng);
    block_writer_init(&writer);
    return 0;
}

static int teardown(void **state)
{
    block_writer_finish(&writer);
    parser_pool_destroy(pool);
    random_destroy(rng);
    return 0;
}

/* In memory of its own size, so that sanitizers see who reads too far. */
static size_t read_plain(const char *text, size_t len)
{
    char *exact = malloc(len ? len : 1);
    memcpy(exact, text, len);
    size_t used = plain_read(&writer, (struct str){exact, len}, STR(NS), &limits);
    free(exact);
    return used;
}

static void keep(void *owner, struct stanza *s)
{
    *(struct stanza **)owner = s;
}

static void ignore(void *owner, const struct stanza *header)
{
}

/* Byte by byte it is expat that reads. */
static struct stanza *by_expat(const char *text)
{
    static const struct parser_events events = {.stream_open = ignore, .stanza = keep};
    struct stanza *s = NULL;
    struct parser *p = parser_create(pool, &limits, &events, &s);
    const char *header = "<s:stream xmlns='" NS "' xmlns:s='" PLAIN_NS_STREAMS "'>";
    assert_int_equal(parser_feed(p, header, strlen(header)), PARSER_OK);
    for (const char *c = text; *c; c++)
        assert_int_equal(parser_feed(p, c, 1), PARSER_OK);
    parser_destroy(p);
    assert_non_null(s);
    return s;
}

static void takes(void **state)
{
    static const char *const cases[] = {
        "<m/>",
        "<m />",
        "<m></m>",
        "<m\t\r\n></m  >",
        "<message to='a@b/c' type=\"chat\" id='1'><body>But soft</body></message>",
        "<m xmlns='jabber:server' a='1'/>",
        "<m xmlns='jabber:client'><x xmlns='jabber:client'/><x xmlns='u'><y xmlns=''/></x></m>",
        "<m xml:lang='en' to='a' xmlns2='b'><b xml:lang='de'/>x</m>",
        "<m>a<b/>c<b>d</b>e</m>",
        "<m>&lt;&amp;&gt;&apos;&quot;</m>",
        "<m>it&apos;s <b/> &amp; more</m>",
        "<m>\t\n sixteen and more characters without anything</m>",
        "<m a='\xC3\xA9\xF0\x9F\x98\x80'>\xE6\x97\xA5\xF4\x8F\xBF\xBF\xEF\xBF\xBD</m>",
        "<m a='say \"x\"'>\"'</m>",
        "<_m-1.x a.b-c='1'/>",
        "<m a='1' b='2' c='3' d='4'><a/><a/><a/><a><b/></a></m>",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t len = strlen(cases[i]);
        if (read_plain(cases[i], len) != len)
            fail_msg("left to expat: %s", cases[i]);
        struct stanza *plain = block_take(&writer), *expat = by_expat(cases[i]);
        if (!stanza_same(plain, expat))
            fail_msg("not as expat reads it: %s", cases[i]);
        stanza_unref(plain);
        stanza_unref(expat);
        /* What follows is not its business, and what is unfinished not either. */
        char more[256];
        (void)snprintf(more, sizeof(more), "%s<", cases[i]);
        assert_int_equal(read_plain(more, len + 1), len);
        block_writer_reset(&writer);
        for (size_t cut = 0; cut < len; cut++) {
            assert_int_equal(read_plain(cases[i], cut), 0);
            assert_int_equal(writer.element_count, 0);
        }
    }
}

static void leaves(void **state)
{
    static const char *const cases[] = {
        "",
        " <m/>",
        "x",
        "</m>",
        "<1/>",
        "<p:m xmlns:p='u'/>",
        "<m:/>",
        "<m xmlns:p='u'/>",
        "<m p:a='1'/>",
        "<m a='1' xmlns='u'/>",
        "<m xmlns='u' xmlns='u'/>",
        "<m xmlns='http://etherx.jabber.org/streams'/>",
        "<m xmlns='http://www.w3.org/XML/1998/namespace'/>",
        "<m xmlns='http://www.w3.org/2000/xmlns/'/>",
        "<m xmlns='\xC3\xA9'/>",
        "<m><!-- x --></m>",
        "<m><![CDATA[x]]></m>",
        "<m><?x y?></m>",
        "<!DOCTYPE m>",
        "<m>&nbsp;</m>",
        "<m>&#65;</m>",
        "<m>&#xD;</m>",
        "<m>&amp</m>",
        "<m>&</m>",
        "<m a='&amp;'/>",
        "<m a='<'/>",
        "<m a='>'/>",
        "<m a=\"'\"/>",
        "<m a='\t'/>",
        "<m a='\n'/>",
        "<m a=x/>",
        "<m a/>",
        "<m a = 'x'/>",
        "<m a='1'b='2'/>",
        "<m a='1' a='2'/>",
        "<m xml:lang='a' xml:lang='b'/>",
        "<m xml:space='a'/>",
        "<m>]]></m>",
        "<m>></m>",
        "<m>\r</m>",
        "<m>\x01</m>",
        "<m>\x7F\x1F</m>",
        "<m>\xC0\x80</m>",
        "<m>\xED\xA0\x80</m>",
        "<m>\xF5\x80\x80\x80</m>",
        "<m>\xEF\xBF\xBE</m>",
        "<m a='\xEF\xBF\xBF'/>",
        "<m>\x80</m>",
        "<m>\xE6\x97</m>",
        "<m></n>",
        "<m></mm>",
        "<mm></m>",
        "<m/ >",
        "<m / >",
        "< m/>",
        "<m></ m>",
        /* over a limit: which one is for expat's side to say */
        "<m a='1' b='2' c='3' d='4' e='5'/>",
        "<m><a><b><c/></b></a></m>",
        "<m><a/><a/><a/><a/><a/><a/></m>",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (read_plain(cases[i], strlen(cases[i])) != 0)
            fail_msg("taken: %s", cases[i]);
        assert_int_equal(writer.element_count, 0);
    }
    assert_int_equal(read_plain("<m>\0</m>", 8), 0);
}

/* In whose default namespace the stream is decides what a stanza without one is. */
static void namespace_of_the_stream(void **state)
{
    assert_int_equal(plain_read(&writer, STR("<m><b/></m>"), STR("jabber:server"), &limits), 11);
    struct stanza *s = block_take(&writer);
    assert_true(stanza_is(s, 1, STR("b"), STR("jabber:server")));
    stanza_unref(s);
    assert_int_equal(plain_read(&writer, STR("<m/>"), STR(PLAIN_NS_STREAMS), &limits), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes),
        cmocka_unit_test(leaves),
        cmocka_unit_test(namespace_of_the_stream),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
