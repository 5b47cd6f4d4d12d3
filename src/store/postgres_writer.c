/* The writer's transactions as a table of phases: each is one pipeline, ended by a sync, and what
 * is done next follows from what failed in it. */
#include "store/postgres_writer.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/postgres_sql.h"

enum {
    BATCH_STATEMENTS = 1024,
    BATCH_BYTES = 4 << 20,
    ATTEMPTS_MAX = 20,
    AGAIN_MS = 20,
    WRITER_ID = 26
};

enum phase {
    PHASE_NONE,     /* nothing under way */
    PHASE_RUN,      /* BEGIN, all requests, COMMIT: in nearly all cases that is all */
    PHASE_ROLLBACK, /* something failed */
    PHASE_BEGIN,    /* carefully: BEGIN */
    PHASE_CAREFUL,  /* every request behind a savepoint */
    PHASE_COMMIT,
    PHASE_PAUSE /* before another attempt */
};

/* What happened in a phase. */
struct outcome {
    bool request;     /* a request failed; it has its error */
    bool again, away; /* postgres_fault */
    bool already;     /* the mark was there: this transaction has been committed before */
    enum error all;   /* all requests have failed */
};

struct postgres_writer {
    struct postgres_writer_owner owner;
    struct postgres_conn *conn;
    struct loop_timer pause;
    char id[WRITER_ID + 1];
    uint64_t number; /* of the batch */
    struct txn_list queue, batch;
    size_t syncs; /* still to come in PHASE_CAREFUL */
    bool writes;  /* the batch has one */
    enum phase phase;
    struct outcome outcome;
    unsigned attempts;
    uint64_t begun; /* loop_now of the phase */
};

static void run(struct postgres_writer *w);

/* --- results --- */

static int64_t big_endian(const char *bytes, int len)
{
    uint64_t n = len > 0 && (bytes[0] & 0x80) ? UINT64_MAX : 0;
    for (int i = 0; i < len; i++)
        n = n << 8 | (unsigned char)bytes[i];
    return (int64_t)n;
}

/* Types by their fixed OIDs (pg_type.dat); the rest is bytes. */
struct value postgres_writer_cell(const PGresult *result, int row, int column)
{
    enum { OID_BOOL = 16, OID_INT8 = 20, OID_INT2 = 21, OID_INT4 = 23 };
    struct value v = {.type = VALUE_NULL};
    if (PQgetisnull(result, row, column))
        return v;
    const char *bytes = PQgetvalue(result, row, column);
    int len = PQgetlength(result, row, column);
    switch (PQftype(result, column)) {
    case OID_BOOL:
    case OID_INT8:
    case OID_INT2:
    case OID_INT4:
        v.type = VALUE_INT;
        v.number = big_endian(bytes, len);
        break;
    default:
        v.type = VALUE_TEXT;
        v.bytes = (struct str){bytes, (size_t)len};
    }
    return v;
}

bool postgres_writer_rows(struct store_txn *t, const PGresult *result)
{
    int rows = PQntuples(result), columns = PQnfields(result);
    store_rows_destroy(t->rows);
    t->rows = store_rows_create((unsigned)columns);
    for (int row = 0; row < rows; row++) {
        for (int column = 0; column < columns; column++) {
            struct value v = postgres_writer_cell(result, row, column);
            if (!store_rows_add(t->rows, &v))
                return false;
        }
    }
    return true;
}

static void drop_rows(struct store_txn *t)
{
    store_rows_destroy(t->rows);
    t->rows = NULL;
}

/* The oldest stand first. */
void postgres_writer_take_expired(struct txn_list *from, uint64_t now, struct txn_list *expired)
{
    while (from->first && now - from->first->since >= POSTGRES_TIMEOUT_MS) {
        struct store_txn *t = txn_list_pop(from);
        drop_rows(t);
        t->result = ERR_STORE;
        txn_list_push(expired, t);
    }
}

/* --- a batch's end --- */

static void finish_batch(struct postgres_writer *w)
{
    struct txn_list done;
    txn_list_init(&done);
    txn_list_append(&done, &w->batch);
    w->phase = PHASE_NONE;
    for (struct store_txn *t = done.first; t; t = t->next)
        if (t->result != ERR_OK)
            drop_rows(t);
    run(w); /* the database works on while callbacks are made */
    w->owner.done(w->owner.arg, &done);
}

static void fail_batch(struct postgres_writer *w, enum error e)
{
    for (struct store_txn *t = w->batch.first; t; t = t->next)
        t->result = e;
    finish_batch(w);
}

/* It had been committed before the connection was lost, and results of writes are known from then;
 * what was read has to be read again. */
static void finish_known(struct postgres_writer *w)
{
    struct txn_list writes, reads;
    struct store_txn *t;
    txn_list_init(&writes);
    txn_list_init(&reads);
    while ((t = txn_list_pop(&w->batch)))
        txn_list_push(t->read ? &reads : &writes, t);
    txn_list_init(&w->batch);
    txn_list_append(&w->batch, &writes);
    txn_list_append(&reads, &w->queue);
    txn_list_init(&w->queue);
    txn_list_append(&w->queue, &reads);
    finish_batch(w);
}

/* --- sending --- */

static void begin_phase(struct postgres_writer *w, enum phase phase)
{
    w->phase = phase;
    w->begun = loop_now(w->owner.store->loop);
}

static void send_request(struct postgres_writer *w, struct store_txn *t)
{
    struct request_cursor cursor;
    enum store_statement id;
    request_cursor_init(&cursor, t);
    while (request_next_statement(&cursor, &id))
        postgres_conn_statement(w->conn, id, t, &cursor);
}

static void send_begin(struct postgres_writer *w)
{
    postgres_conn_control(w->conn, "BEGIN");
    if (w->writes)
        postgres_conn_mark(w->conn, w->id, w->number);
    else
        for (struct store_txn *t = w->batch.first; t; t = t->next)
            t->result = ERR_OK;
}

static void send_all(struct postgres_writer *w)
{
    w->outcome = (struct outcome){0};
    begin_phase(w, PHASE_RUN);
    send_begin(w);
    for (struct store_txn *t = w->batch.first; t;) {
        size_t many = postgres_conn_many(w->conn, t);
        if (!many)
            send_request(w, t);
        for (size_t i = 0; i < (many ? many : 1); i++)
            t = t->next;
    }
    postgres_conn_control(w->conn, "COMMIT");
    postgres_conn_sync(w->conn);
}

static void send_careful_begin(struct postgres_writer *w)
{
    w->outcome = (struct outcome){0};
    begin_phase(w, PHASE_BEGIN);
    send_begin(w);
    postgres_conn_control(w->conn, "SAVEPOINT r");
    postgres_conn_sync(w->conn);
}

/* An error skips everything up to the next sync. ROLLBACK TO behind it undoes the request that
 * failed; after one that did not fail it finds the savepoint set anew and undoes nothing. */
static void send_careful(struct postgres_writer *w)
{
    begin_phase(w, PHASE_CAREFUL);
    w->syncs = 1;
    for (struct store_txn *t = w->batch.first; t; t = t->next) {
        send_request(w, t);
        postgres_conn_control(w->conn, "RELEASE SAVEPOINT r");
        postgres_conn_control(w->conn, "SAVEPOINT r");
        postgres_conn_sync(w->conn);
        postgres_conn_control(w->conn, "ROLLBACK TO SAVEPOINT r");
        w->syncs++;
    }
    postgres_conn_sync(w->conn);
}

static void send_control(struct postgres_writer *w, enum phase phase, const char *sql)
{
    begin_phase(w, phase);
    postgres_conn_control(w->conn, sql);
    postgres_conn_sync(w->conn);
}

/* --- the next batch --- */

static void take_batch(struct postgres_writer *w)
{
    size_t statements = 0, bytes = 0;
    w->writes = false;
    w->number++;
    w->attempts = 0;
    while (w->queue.first && statements < BATCH_STATEMENTS && bytes < BATCH_BYTES) {
        struct store_txn *t = txn_list_pop(&w->queue);
        statements += t->statements;
        bytes += t->used;
        w->writes = w->writes || !t->read;
        txn_list_push(&w->batch, t);
    }
}

static void run(struct postgres_writer *w)
{
    if (w->phase != PHASE_NONE || (!w->batch.first && !w->queue.first))
        return;
    if (!postgres_conn_ready(w->conn)) {
        postgres_conn_open(w->conn);
        return;
    }
    if (!w->batch.first)
        take_batch(w);
    send_all(w);
}

static void on_pause(struct loop_timer *timer)
{
    struct postgres_writer *w = MEM_CONTAINER(timer, struct postgres_writer, pause);
    w->phase = PHASE_NONE;
    run(w);
}

/* --- what came back --- */

static void on_failure(struct postgres_writer *w, const struct postgres_step *step,
                       const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    enum postgres_fault fault = postgres_sql_fault(state);
    struct outcome *o = &w->outcome;
    bool of_request = step->kind == POSTGRES_STATEMENT || step->kind == POSTGRES_PREPARE;
    if (fault == POSTGRES_AWAY) {
        o->away = true;
    } else if (fault == POSTGRES_AGAIN) {
        o->again = true;
    } else if (fault == POSTGRES_UNCHANGED && step->kind == POSTGRES_MARK) {
        o->already = true;
    } else {
        enum error e = fault == POSTGRES_UNCHANGED && of_request
                           ? store_statement_unchanged[step->statement]
                           : postgres_sql_error(state);
        if (fault == POSTGRES_REFUSED)
            w->owner.health(w->owner.arg, text ? text : "it gives no reason");
        if (of_request && !o->request)
            o->request = true;
        if (of_request)
            step->t->result = e;
        else
            o->all = e;
    }
}

static void on_result(void *arg, const struct postgres_step *step, const PGresult *result)
{
    struct postgres_writer *w = arg;
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_PIPELINE_ABORTED)
        return;
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        on_failure(w, step, result);
    } else if (step->kind == POSTGRES_MARK) {
        /* Not committed before: whatever is known from an earlier attempt is void. */
        for (struct store_txn *t = w->batch.first; t; t = t->next)
            t->result = ERR_OK;
    } else if (step->kind == POSTGRES_STATEMENT && step->t->read &&
               !postgres_writer_rows(step->t, result)) {
        step->t->result = ERR_TOO_BIG;
    }
}

/* Something else was in the way. */
static void try_again(struct postgres_writer *w)
{
    struct txn_list expired;
    txn_list_init(&expired);
    postgres_writer_take_expired(&w->batch, loop_now(w->owner.store->loop), &expired);
    begin_phase(w, PHASE_PAUSE);
    loop_timer_start(&w->pause, AGAIN_MS + random_below(w->owner.random, AGAIN_MS));
    w->owner.done(w->owner.arg, &expired);
}

static void after_rollback(struct postgres_writer *w, const struct outcome *o)
{
    if (o->already)
        finish_known(w);
    else if (o->again && ++w->attempts <= ATTEMPTS_MAX)
        try_again(w);
    else if (o->again || o->all != ERR_OK)
        fail_batch(w, o->again ? ERR_STORE : o->all);
    else if (w->batch.first->next)
        send_careful_begin(w);
    else
        finish_batch(w); /* it failed alone */
}

static bool failed(const struct outcome *o)
{
    return o->again || o->already || o->all != ERR_OK;
}

static void on_sync(void *arg)
{
    struct postgres_writer *w = arg;
    const struct outcome *o = &w->outcome;
    if (o->away) {
        postgres_conn_drop(w->conn, "it takes no changes");
        return;
    }
    switch (w->phase) {
    case PHASE_RUN:
        if (failed(o) || o->request) {
            send_control(w, PHASE_ROLLBACK, "ROLLBACK");
        } else {
            w->owner.health(w->owner.arg, NULL);
            finish_batch(w);
        }
        break;
    case PHASE_ROLLBACK:
        after_rollback(w, o);
        break;
    case PHASE_BEGIN:
        if (failed(o))
            send_control(w, PHASE_ROLLBACK, "ROLLBACK");
        else
            send_careful(w);
        break;
    case PHASE_CAREFUL:
        if (--w->syncs)
            break;
        if (failed(o))
            send_control(w, PHASE_ROLLBACK, "ROLLBACK");
        else
            send_control(w, PHASE_COMMIT, "COMMIT");
        break;
    case PHASE_COMMIT:
        if (failed(o))
            send_control(w, PHASE_ROLLBACK, "ROLLBACK");
        else
            finish_batch(w);
        break;
    case PHASE_NONE:
    case PHASE_PAUSE:
        break;
    }
}

static void on_lost(void *arg, const char *why)
{
    struct postgres_writer *w = arg;
    if (w->phase != PHASE_PAUSE)
        w->phase = PHASE_NONE;
    for (struct store_txn *t = w->batch.first; t; t = t->next)
        drop_rows(t);
    w->owner.health(w->owner.arg, why);
}

static void on_ready(void *arg)
{
    run(arg);
}

/* --- for the driver --- */

static const struct postgres_events events = {on_ready, on_result, on_sync, on_lost};

struct postgres_writer *postgres_writer_create(const struct postgres_writer_owner *owner)
{
    struct postgres_writer *w = MEM_NEW(struct postgres_writer);
    struct loop *loop = owner->store->loop;
    w->owner = *owner;
    w->conn = postgres_conn_create(loop, owner->random, owner->target, &events, w);
    random_token(owner->random, w->id, WRITER_ID);
    txn_list_init(&w->queue);
    txn_list_init(&w->batch);
    loop_timer_init(&w->pause, loop, on_pause);
    return w;
}

bool postgres_writer_adopt(struct postgres_writer *w, PGconn *handle)
{
    return postgres_conn_adopt(w->conn, handle);
}

void postgres_writer_destroy(struct postgres_writer *w)
{
    if (!w)
        return;
    loop_timer_stop(&w->pause);
    postgres_conn_destroy(w->conn);
    free(w);
}

void postgres_writer_submit(struct postgres_writer *w, struct store_txn *t)
{
    txn_list_push(&w->queue, t);
}

void postgres_writer_run(struct postgres_writer *w)
{
    run(w);
}

/* What waits while the connection is away, and a server that has stopped answering. */
void postgres_writer_expire(struct postgres_writer *w, uint64_t now)
{
    struct txn_list expired;
    bool under_way = w->phase != PHASE_NONE && w->phase != PHASE_PAUSE;
    if (under_way && now - w->begun >= POSTGRES_TIMEOUT_MS)
        postgres_conn_drop(w->conn, "it does not answer");
    under_way = w->phase != PHASE_NONE;
    txn_list_init(&expired);
    if (!under_way)
        postgres_writer_take_expired(&w->batch, now, &expired);
    postgres_writer_take_expired(&w->queue, now, &expired);
    w->owner.done(w->owner.arg, &expired);
}

bool postgres_writer_idle(const struct postgres_writer *w)
{
    return !w->batch.first && !w->queue.first;
}

void postgres_writer_wait(struct postgres_writer *w)
{
    run(w);
    while (w->phase != PHASE_NONE && postgres_conn_ready(w->conn)) {
        if (w->phase == PHASE_PAUSE) { /* no loop turns while we wait */
            loop_timer_stop(&w->pause);
            on_pause(&w->pause);
        }
        postgres_conn_wait(w->conn);
    }
}

void postgres_writer_leave(struct postgres_writer *w)
{
    char sql[128];
    if (!postgres_conn_ready(w->conn) || w->phase != PHASE_NONE)
        return;
    snprintf(sql, sizeof sql, "DELETE FROM \"jackdaw-writer\" WHERE \"id\" = '%s'", w->id);
    send_control(w, PHASE_COMMIT, sql);
    postgres_conn_wait(w->conn);
}
