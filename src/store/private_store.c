/* Private XML (XEP-0049): one row for all elements of one name and namespace, with a quota that is
 * counted in the same transaction. */
#include "store/driver.h"
#include "store/users.h"

static struct store_txn *keyed(struct store_txn *t, enum store_statement statement,
                               const struct private_key *key)
{
    store_add_text(store_add(t, statement), key->owner);
    return t;
}

static struct store_txn *named(struct store_txn *t, const struct private_key *key)
{
    return store_add_text(store_add_text(t, key->ns), key->name);
}

void private_get(struct store *s, const struct private_key *key, store_fn fn, void *arg)
{
    store_read(named(keyed(store_begin(s), SQL_PRIVATE_GET, key), key), fn, arg);
}

struct store_txn *private_set(struct store_txn *t, const struct private_key *key, struct str xml,
                              uint64_t max_bytes)
{
    store_add_int(keyed(t, SQL_PRIVATE_SET, key), (int64_t)store_sequence(t->store));
    store_add_int(store_add_text(named(t, key), xml), (int64_t)xml.len);
    named(keyed(t, SQL_PRIVATE_QUOTA, key), key);
    return store_add_int(t, (int64_t)max_bytes);
}

void private_list(struct store *s, struct str owner, store_fn fn, void *arg)
{
    store_read(store_add_text(store_add(store_begin(s), SQL_PRIVATE_LIST), owner), fn, arg);
}

struct store_txn *private_delete(struct store_txn *t, const struct private_key *key)
{
    return named(keyed(t, SQL_PRIVATE_DELETE, key), key);
}
