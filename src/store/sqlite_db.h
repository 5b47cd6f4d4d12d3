/* Inside store/ only: one SQLite connection that runs requests in batches, used by one thread at a
 * time. */
#ifndef JACKDAW_STORE_SQLITE_DB_H
#define JACKDAW_STORE_SQLITE_DB_H

#include "store/driver.h"

struct sqlite_db;

enum sqlite_role { SQLITE_WRITER, SQLITE_READER };

/* Path ":memory:" makes a database in memory, "file:/NAME?vfs=memdb" one that all handles of that
 * name in the process share, "file:/NAME?vfs=VFS" one in a VFS that a test has registered. A writer
 * makes the file (mode 0600) when it is missing and migrates it. `why` tells the operator what to
 * do. */
enum error sqlite_db_open(struct log log, enum store_kind kind, enum sqlite_role role,
                          const char *path, struct sqlite_db **ret, char *why, size_t why_size);
void sqlite_db_close(struct sqlite_db *db);        /* NULL is fine */
uint64_t sqlite_db_reserved(struct sqlite_db *db); /* of the table sequence */

/* Runs one request as part of the current batch: its result stands until sqlite_db_finish has
 * spoken. Returns the number of statements that were run. */
size_t sqlite_db_execute(struct sqlite_db *db, struct store_txn *t);
/* Milliseconds before a batch is run, and from then until its requests may be handed back. */
struct sqlite_delay {
    uint32_t before, after;
};
/* The file control by which a VFS made for simulation is asked for its delay. */
#define SQLITE_DB_DELAY 1000
/* Of the disk below, for whoever runs batches on the loop; none unless that disk is a simulated
 * one. Asked again for each batch. */
struct sqlite_delay sqlite_db_delay(struct sqlite_db *db);
/* The same for a simulated death: SQLITE_OK from it says that whoever writes is dead, so that
 * nobody is to hear how a batch went. */
#define SQLITE_DB_DEAD 1001
bool sqlite_db_dead(struct sqlite_db *db);

/* Ends the batch: commits. `batch` lists all its requests; when the commit fails all of its writes,
 * and the reads that saw them, take the error. */
void sqlite_db_finish(struct sqlite_db *db, struct store_txn *batch);

#endif
