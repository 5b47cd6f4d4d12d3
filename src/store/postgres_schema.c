/* Migrations in PostgreSQL: the steps of migrations.def in its dialect, in a schema of ours. The
 * table jackdaw-schema says which of the two databases a schema holds and how far it has come;
 * jackdaw-writer is for postgres_batch.c. */
#include "store/postgres_schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/postgres_sql.h"

struct run {
    PGconn *handle;
    const struct postgres_target *target;
    enum store_kind kind;
    char *why;
    size_t why_size;
};

/* Any number: it keeps two starting servers apart. */
#define LOCK "SELECT pg_advisory_xact_lock(7235421)"

const char *postgres_schema_name(enum store_kind kind)
{
    return kind == STORE_ACCOUNTS ? "jackdaw_accounts" : "jackdaw_users";
}

static enum error failed(const struct run *r, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    snprintf(r->why, r->why_size, "cannot prepare the database %s: %s", r->target->shown,
             text ? text : PQerrorMessage(r->handle));
    return state && strcmp(state, "42501") == 0 ? ERR_PERMISSION : postgres_sql_error(state);
}

static enum error execute(const struct run *r, const char *sql)
{
    PGresult *result = PQexec(r->handle, sql);
    ExecStatusType status = PQresultStatus(result);
    enum error e = ERR_OK;
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY)
        e = failed(r, result);
    PQclear(result);
    return e;
}

/* The first cell of a row that must be there. */
static enum error cell(const struct run *r, const char *sql, char out[64])
{
    PGresult *result = PQexec(r->handle, sql);
    enum error e = ERR_OK;
    out[0] = '\0';
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        e = failed(r, result);
    else if (PQntuples(result) > 0)
        snprintf(out, 64, "%s", PQgetvalue(result, 0, 0));
    PQclear(result);
    return e;
}

static enum error check_server(const struct run *r)
{
    char text[64];
    enum error e = cell(r, "SHOW server_encoding", text);
    if (e == ERR_OK && strcmp(text, "UTF8") != 0) {
        snprintf(r->why, r->why_size,
                 "the database %s keeps text as %s, which has no room for every name: make one "
                 "with `createdb -E UTF8 -T template0`",
                 r->target->shown, text);
        e = ERR_INVALID;
    }
    if (e == ERR_OK && PQserverVersion(r->handle) < 120000) {
        snprintf(r->why, r->why_size, "the database %s is PostgreSQL %d; 12 or newer is needed",
                 r->target->shown, PQserverVersion(r->handle) / 10000);
        e = ERR_INVALID;
    }
    return e;
}

/* The schema and the two tables of the driver's own. A role that may not make schemas can use one
 * that is there. */
static enum error make_schema(const struct run *r)
{
    char sql[512], text[64];
    snprintf(sql, sizeof sql, "SELECT to_regclass('\"%s\".\"jackdaw-writer\"') IS NOT NULL",
             r->target->schema);
    enum error e = cell(r, sql, text);
    if (e != ERR_OK || text[0] == 't')
        return e;
    snprintf(sql, sizeof sql,
             "BEGIN; " LOCK "; DO $$ BEGIN IF to_regnamespace('\"%s\"') IS NULL THEN"
             " CREATE SCHEMA \"%s\"; END IF; END $$",
             r->target->schema, r->target->schema);
    e = execute(r, sql);
    if (e == ERR_OK)
        e = execute(r, "CREATE TABLE IF NOT EXISTS \"jackdaw-schema\" (\"kind\" TEXT NOT NULL,"
                       " \"version\" INTEGER NOT NULL);"
                       "CREATE TABLE IF NOT EXISTS \"jackdaw-writer\" (\"id\" TEXT PRIMARY KEY,"
                       " \"batch\" BIGINT NOT NULL, \"time\" TIMESTAMPTZ NOT NULL); COMMIT");
    if (e != ERR_OK)
        PQclear(PQexec(r->handle, "ROLLBACK"));
    return e;
}

static const char *kind_name(enum store_kind kind)
{
    return kind == STORE_ACCOUNTS ? "accounts" : "users";
}

static enum error version_now(const struct run *r, int *ret)
{
    char text[64];
    enum error e = cell(r, "SELECT \"kind\" FROM \"jackdaw-schema\"", text);
    if (e == ERR_OK && text[0] && strcmp(text, kind_name(r->kind)) != 0) {
        snprintf(r->why, r->why_size, "the schema %s of the database %s holds Jackdaw's %s",
                 r->target->schema, r->target->shown, text);
        e = ERR_INVALID;
    }
    if (e == ERR_OK)
        e = cell(r, "SELECT \"version\" FROM \"jackdaw-schema\"", text);
    *ret = (int)strtol(text, NULL, 10);
    return e;
}

static enum error check_version(const struct run *r, int version, int newest)
{
    if (version <= newest)
        return ERR_OK;
    snprintf(r->why, r->why_size,
             "the schema %s of the database %s was written by a newer Jackdaw (schema %d, this "
             "program knows up to %d). Install the newer version again, or go back to the copy in "
             "the schema %s_backup_v%d.",
             r->target->schema, r->target->shown, version, newest, r->target->schema, newest);
    return ERR_INVALID;
}

/* Copies of all tables, with the same transaction's view; all of them or none. */
static enum error back_up(const struct run *r, int version, struct log log)
{
    char sql[1024];
    snprintf(sql, sizeof sql,
             "DO $$ DECLARE t text; BEGIN PERFORM pg_advisory_xact_lock(7235421);"
             " DROP SCHEMA IF EXISTS \"%s_backup_v%d\" CASCADE; CREATE SCHEMA \"%s_backup_v%d\";"
             " FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = '%s' LOOP"
             " EXECUTE format('CREATE TABLE \"%s_backup_v%d\".%%I AS TABLE \"%s\".%%I', t, t);"
             " END LOOP; END $$",
             r->target->schema, version, r->target->schema, version, r->target->schema,
             r->target->schema, version, r->target->schema);
    enum error e = execute(r, sql);
    if (e == ERR_OK)
        log_info(&log,
                 "the database %s will be migrated; its old state is kept in the schema "
                 "%s_backup_v%d",
                 r->target->shown, r->target->schema, version);
    return e;
}

static enum error apply_step(const struct run *r, const struct migration *step)
{
    struct buffer sql;
    char mark[256];
    int version = 0;
    enum error e = execute(r, "BEGIN; " LOCK);
    if (e == ERR_OK) /* another process may have been faster */
        e = version_now(r, &version);
    if (e == ERR_OK && version < step->number) {
        buffer_init(&sql, POSTGRES_SQL_MAX);
        postgres_sql_schema(&sql, step->sql);
        e = sql.overflowed ? ERR_TOO_BIG : execute(r, buffer_str(&sql).data);
        buffer_finish(&sql);
        snprintf(mark, sizeof mark,
                 "DELETE FROM \"jackdaw-schema\"; INSERT INTO \"jackdaw-schema\" VALUES ('%s', %d)",
                 kind_name(r->kind), step->number);
        if (e == ERR_OK)
            e = execute(r, mark);
    }
    if (e == ERR_OK)
        return execute(r, "COMMIT");
    PQclear(PQexec(r->handle, "ROLLBACK"));
    return e;
}

enum error postgres_schema_apply(PGconn *handle, const struct postgres_target *target,
                                 enum store_kind kind, const struct migration *steps, size_t count,
                                 struct log log, char *why, size_t why_size)
{
    struct run r = {handle, target, kind, why, why_size};
    int newest = 0, version = 0;
    for (size_t i = 0; i < count; i++)
        if (steps[i].kind == kind)
            newest = steps[i].number;
    enum error e = check_server(&r);
    if (e == ERR_OK)
        e = make_schema(&r);
    if (e == ERR_OK)
        e = version_now(&r, &version);
    if (e == ERR_OK)
        e = check_version(&r, version, newest);
    if (e != ERR_OK || version == newest)
        return e;
    /* Copying and rewriting large tables takes longer than a statement may otherwise run. */
    e = execute(&r, "SET statement_timeout = 0");
    if (e == ERR_OK && version > 0)
        e = back_up(&r, version, log);
    for (size_t i = 0; e == ERR_OK && i < count; i++)
        if (steps[i].kind == kind && steps[i].number > version)
            e = apply_step(&r, &steps[i]);
    char restore[64];
    snprintf(restore, sizeof restore, "SET statement_timeout = %d", POSTGRES_STATEMENT_MS);
    return e == ERR_OK ? execute(&r, restore) : e;
}

enum error postgres_schema_version(PGconn *handle, const struct postgres_target *target,
                                   enum store_kind kind, int *ret, char *why, size_t why_size)
{
    struct run r = {handle, target, kind, why, why_size};
    char sql[256], text[64];
    *ret = 0;
    snprintf(sql, sizeof sql, "SELECT to_regclass('\"%s\".\"jackdaw-schema\"') IS NOT NULL",
             target->schema);
    enum error e = cell(&r, sql, text);
    return e == ERR_OK && text[0] == 't' ? version_now(&r, ret) : e;
}

bool postgres_schema_show(const char *url, char out[POSTGRES_SHOWN])
{
    PQconninfoOption *options = PQconninfoParse(url, NULL);
    const char *host = "local", *database = "";
    if (!options)
        return false;
    for (PQconninfoOption *o = options; o->keyword; o++) {
        if (o->val && *o->val && strcmp(o->keyword, "host") == 0)
            host = o->val;
        else if (o->val && *o->val && strcmp(o->keyword, "dbname") == 0)
            database = o->val;
    }
    snprintf(out, POSTGRES_SHOWN, "postgresql://%s/%s", host, database);
    PQconninfoFree(options);
    return true;
}

uint64_t postgres_schema_reserved(PGconn *handle)
{
    PGresult *result = PQexec(handle, "SELECT \"reserved\" FROM \"sequence\"");
    uint64_t reserved = 0;
    if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) > 0)
        reserved = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return reserved;
}
