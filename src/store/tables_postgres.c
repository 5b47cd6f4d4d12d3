/* PostgreSQL's schemas as plain tables: read row by row, filled by COPY. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/postgres_schema.h"
#include "store/postgres_sql.h"
#include "store/postgres_writer.h"
#include "store/tables.h"

enum { SCHEMA_MAX = 64 };

struct postgres_tables {
    struct tables base;
    PGconn *handle;
    struct postgres_target target;
    char schema[SCHEMA_MAX]; /* the one that is worked in */
    char shown[POSTGRES_SHOWN];
    bool staged;
    struct buffer row; /* of COPY */
};

static struct postgres_tables *of(struct tables *t)
{
    return MEM_CONTAINER(t, struct postgres_tables, base);
}

static enum error failed(const struct postgres_tables *p, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    return tables_fail(&p->base.why, postgres_sql_error(state), "the database %s: %s", p->shown,
                       text ? text : PQerrorMessage(p->handle));
}

static enum error execute(const struct postgres_tables *p, const char *sql)
{
    PGresult *result = PQexec(p->handle, sql);
    ExecStatusType status = PQresultStatus(result);
    bool ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_COPY_IN;
    enum error e = ok ? ERR_OK : failed(p, result);
    PQclear(result);
    return e;
}

static void postgres_tables_close(struct tables *t)
{
    struct postgres_tables *p = of(t);
    char sql[256];
    if (p->handle && p->staged) {
        PQclear(PQexec(p->handle, "ROLLBACK"));
        snprintf(sql, sizeof sql, "DROP SCHEMA IF EXISTS \"%s\" CASCADE", p->schema);
        PQclear(PQexec(p->handle, sql));
    }
    PQfinish(p->handle);
    buffer_finish(&p->row);
    free(p);
}

/* Connected, or NULL. */
static struct postgres_tables *connect_to(const char *url, enum store_kind kind, const char *suffix,
                                          struct tables_why why)
{
    struct postgres_tables *p = MEM_NEW(struct postgres_tables);
    char reason[256];
    p->base = (struct tables){&tables_postgres, kind, why};
    snprintf(p->schema, sizeof p->schema, "%s%s", postgres_schema_name(kind), suffix);
    p->target = (struct postgres_target){url, p->schema, p->shown};
    buffer_init(&p->row, STORE_RESULT_MAX);
    if (!postgres_schema_show(url, p->shown)) {
        tables_fail(&why, ERR_INVALID, "the database's address cannot be understood");
    } else if (!(p->handle = postgres_conn_connect(&p->target, reason, sizeof reason))) {
        tables_fail(&why, ERR_STORE, "cannot connect to the database %s: %s", p->shown, reason);
    } else if (execute(p, "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;"
                          "SET client_min_messages TO warning;"
                          "SET application_name TO 'jackdaw archive'") == ERR_OK) {
        return p;
    }
    postgres_tables_close(&p->base);
    return NULL;
}

static enum error check_use(const struct postgres_tables *p, bool *ret)
{
    PGresult *result =
        PQexec(p->handle, "SELECT 1 FROM pg_stat_activity WHERE application_name = 'jackdaw'"
                          " AND datname = current_database() LIMIT 1");
    enum error e = PQresultStatus(result) == PGRES_TUPLES_OK ? ERR_OK : failed(p, result);
    *ret = e == ERR_OK && PQntuples(result) > 0;
    PQclear(result);
    return e;
}

static enum error postgres_tables_open(const char *url, enum store_kind kind, struct tables_why why,
                                       struct tables **ret, struct tables_state *state)
{
    struct postgres_tables *p = connect_to(url, kind, "", why);
    *state = (struct tables_state){0};
    if (!p)
        return ERR_STORE;
    enum error e = check_use(p, &state->in_use);
    if (e == ERR_OK)
        e = execute(p, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    if (e == ERR_OK)
        e = postgres_schema_version(p->handle, &p->target, kind, &state->version, why.text,
                                    why.size);
    if (e == ERR_OK)
        *ret = &p->base;
    else
        postgres_tables_close(&p->base);
    return e;
}

/* --- what is there --- */

static enum value_type type_of(const char *name)
{
    return strcmp(name, "text") == 0    ? VALUE_TEXT
           : strcmp(name, "bytea") == 0 ? VALUE_BLOB
                                        : VALUE_INT;
}

static enum error postgres_tables_list(struct tables *t, struct table_list *ret)
{
    struct postgres_tables *p = of(t);
    const char *const values[1] = {p->schema};
    PGresult *result = PQexecParams(
        p->handle,
        "SELECT c.relname, a.attname, t.typname FROM pg_namespace n"
        " JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind = 'r'"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
        " JOIN pg_type t ON t.oid = a.atttypid"
        " WHERE n.nspname = $1 AND c.relname NOT LIKE 'jackdaw-%' AND c.relname NOT LIKE 'search-%'"
        " ORDER BY c.relname COLLATE \"C\", a.attnum",
        1, NULL, values, NULL, NULL, 0);
    enum error e = PQresultStatus(result) == PGRES_TUPLES_OK ? ERR_OK : failed(p, result);
    *ret = (struct table_list){0, mem_alloc_array(TABLES_MAX, sizeof(struct table))};
    for (int i = 0; e == ERR_OK && i < PQntuples(result); i++) {
        const char *name = PQgetvalue(result, i, 0);
        struct table *table = ret->count ? &ret->tables[ret->count - 1] : NULL;
        if (!table || strcmp(table->name, name) != 0) {
            if (ret->count == TABLES_MAX)
                break;
            table = &ret->tables[ret->count++];
            snprintf(table->name, sizeof table->name, "%s", name);
        }
        if (table->columns == COLUMNS_MAX)
            continue;
        snprintf(table->column[table->columns], TABLE_NAME_MAX, "%s", PQgetvalue(result, i, 1));
        table->type[table->columns++] = type_of(PQgetvalue(result, i, 2));
    }
    PQclear(result);
    return e;
}

static bool give_rows(const struct table *table, const PGresult *result, table_row_fn fn, void *arg)
{
    struct value values[COLUMNS_MAX];
    for (int row = 0; row < PQntuples(result); row++) {
        for (unsigned i = 0; i < table->columns; i++) {
            values[i] = postgres_writer_cell(result, row, (int)i);
            if (values[i].type == VALUE_TEXT)
                values[i].type = table->type[i];
        }
        if (!fn(arg, values))
            return false;
    }
    return true;
}

static enum error postgres_tables_scan(struct tables *t, const struct table *table, table_row_fn fn,
                                       void *arg)
{
    struct postgres_tables *p = of(t);
    struct buffer sql;
    PGresult *result;
    enum error e = ERR_OK;
    bool go_on = true;
    buffer_init(&sql, POSTGRES_SQL_MAX);
    tables_select(&sql, table);
    if (!PQsendQueryParams(p->handle, buffer_str(&sql).data, 0, NULL, NULL, NULL, NULL, 1) ||
        !PQsetSingleRowMode(p->handle))
        e = failed(p, NULL);
    buffer_finish(&sql);
    while ((result = PQgetResult(p->handle))) {
        ExecStatusType status = PQresultStatus(result);
        if (status != PGRES_SINGLE_TUPLE && status != PGRES_TUPLES_OK && e == ERR_OK)
            e = failed(p, result);
        else if (go_on)
            go_on = give_rows(table, result, fn, arg);
        PQclear(result);
    }
    return e;
}

/* --- a new one --- */

static enum error postgres_tables_stage(const char *url, enum store_kind kind,
                                        const struct migration *steps, size_t count,
                                        struct tables_why why, struct tables **ret)
{
    struct postgres_tables *p = connect_to(url, kind, "_restore", why);
    char sql[256];
    if (!p)
        return ERR_STORE;
    p->staged = true;
    snprintf(sql, sizeof sql, "DROP SCHEMA IF EXISTS \"%s\" CASCADE", p->schema);
    enum error e = execute(p, sql);
    if (e == ERR_OK)
        e = postgres_schema_apply(p->handle, &p->target, kind, steps, count, (struct log){0},
                                  why.text, why.size);
    if (e == ERR_OK)
        e = execute(p, "SET statement_timeout = 0; BEGIN");
    if (e == ERR_OK)
        *ret = &p->base;
    else
        postgres_tables_close(&p->base);
    return e;
}

static enum error postgres_tables_fill(struct tables *t, const struct table *table)
{
    struct postgres_tables *p = of(t);
    struct buffer sql;
    buffer_init(&sql, POSTGRES_SQL_MAX);
    buffer_printf(&sql, "DELETE FROM \"%s\"; COPY \"%s\" (", table->name, table->name);
    tables_add_columns(&sql, table);
    buffer_add_str(&sql, STR(") FROM STDIN (FORMAT binary)"));
    buffer_add_char(&sql, '\0');
    enum error e = execute(p, buffer_str(&sql).data);
    buffer_finish(&sql);
    /* Signature, flags, length of an extension (PostgreSQL manual, COPY, "Binary Format"). */
    static const char header[19] = "PGCOPY\n\377\r\n";
    if (e == ERR_OK && PQputCopyData(p->handle, header, sizeof header) != 1)
        e = failed(p, NULL);
    return e;
}

static void add_number(struct buffer *b, uint64_t number, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        buffer_add_char(b, (char)(number >> (8 * i)));
}

static enum error postgres_tables_add(struct tables *t, const struct table *table,
                                      const struct value *values)
{
    struct postgres_tables *p = of(t);
    buffer_clear(&p->row);
    add_number(&p->row, table->columns, 2);
    for (unsigned i = 0; i < table->columns; i++) {
        const struct value *v = &values[i];
        if (v->type == VALUE_NULL) {
            add_number(&p->row, UINT32_MAX, 4);
        } else if (v->type == VALUE_INT) {
            add_number(&p->row, 8, 4);
            add_number(&p->row, (uint64_t)v->number, 8);
        } else {
            add_number(&p->row, v->bytes.len, 4);
            buffer_add_str(&p->row, v->bytes);
        }
    }
    struct str row = buffer_str(&p->row);
    return PQputCopyData(p->handle, row.data, (int)row.len) == 1 ? ERR_OK : failed(p, NULL);
}

static enum error postgres_tables_filled(struct tables *t, const struct table *table)
{
    struct postgres_tables *p = of(t);
    (void)table;
    bool ok = PQputCopyData(p->handle, "\377\377", 2) == 1 && PQputCopyEnd(p->handle, NULL) == 1;
    enum error e = ok ? ERR_OK : failed(p, NULL);
    for (PGresult *result; (result = PQgetResult(p->handle)); PQclear(result))
        if (PQresultStatus(result) != PGRES_COMMAND_OK && e == ERR_OK)
            e = failed(p, result);
    return e;
}

static enum error replace(struct postgres_tables *p)
{
    const char *name = postgres_schema_name(p->base.kind);
    char sql[1024];
    snprintf(sql, sizeof sql,
             "DROP SCHEMA IF EXISTS \"%s_before_restore\" CASCADE;"
             "DO $$ BEGIN IF to_regnamespace('\"%s\"') IS NOT NULL THEN"
             " ALTER SCHEMA \"%s\" RENAME TO \"%s_before_restore\"; END IF; END $$;"
             "ALTER SCHEMA \"%s\" RENAME TO \"%s\"",
             name, name, name, name, p->schema, name);
    enum error e = execute(p, sql);
    p->staged = e != ERR_OK;
    return e;
}

static enum error postgres_tables_put(struct tables *t)
{
    struct postgres_tables *p = of(t);
    char sql[256];
    int version = 0;
    enum error e = execute(p, "COMMIT");
    if (e == ERR_OK)
        e = postgres_schema_version(p->handle, &p->target, t->kind, &version, t->why.text,
                                    t->why.size);
    if (e == ERR_OK)
        e = postgres_schema_apply(p->handle, &p->target, t->kind, migrations, migrations_count,
                                  (struct log){0}, t->why.text, t->why.size);
    snprintf(sql, sizeof sql, "DROP SCHEMA IF EXISTS \"%s_backup_v%d\" CASCADE", p->schema,
             version);
    if (e == ERR_OK)
        e = execute(p, sql);
    return e == ERR_OK ? replace(p) : e;
}

const struct tables_driver tables_postgres = {
    "postgresql://",      postgres_tables_open,  postgres_tables_stage, postgres_tables_list,
    postgres_tables_scan, postgres_tables_fill,  postgres_tables_add,   postgres_tables_filled,
    postgres_tables_put,  postgres_tables_close,
};
