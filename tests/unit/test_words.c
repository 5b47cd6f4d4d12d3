/* How text is cut for a search: the same words whatever case, accents and punctuation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "xmpp/words.h"

static void expect(const char *text, size_t max, size_t room, const char *words)
{
    struct buffer b;
    buffer_init(&b, room);
    words_cut(str_of(text), max, &b);
    assert_int_equal(buffer_len(&b), strlen(words));
    if (buffer_len(&b))
        assert_memory_equal(buffer_str(&b).data, words, strlen(words));
    buffer_finish(&b);
}

static void test_cuts(void **state)
{
    (void)state;
    expect("What's in a NAME?", SIZE_MAX, 1000, "what s in a name");
    expect("", SIZE_MAX, 1000, "");
    expect(" \"*( -- !? \n", SIZE_MAX, 1000, "");
    expect("a.b@example.org/path?x=1", SIZE_MAX, 1000, "a b example org path x 1");
    expect("word", SIZE_MAX, 1000, "word");
}

static void test_accents(void **state)
{
    (void)state;
    expect("J\u00fal\u00eda, \u00c5NGSTR\u00d6M", SIZE_MAX, 1000, "julia angstrom");
    expect("Ju\u0301lia", SIZE_MAX, 1000, "julia");
    expect("\u0301", SIZE_MAX, 1000, "");
    expect("\u0394\u03ac\u03c6\u03bd\u03b7\u03a3 \u03c2", SIZE_MAX, 1000,
           "\u03b4\u03b1\u03c6\u03bd\u03b7\u03c3 \u03c3");
    expect("\u0401\u043b\u043a\u0430", SIZE_MAX, 1000, "\u0435\u043b\u043a\u0430");
    /* Ligatures and full-width letters are what they stand for. */
    expect("\ufb01re \uff32\uff4f\uff53\uff45", SIZE_MAX, 1000, "fire rose");
    /* Signs that are no accents stay; scripts without blanks are one word. */
    expect("\u0939\u093f\u0928\u094d\u0926\u0940", SIZE_MAX, 1000,
           "\u0939\u093f\u0928\u094d\u0926\u0940");
    expect("\u8594\u8587\u3001\u540d", SIZE_MAX, 1000, "\u8594\u8587 \u540d");
}

static void test_bounds(void **state)
{
    (void)state;
    expect("one two three", 2, 1000, "one two");
    expect("one two three", SIZE_MAX, 8, "one two");
    expect("one twotwotwo three", SIZE_MAX, 8, "one");
    expect("a\xff\xc3z \xe2\x82", SIZE_MAX, 1000, "a z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cuts), cmocka_unit_test(test_accents),
                                       cmocka_unit_test(test_bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
