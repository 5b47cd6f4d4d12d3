/* Privacy lists (XEP-0016): a row for each item, and the name of the default list. */
#include "store/driver.h"
#include "store/users.h"

void privacy_load(struct store *s, struct str owner, store_fn fn, void *arg)
{
    store_read(store_add_text(store_add(store_begin(s), SQL_PRIVACY_LOAD), owner), fn, arg);
}

struct store_txn *privacy_delete(struct store_txn *t, struct str owner, struct str list)
{
    return store_add_text(store_add_text(store_add(t, SQL_PRIVACY_DELETE), owner), list);
}

struct store_txn *privacy_add(struct store_txn *t, struct str owner, const struct privacy_row *row)
{
    store_add_text(store_add(t, SQL_PRIVACY_ADD), owner);
    store_add_int(t, (int64_t)store_sequence(t->store));
    store_add_text(store_add_text(store_add_text(t, row->list), row->type), row->value);
    return store_add_int(store_add_int(store_add_int(t, row->deny), row->order), row->block);
}

struct store_txn *privacy_set_standard(struct store_txn *t, struct str owner, struct str list)
{
    if (!list.data)
        return store_add_text(store_add(t, SQL_USER_DELETE_PRIVACY_DEFAULT), owner);
    store_add_text(store_add(t, SQL_PRIVACY_SET_DEFAULT), owner);
    return store_add_text(store_add_int(t, (int64_t)store_sequence(t->store)), list);
}
