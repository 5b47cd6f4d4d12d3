/* Moving a database that an earlier version left elsewhere: whatever happens meanwhile, it is
 * there, whole, under one of its two names. */
#include "unit.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "component/database.h"
#include "store/sqlite_move.h"

#define ROWS 200

struct world {
    char dir[64], from[128], to[128], why[1024];
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    (void)snprintf(w->dir, sizeof w->dir, "/tmp/jackdaw-move-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    (void)snprintf(w->from, sizeof w->from, "%s/accounts.db", w->dir);
    (void)snprintf(w->to, sizeof w->to, "%s/accounts/accounts.db", w->dir);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    char command[128];

    (void)snprintf(command, sizeof command, "rm -r %s", w->dir);
    assert_int_equal(system(command), 0);
    free(w);
    return 0;
}

static void make_folder(const struct world *w)
{
    char folder[128];

    (void)snprintf(folder, sizeof folder, "%s/accounts", w->dir);
    assert_int_equal(mkdir(folder, 0700), 0);
}

static bool there(const char *path, const char *suffix)
{
    char full[160];

    (void)snprintf(full, sizeof full, "%s%s", path, suffix);
    return access(full, F_OK) == 0;
}

static void execute(sqlite3 *db, const char *sql)
{
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static sqlite3 *open_database(const char *path)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    return db;
}

/* Its process was killed: all but the first rows are in the log alone. */
static void leave_database(const char *path)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        sqlite3 *db = open_database(path);
        execute(db, "PRAGMA synchronous = OFF; PRAGMA journal_mode = WAL");
        execute(db, "CREATE TABLE t (n INTEGER)");
        execute(db, "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA wal_autocheckpoint = 0");
        for (int i = 0; i < ROWS; i++)
            execute(db, "INSERT INTO t VALUES (1)");
        (void)kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_true(there(path, "-wal"));
}

static void assert_whole(const char *path)
{
    sqlite3 *db = open_database(path);
    sqlite3_stmt *st;

    assert_int_equal(sqlite3_prepare_v2(db, "SELECT sum(n) FROM t", -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(st, 0), ROWS);
    sqlite3_finalize(st);
    sqlite3_close(db);
}

static void with_its_log(void **state)
{
    struct world *w = *state;

    make_folder(w);
    leave_database(w->from);
    assert_int_equal(sqlite_move(w->from, w->to, w->why, sizeof w->why), ERR_OK);
    assert_false(there(w->from, "") || there(w->from, "-wal") || there(w->from, "-shm"));
    assert_whole(w->to);
    /* and once more: there is nothing to do */
    assert_int_equal(sqlite_move(w->from, w->to, w->why, sizeof w->why), ERR_OK);
    assert_whole(w->to);
}

static void somebody_has_it_open(void **state)
{
    struct world *w = *state;
    sqlite3 *db;

    make_folder(w);
    leave_database(w->from);
    db = open_database(w->from);
    execute(db, "BEGIN; SELECT count(*) FROM t");
    assert_int_equal(sqlite_move(w->from, w->to, w->why, sizeof w->why), ERR_BUSY);
    assert_non_null(strstr(w->why, "is in use"));
    assert_false(there(w->to, ""));
    sqlite3_close(db);
    assert_whole(w->from);
    assert_int_equal(sqlite_move(w->from, w->to, w->why, sizeof w->why), ERR_OK);
    assert_whole(w->to);
}

static void two_databases(void **state)
{
    struct world *w = *state;

    make_folder(w);
    leave_database(w->from);
    leave_database(w->to);
    assert_int_equal(sqlite_move(w->from, w->to, w->why, sizeof w->why), ERR_EXISTS);
    assert_non_null(strstr(w->why, w->from));
    assert_whole(w->from);
    assert_whole(w->to);
}

static void no_database(void **state)
{
    struct world *w = *state;
    int fd;

    make_folder(w);
    fd = open(w->from, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "what is this? no database for sure, but rather long", 50), 50);
    close(fd);
    assert_int_equal(sqlite_move(w->from, w->to, w->why, sizeof w->why), ERR_STORE);
    assert_true(there(w->from, ""));
    assert_false(there(w->to, ""));
}

/* kill -9 at any moment, and several at once: the next one finishes it. */
static void killed_in_the_middle(void **state)
{
    struct world *w = *state;

    make_folder(w);
    for (unsigned i = 0; i < 40; i++) {
        pid_t pids[2];
        leave_database(w->from);
        for (int k = 0; k < 2; k++) {
            pids[k] = fork();
            assert_true(pids[k] >= 0);
            if (pids[k] == 0)
                _exit(sqlite_move(w->from, w->to, w->why, sizeof w->why) == ERR_OK ? 0 : 1);
        }
        usleep(i * 100);
        for (int k = 0; k < 2; k++) {
            (void)kill(pids[k], SIGKILL);
            assert_int_equal(waitpid(pids[k], NULL, 0), pids[k]);
        }
        assert_true(there(w->from, "") != there(w->to, ""));
        assert_int_equal(sqlite_move(w->from, w->to, w->why, sizeof w->why), ERR_OK);
        assert_false(there(w->from, ""));
        assert_whole(w->to);
        assert_int_equal(unlink(w->to), 0);
    }
}

/* Where both are, by the settings. */
static void placed(void **state)
{
    struct world *w = *state;
    struct config config = {.store_url = "", .store_accounts_url = ""};
    char url[256], expected[256], folder[256];

    leave_database(w->from);
    (void)snprintf(expected, sizeof expected, "sqlite:%s", w->from);
    database_url(&config, w->dir, STORE_ACCOUNTS, url, sizeof url);
    assert_string_equal(url, expected); /* as long as it is there */
    assert_int_equal(database_place(&config, w->dir, STORE_ACCOUNTS, w->why, sizeof w->why),
                     ERR_OK);
    (void)snprintf(expected, sizeof expected, "sqlite:%s", w->to);
    database_url(&config, w->dir, STORE_ACCOUNTS, url, sizeof url);
    assert_string_equal(url, expected);
    assert_whole(w->to);
    (void)snprintf(expected, sizeof expected, "%s/sm", w->dir);
    assert_true(database_folder(&config, w->dir, STORE_USERS, folder, sizeof folder));
    assert_string_equal(folder, expected);
    config.store_url = "postgresql:///x"; /* serves for both, and nothing is moved */
    assert_false(database_folder(&config, w->dir, STORE_ACCOUNTS, folder, sizeof folder));
    config.store_accounts_url = "sqlite:y.db";
    assert_true(database_folder(&config, w->dir, STORE_ACCOUNTS, folder, sizeof folder));
    assert_string_equal(folder, ".");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(with_its_log), TEST(somebody_has_it_open), TEST(two_databases),
        TEST(no_database),  TEST(killed_in_the_middle), TEST(placed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
