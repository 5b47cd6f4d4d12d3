/* The queue: offline messages of one owner in exact order, with a quota that is counted in the same
 * transaction. */
#include "store/driver.h"
#include "store/users.h"

struct store_txn *queue_push_traced(struct store_txn *t, struct str owner, uint64_t id,
                                    struct str xml, uint32_t max_count, uint64_t trace)
{
    if (max_count == 0) /* the statement takes the first one unseen */
        t->result = ERR_FULL;
    store_add_int(store_add_text(store_add(t, SQL_QUEUE_GROW), owner), max_count);
    store_add_int(store_add_text(store_add(t, SQL_QUEUE_PUSH), owner), (int64_t)id);
    return store_add_int(store_add_text(t, xml), (int64_t)trace);
}

struct store_txn *queue_push(struct store_txn *t, struct str owner, uint64_t id, struct str xml,
                             uint32_t max_count)
{
    return queue_push_traced(t, owner, id, xml, max_count, 0);
}

void queue_load(struct store *s, struct str owner, uint64_t after, uint32_t limit, store_fn fn,
                void *arg)
{
    struct store_txn *t = store_add_text(store_add(store_begin(s), SQL_QUEUE_LOAD), owner);
    store_read(store_add_int(store_add_int(t, (int64_t)after), limit), fn, arg);
}

static struct store_txn *add_range(struct store_txn *t, enum store_statement statement,
                                   struct str owner, uint64_t first, uint64_t last)
{
    store_add_int(store_add_text(store_add(t, statement), owner), (int64_t)first);
    return store_add_int(t, (int64_t)last);
}

struct store_txn *queue_delete_range(struct store_txn *t, struct str owner, uint64_t first,
                                     uint64_t last)
{
    add_range(t, SQL_QUEUE_SHRINK, owner, first, last);
    return add_range(t, SQL_QUEUE_DELETE_RANGE, owner, first, last);
}

void queue_get(struct store *s, struct str owner, uint64_t id, store_fn fn, void *arg)
{
    struct store_txn *t = store_add_text(store_add(store_begin(s), SQL_QUEUE_GET), owner);
    store_read(store_add_int(t, (int64_t)id), fn, arg);
}

struct store_txn *queue_replace(struct store_txn *t, struct str owner, uint64_t id, struct str xml)
{
    store_add_int(store_add_text(store_add(t, SQL_QUEUE_REPLACE), owner), (int64_t)id);
    return store_add_text(t, xml);
}

struct store_txn *queue_delete(struct store_txn *t, struct str owner, uint64_t id)
{
    store_add_int(store_add_text(store_add(t, SQL_QUEUE_DELETE), owner), (int64_t)id);
    return store_add_text(store_add(t, SQL_QUEUE_SHRINK_ONE), owner);
}

void queue_count(struct store *s, struct str owner, store_fn fn, void *arg)
{
    store_read(store_add_text(store_add(store_begin(s), SQL_QUEUE_COUNT), owner), fn, arg);
}
