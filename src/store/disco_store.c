/* Published items of disco, with a quota that is counted in the same transaction. */
#include "store/driver.h"
#include "store/users.h"

void disco_load(struct store *s, struct str owner, struct str parent, store_fn fn, void *arg)
{
    struct store_txn *t = store_add_text(store_add(store_begin(s), SQL_DISCO_LOAD), owner);
    store_read(store_add_text(t, parent), fn, arg);
}

void disco_list(struct store *s, struct str owner, store_fn fn, void *arg)
{
    store_read(store_add_text(store_add(store_begin(s), SQL_DISCO_LIST), owner), fn, arg);
}

static struct store_txn *named(struct store_txn *t, const struct disco_row *row)
{
    return store_add_text(store_add_text(store_add_text(t, row->parent), row->jid), row->node);
}

struct store_txn *disco_set(struct store_txn *t, struct str owner, const struct disco_row *row,
                            uint32_t max)
{
    store_add_text(store_add(t, SQL_DISCO_SET), owner);
    store_add_int(t, (int64_t)store_sequence(t->store));
    store_add_text(named(t, row), row->name);
    store_add_text(store_add(t, SQL_DISCO_QUOTA), owner);
    return store_add_int(named(t, row), max);
}

struct store_txn *disco_delete(struct store_txn *t, struct str owner, const struct disco_row *row)
{
    store_add_text(store_add(t, SQL_DISCO_DELETE), owner);
    return named(t, row);
}
