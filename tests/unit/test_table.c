/* The router's table: names, aliases, and how a name is spread over those who bound it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "link/spread.h"
#include "router/table.h"

static const uint64_t seed[2] = {1, 2};

static struct port *port(size_t n)
{
    return (struct port *)(uintptr_t)n; /* the table never looks inside */
}

static void names_and_aliases(void **state)
{
    struct name *n = NULL, *m = NULL;
    struct table t;

    table_init(&t, seed);
    assert_int_equal(table_alias(&t, STR("old.test"), STR("x.test")), ERR_OK);
    assert_int_equal(table_alias(&t, STR("old.test"), STR("y.test")), ERR_EXISTS);
    assert_int_equal(table_alias(&t, STR("older.test"), STR("old.test")),
                     ERR_INVALID); /* no chains */
    assert_int_equal(table_alias(&t, STR("z.test"), STR("z.test")), ERR_INVALID);
    assert_null(table_find(&t, STR("old.test")));
    assert_int_equal(table_bind(&t, STR("old.test"), NAME_SINGLE, port(1), 1, false, &n),
                     ERR_EXISTS);
    assert_int_equal(table_bind(&t, STR("x.test"), NAME_SINGLE, port(1), 1, false, &n), ERR_OK);
    assert_ptr_equal(table_find(&t, STR("old.test")), n);
    assert_true(name_has_port(n, port(1)));
    assert_false(name_has_port(n, port(2)));
    assert_int_equal(table_bind(&t, STR("x.test"), NAME_SINGLE, port(2), 2, false, &m), ERR_EXISTS);
    assert_int_equal(table_alias(&t, STR("x.test"), STR("y.test")), ERR_EXISTS); /* bound */
    assert_true(table_set_default(&t, n));
    assert_true(table_set_default(&t, n)); /* no news */
    assert_ptr_equal(table_pick_default(&t, STR("far.test")), n);
    assert_true(table_unbind(&t, n, port(1)));
    table_drop_if_unused(&t, n); /* stays: an alias points at it */
    assert_null(table_pick_default(&t, STR("far.test")));
    assert_null(table_find(&t, STR("x.test")));
    assert_int_equal(table_bind(&t, STR("x.test"), NAME_MULTI_TO, port(2), 2, true, &n), ERR_OK);
    assert_int_equal(t.log_sinks, 1);
    assert_int_equal(table_bind(&t, STR("x.test"), NAME_MULTI_TO, port(2), 2, false, &m),
                     ERR_EXISTS);
    assert_int_equal(table_bind(&t, STR("x.test"), NAME_MULTI_FROM, port(3), 3, false, &m),
                     ERR_EXISTS);
    table_unalias(&t, table_entry(&t, STR("old.test")));
    assert_null(table_entry(&t, STR("old.test")));
    assert_ptr_equal(table_find(&t, STR("x.test")), n);
    assert_true(table_unbind(&t, n, port(2)));
    assert_int_equal(t.log_sinks, 0);
    table_drop_if_unused(&t, n);
    assert_null(table_entry(&t, STR("x.test")));
    table_finish(&t);
}

static void a_name_has_a_maximum_of_ports(void **state)
{
    struct name *n = NULL;
    struct table t;

    table_init(&t, seed);
    for (size_t i = 1; i <= NAME_MAX_PORTS; i++)
        assert_int_equal(table_bind(&t, STR("x"), NAME_MULTI_TO, port(i), i, false, &n), ERR_OK);
    assert_int_equal(table_bind(&t, STR("x"), NAME_MULTI_TO, port(9999), 9999, false, &n),
                     ERR_FULL);
    table_finish(&t);
}

/* Only what the newcomer takes moves, and only what the lost one had. */
static void spreading_is_stable(void **state)
{
    struct name *n = NULL;
    struct table t;
    char key[32];
    uint64_t before[3000];
    size_t moved = 0, lost = 0;

    table_init(&t, seed);
    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(key, sizeof(key), "sm-%zu", i);
        assert_int_equal(table_bind(&t, STR("x.test"), NAME_MULTI_TO, port(i + 1),
                                    spread_node(str_of(key)), false, &n),
                         ERR_OK);
    }
    for (size_t i = 0; i < 3000; i++) {
        (void)snprintf(key, sizeof(key), "user%zu@x.test", i);
        before[i] = name_pick(n, str_of(key))->id;
    }
    assert_int_equal(
        table_bind(&t, STR("x.test"), NAME_MULTI_TO, port(5), spread_node(STR("sm-4")), false, &n),
        ERR_OK);
    for (size_t i = 0; i < 3000; i++) {
        (void)snprintf(key, sizeof(key), "user%zu@x.test", i);
        uint64_t now = name_pick(n, str_of(key))->id;
        if (now != before[i]) {
            assert_int_equal(now, spread_node(STR("sm-4")));
            moved++;
        }
    }
    assert_in_range(moved, 450, 750); /* a fifth of 3000 */
    assert_false(table_unbind(&t, n, port(5)));
    assert_false(table_unbind(&t, n, port(1)));
    for (size_t i = 0; i < 3000; i++) {
        (void)snprintf(key, sizeof(key), "user%zu@x.test", i);
        uint64_t now = name_pick(n, str_of(key))->id;
        assert_true(now == before[i] || before[i] == spread_node(STR("sm-0")));
        lost += now != before[i];
    }
    assert_in_range(lost, 600, 900); /* a quarter */
    table_finish(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_aliases),
        cmocka_unit_test(a_name_has_a_maximum_of_ports),
        cmocka_unit_test(spreading_is_stable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
