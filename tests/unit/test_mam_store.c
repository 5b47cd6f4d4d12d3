/* The archive's rows: pages by key in both directions, by correspondent, retraction's look-up,
 * sizes, preferences, the key, and that an account's removal takes them all. */
#include <stdio.h>
#include "store_fixture.h"

#define ROMEO  STR("romeo@montague.example")
#define JULIET STR("juliet@capulet.example")
#define NURSE  STR("nurse@capulet.example")

/* A message of the owner's, kept in that archive alone. */
static struct mam_row row_of(struct str owner, uint64_t id, bool sent, struct str with,
                             struct str resource)
{
    struct mam_side side = {id, UINT64_MAX - id}, none = {0};
    return (struct mam_row){
        .from = sent ? owner : with,
        .from_resource = sent ? STR("") : resource,
        .to = sent ? with : owner,
        .to_resource = sent ? resource : STR(""),
        .stanza = STR(""),
        .sent = sent ? side : none,
        .received = sent ? none : side,
    };
}

/* Ten messages: odd ones from the nurse's kitchen, even ones to Juliet's balcony. */
static void fill(struct fixture *f, struct str owner)
{
    for (uint64_t i = 1; i <= 10; i++) {
        char xml[64], stanza[16];
        int len = snprintf(xml, sizeof xml, "<message>%d</message>", (int)i);
        int id_len = snprintf(stanza, sizeof stanza, "m%d", (int)i);
        struct mam_row row = row_of(owner, i * 10, i % 2 == 0, i % 2 ? NURSE : JULIET,
                                    i % 2 ? STR("kitchen") : STR("balcony"));
        row.stanza = (struct str){stanza, (size_t)id_len};
        row.xml = (struct str){xml, (size_t)len};
        COMMIT(f, mam_add(store_begin(f->store), &row));
    }
}

/* A step of MAM_INDEX_WITH. */
static void index_with(struct fixture *f, struct str owner, uint64_t from, uint64_t upto)
{
    struct store_txn *t =
        mam_index_advance(store_begin(f->store), MAM_INDEX_WITH, owner, from, upto);
    COMMIT(f, mam_index_add_with(t, owner, from, upto));
}

static void expect_ids(const struct fixture *f, const char *ids)
{
    char text[256] = "";
    for (size_t i = 0; i < f->rows; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "",
                 f->cells[i][0]);
    assert_string_equal(text, ids);
}

static void test_pages(void **state)
{
    struct fixture *f = *state;
    fill(f, ROMEO);
    fill(f, JULIET);
    struct mam_range range = {.before = INT64_MAX};
    READ(f, mam_page(f->store, ROMEO, &range, 3, DONE(f)));
    expect_ids(f, "10 20 30");
    assert_string_equal(f->cells[0][1], "-11"); /* the mark, as a signed number */
    assert_string_equal(f->cells[0][2], "<message>1</message>");
    range.after = 30;
    range.before = 60;
    READ(f, mam_page(f->store, ROMEO, &range, 9, DONE(f)));
    expect_ids(f, "40 50");
    range.back = true;
    READ(f, mam_page(f->store, ROMEO, &range, 1, DONE(f)));
    expect_ids(f, "50");
    index_with(f, ROMEO, 0, 100);
    range = (struct mam_range){.before = 90, .with = NURSE, .back = true};
    READ(f, mam_page(f->store, ROMEO, &range, 2, DONE(f)));
    expect_ids(f, "70 50");
    range.back = false;
    range.resource = STR("kitchen");
    READ(f, mam_page(f->store, ROMEO, &range, 2, DONE(f)));
    expect_ids(f, "10 30");
    range.resource = STR("garden");
    READ(f, mam_page(f->store, ROMEO, &range, 2, DONE(f)));
    expect_ids(f, "");
}

static void test_counts(void **state)
{
    struct fixture *f = *state;
    fill(f, ROMEO);
    struct mam_range range = {.after = 10, .before = INT64_MAX};
    READ(f, mam_count(f->store, ROMEO, &range, 100, DONE(f)));
    assert_string_equal(f->cells[0][0], "9");
    READ(f, mam_count(f->store, ROMEO, &range, 5, DONE(f)));
    assert_string_equal(f->cells[0][0], "5");
    index_with(f, ROMEO, 0, 100);
    range.with = JULIET;
    READ(f, mam_count(f->store, ROMEO, &range, 100, DONE(f)));
    assert_string_equal(f->cells[0][0], "5");
    READ(f, mam_count(f->store, NURSE, &range, 100, DONE(f)));
    assert_string_equal(f->cells[0][0], "0");
}

static void test_single_ones(void **state)
{
    struct fixture *f = *state;
    fill(f, ROMEO);
    READ(f, mam_get(f->store, ROMEO, 30, DONE(f)));
    assert_int_equal(f->rows, 1);
    assert_string_equal(f->cells[0][2], "<message>3</message>");
    assert_string_equal(f->cells[0][3], "nurse@capulet.example");
    assert_string_equal(f->cells[0][4], "kitchen");
    READ(f, mam_get(f->store, ROMEO, 31, DONE(f)));
    assert_int_equal(f->rows, 0);
    index_with(f, ROMEO, 0, 100);
    struct mam_sought what = {.with = NURSE, .stanza = STR("m3")};
    READ(f, mam_find(f->store, ROMEO, &what, DONE(f)));
    expect_ids(f, "30");
    what.sent = true; /* not Romeo's own */
    READ(f, mam_find(f->store, ROMEO, &what, DONE(f)));
    assert_int_equal(f->rows, 0);
    what = (struct mam_sought){.with = JULIET, .stanza = STR("m3")};
    READ(f, mam_find(f->store, ROMEO, &what, DONE(f)));
    assert_int_equal(f->rows, 0);
    COMMIT(f, mam_replace(store_begin(f->store), ROMEO, 30, STR("<x/>")));
    COMMIT(f, mam_delete(store_begin(f->store), ROMEO, 40));
    READ(f, mam_get(f->store, ROMEO, 30, DONE(f)));
    assert_string_equal(f->cells[0][2], "<x/>");
    READ(f, mam_get(f->store, ROMEO, 40, DONE(f)));
    assert_int_equal(f->rows, 0);
}

static void test_sizes(void **state)
{
    struct fixture *f = *state;
    fill(f, ROMEO);
    READ(f, mam_sizes(f->store, ROMEO, 70, 2, DONE(f)));
    expect_ids(f, "80 90");
    assert_string_equal(f->cells[0][1], "20");
    READ(f, mam_size_get(f->store, ROMEO, DONE(f)));
    assert_int_equal(f->rows, 0);
    COMMIT(f, mam_size_set(store_begin(f->store), ROMEO, 100, 20));
    COMMIT(f, mam_size_set(store_begin(f->store), ROMEO, 200, 30));
    READ(f, mam_size_get(f->store, ROMEO, DONE(f)));
    assert_string_equal(f->cells[0][0], "200");
    assert_string_equal(f->cells[0][1], "30");
    COMMIT(f, mam_delete_upto(store_begin(f->store), ROMEO, 90));
    READ(f, mam_sizes(f->store, ROMEO, 0, 100, DONE(f)));
    expect_ids(f, "100");
    COMMIT(f, users_activate(store_begin(f->store), ROMEO, 1));
    COMMIT(f, users_activate(store_begin(f->store), JULIET, 1));
    READ(f, mam_owners(f->store, STR(""), 1, DONE(f)));
    assert_string_equal(f->cells[0][0], "juliet@capulet.example");
    READ(f, mam_owners(f->store, JULIET, 10, DONE(f)));
    assert_int_equal(f->rows, 1);
    assert_string_equal(f->cells[0][0], "romeo@montague.example");
}

static void test_prefs_and_key(void **state)
{
    struct fixture *f = *state;
    const uint64_t one[2] = {1, UINT64_MAX}, two[2] = {3, 4};
    COMMIT(f, mam_make_key(store_begin(f->store), one));
    COMMIT(f, mam_make_key(store_begin(f->store), two)); /* keeps the first */
    READ(f, mam_get_key(f->store, DONE(f)));
    assert_string_equal(f->cells[0][0], "1");
    assert_string_equal(f->cells[0][1], "-1");
    COMMIT(f, users_activate(store_begin(f->store), ROMEO, 1));
    READ(f, users_get(f->store, ROMEO, DONE(f)));
    assert_string_equal(f->cells[0][8], "0"); /* NULL */
    COMMIT(f, mam_set_prefs(store_begin(f->store), ROMEO, STR("never"), STR("a@b"), STR("")));
    COMMIT(f, mam_set_prefs(store_begin(f->store), ROMEO, STR("roster"), STR("a@b\nc@d"), STR("")));
    READ(f, users_get(f->store, ROMEO, DONE(f)));
    assert_string_equal(f->cells[0][8], "roster");
    assert_string_equal(f->cells[0][9], "a@b\nc@d");
}

static void test_removal(void **state)
{
    struct fixture *f = *state;
    struct mam_range range = {.before = INT64_MAX};
    fill(f, ROMEO);
    fill(f, JULIET);
    COMMIT(f, users_activate(store_begin(f->store), ROMEO, 1));
    COMMIT(f, mam_set_prefs(store_begin(f->store), ROMEO, STR("never"), STR(""), STR("")));
    COMMIT(f, mam_size_set(store_begin(f->store), ROMEO, 1, 1));
    COMMIT(f, users_delete(store_begin(f->store), ROMEO));
    COMMIT(f, users_activate(store_begin(f->store), ROMEO, 1));
    READ(f, users_get(f->store, ROMEO, DONE(f)));
    assert_string_equal(f->cells[0][8], "0"); /* NULL */
    READ(f, mam_page(f->store, ROMEO, &range, 100, DONE(f)));
    assert_int_equal(f->rows, 0);
    READ(f, mam_size_get(f->store, ROMEO, DONE(f)));
    assert_int_equal(f->rows, 0);
    READ(f, mam_page(f->store, JULIET, &range, 100, DONE(f)));
    assert_int_equal(f->rows, 10);
}

static void index_step(struct fixture *f, struct str owner, uint64_t from, uint64_t id,
                       struct str text)
{
    struct store_txn *t =
        mam_index_advance(store_begin(f->store), MAM_INDEX_WORDS, owner, from, id);
    COMMIT(f, mam_index_add(t, owner, id, text));
}

static void test_words(void **state)
{
    struct fixture *f = *state;
    struct mam_range range = {.before = INT64_MAX};
    fill(f, ROMEO);
    fill(f, JULIET);
    index_step(f, ROMEO, 0, 10, STR("What's in a name?"));
    index_step(f, ROMEO, 10, 20, STR("a ROSE, by any other name"));
    index_step(f, JULIET, 0, 30, STR("a rose for Juliet alone"));
    READ(f, mam_index_upto(f->store, ROMEO, DONE(f)));
    assert_string_equal(f->cells[0][0], "20");
    /* Somebody else has indexed that meanwhile. */
    struct store_txn *t = mam_index_advance(store_begin(f->store), MAM_INDEX_WORDS, ROMEO, 10, 20);
    assert_int_equal(fixture_commit(f, mam_index_add(t, ROMEO, 20, STR("twice"))), ERR_EXISTS);
    READ(f, mam_search(f->store, ROMEO, &range, STR("name"), 10, DONE(f)));
    expect_ids(f, "10 20");
    assert_string_equal(f->cells[0][2], "<message>1</message>");
    READ(f, mam_search(f->store, ROMEO, &range, STR("rose NAME"), 10, DONE(f)));
    expect_ids(f, "20");
    READ(f, mam_search(f->store, ROMEO, &range, STR("juliet"), 10, DONE(f)));
    expect_ids(f, "");
    READ(f, mam_search(f->store, JULIET, &range, STR("rose"), 10, DONE(f)));
    expect_ids(f, "30");
    /* Within a page like any other. */
    range.back = true;
    READ(f, mam_search(f->store, ROMEO, &range, STR("name"), 1, DONE(f)));
    expect_ids(f, "20");
    range = (struct mam_range){.before = INT64_MAX, .with = NURSE, .resource = STR("kitchen")};
    READ(f, mam_search(f->store, ROMEO, &range, STR("name"), 9, DONE(f)));
    expect_ids(f, "10");
    READ(f, mam_search_count(f->store, ROMEO, &range, STR("name"), 9, DONE(f)));
    assert_string_equal(f->cells[0][0], "1");
    const struct mam_range all = {.before = INT64_MAX};
    READ(f, mam_search_count(f->store, ROMEO, &all, STR("name"), 9, DONE(f)));
    assert_string_equal(f->cells[0][0], "2");
    READ(f, mam_search_count(f->store, ROMEO, &all, STR("name"), 1, DONE(f)));
    assert_string_equal(f->cells[0][0], "1");
    COMMIT(f, mam_index_delete(store_begin(f->store), ROMEO, 0, 10));
    READ(f, mam_search(f->store, ROMEO, &range, STR("name"), 9, DONE(f)));
    expect_ids(f, "");
    COMMIT(f, users_delete(store_begin(f->store), ROMEO));
    fill(f, ROMEO);
    range = (struct mam_range){.before = INT64_MAX};
    READ(f, mam_search(f->store, ROMEO, &range, STR("name"), 9, DONE(f)));
    expect_ids(f, "");
    READ(f, mam_index_upto(f->store, ROMEO, DONE(f)));
    assert_int_equal(f->rows, 0);
    READ(f, mam_search(f->store, JULIET, &range, STR("rose"), 9, DONE(f)));
    expect_ids(f, "30");
}

static void expect_with(struct fixture *f, struct str with, const char *ids)
{
    struct mam_range range = {.before = INT64_MAX, .with = with};
    READ(f, mam_page(f->store, ROMEO, &range, 100, DONE(f)));
    expect_ids(f, ids);
}

static void test_correspondents(void **state)
{
    struct fixture *f = *state;
    fill(f, ROMEO);
    fill(f, JULIET);
    index_with(f, ROMEO, 0, 50);
    expect_with(f, NURSE, "10 30 50");
    expect_with(f, JULIET, "20 40");
    struct store_txn *t =
        mam_index_advance(store_begin(f->store), MAM_INDEX_WITH, ROMEO, 0, 20); /* a former one */
    assert_int_equal(fixture_commit(f, mam_index_add_with(t, ROMEO, 0, 20)), ERR_EXISTS);
    index_step(f, ROMEO, 0, 30, STR("a name"));
    READ(f, mam_index_upto(f->store, ROMEO, DONE(f)));
    assert_string_equal(f->cells[0][MAM_INDEX_WORDS], "30");
    assert_string_equal(f->cells[0][MAM_INDEX_WITH], "50");
    /* A row comes late: both indexes go back behind it, and what they had is not there twice. */
    struct mam_row row = row_of(ROMEO, 25, false, NURSE, STR(""));
    row.xml = STR("<message>late</message>");
    COMMIT(f, mam_index_rewind(mam_add(store_begin(f->store), &row), ROMEO, 25));
    READ(f, mam_index_upto(f->store, ROMEO, DONE(f)));
    assert_string_equal(f->cells[0][MAM_INDEX_WORDS], "24");
    assert_string_equal(f->cells[0][MAM_INDEX_WITH], "24");
    index_with(f, ROMEO, 24, 100);
    expect_with(f, NURSE, "10 25 30 50 70 90");
    struct mam_range all = {.before = INT64_MAX};
    READ(f, mam_search(f->store, ROMEO, &all, STR("name"), 9, DONE(f)));
    expect_ids(f, "");
    /* Rows that go take their entries along; nobody else's. */
    index_with(f, JULIET, 0, 100);
    COMMIT(f, mam_delete(store_begin(f->store), ROMEO, 30));
    COMMIT(f, mam_delete_upto(store_begin(f->store), ROMEO, 25));
    fill(f, ROMEO); /* they are not in the index */
    expect_with(f, NURSE, "50 70 90");
    all.with = NURSE;
    READ(f, mam_count(f->store, JULIET, &all, 100, DONE(f)));
    assert_string_equal(f->cells[0][0], "5");
    COMMIT(f, users_delete(store_begin(f->store), ROMEO));
    fill(f, ROMEO);
    expect_with(f, NURSE, "");
}

/* --- one row for both --- */

#define TO_BOTH STR("<message>to both</message>")

/* Romeo's message to Juliet, who gets it while its row waits for company. */
static void add_joined(struct fixture *f, uint64_t sent, uint64_t received)
{
    struct mam_row row = row_of(ROMEO, sent, true, JULIET, STR("balcony"));
    row.stanza = STR("both");
    row.xml = TO_BOTH;
    uint64_t round = store_round(f->store);
    struct store_txn *held = store_commit_later(mam_add(store_begin(f->store), &row), 10,
                                                fixture_on_done, fixture_tag(f, 0));
    assert_non_null(held);
    struct mam_row other = row;
    other.sent = (struct mam_side){0};
    other.received = (struct mam_side){received, received};
    struct mam_row changed = other;
    changed.xml = STR("<message>to BOTH</message>");
    assert_false(mam_join(held, &changed));
    changed = other;
    changed.to = NURSE;
    assert_false(mam_join(held, &changed));
    changed = other;
    changed.from_resource = STR("orchard");
    assert_false(mam_join(held, &changed));
    assert_true(mam_join(held, &other));
    assert_false(mam_join(held, &other)); /* she has it already */
    assert_true(store_round(f->store) == round);
    fixture_wait(f, f->count + 1);
    assert_true(store_round(f->store) != round);
}

static void expect_one(struct fixture *f, struct str owner, const char *id, const char *mark,
                       struct str xml)
{
    struct mam_range range = {.before = INT64_MAX};
    READ(f, mam_page(f->store, owner, &range, 9, DONE(f)));
    expect_ids(f, id);
    if (!*id)
        return;
    assert_string_equal(f->cells[0][1], mark);
    assert_string_equal(f->cells[0][2], xml.data);
}

static void test_joined(void **state)
{
    struct fixture *f = *state;
    add_joined(f, 10, 20);
    expect_one(f, ROMEO, "10", "-11", TO_BOTH);
    expect_one(f, JULIET, "20", "20", TO_BOTH);
    READ(f, mam_get(f->store, ROMEO, 10, DONE(f)));
    assert_string_equal(f->cells[0][3], "juliet@capulet.example");
    assert_string_equal(f->cells[0][4], "balcony");
    READ(f, mam_get(f->store, JULIET, 20, DONE(f)));
    assert_string_equal(f->cells[0][3], "romeo@montague.example");
    READ(f, mam_get(f->store, JULIET, 10, DONE(f))); /* that is Romeo's id */
    assert_int_equal(f->rows, 0);
    READ(f, mam_newest(f->store, JULIET, 1, DONE(f)));
    assert_string_equal(f->cells[0][2], "0");
    READ(f, mam_newest(f->store, ROMEO, 1, DONE(f)));
    assert_string_equal(f->cells[0][2], "1");
    index_with(f, ROMEO, 0, 100);
    index_with(f, JULIET, 0, 100);
    expect_with(f, JULIET, "10");
    struct mam_sought what = {.with = ROMEO, .stanza = STR("both")};
    READ(f, mam_find(f->store, JULIET, &what, DONE(f)));
    expect_ids(f, "20");
}

/* What one of the two does is nothing to the other. */
static void test_joined_and_replaced(void **state)
{
    struct fixture *f = *state;
    add_joined(f, 10, 20);
    COMMIT(f, mam_replace(store_begin(f->store), ROMEO, 10, STR("<x/>")));
    expect_one(f, ROMEO, "10", "-11", STR("<x/>"));
    expect_one(f, JULIET, "20", "20", TO_BOTH);
    COMMIT(f, mam_replace(store_begin(f->store), JULIET, 20, STR("<y/>")));
    expect_one(f, ROMEO, "10", "-11", STR("<x/>"));
    expect_one(f, JULIET, "20", "20", STR("<y/>"));
    COMMIT(f, mam_replace(store_begin(f->store), ROMEO, 10, STR("<z/>")));
    expect_one(f, ROMEO, "10", "-11", STR("<z/>"));
    expect_one(f, JULIET, "20", "20", STR("<y/>"));
    COMMIT(f, mam_delete(store_begin(f->store), ROMEO, 10));
    expect_one(f, ROMEO, "", "", STR(""));
    expect_one(f, JULIET, "20", "20", STR("<y/>"));
    COMMIT(f, mam_delete(store_begin(f->store), JULIET, 20));
    expect_one(f, JULIET, "", "", STR(""));
    add_joined(f, 10, 20); /* there is nothing in the way */
    expect_one(f, ROMEO, "10", "-11", TO_BOTH);
    expect_one(f, JULIET, "20", "20", TO_BOTH);
}

static void test_joined_and_left(void **state)
{
    struct fixture *f = *state;
    add_joined(f, 10, 20);
    COMMIT(f, mam_replace(store_begin(f->store), JULIET, 20, STR("<y/>")));
    COMMIT(f, mam_delete_upto(store_begin(f->store), JULIET, 20));
    expect_one(f, JULIET, "", "", STR(""));
    expect_one(f, ROMEO, "10", "-11", TO_BOTH);
    COMMIT(f, mam_replace(store_begin(f->store), ROMEO, 10, STR("<x/>")));
    expect_one(f, ROMEO, "10", "-11", STR("<x/>"));
    COMMIT(f, users_delete(store_begin(f->store), ROMEO));
    expect_one(f, ROMEO, "", "", STR(""));
    add_joined(f, 10, 20);
    COMMIT(f, users_delete(store_begin(f->store), ROMEO));
    expect_one(f, ROMEO, "", "", STR(""));
    expect_one(f, JULIET, "20", "20", TO_BOTH);
    COMMIT(f, users_delete(store_begin(f->store), JULIET));
    expect_one(f, JULIET, "", "", STR(""));
}

/* --- many at once (PostgreSQL: in one statement) --- */

static void add_later(struct fixture *f, struct str owner, uint64_t id, struct str xml)
{
    struct mam_row row = row_of(owner, id, id % 2, NURSE, STR(""));
    row.stanza = STR("m");
    row.xml = xml;
    store_commit_later(mam_add(store_begin(f->store), &row), 10, fixture_on_done,
                       fixture_tag(f, (int)id));
}

/* A row that is there already changes nothing, also within the many. */
static void test_many(void **state)
{
    struct fixture *f = *state;
    struct mam_range range = {.before = INT64_MAX, .back = true};
    add_later(f, ROMEO, 600, STR("<first/>"));
    for (uint64_t id = 1; id <= 700; id++)
        add_later(f, id % 3 ? ROMEO : JULIET, id, STR("<m>\xc3\xa9 {\"a\",NULL}</m>"));
    add_later(f, ROMEO, 1, STR("<second/>"));
    fixture_wait(f, 702);
    for (int i = 0; i < 702; i++)
        assert_int_equal(f->errors[i], ERR_OK);
    READ(f, mam_page(f->store, ROMEO, &range, 3, DONE(f)));
    expect_ids(f, "700 698 697");
    assert_string_equal(f->cells[0][1], "-701");
    assert_string_equal(f->cells[0][2], "<m>\xc3\xa9 {\"a\",NULL}</m>");
    range.before = 3;
    READ(f, mam_page(f->store, ROMEO, &range, 3, DONE(f)));
    expect_ids(f, "2 1");
    assert_string_equal(f->cells[1][2], "<m>\xc3\xa9 {\"a\",NULL}</m>");
    range.before = INT64_MAX;
    READ(f, mam_count(f->store, ROMEO, &range, 1000, DONE(f)));
    assert_string_equal(f->cells[0][0], "468"); /* 467 of the 700, and number 600 */
    READ(f, mam_count(f->store, JULIET, &range, 1000, DONE(f)));
    assert_string_equal(f->cells[0][0], "233");
}

/* What the database refuses takes nobody with it: PostgreSQL takes no text that is not UTF-8. */
static void test_many_and_a_bad_one(void **state)
{
    struct fixture *f = *state;
    struct mam_range range = {.before = INT64_MAX};
    for (uint64_t id = 1; id <= 40; id++)
        add_later(f, ROMEO, id, id == 20 ? STR("<m>\xff</m>") : STR("<m/>"));
    fixture_wait(f, 40);
    bool refuses = f->durable && fixture_on_postgres();
    for (int i = 0; i < 40; i++)
        assert_int_equal(f->errors[i] == ERR_OK, i != 19 || !refuses);
    READ(f, mam_count(f->store, ROMEO, &range, 1000, DONE(f)));
    assert_string_equal(f->cells[0][0], refuses ? "39" : "40");
}

#define BOTH(test)                                                                                 \
    cmocka_unit_test_setup_teardown(test, fixture_durable_users, fixture_tear_down),               \
        cmocka_unit_test_setup_teardown(test, fixture_memory_users, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_pages),
        BOTH(test_counts),
        BOTH(test_single_ones),
        BOTH(test_sizes),
        BOTH(test_prefs_and_key),
        BOTH(test_removal),
        BOTH(test_words),
        BOTH(test_correspondents),
        BOTH(test_joined),
        BOTH(test_joined_and_replaced),
        BOTH(test_joined_and_left),
        BOTH(test_many),
        BOTH(test_many_and_a_bad_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
