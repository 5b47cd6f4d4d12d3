/* Inside store/ only: the connection through which everything is written, and read what was
 * written just before. Requests that wait are run together in one transaction (group commit); the
 * next begins when the last is committed.
 *
 * A request that fails takes nobody with it: the transaction is rolled back and run again
 * carefully, each request behind a savepoint. A transaction whose outcome is not known because the
 * connection was lost is run again, too, and does nothing when it finds its own mark.
 */
#ifndef JACKDAW_STORE_POSTGRES_WRITER_H
#define JACKDAW_STORE_POSTGRES_WRITER_H

#include "base/random.h"
#include "store/postgres_conn.h"

struct postgres_writer;

struct postgres_writer_owner {
    struct store *store;
    struct random *random;
    const struct postgres_target *target;
    /* These requests have their results. */
    void (*done)(void *arg, struct txn_list *list);
    /* The database refuses or is away (why), or works (NULL). */
    void (*health)(void *arg, const char *why);
    void *arg;
};

struct postgres_writer *postgres_writer_create(const struct postgres_writer_owner *owner);
void postgres_writer_destroy(struct postgres_writer *w); /* NULL is fine; its requests are lost */
bool postgres_writer_adopt(struct postgres_writer *w, PGconn *handle); /* postgres_conn_adopt */
void postgres_writer_submit(struct postgres_writer *w, struct store_txn *t);
void postgres_writer_run(
    struct postgres_writer *w); /* begins what waits, if nothing is under way */
/* Fails what has waited for POSTGRES_TIMEOUT_MS. */
void postgres_writer_expire(struct postgres_writer *w, uint64_t now);
bool postgres_writer_idle(const struct postgres_writer *w);
/* Simulation and closing: blocks until everything submitted before is done or the connection is
 * lost. */
void postgres_writer_wait(struct postgres_writer *w);
/* Takes the writer's mark out of the database; blocks; the last call but destroy. */
void postgres_writer_leave(struct postgres_writer *w);

/* --- shared with the readers --- */
/* A cell of a result in binary: a number, or bytes as TEXT, borrowed. */
struct value postgres_writer_cell(const PGresult *result, int row, int column);
/* The rows of a read; false when they are more than STORE_RESULT_MAX. */
bool postgres_writer_rows(struct store_txn *t, const PGresult *result);
/* Moves those that have waited for POSTGRES_TIMEOUT_MS from `from` to `expired`, with an error. */
void postgres_writer_take_expired(struct txn_list *from, uint64_t now, struct txn_list *expired);

#endif
