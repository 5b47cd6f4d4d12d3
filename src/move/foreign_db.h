/* Foreign database: another server's tables in SQLite or PostgreSQL, read only, all of them as they
 * are at one instant. Every value is text. */
#ifndef JACKDAW_MOVE_FOREIGN_DB_H
#define JACKDAW_MOVE_FOREIGN_DB_H

#include "move/source.h"

enum { FOREIGN_COLUMNS_MAX = 64, FOREIGN_VALUE_MAX = 64 << 20 };

struct foreign_db;
struct foreign_rows;

/* NULL after a sentence in `why`. `path` or `url` is borrowed. */
struct foreign_db *foreign_db_open_sqlite(const char *path, struct move_why why);
struct foreign_db *foreign_db_open_postgres(const char *url, struct move_why why);
void foreign_db_close(struct foreign_db *db); /* after its rows; NULL is fine */

struct foreign_query {
    const char *table;
    const char *columns[FOREIGN_COLUMNS_MAX]; /* one that the table lacks comes as absent */
    size_t count;
    /* SQL that makes the text to sort by, bytewise; then by object-sequence where there is one. It
     * is the value behind the columns. */
    const char *key;
};
/* NOT_FOUND when there is no such table. *ret_total: how many rows there are. */
enum error foreign_rows_open(struct foreign_db *db, const struct foreign_query *query,
                             struct foreign_rows **ret, uint64_t *ret_total);
/* The next row: query.count values and the key, until the next call; false in *ret_more at the end.
 */
enum error foreign_rows_next(struct foreign_rows *r, struct str *values, bool *ret_more);
void foreign_rows_close(struct foreign_rows *r); /* NULL is fine */

#endif
