/* What privacy lists say (XEP-0016 sections 2.1 and 2.2), without sessions or a store. */
#include "unit.h"

#include "sm/privacy.h"

struct world {
    struct roster roster;
    struct privacy_items items;
};

static void contact(struct world *w, const char *jid, enum subscription_state state,
                    const char *group)
{
    struct jid *parsed = jid_parse(str_of(jid));
    struct roster_item *item = roster_put(&w->roster, parsed);
    struct str groups[] = {STR("Everybody"), str_of(group)};
    item->state = (uint8_t)state;
    roster_set_hidden(&w->roster, item, false);
    roster_item_set_groups(item, groups, group ? 2 : 1);
    jid_unref(parsed);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    contact(w, "both@a.example", SUB_BOTH, "Enemies");
    contact(w, "to@a.example", SUB_TO, NULL);
    contact(w, "from@a.example", SUB_FROM, "Friends");
    contact(w, "none@a.example", SUB_NONE, NULL);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    roster_finish(&w->roster);
    privacy_items_finish(&w->items);
    free(w);
    return 0;
}

static void rule(struct world *w, uint32_t order, bool deny, const char *type, const char *value,
                 unsigned block)
{
    struct privacy_item *item = privacy_items_add(&w->items);
    item->order = order;
    item->deny = deny;
    item->block = (uint8_t)block;
    assert_int_equal(privacy_item_set(item, str_of(type), str_of(value)), STANZA_ERR_NONE);
}

/* The order of the item that decides; 0: none does. */
static uint32_t decides(struct world *w, const char *who, unsigned kind)
{
    struct jid *jid = jid_parse(str_of(who));
    const struct privacy_item *item = privacy_match(&w->items, &w->roster, jid, kind);
    jid_unref(jid);
    return item ? item->order : 0;
}

static void test_jids(void **state)
{
    struct world *w = *state;
    rule(w, 1, true, "jid", "u@d.example/r", 0);
    rule(w, 2, true, "jid", "U@D.example", 0);
    rule(w, 3, true, "jid", "d.example/r", 0);
    rule(w, 4, true, "jid", "d.example", 0);
    assert_int_equal(decides(w, "u@d.example/r", PRIVACY_MESSAGE), 1);
    assert_int_equal(decides(w, "u@d.example/R", PRIVACY_MESSAGE), 2);
    assert_int_equal(decides(w, "u@d.example", PRIVACY_MESSAGE), 2);
    assert_int_equal(decides(w, "d.example/r", PRIVACY_MESSAGE), 3);
    assert_int_equal(decides(w, "d.example", PRIVACY_MESSAGE), 4);
    assert_int_equal(decides(w, "x@d.example/r", PRIVACY_MESSAGE), 4);
    assert_int_equal(decides(w, "u@sub.d.example", PRIVACY_MESSAGE), 0);
    assert_int_equal(decides(w, "ud.example", PRIVACY_MESSAGE), 0);
}

static void test_subscriptions(void **state) /* exact, unknown JIDs are "none" */
{
    struct world *w = *state;
    rule(w, 1, true, "subscription", "both", 0);
    rule(w, 2, true, "subscription", "to", 0);
    rule(w, 3, true, "subscription", "from", 0);
    rule(w, 4, true, "subscription", "none", 0);
    assert_int_equal(decides(w, "both@a.example/r", PRIVACY_IQ), 1);
    assert_int_equal(decides(w, "to@a.example", PRIVACY_IQ), 2);
    assert_int_equal(decides(w, "from@a.example", PRIVACY_IQ), 3);
    assert_int_equal(decides(w, "none@a.example", PRIVACY_IQ), 4);
    assert_int_equal(decides(w, "unknown@a.example", PRIVACY_IQ), 4);
    roster_find(&w->roster, STR("to@a.example"))->state = SUB_BOTH;
    assert_int_equal(decides(w, "to@a.example", PRIVACY_IQ), 1);
}

static void test_groups(void **state)
{
    struct world *w = *state;
    rule(w, 1, true, "group", "Enemies", 0);
    rule(w, 2, true, "group", "Everybody", 0);
    assert_int_equal(decides(w, "both@a.example/r", PRIVACY_MESSAGE), 1);
    assert_int_equal(decides(w, "none@a.example", PRIVACY_MESSAGE), 2);
    assert_int_equal(decides(w, "unknown@a.example", PRIVACY_MESSAGE), 0);
}

static void test_kinds(void **state)
{
    struct world *w = *state;
    rule(w, 1, true, "jid", "a@b.example", PRIVACY_MESSAGE | PRIVACY_IQ);
    rule(w, 2, false, "jid", "a@b.example", PRIVACY_PRESENCE_IN);
    rule(w, 3, true, NULL, NULL, 0);
    assert_int_equal(decides(w, "a@b.example", PRIVACY_MESSAGE), 1);
    assert_int_equal(decides(w, "a@b.example", PRIVACY_IQ), 1);
    assert_int_equal(decides(w, "a@b.example", PRIVACY_PRESENCE_IN), 2);
    assert_int_equal(decides(w, "a@b.example", PRIVACY_PRESENCE_OUT), 3);
    assert_int_equal(decides(w, "a@b.example", PRIVACY_ONLY_ALL), 3); /* subscriptions */
    assert_int_equal(decides(w, "x@y.example", PRIVACY_MESSAGE), 3);
}

static void test_order(void **state)
{
    struct world *w = *state;
    rule(w, 30, true, NULL, NULL, 0);
    rule(w, 10, false, "jid", "a@b.example", 0);
    rule(w, 20, true, "jid", "b.example", 0);
    assert_true(privacy_items_sort(&w->items));
    assert_int_equal(decides(w, "a@b.example", PRIVACY_MESSAGE), 10);
    assert_int_equal(decides(w, "c@b.example", PRIVACY_MESSAGE), 20);
    assert_int_equal(decides(w, "c@d.example", PRIVACY_MESSAGE), 30);
    rule(w, 20, true, NULL, NULL, 0);
    assert_false(privacy_items_sort(&w->items));
}

static void test_bad_values(void **state)
{
    static const struct {
        const char *type, *value;
        enum stanza_condition condition;
    } bad[] = {
        {"jid", NULL, STANZA_ERR_JID_MALFORMED},
        {"jid", "", STANZA_ERR_JID_MALFORMED},
        {"jid", "a@@b", STANZA_ERR_JID_MALFORMED},
        {"group", NULL, STANZA_ERR_BAD_REQUEST},
        {"group", "", STANZA_ERR_BAD_REQUEST},
        {"subscription", NULL, STANZA_ERR_BAD_REQUEST},
        {"subscription", "x", STANZA_ERR_BAD_REQUEST},
        {"other", "x", STANZA_ERR_BAD_REQUEST},
        {"", "x", STANZA_ERR_BAD_REQUEST},
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(privacy_item_set(privacy_items_add(&w->items), str_of(bad[i].type),
                                          str_of(bad[i].value)),
                         bad[i].condition);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_jids),   TEST(test_subscriptions),
                                       TEST(test_groups), TEST(test_kinds),
                                       TEST(test_order),  TEST(test_bad_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
