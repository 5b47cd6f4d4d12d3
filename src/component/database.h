/* Database: where each of the two stores is, from the settings store.url and store.accounts_url. */
#ifndef JACKDAW_COMPONENT_DATABASE_H
#define JACKDAW_COMPONENT_DATABASE_H

#include "config/config.h"
#include "store/store.h"

/* The URL for store_open. Without settings it is a SQLite file in a folder of its own below
 * `data_dir` (so that a process can be kept out of the other's,
 * docs/decisions/0078-two-folders.md), or in memory when that is empty. One PostgreSQL database in
 * store.url serves for both (in two schemas) unless store.accounts_url names another or another
 * role. */
void database_url(const struct config *config, const char *data_dir, enum store_kind kind,
                  char *out, size_t size);
/* Makes that folder, and moves the file there that an earlier version had in `data_dir` itself
 * (sqlite_move.h); where it cannot, database_url goes on naming the old place, and `why` says what
 * is to be done. ERR_EXISTS is worth a warning only. */
enum error database_place(const struct config *config, const char *data_dir, enum store_kind kind,
                          char *why, size_t why_size);
/* One of the two is in memory: a database of each loop's own. */
bool database_in_memory(const struct config *config);
/* The folder of a SQLite database's file; false when it is none. */
bool database_folder(const struct config *config, const char *data_dir, enum store_kind kind,
                     char *out, size_t size);

#endif
