/* The PostgreSQL driver where it differs from SQLite's: connections that die, transactions whose
 * outcome is unknown, locks, and its words for our statements. Needs JACKDAW_TEST_POSTGRES
 * (tests/postgres.py). */
#include "archive_before.h"
#include "store_fixture.h"

#include <libpq-fe.h>
#include <unistd.h>

#include "store/driver.h"
#include "store/postgres_schema.h"
#include "store/postgres_sql.h"

#define OWNER STR("romeo@montague.example")

struct world {
    struct fixture f;
    PGconn *admin;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    fixture_open(&w->f, true, STORE_USERS);
    w->admin = PQconnectdb(getenv("JACKDAW_TEST_POSTGRES"));
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    PQfinish(w->admin);
    fixture_close(&w->f);
    free(w);
    return 0;
}

static int admin(struct world *w, const char *sql)
{
    PGresult *r = PQexec(w->admin, sql);
    int n = 0;
    if (PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) > 0)
        n = (int)strtol(PQgetvalue(r, 0, 0), NULL, 10);
    else if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(w->admin));
    PQclear(r);
    return n;
}

static void push(struct world *w, uint64_t id)
{
    store_commit(queue_push(store_begin(w->f.store), OWNER, id, STR("<m/>"), 100000),
                 fixture_on_done, fixture_tag(&w->f, (int)id));
}

#define ITS_BACKENDS                                                                               \
    " FROM pg_stat_activity WHERE application_name = 'jackdaw' AND datname = current_database()"

/* --- text --- */

static void becomes(const char *sql, bool must_change, const char *expected)
{
    struct buffer b;
    buffer_init(&b, POSTGRES_SQL_MAX);
    postgres_sql_statement(&b, sql, must_change);
    assert_string_equal(buffer_str(&b).data, expected);
    buffer_finish(&b);
}

static void test_statement_text(void **state)
{
    (void)state;
    becomes("SELECT \"a?1\", '?2' || ?12 FROM t", false, "SELECT \"a?1\", '?2' || $12 FROM t");
    becomes("DELETE FROM t", true,
            "WITH c AS (DELETE FROM t RETURNING 1) SELECT 1 / count(*) FROM c");
    struct buffer b;
    buffer_init(&b, POSTGRES_SQL_MAX);
    postgres_sql_schema(&b, "CREATE TABLE \"TEXT\" (a TEXT, b BLOB) WITHOUT ROWID");
    assert_string_equal(buffer_str(&b).data,
                        "CREATE TABLE \"TEXT\" (a TEXT COLLATE \"C\", b BYTEA)  ");
    buffer_finish(&b);
}

static void test_faults(void **state)
{
    (void)state;
    assert_int_equal(postgres_sql_fault(NULL), POSTGRES_AWAY);
    assert_int_equal(postgres_sql_fault("57P01"), POSTGRES_AWAY);
    assert_int_equal(postgres_sql_fault("40P01"), POSTGRES_AGAIN);
    assert_int_equal(postgres_sql_fault("40001"), POSTGRES_AGAIN);
    assert_int_equal(postgres_sql_fault("22012"), POSTGRES_UNCHANGED);
    assert_int_equal(postgres_sql_fault("23505"), POSTGRES_REFUSED);
    assert_int_equal(postgres_sql_error("53100"), ERR_STORE_FULL);
    assert_int_equal(postgres_sql_error("54000"), ERR_TOO_BIG);
    assert_int_equal(postgres_sql_error("23505"), ERR_STORE);
}

/* --- every statement --- */

/* Result columns must be of types that the driver takes apart: numbers, text, bytes. */
static void check_columns(const PGresult *described, const char *sql)
{
    static const Oid known[] = {16, 17, 20, 21, 23, 25, 1043};
    for (int i = 0; i < PQnfields(described); i++) {
        bool found = false;
        for (size_t n = 0; n < sizeof known / sizeof *known; n++)
            found = found || known[n] == PQftype(described, i);
        if (!found)
            fail_msg("column %d has type %u (cast it AS BIGINT?): %s", i + 1, PQftype(described, i),
                     sql);
    }
}

static bool prepares(struct world *w, const char *schema, int id, char why[512])
{
    struct buffer sql;
    char path[128];
    snprintf(path, sizeof path, "SET search_path TO %s", schema);
    admin(w, path);
    buffer_init(&sql, POSTGRES_SQL_MAX);
    postgres_sql_statement(&sql, store_statement_sql[id], store_statement_unchanged[id] != ERR_OK);
    PGresult *r = PQprepare(w->admin, "", buffer_str(&sql).data, 0, NULL);
    bool ok = PQresultStatus(r) == PGRES_COMMAND_OK;
    if (!ok)
        snprintf(why, 512, "%s", PQerrorMessage(w->admin));
    PQclear(r);
    if (ok) {
        r = PQdescribePrepared(w->admin, "");
        check_columns(r, store_statement_sql[id]);
        PQclear(r);
    }
    buffer_finish(&sql);
    return ok;
}

static void test_every_statement(void **state)
{
    struct world *w = *state;
    char url[FIXTURE_URL], in_accounts[512], in_users[512], why[512];
    struct store *accounts;
    fixture_url(NULL, "", false, url);
    assert_int_equal(
        store_open(w->f.loop, (struct log){0}, STORE_ACCOUNTS, url, &accounts, why, sizeof why),
        ERR_OK);
    for (int id = 0; id < SQL_STATEMENTS; id++)
        if (!prepares(w, "jackdaw_users", id, in_users) &&
            !prepares(w, "jackdaw_accounts", id, in_accounts))
            fail_msg("PostgreSQL cannot prepare %s\n users: %s accounts: %s",
                     store_statement_sql[id], in_users, in_accounts);
    store_close(accounts);
}

/* --- connections that die --- */

static void test_terminated_between(void **state)
{
    struct world *w = *state;
    push(w, 1);
    fixture_wait(&w->f, 1);
    assert_true(admin(w, "SELECT count(pg_terminate_backend(pid))" ITS_BACKENDS) > 0);
    push(w, 2);
    queue_count(w->f.store, OWNER, fixture_on_done, fixture_tag(&w->f, 3));
    fixture_wait(&w->f, 3);
    assert_int_equal(w->f.errors[1], ERR_OK);
    assert_int_equal(w->f.errors[2], ERR_OK);
    assert_string_equal(w->f.cells[0][0], "2");
}

/* Again and again while everything is under way: each request is done exactly once. */
static void test_terminated_under_way(void **state)
{
    struct world *w = *state;
    for (int i = 1; i <= 2000; i++) {
        push(w, (uint64_t)i);
        if (i % 100 == 0)
            fixture_wait(&w->f, (size_t)(i - 50));
        if (i % 200 == 0)
            admin(w, "SELECT count(pg_terminate_backend(pid))" ITS_BACKENDS);
    }
    fixture_wait(&w->f, 2000);
    for (int i = 0; i < 2000; i++) {
        if (w->f.tags[i] != i + 1 || w->f.errors[i] != ERR_OK)
            fail_msg("%d: tag %d, %s", i, w->f.tags[i], error_text(w->f.errors[i]));
    }
    assert_int_equal(admin(w, "SELECT count(*) FROM jackdaw_users.queue"), 2000);
    assert_int_equal(admin(w, "SELECT sum(count) FROM jackdaw_users.\"queue-size\""), 2000);
}

/* The commit arrived, the answer did not: the connection dies in a trigger that fires after the
 * mark's transaction is over is not to be had, so the mark is made by hand. */
static void test_known_commit_is_not_repeated(void **state)
{
    struct world *w = *state;
    push(w, 1);
    fixture_wait(&w->f, 1);
    /* As if this writer's next batch had been committed already. */
    admin(w, "UPDATE jackdaw_users.\"jackdaw-writer\" SET batch = batch + 1");
    push(w, 2);
    fixture_wait(&w->f, 2);
    assert_int_equal(w->f.errors[1], ERR_OK);
    assert_int_equal(admin(w, "SELECT count(*) FROM jackdaw_users.queue"), 1);
    push(w, 3);
    fixture_wait(&w->f, 3);
    assert_int_equal(admin(w, "SELECT count(*) FROM jackdaw_users.queue"), 2);
}

/* --- others in the way --- */

/* A table locked for a while: what needs it waits, in order. */
static void test_locked(void **state)
{
    struct world *w = *state;
    push(w, 1);
    fixture_wait(&w->f, 1);
    admin(w, "BEGIN; LOCK TABLE jackdaw_users.queue IN EXCLUSIVE MODE");
    push(w, 2);
    assert_int_equal(w->f.count, 1);
    admin(w, "SET statement_timeout = 0; SELECT pg_sleep(0.3)");
    admin(w, "COMMIT");
    fixture_wait(&w->f, 2);
    assert_int_equal(w->f.errors[1], ERR_OK);
}

/* Two transactions that lock two rows crosswise: PostgreSQL ends one of them, and when that is ours
 * it is run again. */
static void test_deadlock(void **state)
{
    struct world *w = *state;
    admin(w, "CREATE FUNCTION jackdaw_users.clash() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
             " IF nextval('jackdaw_users.clashes') < 3 THEN"
             " RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END IF; RETURN NEW; END $$;"
             "CREATE SEQUENCE jackdaw_users.clashes;"
             "CREATE TRIGGER clash BEFORE INSERT ON jackdaw_users.queue FOR EACH ROW"
             " EXECUTE FUNCTION jackdaw_users.clash()");
    for (int i = 1; i <= 5; i++)
        push(w, (uint64_t)i);
    fixture_wait(&w->f, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(w->f.errors[i], ERR_OK);
    assert_int_equal(admin(w, "SELECT count(*) FROM jackdaw_users.queue"), 5);
}

/* A full disk as PostgreSQL reports it: those who need it are told, and it heals by itself. */
static void test_disk_full(void **state)
{
    struct world *w = *state;
    admin(w, "CREATE FUNCTION jackdaw_users.full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
             " RAISE EXCEPTION 'no space' USING ERRCODE = '53100'; END $$;"
             "CREATE TRIGGER full_disk BEFORE INSERT ON jackdaw_users.queue FOR EACH ROW"
             " EXECUTE FUNCTION jackdaw_users.full()");
    push(w, 1);
    store_commit(users_activate(store_begin(w->f.store), OWNER, 1), fixture_on_done,
                 fixture_tag(&w->f, 2));
    push(w, 3);
    fixture_wait(&w->f, 3);
    assert_int_equal(w->f.errors[0], ERR_STORE_FULL);
    assert_int_equal(w->f.errors[1], ERR_OK);
    assert_int_equal(w->f.errors[2], ERR_STORE_FULL);
    admin(w, "DROP TRIGGER full_disk ON jackdaw_users.queue");
    push(w, 4);
    fixture_wait(&w->f, 4);
    assert_int_equal(w->f.errors[3], ERR_OK);
    assert_int_equal(admin(w, "SELECT count(*) FROM jackdaw_users.queue"), 1);
}

/* A NUL, which text in PostgreSQL cannot have, fails alone. */
static void test_nul_is_refused(void **state)
{
    struct world *w = *state;
    push(w, 1);
    store_commit(queue_push(store_begin(w->f.store), OWNER, 2, (struct str){"<m\0/>", 5}, 100),
                 fixture_on_done, fixture_tag(&w->f, 2));
    push(w, 3);
    fixture_wait(&w->f, 3);
    assert_int_equal(w->f.errors[0], ERR_OK);
    assert_int_equal(w->f.errors[1], ERR_STORE);
    assert_int_equal(w->f.errors[2], ERR_OK);
}

/* --- opening --- */

static enum error open_and_close(const char *url, enum store_kind kind, char why[512])
{
    struct loop *l = loop_create();
    struct store *s = NULL;
    why[0] = '\0';
    enum error e = store_open(l, (struct log){0}, kind, url, &s, why, 512);
    store_close(s);
    loop_destroy(l);
    return e;
}

static void test_open_errors(void **state)
{
    char why[512];
    (void)state;
    assert_int_not_equal(open_and_close("postgresql://u:secret@/x?host=/nowhere", STORE_USERS, why),
                         ERR_OK);
    assert_non_null(strstr(why, "/nowhere/x"));
    assert_null(strstr(why, "secret"));
    assert_int_equal(open_and_close("postgresql://u:secret@/x?nonsense=1", STORE_USERS, why),
                     ERR_INVALID);
    assert_null(strstr(why, "secret"));
}

/* --- migrations --- */

static const struct migration steps[] = {
    {STORE_USERS, 1, "CREATE TABLE \"a\" (\"x\" INTEGER); INSERT INTO \"a\" VALUES (1);"},
    {STORE_ACCOUNTS, 1, "CREATE TABLE \"other\" (\"x\" INTEGER);"},
    {STORE_USERS, 2,
     "ALTER TABLE \"a\" ADD COLUMN \"y\" INTEGER; UPDATE \"a\" SET \"y\" = \"x\" + 1;"},
    {STORE_USERS, 3, "CREATE TABLE \"b\" (\"z\" BLOB);"},
};

static enum error apply(const struct migration *table, size_t count, char why[512])
{
    const struct postgres_target target = {getenv("JACKDAW_TEST_POSTGRES"), "jackdaw_steps", "it"};
    PGconn *c = postgres_conn_connect(&target, why, 512);
    assert_non_null(c);
    enum error e =
        postgres_schema_apply(c, &target, STORE_USERS, table, count, (struct log){0}, why, 512);
    PQfinish(c);
    return e;
}

static void test_migrations(void **state)
{
    struct world *w = *state;
    struct migration broken[4];
    char why[512];
    memcpy(broken, steps, sizeof steps);
    broken[3].sql =
        "CREATE TABLE \"b\" (\"z\" BLOB); SELECT pg_terminate_backend(pg_backend_pid())";
    admin(w, "SET client_min_messages TO warning; DROP SCHEMA IF EXISTS jackdaw_steps CASCADE");
    assert_int_equal(apply(steps, 1, why), ERR_OK);
    /* Killed within step 3: what was done stays done, and nothing of step 3 is there. */
    assert_int_not_equal(apply(broken, 4, why), ERR_OK);
    assert_int_equal(admin(w, "SELECT version FROM jackdaw_steps.\"jackdaw-schema\""), 2);
    assert_int_equal(admin(w, "SELECT y FROM jackdaw_steps.a"), 2);
    assert_int_equal(admin(w, "SELECT to_regclass('jackdaw_steps.b') IS NOT NULL"), 0);
    assert_int_equal(admin(w, "SELECT x FROM jackdaw_steps_backup_v1.a"), 1);
    assert_int_equal(apply(steps, 4, why), ERR_OK);
    assert_int_equal(apply(steps, 4, why), ERR_OK);
    assert_int_equal(admin(w, "SELECT version FROM jackdaw_steps.\"jackdaw-schema\""), 3);
    /* A newer one is refused, and the way back named. */
    assert_int_equal(apply(steps, 3, why), ERR_INVALID);
    assert_non_null(strstr(why, "newer Jackdaw"));
    assert_non_null(strstr(why, "jackdaw_steps_backup_v2"));
    admin(w, "DROP SCHEMA jackdaw_steps CASCADE; DROP SCHEMA jackdaw_steps_backup_v1 CASCADE;"
             "DROP SCHEMA jackdaw_steps_backup_v2 CASCADE");
}

static void test_archive_before(void **state)
{
    struct world *w = *state;
    struct migration *before = calloc(migrations_count, sizeof *before);
    char why[512];
    size_t count = 0;
    for (size_t i = 0; i < migrations_count; i++)
        if (migrations[i].kind == STORE_USERS && migrations[i].number <= ARCHIVE_BEFORE)
            before[count++] = migrations[i];
    admin(w, "SET client_min_messages TO warning; DROP SCHEMA IF EXISTS jackdaw_steps CASCADE");
    assert_int_equal(apply(before, count, why), ERR_OK);
    free(before);
    admin(w, "SET search_path TO jackdaw_steps; " ARCHIVE_ROWS);
    assert_int_equal(apply(migrations, migrations_count, why), ERR_OK);
    for (size_t i = 0; i < ARCHIVE_AFTER; i++)
        assert_int_equal(admin(w, archive_after[i]), 1);
    assert_int_equal(admin(w, "SELECT count(*) FROM mam"), 3);
    admin(w, "DROP SCHEMA jackdaw_steps CASCADE; DROP SCHEMA jackdaw_steps_backup_v15 CASCADE");
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statement_text),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_open_errors),
        TEST(test_every_statement),
        TEST(test_terminated_between),
        TEST(test_terminated_under_way),
        TEST(test_known_commit_is_not_repeated),
        TEST(test_locked),
        TEST(test_deadlock),
        TEST(test_disk_full),
        TEST(test_nul_is_refused),
        TEST(test_migrations),
        TEST(test_archive_before),
    };
    if (!fixture_on_postgres()) {
        fputs("JACKDAW_TEST_POSTGRES is not set: run this by tests/postgres.py\n", stderr);
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
