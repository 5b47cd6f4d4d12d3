/* Users' data: active and logout, the roster with its versions, and the queue with its quota. */
#include "store_fixture.h"

#define ROMEO  STR("romeo@montague.example")
#define JULIET STR("juliet@capulet.example")

static void test_active_and_logout(void **state)
{
    struct fixture *f = *state;
    READ(f, users_get(f->store, ROMEO, DONE(f)));
    assert_int_equal(f->rows, 0);
    COMMIT(f, users_activate(store_begin(f->store), ROMEO, 100));
    COMMIT(f, users_activate(store_begin(f->store), ROMEO, 200)); /* keeps the first time */
    READ(f, users_get(f->store, ROMEO, DONE(f)));
    assert_int_equal(f->rows, 1);
    assert_string_equal(f->cells[0][0], "100");
    assert_string_equal(f->cells[0][1], "0");
    COMMIT(f, users_set_logout(store_begin(f->store), ROMEO, 300, STR("gone fishing")));
    COMMIT(f, users_set_logout(store_begin(f->store), ROMEO, 400, STR_NULL));
    READ(f, users_get(f->store, ROMEO, DONE(f)));
    assert_string_equal(f->cells[0][1], "400");
    assert_string_equal(f->cells[0][2], "0");
}

static void test_list(void **state)
{
    struct fixture *f = *state;
    COMMIT(f, users_activate(store_begin(f->store), ROMEO, 1));
    COMMIT(f, users_activate(store_begin(f->store), JULIET, 2));
    COMMIT(f, users_activate(store_begin(f->store), STR("x@not-capulet.example"), 3));
    COMMIT(f, users_activate(store_begin(f->store), STR("x@sub.capulet.example"), 3));
    READ(f, users_list(f->store, STR_NULL, DONE(f)));
    assert_int_equal(f->rows, 4);
    READ(f, users_list(f->store, STR("capulet.example"), DONE(f)));
    assert_int_equal(f->rows, 1);
    assert_string_equal(f->cells[0][0], "juliet@capulet.example");
    READ(f, users_list(f->store, STR("%"), DONE(f)));
    assert_int_equal(f->rows, 0);
}

static struct store_txn *set_item(struct fixture *f, struct str owner, const char *jid,
                                  uint64_t version)
{
    struct roster_row row = {.jid = str_of(jid), .version = version};
    return roster_set(store_begin(f->store), owner, &row, NULL, 0);
}

static void test_roster_items(void **state)
{
    struct fixture *f = *state;
    struct roster_row row = {.jid = JULIET,
                             .name = STR("Juliet"),
                             .to = true,
                             .ask = 1,
                             .approved = true,
                             .version = 7,
                             .pending_xml = STR("<presence/>")};
    struct str groups[] = {STR("Friends"), STR("Capulets"), STR("Friends"), STR("A")};
    COMMIT(f, roster_set(store_begin(f->store), ROMEO, &row, groups, 4));
    COMMIT(f, set_item(f, ROMEO, "benvolio@montague.example", 8));
    COMMIT(f, set_item(f, JULIET, "nurse@capulet.example", 1));
    READ(f, roster_load(f->store, ROMEO, DONE(f)));
    assert_int_equal(f->rows, 2);
    static const char *const expected[] = {
        "juliet@capulet.example", "Juliet", "1", "0", "1", "0", "1", "0", "7", "<presence/>"};
    for (int i = 0; i < 10; i++)
        assert_string_equal(f->cells[1][i], expected[i]);
    READ(f, roster_load_groups(f->store, ROMEO, DONE(f)));
    assert_int_equal(f->rows, 3);
    assert_string_equal(f->cells[0][1], "Friends"); /* in the user's order, doubled ones once */
    assert_string_equal(f->cells[1][1], "Capulets");
    assert_string_equal(f->cells[2][1], "A");
    /* Replaced as a whole. */
    row = (struct roster_row){
        .jid = JULIET, .from = true, .hidden = true, .pending_in = true, .version = 9};
    COMMIT(f, roster_set(store_begin(f->store), ROMEO, &row, groups + 1, 1));
    READ(f, roster_load(f->store, ROMEO, DONE(f)));
    assert_int_equal(f->rows, 2);
    static const char *const replaced[] = {
        "juliet@capulet.example", "0", "0", "1", "0", "1", "0", "1", "9", "0"};
    for (int i = 0; i < 10; i++)
        assert_string_equal(f->cells[1][i], replaced[i]);
    READ(f, roster_load_groups(f->store, ROMEO, DONE(f)));
    assert_int_equal(f->rows, 1);
    READ(f, roster_load_version(f->store, ROMEO, DONE(f)));
    assert_string_equal(f->cells[0][0], "9");
    assert_string_equal(f->cells[0][1], "0");
}

static void test_roster_removal(void **state)
{
    struct fixture *f = *state;
    struct str group = STR("G");
    struct roster_row row = {.jid = JULIET, .version = 1};
    READ(f, roster_load_version(f->store, ROMEO, DONE(f)));
    assert_int_equal(f->rows, 0);
    COMMIT(f, roster_set(store_begin(f->store), ROMEO, &row, &group, 1));
    COMMIT(f, roster_remove(store_begin(f->store), ROMEO, JULIET, 2));
    READ(f, roster_load(f->store, ROMEO, DONE(f)));
    assert_int_equal(f->rows, 0);
    READ(f, roster_load_groups(f->store, ROMEO, DONE(f)));
    assert_int_equal(f->rows, 0);
    READ(f, roster_load_removed(f->store, ROMEO, DONE(f)));
    assert_int_equal(f->rows, 1);
    assert_string_equal(f->cells[0][0], "juliet@capulet.example");
    assert_string_equal(f->cells[0][1], "2");
    READ(f, roster_load_version(f->store, ROMEO, DONE(f)));
    assert_string_equal(f->cells[0][0], "2");
    /* Back again: the tombstone goes. */
    row.version = 3;
    COMMIT(f, roster_set(store_begin(f->store), ROMEO, &row, NULL, 0));
    READ(f, roster_load_removed(f->store, ROMEO, DONE(f)));
    assert_int_equal(f->rows, 0);
}

static void test_tombstones_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct store_txn *t = store_begin(f->store);
    for (int i = 1; i <= ROSTER_TOMBSTONES_MAX + 44; i++) {
        char jid[32];
        int len = snprintf(jid, sizeof jid, "c%d@x", i);
        t = roster_remove(t, ROMEO, (struct str){jid, (size_t)len}, (uint64_t)i);
    }
    COMMIT(f, t);
    READ(f, roster_load_removed(f->store, ROMEO, DONE(f)));
    assert_int_equal(f->rows, ROSTER_TOMBSTONES_MAX);
    READ(f, roster_load_version(f->store, ROMEO, DONE(f)));
    assert_int_equal(atoi(f->cells[0][0]), ROSTER_TOMBSTONES_MAX + 44);
    assert_int_equal(atoi(f->cells[0][1]),
                     44); /* what changed since 44 is all known, since 43 not */
}

static struct store_txn *push(struct fixture *f, struct str owner, uint64_t id, uint32_t quota)
{
    char xml[32];
    int len = snprintf(xml, sizeof xml, "<m%d/>", (int)id);
    return queue_push(store_begin(f->store), owner, id, (struct str){xml, (size_t)len}, quota);
}

static void test_queue(void **state)
{
    struct fixture *f = *state;
    for (uint64_t i = 1; i <= 10; i++) {
        COMMIT(f, push(f, ROMEO, i * 10, 10));
        COMMIT(f, push(f, JULIET, i, 1000));
    }
    assert_int_equal(fixture_commit(f, push(f, ROMEO, 999, 10)), ERR_FULL);
    assert_int_equal(fixture_commit(f, push(f, STR("new@x"), 1, 0)), ERR_FULL);
    READ(f, queue_load(f->store, ROMEO, 30, 4, DONE(f)));
    assert_int_equal(f->rows, 4);
    assert_string_equal(f->cells[0][0], "40");
    assert_string_equal(f->cells[0][1], "<m40/>");
    assert_string_equal(f->cells[3][0], "70");
    COMMIT(f, queue_replace(store_begin(f->store), ROMEO, 80, STR("<other/>")));
    COMMIT(f, queue_replace(store_begin(f->store), ROMEO, 81, STR("<nobody/>")));
    COMMIT(f, queue_delete_range(store_begin(f->store), ROMEO, 0, 75));
    READ(f, queue_count(f->store, ROMEO, DONE(f)));
    assert_string_equal(f->cells[0][0], "3");
    READ(f, queue_load(f->store, ROMEO, 0, 100, DONE(f)));
    assert_int_equal(f->rows, 3);
    assert_string_equal(f->cells[0][0], "80");
    assert_string_equal(f->cells[0][1], "<other/>");
    /* What was deleted makes room. */
    for (uint64_t i = 0; i < 7; i++)
        COMMIT(f, push(f, ROMEO, 200 + i, 10));
    assert_int_equal(fixture_commit(f, push(f, ROMEO, 300, 10)), ERR_FULL);
    COMMIT(f, queue_delete_range(store_begin(f->store), ROMEO, 0, UINT32_MAX));
    READ(f, queue_count(f->store, ROMEO, DONE(f)));
    assert_string_equal(f->cells[0][0], "0");
    READ(f, queue_count(f->store, JULIET, DONE(f)));
    assert_string_equal(f->cells[0][0], "10");
}

static void test_pushes(void **state)
{
    struct fixture *f = *state;
    struct push_row row = {STR("push.example"), STR("n1"), STR("phone"), STR("<x/>")};
    COMMIT(f, push_set(store_begin(f->store), ROMEO, &row));
    row.node = STR("");
    row.options = STR_NULL;
    COMMIT(f, push_set(store_begin(f->store), ROMEO, &row));
    row.node = STR("n1"); /* once more: the last word counts, and it is the last now */
    row.resource = STR("tablet");
    COMMIT(f, push_set(store_begin(f->store), ROMEO, &row));
    COMMIT(f, push_set(store_begin(f->store), JULIET, &row));
    COMMIT(f, push(f, ROMEO, 5, 10));
    READ(f, push_load(f->store, ROMEO, DONE(f)));
    assert_int_equal(f->rows, 2);
    assert_string_equal(f->cells[0][1], "");
    assert_string_equal(f->cells[1][1], "n1");
    assert_string_equal(f->cells[1][2], "tablet");
    assert_string_equal(f->cells[1][4], "1");
    COMMIT(f, push_delete(store_begin(f->store), ROMEO, row.jid, row.node));
    READ(f, push_load(f->store, ROMEO, DONE(f)));
    assert_int_equal(f->rows, 1);
    COMMIT(f, users_delete(store_begin(f->store), ROMEO));
    READ(f, push_load(f->store, ROMEO, DONE(f)));
    assert_int_equal(f->rows, 0);
    READ(f, push_load(f->store, JULIET, DONE(f)));
    assert_int_equal(f->rows, 1);
}

static void test_delete_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct str group = STR("G"), owners[] = {ROMEO, JULIET};
    for (int i = 0; i < 2; i++) {
        struct roster_row row = {.jid = STR("c@x"), .version = 1};
        COMMIT(f, users_activate(store_begin(f->store), owners[i], 1));
        COMMIT(f, users_set_logout(store_begin(f->store), owners[i], 1, STR_NULL));
        COMMIT(f, roster_set(store_begin(f->store), owners[i], &row, &group, 1));
        COMMIT(f, roster_remove(store_begin(f->store), owners[i], STR("d@x"), 2));
        COMMIT(f, push(f, owners[i], 5, 10));
    }
    COMMIT(f, users_delete(store_begin(f->store), ROMEO));
    for (int i = 0; i < 2; i++) {
        size_t expected = (size_t)i;
        READ(f, users_get(f->store, owners[i], DONE(f)));
        assert_int_equal(f->rows, expected);
        READ(f, roster_load(f->store, owners[i], DONE(f)));
        assert_int_equal(f->rows, expected);
        READ(f, roster_load_groups(f->store, owners[i], DONE(f)));
        assert_int_equal(f->rows, expected);
        READ(f, roster_load_version(f->store, owners[i], DONE(f)));
        assert_int_equal(f->rows, expected);
        READ(f, roster_load_removed(f->store, owners[i], DONE(f)));
        assert_int_equal(f->rows, expected);
        READ(f, queue_load(f->store, owners[i], 0, 10, DONE(f)));
        assert_int_equal(f->rows, expected);
        READ(f, queue_count(f->store, owners[i], DONE(f)));
        assert_int_equal(atoi(f->cells[0][0]), expected);
    }
    /* And no logout time for somebody who comes back. */
    COMMIT(f, users_activate(store_begin(f->store), ROMEO, 9));
    READ(f, users_get(f->store, ROMEO, DONE(f)));
    assert_string_equal(f->cells[0][1], "0");
}

static void set_session(struct fixture *f, struct str owner, const char *id, int64_t until)
{
    struct session_row row = {
        .resource = str_of(id), .id = str_of(id), .max = 600, .in = 7, .until = until};
    COMMIT(f, sessions_set(store_begin(f->store), owner, &row));
}

static void expect_session(struct fixture *f, struct str owner, const char *id, bool there)
{
    READ(f, sessions_get(f->store, owner, str_of(id), DONE(f)));
    assert_int_equal(f->rows, there);
}

/* Of those whose time is over the last ones stay; a client's are told by how their ids begin. */
static void test_sessions(void **state)
{
    struct fixture *f = *state;
    set_session(f, ROMEO, "d1-old", 10);
    set_session(f, ROMEO, "d1-older", 9);
    set_session(f, ROMEO, "d2-newer", 11);
    set_session(f, ROMEO, "n-asleep", 1000);
    set_session(f, JULIET, "d1-hers", 8);
    COMMIT(f, sessions_keep(store_begin(f->store), ROMEO, 100, 3));
    expect_session(f, ROMEO, "d1-older", true);
    COMMIT(f, sessions_keep(store_begin(f->store), ROMEO, 100, 2));
    expect_session(f, ROMEO, "d1-older", false);
    expect_session(f, ROMEO, "d1-old", true);
    expect_session(f, ROMEO, "d2-newer", true);
    expect_session(f, ROMEO, "n-asleep", true);
    expect_session(f, JULIET, "d1-hers", true);
    COMMIT(f, sessions_revoke(store_begin(f->store), ROMEO, STR("d1")));
    expect_session(f, ROMEO, "d1-old", false);
    expect_session(f, ROMEO, "d2-newer", true);
    expect_session(f, JULIET, "d1-hers", true);
    COMMIT(f, sessions_revoke(store_begin(f->store), ROMEO, STR("")));
    expect_session(f, ROMEO, "d2-newer", false);
    expect_session(f, ROMEO, "n-asleep", false);
    COMMIT(f, sessions_expire(store_begin(f->store), 8));
    expect_session(f, JULIET, "d1-hers", true);
    COMMIT(f, sessions_expire(store_begin(f->store), 9));
    expect_session(f, JULIET, "d1-hers", false);
}

#define BOTH(test)                                                                                 \
    cmocka_unit_test_setup_teardown(test, fixture_durable_users, fixture_tear_down),               \
        cmocka_unit_test_setup_teardown(test, fixture_memory_users, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_active_and_logout),
        BOTH(test_list),
        BOTH(test_roster_items),
        BOTH(test_roster_removal),
        BOTH(test_tombstones_are_bounded),
        BOTH(test_queue),
        BOTH(test_pushes),
        BOTH(test_sessions),
        BOTH(test_delete_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
