/* Archive: one file with a copy of both databases, for any driver to restore: backup, moving to
 * another machine, and from SQLite to PostgreSQL and back. It is a SQLite file whose tables are
 * named KIND/TABLE; its table `archive` has for each the schema's number, the number of rows, and a
 * hash of them that does not depend on their order.
 *
 * For one-shot commands: everything blocks.
 */
#ifndef JACKDAW_STORE_ARCHIVE_H
#define JACKDAW_STORE_ARCHIVE_H

#include "store/row_hash.h"
#include "store/store.h"

enum { ARCHIVE_HASH = ROW_HASH };

struct archive_table {
    const char *name; /* KIND/TABLE */
    uint64_t rows;
    unsigned char hash[ARCHIVE_HASH];
};

struct archive_options {
    const char *urls[2]; /* by store_kind, as for store_open */
    const char *file;
    bool force; /* restore over databases that have something in them */
    int64_t time;
    /* How far `doing` ("reading", ...) has come, now and then. */
    void (*progress)(void *arg, const char *doing, uint64_t done, uint64_t total);
    /* A table is copied and its copy compared. */
    void (*table)(void *arg, const struct archive_table *table);
    void *arg;
};

/* Makes the file (mode 0600; it must not exist), also while the server runs: each database as it is
 * at one instant. The copy is read again and compared. */
enum error archive_write(const struct archive_options *o, char *why, size_t why_size);
/* Puts what the file has in the place of both databases. First the file is compared with its own
 * hashes, then new databases are made beside the old ones, filled, read again and compared, and
 * brought to this program's schema; only then they take the place of the old ones, which are kept
 * (PATH.before-restore, schema NAME_before_restore). EXISTS: a database has something in it;
 * BUSY: it is in use; INVALID: the file is none, damaged, or of a newer Jackdaw. */
enum error archive_restore(const struct archive_options *o, char *why, size_t why_size);

#endif
