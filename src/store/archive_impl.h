/* What archive.c and archive_restore.c share. Included by nobody else. */
#ifndef JACKDAW_STORE_ARCHIVE_IMPL_H
#define JACKDAW_STORE_ARCHIVE_IMPL_H

#include <sqlite3.h>
#include "store/archive.h"
#include "store/tables.h"

enum { ARCHIVE_ID = 0x4a644200 /* "JdB": application_id */, ARCHIVE_FORMAT = 1 };

extern const char *const archive_kind_names[2];

struct archive {
    const struct archive_options *o;
    sqlite3 *db;
    struct tables_why why;
    uint64_t done, total; /* rows */
};

/* One table on its way: rows are counted and hashed, and go to `to`, or by `insert` into the
 * archive, or nowhere. */
struct archive_copy {
    struct archive *a;
    const char *doing;
    const struct table *table;
    struct tables *to;
    sqlite3_stmt *insert;
    enum error error;
    struct archive_table sum;
    struct buffer row;
};

void archive_copy_init(struct archive_copy *c, struct archive *a, const char *doing,
                       const struct table *table);
void archive_copy_finish(struct archive_copy *c);
bool archive_on_row(void *arg, const struct value *values); /* a table_row_fn; arg: archive_copy */
/* Every row of the archive's table to `c`. */
enum error archive_read_table(struct archive *a, enum store_kind kind, struct archive_copy *c);
bool archive_same(const struct archive_table *a, const struct archive_table *b);
void archive_tell(const struct archive *a, enum store_kind kind, const struct table *table,
                  struct archive_table *sum);
void archive_name(enum store_kind kind, const struct table *table, char out[TABLE_NAME_MAX]);
void archive_take_name(sqlite3_stmt *st, int column, char out[TABLE_NAME_MAX]);
enum error archive_failed(const struct archive *a);

#endif
