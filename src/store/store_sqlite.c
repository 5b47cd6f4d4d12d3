/* The SQLite driver. One writer thread commits in groups: it takes what is there, runs it in one
 * transaction, and commits when nothing more waits, after BATCH_ROWS statements, or after BATCH_MS.
 * One reader thread has a connection of its own, for reads submitted while no write is pending; any
 * other read goes behind the writes, so that it sees them. All stores of one process on the same
 * database have these two threads in common: the engine.
 *
 * Cost is kept low by batching everything: what a loop turn submits is handed over under one lock
 * at the end of the turn, and what a commit finishes comes back with one loop_post.
 */
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/sqlite_db.h"

enum { BATCH_ROWS = 4096, BATCH_MS = 20 };

struct worker {
    struct sqlite_db *db;
    pthread_t thread;
    pthread_mutex_t lock; /* guards the three below */
    pthread_cond_t wake;
    struct txn_list queue;
    bool idle, closing;
};

struct engine {
    struct worker writer, reader;
    uint64_t reserved;
    char *component; /* for its log lines: the first store's, which may end before */
};

struct driver_state {
    struct store *store;
    struct engine *engine;
    struct txn_list fresh_writer, fresh_reader; /* submitted in this turn */
    struct loop_task hand_over;                 /* end of the loop's turn */
    pthread_mutex_t done_lock;                  /* guards the four below */
    pthread_cond_t all_done;
    struct txn_list done;
    size_t running; /* handed over and not yet in `done` */
    bool posted;
    struct loop_task hand_back;
};

/* --- the workers' threads --- */

/* Wall-clock milliseconds by SQLite's own seam; a jump only makes one batch shorter. */
static int64_t clock_ms(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    sqlite3_int64 now = 0;
    if (vfs && vfs->iVersion >= 2 && vfs->xCurrentTimeInt64)
        vfs->xCurrentTimeInt64(vfs, &now);
    return now;
}

static bool time_is_up(int64_t since)
{
    int64_t passed = clock_ms() - since;
    return passed < 0 || passed >= BATCH_MS;
}

/* Moves what waits into `todo`; with `block`, waits for something. False when closing and nothing
 * is left. */
static bool take(struct worker *w, struct txn_list *todo, bool block)
{
    pthread_mutex_lock(&w->lock);
    while (block && !w->queue.first && !w->closing) {
        w->idle = true;
        pthread_cond_wait(&w->wake, &w->lock);
    }
    w->idle = false;
    bool found = w->queue.first != NULL;
    txn_list_append(todo, &w->queue);
    pthread_mutex_unlock(&w->lock);
    return found;
}

/* Once this returns with nothing `running`, the store may be closed: it is not touched again. */
static void hand_back(struct driver_state *d, struct txn_list *done, size_t count)
{
    pthread_mutex_lock(&d->done_lock);
    txn_list_append(&d->done, done);
    d->running -= count;
    if (!d->posted) {
        d->posted = true;
        loop_post(d->store->loop, &d->hand_back);
    }
    if (!d->running)
        pthread_cond_signal(&d->all_done);
    pthread_mutex_unlock(&d->done_lock);
}

/* To each store its own, in order. */
static void hand_back_all(struct txn_list *batch)
{
    while (batch->first) {
        struct store *store = batch->first->store;
        struct txn_list own;
        size_t count = 0;
        txn_list_init(&own);
        for (; batch->first && batch->first->store == store; count++)
            txn_list_push(&own, txn_list_pop(batch));
        hand_back(store->state, &own, count);
    }
}

static void run_batch(struct worker *w, struct txn_list *todo)
{
    struct txn_list batch;
    size_t rows = 0;
    int64_t start = clock_ms();
    txn_list_init(&batch);
    while (rows < BATCH_ROWS && (todo->first || take(w, todo, false))) {
        struct store_txn *t = txn_list_pop(todo);
        rows += sqlite_db_execute(w->db, t);
        txn_list_push(&batch, t);
        if (rows % 16 == 0 && time_is_up(start))
            break;
    }
    sqlite_db_finish(w->db, batch.first);
    hand_back_all(&batch);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct txn_list todo;
    txn_list_init(&todo);
    while (todo.first || take(w, &todo, true))
        run_batch(w, &todo);
    return NULL;
}

/* --- the loop's side --- */

static void hand_over(struct worker *w, struct txn_list *fresh)
{
    pthread_mutex_lock(&w->lock);
    txn_list_append(&w->queue, fresh);
    bool wake = w->idle;
    pthread_mutex_unlock(&w->lock);
    if (wake)
        pthread_cond_signal(&w->wake);
}

static void on_hand_over(struct loop_task *task)
{
    struct driver_state *d = MEM_CONTAINER(task, struct driver_state, hand_over);
    if (d->fresh_writer.first)
        hand_over(&d->engine->writer, &d->fresh_writer);
    if (d->fresh_reader.first)
        hand_over(&d->engine->reader, &d->fresh_reader);
}

static void on_hand_back(struct loop_task *task)
{
    struct driver_state *d = MEM_CONTAINER(task, struct driver_state, hand_back);
    struct txn_list done;
    txn_list_init(&done);
    pthread_mutex_lock(&d->done_lock);
    d->posted = false;
    txn_list_append(&done, &d->done);
    pthread_mutex_unlock(&d->done_lock);
    store_done(d->store, done.first);
}

static void sqlite_submit(struct store *s, struct store_txn *t)
{
    struct driver_state *d = s->state;
    txn_list_push(t->read && s->writes_pending == 0 ? &d->fresh_reader : &d->fresh_writer, t);
    pthread_mutex_lock(&d->done_lock);
    d->running++;
    pthread_mutex_unlock(&d->done_lock);
    loop_defer(s->loop, &d->hand_over, LOOP_FLUSH);
}

/* --- the engine --- */

struct opening {
    struct store *store;
    const char *path;
    char *why;
    size_t why_size;
    enum error e;
};

static enum error worker_open(struct engine *engine, struct worker *w, enum sqlite_role role,
                              const struct opening *o)
{
    struct log log = o->store->log;
    log.component = engine->component;
    enum error e = sqlite_db_open(log, o->store->kind, role, o->path, &w->db, o->why, o->why_size);
    if (e != ERR_OK)
        return e;
    if (role == SQLITE_WRITER)
        engine->reserved = sqlite_db_reserved(w->db);
    txn_list_init(&w->queue);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    if (pthread_create(&w->thread, NULL, work, w) == 0)
        return ERR_OK;
    snprintf(o->why, o->why_size, "cannot start a thread for the database %s", o->path);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    sqlite_db_close(w->db);
    w->db = NULL;
    return ERR_SYSTEM;
}

static void worker_close(struct worker *w)
{
    if (!w->db)
        return;
    pthread_mutex_lock(&w->lock);
    w->closing = true;
    pthread_mutex_unlock(&w->lock);
    pthread_cond_signal(&w->wake);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    sqlite_db_close(w->db);
}

static void engine_destroy(void *thing)
{
    struct engine *engine = thing;
    worker_close(&engine->writer);
    worker_close(&engine->reader);
    free(engine->component);
    free(engine);
}

static void *engine_create(void *arg)
{
    struct opening *o = arg;
    struct engine *engine = MEM_NEW(struct engine);
    if (o->store->log.component)
        engine->component = mem_strdup(o->store->log.component);
    o->e = worker_open(engine, &engine->writer, SQLITE_WRITER, o);
    if (o->e == ERR_OK)
        o->e = worker_open(engine, &engine->reader, SQLITE_READER, o);
    if (o->e == ERR_OK)
        return engine;
    engine_destroy(engine);
    return NULL;
}

/* --- opening and closing --- */

static enum error sqlite_open(struct store *s, const char *path, uint64_t *reserved, char *why,
                              size_t why_size)
{
    if (!*path) {
        snprintf(why, why_size, "\"sqlite:\" names no file: write sqlite:PATH");
        return ERR_INVALID;
    }
    struct opening opening = {s, path, why, why_size, ERR_OK};
    char name[4200];
    snprintf(name, sizeof name, "store %d sqlite:%s", (int)s->kind, path);
    struct engine *engine = shared_take(s->shared, name, engine_create, &opening);
    if (!engine)
        return opening.e;
    struct driver_state *d = MEM_NEW(struct driver_state);
    d->store = s;
    d->engine = engine;
    txn_list_init(&d->fresh_writer);
    txn_list_init(&d->fresh_reader);
    txn_list_init(&d->done);
    loop_task_init(&d->hand_over, on_hand_over);
    loop_task_init(&d->hand_back, on_hand_back);
    pthread_mutex_init(&d->done_lock, NULL);
    pthread_cond_init(&d->all_done, NULL);
    *reserved = engine->reserved;
    s->state = d;
    return ERR_OK;
}

static void sqlite_close(struct store *s)
{
    struct driver_state *d = s->state;
    loop_task_cancel(&d->hand_over);
    on_hand_over(&d->hand_over);
    pthread_mutex_lock(&d->done_lock);
    while (d->running)
        pthread_cond_wait(&d->all_done, &d->done_lock);
    pthread_mutex_unlock(&d->done_lock);
    loop_post_cancel(s->loop, &d->hand_back);
    shared_release(s->shared, d->engine, engine_destroy);
    pthread_cond_destroy(&d->all_done);
    pthread_mutex_destroy(&d->done_lock);
    free(d);
}

const struct store_driver store_sqlite = {"sqlite:", sqlite_open, sqlite_submit, sqlite_close,
                                          NULL};
