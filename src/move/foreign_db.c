/* A statement for SQLite, a cursor for PostgreSQL. */
#include "move/foreign_db.h"

#include <libpq-fe.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/mem.h"

enum { FETCH = 500, SQL_MAX = 16384 };

struct foreign_db {
    sqlite3 *sqlite;
    PGconn *postgres;
    unsigned cursors;
    struct move_why why;
};

struct foreign_rows {
    struct foreign_db *db;
    sqlite3_stmt *statement;
    PGresult *page; /* of the cursor */
    int row;
    unsigned cursor;
    size_t values;
};

static enum error failed(struct foreign_db *db)
{
    const char *text = db->sqlite ? sqlite3_errmsg(db->sqlite) : PQerrorMessage(db->postgres);
    int len = (int)strcspn(text, "\n");
    return move_fail(db->why, ERR_STORE, "cannot read the other database: %.*s", len, text);
}

/* --- opening --- */

struct foreign_db *foreign_db_open_sqlite(const char *path, struct move_why why)
{
    struct foreign_db *db = MEM_NEW(struct foreign_db);
    db->why = why;
    if (sqlite3_open_v2(path, &db->sqlite, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK) {
        sqlite3_busy_timeout(db->sqlite, 10000);
        sqlite3_limit(db->sqlite, SQLITE_LIMIT_LENGTH, FOREIGN_VALUE_MAX);
        if (sqlite3_exec(db->sqlite,
                         "PRAGMA trusted_schema = OFF; BEGIN;"
                         "SELECT count(*) FROM sqlite_master",
                         NULL, NULL, NULL) == SQLITE_OK)
            return db;
    }
    move_fail(why, ERR_STORE,
              "cannot read %s: %s; name the file of a SQLite database, and run this as a user who "
              "may write to its directory",
              path, sqlite3_errmsg(db->sqlite));
    foreign_db_close(db);
    return NULL;
}

struct foreign_db *foreign_db_open_postgres(const char *url, struct move_why why)
{
    struct foreign_db *db = MEM_NEW(struct foreign_db);
    db->why = why;
    db->postgres = PQconnectdb(url);
    if (PQstatus(db->postgres) == CONNECTION_OK) {
        PGresult *result = PQexec(
            db->postgres, "SET client_encoding TO 'UTF8'; SET standard_conforming_strings TO on;"
                          "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        bool ok = PQresultStatus(result) == PGRES_COMMAND_OK;
        PQclear(result);
        if (ok)
            return db;
    }
    const char *text = PQerrorMessage(db->postgres);
    move_fail(why, ERR_STORE, "cannot connect to the other database: %.*s",
              (int)strcspn(text, "\n"), text);
    foreign_db_close(db);
    return NULL;
}

void foreign_db_close(struct foreign_db *db)
{
    if (!db)
        return;
    sqlite3_close(db->sqlite);
    PQfinish(db->postgres);
    free(db);
}

/* --- what is there --- */

/* Names of the table's columns, each between two newlines; none when there is no such table. */
static bool sqlite_columns(struct foreign_db *db, const char *table, struct buffer *names)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(db->sqlite, "SELECT name FROM pragma_table_info(?1)", -1, &st, NULL) !=
        SQLITE_OK)
        return false;
    sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
    while (sqlite3_step(st) == SQLITE_ROW)
        buffer_printf(names, "\n%s\n", (const char *)sqlite3_column_text(st, 0));
    return sqlite3_finalize(st) == SQLITE_OK;
}

static bool postgres_columns(struct foreign_db *db, const char *table, struct buffer *names)
{
    const char *values[1] = {table};
    PGresult *result =
        PQexecParams(db->postgres,
                     "SELECT a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
                     " WHERE c.relname = $1 AND c.relkind IN ('r', 'v', 'm', 'p', 'f')"
                     " AND pg_table_is_visible(c.oid) AND a.attnum > 0 AND NOT a.attisdropped",
                     1, NULL, values, NULL, NULL, 0);
    bool ok = PQresultStatus(result) == PGRES_TUPLES_OK;
    for (int i = 0; ok && i < PQntuples(result); i++)
        buffer_printf(names, "\n%s\n", PQgetvalue(result, i, 0));
    PQclear(result);
    return ok;
}

static bool has(const struct buffer *names, const char *column)
{
    char wanted[128];
    snprintf(wanted, sizeof wanted, "\n%s\n", column);
    return memmem(buffer_str(names).data, buffer_len(names), wanted, strlen(wanted)) != NULL;
}

static void write_select(const struct foreign_db *db, const struct foreign_query *query,
                         const struct buffer *names, struct buffer *sql)
{
    buffer_add_str(sql, STR("SELECT "));
    for (size_t i = 0; i < query->count; i++) {
        const char *column = query->columns[i];
        if (has(names, column))
            buffer_printf(sql, db->sqlite ? "\"%s\", " : "\"%s\"::text, ", column);
        else
            buffer_add_str(sql, STR("NULL, "));
    }
    buffer_printf(sql, "%s AS sort_key FROM \"%s\" ORDER BY %s COLLATE %s", query->key,
                  query->table, query->key, db->sqlite ? "BINARY" : "\"C\"");
    if (has(names, "object-sequence"))
        buffer_add_str(sql, STR(", \"object-sequence\""));
}

/* --- reading --- */

static bool count_sqlite(struct foreign_db *db, const char *table, uint64_t *ret)
{
    char sql[256];
    sqlite3_stmt *st = NULL;
    snprintf(sql, sizeof sql, "SELECT count(*) FROM \"%s\"", table);
    if (sqlite3_prepare_v2(db->sqlite, sql, -1, &st, NULL) == SQLITE_OK &&
        sqlite3_step(st) == SQLITE_ROW)
        *ret = (uint64_t)sqlite3_column_int64(st, 0);
    return sqlite3_finalize(st) == SQLITE_OK;
}

static bool count_postgres(struct foreign_db *db, const char *table, uint64_t *ret)
{
    char sql[256];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM \"%s\"", table);
    PGresult *result = PQexec(db->postgres, sql);
    bool ok = PQresultStatus(result) == PGRES_TUPLES_OK &&
              str_to_u64(str_of(PQgetvalue(result, 0, 0)), UINT64_MAX, ret);
    PQclear(result);
    return ok;
}

static bool declare(struct foreign_rows *r, const char *select)
{
    struct buffer sql;
    buffer_init(&sql, 2 * SQL_MAX);
    buffer_printf(&sql, "DECLARE c%u NO SCROLL CURSOR FOR %s", r->cursor, select);
    buffer_add_char(&sql, '\0');
    PGresult *result = PQexec(r->db->postgres, buffer_str(&sql).data);
    bool ok = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    buffer_finish(&sql);
    return ok;
}

enum error foreign_rows_open(struct foreign_db *db, const struct foreign_query *query,
                             struct foreign_rows **ret, uint64_t *ret_total)
{
    struct buffer names, sql;
    buffer_init(&names, SQL_MAX);
    buffer_init(&sql, SQL_MAX);
    enum error e = ERR_OK;
    struct foreign_rows *r = MEM_NEW(struct foreign_rows);
    *r = (struct foreign_rows){.db = db, .cursor = ++db->cursors, .values = query->count + 1};
    if (!(db->sqlite ? sqlite_columns : postgres_columns)(db, query->table, &names))
        e = failed(db);
    else if (!buffer_len(&names))
        e = ERR_NOT_FOUND;
    if (e == ERR_OK) {
        write_select(db, query, &names, &sql);
        buffer_add_char(&sql, '\0');
        const char *text = buffer_str(&sql).data;
        bool ok = (db->sqlite ? count_sqlite : count_postgres)(db, query->table, ret_total);
        if (ok && db->sqlite)
            ok = sqlite3_prepare_v2(db->sqlite, text, -1, &r->statement, NULL) == SQLITE_OK;
        else if (ok)
            ok = declare(r, text);
        e = ok ? ERR_OK : failed(db);
    }
    buffer_finish(&names);
    buffer_finish(&sql);
    if (e == ERR_OK)
        *ret = r;
    else
        foreign_rows_close(r);
    return e;
}

static enum error next_sqlite(struct foreign_rows *r, struct str *values, bool *ret_more)
{
    int code = sqlite3_step(r->statement);
    *ret_more = code == SQLITE_ROW;
    if (code != SQLITE_ROW)
        return code == SQLITE_DONE ? ERR_OK : failed(r->db);
    for (size_t i = 0; i < r->values; i++) {
        const unsigned char *text = sqlite3_column_text(r->statement, (int)i);
        values[i] =
            (struct str){(const char *)text, (size_t)sqlite3_column_bytes(r->statement, (int)i)};
    }
    return ERR_OK;
}

static enum error next_postgres(struct foreign_rows *r, struct str *values, bool *ret_more)
{
    if (!r->page || ++r->row >= PQntuples(r->page)) {
        char sql[64];
        snprintf(sql, sizeof sql, "FETCH %d FROM c%u", FETCH, r->cursor);
        PQclear(r->page);
        r->page = PQexec(r->db->postgres, sql);
        r->row = 0;
        if (PQresultStatus(r->page) != PGRES_TUPLES_OK)
            return failed(r->db);
    }
    *ret_more = r->row < PQntuples(r->page);
    for (size_t i = 0; *ret_more && i < r->values; i++)
        values[i] = PQgetisnull(r->page, r->row, (int)i)
                        ? STR_NULL
                        : (struct str){PQgetvalue(r->page, r->row, (int)i),
                                       (size_t)PQgetlength(r->page, r->row, (int)i)};
    return ERR_OK;
}

enum error foreign_rows_next(struct foreign_rows *r, struct str *values, bool *ret_more)
{
    return (r->statement ? next_sqlite : next_postgres)(r, values, ret_more);
}

void foreign_rows_close(struct foreign_rows *r)
{
    if (!r)
        return;
    sqlite3_finalize(r->statement);
    PQclear(r->page);
    free(r);
}
