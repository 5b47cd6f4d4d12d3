/* Traits: the words of a session between c2s and sm. */
#include "unit.h"

#include "link/traits.h"

static void says(unsigned traits, const char *words)
{
    char out[TRAITS_TEXT];
    assert_true(str_is(traits_write(traits, out), words));
}

static void writes_what_there_is(void **state)
{
    (void)state;
    says(0, "");
    says(TRAIT_CARBONS, "carbons");
    says(TRAIT_INACTIVE, "inactive");
    says(TRAIT_CARBONS | TRAIT_INACTIVE, "carbons inactive");
}

static void takes_what_stands_in_front(void **state)
{
    struct str rest = STR("carbons inactive 600 id 1 2");
    (void)state;
    assert_int_equal(traits_take(&rest), TRAIT_CARBONS | TRAIT_INACTIVE);
    assert_true(str_is(rest, "600 id 1 2"));
    assert_int_equal(traits_take(&rest), 0);
    assert_true(str_is(rest, "600 id 1 2"));
}

static void leaves_nothing_of_words_alone(void **state)
{
    struct str rest = STR("inactive"), none = STR_NULL, other = STR("carbonsx 1");
    (void)state;
    assert_int_equal(traits_take(&rest), TRAIT_INACTIVE);
    assert_null(rest.data);
    assert_int_equal(traits_take(&none), 0);
    assert_null(none.data);
    assert_int_equal(traits_take(&other), 0);
    assert_true(str_is(other, "carbonsx 1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_what_there_is),
        cmocka_unit_test(takes_what_stands_in_front),
        cmocka_unit_test(leaves_nothing_of_words_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
