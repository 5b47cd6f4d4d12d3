/* The driver for tests and simulation: SQLite in memory, run on the loop, one batch in the turn
 * after the submissions. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/sqlite_db.h"

struct memory {
    struct store *store;
    struct sqlite_db *db;
    struct txn_list waiting;
    struct loop_task turn;
    bool posted;
};

static void run(struct memory *m, struct txn_list *batch)
{
    for (struct store_txn *t = batch->first; t; t = t->next)
        sqlite_db_execute(m->db, t);
    sqlite_db_finish(m->db, batch->first);
}

static void on_turn(struct loop_task *task)
{
    struct memory *m = MEM_CONTAINER(task, struct memory, turn);
    struct txn_list batch;
    txn_list_init(&batch);
    txn_list_append(&batch, &m->waiting);
    m->posted = false;
    run(m, &batch);
    store_done(m->store, batch.first);
}

static enum error memory_open(struct store *s, const char *rest, uint64_t *reserved, char *why,
                              size_t why_size)
{
    struct memory *m = MEM_NEW(struct memory);
    char path[128] = ":memory:";
    /* "memory:NAME" outlives each of its users, as a file would, until the last has closed it. */
    if (rest[0])
        (void)snprintf(path, sizeof path, "file:/%s?vfs=memdb", rest);
    enum error e = sqlite_db_open(s->log, s->kind, SQLITE_WRITER, path, &m->db, why, why_size);
    if (e != ERR_OK) {
        free(m);
        return e;
    }
    m->store = s;
    txn_list_init(&m->waiting);
    loop_task_init(&m->turn, on_turn);
    *reserved = sqlite_db_reserved(m->db);
    s->state = m;
    return ERR_OK;
}

static void memory_submit(struct store *s, struct store_txn *t)
{
    struct memory *m = s->state;
    txn_list_push(&m->waiting, t);
    if (m->posted)
        return;
    m->posted = true;
    loop_post(s->loop, &m->turn);
}

static void memory_close(struct store *s)
{
    struct memory *m = s->state;
    loop_post_cancel(s->loop, &m->turn);
    run(m, &m->waiting);
    sqlite_db_close(m->db);
    free(m);
}

const struct store_driver store_memory = {"memory:", memory_open, memory_submit, memory_close,
                                          NULL};
