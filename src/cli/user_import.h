/* `jackdaw user import`: many accounts from a CSV file. */
#ifndef JACKDAW_CLI_USER_IMPORT_H
#define JACKDAW_CLI_USER_IMPORT_H

#include <stdio.h>
#include "cli/user_store.h"

/* Iterations of imported keys: the minimum of RFC 7677 section 4; see
 * docs/decisions/0020-import.md. */
#define USER_IMPORT_ITERATIONS 4096

/* `path` names `file` in messages. Returns the exit code: 1 when any line was skipped (each is
 * reported on stderr with its number). */
int user_import_run(struct user_store *s, const char *path, FILE *file);

#endif
