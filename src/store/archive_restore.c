/* Restoring an archive: compare it with its own hashes, fill new databases beside the old ones,
 * compare again, and only then put them in their place. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/archive_impl.h"

/* What an archive has of one kind. */
struct plan {
    int version;
    struct table_list list;
    struct archive_table *sums; /* beside list.tables */
    struct tables *staged;
};

struct restore {
    struct archive a;
    struct plan plans[2];
};

/* --- what is in the file --- */

static enum error number(const struct archive *a, const char *sql, int *ret)
{
    sqlite3_stmt *st = NULL;
    enum error e = ERR_OK;
    if (sqlite3_prepare_v2(a->db, sql, -1, &st, NULL) == SQLITE_OK &&
        sqlite3_step(st) == SQLITE_ROW)
        *ret = sqlite3_column_int(st, 0);
    else
        e = archive_failed(a);
    sqlite3_finalize(st);
    return e;
}

static enum error open_archive(struct archive *a)
{
    int id = 0, format = 0;
    if (sqlite3_open_v2(a->o->file, &a->db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
        return archive_failed(a);
    enum error e = number(a, "PRAGMA application_id", &id);
    if (e == ERR_OK)
        e = number(a, "PRAGMA user_version", &format);
    if (e == ERR_OK && id != ARCHIVE_ID)
        e = tables_fail(&a->why, ERR_INVALID, "%s is no archive made by `jackdaw backup`",
                        a->o->file);
    if (e == ERR_OK && format > ARCHIVE_FORMAT)
        e = tables_fail(&a->why, ERR_INVALID,
                        "%s was made by a newer Jackdaw: restore it with that one", a->o->file);
    return e;
}

static enum error load_columns(const struct archive *a, enum store_kind kind, struct table *table)
{
    sqlite3_stmt *st = NULL;
    char name[TABLE_NAME_MAX];
    archive_name(kind, table, name);
    if (sqlite3_prepare_v2(a->db,
                           "SELECT \"name\", \"type\" FROM \"columns\" WHERE \"table\" = ?1"
                           " ORDER BY \"number\"",
                           -1, &st, NULL) != SQLITE_OK)
        return archive_failed(a);
    sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
    while (sqlite3_step(st) == SQLITE_ROW && table->columns < COLUMNS_MAX) {
        archive_take_name(st, 0, table->column[table->columns]);
        table->type[table->columns++] = (enum value_type)sqlite3_column_int(st, 1);
    }
    return sqlite3_finalize(st) == SQLITE_OK ? ERR_OK : archive_failed(a);
}

static enum error load_plan(struct archive *a, enum store_kind kind, struct plan *plan)
{
    sqlite3_stmt *st = NULL;
    enum error e = ERR_OK;
    plan->list.tables = mem_alloc_array(TABLES_MAX, sizeof(struct table));
    plan->sums = mem_alloc_array(TABLES_MAX, sizeof *plan->sums);
    if (sqlite3_prepare_v2(a->db,
                           "SELECT \"version\", \"table\", \"rows\", \"hash\" FROM \"archive\""
                           " WHERE \"kind\" = ?1 ORDER BY \"table\"",
                           -1, &st, NULL) != SQLITE_OK)
        return archive_failed(a);
    sqlite3_bind_int(st, 1, kind);
    while (e == ERR_OK && plan->list.count < TABLES_MAX && sqlite3_step(st) == SQLITE_ROW) {
        struct table *table = &plan->list.tables[plan->list.count];
        struct archive_table *sum = &plan->sums[plan->list.count++];
        plan->version = sqlite3_column_int(st, 0);
        archive_take_name(st, 1, table->name);
        sum->rows = (uint64_t)sqlite3_column_int64(st, 2);
        if (sqlite3_column_bytes(st, 3) == ARCHIVE_HASH)
            memcpy(sum->hash, sqlite3_column_blob(st, 3), ARCHIVE_HASH);
        a->total += sum->rows * 3;
        e = load_columns(a, kind, table);
    }
    sqlite3_finalize(st);
    return e;
}

/* --- checks before anything is changed --- */

static enum error check_version(const struct archive *a, enum store_kind kind, int version)
{
    int newest = 0;
    for (size_t i = 0; i < migrations_count; i++)
        if (migrations[i].kind == kind)
            newest = migrations[i].number;
    if (version <= newest)
        return ERR_OK;
    return tables_fail(&a->why, ERR_INVALID,
                       "%s has data of a newer Jackdaw (schema %d, this program knows up to %d): "
                       "restore it with that one",
                       a->o->file, version, newest);
}

static enum error check_damage(struct archive *a, enum store_kind kind, const struct plan *plan)
{
    enum error e = check_version(a, kind, plan->version);
    for (size_t i = 0; e == ERR_OK && i < plan->list.count; i++) {
        struct archive_copy c;
        archive_copy_init(&c, a, "checking the archive", &plan->list.tables[i]);
        e = archive_read_table(a, kind, &c);
        if (e == ERR_OK && !archive_same(&c.sum, &plan->sums[i]))
            e = tables_fail(&a->why, ERR_INVALID,
                            "%s is damaged: its table %s is not what was written", a->o->file,
                            plan->list.tables[i].name);
        archive_copy_finish(&c);
    }
    return e;
}

static bool on_any_row(void *arg, const struct value *values)
{
    (void)values;
    *(bool *)arg = true;
    return false;
}

/* A new database has a row in `sequence` alone. */
static enum error check_empty(const struct archive *a, struct tables *t)
{
    struct table_list list = {0};
    bool found = false;
    enum error e = t->driver->list(t, &list);
    for (size_t i = 0; e == ERR_OK && !found && i < list.count; i++)
        if (strcmp(list.tables[i].name, "sequence") != 0)
            e = t->driver->scan(t, &list.tables[i], on_any_row, &found);
    free(list.tables);
    if (e == ERR_OK && found)
        e = tables_fail(&a->why, ERR_EXISTS,
                        "the %s database has something in it already; with --force it is replaced "
                        "(and kept under another name)",
                        archive_kind_names[t->kind]);
    return e;
}

static enum error check_target(const struct archive *a, enum store_kind kind)
{
    const struct tables_driver *driver = tables_driver_of(a->o->urls[kind]);
    struct tables *t = NULL;
    struct tables_state state;
    if (!driver)
        return tables_fail(&a->why, ERR_INVALID, "the database is of no kind known");
    enum error e = driver->open(a->o->urls[kind], kind, a->why, &t, &state);
    if (e != ERR_OK)
        return e;
    if (state.in_use)
        e = tables_fail(&a->why, ERR_BUSY, "a server uses this database: stop it first");
    else if (state.version > 0 && !a->o->force)
        e = check_empty(a, t);
    driver->close(t);
    return e;
}

/* --- filling --- */

static enum error fill_table(struct archive *a, struct plan *plan, size_t i)
{
    const struct table *table = &plan->list.tables[i];
    struct tables *to = plan->staged;
    struct archive_copy in, again;
    archive_copy_init(&in, a, "restoring", table);
    archive_copy_init(&again, a, "comparing", table);
    in.to = to;
    enum error e = to->driver->fill(to, table);
    if (e == ERR_OK)
        e = archive_read_table(a, to->kind, &in);
    if (e == ERR_OK)
        e = to->driver->filled(to, table);
    if (e == ERR_OK)
        e = to->driver->scan(to, table, archive_on_row, &again);
    if (e == ERR_OK && !archive_same(&again.sum, &plan->sums[i]))
        e = tables_fail(&a->why, ERR_STORE, "what was restored into %s differs from the archive",
                        table->name);
    if (e == ERR_OK)
        archive_tell(a, to->kind, table, &again.sum);
    archive_copy_finish(&in);
    archive_copy_finish(&again);
    return e;
}

/* With the schema that the archive was made with; `put` brings it up to date. */
static enum error stage(struct archive *a, enum store_kind kind, struct plan *plan)
{
    const struct tables_driver *driver = tables_driver_of(a->o->urls[kind]);
    struct migration *steps = mem_alloc_array(migrations_count, sizeof *steps);
    size_t count = 0;
    for (size_t i = 0; i < migrations_count; i++)
        if (migrations[i].kind == kind && migrations[i].number <= plan->version)
            steps[count++] = migrations[i];
    enum error e = driver->stage(a->o->urls[kind], kind, steps, count, a->why, &plan->staged);
    for (size_t i = 0; e == ERR_OK && i < plan->list.count; i++)
        e = fill_table(a, plan, i);
    free(steps);
    return e;
}

enum error archive_restore(const struct archive_options *o, char *why, size_t why_size)
{
    struct restore *r = MEM_NEW(struct restore);
    r->a = (struct archive){.o = o, .why = {why, why_size}};
    enum error e = open_archive(&r->a);
    for (int kind = 0; e == ERR_OK && kind < 2; kind++)
        e = load_plan(&r->a, (enum store_kind)kind, &r->plans[kind]);
    for (int kind = 0; e == ERR_OK && kind < 2; kind++)
        e = check_target(&r->a, (enum store_kind)kind);
    for (int kind = 0; e == ERR_OK && kind < 2; kind++)
        e = check_damage(&r->a, (enum store_kind)kind, &r->plans[kind]);
    for (int kind = 0; e == ERR_OK && kind < 2; kind++)
        e = stage(&r->a, (enum store_kind)kind, &r->plans[kind]);
    for (int kind = 0; e == ERR_OK && kind < 2; kind++)
        e = r->plans[kind].staged->driver->put(r->plans[kind].staged);
    for (int kind = 0; kind < 2; kind++) {
        struct plan *plan = &r->plans[kind];
        if (plan->staged)
            plan->staged->driver->close(plan->staged);
        free(plan->list.tables);
        free(plan->sums);
    }
    sqlite3_close(r->a.db);
    free(r);
    return e;
}
