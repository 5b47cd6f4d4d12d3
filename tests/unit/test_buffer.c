/* base/buffer: growth, its maximum, and consuming. */
#include "unit.h"

#include "base/buffer.h"
#include "base/random.h"

static void adds_up_to_its_maximum(void **state)
{
    struct buffer b;
    buffer_init(&b, 10);
    assert_null(b.data);
    assert_true(buffer_add(&b, "12345678", 8));
    assert_false(buffer_add(&b, "abc", 3));
    assert_true(b.overflowed);
    assert_true(str_is(buffer_str(&b), "12345678"));
    assert_true(buffer_add(&b, "ab", 2));
    assert_false(buffer_add_char(&b, 'c'));
    assert_true(buffer_add(&b, "", 0));
    buffer_clear(&b);
    assert_false(b.overflowed);
    assert_int_equal(buffer_len(&b), 0);
    assert_true(buffer_add_str(&b, STR("1234567890")));
    buffer_finish(&b);
    assert_null(b.data);
    assert_true(buffer_add_char(&b, 'x'));
    buffer_finish(&b);
}

static void consumed_room_is_used_again(void **state)
{
    struct buffer b;
    buffer_init(&b, 256);
    for (int i = 0; i < 1000; i++) {
        assert_true(buffer_add(&b, "0123456789abcdef0123456789abcdef", 32));
        if (buffer_len(&b) > 200) {
            assert_memory_equal(buffer_str(&b).data, "0123456789", 10);
            buffer_consume(&b, 32);
        }
    }
    assert_true(b.cap <= 256);
    buffer_consume(&b, buffer_len(&b));
    assert_int_equal(b.start, 0);
    buffer_shrink(&b);
    assert_null(b.data);
    assert_int_equal(b.cap, 0);
    buffer_finish(&b);
}

static void shrink_keeps_content(void **state)
{
    struct buffer b;
    buffer_init(&b, 100);
    buffer_add(&b, "abc", 3);
    buffer_shrink(&b);
    assert_true(str_is(buffer_str(&b), "abc"));
    buffer_finish(&b);
}

static void reserve_and_commit(void **state)
{
    struct buffer b;
    buffer_init(&b, 1000);
    char *room = buffer_reserve(&b, 1000);
    assert_non_null(room);
    memset(room, 'x', 1000);
    buffer_commit(&b, 10);
    assert_int_equal(buffer_len(&b), 10);
    assert_null(buffer_reserve(&b, 991));
    assert_non_null(buffer_reserve(&b, 990));
    assert_null(buffer_reserve(&b, SIZE_MAX));
    buffer_finish(&b);
}

static void printing(void **state)
{
    char large[2000];
    struct buffer b;
    memset(large, 'y', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    buffer_init(&b, 2010);
    assert_true(buffer_printf(&b, "%d-%s", 42, "x"));
    assert_true(str_is(buffer_str(&b), "42-x"));
    assert_true(buffer_printf(&b, "%s", large));
    assert_int_equal(buffer_len(&b), 4 + 1999);
    assert_true(buffer_printf(&b, "1234567")); /* exactly full: no room for a NUL is needed */
    assert_false(buffer_printf(&b, "8"));
    assert_false(buffer_printf(&b, "%s", large));
    assert_int_equal(buffer_len(&b), 2010);
    buffer_finish(&b);
}

/* Against a simple model, with random operations. */
static void behaves_like_a_queue(void **state)
{
    enum { TOTAL = 100000 };
    struct random *r = random_create_seeded(1);
    struct buffer b;
    unsigned char in = 0, out = 0;
    buffer_init(&b, 4096);
    for (int i = 0; i < TOTAL; i++) {
        size_t n = random_below(r, 300);
        if (random_below(r, 2)) {
            bool fits = n <= 4096 - buffer_len(&b);
            char *room = buffer_reserve(&b, n);
            assert_true(fits == (room != NULL));
            for (size_t j = 0; room && j < n; j++)
                room[j] = (char)in++;
            if (room)
                buffer_commit(&b, n);
        } else {
            if (n > buffer_len(&b))
                n = buffer_len(&b);
            for (size_t j = 0; j < n; j++)
                assert_int_equal((unsigned char)buffer_str(&b).data[j], out++);
            buffer_consume(&b, n);
        }
        assert_true(b.cap <= 4096);
    }
    buffer_finish(&b);
    random_destroy(r);
}

static void json_text(void **state)
{
    static const struct {
        const char *text, *json;
    } cases[] = {
        {"", "\"\""},
        {"caf\u00e9 \U0001f600", "\"caf\u00e9 \U0001f600\""},
        {"a\"b\\c", "\"a\\\"b\\\\c\""},
        {"one\ntwo\r\n\t\x7f", "\"one\\u000atwo\\u000d\\u000a\\u0009\\u007f\""},
        /* what some readers take for the end of a line, and what turns writing round */
        {"\xc2\x85\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xae", "\"\\u0085\\u2028\\u2029\\u202e\""},
        {"\xff", "\"\\u00ff\""},
    };
    struct buffer b;
    buffer_init(&b, 64);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(buffer_add_json(&b, str_of(cases[i].text)));
        assert_true(str_is(buffer_str(&b), cases[i].json));
        buffer_clear(&b);
    }
    /* nothing of what does not fit */
    assert_true(buffer_add_str(&b, STR("x")));
    assert_false(buffer_add_json(
        &b, STR("0123456789012345678901234567890123456789012345678901234567890123456789")));
    assert_true(str_is(buffer_str(&b), "x"));
    buffer_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adds_up_to_its_maximum),
        cmocka_unit_test(consumed_room_is_used_again),
        cmocka_unit_test(shrink_keeps_content),
        cmocka_unit_test(reserve_and_commit),
        cmocka_unit_test(printing),
        cmocka_unit_test(json_text),
        cmocka_unit_test(behaves_like_a_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
