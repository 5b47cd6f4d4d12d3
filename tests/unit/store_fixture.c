/* See store_fixture.h. */
#include "store_fixture.h"

#include <dirent.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <unistd.h>

#include "base/mem.h"

bool fixture_on_postgres(void)
{
    return getenv("JACKDAW_TEST_POSTGRES") != NULL;
}

static void empty_database(const char *url)
{
    PGconn *c = PQconnectdb(url);
    PGresult *r = PQexec(c, "SET client_min_messages TO warning;"
                            "DROP SCHEMA IF EXISTS jackdaw_users CASCADE;"
                            "DROP SCHEMA IF EXISTS jackdaw_accounts CASCADE");
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", url, PQerrorMessage(c));
    PQclear(r);
    PQfinish(c);
}

void fixture_url(const char *dir, const char *name, bool fresh, char url[FIXTURE_URL])
{
    if (!fixture_on_postgres()) {
        snprintf(url, FIXTURE_URL, "sqlite:%s/%s.db", dir, name);
        return;
    }
    snprintf(url, FIXTURE_URL, "%s", getenv("JACKDAW_TEST_POSTGRES"));
    if (fresh)
        empty_database(url);
}

static void open_store(struct fixture *f, bool fresh)
{
    char url[FIXTURE_URL], why[512] = "";
    if (f->durable)
        fixture_url(f->dir, "test", fresh, url);
    else
        snprintf(url, sizeof url, "memory:");
    f->loop = f->durable ? loop_create() : loop_create_sim(1795000000000);
    if (store_open(f->loop, (struct log){0}, f->kind, url, &f->store, why, sizeof why) != ERR_OK)
        fail_msg("cannot open %s: %s", url, why);
    f->count = f->wanted = 0;
}

void fixture_open(struct fixture *f, bool durable, enum store_kind kind)
{
    memset(f, 0, sizeof *f);
    f->durable = durable;
    f->kind = kind;
    snprintf(f->dir, sizeof f->dir, "/tmp/jackdaw-store-XXXXXX");
    if (!mkdtemp(f->dir))
        fail_msg("mkdtemp");
    open_store(f, true);
}

void fixture_reopen(struct fixture *f)
{
    store_close(f->store);
    loop_destroy(f->loop);
    open_store(f, false);
}

void fixture_close(struct fixture *f)
{
    store_close(f->store);
    loop_destroy(f->loop);
    DIR *d = opendir(f->dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", f->dir, e->d_name);
        unlink(path);
    }
    if (d)
        closedir(d);
    rmdir(f->dir);
}

struct tag *fixture_tag(struct fixture *f, int number)
{
    struct tag *tag = mem_alloc(sizeof *tag);
    *tag = (struct tag){f, number};
    return tag;
}

static void keep_rows(struct fixture *f, const struct store_rows *rows)
{
    f->rows = store_rows_count(rows);
    for (size_t i = 0; i < f->rows && i < 64; i++) {
        for (unsigned c = 0; c < 10; c++) {
            struct str text = store_text(rows, i, c);
            if (text.data)
                snprintf(f->cells[i][c], CELL_MAX, "%.*s", STR_ARG(text));
            else
                snprintf(f->cells[i][c], CELL_MAX, "%" PRId64, store_int(rows, i, c));
        }
    }
}

void fixture_on_done(void *arg, enum error e, const struct store_rows *rows)
{
    struct tag *tag = arg;
    struct fixture *f = tag->f;
    assert_true(f->count < RESULTS_MAX);
    f->tags[f->count] = tag->number;
    f->errors[f->count] = e;
    f->count++;
    if (rows)
        keep_rows(f, rows);
    free(tag);
    if (f->count >= f->wanted)
        loop_stop(f->loop);
}

void fixture_wait(struct fixture *f, size_t wanted)
{
    f->wanted = wanted;
    if (f->count >= wanted)
        return;
    if (f->durable) {
        loop_run(f->loop);
    } else {
        for (int waited = 0; f->count < wanted;) {
            if (loop_sim_turn(f->loop))
                continue;
            if (waited++ == 10)
                fail_msg("the loop is idle after %zu of %zu callbacks", f->count, wanted);
            loop_sim_advance(f->loop, 10); /* what waits for company (store_commit_later) */
        }
    }
    assert_true(f->count >= wanted);
}

enum error fixture_commit(struct fixture *f, struct store_txn *t)
{
    store_commit(t, fixture_on_done, fixture_tag(f, 0));
    fixture_wait(f, f->count + 1);
    return f->errors[f->count - 1];
}

/* --- for cmocka --- */

static int set_up(void **state, bool durable, enum store_kind kind)
{
    struct fixture *f = malloc(sizeof *f);
    fixture_open(f, durable, kind);
    *state = f;
    return 0;
}

int fixture_durable_users(void **state)
{
    return set_up(state, true, STORE_USERS);
}

int fixture_memory_users(void **state)
{
    return set_up(state, false, STORE_USERS);
}

int fixture_durable_accounts(void **state)
{
    return set_up(state, true, STORE_ACCOUNTS);
}

int fixture_memory_accounts(void **state)
{
    return set_up(state, false, STORE_ACCOUNTS);
}

int fixture_tear_down(void **state)
{
    fixture_close(*state);
    free(*state);
    return 0;
}
