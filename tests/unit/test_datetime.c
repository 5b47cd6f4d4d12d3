/* Dates and times (XEP-0082). */
#include "unit.h"

#include "xmpp/datetime.h"

static void check(const char *text, int64_t expected)
{
    int64_t seconds = -77;
    assert_true(datetime_parse(str_of(text), &seconds));
    assert_int_equal(seconds, expected);
}

static void test_good(void **state)
{
    check("1969-07-21T02:56:15Z", -14159025); /* XEP-0082 section 3.2 */
    check("1969-07-20T21:56:15-05:00", -14159025);
    check("1970-01-01T00:00:00Z", 0);
    check("1970-01-01T00:00:00.123Z", 0);
    check("2026-11-22T12:00:00+01:30", 1795343400);
    check("2024-02-29T00:00:00Z", 1709164800);
    check("2016-12-31T23:59:60Z", 1483228800);
    check("9999-12-31T23:59:59Z", DATETIME_MAX);
}

static void test_bad(void **state)
{
    static const char *const bad[] = {
        "",
        "2026",
        "2026-11-22",
        "2026-11-22T12:00:00",
        "2026-11-22T12:00:00z",
        "2026-11-22 12:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2025-02-29T00:00:00Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T12:60:00Z",
        "2026-11-22T12:00:61Z",
        "2026-11-22T12:00:00.Z",
        "2026-11-22T12:00:00+1:00",
        "2026-11-22T12:00:00+15:00",
        "2026-11-22T12:00:00Zx",
        "-026-11-22T12:00:00Z",
        "20261122T12:00:00Z",
        " 2026-11-22T12:00:00Z",
    };
    int64_t seconds;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(datetime_parse(str_of(bad[i]), &seconds));
    assert_false(datetime_parse(STR_NULL, &seconds));
}

static void test_write(void **state)
{
    char out[DATETIME_LEN + 1] = "";
    datetime_write(0, out);
    assert_string_equal(out, "1970-01-01T00:00:00Z");
    datetime_write(DATETIME_MAX, out);
    assert_string_equal(out, "9999-12-31T23:59:59Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad),
                                       cmocka_unit_test(test_write)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
