/* Inside store/ only: our portable SQL in PostgreSQL's words, and PostgreSQL's errors in ours. */
#ifndef JACKDAW_STORE_POSTGRES_SQL_H
#define JACKDAW_STORE_POSTGRES_SQL_H

#include "base/buffer.h"
#include "store/driver.h"

enum { POSTGRES_SQL_MAX = 65536 }; /* bytes of one statement or migration step */

/* A statement of statements.def: ?1 becomes $1. One whose `unchanged` is an error fails with
 * POSTGRES_UNCHANGED when it changes no row, and with it fails the transaction: that is found on
 * the server, without a round trip more. */
void postgres_sql_statement(struct buffer *to, const char *sql, bool must_change);
/* The SQL of a migration step: SQLite's types and table options are replaced. Text sorts by its
 * bytes, as in SQLite. */
void postgres_sql_schema(struct buffer *to, const char *sql);

/* What an SQLSTATE means for the request that got it. */
enum postgres_fault {
    POSTGRES_UNCHANGED, /* see above */
    POSTGRES_AGAIN,     /* deadlock, serialization failure, time-out: the same may work now */
    POSTGRES_AWAY,      /* this connection is of no use any more: open another */
    POSTGRES_REFUSED    /* an error of the request or of the database: see postgres_sql_error */
};
enum postgres_fault postgres_sql_fault(const char *sqlstate); /* NULL: no answer came: AWAY */
enum error postgres_sql_error(const char *sqlstate);          /* STORE_FULL, TOO_BIG, STORE */

#endif
