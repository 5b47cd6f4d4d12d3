/* The PostgreSQL driver, on the loop, by libpq in pipeline mode. One connection writes, with group
 * commit (postgres_writer.c). Reads submitted while no write is pending go to READERS others; any
 * other read goes behind the writes, so that it sees them. While the database is away requests wait
 * for POSTGRES_TIMEOUT_MS, then fail; the connections come back by themselves
 * (docs/decisions/0060-postgresql.md). */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/postgres_schema.h"
#include "store/postgres_sql.h"
#include "store/postgres_writer.h"

enum { READERS = 2, TICK_MS = 500, READS_MAX = 64 /* under way on one connection */ };

struct postgres;

struct reader {
    struct postgres *owner;
    struct postgres_conn *conn;
    struct txn_list reads; /* under way, in order */
    size_t count;
    bool again; /* the oldest one goes to the writer, which tries again */
};

struct postgres {
    struct store *store;
    struct random *random;
    struct postgres_target target;
    char *url, shown[POSTGRES_SHOWN];
    struct postgres_writer *writer;
    struct reader readers[READERS];
    struct loop_task turn;
    struct loop_timer tick; /* runs while something is in flight */
    size_t refused;
    bool failing; /* the operator has been told */
    bool closing;
};

/* --- the operator --- */

static void on_health(void *arg, const char *why)
{
    struct postgres *p = arg;
    if (why && !p->failing)
        log_error(&p->store->log,
                  "the database %s fails: %s. What needs it waits up to %d s and is then refused, "
                  "until it works again.",
                  p->shown, why, POSTGRES_TIMEOUT_MS / 1000);
    else if (!why && p->failing)
        log_warn(&p->store->log, "the database %s works again; %zu requests were refused", p->shown,
                 p->refused);
    if (!why)
        p->refused = 0;
    p->failing = why != NULL;
}

static void on_done(void *arg, struct txn_list *list)
{
    struct postgres *p = arg;
    for (struct store_txn *t = list->first; t; t = t->next)
        p->refused += t->result == ERR_STORE || t->result == ERR_STORE_FULL;
    if (!p->closing && list->first)
        store_done(p->store, list->first);
}

/* --- the readers --- */

static void reader_finish(struct reader *r)
{
    struct txn_list one;
    struct store_txn *t = txn_list_pop(&r->reads);
    bool again = r->again;
    r->count--;
    r->again = false;
    if (!t)
        return;
    if (again) {
        t->result = ERR_OK;
        postgres_writer_submit(r->owner->writer, t);
        postgres_writer_run(r->owner->writer);
        return;
    }
    txn_list_init(&one);
    txn_list_push(&one, t);
    on_done(r->owner, &one);
}

static void reader_on_result(void *arg, const struct postgres_step *step, const PGresult *result)
{
    struct reader *r = arg;
    struct store_txn *t = step->t;
    ExecStatusType status = PQresultStatus(result);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (status == PGRES_TUPLES_OK) {
        t->result = postgres_writer_rows(t, result) ? ERR_OK : ERR_TOO_BIG;
    } else if (status == PGRES_FATAL_ERROR && postgres_sql_fault(state) != POSTGRES_REFUSED) {
        r->again = true;
    } else if (status == PGRES_FATAL_ERROR) {
        t->result = postgres_sql_error(state);
        on_health(r->owner, PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
    }
}

static void reader_on_sync(void *arg)
{
    reader_finish(arg);
}

/* Reads change nothing: the writer runs them once more. */
static void reader_on_lost(void *arg, const char *why)
{
    struct reader *r = arg;
    struct store_txn *t;
    (void)why; /* the writer's connection is the one to speak of */
    while ((t = txn_list_pop(&r->reads))) {
        store_rows_destroy(t->rows);
        t->rows = NULL;
        t->result = ERR_OK;
        postgres_writer_submit(r->owner->writer, t);
    }
    txn_list_init(&r->reads);
    r->count = 0;
    r->again = false;
    loop_defer(r->owner->store->loop, &r->owner->turn, LOOP_FLUSH);
}

static void reader_on_ready(void *arg)
{
    (void)arg; /* the next read finds it */
}

static void reader_send(struct reader *r, struct store_txn *t)
{
    struct request_cursor cursor;
    enum store_statement id;
    txn_list_push(&r->reads, t);
    r->count++;
    request_cursor_init(&cursor, t);
    while (request_next_statement(&cursor, &id))
        postgres_conn_statement(r->conn, id, t, &cursor);
    postgres_conn_sync(r->conn);
}

/* The connected one with the least to do; NULL: the writer has to read. */
static struct reader *choose_reader(struct postgres *p)
{
    struct reader *best = NULL;
    for (size_t i = 0; i < READERS; i++) {
        struct reader *r = &p->readers[i];
        if (!postgres_conn_ready(r->conn)) {
            if (!postgres_writer_idle(p->writer))
                postgres_conn_open(r->conn); /* it would have been of use: for the next ones */
        } else if (r->count < READS_MAX && (!best || r->count < best->count)) {
            best = r;
        }
    }
    return best;
}

/* --- the loop's side --- */

static void wait_for_all(struct postgres *p)
{
    postgres_writer_wait(p->writer);
    for (size_t i = 0; i < READERS; i++)
        postgres_conn_wait(p->readers[i].conn);
    postgres_writer_wait(p->writer); /* what a reader has passed on */
}

static void on_turn(struct loop_task *task)
{
    struct postgres *p = MEM_CONTAINER(task, struct postgres, turn);
    postgres_writer_run(p->writer);
    if (loop_is_sim(p->store->loop))
        wait_for_all(p);
}

static void on_tick(struct loop_timer *timer)
{
    struct postgres *p = MEM_CONTAINER(timer, struct postgres, tick);
    uint64_t now = loop_now(p->store->loop);
    for (size_t i = 0; i < READERS; i++) {
        struct reader *r = &p->readers[i];
        if (r->reads.first && now - r->reads.first->since >= POSTGRES_TIMEOUT_MS)
            postgres_conn_drop(r->conn, "it does not answer");
    }
    postgres_writer_expire(p->writer, now);
    if (p->store->in_flight)
        loop_timer_start(&p->tick, TICK_MS);
}

static void postgres_submit(struct store *s, struct store_txn *t)
{
    struct postgres *p = s->state;
    struct reader *r = t->read && s->writes_pending == 0 ? choose_reader(p) : NULL;
    if (r)
        reader_send(r, t);
    else
        postgres_writer_submit(p->writer, t);
    loop_defer(s->loop, &p->turn, LOOP_FLUSH);
    if (!loop_timer_running(&p->tick))
        loop_timer_start(&p->tick, TICK_MS);
}

/* --- opening and closing --- */

static const struct postgres_events reader_events = {reader_on_ready, reader_on_result,
                                                     reader_on_sync, reader_on_lost};

static enum error prepare_database(struct postgres *p, PGconn *handle, uint64_t *reserved,
                                   char *why, size_t why_size)
{
    struct store *s = p->store;
    enum error e = postgres_schema_apply(handle, &p->target, s->kind, migrations, migrations_count,
                                         s->log, why, why_size);
    if (e == ERR_OK)
        *reserved = postgres_schema_reserved(handle);
    /* Marks of servers that were killed. */
    if (e == ERR_OK)
        PQclear(PQexec(handle, "DELETE FROM \"jackdaw-writer\""
                               " WHERE \"time\" < now() - interval '30 days'"));
    return e;
}

static struct postgres *create(struct store *s)
{
    struct postgres *p = MEM_NEW(struct postgres);
    p->store = s;
    p->random = random_create();
    struct postgres_writer_owner owner = {s, p->random, &p->target, on_done, on_health, p};
    p->writer = postgres_writer_create(&owner);
    for (size_t i = 0; i < READERS; i++) {
        struct reader *r = &p->readers[i];
        r->owner = p;
        txn_list_init(&r->reads);
        r->conn = postgres_conn_create(s->loop, p->random, &p->target, &reader_events, r);
    }
    loop_task_init(&p->turn, on_turn);
    loop_timer_init(&p->tick, s->loop, on_tick);
    return p;
}

static void destroy(struct postgres *p)
{
    loop_task_cancel(&p->turn);
    loop_timer_stop(&p->tick);
    for (size_t i = 0; i < READERS; i++)
        postgres_conn_destroy(p->readers[i].conn);
    postgres_writer_destroy(p->writer);
    random_destroy(p->random);
    mem_wipe(p->url, strlen(p->url));
    free(p->url);
    free(p);
}

static enum error connect_first(struct postgres *p, uint64_t *reserved, char *why, size_t why_size)
{
    char reason[256];
    PGconn *handle = postgres_conn_connect(&p->target, reason, sizeof reason);
    if (!handle) {
        snprintf(why, why_size, "cannot connect to the database %s: %s", p->shown, reason);
        return ERR_STORE;
    }
    enum error e = prepare_database(p, handle, reserved, why, why_size);
    if (e == ERR_OK && !postgres_writer_adopt(p->writer, handle)) {
        snprintf(why, why_size, "cannot use the database %s: %s", p->shown, PQerrorMessage(handle));
        e = ERR_STORE;
    }
    if (e != ERR_OK)
        PQfinish(handle);
    return e;
}

static enum error postgres_open(struct store *s, const char *rest, uint64_t *reserved, char *why,
                                size_t why_size)
{
    struct postgres *p = create(s);
    size_t size = strlen(store_postgres.scheme) + strlen(rest) + 1;
    enum error e = ERR_INVALID;
    p->url = mem_alloc(size);
    snprintf(p->url, size, "%s%s", store_postgres.scheme, rest);
    p->target = (struct postgres_target){p->url, postgres_schema_name(s->kind), p->shown};
    if (postgres_schema_show(p->url, p->shown))
        e = connect_first(p, reserved, why, why_size);
    else /* without the text: there may be a password in it */
        snprintf(why, why_size,
                 "the database's address cannot be understood: write "
                 "postgresql://USER@HOST/DATABASE, and special characters as %%XX");
    if (e == ERR_OK)
        s->state = p;
    else
        destroy(p);
    return e;
}

static void postgres_close(struct store *s)
{
    struct postgres *p = s->state;
    p->closing = true;
    wait_for_all(p);
    postgres_writer_leave(p->writer);
    destroy(p);
}

static bool postgres_away(const char *url, char *shown, size_t size)
{
    char text[POSTGRES_SHOWN];

    if (!postgres_schema_show(url, text))
        return false;
    (void)snprintf(shown, size, "%s", text);
    return postgres_conn_away(url);
}

const struct store_driver store_postgres = {"postgresql://", postgres_open, postgres_submit,
                                            postgres_close, postgres_away};
