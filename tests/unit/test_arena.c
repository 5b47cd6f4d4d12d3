/* base/arena: alignment, zeroing, its maximum, reuse. */
#include "unit.h"

#include <stdalign.h>

#include "base/arena.h"

static void memory_is_aligned_and_zeroed(void **state)
{
    struct arena *a = arena_create(1 << 20);
    for (int round = 0; round < 3; round++) {
        for (size_t size = 0; size < 3000; size += 37) {
            unsigned char *p = arena_alloc(a, size);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
            for (size_t i = 0; i < size; i++)
                assert_int_equal(p[i], 0);
            memset(p, 0xff, size);
        }
        arena_reset(a);
        assert_int_equal(arena_used(a), 0);
    }
    arena_destroy(a);
    arena_destroy(NULL);
}

static void the_maximum_holds(void **state)
{
    struct arena *a = arena_create(1000);
    assert_null(arena_alloc(a, 1001));
    assert_null(arena_alloc(a, SIZE_MAX));
    assert_non_null(arena_alloc(a, 900));
    assert_null(arena_alloc(a, 200));
    assert_null(arena_strndup(a, (struct str){"x", 500}));
    assert_true(arena_used(a) <= 1000);
    arena_reset(a);
    assert_non_null(arena_alloc(a, 900));
    arena_destroy(a);
}

static void copies_live_on(void **state)
{
    struct arena *a = arena_create(1 << 20);
    char *first = arena_strndup(a, (struct str){"first!", 5});
    char *empty = arena_strndup(a, STR_NULL);
    assert_non_null(arena_alloc(a, 200000)); /* a block of its own */
    for (int i = 0; i < 1000; i++)
        arena_alloc(a, 100);
    assert_string_equal(first, "first");
    assert_string_equal(empty, "");
    arena_reset(a);
    assert_non_null(arena_alloc(a, 10));
    arena_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_aligned_and_zeroed),
        cmocka_unit_test(the_maximum_holds),
        cmocka_unit_test(copies_live_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
