/* The outbox: messages that were accepted and are not yet confirmed by whom they were sent to
 * (docs/decisions/0050-receipts.md). */
#include "store/driver.h"
#include "store/users.h"

struct store_txn *outbox_push(struct store_txn *t, struct str owner, uint64_t id, struct str sm,
                              struct str xml, uint32_t max_count, uint64_t trace)
{
    store_add_int(store_add_text(store_add(t, SQL_OUTBOX_PUSH), owner), (int64_t)id);
    t = store_add_int(store_add_text(store_add_text(t, sm), xml), max_count);
    return store_add_int(t, (int64_t)trace);
}

void outbox_load(struct store *s, struct str sm, uint64_t after, uint64_t upto, uint32_t limit,
                 store_fn fn, void *arg)
{
    struct store_txn *t = store_add_text(store_add(store_begin(s), SQL_OUTBOX_LOAD), sm);
    store_add_int(store_add_int(t, (int64_t)after), (int64_t)upto);
    store_read(store_add_int(t, limit), fn, arg);
}

struct store_txn *outbox_delete(struct store_txn *t, struct str owner, uint64_t id)
{
    return store_add_int(store_add_text(store_add(t, SQL_OUTBOX_DELETE), owner), (int64_t)id);
}

void outbox_of_others(struct store *s, struct str sm, uint64_t after, uint32_t limit, store_fn fn,
                      void *arg)
{
    struct store_txn *t = store_add_text(store_add(store_begin(s), SQL_OUTBOX_OF_OTHERS), sm);
    store_read(store_add_int(store_add_int(t, (int64_t)after), limit), fn, arg);
}

struct store_txn *outbox_claim(struct store_txn *t, struct str owner, uint64_t id,
                               struct str former, struct str sm)
{
    store_add_int(store_add_text(store_add(t, SQL_OUTBOX_CLAIM), owner), (int64_t)id);
    return store_add_text(store_add_text(t, former), sm);
}
