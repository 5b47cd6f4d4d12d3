/* Moving: what a person has comes back from our store as it went in; what is here already stays;
 * jabberd2's tables with rows that make no sense. */
#include "unit.h"

#include <sqlite3.h>
#include <unistd.h>

#include "base/mem.h"
#include "move/import.h"
#include "move/jabberd2.h"
#include "xmpp/datetime.h"

/* Both stores in memory, on a simulated loop. */
struct world {
    struct person_stores s;
    struct move_notes notes;
    char last_note[512], why[512];
};

static void say(void *arg, const char *text)
{
    struct world *w = arg;
    snprintf(w->last_note, sizeof w->last_note, "%s", text);
}

static int setup(void **state)
{
    struct world *w = MEM_NEW(struct world);
    char why[256];
    w->s.loop = loop_create_sim(1767225600000);
    w->s.random = random_create_seeded(1);
    w->s.parsers = parser_pool_create(w->s.random);
    assert_int_equal(store_open(w->s.loop, (struct log){0}, STORE_ACCOUNTS,
                                "memory:", &w->s.accounts, why, sizeof why),
                     ERR_OK);
    assert_int_equal(store_open(w->s.loop, (struct log){0}, STORE_USERS, "memory:", &w->s.users,
                                why, sizeof why),
                     ERR_OK);
    w->notes = (struct move_notes){say, w, 0};
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    store_close(w->s.accounts);
    store_close(w->s.users);
    parser_pool_destroy(w->s.parsers);
    random_destroy(w->s.random);
    loop_destroy(w->s.loop);
    free(w);
    return 0;
}

/* --- a source of one person --- */

struct one {
    struct move_source source;
    struct person *(*make)(const struct world *w);
    const struct world *world;
    bool given;
};

static enum error one_next(struct move_source *s, struct person **ret)
{
    struct one *one = MEM_CONTAINER(s, struct one, source);
    *ret = one->given ? NULL : one->make(one->world);
    one->given = true;
    return ERR_OK;
}

static void one_close(struct move_source *s)
{
    (void)s;
}

static const struct move_source_ops one_ops = {one_next, one_close};

static enum error run(struct world *w, struct move_source *source, bool force,
                      struct import_result *ret)
{
    struct move_why why = {w->why, sizeof w->why};
    struct import_options o = {
        .stores = &w->s, .source = source, .kinds = UINT64_MAX, .force = force, .iterations = 10};
    *ret = (struct import_result){0};
    enum error e = import_run(&o, ret, why);
    if (e != ERR_OK)
        print_message("%s\n", w->why);
    return e;
}

static enum error run_one(struct world *w, struct person *(*make)(const struct world *w),
                          bool force, struct import_result *ret)
{
    struct one one = {.make = make, .world = w};
    one.source = (struct move_source){.ops = &one_ops, .notes = &w->notes};
    return run(w, &one.source, force, ret);
}

static struct stanza *parse(const struct world *w, const char *xml)
{
    struct stanza *s = person_parse(w->s.parsers, str_of(xml));
    assert_non_null(s);
    return s;
}

static struct person *juliet(void)
{
    return person_create(jid_parse(STR("juliet@capulet.example")));
}

#define ITEM(jid_, name_, to_, from_)                                                              \
    (&(struct roster_row){                                                                         \
        .jid = STR(jid_), .name = STR(name_), .to = (to_), .from = (from_), .approved = true})

static void add_keys(struct person *p)
{
    struct scram_keys keys[SCRAM_HASHES];
    struct random *random = random_create_seeded(7);
    accounts_salt(random, 10, keys);
    assert_true(accounts_derive_salted(STR("secret"), keys));
    for (int i = 0; i < SCRAM_HASHES; i++)
        assert_true(facts_add_scram(p, &keys[i]));
    random_destroy(random);
}

/* One of every kind. */
static struct person *everything(const struct world *w)
{
    struct person *p = juliet();
    struct str groups[] = {STR("b & c"), STR("a")};
    struct privacy_row items[] = {
        {.type = STR("jid"), .value = STR("Tybalt@capulet.example"), .deny = true, .order = 9},
        {.type = STR("group"), .value = STR("a"), .order = 9, .block = 5},
        {.order = UINT32_MAX}};
    struct stanza *private =
        parse(w, "<q><a xmlns='x' n='1'/><b xmlns='y'/><a xmlns='x'>2</a></q>");
    assert_true(facts_add_account(p, 1000000000, true));
    add_keys(p);
    assert_true(facts_add_active(p, 1000000001));
    assert_true(facts_add_last(p, 1000000002, STR("off to <bed>")));
    assert_true(facts_add_roster(p, ITEM("romeo@Montague.example", "R\xc3\xb6meo", true, false),
                                 groups, 2));
    assert_true(facts_add_roster(p, ITEM("nurse@capulet.example", "", false, true), NULL, 0));
    assert_true(facts_add_request(p, STR("romeo@montague.example/x"), NULL));
    assert_true(facts_add_request(p, STR("paris@montague.example"), NULL));
    assert_true(facts_add_vcard(p, parse(w, "<vCard xmlns='vcard-temp'><FN>J</FN></vCard>")));
    assert_true(facts_add_private(p, private, stanza_first(private, STANZA_ROOT)));
    assert_true(facts_add_privacy(p, STR("quiet"), items, 2));
    assert_true(facts_add_privacy_default(p, STR("quiet")));
    assert_true(facts_add_vacation(p, &(struct vacation_row){.start = 5, .message = STR("away")}));
    assert_true(
        facts_add_disco(p, &(struct disco_row){STR("n"), STR("x.example"), STR("m"), STR("name")}));
    assert_true(facts_add_status(p, &(struct status_row){.status = STR("online"), .login = 7}));
    assert_true(facts_add_verify(
        p, &(struct verify_row){.email = STR("j@x.example"), .code = STR("1"), .state = -1}));
    assert_true(facts_add_published(
        p, &(struct published_row){.jid = STR("x@y.example"), .group = STR("g"), .to = true}));
    assert_true(facts_add_published_group(p, STR("g")));
    assert_true(facts_add_motd_seen(p, 76));
    for (int i = 0; i < 3; i++)
        assert_true(facts_add_message(
            p, parse(w, "<message xmlns='jabber:client'><body>x</body><delay xmlns='urn:xmpp:delay'"
                        " stamp='2026-01-01T00:00:00Z'/></message>")));
    stanza_unref(private);
    return p;
}

static void test_every_kind_comes_back(void **state)
{
    struct world *w = *state;
    struct import_result first, again;
    assert_int_equal(run_one(w, everything, false, &first), ERR_OK);
    assert_int_equal(run_one(w, everything, false, &again), ERR_OK);
    for (int i = 0; i < PERSON_KINDS; i++) {
        const struct import_kind *a = &first.kinds[i], *b = &again.kinds[i];
        if (i == PERSON_STORED_PASSWORD || i == PERSON_MOTD) /* not beside keys; a domain's */
            continue;
        assert_true(a->read.rows > 0);
        assert_int_equal(a->kept, 0);
        assert_int_equal(a->added, a->read.rows);
        assert_memory_equal(&a->read, &a->stored, sizeof a->read);
        assert_int_equal(b->same, b->read.rows);
        assert_memory_equal(&b->read, &a->read, sizeof b->read);
    }
    assert_int_equal(first.kinds[PERSON_QUEUE].read.rows, 3);
    assert_int_equal(w->notes.left_out, 0);
}

static struct person *domain(const struct world *w)
{
    struct person *p = person_create(jid_parse(STR("capulet.example")));
    struct stanza *motd = parse(w, "<message xmlns='jabber:client'><body>hi</body></message>");
    assert_true(facts_add_motd(p, motd, 77));
    assert_true(facts_add_vcard(p, parse(w, "<vCard xmlns='vcard-temp'><FN>C</FN></vCard>")));
    stanza_unref(motd);
    return p;
}

static void test_a_domain(void **state)
{
    struct import_result r;
    assert_int_equal(run_one(*state, domain, false, &r), ERR_OK);
    assert_int_equal(r.kinds[PERSON_MOTD].stored.rows, 1);
    assert_int_equal(run_one(*state, domain, false, &r), ERR_OK);
    assert_int_equal(r.kinds[PERSON_MOTD].same, 1);
    assert_int_equal(r.kinds[PERSON_VCARD].same, 1);
}

static struct person *changed(const struct world *w)
{
    struct person *p = juliet();
    (void)w;
    p->password = mem_strdup("another");
    facts_add_account(p, -1, false);
    facts_add_roster(p, ITEM("nurse@capulet.example", "changed", true, true), NULL, 0);
    facts_add_last(p, 5, STR_NULL);
    return p;
}

/* What is here stays, and with force it goes; all keys belong to one password. */
static void test_what_is_here_stays(void **state)
{
    struct world *w = *state;
    struct import_result r;
    assert_int_equal(run_one(w, everything, false, &r), ERR_OK);
    assert_int_equal(run_one(w, changed, false, &r), ERR_OK);
    assert_int_equal(r.kinds[PERSON_ROSTER].kept, 1);
    assert_int_equal(r.kinds[PERSON_SCRAM].kept, SCRAM_HASHES);
    assert_int_equal(r.kinds[PERSON_LAST].kept, 1);
    assert_int_equal(run_one(w, everything, false, &r), ERR_OK);
    assert_int_equal(r.kinds[PERSON_SCRAM].same, SCRAM_HASHES);
    assert_int_equal(run_one(w, changed, true, &r), ERR_OK);
    assert_int_equal(r.kinds[PERSON_ROSTER].added, 1);
    assert_int_equal(r.kinds[PERSON_SCRAM].added, SCRAM_HASHES);
    assert_int_equal(run_one(w, changed, false, &r), ERR_OK);
    assert_int_equal(r.kinds[PERSON_ROSTER].same, 1);
    assert_int_equal(r.kinds[PERSON_SCRAM].same, SCRAM_HASHES); /* the same password */
}

static void test_facts_that_make_no_sense(void **state)
{
    struct person *p = juliet();
    struct privacy_row bad = {.type = STR("jid"), .value = STR("@")};
    struct str many[256];
    for (size_t i = 0; i < 256; i++)
        many[i] = STR("g");
    assert_false(facts_add_roster(p, &(struct roster_row){.jid = STR("a@b@c")}, NULL, 0));
    assert_false(facts_add_roster(p, &(struct roster_row){.jid = STR("a@b.example")}, many, 256));
    assert_false(facts_add_request(p, STR("juliet@capulet.example/x"), NULL)); /* of itself */
    assert_false(facts_add_request(p, STR(""), NULL));
    assert_false(facts_add_privacy(p, STR("l"), &bad, 1));
    assert_false(facts_add_privacy(p, STR(""), &bad, 1));
    assert_false(facts_add_disco(p, &(struct disco_row){.jid = STR("/x")}));
    assert_int_equal(p->count, 0);
    person_destroy(p);
}

static void test_the_last_of_equals_counts(void **state)
{
    struct person *p = juliet();
    for (int i = 0; i < 300; i++) {
        facts_add_last(p, 1 + i, STR_NULL);
        facts_add_active(p, i);
    }
    assert_int_equal(person_sort(p), 598);
    assert_int_equal(p->count, 2);
    assert_int_equal(facts_time(person_find(p, PERSON_LAST, STR("")), STR("stamp")), 300);
    assert_int_equal(facts_time(person_find(p, PERSON_ACTIVE, STR("")), STR("since")), 299);
    assert_null(person_find(p, PERSON_VCARD, STR("")));
    person_destroy(p);
}

/* --- jabberd2's tables --- */

static const char odd_tables[] =
    "CREATE TABLE authreg (username TEXT, realm TEXT, password TEXT);"
    "INSERT INTO authreg VALUES ('juliet', '', 'secret'), ('romeo', 'montague.example', NULL);"
    "CREATE TABLE \"roster-items\" (\"collection-owner\" TEXT, jid TEXT, name TEXT, \"to\" BOOL,"
    " \"from\" BOOL, ask INTEGER);"
    "INSERT INTO \"roster-items\" VALUES ('juliet@capulet.example', 'a@b@c', NULL, 1, 1, 0),"
    " ('juliet@capulet.example', 'romeo@montague.example', 'R', 't', 'f', 2),"
    " ('@', 'x@y.example', NULL, 0, 0, 0);"
    "CREATE TABLE \"roster-groups\" (\"collection-owner\" TEXT, jid TEXT, \"group\" TEXT);"
    "INSERT INTO \"roster-groups\" VALUES ('juliet@capulet.example', 'nobody@x.example', 'g'),"
    " ('juliet@capulet.example', 'romeo@montague.example', 'h'),"
    " ('juliet@capulet.example', 'romeo@montague.example', 'h');"
    "CREATE TABLE queue (\"collection-owner\" TEXT, \"object-sequence\" INTEGER, xml TEXT);"
    "INSERT INTO queue VALUES ('juliet@capulet.example', 2, 'NAD<route><message "
    "xmlns=''jabber:client''"
    " xmlns:sc=''http://jabberd.jabberstudio.org/ns/session/1.0'' sc:c2s=''4''><body>second</body>"
    "</message></route>'), ('juliet@capulet.example', 1, 'NAD<route><message "
    "xmlns=''jabber:client''>"
    "<body>first</body></message></route>'), ('juliet@capulet.example', 3, 'NAD<route><presence"
    " xmlns=''jabber:client'' type=''subscribed'' from=''x@y.example''/></route>'),"
    " ('juliet@capulet.example', 4, 'NAD<!DOCTYPE x><route/>'), ('juliet@capulet.example', 5, "
    "NULL);"
    "CREATE TABLE \"vacation-settings\" (\"collection-owner\" TEXT, start INTEGER, \"end\" INTEGER,"
    " message TEXT); INSERT INTO \"vacation-settings\" VALUES ('juliet@capulet.example', 5, 0, "
    "'away');"
    "CREATE TABLE \"privacy-items\" (\"collection-owner\" TEXT, list TEXT, type TEXT, value TEXT,"
    " deny BOOL, \"order\" INTEGER, block INTEGER);"
    "INSERT INTO \"privacy-items\" VALUES ('juliet@capulet.example', 'bad', 'jid', '@', 1, 1, 0),"
    " ('juliet@capulet.example', 'good', NULL, NULL, 1, 1, 0);"
    "CREATE TABLE \"privacy-default\" (\"collection-owner\" TEXT, \"default\" TEXT);"
    "INSERT INTO \"privacy-default\" VALUES ('juliet@capulet.example', 'bad');";

static void make_database(char path[64], const char *sql)
{
    sqlite3 *db;
    snprintf(path, 64, "/tmp/jackdaw-move-%d.db", (int)getpid());
    (void)unlink(path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static const struct jabberd2_table *table(const struct move_source *s, const char *name)
{
    const struct jabberd2_table *t = jabberd2_tables(s);
    while (strcmp(t->name, name) != 0)
        t++;
    return t;
}

static void check_juliet(struct world *w)
{
    struct person *p = juliet();
    struct person_reads reads = {.stores = &w->s};
    struct roster_row row;
    struct vacation_row vacation;
    struct str groups[4];
    const struct fact *message;
    person_load(&reads, p);
    assert_int_equal(person_loaded(&reads), ERR_OK);
    (void)person_sort(p);
    const struct fact *item = person_find(p, PERSON_ROSTER, STR("romeo@montague.example"));
    assert_int_equal(facts_roster(item, &row, groups, 4), 1);
    assert_true(row.to && !row.from && !row.ask);
    facts_vacation(person_find(p, PERSON_VACATION, STR("")), &vacation);
    assert_int_equal(vacation.end, DATETIME_MAX);
    message = person_find(p, PERSON_QUEUE, STR("00000000000000000001"));
    assert_true(str_is(stanza_inner(message->xml, STANZA_ROOT), "<body>first</body>"));
    message = person_find(p, PERSON_QUEUE, STR("00000000000000000002"));
    assert_int_equal(stanza_attr_count(message->xml, STANZA_ROOT), 0); /* sc:c2s is gone */
    assert_non_null(person_find(p, PERSON_PRIVACY, STR("good")));
    assert_null(person_find(p, PERSON_PRIVACY, STR("bad")));
    assert_null(person_first(p, PERSON_PRIVACY_DEFAULT));
    person_destroy(p);
}

static void test_jabberd2_rows_that_make_no_sense(void **state)
{
    struct world *w = *state;
    struct import_result r;
    char path[64];
    make_database(path, odd_tables);
    struct jabberd2_options o = {
        .sqlite = path, .domain = "capulet.example", .passwords = -1, .parsers = w->s.parsers};
    struct move_source *s = jabberd2_open(&o, &w->notes, (struct move_why){w->why, sizeof w->why});
    assert_non_null(s);
    assert_int_equal(run(w, s, false, &r), ERR_OK);
    assert_int_equal(r.kinds[PERSON_ACCOUNT].added, 2);
    assert_int_equal(r.kinds[PERSON_SCRAM].added, SCRAM_HASHES); /* romeo has no password */
    assert_int_equal(r.kinds[PERSON_QUEUE].added, 2);
    assert_int_equal(table(s, "queue")->left_out, 3);
    assert_int_equal(table(s, "roster-items")->left_out, 2);
    assert_int_equal(table(s, "roster-groups")->left_out, 1);
    assert_int_equal(table(s, "privacy-items")->left_out, 1);
    assert_int_equal(table(s, "privacy-default")->left_out, 1);
    assert_false(table(s, "vcard")->there);
    move_close(s);
    check_juliet(w);
    (void)unlink(path);
}

static void test_what_is_no_database(void **state)
{
    struct world *w = *state;
    char path[64];
    make_database(path, "CREATE TABLE x (y)");
    struct jabberd2_options o = {.sqlite = path, .passwords = -1, .parsers = w->s.parsers};
    struct move_why why = {w->why, sizeof w->why};
    assert_null(jabberd2_open(&o, &w->notes, why));
    assert_non_null(strstr(w->why, "none of jabberd2's tables"));
    (void)unlink(path);
    assert_null(jabberd2_open(&o, &w->notes, why));
    assert_non_null(strstr(w->why, "cannot read"));
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(test_every_kind_comes_back),
        WORLD(test_a_domain),
        WORLD(test_what_is_here_stays),
        cmocka_unit_test(test_facts_that_make_no_sense),
        cmocka_unit_test(test_the_last_of_equals_counts),
        WORLD(test_jabberd2_rows_that_make_no_sense),
        WORLD(test_what_is_no_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
