/* The store's promises, the same for every driver: order, read-your-writes, all or nothing,
 * failures that stay alone, errors of the disk, and durability of what was acknowledged. */
#include "store_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faulty_vfs.h"

#define OWNER STR("romeo@montague.example")

static int teardown(void **state)
{
    faulty_vfs_fail(SQLITE_OK, SQLITE_OK);
    return fixture_tear_down(state);
}

static void push(struct fixture *f, uint64_t id, uint32_t quota)
{
    char xml[32];
    int len = snprintf(xml, sizeof xml, "<m id='%d'/>", (int)id);
    store_commit(
        queue_push(store_begin(f->store), OWNER, id, (struct str){xml, (size_t)len}, quota),
        fixture_on_done, fixture_tag(f, (int)id));
}

static void read_count(struct fixture *f, int number)
{
    queue_count(f->store, OWNER, fixture_on_done, fixture_tag(f, number));
}

static void test_order(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 900; i++) {
        if (i % 7 == 3)
            read_count(f, i);
        else
            push(f, (uint64_t)i, 10000);
    }
    assert_int_equal(f->count, 0); /* never within the call */
    fixture_wait(f, 900);
    for (int i = 0; i < 900; i++) {
        assert_int_equal(f->tags[i], i);
        assert_int_equal(f->errors[i], ERR_OK);
    }
    assert_int_equal(store_pending(f->store), 0);
}

static void test_read_sees_writes_before_it(void **state)
{
    struct fixture *f = *state;
    for (int i = 1; i <= 50; i++) {
        push(f, (uint64_t)i, 1000);
        read_count(f, 0);
        fixture_wait(f, (size_t)i * 2);
        assert_int_equal(f->rows, 1);
        assert_int_equal(atoi(f->cells[0][0]), i);
    }
    /* All at once. */
    push(f, 51, 1000);
    push(f, 52, 1000);
    read_count(f, 0);
    push(f, 53, 1000);
    assert_int_equal(store_pending(f->store), 3);
    fixture_wait(f, 104);
    assert_int_equal(atoi(f->cells[0][0]), 52);
}

static void test_all_or_nothing(void **state)
{
    struct fixture *f = *state;
    push(f, 1, 1);
    /* The push is over the quota: the activation in the same transaction must not stand. */
    struct store_txn *t = users_activate(store_begin(f->store), OWNER, 5);
    t = queue_push(t, OWNER, 2, STR("<m/>"), 1);
    store_commit(t, fixture_on_done, fixture_tag(f, 2));
    /* Nor when it comes first. */
    t = queue_push(store_begin(f->store), OWNER, 3, STR("<m/>"), 1);
    t = users_activate(t, OWNER, 6);
    store_commit(t, fixture_on_done, fixture_tag(f, 3));
    users_get(f->store, OWNER, fixture_on_done, fixture_tag(f, 4));
    fixture_wait(f, 4);
    assert_int_equal(f->errors[0], ERR_OK);
    assert_int_equal(f->errors[1], ERR_FULL);
    assert_int_equal(f->errors[2], ERR_FULL);
    assert_int_equal(f->rows, 0);
}

static void test_failure_stays_alone(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 100; i++)
        push(f, (uint64_t)i, i % 10 == 9 ? 1 : 1000); /* every tenth is refused */
    push(f, 50, 1000); /* this id is there already: the database itself refuses */
    read_count(f, 0);
    fixture_wait(f, 102);
    for (int i = 0; i < 100; i++)
        assert_int_equal(f->errors[i], i % 10 == 9 ? ERR_FULL : ERR_OK);
    assert_int_equal(f->errors[100], ERR_STORE);
    assert_int_equal(atoi(f->cells[0][0]),
                     90); /* the counter was rolled back with the refused push */
}

static void test_empty_transaction(void **state)
{
    struct fixture *f = *state;
    push(f, 1, 10);
    store_commit(store_begin(f->store), fixture_on_done, fixture_tag(f, 2));
    push(f, 3, 10);
    fixture_wait(f, 3);
    assert_int_equal(f->tags[1], 2);
    assert_int_equal(f->errors[1], ERR_OK);
    store_discard(queue_push(store_begin(f->store), OWNER, 4, STR("<m/>"), 10));
    store_discard(NULL);
    read_count(f, 0);
    fixture_wait(f, 4);
    assert_int_equal(atoi(f->cells[0][0]), 2);
}

static void test_large_values(void **state)
{
    struct fixture *f = *state;
    size_t size = 5u << 20;
    char *xml = malloc(40u << 20);
    memset(xml, 'x', 40u << 20);
    store_commit(queue_push(store_begin(f->store), OWNER, 1, (struct str){xml, size}, 10),
                 fixture_on_done, fixture_tag(f, 0));
    store_commit(queue_push(store_begin(f->store), OWNER, 2, (struct str){xml, 40u << 20}, 10),
                 fixture_on_done, fixture_tag(f, 1));
    read_count(f, 2);
    fixture_wait(f, 3);
    free(xml);
    assert_int_equal(f->errors[0], ERR_OK);
    assert_int_equal(f->errors[1], ERR_TOO_BIG);
    assert_int_equal(atoi(f->cells[0][0]), 1);
}

static void on_exact(void *arg, enum error e, const struct store_rows *rows)
{
    struct fixture *f = arg;
    assert_int_equal(e, ERR_OK);
    assert_int_equal(store_rows_count(rows), 2);
    assert_true(str_is(store_text(rows, 0, 0), "a@x"));
    assert_null(store_text(rows, 0, 1).data);        /* NULL stays NULL */
    assert_true(str_is(store_text(rows, 1, 1), "")); /* and "" stays "" */
    assert_true(str_is(store_text(rows, 1, 9), "<p>\xc3\xa9</p>"));
    assert_int_equal(store_int(rows, 1, 8), INT64_MAX);
    assert_null(store_text(rows, 2, 0).data); /* outside: absent */
    assert_null(store_text(rows, 0, 10).data);
    assert_int_equal(store_int(rows, 7, 0), 0);
    f->count++;
    loop_stop(f->loop);
}

static void test_values_come_back_exactly(void **state)
{
    struct fixture *f = *state;
    struct roster_row a = {.jid = STR("a@x"), .version = 1};
    struct roster_row b = {.jid = STR("b@x"),
                           .name = STR(""),
                           .version = INT64_MAX,
                           .pending_xml = STR("<p>\xc3\xa9</p>")};
    assert_int_equal(
        fixture_commit(f, roster_set(roster_set(store_begin(f->store), OWNER, &a, NULL, 0), OWNER,
                                     &b, NULL, 0)),
        ERR_OK);
    roster_load(f->store, OWNER, on_exact, f);
    fixture_wait(f, 2);
}

static void count_only(void *arg, enum error e, const struct store_rows *rows)
{
    struct fixture *f = arg;
    f->count++;
    f->errors[f->count - 1] = e;
}

static void test_close_cancels_and_still_writes(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 500; i++)
        store_commit(queue_push(store_begin(f->store), OWNER, (uint64_t)i, STR("<m/>"), 1000),
                     count_only, f);
    queue_count(f->store, OWNER, count_only, f);
    store_close(f->store);
    assert_int_equal(f->count, 501);
    for (int i = 0; i < 501; i++)
        assert_int_equal(f->errors[i], ERR_CANCELLED);
    f->store = NULL;
    if (!f->durable)
        return;
    fixture_reopen(f);
    read_count(f, 0);
    fixture_wait(f, 1);
    assert_int_equal(atoi(f->cells[0][0]), 500);
}

static void on_cancelled_try_again(void *arg, enum error e, const struct store_rows *rows)
{
    struct fixture *f = arg;
    assert_int_equal(e, ERR_CANCELLED);
    if (f->count++ < 3)
        queue_count(f->store, OWNER, on_cancelled_try_again, f);
}

/* A callback that does not give up must not keep the store open, nor touch what is gone. */
static void test_requests_while_closing(void **state)
{
    struct fixture *f = *state;
    queue_count(f->store, OWNER, on_cancelled_try_again, f);
    store_close(f->store);
    f->store = NULL;
    assert_int_equal(f->count, 4);
}

static void test_sequence(void **state)
{
    struct fixture *f = *state;
    uint64_t last = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t next = store_sequence(f->store);
        assert_true(next > last);
        last = next;
    }
    if (!f->durable)
        return;
    /* Again after a restart, and with a clock that has gone back by years. */
    char url[FIXTURE_URL], why[256];
    fixture_url(f->dir, "test", false, url);
    store_close(f->store);
    loop_destroy(f->loop);
    f->loop = loop_create_sim(1000);
    assert_int_equal(
        store_open(f->loop, (struct log){0}, STORE_USERS, url, &f->store, why, sizeof why), ERR_OK);
    assert_true(store_sequence(f->store) > last);
}

/* --- a disk that fails (SQLite only) --- */

static void test_full_disk(void **state)
{
    struct fixture *f = *state;
    push(f, 1, 100);
    fixture_wait(f, 1);
    faulty_vfs_fail(SQLITE_FULL, SQLITE_OK);
    push(f, 2, 100);
    push(f, 3, 100);
    read_count(f, 0); /* saw them inside the transaction that is gone, and is asked again */
    fixture_wait(f, 4);
    assert_int_equal(f->errors[1], ERR_STORE_FULL);
    assert_int_equal(f->errors[2], ERR_STORE_FULL);
    assert_int_equal(f->errors[3], ERR_OK);
    assert_int_equal(atoi(f->cells[0][0]), 1);
    faulty_vfs_fail(SQLITE_OK, SQLITE_OK);
    push(f, 4, 100);
    read_count(f, 0);
    fixture_wait(f, 6);
    assert_int_equal(f->errors[4], ERR_OK);
    assert_int_equal(atoi(f->cells[0][0]), 2);
}

static void fail_and_recover(struct fixture *f, int on_write, int on_sync)
{
    push(f, 1, 100);
    fixture_wait(f, 1);
    for (int round = 0; round < 3; round++) {
        size_t before = f->count;
        faulty_vfs_fail(on_write, on_sync);
        for (int i = 0; i < 20; i++)
            push(f, (uint64_t)(100 + i), 100);
        fixture_wait(f, before + 20);
        for (size_t i = before; i < before + 20; i++)
            assert_int_equal(f->errors[i], ERR_STORE);
        faulty_vfs_fail(SQLITE_OK, SQLITE_OK);
        push(f, (uint64_t)(2 + round), 100);
        fixture_wait(f, before + 21);
        assert_int_equal(f->errors[before + 20], ERR_OK);
    }
    queue_load(f->store, OWNER, 0, 50, fixture_on_done, fixture_tag(f, 0));
    fixture_wait(f, f->count + 1);
    /* What was acknowledged is there. (What failed at its fsync may be, too: it was never
     * acknowledged.) */
    assert_true(f->rows >= 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(atoi(f->cells[i][0]), i + 1);
}

static void test_write_error(void **state)
{
    fail_and_recover(*state, SQLITE_IOERR_WRITE, SQLITE_OK);
}

static void test_fsync_error(void **state)
{
    fail_and_recover(*state, SQLITE_OK, SQLITE_IOERR_FSYNC);
}

/* --- opening --- */

static enum error try_open(const char *url, enum store_kind kind, char why[512])
{
    struct loop *l = loop_create();
    struct store *s = NULL;
    enum error e = store_open(l, (struct log){0}, kind, url, &s, why, 512);
    store_close(s);
    loop_destroy(l);
    return e;
}

static void test_open_errors(void **state)
{
    struct fixture *f = *state;
    char why[512], url[160], path[128];
    assert_int_equal(try_open("mysql:x", STORE_USERS, why), ERR_INVALID);
    assert_non_null(strstr(why, "sqlite:PATH"));
    assert_int_equal(try_open("sqlite:", STORE_USERS, why), ERR_INVALID);
    snprintf(url, sizeof url, "sqlite:%s/none/x.db", f->dir);
    assert_int_not_equal(try_open(url, STORE_USERS, why), ERR_OK);
    assert_non_null(strstr(why, "none/x.db"));
    snprintf(path, sizeof path, "%s/text", f->dir);
    FILE *text = fopen(path, "w");
    for (int i = 0; i < 500; i++)
        fputs("this is no database\n", text);
    fclose(text);
    snprintf(url, sizeof url, "sqlite:%s", path);
    assert_int_equal(try_open(url, STORE_USERS, why), ERR_INVALID);
    /* The other one of our databases. */
    snprintf(url, sizeof url, "sqlite:%s/test.db", f->dir);
    assert_int_equal(try_open(url, STORE_ACCOUNTS, why), ERR_INVALID);
    assert_non_null(strstr(why, "other database"));
}

/* --- kill -9 --- */

struct victim {
    struct fixture f;
    int pipe;
    uint64_t next;
};

static void victim_push(struct victim *v);

static void on_acknowledged(void *arg, enum error e, const struct store_rows *rows)
{
    struct victim *v = arg;
    uint64_t acknowledged = v->f.count++;
    if (e != ERR_OK || write(v->pipe, &acknowledged, sizeof acknowledged) != sizeof acknowledged)
        _exit(1);
    if (v->f.count == v->f.wanted)
        kill(getpid(), SIGKILL);
    victim_push(v);
}

static void victim_push(struct victim *v)
{
    struct store_txn *t = queue_push(store_begin(v->f.store), OWNER, v->next, STR("<m/>"), 100000);
    v->next++;
    store_commit(t, on_acknowledged, v);
}

static _Noreturn void be_killed(const char *dir, int fd, size_t after)
{
    struct victim v = {.pipe = fd};
    char url[FIXTURE_URL], why[512];
    fixture_url(dir, "killed", false, url);
    v.f.loop = loop_create();
    if (store_open(v.f.loop, (struct log){0}, STORE_USERS, url, &v.f.store, why, sizeof why) !=
        ERR_OK)
        _exit(1);
    v.f.wanted = after;
    for (int i = 0; i < 30; i++)
        victim_push(&v);
    loop_run(v.f.loop);
    _exit(1);
}

static void on_survivors(void *arg, enum error e, const struct store_rows *rows)
{
    struct fixture *f = arg;
    assert_int_equal(e, ERR_OK);
    f->rows = store_rows_count(rows);
    for (size_t i = 0; i < f->rows; i++)
        assert_int_equal(store_int(rows, i, 0), i + 1); /* in order, without a gap */
    loop_stop(f->loop);
}

static void check_survivors(const char *dir, uint64_t acknowledged)
{
    struct fixture f = {.durable = true};
    char url[FIXTURE_URL], why[512];
    fixture_url(dir, "killed", false, url);
    f.loop = loop_create();
    assert_int_equal(
        store_open(f.loop, (struct log){0}, STORE_USERS, url, &f.store, why, sizeof why), ERR_OK);
    queue_load(f.store, OWNER, 0, 1000000, on_survivors, &f);
    loop_run(f.loop);
    assert_true(f.rows >= acknowledged);
    store_close(f.store);
    loop_destroy(f.loop);
}

static void test_killed(void **state)
{
    static const size_t deaths[] = {1, 2, 31, 100, 777};
    char dir[] = "/tmp/jackdaw-killed-XXXXXX", path[128];
    (void)state;
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < sizeof deaths / sizeof *deaths; i++) {
        int ends[2], status;
        uint64_t last = 0, got;
        char url[FIXTURE_URL];
        fixture_url(dir, "killed", true, url);
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        if (child == 0)
            be_killed(dir, ends[1], deaths[i]);
        close(ends[1]);
        while (read(ends[0], &got, sizeof got) == sizeof got)
            last = got + 1;
        close(ends[0]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_int_equal(last, deaths[i]);
        /* queue_load is asked from 0 on, exclusive: message 0 is not in it. */
        check_survivors(dir, last - 1);
        for (int n = 0; n < 3; n++) {
            static const char *const names[] = {"", "-wal", "-shm"};
            snprintf(path, sizeof path, "%s/killed.db%s", dir, names[n]);
            unlink(path);
        }
    }
    rmdir(dir);
}

/* --- several processes on one database (two session managers; `jackdaw user` beside a server) ---
 */

enum { PROCESSES = 6, EACH = 200 };

/* Opens the database, possibly first of all, and writes into it. Exit code 0 when all went well. */
static _Noreturn void be_one_of_many(const char *url, int number, int start)
{
    struct fixture f = {.durable = true, .wanted = EACH};
    char why[512], owner[32], go;
    int len = snprintf(owner, sizeof owner, "user%d@x", number);
    if (read(start, &go, 1) != 0) /* the parent closes it: all begin together */
        _exit(2);
    f.loop = loop_create();
    if (store_open(f.loop, (struct log){0}, STORE_USERS, url, &f.store, why, sizeof why) !=
        ERR_OK) {
        fprintf(stderr, "%s\n", why);
        _exit(3);
    }
    for (int i = 1; i <= EACH; i++) {
        struct store_txn *t = store_begin(f.store);
        t = queue_push(t, (struct str){owner, (size_t)len}, (uint64_t)i, STR("<m/>"), 1000);
        store_commit(t, fixture_on_done, fixture_tag(&f, i));
    }
    loop_run(f.loop);
    for (size_t i = 0; i < f.count; i++)
        if (f.errors[i] != ERR_OK)
            _exit(4);
    store_close(f.store);
    loop_destroy(f.loop);
    _exit(0);
}

static void remove_database(const char *dir, const char *name)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char path[256];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s%s", dir, name, suffixes[i]);
        unlink(path);
    }
    rmdir(dir);
}

static void test_several_processes(void **state)
{
    char dir[] = "/tmp/jackdaw-many-XXXXXX", url[FIXTURE_URL], why[512];
    int start[2], status;
    struct fixture f = {.durable = true};
    (void)state;
    assert_non_null(mkdtemp(dir));
    fixture_url(dir, "many", true, url);
    assert_int_equal(pipe(start), 0);
    for (int i = 0; i < PROCESSES; i++) {
        if (fork() == 0) {
            close(start[1]);
            be_one_of_many(url, i, start[0]);
        }
    }
    close(start[0]);
    close(start[1]);
    for (int i = 0; i < PROCESSES; i++) {
        assert_true(wait(&status) > 0);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    f.loop = loop_create();
    assert_int_equal(
        store_open(f.loop, (struct log){0}, STORE_USERS, url, &f.store, why, sizeof why), ERR_OK);
    for (int i = 0; i < PROCESSES; i++) {
        char owner[32];
        int len = snprintf(owner, sizeof owner, "user%d@x", i);
        queue_count(f.store, (struct str){owner, (size_t)len}, fixture_on_done, fixture_tag(&f, i));
        fixture_wait(&f, (size_t)i + 1);
        assert_int_equal(atoi(f.cells[0][0]), EACH);
    }
    store_close(f.store);
    loop_destroy(f.loop);
    remove_database(dir, "many.db");
}

/* --- what may wait for company --- */

static void push_later(struct fixture *f, struct str owner, uint64_t id, uint32_t quota,
                       uint32_t within)
{
    store_commit_later(queue_push(store_begin(f->store), owner, id, STR("<m/>"), quota), within,
                       fixture_on_done, fixture_tag(f, (int)id));
}

/* A read takes along what waits, and sees it. */
static void test_later_is_seen(void **state)
{
    struct fixture *f = *state;
    push_later(f, OWNER, 1, 10, 3600000);
    push_later(f, OWNER, 2, 10, 3600000);
    assert_int_equal(store_pending(f->store), 2);
    read_count(f, 3);
    fixture_wait(f, 3);
    assert_int_equal(atoi(f->cells[0][0]), 2);
    for (int i = 0; i < 3; i++)
        assert_int_equal(f->tags[i], i + 1);
    /* So does a change that does not wait. */
    push_later(f, OWNER, 4, 10, 3600000);
    push(f, 5, 10);
    fixture_wait(f, 5);
    assert_int_equal(f->tags[3], 4);
    assert_int_equal(f->errors[3], ERR_OK);
}

/* Alone it goes when its time has come; the shortest time counts. */
static void test_later_by_itself(void **state)
{
    struct fixture *f = *state;
    push_later(f, OWNER, 1, 10, 3600000);
    push_later(f, OWNER, 2, 10, 20);
    assert_int_equal(f->count, 0);
    fixture_wait(f, 2);
    assert_int_equal(f->errors[1], ERR_OK);
    assert_int_equal(store_pending(f->store), 0);
}

/* Owners are brought together, each one's changes in their order, callbacks in that of the calls.
 */
static void test_later_keeps_order(void **state)
{
    struct fixture *f = *state;
    struct str owners[] = {STR("romeo@montague.example"), STR("juliet@capulet.example"),
                           STR("romeo@montague.exampl")};
    for (int i = 0; i < 300; i++) /* the last of each is over its quota */
        push_later(f, owners[i % 3], (uint64_t)i, 99, 10);
    fixture_wait(f, 300);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(f->tags[i], i);
        assert_int_equal(f->errors[i], i < 297 ? ERR_OK : ERR_FULL);
    }
}

static void test_later_closed(void **state)
{
    struct fixture *f = *state;
    push_later(f, OWNER, 1, 10, 3600000);
    fixture_reopen(f);
    read_count(f, 2);
    fixture_wait(f, f->count + 1);
    assert_int_equal(atoi(f->cells[0][0]), 1);
}

#define BOTH(test)                                                                                 \
    cmocka_unit_test_setup_teardown(test, fixture_durable_users, teardown),                        \
        cmocka_unit_test_setup_teardown(test, fixture_memory_users, teardown)
#define SQLITE(test) cmocka_unit_test_setup_teardown(test, fixture_durable_users, teardown)

static int run_sqlite_tests(void)
{
    const struct CMUnitTest tests[] = {
        SQLITE(test_full_disk),
        SQLITE(test_write_error),
        SQLITE(test_fsync_error),
        SQLITE(test_open_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* --- two loops of one process, on threads of their own, with one database --- */

struct one_loop {
    struct fixture f;
    pthread_t thread;
    struct shared *shared;
    struct str owner;
};

static void *run_one_loop(void *arg)
{
    struct one_loop *l = arg;
    for (int i = 1; i <= EACH; i++) {
        struct store_txn *t = store_begin(l->f.store);
        t = queue_push(t, l->owner, (uint64_t)i, STR("<m/>"), 1000);
        store_commit(t, fixture_on_done, fixture_tag(&l->f, i));
        if (i % 10 == 0)
            queue_count(l->f.store, l->owner, fixture_on_done, fixture_tag(&l->f, i));
    }
    loop_run(l->f.loop);
    return NULL;
}

static void test_several_loops(void **state)
{
    struct one_loop loops[2] = {{.f.durable = true, .owner = STR("a@x")},
                                {.f.durable = true, .owner = STR("b@x")}};
    struct shared *shared = shared_create();
    char dir[] = "/tmp/jackdaw-loops-XXXXXX", url[FIXTURE_URL], why[512];
    (void)state;
    assert_non_null(mkdtemp(dir));
    fixture_url(dir, "loops", true, url);
    for (int i = 0; i < 2; i++) {
        struct fixture *f = &loops[i].f;
        f->wanted = EACH + EACH / 10;
        f->loop = loop_create();
        assert_int_equal(store_open_shared(shared, f->loop, (struct log){0}, STORE_USERS, url,
                                           &f->store, why, sizeof why),
                         ERR_OK);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&loops[i].thread, NULL, run_one_loop, &loops[i]), 0);
    for (int i = 0; i < 2; i++) {
        struct fixture *f = &loops[i].f;
        pthread_join(loops[i].thread, NULL);
        assert_int_equal(f->count, EACH + EACH / 10);
        for (size_t k = 0; k < f->count; k++)
            assert_int_equal(f->errors[k], ERR_OK);
        assert_int_equal(atoi(f->cells[0][0]), EACH); /* the last read saw what was before it */
    }
    /* One closes with work under way; the other goes on. */
    store_commit(queue_push(store_begin(loops[0].f.store), STR("a@x"), 5000, STR("<m/>"), 1000),
                 fixture_on_done, fixture_tag(&loops[0].f, 0));
    store_close(loops[0].f.store);
    loops[0].f.count = 0;
    queue_count(loops[1].f.store, STR("a@x"), fixture_on_done, fixture_tag(&loops[1].f, 0));
    fixture_wait(&loops[1].f, loops[1].f.count + 1);
    assert_int_equal(atoi(loops[1].f.cells[0][0]), EACH + 1);
    store_close(loops[1].f.store);
    for (int i = 0; i < 2; i++)
        loop_destroy(loops[i].f.loop);
    shared_destroy(shared);
    remove_database(dir, "loops.db");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_several_processes),
        cmocka_unit_test(test_several_loops),
        BOTH(test_order),
        BOTH(test_read_sees_writes_before_it),
        BOTH(test_all_or_nothing),
        BOTH(test_failure_stays_alone),
        BOTH(test_empty_transaction),
        BOTH(test_large_values),
        BOTH(test_values_come_back_exactly),
        BOTH(test_close_cancels_and_still_writes),
        BOTH(test_requests_while_closing),
        BOTH(test_sequence),
        BOTH(test_later_is_seen),
        BOTH(test_later_by_itself),
        BOTH(test_later_keeps_order),
        SQLITE(test_later_closed),
    };
    faulty_vfs_install();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed + (fixture_on_postgres() ? 0 : run_sqlite_tests());
}
