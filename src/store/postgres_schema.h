/* Inside store/ only: brings a PostgreSQL schema to what this program knows, as migrations.h does
 * with a SQLite file. Blocks. */
#ifndef JACKDAW_STORE_POSTGRES_SCHEMA_H
#define JACKDAW_STORE_POSTGRES_SCHEMA_H

#include "store/migrations.h"
#include "store/postgres_conn.h"

/* The schema that holds the tables of a kind: jackdaw_accounts, jackdaw_users. */
const char *postgres_schema_name(enum store_kind kind);
/* Makes the schema when it is missing, and applies the steps of `kind` that it lacks. Each step is
 * one transaction with its number; before the first one the tables of a schema that is not new are
 * copied into the schema NAME_backup_vN. Errors as migrations_apply. */
enum error postgres_schema_apply(PGconn *handle, const struct postgres_target *target,
                                 enum store_kind kind, const struct migration *steps, size_t count,
                                 struct log log, char *why, size_t why_size);
/* How far a schema has come; 0 when it is not there. INVALID when it is of the other kind. */
enum error postgres_schema_version(PGconn *handle, const struct postgres_target *target,
                                   enum store_kind kind, int *ret, char *why, size_t why_size);
/* "postgresql://HOST/DATABASE" of a URL, without a password. False when it is none. */
bool postgres_schema_show(const char *url, char out[POSTGRES_SHOWN]);
/* What the table sequence promises; 0 when it cannot be read. */
uint64_t postgres_schema_reserved(PGconn *handle);

#endif
