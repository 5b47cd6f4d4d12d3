/* The hash of a vCard's picture (XEP-0153). */
#include "unit.h"

#include "xmpp/avatar.h"

static void check(const char *base64, const char *expected)
{
    char hash[AVATAR_HASH_LEN + 1] = "";
    bool ok = avatar_hash(str_of(base64), hash);
    assert_int_equal(ok, expected != NULL);
    if (expected)
        assert_string_equal(hash, expected);
}

static void test_hash(void **state)
{
    check("YWJj", "a9993e364706816aba3e25717850c26c9cd0d89d"); /* "abc": RFC 3174 section 7.3 */
    check("\n YW\r\nJj\t", "a9993e364706816aba3e25717850c26c9cd0d89d");
    check("YQ==", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8");
}

static void test_no_picture(void **state)
{
    check(NULL, NULL);
    check("", NULL);
    check(" \n", NULL);
    check("=", NULL);
    check("YWJ", NULL);
    check("YW*j", NULL);
    check("YWJjYQ=", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hash),
                                       cmocka_unit_test(test_no_picture)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
