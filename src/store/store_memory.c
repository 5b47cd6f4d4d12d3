/* The driver for tests and simulation: SQLite on the loop, one batch at a time - in memory, or in a
 * VFS of a test, which says how long its disk takes. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/sqlite_db.h"

struct memory {
    struct store *store;
    struct sqlite_db *db;
    struct txn_list waiting; /* submitted */
    struct txn_list done;    /* run, and not handed back yet: the disk has not said so */
    struct loop_task turn;
    struct loop_timer timer;
    uint32_t after;
    bool busy; /* `turn` is posted, or `timer` runs */
};

static void run(struct memory *m, struct txn_list *batch)
{
    for (struct store_txn *t = batch->first; t; t = t->next)
        sqlite_db_execute(m->db, t);
    sqlite_db_finish(m->db, batch->first);
}

/* The next batch, as soon as the disk lets us. */
static void begin(struct memory *m)
{
    struct sqlite_delay delay = sqlite_db_delay(m->db);
    m->busy = true;
    m->after = delay.after;
    if (delay.before)
        loop_timer_start(&m->timer, delay.before);
    else
        loop_post(m->store->loop, &m->turn);
}

static void hand_back(struct memory *m)
{
    struct txn_list batch;
    txn_list_init(&batch);
    txn_list_append(&batch, &m->done);
    m->busy = false;
    if (m->waiting.first)
        begin(m);
    store_done(m->store, batch.first);
}

static void go_on(struct memory *m)
{
    if (!m->done.first) {
        txn_list_append(&m->done, &m->waiting);
        run(m, &m->done);
        if (sqlite_db_dead(m->db)) /* `busy` for ever: it is closed next */
            return;
        if (m->after) {
            loop_timer_start(&m->timer, m->after);
            return;
        }
    }
    hand_back(m);
}

static void on_turn(struct loop_task *task)
{
    go_on(MEM_CONTAINER(task, struct memory, turn));
}

static void on_timer(struct loop_timer *timer)
{
    go_on(MEM_CONTAINER(timer, struct memory, timer));
}

static enum error memory_open(struct store *s, const char *rest, uint64_t *reserved, char *why,
                              size_t why_size)
{
    struct memory *m = MEM_NEW(struct memory);
    char path[128] = ":memory:";
    /* "memory:NAME" outlives each of its users, as a file would, until the last has closed it;
     * "memory:NAME?vfs=VFS" as long as that VFS keeps it. */
    if (rest[0])
        (void)snprintf(path, sizeof path, strchr(rest, '?') ? "file:/%s" : "file:/%s?vfs=memdb",
                       rest);
    enum error e = sqlite_db_open(s->log, s->kind, SQLITE_WRITER, path, &m->db, why, why_size);
    if (e != ERR_OK) {
        free(m);
        return e;
    }
    m->store = s;
    txn_list_init(&m->waiting);
    txn_list_init(&m->done);
    loop_task_init(&m->turn, on_turn);
    loop_timer_init(&m->timer, s->loop, on_timer);
    *reserved = sqlite_db_reserved(m->db);
    s->state = m;
    return ERR_OK;
}

static void memory_submit(struct store *s, struct store_txn *t)
{
    struct memory *m = s->state;
    txn_list_push(&m->waiting, t);
    if (!m->busy)
        begin(m);
}

static void memory_close(struct store *s)
{
    struct memory *m = s->state;
    loop_post_cancel(s->loop, &m->turn);
    loop_timer_stop(&m->timer);
    run(m, &m->waiting);
    sqlite_db_close(m->db);
    free(m);
}

const struct store_driver store_memory = {"memory:", memory_open, memory_submit, memory_close,
                                          NULL};
