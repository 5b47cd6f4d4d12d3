/* Devices: see devices.h. */
#include "store/devices.h"

#include "store/driver.h"

static struct store_txn *add(struct store_txn *t, enum store_statement statement,
                             const struct device *d)
{
    store_add_text(store_add_text(store_add(t, statement), d->user), d->realm);
    return store_add_text(t, d->id);
}

void devices_tokens(struct store *s, const struct device *d, store_fn fn, void *arg)
{
    store_read(add(store_begin(s), SQL_DEVICE_TOKENS, d), fn, arg);
}

static struct str or_empty(struct str text)
{
    return text.data ? text : STR("");
}

struct store_txn *devices_seen(struct store_txn *t, const struct device *d, struct str software,
                               struct str name, struct str address, int64_t now, int64_t most)
{
    add(t, SQL_DEVICE_SEEN, d);
    store_add_text(store_add_text(t, or_empty(software)), or_empty(name));
    store_add_int(store_add_int(store_add_text(t, address), now), now);
    store_add_int(add(t, SQL_DEVICE_TRIM, d), most - 1);
    return store_add_text(store_add_text(store_add(t, SQL_DEVICE_TRIM_TOKENS), d->user), d->realm);
}

struct store_txn *devices_put_token(struct store_txn *t, const struct device *d, struct str mech,
                                    const unsigned char seed[DEVICE_SEED], int64_t made,
                                    int64_t expires)
{
    store_add_text(add(t, SQL_TOKEN_PUT, d), mech);
    store_add_blob(t, seed, DEVICE_SEED);
    return store_add_int(store_add_int(t, made), expires);
}

struct store_txn *devices_use_token(struct store_txn *t, const struct device *d, int slot,
                                    const unsigned char seed[DEVICE_SEED], int64_t count)
{
    add(t, count > 0 ? SQL_TOKEN_USE_COUNTED : SQL_TOKEN_USE, d);
    store_add_blob(store_add_int(t, slot), seed, DEVICE_SEED);
    if (count > 0)
        store_add_int(t, count);
    if (slot == DEVICE_SLOT_CURRENT)
        return t;
    devices_drop_current(t, d);
    return add(t, SQL_TOKEN_PROMOTE, d);
}

struct store_txn *devices_drop_current(struct store_txn *t, const struct device *d)
{
    return store_add_int(add(t, SQL_TOKEN_DELETE, d), DEVICE_SLOT_CURRENT);
}

void devices_list(struct store *s, struct str user, struct str realm, store_fn fn, void *arg)
{
    store_read(
        store_add_text(store_add_text(store_add(store_begin(s), SQL_DEVICE_LIST), user), realm), fn,
        arg);
}

struct store_txn *devices_remove(struct store_txn *t, const struct device *d)
{
    add(t, SQL_DEVICE_DELETE, d);
    return add(t, SQL_DEVICE_DELETE_TOKENS, d);
}

struct store_txn *devices_remove_tokens(struct store_txn *t, struct str user, struct str realm)
{
    return store_add_text(store_add_text(store_add(t, SQL_ACCOUNT_DELETE_TOKENS), user), realm);
}

struct store_txn *devices_remove_all(struct store_txn *t, struct str user, struct str realm)
{
    store_add_text(store_add_text(store_add(t, SQL_ACCOUNT_DELETE_DEVICES), user), realm);
    return devices_remove_tokens(t, user, realm);
}
