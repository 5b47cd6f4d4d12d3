/* Inside store/ only: a database of ours as plain tables of values, whatever its driver; for copies
 * (archive.c). Everything blocks. */
#ifndef JACKDAW_STORE_TABLES_H
#define JACKDAW_STORE_TABLES_H

#include "base/buffer.h"
#include "store/driver.h"
#include "store/migrations.h"

enum { TABLES_MAX = 128, COLUMNS_MAX = 128, TABLE_NAME_MAX = 128 };

struct table {
    char name[TABLE_NAME_MAX];
    unsigned columns;
    char column[COLUMNS_MAX][TABLE_NAME_MAX];
    enum value_type type[COLUMNS_MAX]; /* INT, TEXT or BLOB */
};

struct table_list {
    size_t count;
    struct table *tables; /* sorted by name */
};

/* Where messages for the operator go. */
struct tables_why {
    char *text;
    size_t size;
};

/* One row; the values are borrowed. False: stop. */
typedef bool (*table_row_fn)(void *arg, const struct value *values);

/* One kind's database, opened in one of two ways. */
struct tables {
    const struct tables_driver *driver;
    enum store_kind kind;
    struct tables_why why;
};

struct tables_state {
    int version; /* number of the last step; 0: nothing is there yet */
    bool in_use; /* a server uses it; PostgreSQL alone tells */
};

/* A failure puts a sentence into `why`. */
struct tables_driver {
    const char *scheme;
    /* One consistent view until close, beside a running server. */
    enum error (*open)(const char *url, enum store_kind kind, struct tables_why why,
                       struct tables **ret, struct tables_state *state);
    /* A new database beside the one that `url` names, with these steps applied. */
    enum error (*stage)(const char *url, enum store_kind kind, const struct migration *steps,
                        size_t count, struct tables_why why, struct tables **ret);
    enum error (*list)(struct tables *t, struct table_list *ret); /* freed by the caller */
    enum error (*scan)(struct tables *t, const struct table *table, table_row_fn fn, void *arg);
    /* Staged only: empties the table, then takes rows. */
    enum error (*fill)(struct tables *t, const struct table *table);
    enum error (*add)(struct tables *t, const struct table *table, const struct value *values);
    enum error (*filled)(struct tables *t, const struct table *table);
    /* Staged only: applies what is missing, puts the new database in the place of the old one,
     * which is kept under another name. */
    enum error (*put)(struct tables *t);
    void (*close)(struct tables *t); /* a staged one that was not put is removed */
};
extern const struct tables_driver tables_sqlite, tables_postgres;

/* The driver for a URL; NULL when there is none. The rest of the URL behind the scheme is what its
 * functions take for SQLite. */
const struct tables_driver *tables_driver_of(const char *url);
/* SELECT of all columns; for the drivers. */
void tables_select(struct buffer *to, const struct table *table);
void tables_add_columns(struct buffer *to, const struct table *table);
/* One column of SQLite's present row; borrowed until its next step. */
struct value tables_cell(sqlite3_stmt *st, int column, enum value_type type);
enum error tables_fail(const struct tables_why *why, enum error e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
