/* Migrations: from nothing, from an older state with a backup, twice, interrupted, and refusals. */
#include "archive_before.h"
#include "unit.h"

#include <dirent.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/migrations.h"

static const struct migration steps[] = {
    {STORE_USERS, 1, "CREATE TABLE a (x); INSERT INTO a VALUES (1);"},
    {STORE_ACCOUNTS, 1, "CREATE TABLE other (x);"},
    {STORE_USERS, 2, "ALTER TABLE a ADD COLUMN y; UPDATE a SET y = x + 1;"},
    {STORE_USERS, 3, "CREATE TABLE b AS SELECT x + y AS z FROM a;"},
};

struct place {
    char dir[64], path[128], why[512];
    sqlite3 *db;
};

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    snprintf(p->dir, sizeof p->dir, "/tmp/jackdaw-migrations-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->path, sizeof p->path, "%s/x.db", p->dir);
    assert_int_equal(sqlite3_open(p->path, &p->db), SQLITE_OK);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    sqlite3_close(p->db);
    DIR *d = opendir(p->dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", p->dir, e->d_name);
        unlink(path);
    }
    closedir(d);
    rmdir(p->dir);
    free(p);
    return 0;
}

static enum error apply(struct place *p, const struct migration *table, size_t count)
{
    return migrations_apply(p->db, p->path, STORE_USERS, table, count, (struct log){0}, p->why,
                            sizeof p->why);
}

static int number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st;
    int n = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
        n = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    return n;
}

static bool backup_exists(const struct place *p, int version)
{
    char path[256];
    struct stat st;
    snprintf(path, sizeof path, "%s.backup-v%d", p->path, version);
    return stat(path, &st) == 0 && (st.st_mode & 0777) == 0600;
}

static void test_new_database(void **state)
{
    struct place *p = *state;
    assert_int_equal(apply(p, steps, 4), ERR_OK);
    assert_int_equal(number(p->db, "SELECT z FROM b"), 3);
    assert_int_equal(number(p->db, "PRAGMA user_version"), 3);
    assert_int_equal(number(p->db, "SELECT count(*) FROM sqlite_master WHERE name = 'other'"), 0);
    assert_false(backup_exists(p, 0));
    /* Again: nothing to do. */
    assert_int_equal(apply(p, steps, 4), ERR_OK);
    assert_int_equal(number(p->db, "SELECT count(*) FROM a"), 1);
}

static void test_older_database_is_backed_up(void **state)
{
    struct place *p = *state;
    assert_int_equal(apply(p, steps, 1), ERR_OK);
    assert_int_equal(apply(p, steps, 4), ERR_OK);
    assert_int_equal(number(p->db, "SELECT z FROM b"), 3);
    assert_true(backup_exists(p, 1));
    char path[256];
    sqlite3 *old;
    snprintf(path, sizeof path, "%s.backup-v1", p->path);
    assert_int_equal(sqlite3_open(path, &old), SQLITE_OK);
    assert_int_equal(number(old, "SELECT x FROM a"), 1);
    assert_int_equal(number(old, "PRAGMA user_version"), 1);
    assert_int_equal(number(old, "SELECT count(*) FROM sqlite_master"), 1);
    sqlite3_close(old);
}

/* A step that fails half-way leaves the old schema; the next attempt begins anew. */
static void test_interrupted(void **state)
{
    struct place *p = *state;
    struct migration broken[4];
    memcpy(broken, steps, sizeof steps);
    broken[3].sql = "CREATE TABLE b (z); INSERT INTO nowhere VALUES (1);";
    assert_int_equal(apply(p, steps, 1), ERR_OK);
    assert_int_not_equal(apply(p, broken, 4), ERR_OK);
    assert_non_null(strstr(p->why, "nowhere"));
    assert_int_equal(number(p->db, "PRAGMA user_version"), 1);
    assert_int_equal(number(p->db, "SELECT count(*) FROM sqlite_master WHERE name = 'b'"), 0);
    assert_int_equal(apply(p, steps, 4), ERR_OK);
    assert_int_equal(number(p->db, "SELECT z FROM b"), 3);
}

static void die(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)context, (void)count, (void)values;
    kill(getpid(), SIGKILL);
}

/* kill -9 within each of the steps, and between what a step does: the next start makes it good. */
static void test_killed_between_steps(void **state)
{
    struct place *p = *state;
    static const struct {
        size_t step;
        const char *sql;
    } deaths[] = {
        {2, "SELECT die();"},
        {2, "ALTER TABLE a ADD COLUMN y; SELECT die();"},
        {3, "SELECT die();"},
        {3, "CREATE TABLE b AS SELECT x + y AS z FROM a; SELECT die();"},
    };
    assert_int_equal(apply(p, steps, 1), ERR_OK);
    sqlite3_close(p->db);
    for (size_t i = 0; i < sizeof deaths / sizeof *deaths; i++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            struct migration deadly[4];
            memcpy(deadly, steps, sizeof steps);
            deadly[deaths[i].step].sql = deaths[i].sql;
            (void)sqlite3_open(p->path, &p->db);
            (void)sqlite3_create_function(p->db, "die", 0, SQLITE_UTF8, NULL, die, NULL, NULL);
            (void)apply(p, deadly, 4);
            _exit(1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    assert_int_equal(sqlite3_open(p->path, &p->db), SQLITE_OK);
    assert_int_equal(number(p->db, "PRAGMA user_version"), 1);
    assert_int_equal(number(p->db, "SELECT count(*) FROM pragma_table_info('a')"), 1);
    assert_true(backup_exists(p, 1));
    assert_int_equal(apply(p, steps, 4), ERR_OK);
    assert_int_equal(number(p->db, "SELECT z FROM b"), 3);
}

static void test_newer_database_is_refused(void **state)
{
    struct place *p = *state;
    assert_int_equal(apply(p, steps, 4), ERR_OK);
    assert_int_equal(apply(p, steps, 3), ERR_INVALID); /* this program knows 2 steps */
    assert_non_null(strstr(p->why, "newer Jackdaw"));
    assert_non_null(strstr(p->why, "backup-v2"));
}

static void test_strange_databases_are_refused(void **state)
{
    struct place *p = *state;
    assert_int_equal(sqlite3_exec(p->db, "CREATE TABLE mine (x)", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(apply(p, steps, 4), ERR_INVALID);
    assert_non_null(strstr(p->why, "another program"));
    assert_int_equal(number(p->db, "SELECT count(*) FROM sqlite_master"), 1);
}

static void test_other_kind_is_refused(void **state)
{
    struct place *p = *state;
    assert_int_equal(migrations_apply(p->db, p->path, STORE_ACCOUNTS, steps, 4, (struct log){0},
                                      p->why, sizeof p->why),
                     ERR_OK);
    assert_int_equal(apply(p, steps, 4), ERR_INVALID);
    assert_non_null(strstr(p->why, "users database"));
}

/* The published table itself: numbers without gaps, and every step runs. */
static void test_published_steps(void **state)
{
    struct place *p = *state;
    int last[2] = {0, 0};
    for (size_t i = 0; i < migrations_count; i++) {
        assert_int_equal(migrations[i].number, last[migrations[i].kind] + 1);
        last[migrations[i].kind]++;
    }
    assert_true(last[STORE_ACCOUNTS] > 0 && last[STORE_USERS] > 0);
    assert_int_equal(apply(p, migrations, migrations_count), ERR_OK);
    /* jabberd2's names (jabberd2.md section 2). */
    static const char *const tables[] = {"active", "logout", "roster-items", "roster-groups",
                                         "queue"};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        char sql[256];
        snprintf(sql, sizeof sql,
                 "SELECT count(*) FROM pragma_table_info('%s') WHERE name IN ('collection-owner', "
                 "'object-sequence')",
                 tables[i]);
        assert_int_equal(number(p->db, sql), 2);
    }
}

/* Step 16 moves the archive: a row for both sides of a message, where there was one for each. */
static void test_archive_before(void **state)
{
    struct place *p = *state;
    struct migration *before = calloc(migrations_count, sizeof *before);
    size_t count = 0;
    for (size_t i = 0; i < migrations_count; i++)
        if (migrations[i].kind == STORE_USERS && migrations[i].number <= ARCHIVE_BEFORE)
            before[count++] = migrations[i];
    assert_int_equal(apply(p, before, count), ERR_OK);
    free(before);
    assert_int_equal(sqlite3_exec(p->db, ARCHIVE_ROWS, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(apply(p, migrations, migrations_count), ERR_OK);
    for (size_t i = 0; i < ARCHIVE_AFTER; i++)
        assert_int_equal(number(p->db, archive_after[i]), 1);
    assert_int_equal(number(p->db, "SELECT count(*) FROM \"mam\""), 3);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_new_database),
        TEST(test_older_database_is_backed_up),
        TEST(test_interrupted),
        TEST(test_killed_between_steps),
        TEST(test_newer_database_is_refused),
        TEST(test_strange_databases_are_refused),
        TEST(test_other_kind_is_refused),
        TEST(test_published_steps),
        TEST(test_archive_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
