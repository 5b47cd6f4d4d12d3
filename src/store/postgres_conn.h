/* Inside store/ only: one connection to PostgreSQL in pipeline mode. It is opened (name look-up,
 * TLS, password: all that may block) on a pool thread, then lives on the loop; lost, it is opened
 * again by itself, later each time, with jitter. What is sent leaves when the loop's turn ends;
 * results come back in the order of sending.
 *
 * On a simulated loop, which cannot watch sockets, postgres_conn_wait moves everything.
 */
#ifndef JACKDAW_STORE_POSTGRES_CONN_H
#define JACKDAW_STORE_POSTGRES_CONN_H

#include <libpq-fe.h>
#include "base/random.h"
#include "store/driver.h"

enum {
    POSTGRES_TIMEOUT_MS = 10000,  /* how long a request waits for the database */
    POSTGRES_STATEMENT_MS = 8000, /* how long one statement may run, locks included */
    POSTGRES_CONNECT_S = 5,
    POSTGRES_RETRY_MS = 100,
    POSTGRES_RETRY_MAX_MS = 2000 /* between attempts to connect, plus half in jitter */
};

/* What a connection is opened with; shared by a store's connections and outlives them. */
enum { POSTGRES_SHOWN = 256 };
struct postgres_target {
    const char *url;    /* postgresql://... */
    const char *schema; /* of the tables */
    const char *shown;  /* "HOST/DATABASE": for messages, without a password */
};

enum postgres_step_kind {
    POSTGRES_CONTROL,
    POSTGRES_MARK,
    POSTGRES_PREPARE,
    POSTGRES_STATEMENT,
    POSTGRES_SYNC
};
struct postgres_step {
    enum postgres_step_kind kind;
    uint16_t statement;  /* of PREPARE and STATEMENT */
    struct store_txn *t; /* of PREPARE and STATEMENT */
};

struct postgres_events {
    /* Connected, and everything that was under way is forgotten. */
    void (*on_ready)(void *arg);
    /* Of CONTROL, MARK and STATEMENT, or an error of PREPARE; the result is borrowed. What was
     * skipped because of an earlier error comes with PGRES_PIPELINE_ABORTED. */
    void (*on_result)(void *arg, const struct postgres_step *step, const PGresult *result);
    void (*on_sync)(void *arg);
    /* The connection is gone; `why` for the operator. */
    void (*on_lost)(void *arg, const char *why);
};

struct postgres_conn;

struct postgres_conn *postgres_conn_create(struct loop *l, struct random *random,
                                           const struct postgres_target *target,
                                           const struct postgres_events *events, void *arg);
void postgres_conn_destroy(struct postgres_conn *c); /* no events any more; NULL is fine */
/* Blocks: whether nobody answers there, or takes nobody yet. */
bool postgres_conn_away(const char *url);
/* Blocks; for those who have no loop to wait on. Not in pipeline mode. NULL, and a sentence in
 * `why`. */
PGconn *postgres_conn_connect(const struct postgres_target *target, char *why, size_t why_size);
/* Takes a connection made by the above; false, and it stays the caller's, when it is of no use. */
bool postgres_conn_adopt(struct postgres_conn *c, PGconn *handle);
/* Begins to connect, in the background; does nothing when it has begun. */
void postgres_conn_open(struct postgres_conn *c);
bool postgres_conn_ready(const struct postgres_conn *c);
size_t postgres_conn_steps(const struct postgres_conn *c); /* sent and not yet answered */
/* Gives the connection up, as if it had been lost: on_lost comes within the call. */
void postgres_conn_drop(struct postgres_conn *c, const char *why);

/* --- into the pipeline; what fails here is reported by on_lost, in a later turn --- */
void postgres_conn_control(struct postgres_conn *c, const char *sql);
/* The values are those that follow in the request. */
void postgres_conn_statement(struct postgres_conn *c, enum store_statement id, struct store_txn *t,
                             struct request_cursor *values);
/* Sends requests from `t` on (by `next`) as one statement when there are several that can be: how
 * many, or 0. What happens to it is told of the first of them. */
size_t postgres_conn_many(struct postgres_conn *c, struct store_txn *t);
/* Writes down in the database that this writer has come to this batch; fails with
 * POSTGRES_UNCHANGED when it had already. */
void postgres_conn_mark(struct postgres_conn *c, const char *writer, uint64_t batch);
void postgres_conn_sync(struct postgres_conn *c);
/* Simulation and closing: blocks until every step is answered or the connection is lost. */
void postgres_conn_wait(struct postgres_conn *c);

#endif
