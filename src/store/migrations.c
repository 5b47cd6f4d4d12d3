/* Migrations: numbered steps of a SQLite schema. The file itself says what it is (application_id:
 * ours, and which of the two databases) and how far it has come (user_version). */
#include "store/migrations.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

const struct migration migrations[] = {
#define X(database, step, text) {STORE_##database, step, text},
#include "store/migrations.def"
#undef X
};
const size_t migrations_count = sizeof migrations / sizeof *migrations;

enum { APPLICATION_ID = 0x4a644100 }; /* "JdA", plus the kind */

static const char *const kind_names[] = {[STORE_ACCOUNTS] = "accounts", [STORE_USERS] = "users"};

enum error migrations_error(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return ERR_OK;
    case SQLITE_FULL:
        return ERR_STORE_FULL;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        return ERR_PERMISSION;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_NOTADB:
        return ERR_INVALID;
    case SQLITE_TOOBIG:
        return ERR_TOO_BIG;
    default:
        return ERR_STORE;
    }
}

struct run {
    sqlite3 *db;
    const char *path;
    enum store_kind kind;
    char *why;
    size_t why_size;
};

static enum error failed(const struct run *r, const char *doing)
{
    enum error e = migrations_error(sqlite3_extended_errcode(r->db));
    snprintf(r->why, r->why_size, "cannot %s the database %s: %s", doing, r->path,
             sqlite3_errmsg(r->db));
    return e == ERR_OK ? ERR_STORE : e;
}

static enum error number(const struct run *r, const char *sql, int *ret)
{
    sqlite3_stmt *st = NULL;
    enum error e = ERR_OK;
    if (sqlite3_prepare_v2(r->db, sql, -1, &st, NULL) == SQLITE_OK &&
        sqlite3_step(st) == SQLITE_ROW)
        *ret = sqlite3_column_int(st, 0);
    else
        e = failed(r, "read");
    sqlite3_finalize(st);
    return e;
}

static enum error execute(const struct run *r, const char *sql)
{
    return sqlite3_exec(r->db, sql, NULL, NULL, NULL) == SQLITE_OK ? ERR_OK : failed(r, "change");
}

/* Is this file ours to work on, and how far has it come? */
static enum error identify(const struct run *r, int newest, int *ret_version)
{
    int version, id, tables;
    enum error e;
    if ((e = number(r, "PRAGMA user_version", &version)) != ERR_OK ||
        (e = number(r, "PRAGMA application_id", &id)) != ERR_OK ||
        (e = number(r, "SELECT count(*) FROM sqlite_master", &tables)) != ERR_OK)
        return e;
    if (id == 0 && version == 0 && tables == 0) {
        *ret_version = 0;
        return ERR_OK;
    }
    if (id != APPLICATION_ID + (int)r->kind) {
        bool ours = id == APPLICATION_ID + STORE_ACCOUNTS || id == APPLICATION_ID + STORE_USERS;
        snprintf(r->why, r->why_size,
                 "%s is %s, not Jackdaw's %s database. Name another file in the configuration.",
                 r->path, ours ? "Jackdaw's other database" : "a database of another program",
                 kind_names[r->kind]);
        return ERR_INVALID;
    }
    if (version > newest) {
        snprintf(
            r->why, r->why_size,
            "%s was written by a newer Jackdaw (schema %d, this program knows up to %d). Install "
            "the newer version again, or go back to the copy %s.backup-v%d.",
            r->path, version, newest, r->path, newest);
        return ERR_INVALID;
    }
    *ret_version = version;
    return ERR_OK;
}

static enum error vacuum_into(const struct run *r, const char *to)
{
    sqlite3_stmt *st = NULL;
    enum error e = ERR_OK;
    unlink(to); /* the rest of an interrupted attempt */
    int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        snprintf(r->why, r->why_size, "cannot make the backup %s before migrating: %s", to,
                 strerror(errno));
        return error_from_errno(errno);
    }
    if (sqlite3_prepare_v2(r->db, "VACUUM INTO ?1", -1, &st, NULL) != SQLITE_OK ||
        sqlite3_bind_text(st, 1, to, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_step(st) != SQLITE_DONE)
        e = failed(r, "back up");
    sqlite3_finalize(st);
    if (e == ERR_OK && fsync(fd) != 0) {
        snprintf(r->why, r->why_size, "cannot write the backup %s: %s", to, strerror(errno));
        e = error_from_errno(errno);
    }
    close(fd);
    return e;
}

/* A consistent copy under its final name only when it is complete. */
static enum error back_up(const struct run *r, int version, struct log log)
{
    size_t size = strlen(r->path) + 64;
    char *partial = mem_alloc(size), *final = mem_alloc(size);
    int now = version;
    snprintf(partial, size, "%s.backup-v%d.partial%ld", r->path, version, (long)getpid());
    snprintf(final, size, "%s.backup-v%d", r->path, version);
    enum error e = vacuum_into(r, partial);
    if (e == ERR_OK)
        e = number(r, "PRAGMA user_version", &now);
    if (e == ERR_OK && now != version) { /* another process has made the copy, and migrated */
        unlink(partial);
        goto out;
    }
    if (e == ERR_OK && rename(partial, final) != 0) {
        snprintf(r->why, r->why_size, "cannot name the backup %s: %s", final, strerror(errno));
        e = error_from_errno(errno);
    }
    if (e == ERR_OK)
        log_info(&log, "the database %s will be migrated; its old state is kept in %s", r->path,
                 final);
    else
        unlink(partial);
out:
    free(partial);
    free(final);
    return e;
}

/* All steps in one transaction: others see the old schema or the new one. */
static enum error apply_steps(const struct run *r, const struct migration *steps, size_t count)
{
    char mark[96];
    int version;
    enum error e = execute(r, "BEGIN IMMEDIATE");
    if (e != ERR_OK)
        return e;
    e = number(r, "PRAGMA user_version", &version); /* another process may have been faster */
    for (size_t i = 0; e == ERR_OK && i < count; i++) {
        if (steps[i].kind != r->kind || steps[i].number <= version)
            continue;
        snprintf(mark, sizeof mark, "PRAGMA user_version = %d; PRAGMA application_id = %d",
                 steps[i].number, APPLICATION_ID + (int)r->kind);
        e = execute(r, steps[i].sql);
        if (e == ERR_OK)
            e = execute(r, mark);
    }
    if (e == ERR_OK)
        e = execute(r, "COMMIT");
    if (e != ERR_OK && !sqlite3_get_autocommit(r->db))
        sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
    return e;
}

enum error migrations_apply(sqlite3 *db, const char *path, enum store_kind kind,
                            const struct migration *steps, size_t count, struct log log, char *why,
                            size_t why_size)
{
    struct run r = {db, path, kind, why, why_size};
    int newest = 0, version = 0;
    for (size_t i = 0; i < count; i++)
        if (steps[i].kind == kind)
            newest = steps[i].number;
    enum error e = execute(&r, "BEGIN"); /* one look, however many write meanwhile */
    if (e == ERR_OK)
        e = identify(&r, newest, &version);
    if (!sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    if (e == ERR_OK && version > 0 && version < newest)
        e = back_up(&r, version, log);
    if (e == ERR_OK && version < newest)
        e = apply_steps(&r, steps, count);
    return e;
}

enum error migrations_version(sqlite3 *db, const char *path, enum store_kind kind, int *ret,
                              char *why, size_t why_size)
{
    struct run r = {db, path, kind, why, why_size};
    return identify(&r, INT32_MAX, ret);
}
