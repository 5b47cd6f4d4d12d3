/* Push: whom a user's app servers are (XEP-0357). */
#include "store/driver.h"
#include "store/users.h"

void push_load(struct store *s, struct str owner, store_fn fn, void *arg)
{
    store_read(store_add_text(store_add(store_begin(s), SQL_PUSH_LOAD), owner), fn, arg);
}

struct store_txn *push_set(struct store_txn *t, struct str owner, const struct push_row *row)
{
    store_add_text(store_add(t, SQL_PUSH_SET), owner);
    store_add_int(t, (int64_t)store_sequence(t->store));
    store_add_text(store_add_text(t, row->jid), row->node);
    return store_add_text(store_add_text(t, row->resource), row->options);
}

struct store_txn *push_delete(struct store_txn *t, struct str owner, struct str jid,
                              struct str node)
{
    store_add_text(store_add(t, SQL_PUSH_DELETE), owner);
    return store_add_text(store_add_text(t, jid), node);
}
