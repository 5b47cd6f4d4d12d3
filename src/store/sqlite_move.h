/* Moves a SQLite database file to another folder of its file system. */
#ifndef JACKDAW_STORE_SQLITE_MOVE_H
#define JACKDAW_STORE_SQLITE_MOVE_H

#include <stddef.h>

#include "base/error.h"

/* Nothing to do where `from` is not there. At every instant, also when the power fails, there is
 * one whole database under one of the two names: what its log (-wal) still holds goes into the file
 * first, and the file alone is renamed. Of several processes that call this at once one does it.
 * ERR_EXISTS: both are there; ERR_BUSY: somebody has `from` open (`why` says so, as for any other
 * error). Nothing has changed then. Blocks: before there is a loop only. */
enum error sqlite_move(const char *from, const char *to, char *why, size_t why_size);

#endif
