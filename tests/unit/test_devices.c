/* Devices and tokens: written down, bounded, used once and in order, revoked; over every driver. */
#include "store_fixture.h"

#include "store/devices.h"

#define USER  STR("juliet")
#define REALM STR("capulet.example")

static const unsigned char seeds[3][DEVICE_SEED] = {"first", "second", "third"};
static const struct device telephone = {{"juliet", 6}, {"capulet.example", 15}, {"id-1", 4}};
static const struct device desk = {{"juliet", 6}, {"capulet.example", 15}, {"id-2", 4}};
static const struct device other = {{"nurse", 5}, {"capulet.example", 15}, {"id-1", 4}};

static void account(struct fixture *f, struct str user)
{
    struct scram_keys keys[SCRAM_HASHES];
    struct random *r = random_create_seeded(7);
    accounts_salt(r, 10, keys);
    assert_true(accounts_derive_salted(STR("pencil"), keys));
    random_destroy(r);
    assert_int_equal(fixture_commit(f, accounts_create(store_begin(f->store), user, REALM, keys)),
                     ERR_OK);
}

static void seen(struct fixture *f, const struct device *d, int64_t now, int64_t most)
{
    assert_int_equal(fixture_commit(f, devices_seen(store_begin(f->store), d, STR("soft"), STR_NULL,
                                                    STR("192.0.2.1"), now, most)),
                     ERR_OK);
}

static void put(struct fixture *f, const struct device *d, const unsigned char *seed)
{
    assert_int_equal(
        fixture_commit(f, devices_put_token(store_begin(f->store), d, STR("HT"), seed, 100, 200)),
        ERR_OK);
}

static enum error use(struct fixture *f, const struct device *d, int slot,
                      const unsigned char *seed, int64_t count)
{
    return fixture_commit(f, devices_use_token(store_begin(f->store), d, slot, seed, count));
}

static size_t tokens(struct fixture *f, const struct device *d)
{
    devices_tokens(f->store, d, fixture_on_done, fixture_tag(f, 0));
    fixture_wait(f, f->count + 1);
    return f->rows;
}

static size_t devices(struct fixture *f, struct str user)
{
    devices_list(f->store, user, REALM, fixture_on_done, fixture_tag(f, 0));
    fixture_wait(f, f->count + 1);
    return f->rows;
}

static void test_seen(void **state)
{
    struct fixture *f = *state;
    account(f, USER);
    seen(f, &telephone, 1000, 10);
    seen(f, &desk, 2000, 10);
    seen(f, &telephone, 3000, 10);
    put(f, &telephone, seeds[0]);
    assert_int_equal(devices(f, USER), 2);
    assert_string_equal(f->cells[0][0], "id-1");
    assert_string_equal(f->cells[0][1], "soft");
    assert_string_equal(f->cells[0][3], "192.0.2.1");
    assert_string_equal(f->cells[0][4], "1000");
    assert_string_equal(f->cells[0][5], "3000");
    assert_string_equal(f->cells[0][6], "200");
    assert_string_equal(f->cells[1][0], "id-2");
    assert_int_equal(devices(f, STR("nurse")), 0);
}

/* The one seen last stays, whatever the clock says; the tokens of the others go with them. */
static void test_bounded(void **state)
{
    struct fixture *f = *state;
    account(f, USER);
    seen(f, &telephone, 1000, 1);
    put(f, &telephone, seeds[0]);
    seen(f, &other, 1000, 1);
    seen(f, &desk, 500, 1);
    assert_int_equal(devices(f, USER), 1);
    assert_string_equal(f->cells[0][0], "id-2");
    assert_int_equal(tokens(f, &telephone), 1);
    assert_string_not_equal(f->cells[0][2], "HT");
    assert_int_equal(devices(f, STR("nurse")), 1);
}

static void test_use(void **state)
{
    struct fixture *f = *state;
    account(f, USER);
    put(f, &telephone, seeds[0]);
    assert_int_equal(use(f, &telephone, DEVICE_SLOT_CURRENT, seeds[0], 0), ERR_NOT_FOUND);
    assert_int_equal(use(f, &telephone, DEVICE_SLOT_NEW, seeds[1], 0), ERR_NOT_FOUND);
    assert_int_equal(use(f, &telephone, DEVICE_SLOT_NEW, seeds[0], 5), ERR_OK);
    /* now it is the current one, with its count */
    assert_int_equal(use(f, &telephone, DEVICE_SLOT_CURRENT, seeds[0], 5), ERR_NOT_FOUND);
    assert_int_equal(use(f, &telephone, DEVICE_SLOT_CURRENT, seeds[0], 6), ERR_OK);
    assert_int_equal(use(f, &telephone, DEVICE_SLOT_CURRENT, seeds[0], 0), ERR_OK);
    put(f, &telephone, seeds[1]);
    put(f, &telephone, seeds[2]); /* the second was never used */
    assert_int_equal(tokens(f, &telephone), 2);
    assert_string_equal(f->cells[0][1], "1");
    assert_string_equal(f->cells[1][1], "0");
    assert_string_equal(f->cells[1][6], "6");
    assert_int_equal(use(f, &telephone, DEVICE_SLOT_CURRENT, seeds[0], 7), ERR_OK);
    assert_int_equal(use(f, &telephone, DEVICE_SLOT_NEW, seeds[2], 1), ERR_OK);
    assert_int_equal(use(f, &telephone, DEVICE_SLOT_CURRENT, seeds[0], 8), ERR_NOT_FOUND);
    assert_int_equal(tokens(f, &telephone), 1);
    assert_int_equal(fixture_commit(f, devices_drop_current(store_begin(f->store), &telephone)),
                     ERR_OK);
    assert_int_equal(use(f, &telephone, DEVICE_SLOT_CURRENT, seeds[2], 2), ERR_NOT_FOUND);
}

static void test_revoke(void **state)
{
    struct fixture *f = *state;
    account(f, USER);
    account(f, STR("nurse"));
    seen(f, &telephone, 1, 10);
    seen(f, &desk, 2, 10);
    seen(f, &other, 3, 10);
    put(f, &telephone, seeds[0]);
    put(f, &desk, seeds[1]);
    put(f, &other, seeds[2]);
    assert_int_equal(fixture_commit(f, devices_remove(store_begin(f->store), &telephone)), ERR_OK);
    assert_int_equal(fixture_commit(f, devices_remove(store_begin(f->store), &telephone)),
                     ERR_NOT_FOUND);
    assert_int_equal(use(f, &telephone, DEVICE_SLOT_NEW, seeds[0], 0), ERR_NOT_FOUND);
    assert_int_equal(use(f, &desk, DEVICE_SLOT_NEW, seeds[1], 0), ERR_OK);
    assert_int_equal(fixture_commit(f, devices_remove_all(store_begin(f->store), USER, REALM)),
                     ERR_OK);
    assert_int_equal(devices(f, USER), 0);
    assert_int_equal(use(f, &desk, DEVICE_SLOT_CURRENT, seeds[1], 0), ERR_NOT_FOUND);
    assert_int_equal(devices(f, STR("nurse")), 1);
    assert_int_equal(use(f, &other, DEVICE_SLOT_NEW, seeds[2], 0), ERR_OK);
}

/* A new password takes the tokens; the end of the account everything. */
static void test_account_changes(void **state)
{
    struct fixture *f = *state;
    struct scram_keys keys[SCRAM_HASHES];
    struct random *r = random_create_seeded(7);
    account(f, USER);
    seen(f, &telephone, 1, 10);
    put(f, &telephone, seeds[0]);
    accounts_salt(r, 10, keys);
    assert_true(accounts_derive_salted(STR("another"), keys));
    random_destroy(r);
    assert_int_equal(fixture_commit(f, accounts_set_keys(store_begin(f->store), USER, REALM, keys)),
                     ERR_OK);
    assert_int_equal(use(f, &telephone, DEVICE_SLOT_NEW, seeds[0], 0), ERR_NOT_FOUND);
    assert_int_equal(devices(f, USER), 1);
    put(f, &telephone, seeds[0]);
    assert_int_equal(fixture_commit(f, accounts_delete(store_begin(f->store), USER, REALM)),
                     ERR_OK);
    assert_int_equal(devices(f, USER), 0);
    account(f, USER);
    assert_int_equal(tokens(f, &telephone), 1);
    assert_string_not_equal(f->cells[0][2], "HT");
}

static void test_survives(void **state)
{
    struct fixture *f = *state;
    account(f, USER);
    seen(f, &telephone, 1, 10);
    put(f, &telephone, seeds[0]);
    fixture_reopen(f);
    assert_int_equal(devices(f, USER), 1);
    assert_int_equal(use(f, &telephone, DEVICE_SLOT_NEW, seeds[0], 1), ERR_OK);
}

#define BOTH(test)                                                                                 \
    cmocka_unit_test_setup_teardown(test, fixture_durable_accounts, fixture_tear_down),            \
        cmocka_unit_test_setup_teardown(test, fixture_memory_accounts, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_seen),
        BOTH(test_bounded),
        BOTH(test_use),
        BOTH(test_revoke),
        BOTH(test_account_changes),
        cmocka_unit_test_setup_teardown(test_survives, fixture_durable_accounts, fixture_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
