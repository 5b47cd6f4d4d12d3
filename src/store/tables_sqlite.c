/* SQLite files as plain tables. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/tables.h"

struct sqlite_tables {
    struct tables base;
    sqlite3 *db;
    sqlite3_stmt *insert;
    char *path, *staged; /* NULL: opened, not staged */
};

static struct sqlite_tables *of(struct tables *t)
{
    return MEM_CONTAINER(t, struct sqlite_tables, base);
}

static enum error failed(const struct sqlite_tables *s)
{
    enum error e = migrations_error(sqlite3_extended_errcode(s->db));
    return tables_fail(&s->base.why, e == ERR_OK ? ERR_STORE : e, "the database %s: %s",
                       s->staged ? s->staged : s->path, sqlite3_errmsg(s->db));
}

static enum error execute(struct sqlite_tables *s, const char *sql)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? ERR_OK : failed(s);
}

static void remove_files(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    char *name = mem_alloc(strlen(path) + 16);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        snprintf(name, strlen(path) + 16, "%s%s", path, suffixes[i]);
        (void)unlink(name);
    }
    free(name);
}

static char *suffixed(const char *path, const char *suffix)
{
    size_t size = strlen(path) + strlen(suffix) + 1;
    char *name = mem_alloc(size);
    snprintf(name, size, "%s%s", path, suffix);
    return name;
}

static void sqlite_tables_close(struct tables *t)
{
    struct sqlite_tables *s = of(t);
    sqlite3_finalize(s->insert);
    sqlite3_close(s->db);
    if (s->staged)
        remove_files(s->staged);
    free(s->staged);
    free(s->path);
    free(s);
}

static struct sqlite_tables *create(const char *url, enum store_kind kind, struct tables_why why)
{
    struct sqlite_tables *s = MEM_NEW(struct sqlite_tables);
    s->base = (struct tables){&tables_sqlite, kind, why};
    s->path = mem_strdup(url + strlen(tables_sqlite.scheme));
    return s;
}

static enum error sqlite_tables_open(const char *url, enum store_kind kind, struct tables_why why,
                                     struct tables **ret, struct tables_state *state)
{
    struct sqlite_tables *s = create(url, kind, why);
    enum error e = ERR_OK;
    *ret = &s->base;
    *state = (struct tables_state){0};
    if (access(s->path, F_OK) != 0 && errno == ENOENT)
        return ERR_OK;
    if (sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) {
        e = failed(s);
    } else {
        sqlite3_busy_timeout(s->db, 10000);
        e = execute(s, "PRAGMA trusted_schema = OFF; BEGIN");
    }
    if (e == ERR_OK)
        e = migrations_version(s->db, s->path, kind, &state->version, why.text, why.size);
    if (e == ERR_OK)
        return ERR_OK;
    sqlite_tables_close(&s->base);
    *ret = NULL;
    return e;
}

/* --- what is there --- */

static enum value_type type_of(const char *declared)
{
    return strcmp(declared, "TEXT") == 0   ? VALUE_TEXT
           : strcmp(declared, "BLOB") == 0 ? VALUE_BLOB
                                           : VALUE_INT;
}

static enum error describe(struct sqlite_tables *s, struct table *table)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(s->db, "SELECT name, type FROM pragma_table_info(?1) ORDER BY cid", -1,
                           &st, NULL) != SQLITE_OK)
        return failed(s);
    sqlite3_bind_text(st, 1, table->name, -1, SQLITE_STATIC);
    while (sqlite3_step(st) == SQLITE_ROW && table->columns < COLUMNS_MAX) {
        snprintf(table->column[table->columns], TABLE_NAME_MAX, "%s",
                 (const char *)sqlite3_column_text(st, 0));
        table->type[table->columns] = type_of((const char *)sqlite3_column_text(st, 1));
        table->columns++;
    }
    return sqlite3_finalize(st) == SQLITE_OK ? ERR_OK : failed(s);
}

static enum error sqlite_tables_list(struct tables *t, struct table_list *ret)
{
    struct sqlite_tables *s = of(t);
    sqlite3_stmt *st = NULL;
    enum error e = ERR_OK;
    *ret = (struct table_list){0, mem_alloc_array(TABLES_MAX, sizeof(struct table))};
    if (!s->db)
        return ERR_OK;
    if (sqlite3_prepare_v2(
            s->db,
            "SELECT name FROM sqlite_master WHERE type = 'table'"
            " AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'search-%' ORDER BY name",
            -1, &st, NULL) != SQLITE_OK)
        return failed(s);
    while (e == ERR_OK && ret->count < TABLES_MAX && sqlite3_step(st) == SQLITE_ROW) {
        struct table *table = &ret->tables[ret->count++];
        snprintf(table->name, sizeof table->name, "%s", (const char *)sqlite3_column_text(st, 0));
        e = describe(s, table);
    }
    sqlite3_finalize(st);
    return e;
}

struct value tables_cell(sqlite3_stmt *st, int column, enum value_type type)
{
    struct value v = {.type = VALUE_NULL};
    if (sqlite3_column_type(st, column) == SQLITE_NULL)
        return v;
    v.type = type;
    if (type == VALUE_INT) {
        v.number = sqlite3_column_int64(st, column);
    } else {
        v.bytes.data = sqlite3_column_blob(st, column);
        v.bytes.len = (size_t)sqlite3_column_bytes(st, column);
        if (!v.bytes.data)
            v.bytes.data = "";
    }
    return v;
}

static enum error sqlite_tables_scan(struct tables *t, const struct table *table, table_row_fn fn,
                                     void *arg)
{
    struct sqlite_tables *s = of(t);
    struct value values[COLUMNS_MAX];
    struct buffer sql;
    sqlite3_stmt *st = NULL;
    bool go_on = true;
    buffer_init(&sql, 65536);
    tables_select(&sql, table);
    int code = sqlite3_prepare_v2(s->db, buffer_str(&sql).data, -1, &st, NULL);
    buffer_finish(&sql);
    while (code == SQLITE_OK && go_on && (code = sqlite3_step(st)) == SQLITE_ROW) {
        for (unsigned i = 0; i < table->columns; i++)
            values[i] = tables_cell(st, (int)i, table->type[i]);
        go_on = fn(arg, values);
        code = SQLITE_OK;
    }
    enum error e = code == SQLITE_OK || code == SQLITE_DONE ? ERR_OK : failed(s);
    sqlite3_finalize(st);
    return e;
}

/* --- a new one --- */

static enum error sqlite_tables_stage(const char *url, enum store_kind kind,
                                      const struct migration *steps, size_t count,
                                      struct tables_why why, struct tables **ret)
{
    struct sqlite_tables *s = create(url, kind, why);
    enum error e = ERR_OK;
    s->staged = suffixed(s->path, ".restore");
    remove_files(s->staged);
    int fd = open(s->staged, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        e = tables_fail(&why, error_from_errno(errno), "cannot make %s: %s", s->staged,
                        strerror(errno));
    else
        close(fd);
    if (e == ERR_OK && sqlite3_open_v2(s->staged, &s->db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        e = failed(s);
    if (e == ERR_OK)
        e = migrations_apply(s->db, s->staged, kind, steps, count, (struct log){0}, why.text,
                             why.size);
    if (e == ERR_OK)
        e = execute(s, "PRAGMA synchronous = FULL; BEGIN");
    if (e == ERR_OK)
        *ret = &s->base;
    else
        sqlite_tables_close(&s->base);
    return e;
}

static enum error sqlite_tables_fill(struct tables *t, const struct table *table)
{
    struct sqlite_tables *s = of(t);
    struct buffer sql;
    buffer_init(&sql, 65536);
    buffer_printf(&sql, "DELETE FROM \"%s\"", table->name);
    buffer_add_char(&sql, '\0');
    enum error e = execute(s, buffer_str(&sql).data);
    buffer_clear(&sql);
    buffer_printf(&sql, "INSERT INTO \"%s\" (", table->name);
    tables_add_columns(&sql, table);
    buffer_add_str(&sql, STR(") VALUES ("));
    for (unsigned i = 0; i < table->columns; i++)
        buffer_printf(&sql, "%s?%u", i ? ", " : "", i + 1);
    buffer_add(&sql, ")", 2);
    if (e == ERR_OK &&
        sqlite3_prepare_v2(s->db, buffer_str(&sql).data, -1, &s->insert, NULL) != SQLITE_OK)
        e = failed(s);
    buffer_finish(&sql);
    return e;
}

static enum error sqlite_tables_add(struct tables *t, const struct table *table,
                                    const struct value *values)
{
    struct sqlite_tables *s = of(t);
    for (unsigned i = 0; i < table->columns; i++) {
        const struct value *v = &values[i];
        int n = (int)i + 1;
        if (v->type == VALUE_NULL)
            sqlite3_bind_null(s->insert, n);
        else if (v->type == VALUE_INT)
            sqlite3_bind_int64(s->insert, n, v->number);
        else if (v->type == VALUE_TEXT)
            sqlite3_bind_text(s->insert, n, v->bytes.data, (int)v->bytes.len, SQLITE_STATIC);
        else
            sqlite3_bind_blob(s->insert, n, v->bytes.data, (int)v->bytes.len, SQLITE_STATIC);
    }
    int code = sqlite3_step(s->insert);
    sqlite3_reset(s->insert);
    return code == SQLITE_DONE ? ERR_OK : failed(s);
}

static enum error sqlite_tables_filled(struct tables *t, const struct table *table)
{
    (void)table;
    sqlite3_finalize(of(t)->insert);
    of(t)->insert = NULL;
    return ERR_OK;
}

/* What the old file still has in its log goes into it; then nothing but the file counts. */
static void close_log(const char *path)
{
    sqlite3 *old = NULL;
    if (access(path, F_OK) == 0 &&
        sqlite3_open_v2(path, &old, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK)
        (void)sqlite3_exec(old, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    sqlite3_close(old);
}

/* At every instant there is a whole database under the name. */
static enum error replace(struct sqlite_tables *s)
{
    char *kept = suffixed(s->path, ".before-restore");
    enum error e = ERR_OK;
    close_log(s->path);
    remove_files(kept);
    if ((link(s->path, kept) != 0 && errno != ENOENT) || rename(s->staged, s->path) != 0)
        e = tables_fail(&s->base.why, error_from_errno(errno),
                        "cannot put %s in the place of %s: %s", s->staged, s->path,
                        strerror(errno));
    free(kept);
    return e;
}

static enum error sqlite_tables_put(struct tables *t)
{
    struct sqlite_tables *s = of(t);
    char backup[32];
    enum error e = execute(s, "COMMIT");
    int version = 0;
    if (e == ERR_OK)
        e = migrations_version(s->db, s->staged, t->kind, &version, t->why.text, t->why.size);
    if (e == ERR_OK)
        e = migrations_apply(s->db, s->staged, t->kind, migrations, migrations_count,
                             (struct log){0}, t->why.text, t->why.size);
    snprintf(backup, sizeof backup, ".backup-v%d", version);
    char *needless = suffixed(s->staged, backup);
    (void)unlink(needless);
    free(needless);
    sqlite3_close(s->db);
    s->db = NULL;
    return e == ERR_OK ? replace(s) : e;
}

const struct tables_driver tables_sqlite = {
    "sqlite:",          sqlite_tables_open,  sqlite_tables_stage, sqlite_tables_list,
    sqlite_tables_scan, sqlite_tables_fill,  sqlite_tables_add,   sqlite_tables_filled,
    sqlite_tables_put,  sqlite_tables_close,
};
