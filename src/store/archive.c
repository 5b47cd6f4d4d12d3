/* Copies of both databases in one SQLite file. Rows stream through; each table's number of rows and
 * hash (row_hash.h) are taken where they are read, and again from the copy. */
#include "store/archive_impl.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/row_hash.h"

enum { EVERY = 1024 /* rows, between two calls of `progress` */ };

const char *const archive_kind_names[2] = {[STORE_ACCOUNTS] = "accounts", [STORE_USERS] = "users"};

enum error archive_failed(const struct archive *a)
{
    enum error e = migrations_error(sqlite3_extended_errcode(a->db));
    return tables_fail(&a->why, e == ERR_OK ? ERR_STORE : e, "the archive %s: %s", a->o->file,
                       sqlite3_errmsg(a->db));
}

static enum error execute(const struct archive *a, const char *sql)
{
    return sqlite3_exec(a->db, sql, NULL, NULL, NULL) == SQLITE_OK ? ERR_OK : archive_failed(a);
}

/* --- rows --- */

static void encode(struct buffer *b, const struct value *v)
{
    uint64_t length = v->type == VALUE_TEXT || v->type == VALUE_BLOB ? v->bytes.len : 0;
    buffer_add_char(b, (char)v->type);
    if (v->type == VALUE_INT)
        buffer_add(b, &v->number, sizeof v->number);
    buffer_add(b, &length, sizeof length);
    if (length)
        buffer_add_str(b, v->bytes);
}

static void add_hash(struct archive_copy *c, const struct value *values)
{
    buffer_clear(&c->row);
    for (unsigned i = 0; i < c->table->columns; i++)
        encode(&c->row, &values[i]);
    row_hash_add(c->sum.hash, buffer_str(&c->row));
}

static bool insert(sqlite3_stmt *st, const struct value *values, unsigned columns)
{
    for (unsigned i = 0; i < columns; i++) {
        const struct value *v = &values[i];
        int n = (int)i + 1;
        if (v->type == VALUE_NULL)
            sqlite3_bind_null(st, n);
        else if (v->type == VALUE_INT)
            sqlite3_bind_int64(st, n, v->number);
        else
            sqlite3_bind_blob(st, n, v->bytes.data, (int)v->bytes.len, SQLITE_STATIC);
    }
    bool ok = sqlite3_step(st) == SQLITE_DONE;
    sqlite3_reset(st);
    return ok;
}

bool archive_on_row(void *arg, const struct value *values)
{
    struct archive_copy *c = arg;
    add_hash(c, values);
    c->sum.rows++;
    if (c->to)
        c->error = c->to->driver->add(c->to, c->table, values);
    else if (c->insert && !insert(c->insert, values, c->table->columns))
        c->error = ERR_STORE; /* the archive's handle knows why */
    if (++c->a->done % EVERY == 0 && c->a->o->progress)
        c->a->o->progress(c->a->o->arg, c->doing, c->a->done, c->a->total);
    return c->error == ERR_OK;
}

void archive_copy_init(struct archive_copy *c, struct archive *a, const char *doing,
                       const struct table *table)
{
    *c = (struct archive_copy){.a = a, .doing = doing, .table = table};
    c->sum.name = table->name;
    buffer_init(&c->row, STORE_RESULT_MAX);
}

void archive_copy_finish(struct archive_copy *c)
{
    buffer_finish(&c->row);
}

/* --- tables of the archive --- */

void archive_name(enum store_kind kind, const struct table *table, char out[TABLE_NAME_MAX])
{
    snprintf(out, TABLE_NAME_MAX, "%s/%.100s", archive_kind_names[kind], table->name);
}

/* All columns are BLOB: what goes in comes out; their types stand in the table `columns`. */
static enum error make_table(struct archive *a, enum store_kind kind, const struct table *table,
                             sqlite3_stmt **ret)
{
    struct buffer sql;
    char name[TABLE_NAME_MAX];
    archive_name(kind, table, name);
    buffer_init(&sql, 65536);
    buffer_printf(&sql, "CREATE TABLE \"%s\" (", name);
    tables_add_columns(&sql, table);
    buffer_add(&sql, ")", 2);
    enum error e = execute(a, buffer_str(&sql).data);
    for (unsigned i = 0; e == ERR_OK && i < table->columns; i++) {
        buffer_clear(&sql);
        buffer_printf(&sql, "INSERT INTO \"columns\" VALUES ('%s', %u, '%s', %d)", name, i,
                      table->column[i], (int)table->type[i]);
        buffer_add_char(&sql, '\0');
        e = execute(a, buffer_str(&sql).data);
    }
    buffer_clear(&sql);
    buffer_printf(&sql, "INSERT INTO \"%s\" VALUES (", name);
    for (unsigned i = 0; i < table->columns; i++)
        buffer_printf(&sql, "%s?%u", i ? ", " : "", i + 1);
    buffer_add(&sql, ")", 2);
    if (e == ERR_OK && sqlite3_prepare_v2(a->db, buffer_str(&sql).data, -1, ret, NULL) != SQLITE_OK)
        e = archive_failed(a);
    buffer_finish(&sql);
    return e;
}

void archive_take_name(sqlite3_stmt *st, int column, char out[TABLE_NAME_MAX])
{
    const char *text = (const char *)sqlite3_column_text(st, column);
    size_t len = 0;
    /* It goes into SQL: what is no name of ours becomes none. */
    for (; text && text[len] && len < TABLE_NAME_MAX - 1; len++)
        if (!isalnum((unsigned char)text[len]) && !strchr("-_", text[len]))
            break;
    bool ok = text && !text[len];
    snprintf(out, TABLE_NAME_MAX, "%s", ok ? text : "invalid");
}

/* Every row of an archive's table to `c`. */
enum error archive_read_table(struct archive *a, enum store_kind kind, struct archive_copy *c)
{
    struct value values[COLUMNS_MAX];
    struct table named = *c->table;
    struct buffer sql;
    sqlite3_stmt *st = NULL;
    archive_name(kind, c->table, named.name);
    buffer_init(&sql, 65536);
    tables_select(&sql, &named);
    int code = sqlite3_prepare_v2(a->db, buffer_str(&sql).data, -1, &st, NULL);
    buffer_finish(&sql);
    while (code == SQLITE_OK && c->error == ERR_OK && (code = sqlite3_step(st)) == SQLITE_ROW) {
        for (unsigned i = 0; i < c->table->columns; i++)
            values[i] = tables_cell(st, (int)i, c->table->type[i]);
        (void)archive_on_row(c, values);
        code = SQLITE_OK;
    }
    enum error e = code == SQLITE_OK || code == SQLITE_DONE ? c->error : archive_failed(a);
    sqlite3_finalize(st);
    return e;
}

bool archive_same(const struct archive_table *a, const struct archive_table *b)
{
    return a->rows == b->rows && memcmp(a->hash, b->hash, ARCHIVE_HASH) == 0;
}

/* --- writing --- */

static enum error note_table(struct archive *a, enum store_kind kind, int version,
                             const struct archive_table *sum, const char *name)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(a->db, "INSERT INTO \"archive\" VALUES (?1, ?2, ?3, ?4, ?5)", -1, &st,
                           NULL) != SQLITE_OK)
        return archive_failed(a);
    sqlite3_bind_int(st, 1, kind);
    sqlite3_bind_int(st, 2, version);
    sqlite3_bind_text(st, 3, name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 4, (sqlite3_int64)sum->rows);
    sqlite3_bind_blob(st, 5, sum->hash, ARCHIVE_HASH, SQLITE_STATIC);
    sqlite3_step(st);
    return sqlite3_finalize(st) == SQLITE_OK ? ERR_OK : archive_failed(a);
}

void archive_tell(const struct archive *a, enum store_kind kind, const struct table *table,
                  struct archive_table *sum)
{
    char name[TABLE_NAME_MAX];
    archive_name(kind, table, name);
    sum->name = name;
    if (a->o->table)
        a->o->table(a->o->arg, sum);
    sum->name = NULL;
}

static enum error write_table(struct archive *a, struct tables *from, const struct table *table,
                              int version)
{
    struct archive_copy read, again;
    archive_copy_init(&read, a, "writing", table);
    archive_copy_init(&again, a, "comparing", table);
    enum error e = make_table(a, from->kind, table, &read.insert);
    if (e == ERR_OK)
        e = from->driver->scan(from, table, archive_on_row, &read);
    if (e == ERR_OK && read.error != ERR_OK)
        e = archive_failed(a);
    sqlite3_finalize(read.insert);
    if (e == ERR_OK)
        e = note_table(a, from->kind, version, &read.sum, table->name);
    if (e == ERR_OK)
        e = archive_read_table(a, from->kind, &again);
    if (e == ERR_OK && !archive_same(&read.sum, &again.sum))
        e = tables_fail(&a->why, ERR_STORE, "the copy of %s/%s differs from what was read",
                        archive_kind_names[from->kind], table->name);
    if (e == ERR_OK)
        archive_tell(a, from->kind, table, &again.sum);
    archive_copy_finish(&read);
    archive_copy_finish(&again);
    return e;
}

static bool count_row(void *arg, const struct value *values)
{
    (void)values;
    ++*(uint64_t *)arg;
    return true;
}

static enum error write_kind(struct archive *a, enum store_kind kind)
{
    const struct tables_driver *driver = tables_driver_of(a->o->urls[kind]);
    struct tables *from = NULL;
    struct tables_state state;
    struct table_list list = {0};
    enum error e;
    if (!driver)
        return tables_fail(&a->why, ERR_INVALID, "the database is of no kind known");
    e = driver->open(a->o->urls[kind], kind, a->why, &from, &state);
    if (!from)
        return e;
    if (e == ERR_OK)
        e = driver->list(from, &list);
    for (size_t i = 0; e == ERR_OK && i < list.count; i++)
        e = driver->scan(from, &list.tables[i], count_row, &a->total);
    a->total *= 2; /* each is read twice */
    for (size_t i = 0; e == ERR_OK && i < list.count; i++)
        e = write_table(a, from, &list.tables[i], state.version);
    free(list.tables);
    driver->close(from);
    return e;
}

static enum error make_archive(struct archive *a, const char *partial)
{
    char sql[512];
    int fd = open(partial, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return tables_fail(&a->why, error_from_errno(errno), "cannot make %s: %s", partial,
                           strerror(errno));
    close(fd);
    if (sqlite3_open_v2(partial, &a->db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        return archive_failed(a);
    snprintf(sql, sizeof sql,
             "PRAGMA journal_mode = OFF; PRAGMA application_id = %d; PRAGMA user_version = %d;"
             "BEGIN; CREATE TABLE \"about\" (\"program\", \"time\");"
             "INSERT INTO \"about\" VALUES ('jackdaw " JACKDAW_VERSION "', %lld);"
             "CREATE TABLE \"archive\" (\"kind\", \"version\", \"table\", \"rows\", \"hash\");"
             "CREATE TABLE \"columns\" (\"table\", \"number\", \"name\", \"type\")",
             ARCHIVE_ID, ARCHIVE_FORMAT, (long long)a->o->time);
    return execute(a, sql);
}

/* Under its own name only when it is complete and on the disk. */
static enum error name_archive(const struct archive *a, const char *partial)
{
    int fd = open(partial, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0 && link(partial, a->o->file) == 0;
    int code = errno;
    if (fd >= 0)
        close(fd);
    if (ok)
        return ERR_OK;
    return tables_fail(&a->why, code == EEXIST ? ERR_EXISTS : error_from_errno(code),
                       "cannot write %s: %s", a->o->file, strerror(code));
}

enum error archive_write(const struct archive_options *o, char *why, size_t why_size)
{
    struct archive a = {.o = o, .why = {why, why_size}};
    size_t size = strlen(o->file) + 16;
    char *partial = mem_alloc(size);
    snprintf(partial, size, "%s.partial", o->file);
    enum error e =
        access(o->file, F_OK) == 0
            ? tables_fail(&a.why, ERR_EXISTS,
                          "%s exists already: choose another name, or remove it", o->file)
            : make_archive(&a, partial);
    if (e == ERR_OK)
        e = write_kind(&a, STORE_ACCOUNTS);
    if (e == ERR_OK)
        e = write_kind(&a, STORE_USERS);
    if (e == ERR_OK)
        e = execute(&a, "COMMIT");
    sqlite3_close(a.db);
    if (e == ERR_OK)
        e = name_archive(&a, partial);
    (void)unlink(partial);
    free(partial);
    return e;
}
