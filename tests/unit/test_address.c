/* The book of addresses: prefixes, and what a prefix has done lately. */
#include "unit.h"

#include <string.h>

#include "base/mem.h"
#include "c2s/address.h"

static const uint64_t seed[2] = {1, 2};

struct fixture {
    struct loop *loop;
    struct addresses *book;
};

static int set_up(void **state)
{
    struct fixture *f = mem_alloc(sizeof(*f));

    f->loop = loop_create_sim(0);
    f->book = addresses_create(f->loop, seed, NULL);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    addresses_destroy(f->book);
    loop_destroy(f->loop);
    free(f);
    return 0;
}

static void prefix_is(const char *ip, const char *expected, bool loopback)
{
    char out[46];
    bool is_loopback = !loopback;
    size_t len = address_prefix(ip, out, &is_loopback);

    assert_int_equal(len, strlen(expected));
    assert_memory_equal(out, expected, len);
    assert_int_equal(is_loopback, loopback);
}

static void test_prefix(void **state)
{
    (void)state;
    prefix_is("192.0.2.7", "192.0.2.7", false);
    prefix_is("127.8.9.10", "127.8.9.10", true);
    /* one IPv4 address is one, however it is written */
    prefix_is("::ffff:192.0.2.7", "192.0.2.7", false);
    prefix_is("::ffff:127.0.0.1", "127.0.0.1", true);
    /* whoever has one address of a /64 has them all */
    prefix_is("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", false);
    prefix_is("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64", false);
    prefix_is("2001:db8:1:3::1", "2001:db8:1:3::/64", false);
    prefix_is("::1", "::1", true);
    prefix_is("unix:/run/x.sock", "unix", true);
}

static void test_one_entry_per_prefix(void **state)
{
    struct fixture *f = *state;
    struct address *a = address_get(f->book, "2001:db8::1"),
                   *b = address_get(f->book, "2001:db8::2"),
                   *c = address_get(f->book, "2001:db8:0:1::1");

    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, c);
    address_unref(f->book, a);
    address_unref(f->book, b);
    address_unref(f->book, c);
}

static void test_failures_make_answers_wait(void **state)
{
    struct fixture *f = *state;
    struct address *a = address_get(f->book, "192.0.2.1"), *b = address_get(f->book, "192.0.2.2");
    uint32_t first = address_login_failed(f->book, a), second = address_login_failed(f->book, a);

    assert_true(first > 0 && second > first);
    /* nobody else waits */
    assert_int_equal(address_login_failed(f->book, b), first);
    for (int i = 0; i < 1000; i++)
        second = address_login_failed(f->book, a);
    assert_int_equal(second, 10000);
    assert_int_equal(address_login_wait(f->book, a), 5000);
    assert_int_equal(address_login_wait(f->book, b), 0);
    address_unref(f->book, a);
    address_unref(f->book, b);
}

static void test_failures_are_forgiven(void **state)
{
    struct fixture *f = *state;
    struct address *a = address_get(f->book, "192.0.2.1");
    uint32_t first = address_login_failed(f->book, a);

    for (int i = 0; i < 9; i++)
        address_login_failed(f->book, a);
    loop_sim_advance(f->loop, 9 * 30000);
    assert_int_equal(address_login_failed(f->book, a), 2 * first);
    loop_sim_advance(f->loop, 3600000);
    assert_int_equal(address_login_failed(f->book, a), first);
    address_unref(f->book, a);
}

static void test_failures_outlive_the_connection(void **state)
{
    struct fixture *f = *state;
    struct address *a = address_get(f->book, "192.0.2.1");
    uint32_t first = address_login_failed(f->book, a);

    address_unref(f->book, a);
    a = address_get(f->book, "192.0.2.1");
    assert_true(address_login_failed(f->book, a) > first);
    address_unref(f->book, a);
}

static void test_the_book_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct address *a = address_get(f->book, "10.0.0.1");
    uint32_t first = address_login_failed(f->book, a);
    char ip[32];

    address_unref(f->book, a);
    for (unsigned i = 0; i < 20001; i++) {
        (void)snprintf(ip, sizeof(ip), "10.1.%u.%u", i >> 8, i & 255);
        a = address_get(f->book, ip);
        address_login_failed(f->book, a);
        address_unref(f->book, a);
    }
    /* the oldest has been forgotten, the newest has not */
    a = address_get(f->book, ip);
    assert_int_equal(address_login_failed(f->book, a), 2 * first);
    address_unref(f->book, a);
    a = address_get(f->book, "10.0.0.1");
    assert_int_equal(address_login_failed(f->book, a), first);
    address_unref(f->book, a);
}

static void test_registrations_of_an_hour(void **state)
{
    struct fixture *f = *state;
    struct address *a = address_get(f->book, "192.0.2.1");

    assert_true(address_may_register(f->book, a, 2));
    assert_true(address_may_register(f->book, a, 2));
    assert_false(address_may_register(f->book, a, 2));
    assert_true(address_may_register(f->book, a, 0));
    /* one that failed does not count */
    address_register_failed(f->book, a);
    address_register_failed(f->book, a);
    assert_true(address_may_register(f->book, a, 2));
    assert_false(address_may_register(f->book, a, 2));
    loop_sim_advance(f->loop, 3600000);
    assert_true(address_may_register(f->book, a, 2));
    address_unref(f->book, a);
}

/* Two handles, as two c2s of one process have them. */
static void test_one_book_for_all(void **state)
{
    struct fixture *f = *state;
    struct shared *shared = shared_create();
    struct addresses *one = addresses_create(f->loop, seed, shared),
                     *two = addresses_create(f->loop, seed, shared);
    struct address *a = address_get(one, "192.0.2.1"), *b = address_get(two, "192.0.2.1"),
                   *alone = address_get(f->book, "192.0.2.1");

    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, alone);
    assert_true(address_connect(one, a, 2));
    assert_true(address_connect(two, b, 2));
    assert_false(address_connect(one, a, 2));
    assert_true(address_connect(f->book, alone, 2));
    assert_int_equal(addresses_connections(one), 2);
    assert_int_equal(addresses_connections(f->book), 1);
    address_disconnect(two, b);
    assert_true(address_connect(one, a, 2));
    assert_true(address_connect(one, a, 0));
    assert_int_equal(addresses_connections(two), 3);
    address_unref(one, a);
    address_unref(two, b);
    address_unref(f->book, alone);
    addresses_destroy(one);
    addresses_destroy(two);
    shared_destroy(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefix),
        cmocka_unit_test_setup_teardown(test_one_entry_per_prefix, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failures_make_answers_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failures_are_forgiven, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failures_outlive_the_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_book_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_book_for_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_registrations_of_an_hour, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
