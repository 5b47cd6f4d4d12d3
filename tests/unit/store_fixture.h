/* What the tests of store/ share: a store of any driver in a place of its own, and waiting for
 * callbacks. A durable store is SQLite in a file, or PostgreSQL when the environment names a
 * database in JACKDAW_TEST_POSTGRES (tests/postgres.py does): the same tests then run there. */
#ifndef JACKDAW_TESTS_STORE_FIXTURE_H
#define JACKDAW_TESTS_STORE_FIXTURE_H

#include "unit.h"

#include "loop/loop.h"
#include "store/accounts.h"
#include "store/users.h"

enum { RESULTS_MAX = 4096, CELL_MAX = 64, FIXTURE_URL = 256 };

struct fixture {
    bool durable; /* else in memory, on a simulated loop */
    enum store_kind kind;
    char dir[64];
    struct loop *loop;
    struct store *store;
    /* Callbacks, in the order in which they came. */
    size_t count, wanted;
    int tags[RESULTS_MAX];
    enum error errors[RESULTS_MAX];
    /* The rows of the last read. */
    size_t rows;
    char cells[64][10][CELL_MAX]; /* text; numbers printed; "NULL" */
};

/* A callback's argument: which one it is. */
struct tag {
    struct fixture *f;
    int number;
};

bool fixture_on_postgres(void);
/* The URL of a durable store NAME below `dir`, and with `fresh` an empty one there. */
void fixture_url(const char *dir, const char *name, bool fresh, char url[FIXTURE_URL]);
void fixture_open(struct fixture *f, bool durable, enum store_kind kind);
void fixture_reopen(
    struct fixture *f);                /* closes and opens again; a store in memory is then empty */
void fixture_close(struct fixture *f); /* removes the files, too */
/* For callbacks: the tag is freed. Numbers count from 0 in the order of the calls of fixture_tag.
 */
struct tag *fixture_tag(struct fixture *f, int number);
void fixture_on_done(void *arg, enum error e, const struct store_rows *rows);
/* Runs the loop until `wanted` callbacks have come since the fixture was opened. */
void fixture_wait(struct fixture *f, size_t wanted);
/* Commits or reads and waits. */
enum error fixture_commit(struct fixture *f, struct store_txn *t);
/* For cmocka: *state is a fixture of that kind. */
int fixture_durable_users(void **state);
int fixture_memory_users(void **state);
int fixture_durable_accounts(void **state);
int fixture_memory_accounts(void **state);
int fixture_tear_down(void **state);

/* Runs a read to its end; rows are then in the fixture. */
#define READ(f, call)                                                                              \
    do {                                                                                           \
        call;                                                                                      \
        fixture_wait(f, (f)->count + 1);                                                           \
        assert_int_equal((f)->errors[(f)->count - 1], ERR_OK);                                     \
    } while (0)
#define DONE(f)          fixture_on_done, fixture_tag(f, 0)
#define COMMIT(f, write) assert_int_equal(fixture_commit(f, write), ERR_OK)

#endif
