/* Buckets: what passes at once, what has to wait, and for how long. */
#include "unit.h"

#include "base/bucket.h"

static void begins_full(void **state)
{
    struct bucket b = {0};

    (void)state;
    assert_true(bucket_take(&b, 100, 100, 100, 5000));
    assert_false(bucket_take(&b, 100, 100, 1, 5000));
    assert_int_equal(bucket_wait(&b, 100, 100, 5000), 10);
}

static void fills_with_time(void **state)
{
    struct bucket b = {0};

    (void)state;
    assert_true(bucket_take(&b, 100, 100, 100, 5000));
    assert_true(bucket_take(&b, 100, 100, 50, 5500));
    assert_false(bucket_take(&b, 100, 100, 50, 5500));
    assert_int_equal(bucket_wait(&b, 100, 100, 5999), 1);
    assert_int_equal(bucket_wait(&b, 100, 100, 6000), 0);
}

static void holds_no_more_than_its_capacity(void **state)
{
    struct bucket b = {0};

    (void)state;
    assert_true(bucket_take(&b, 100, 300, 300, 1));
    assert_false(bucket_take(&b, 100, 300, 301, 3600000));
}

/* No fraction is lost by asking often. */
static void slow_ones_fill_too(void **state)
{
    struct bucket b = {0};
    int passed = 0;

    (void)state;
    for (uint64_t now = 1; now < 40 * 1000; now += 10)
        passed += bucket_try(&b, 1, 5, 1, now);
    assert_int_equal(passed, 5 + 39);
}

static void a_try_costs_nothing_when_it_fails(void **state)
{
    struct bucket b = {0};

    (void)state;
    assert_true(bucket_try(&b, 10, 10, 10, 1000));
    for (int i = 0; i < 100; i++)
        assert_false(bucket_try(&b, 10, 10, 10, 1001));
    assert_true(bucket_try(&b, 10, 10, 10, 2000));
}

static void debt_grows_and_is_paid(void **state)
{
    struct bucket b = {0};

    (void)state;
    assert_false(bucket_take(&b, 1000, 1000, 65536, 1000));
    assert_int_equal(bucket_wait(&b, 1000, 1000, 1000), 64536);
    assert_int_equal(bucket_wait(&b, 1000, 1000, 1000 + 64536), 0);
}

static void zero_is_unlimited(void **state)
{
    struct bucket b = {0};

    (void)state;
    assert_true(bucket_take(&b, 0, 0, 1 << 30, 1000));
    assert_true(bucket_try(&b, 0, 0, 1 << 30, 1000));
    assert_int_equal(bucket_wait(&b, 0, 0, 1000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_full),
        cmocka_unit_test(fills_with_time),
        cmocka_unit_test(holds_no_more_than_its_capacity),
        cmocka_unit_test(slow_ones_fill_too),
        cmocka_unit_test(a_try_costs_nothing_when_it_fails),
        cmocka_unit_test(debt_grows_and_is_paid),
        cmocka_unit_test(zero_is_unlimited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
