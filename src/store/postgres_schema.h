/* Inside store/ only: brings a PostgreSQL schema to what this program knows, as migrations.h does
 * with a SQLite file. Blocks. */
#ifndef JACKDAW_STORE_POSTGRES_SCHEMA_H
#define JACKDAW_STORE_POSTGRES_SCHEMA_H

#include "store/migrations.h"
#include "store/postgres_conn.h"

/* The schema that holds the tables of a kind: jackdaw_accounts, jackdaw_users. */
const char *postgres_schema_name(enum store_kind kind);
/* Makes the schema when it is missing, and applies the steps of `kind` up to number `upto` that it
 * lacks. Each step is one transaction with its number; before the first one the tables of a schema
 * that is not new are copied into the schema NAME_backup_vN. Errors as migrations_apply. */
enum error postgres_schema_apply(PGconn *handle, const struct postgres_target *target,
                                 enum store_kind kind, const struct migration *steps, size_t count,
                                 int upto, struct log log, char *why, size_t why_size);
/* What the table sequence promises; 0 when it cannot be read. */
uint64_t postgres_schema_reserved(PGconn *handle);

#endif
