/* base/str, base/error and base/random. */
#include "unit.h"

#include "base/error.h"
#include "base/random.h"
#include "base/str.h"

#include <errno.h>

static void comparing(void **state)
{
    assert_true(str_eq(STR("abc"), STR("abc")));
    assert_false(str_eq(STR("abc"), STR("abd")));
    assert_false(str_eq(STR("abc"), STR("ab")));
    assert_true(str_is(STR("abc"), "abc"));
    assert_false(str_is(STR_NULL, ""));
    assert_true(str_is(STR(""), ""));
    assert_true(str_starts(STR("abc"), STR("ab")));
    assert_true(str_starts(STR("abc"), STR("")));
    assert_false(str_starts(STR("ab"), STR("abc")));
    assert_true(str_cmp(STR("a"), STR("b")) < 0);
    assert_true(str_cmp(STR("ab"), STR("a")) > 0);
    assert_true(str_cmp(STR("\xff"), STR("a")) > 0);
    assert_int_equal(str_cmp(STR("ab"), STR("ab")), 0);
    assert_true(str_eq_secret(STR("secret"), STR("secret")));
    assert_false(str_eq_secret(STR("secret"), STR("secreT")));
    assert_false(str_eq_secret(STR("secret"), STR("Secret")));
    assert_false(str_eq_secret(STR("secret"), STR("secre")));
    assert_true(str_eq_secret(STR(""), STR("")));
}

static void splitting(void **state)
{
    struct str rest = STR("a,,bc,"), part;
    const char *expected[] = {"a", "", "bc", ""};
    for (size_t i = 0; i < 4; i++) {
        assert_true(str_split(&rest, ',', &part));
        assert_true(str_is(part, expected[i]));
    }
    assert_false(str_split(&rest, ',', &part));
    rest = STR("");
    assert_true(str_split(&rest, ',', &part));
    assert_int_equal(part.len, 0);
    assert_false(str_split(&rest, ',', &part));
    rest = STR_NULL;
    assert_false(str_split(&rest, ',', &part));
}

static void numbers(void **state)
{
    uint64_t n = 7;
    const struct str bad[] = {STR(""),
                              STR("-1"),
                              STR("+1"),
                              STR("1 "),
                              STR(" 1"),
                              STR("0x1"),
                              STR("18446744073709551616"),
                              STR("99999999999999999999999"),
                              STR("1.0")};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(str_to_u64(bad[i], UINT64_MAX, &n));
    assert_int_equal(n, 7);
    assert_true(str_to_u64(STR("18446744073709551615"), UINT64_MAX, &n));
    assert_true(n == UINT64_MAX);
    assert_true(str_to_u64(STR("000"), 5, &n));
    assert_int_equal(n, 0);
    assert_true(str_to_u64(STR("255"), 255, &n));
    assert_false(str_to_u64(STR("256"), 255, &n));
    assert_int_equal(n, 255);
}

/* Every boundary of RFC 3629 section 4. */
static void utf8(void **state)
{
    const struct str good[] = {STR(""),
                               STR("plain ASCII of more than eight bytes"),
                               STR("\xc2\x80"),
                               STR("\xdf\xbf"),
                               STR("\xe0\xa0\x80"),
                               STR("\xed\x9f\xbf"),
                               STR("\xee\x80\x80"),
                               STR("\xef\xbf\xbf"),
                               STR("\xf0\x90\x80\x80"),
                               STR("\xf4\x8f\xbf\xbf"),
                               STR("12345678\xc3\xa9"),
                               STR("a\0b")};
    const struct str bad[] = {STR("\x80"),
                              STR("\xc0\x80"),
                              STR("\xc1\xbf"),
                              STR("\xc2"),
                              STR("\xc2\x41"),
                              STR("\xe0\x9f\xbf"),
                              STR("\xed\xa0\x80"),
                              STR("\xed\xbf\xbf"),
                              STR("\xef\xbf"),
                              STR("\xf0\x8f\xbf\xbf"),
                              STR("\xf4\x90\x80\x80"),
                              STR("\xf5\x80\x80\x80"),
                              STR("\xff"),
                              STR("\xfe"),
                              STR("\xf0\x90\x80\x41"),
                              STR("12345678\xc3"),
                              STR("1234567\x80")};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(str_utf8_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(str_utf8_valid(bad[i]));
}

static void hex_and_copies(void **state)
{
    char hex[7] = "......";
    str_hex("\x00\xfe\x1a", 3, hex);
    assert_string_equal(hex, "00fe1a");
    char *copy = str_dup(STR_NULL);
    assert_string_equal(copy, "");
    free(copy);
    copy = str_dup((struct str){"abcdef", 3});
    assert_string_equal(copy, "abc");
    free(copy);
}

static void errors(void **state)
{
    assert_string_equal(error_text(ERR_OK), "no error");
    assert_string_equal(error_text(ERR_SYSTEM), "system call failed");
    assert_string_equal(error_text((enum error)9999), "unknown error");
    assert_int_equal(error_from_errno(ECONNREFUSED), ERR_REFUSED);
    assert_int_equal(error_from_errno(EMFILE), ERR_FULL);
    assert_int_equal(error_from_errno(ENOTTY), ERR_SYSTEM);
}

static void random_numbers(void **state)
{
    unsigned char a[700], b[700];
    struct random *r = random_create_seeded(42), *same = random_create_seeded(42),
                  *other = random_create_seeded(43);
    random_fill(r, a, sizeof a);
    random_fill(same, b, sizeof b);
    assert_memory_equal(a, b, sizeof a);
    random_fill(other, b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    int seen[6] = {0};
    for (int i = 0; i < 6000; i++)
        seen[random_below(r, 6)]++;
    for (int i = 0; i < 6; i++)
        assert_in_range(seen[i], 850, 1150); /* repeatable: the seed is fixed */
    assert_int_equal(random_below(r, 1), 0);
    char token[27] = {0};
    random_token(r, token, 26);
    assert_int_equal(strspn(token, "abcdefghijklmnopqrstuvwxyz0123456789"), 26);
    random_destroy(r);
    random_destroy(same);
    random_destroy(other);
    random_destroy(NULL);
}

static void system_random_differs(void **state)
{
    unsigned char a[32], b[32];
    struct random *r = random_create(), *q = random_create();
    random_fill(r, a, sizeof a);
    random_fill(q, b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    random_fill(r, b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    random_destroy(r);
    random_destroy(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparing),      cmocka_unit_test(splitting),
        cmocka_unit_test(numbers),        cmocka_unit_test(utf8),
        cmocka_unit_test(hex_and_copies), cmocka_unit_test(errors),
        cmocka_unit_test(random_numbers), cmocka_unit_test(system_random_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
