/* One SQLite connection. A batch is one transaction, begun by its first write. WAL with
 * synchronous=FULL: once COMMIT has returned, the batch is on the disk.
 *
 * A request that fails must take nobody with it. Refusals (quota, "exists already") come from a
 * request's first statement, before it has changed anything, and cost nothing. Should a later
 * statement fail, the whole batch is rolled back and run again carefully, each request in a
 * savepoint. Savepoints for everybody would cost every offline message a copy of each page it
 * touches (docs/decisions/0021-store.md). */
#include "store/sqlite_db.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/migrations.h"

enum {
    STUCK_MS = 100,  /* the same, once it has been held for longer */
    BUSY_MS = 10000, /* how long another process (jackdaw user ...) may hold the write lock */
    RETRY_MS = 5
};

enum control { BEGIN, COMMIT, ROLLBACK, SAVEPOINT, RELEASE, ROLLBACK_TO, CONTROLS };
static const char *const control_sql[CONTROLS] = {
    [BEGIN] = "BEGIN IMMEDIATE", [COMMIT] = "COMMIT",     [ROLLBACK] = "ROLLBACK",
    [SAVEPOINT] = "SAVEPOINT r", [RELEASE] = "RELEASE r", [ROLLBACK_TO] = "ROLLBACK TO r",
};

struct sqlite_db {
    sqlite3 *handle; /* NULL: lost to an I/O error, to be opened again */
    struct log log;
    enum store_kind kind;
    enum sqlite_role role;
    char *path;
    bool in_transaction;
    bool redo;     /* a request has failed half-way: the batch is to be run again, carefully */
    bool careful;  /* it is being run again */
    bool suspect;  /* an I/O error happened: open again before the next batch */
    bool unsynced; /* what the log has may not be on the disk, although it is there */
    bool stuck;    /* another process has held the lock for BUSY_MS already */
    bool failing;  /* the operator has been told */
    enum error batch_error; /* the batch's transaction is lost */
    size_t refused;         /* requests since the failure began */
    sqlite3_stmt *controls[CONTROLS];
    sqlite3_stmt *statements[SQL_STATEMENTS];
};

/* --- opening --- */

/* Pages of a new file: half as many to write as of 4096 bytes. */
static const char writer_pragmas[] = "PRAGMA page_size = 8192;"
                                     "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                     "PRAGMA wal_autocheckpoint = 4000;"
                                     "PRAGMA journal_size_limit = 67108864;";
static const char common_pragmas[] = "PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY;"
                                     "PRAGMA trusted_schema = OFF;";

/* In a VFS that makes its own files. */
static bool is_uri(const struct sqlite_db *db)
{
    return strncmp(db->path, "file:/", 6) == 0;
}

/* Whoever closes it loses it. */
static bool in_memory(const struct sqlite_db *db)
{
    return strcmp(db->path, ":memory:") == 0 || (is_uri(db) && strstr(db->path, "?vfs=memdb"));
}

/* Makes a missing file ourselves, for its mode. A file that is there is not opened: closing it
 * would drop the locks that this process may hold on it through SQLite (POSIX locks belong to the
 * process). */
static enum error make_file(const struct sqlite_db *db, char *why, size_t why_size)
{
    int fd = open(db->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
        return ERR_OK;
    }
    if (errno == EEXIST && access(db->path, R_OK | W_OK) == 0)
        return ERR_OK;
    snprintf(
        why, why_size,
        "cannot open the database %s: %s. Its directory must exist and belong to the user that "
        "runs jackdaw.",
        db->path, strerror(errno));
    return error_from_errno(errno);
}

static enum error open_failed(struct sqlite_db *db, int code, char *why, size_t why_size)
{
    enum error e = migrations_error(code);
    snprintf(why, why_size, "cannot open the database %s: %s", db->path,
             db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(code));
    return e == ERR_OK ? ERR_STORE : e;
}

static void close_handle(struct sqlite_db *db)
{
    for (int i = 0; i < CONTROLS; i++)
        sqlite3_finalize(db->controls[i]);
    for (int i = 0; i < SQL_STATEMENTS; i++)
        sqlite3_finalize(db->statements[i]);
    memset(db->controls, 0, sizeof db->controls);
    memset(db->statements, 0, sizeof db->statements);
    sqlite3_close(db->handle);
    db->handle = NULL;
    db->in_transaction = false;
}

/* The change to WAL of a file that several processes open at once: SQLite tells all but one of them
 * that it is locked without waiting, since they hold a lock that each would have to give up. */
static int exec_when_free(sqlite3 *handle, const char *sql)
{
    int code = sqlite3_exec(handle, sql, NULL, NULL, NULL);

    for (int waited = 0; (code & 0xff) == SQLITE_BUSY && waited < BUSY_MS; waited += RETRY_MS) {
        sqlite3_sleep(RETRY_MS);
        code = sqlite3_exec(handle, sql, NULL, NULL, NULL);
    }
    return code;
}

static enum error open_handle(struct sqlite_db *db, char *why, size_t why_size)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    enum error e = ERR_OK;
    if (in_memory(db) || is_uri(db))
        flags |= SQLITE_OPEN_CREATE | SQLITE_OPEN_URI;
    else if (db->role == SQLITE_WRITER)
        e = make_file(db, why, why_size);
    if (e != ERR_OK)
        return e;
    int code = sqlite3_open_v2(db->path, &db->handle, flags, NULL);
    if (code == SQLITE_OK) {
        sqlite3_extended_result_codes(db->handle, 1);
        sqlite3_busy_timeout(db->handle, BUSY_MS);
        code = sqlite3_exec(db->handle, common_pragmas, NULL, NULL, NULL);
    }
    if (code == SQLITE_OK && db->role == SQLITE_WRITER)
        code = exec_when_free(db->handle, writer_pragmas);
    if (code != SQLITE_OK)
        e = open_failed(db, code, why, why_size);
    else if (db->role == SQLITE_WRITER)
        e = migrations_apply(db->handle, db->path, db->kind, migrations, migrations_count, db->log,
                             why, why_size);
    if (e != ERR_OK)
        close_handle(db);
    db->unsynced = e == ERR_OK && db->role == SQLITE_WRITER;
    return e;
}

enum error sqlite_db_open(struct log log, enum store_kind kind, enum sqlite_role role,
                          const char *path, struct sqlite_db **ret, char *why, size_t why_size)
{
    struct sqlite_db *db = MEM_NEW(struct sqlite_db);
    db->log = log;
    db->kind = kind;
    db->role = role;
    db->path = mem_strdup(path);
    enum error e = open_handle(db, why, why_size);
    if (e == ERR_OK)
        *ret = db;
    else
        sqlite_db_close(db);
    return e;
}

void sqlite_db_close(struct sqlite_db *db)
{
    if (!db)
        return;
    close_handle(db);
    free(db->path);
    free(db);
}

uint64_t sqlite_db_reserved(struct sqlite_db *db)
{
    sqlite3_stmt *st = NULL;
    uint64_t reserved = 0;
    if (sqlite3_prepare_v2(db->handle, "SELECT \"reserved\" FROM \"sequence\"", -1, &st, NULL) ==
            SQLITE_OK &&
        sqlite3_step(st) == SQLITE_ROW)
        reserved = (uint64_t)sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return reserved;
}

struct sqlite_delay sqlite_db_delay(struct sqlite_db *db)
{
    struct sqlite_delay delay = {0};
    if (db->handle)
        sqlite3_file_control(db->handle, "main", SQLITE_DB_DELAY, &delay);
    return delay;
}

bool sqlite_db_dead(struct sqlite_db *db)
{
    return db->handle &&
           sqlite3_file_control(db->handle, "main", SQLITE_DB_DEAD, NULL) == SQLITE_OK;
}

/* --- statements --- */

static int prepare(struct sqlite_db *db, sqlite3_stmt **st, const char *sql)
{
    if (*st)
        return SQLITE_OK;
    return sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, st, NULL);
}

static int control(struct sqlite_db *db, enum control which)
{
    int code = prepare(db, &db->controls[which], control_sql[which]);
    if (code != SQLITE_OK)
        return code;
    code = sqlite3_step(db->controls[which]);
    sqlite3_reset(db->controls[which]);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

/* Values are bound where they lie: the request outlives the statement's run. */
static int bind_value(sqlite3_stmt *st, int index, const struct value *v)
{
    switch (v->type) {
    case VALUE_NULL:
        return sqlite3_bind_null(st, index);
    case VALUE_INT:
        return sqlite3_bind_int64(st, index, v->number);
    case VALUE_TEXT:
        return sqlite3_bind_text(st, index, v->bytes.data, (int)v->bytes.len, SQLITE_STATIC);
    case VALUE_BLOB:
        return sqlite3_bind_blob(st, index, v->bytes.data, (int)v->bytes.len, SQLITE_STATIC);
    }
    return SQLITE_MISUSE;
}

static bool take_row(sqlite3_stmt *st, struct store_rows *rows)
{
    int columns = sqlite3_column_count(st);
    for (int i = 0; i < columns; i++) {
        struct value v = {.type = VALUE_NULL};
        switch (sqlite3_column_type(st, i)) {
        case SQLITE_NULL:
            break;
        case SQLITE_INTEGER:
            v.type = VALUE_INT;
            v.number = sqlite3_column_int64(st, i);
            break;
        default:
            v.type = VALUE_TEXT;
            v.bytes.data = sqlite3_column_blob(st, i);
            v.bytes.len = (size_t)sqlite3_column_bytes(st, i);
        }
        if (!store_rows_add(rows, &v))
            return false;
    }
    return true;
}

static int step(sqlite3_stmt *st, struct store_txn *t)
{
    int code = sqlite3_step(st);
    if (t->read && !t->rows)
        t->rows = store_rows_create((unsigned)sqlite3_column_count(st));
    while (code == SQLITE_ROW) {
        if (t->read && !take_row(st, t->rows))
            return SQLITE_TOOBIG;
        code = sqlite3_step(st);
    }
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

/* `ret_done`: how many statements were run before one failed. */
static enum error run_statements(struct sqlite_db *db, struct store_txn *t, int *code,
                                 size_t *ret_done)
{
    struct request_cursor cursor;
    enum store_statement id;
    struct value v;
    request_cursor_init(&cursor, t);
    while (request_next_statement(&cursor, &id)) {
        sqlite3_stmt **st = &db->statements[id];
        *code = prepare(db, st, store_statement_sql[id]);
        for (int i = 1; *code == SQLITE_OK && request_next_value(&cursor, &v); i++)
            *code = bind_value(*st, i, &v);
        if (*code == SQLITE_OK)
            *code = step(*st, t);
        sqlite3_reset(*st);
        if (*code != SQLITE_OK)
            return migrations_error(*code);
        if (store_statement_unchanged[id] != ERR_OK && sqlite3_changes(db->handle) == 0)
            return store_statement_unchanged[id];
        ++*ret_done;
    }
    return ERR_OK;
}

/* --- failures --- */

static void tell_operator(struct sqlite_db *db, int code)
{
    db->refused++;
    if (db->failing)
        return;
    db->failing = true;
    log_error(&db->log,
              "the database %s fails: %s. Changes are refused until it works again; look at the "
              "disk's health and free space.",
              db->path, db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(code));
}

static void tell_recovered(struct sqlite_db *db)
{
    if (!db->failing)
        return;
    log_warn(&db->log, "the database %s works again; %zu requests were refused", db->path,
             db->refused);
    db->failing = false;
    db->refused = 0;
}

/* What SQLite itself reports (as against "no row changed"): is the connection still good, is the
 * transaction lost? */
static enum error system_error(struct sqlite_db *db, int code)
{
    enum error e = migrations_error(code);
    int primary = code & 0xff;
    if (e == ERR_TOO_BIG)
        return e;
    tell_operator(db, code);
    if (primary == SQLITE_IOERR || primary == SQLITE_CORRUPT || primary == SQLITE_CANTOPEN ||
        primary == SQLITE_NOTADB || primary == SQLITE_READONLY)
        db->suspect = true;
    return e == ERR_STORE_FULL ? e : ERR_STORE;
}

static bool reopen(struct sqlite_db *db)
{
    char why[512];
    if (db->suspect && !in_memory(db))
        close_handle(db);
    db->suspect = false;
    if (db->handle)
        return true;
    if (open_handle(db, why, sizeof why) == ERR_OK)
        return true;
    tell_operator(db, SQLITE_CANTOPEN);
    return false;
}

/* --- batches --- */

/* Whoever opens the database finds in its log what could not be synced before, as if it had been
 * committed. A request that is repeated then has nothing to change, its commit nothing to sync, and
 * it would be called durable. A checkpoint begins by syncing the log; whether it gets further does
 * not matter. */
static int sync_log(struct sqlite_db *db)
{
    int code = sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    db->unsynced = code == SQLITE_IOERR_FSYNC;
    return db->unsynced ? code : SQLITE_OK;
}

/* Makes sure that the batch has its transaction. */
static enum error begin(struct sqlite_db *db)
{
    if (db->in_transaction || db->batch_error != ERR_OK)
        return db->batch_error;
    int code = db->unsynced ? sync_log(db) : SQLITE_OK;
    if (code == SQLITE_OK)
        code = control(db, BEGIN);
    bool stuck = (code & 0xff) == SQLITE_BUSY;
    if (stuck != db->stuck) { /* what comes next has waited long enough already */
        db->stuck = stuck;
        sqlite3_busy_timeout(db->handle, stuck ? STUCK_MS : BUSY_MS);
    }
    db->in_transaction = code == SQLITE_OK;
    if (code != SQLITE_OK)
        db->batch_error = system_error(db, code);
    return db->batch_error;
}

static enum error run_guarded(struct sqlite_db *db, struct store_txn *t, int *code)
{
    size_t done = 0;
    if ((*code = control(db, SAVEPOINT)) != SQLITE_OK)
        return ERR_STORE;
    enum error e = run_statements(db, t, code, &done);
    if (e != ERR_OK && !sqlite3_get_autocommit(db->handle))
        control(db, ROLLBACK_TO);
    if (*code == SQLITE_OK && (*code = control(db, RELEASE)) != SQLITE_OK)
        e = ERR_STORE;
    return e;
}

static enum error run_in_batch(struct sqlite_db *db, struct store_txn *t)
{
    int code = SQLITE_OK;
    size_t done = 0;
    enum error e = t->read ? ERR_OK : begin(db);
    if (e != ERR_OK)
        return e;
    t->inside = db->in_transaction;
    if (db->careful && !t->read && t->statements > 1)
        e = run_guarded(db, t, &code);
    else
        e = run_statements(db, t, &code, &done);
    db->redo = e != ERR_OK && !t->read && done > 0;
    if (code != SQLITE_OK)
        e = system_error(db, code);
    if (t->inside && sqlite3_get_autocommit(db->handle)) {
        /* SQLite has rolled the whole batch back. */
        db->in_transaction = db->redo = false;
        db->batch_error = e == ERR_OK ? ERR_STORE : e;
    }
    return e;
}

static void drop_rows(struct store_txn *t)
{
    store_rows_destroy(t->rows);
    t->rows = NULL;
}

size_t sqlite_db_execute(struct sqlite_db *db, struct store_txn *t)
{
    t->inside = false;
    if (db->redo) /* it will be run with the whole batch */
        return t->statements;
    if ((!db->handle || db->suspect) && !db->in_transaction && !reopen(db))
        t->result = ERR_STORE;
    else
        t->result = run_in_batch(db, t);
    if (t->result != ERR_OK)
        drop_rows(t);
    return t->statements;
}

static void run_again(struct sqlite_db *db, struct store_txn *batch)
{
    control(db, ROLLBACK);
    db->in_transaction = db->redo = false;
    db->careful = true;
    for (struct store_txn *t = batch; t; t = t->next) {
        drop_rows(t);
        sqlite_db_execute(db, t);
    }
    db->careful = false;
}

static void commit(struct sqlite_db *db)
{
    int code = control(db, COMMIT);
    if (code == SQLITE_OK) {
        tell_recovered(db);
    } else {
        db->batch_error = system_error(db, code);
        control(db, ROLLBACK);
    }
    db->in_transaction = false;
}

/* Its transaction has come to nothing: its writes have failed, its reads saw what is not there. */
static void undo_batch(struct sqlite_db *db, struct store_txn *batch, enum error e)
{
    db->batch_error = ERR_OK;
    for (struct store_txn *t = batch; t; t = t->next) {
        if (!t->inside || t->result != ERR_OK)
            continue;
        drop_rows(t);
        if (t->read) {
            sqlite_db_execute(db, t); /* a full disk can still be read */
        } else {
            t->result = e;
            db->refused++;
        }
    }
}

void sqlite_db_finish(struct sqlite_db *db, struct store_txn *batch)
{
    if (db->redo)
        run_again(db, batch);
    if (db->in_transaction)
        commit(db);
    if (db->batch_error != ERR_OK)
        undo_batch(db, batch, db->batch_error);
}
