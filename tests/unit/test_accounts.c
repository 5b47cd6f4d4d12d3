/* Accounts: made, found, changed, listed, deleted; keys come back as they were derived. */
#include "store_fixture.h"

#include "base/random.h"

#define USER  STR("juliet")
#define REALM STR("capulet.example")

static void derive(const char *password, struct scram_keys keys[SCRAM_HASHES])
{
    struct random *r = random_create_seeded(7);
    accounts_salt(r, 10, keys);
    assert_true(accounts_derive_salted(str_of(password), keys));
    random_destroy(r);
}

static enum error create(struct fixture *f, struct str user, struct str realm, const char *password)
{
    struct scram_keys keys[SCRAM_HASHES];
    derive(password, keys);
    return fixture_commit(f, accounts_create(store_begin(f->store), user, realm, keys));
}

struct got {
    struct fixture *f;
    struct account account;
};

static void on_account(void *arg, enum error e, const struct account *account)
{
    struct got *got = arg;
    assert_int_equal(e, ERR_OK);
    got->account = *account;
    got->f->count++;
    loop_stop(got->f->loop);
}

static struct account get(struct fixture *f, struct str user, struct str realm,
                          enum scram_hash hash)
{
    struct got got = {.f = f};
    accounts_get(f->store, user, realm, hash, on_account, &got);
    fixture_wait(f, f->count + 1);
    return got.account;
}

static void test_create_and_get(void **state)
{
    struct fixture *f = *state;
    assert_false(get(f, USER, REALM, SCRAM_SHA_256).exists);
    assert_int_equal(create(f, USER, REALM, "wherefore"), ERR_OK);
    for (int h = 0; h < SCRAM_HASHES; h++) {
        struct account a = get(f, USER, REALM, (enum scram_hash)h);
        assert_true(a.exists);
        assert_true(a.has_keys);
        assert_false(a.disabled);
        assert_int_equal(a.keys.hash, h);
        assert_int_equal(a.keys.iterations, 10);
        assert_true(scram_verify_password(&a.keys, STR("wherefore")));
        assert_false(scram_verify_password(&a.keys, STR("Wherefore")));
    }
    assert_false(get(f, USER, STR("montague.example"), SCRAM_SHA_256).exists);
}

static void test_create_twice(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(create(f, USER, REALM, "first"), ERR_OK);
    assert_int_equal(create(f, USER, REALM, "second"), ERR_EXISTS);
    struct account a = get(f, USER, REALM, SCRAM_SHA_512);
    assert_true(scram_verify_password(&a.keys, STR("first"))); /* the keys were not touched */
}

static void test_set_keys(void **state)
{
    struct fixture *f = *state;
    struct scram_keys keys[SCRAM_HASHES];
    derive("new", keys);
    assert_int_equal(fixture_commit(f, accounts_set_keys(store_begin(f->store), USER, REALM, keys)),
                     ERR_NOT_FOUND);
    assert_false(get(f, USER, REALM, SCRAM_SHA_1).exists);
    assert_int_equal(create(f, USER, REALM, "old"), ERR_OK);
    assert_int_equal(fixture_commit(f, accounts_set_keys(store_begin(f->store), USER, REALM, keys)),
                     ERR_OK);
    struct account a = get(f, USER, REALM, SCRAM_SHA_1);
    assert_true(scram_verify_password(&a.keys, STR("new")));
}

static void test_delete(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(create(f, USER, REALM, "x"), ERR_OK);
    assert_int_equal(create(f, STR("nurse"), REALM, "y"), ERR_OK);
    assert_int_equal(fixture_commit(f, accounts_delete(store_begin(f->store), USER, REALM)),
                     ERR_OK);
    assert_int_equal(fixture_commit(f, accounts_delete(store_begin(f->store), USER, REALM)),
                     ERR_NOT_FOUND);
    assert_false(get(f, USER, REALM, SCRAM_SHA_256).exists);
    assert_true(get(f, STR("nurse"), REALM, SCRAM_SHA_256).has_keys);
    /* An account of the same name does not inherit keys. */
    assert_int_equal(create(f, USER, REALM, "z"), ERR_OK);
    struct account a = get(f, USER, REALM, SCRAM_SHA_256);
    assert_false(scram_verify_password(&a.keys, STR("x")));
}

static void test_list(void **state)
{
    struct fixture *f = *state;
    create(f, STR("b"), STR("two.example"), "x");
    create(f, STR("a"), STR("two.example"), "x");
    create(f, STR("c"), STR("one.example"), "x");
    accounts_list(f->store, STR_NULL, fixture_on_done, fixture_tag(f, 0));
    fixture_wait(f, f->count + 1);
    assert_int_equal(f->rows, 3);
    assert_string_equal(f->cells[0][0], "c");
    assert_string_equal(f->cells[1][0], "a");
    assert_string_equal(f->cells[2][1], "two.example");
    assert_true(atoll(f->cells[0][2]) > 1700000000);
    accounts_list(f->store, STR("two.example"), fixture_on_done, fixture_tag(f, 0));
    fixture_wait(f, f->count + 1);
    assert_int_equal(f->rows, 2);
    assert_string_equal(f->cells[0][0], "a");
}

static void test_derive(void **state)
{
    struct scram_keys keys[SCRAM_HASHES];
    struct random *r = random_create_seeded(1);
    (void)state;
    assert_true(accounts_derive(r, STR("pass"), keys));
    assert_int_equal(keys[SCRAM_SHA_256].iterations, SCRAM_ITERATIONS);
    assert_true(scram_verify_password(&keys[SCRAM_SHA_512], STR("pass")));
    assert_memory_not_equal(keys[0].salt, keys[1].salt, SCRAM_SALT);
    assert_false(accounts_derive(r, STR(""), keys));
    random_destroy(r);
}

#define BOTH(test)                                                                                 \
    cmocka_unit_test_setup_teardown(test, fixture_durable_accounts, fixture_tear_down),            \
        cmocka_unit_test_setup_teardown(test, fixture_memory_accounts, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_create_and_get), BOTH(test_create_twice), BOTH(test_set_keys),
        BOTH(test_delete),         BOTH(test_list),         cmocka_unit_test(test_derive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
