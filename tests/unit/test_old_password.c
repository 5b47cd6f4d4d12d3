/* Old passwords: what other servers stored is recognised, written and checked. */
#include "unit.h"

#include "xmpp/old_password.h"

static void test_guess(void **state)
{
    static const struct {
        const char *value;
        enum old_password kind;
    } rows[] = {
        {"0123456789abcdef0123456789abcdef", OLD_PASSWORD_A1HASH},
        {"0123456789ABCDEF0123456789abcdef", OLD_PASSWORD_PLAIN},
        {"0123456789abcdef0123456789abcde", OLD_PASSWORD_PLAIN},
        {"$6$rounds=1000$salt$abcdefghijklmnop", OLD_PASSWORD_CRYPT},
        {"$2b$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe", OLD_PASSWORD_CRYPT},
        {"$5 is what I have in my pocket", OLD_PASSWORD_PLAIN},
        {"$", OLD_PASSWORD_PLAIN},
        {"", OLD_PASSWORD_PLAIN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(old_password_guess(str_of(rows[i].value)), rows[i].kind);
}

static bool check(enum old_password kind, const char *value, const char *password)
{
    struct buffer stored;
    buffer_init(&stored, 4096);
    assert_true(
        old_password_write(kind, str_of(value), STR("juliet"), STR("capulet.example"), &stored));
    bool ok = old_password_check(buffer_str(&stored), str_of(password));
    buffer_finish(&stored);
    return ok;
}

static void test_a1hash(void **state)
{
    /* echo -n 'juliet:capulet.example:secret' | md5sum */
    const char *hash = "a5e45c89ee66cecdeb0e18ba92e71d91";
    assert_true(check(OLD_PASSWORD_A1HASH, hash, "secret"));
    assert_false(check(OLD_PASSWORD_A1HASH, hash, "Secret"));
    assert_false(check(OLD_PASSWORD_A1HASH, hash, ""));
    assert_false(check(OLD_PASSWORD_A1HASH, hash, hash)); /* the hash itself opens nothing */
}

static void test_crypt(void **state)
{
    /* openssl passwd -6 -salt saltsalt secret; the vector of bcrypt(3) with cost 5 */
    const char *sha512 = "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDe"
                         "hy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1";
    const char *bcrypt = "$2a$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe";
    assert_true(check(OLD_PASSWORD_CRYPT, sha512, "secret"));
    assert_false(check(OLD_PASSWORD_CRYPT, sha512, "secret2"));
    assert_true(check(OLD_PASSWORD_CRYPT, bcrypt, "password"));
    assert_false(check(OLD_PASSWORD_CRYPT, bcrypt, "Password"));
    assert_false(check(OLD_PASSWORD_CRYPT, "*0", "secret"));
    assert_false(check(OLD_PASSWORD_CRYPT, "", "secret"));
}

static void test_what_is_neither(void **state)
{
    static const char *const values[] = {
        "",         "secret",         "{plain}secret",
        "{a1hash}", "{a1hash}secret", "{a1hash}0123456789abcdef0123456789abcdef",
        "{crypt}"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_false(old_password_check(str_of(values[i]), STR("secret")));
    assert_false(old_password_check(STR_NULL, STR("secret")));
    assert_false(old_password_check(STR("{crypt}x"), (struct str){"se\0ret", 6}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guess),
        cmocka_unit_test(test_a1hash),
        cmocka_unit_test(test_crypt),
        cmocka_unit_test(test_what_is_neither),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
