/* Users: the tables active (the account exists for delivery) and logout (when it was last seen). */
#include "store/users.h"

#include "store/driver.h"

void users_get(struct store *s, struct str owner, store_fn fn, void *arg)
{
    store_read(store_add_text(store_add(store_begin(s), SQL_USER_GET), owner), fn, arg);
}

void users_list(struct store *s, struct str domain, store_fn fn, void *arg)
{
    struct store_txn *t = store_begin(s);
    if (domain.data)
        store_add_text(store_add(t, SQL_USER_LIST_DOMAIN), domain);
    else
        store_add(t, SQL_USER_LIST);
    store_read(t, fn, arg);
}

void users_page(struct store *s, struct str domain, uint32_t limit, store_fn fn, void *arg)
{
    struct store_txn *t = store_add_text(store_add(store_begin(s), SQL_USER_PAGE), domain);
    store_read(store_add_int(t, limit), fn, arg);
}

void users_count(struct store *s, struct str domain, store_fn fn, void *arg)
{
    store_read(store_add_text(store_add(store_begin(s), SQL_USER_COUNT), domain), fn, arg);
}

static struct store_txn *activate(struct store_txn *t, struct str owner, int64_t time, bool new)
{
    int64_t sequence = (int64_t)store_sequence(t->store);
    store_add_text(store_add(t, SQL_USER_ACTIVATE), owner);
    return store_add_int(store_add_int(store_add_int(t, sequence), time), new);
}

struct store_txn *users_activate(struct store_txn *t, struct str owner, int64_t time)
{
    return activate(t, owner, time, false);
}

struct store_txn *users_activate_new(struct store_txn *t, struct str owner, int64_t time)
{
    return activate(t, owner, time, true);
}

struct store_txn *users_welcomed(struct store_txn *t, struct str owner)
{
    return store_add_text(store_add(t, SQL_USER_WELCOMED), owner);
}

struct store_txn *users_set_logout(struct store_txn *t, struct str owner, int64_t time,
                                   struct str status)
{
    int64_t sequence = (int64_t)store_sequence(t->store);
    store_add_text(store_add(t, SQL_USER_SET_LOGOUT), owner);
    return store_add_text(store_add_int(store_add_int(t, sequence), time), status);
}

struct store_txn *users_delete(struct store_txn *t, struct str owner)
{
    for (int s = SQL_USER_DELETE_ACTIVE; s <= SQL_USER_DELETE_OUTBOX; s++)
        store_add_text(store_add(t, (enum store_statement)s), owner);
    return mam_delete_all(t, owner);
}
