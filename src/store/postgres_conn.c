/* One connection to PostgreSQL. libpq keeps what is sent in memory (non-blocking mode) and the loop
 * says when its socket can be used; what is expected back stands in a list of steps. */
#include "store/postgres_conn.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/postgres_many.h"
#include "store/postgres_schema.h"
#include "store/postgres_sql.h"

enum { PARAMETERS_MAX = 128 };

/* An attempt to connect: outlives the connection that wanted it. */
struct attempt {
    struct loop_work work;
    struct postgres_conn *owner; /* NULL: nobody wants it any more */
    char *url, *schema;          /* the connection may be gone before the attempt ends */
    PGconn *handle;
    char why[512];
};

enum prepared { PREPARED_NO, PREPARED_SENT, PREPARED_YES };

struct postgres_conn {
    struct loop *loop;
    struct random *random;
    const struct postgres_target *target;
    const struct postgres_events *events;
    void *arg;
    PGconn *handle; /* NULL: not connected */
    struct attempt *attempt;
    struct loop_timer retry;
    uint64_t delay; /* until the next attempt */
    struct loop_watch watch;
    struct loop_task flush;      /* at the end of the turn */
    bool broken;                 /* found while sending; reported in `flush` */
    bool writing;                /* the watch waits for room, too */
    struct postgres_step *steps; /* from `first` to before `end`: what is expected back */
    size_t first, end, cap;
    unsigned char prepared[SQL_STATEMENTS]; /* enum prepared */
};

static const char mark_sql[] =
    "WITH c AS (INSERT INTO \"jackdaw-writer\" (\"id\", \"batch\", \"time\")"
    " VALUES ($1, $2, now()) ON CONFLICT (\"id\") DO UPDATE SET \"batch\" = excluded.\"batch\","
    " \"time\" = excluded.\"time\" WHERE \"jackdaw-writer\".\"batch\" < excluded.\"batch\""
    " RETURNING 1) SELECT 1 / count(*) FROM c";

/* --- connecting --- */

static void ignore_notice(void *arg, const PGresult *result)
{
    (void)arg, (void)result;
}

/* libpq ends its messages with newlines, and some have several lines. */
static void explain(char *why, size_t size, const PGconn *handle)
{
    (void)snprintf(why, size, "%s", PQerrorMessage(handle));
    for (char *c = why; *c; c++)
        if (*c == '\n' || *c == '\t')
            *c = c[1] ? ' ' : '\0';
}

static bool run(PGconn *handle, const char *sql)
{
    PGresult *result = PQexec(handle, sql);
    ExecStatusType status = PQresultStatus(result);
    PQclear(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

/* What is acknowledged must be on the disk (reliability.md C.1), whatever the server's default is.
 */
static bool set_up(PGconn *handle, const char *schema)
{
    char sql[512];
    (void)snprintf(sql, sizeof sql,
                   "SET search_path TO \"%s\"; SET statement_timeout = %d;"
                   "SET idle_in_transaction_session_timeout = 30000;"
                   "SELECT set_config('synchronous_commit', 'on', false)"
                   " WHERE current_setting('synchronous_commit') = 'off'",
                   schema, POSTGRES_STATEMENT_MS);
    return run(handle, sql);
}

PGconn *postgres_conn_connect(const struct postgres_target *target, char *why, size_t why_size)
{
    char seconds[8];
    (void)snprintf(seconds, sizeof seconds, "%d", POSTGRES_CONNECT_S);
    /* What the URL says wins over what stands before it. */
    const char *const names[] = {"connect_timeout", "application_name", "tcp_user_timeout",
                                 "dbname",          "client_encoding",  NULL};
    const char *const values[] = {seconds, "jackdaw", "10000", target->url, "UTF8", NULL};
    PGconn *handle = PQconnectdbParams(names, values, 1);
    if (!handle) {
        (void)snprintf(why, why_size, "no memory");
        return NULL;
    }
    PQsetNoticeReceiver(handle, ignore_notice, NULL);
    if (PQstatus(handle) == CONNECTION_OK && set_up(handle, target->schema))
        return handle;
    explain(why, why_size, handle);
    PQfinish(handle);
    return NULL;
}

bool postgres_conn_away(const char *url)
{
    char seconds[8];
    (void)snprintf(seconds, sizeof seconds, "%d", POSTGRES_CONNECT_S);
    const char *const names[] = {"connect_timeout", "dbname", NULL};
    const char *const values[] = {seconds, url, NULL};
    PGPing answer = PQpingParams(names, values, 1);
    return answer == PQPING_REJECT || answer == PQPING_NO_RESPONSE;
}

static bool enter_pipeline(PGconn *handle)
{
    PGresult *result = PQprepare(handle, "mark", mark_sql, 0, NULL);
    bool ok = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    return ok && PQsetnonblocking(handle, 1) == 0 && PQenterPipelineMode(handle) == 1;
}

static void on_attempt_run(struct loop_work *work)
{
    struct attempt *a = MEM_CONTAINER(work, struct attempt, work);
    struct postgres_target target = {.url = a->url, .schema = a->schema};
    a->handle = postgres_conn_connect(&target, a->why, sizeof a->why);
    if (a->handle && !enter_pipeline(a->handle)) {
        explain(a->why, sizeof a->why, a->handle);
        PQfinish(a->handle);
        a->handle = NULL;
    }
}

static void retry_later(struct postgres_conn *c)
{
    loop_timer_start(&c->retry, c->delay + random_below(c->random, (uint32_t)(c->delay / 2 + 1)));
    c->delay = c->delay * 2 < POSTGRES_RETRY_MAX_MS ? c->delay * 2 : POSTGRES_RETRY_MAX_MS;
}

static void on_readable(struct loop_watch *watch);

static void take_handle(struct postgres_conn *c, PGconn *handle)
{
    c->handle = handle;
    c->delay = POSTGRES_RETRY_MS;
    c->writing = false;
    c->first = c->end = 0;
    memset(c->prepared, PREPARED_NO, sizeof c->prepared);
    c->watch = (struct loop_watch){.fn = on_readable};
    /* In simulation there is no such thing: postgres_conn_wait. */
    c->broken = !loop_watch_start(c->loop, &c->watch, PQsocket(handle)) && !loop_is_sim(c->loop);
}

static void on_attempt_done(struct loop_work *work)
{
    struct attempt *a = MEM_CONTAINER(work, struct attempt, work);
    struct postgres_conn *c = a->owner;
    if (!c) {
        PQfinish(a->handle);
    } else if (a->handle) {
        c->attempt = NULL;
        take_handle(c, a->handle);
        c->events->on_ready(c->arg);
    } else {
        c->attempt = NULL;
        retry_later(c);
        c->events->on_lost(c->arg, a->why);
    }
    mem_wipe(a->url, strlen(a->url)); /* may have a password in it */
    free(a->url);
    free(a->schema);
    free(a);
}

static void begin_attempt(struct postgres_conn *c)
{
    struct attempt *a = MEM_NEW(struct attempt);
    a->owner = c;
    a->url = mem_strdup(c->target->url);
    a->schema = mem_strdup(c->target->schema);
    a->work.run = on_attempt_run;
    a->work.done = on_attempt_done;
    c->attempt = a;
    loop_work(c->loop, &a->work);
}

static void on_retry(struct loop_timer *timer)
{
    begin_attempt(MEM_CONTAINER(timer, struct postgres_conn, retry));
}

void postgres_conn_open(struct postgres_conn *c)
{
    if (!c->handle && !c->attempt && !loop_timer_running(&c->retry))
        begin_attempt(c);
}

/* --- losing --- */

static void close_handle(struct postgres_conn *c)
{
    loop_watch_stop(c->loop, &c->watch);
    loop_task_cancel(&c->flush);
    PQfinish(c->handle);
    c->handle = NULL;
    c->first = c->end = 0;
}

void postgres_conn_drop(struct postgres_conn *c, const char *why)
{
    if (!c->handle)
        return;
    close_handle(c);
    retry_later(c);
    c->events->on_lost(c->arg, why);
}

static void lose(struct postgres_conn *c)
{
    char why[512];
    explain(why, sizeof why, c->handle);
    postgres_conn_drop(c, why);
}

/* libpq closes its socket when it finds the other end gone, and does not always say so. */
static bool gone(const PGconn *handle)
{
    return PQstatus(handle) == CONNECTION_BAD || PQsocket(handle) < 0;
}

/* --- answers --- */

static void take_step(struct postgres_conn *c, const PGresult *result)
{
    struct postgres_step step = c->steps[c->first];
    ExecStatusType status = PQresultStatus(result);
    if (step.kind == POSTGRES_SYNC && status != PGRES_PIPELINE_SYNC)
        return; /* the connection's last words */
    c->first++;
    if (step.kind == POSTGRES_SYNC) {
        c->events->on_sync(c->arg);
    } else if (step.kind == POSTGRES_PREPARE) {
        bool ok = status == PGRES_COMMAND_OK;
        c->prepared[step.statement] = ok ? PREPARED_YES : PREPARED_NO;
        if (!ok)
            c->events->on_result(c->arg, &step, result);
    } else {
        c->events->on_result(c->arg, &step, result);
    }
}

/* A result of a command is followed by NULL; PGRES_PIPELINE_SYNC is not. */
static void take_results(struct postgres_conn *c)
{
    PGconn *handle = c->handle;
    while (c->handle == handle && c->first < c->end && !PQisBusy(handle)) {
        PGresult *result = PQgetResult(handle);
        if (result)
            take_step(c, result);
        PQclear(result);
        if (!result && gone(handle))
            break;
    }
}

static void flush(struct postgres_conn *c)
{
    int left = c->broken ? -1 : PQflush(c->handle);
    if (left < 0 || gone(c->handle)) {
        lose(c);
    } else if ((left > 0) != c->writing) {
        c->writing = left > 0;
        loop_watch_writes(c->loop, &c->watch, c->writing);
    }
}

static void on_readable(struct loop_watch *watch)
{
    struct postgres_conn *c = MEM_CONTAINER(watch, struct postgres_conn, watch);
    PGconn *handle = c->handle;
    bool ok = PQconsumeInput(handle) == 1;
    take_results(c);
    if (c->handle != handle)
        return; /* dropped meanwhile */
    if (!ok || gone(handle))
        lose(c);
    else
        flush(c);
}

static void on_flush(struct loop_task *task)
{
    struct postgres_conn *c = MEM_CONTAINER(task, struct postgres_conn, flush);
    flush(c);
    if (c->handle) /* libpq reads, too, while its socket takes nothing */
        take_results(c);
}

/* --- sending --- */

static void make_room(struct postgres_conn *c)
{
    if (c->first > 0) {
        memmove(c->steps, c->steps + c->first, (c->end - c->first) * sizeof *c->steps);
        c->end -= c->first;
        c->first = 0;
    }
    if (c->end * 2 >= c->cap) {
        c->cap = c->cap ? c->cap * 2 : 64;
        c->steps = mem_realloc(c->steps, c->cap * sizeof *c->steps);
    }
}

static void push(struct postgres_conn *c, int sent, struct postgres_step step)
{
    if (c->end == c->cap)
        make_room(c);
    c->steps[c->end++] = step;
    c->broken = c->broken || !sent;
    loop_defer(c->loop, &c->flush, LOOP_FLUSH);
}

void postgres_conn_control(struct postgres_conn *c, const char *sql)
{
    push(c, PQsendQueryParams(c->handle, sql, 0, NULL, NULL, NULL, NULL, 0),
         (struct postgres_step){.kind = POSTGRES_CONTROL});
}

void postgres_conn_mark(struct postgres_conn *c, const char *writer, uint64_t batch)
{
    char number[24];
    const char *const values[2] = {writer, number};
    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)batch);
    push(c, PQsendQueryPrepared(c->handle, "mark", 2, values, NULL, NULL, 0),
         (struct postgres_step){.kind = POSTGRES_MARK});
}

static void name_statement(enum store_statement id, char out[16])
{
    (void)snprintf(out, 16, "s%d", (int)id);
}

/* Once per connection, in the same pipeline as its first use. */
static void prepare(struct postgres_conn *c, enum store_statement id, struct store_txn *t)
{
    char name[16];
    struct buffer sql;
    if (c->prepared[id] != PREPARED_NO)
        return;
    c->prepared[id] = PREPARED_SENT;
    name_statement(id, name);
    buffer_init(&sql, POSTGRES_SQL_MAX);
    postgres_sql_statement(&sql, store_statement_sql[id], store_statement_unchanged[id] != ERR_OK);
    push(c, PQsendPrepare(c->handle, name, buffer_str(&sql).data, 0, NULL),
         (struct postgres_step){POSTGRES_PREPARE, (uint16_t)id, t});
    buffer_finish(&sql);
}

/* Text and bytes are sent as they are, with their length; numbers in decimal, for the server to
 * make the column's type of. */
void postgres_conn_statement(struct postgres_conn *c, enum store_statement id, struct store_txn *t,
                             struct request_cursor *cursor)
{
    const char *values[PARAMETERS_MAX];
    int lengths[PARAMETERS_MAX], formats[PARAMETERS_MAX], count = 0;
    char numbers[PARAMETERS_MAX][24], name[16];
    struct value v;
    prepare(c, id, t);
    while (request_next_value(cursor, &v)) {
        if (count == PARAMETERS_MAX)
            abort();
        bool number = v.type == VALUE_INT;
        if (number)
            (void)snprintf(numbers[count], sizeof numbers[count], "%lld", (long long)v.number);
        values[count] = v.type == VALUE_NULL ? NULL : number ? numbers[count] : v.bytes.data;
        lengths[count] = number ? 0 : (int)v.bytes.len;
        formats[count] = !number;
        count++;
    }
    name_statement(id, name);
    push(c, PQsendQueryPrepared(c->handle, name, count, values, lengths, formats, 1),
         (struct postgres_step){POSTGRES_STATEMENT, (uint16_t)id, t});
}

size_t postgres_conn_many(struct postgres_conn *c, struct store_txn *t)
{
    const char *values[POSTGRES_MANY_COLUMNS];
    int lengths[POSTGRES_MANY_COLUMNS], formats[POSTGRES_MANY_COLUMNS];
    char name[16];
    struct postgres_many m;
    size_t rows = postgres_many_take(&m, t);
    if (!rows)
        return 0;
    prepare(c, m.statement, t);
    for (int i = 0; i < POSTGRES_MANY_COLUMNS; i++) {
        values[i] = buffer_str(&m.columns[i]).data;
        lengths[i] = (int)buffer_len(&m.columns[i]);
        formats[i] = 1;
    }
    name_statement(m.statement, name);
    push(c,
         PQsendQueryPrepared(c->handle, name, POSTGRES_MANY_COLUMNS, values, lengths, formats, 1),
         (struct postgres_step){POSTGRES_STATEMENT, (uint16_t)m.statement, t});
    postgres_many_finish(&m);
    return rows;
}

void postgres_conn_sync(struct postgres_conn *c)
{
    push(c, PQpipelineSync(c->handle), (struct postgres_step){.kind = POSTGRES_SYNC});
}

void postgres_conn_wait(struct postgres_conn *c)
{
    while (c->handle && (c->first < c->end || c->broken)) {
        PGconn *handle = c->handle;
        flush(c);
        if (c->handle != handle)
            return;
        struct pollfd fd = {PQsocket(handle), c->writing ? POLLIN | POLLOUT : POLLIN, 0};
        if (poll(&fd, 1, POSTGRES_TIMEOUT_MS) == 0) {
            postgres_conn_drop(c, "it does not answer");
            return;
        }
        on_readable(&c->watch);
    }
}

/* --- life --- */

struct postgres_conn *postgres_conn_create(struct loop *l, struct random *random,
                                           const struct postgres_target *target,
                                           const struct postgres_events *events, void *arg)
{
    struct postgres_conn *c = MEM_NEW(struct postgres_conn);
    c->loop = l;
    c->random = random;
    c->target = target;
    c->events = events;
    c->arg = arg;
    c->delay = POSTGRES_RETRY_MS;
    loop_timer_init(&c->retry, l, on_retry);
    loop_task_init(&c->flush, on_flush);
    return c;
}

bool postgres_conn_adopt(struct postgres_conn *c, PGconn *handle)
{
    if (!enter_pipeline(handle))
        return false;
    take_handle(c, handle);
    return true;
}

void postgres_conn_destroy(struct postgres_conn *c)
{
    if (!c)
        return;
    if (c->attempt)
        c->attempt->owner = NULL;
    loop_timer_stop(&c->retry);
    if (c->handle)
        close_handle(c);
    free(c->steps);
    free(c);
}

bool postgres_conn_ready(const struct postgres_conn *c)
{
    return c->handle != NULL && !c->broken;
}

size_t postgres_conn_steps(const struct postgres_conn *c)
{
    return c->end - c->first;
}
