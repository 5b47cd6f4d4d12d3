/* Inside store/ only: brings a SQLite file to the schema this program knows. */
#ifndef JACKDAW_STORE_MIGRATIONS_H
#define JACKDAW_STORE_MIGRATIONS_H

#include <sqlite3.h>
#include "store/store.h"

struct migration {
    enum store_kind kind;
    int number; /* from 1, without gaps, ascending within a kind */
    const char *sql;
};

extern const struct migration migrations[];
extern const size_t migrations_count;

/* Applies the steps of `kind` that `path` lacks. A database that is not new is first copied to
 * PATH.backup-vN. Every step is one transaction that carries its number, so that an interruption at
 * any instant is made good by the next start. Errors, with `why` for the operator: INVALID (another
 * program's database, or the other one of ours, or a newer Jackdaw's), PERMISSION, BUSY,
 * STORE_FULL, STORE. */
enum error migrations_apply(sqlite3 *db, const char *path, enum store_kind kind,
                            const struct migration *steps, size_t count, struct log log, char *why,
                            size_t why_size);

/* How far the database has come; 0 when it is new. INVALID when it is not ours. */
enum error migrations_version(sqlite3 *db, const char *path, enum store_kind kind, int *ret,
                              char *why, size_t why_size);

/* The nearest of ours to an SQLite result code. */
enum error migrations_error(int sqlite_code);

#endif
