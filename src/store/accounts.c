/* Accounts: rows of authreg and authkeys. Only SCRAM keys are kept; the password column holds
 * something until the first login of an imported account alone. */
#include "store/accounts.h"

#include <stdlib.h>

#include "base/mem.h"
#include "store/devices.h"
#include "store/driver.h"

struct get {
    account_fn fn;
    void *arg;
    enum scram_hash hash;
};

/* A key of the wrong size is no key: the row was not written by us. */
static bool take_key(struct str from, size_t size, unsigned char *to)
{
    if (from.len != size)
        return false;
    memcpy(to, from.data, size);
    return true;
}

static bool take_keys(const struct store_rows *rows, size_t row, enum scram_hash hash,
                      struct scram_keys *ret)
{
    struct str salt = store_text(rows, row, 1);
    int64_t iterations = store_int(rows, row, 2);
    size_t size = scram_hash_size(hash);
    if (salt.len == 0 || salt.len > sizeof ret->salt || iterations < 1 || iterations > UINT32_MAX)
        return false;
    ret->hash = hash;
    ret->iterations = (uint32_t)iterations;
    ret->salt_len = salt.len;
    memcpy(ret->salt, salt.data, salt.len);
    return take_key(store_text(rows, row, 3), size, ret->stored_key) &&
           take_key(store_text(rows, row, 4), size, ret->server_key);
}

static void on_get(void *arg, enum error e, const struct store_rows *rows)
{
    struct get get = *(struct get *)arg;
    struct account account = {0};
    free(arg);
    if (e == ERR_OK && store_rows_count(rows) > 0) {
        account.exists = true;
        account.disabled = store_int(rows, 0, 0) != 0;
        account.has_keys = take_keys(rows, 0, get.hash, &account.keys);
        account.password = store_text(rows, 0, 5);
    }
    get.fn(get.arg, e, &account);
    mem_wipe(&account, sizeof account);
}

void accounts_get(struct store *s, struct str user, struct str realm, enum scram_hash hash,
                  account_fn fn, void *arg)
{
    struct get *get = MEM_NEW(struct get);
    *get = (struct get){fn, arg, hash};
    struct store_txn *t = store_add(store_begin(s), SQL_ACCOUNT_GET);
    store_add_text(store_add_text(t, user), realm);
    store_add_text(t, str_of(scram_hash_name(hash)));
    store_read(t, on_get, get);
}

struct store_txn *accounts_put_keys(struct store_txn *t, struct str user, struct str realm,
                                    const struct scram_keys *k)
{
    size_t size = scram_hash_size(k->hash);
    store_add(t, SQL_ACCOUNT_SET_KEY);
    store_add_text(store_add_text(t, user), realm);
    store_add_text(t, str_of(scram_hash_name(k->hash)));
    store_add_int(store_add_blob(t, k->salt, k->salt_len), k->iterations);
    return store_add_blob(store_add_blob(t, k->stored_key, size), k->server_key, size);
}

static void add_keys(struct store_txn *t, struct str user, struct str realm,
                     const struct scram_keys keys[SCRAM_HASHES])
{
    for (int i = 0; i < SCRAM_HASHES; i++)
        accounts_put_keys(t, user, realm, &keys[i]);
}

struct store_txn *accounts_create(struct store_txn *t, struct str user, struct str realm,
                                  const struct scram_keys keys[SCRAM_HASHES])
{
    store_add_text(store_add_text(store_add(t, SQL_ACCOUNT_CREATE), user), realm);
    store_add_int(t, loop_wall(t->store->loop) / 1000);
    add_keys(t, user, realm, keys);
    return t;
}

struct store_txn *accounts_set_keys(struct store_txn *t, struct str user, struct str realm,
                                    const struct scram_keys keys[SCRAM_HASHES])
{
    store_add_text(store_add_text(store_add(t, SQL_ACCOUNT_TOUCH), user), realm);
    add_keys(t, user, realm, keys);
    return devices_remove_tokens(t, user, realm);
}

struct store_txn *accounts_delete(struct store_txn *t, struct str user, struct str realm)
{
    store_add_text(store_add_text(store_add(t, SQL_ACCOUNT_DELETE), user), realm);
    store_add_text(store_add_text(store_add(t, SQL_ACCOUNT_DELETE_KEYS), user), realm);
    return devices_remove_all(t, user, realm);
}

struct store_txn *accounts_set_disabled(struct store_txn *t, struct str user, struct str realm,
                                        bool disabled)
{
    store_add_text(store_add_text(store_add(t, SQL_ACCOUNT_SET_DISABLED), user), realm);
    return store_add_int(t, disabled);
}

void accounts_list_disabled(struct store *s, struct str realm, uint32_t limit, store_fn fn,
                            void *arg)
{
    struct store_txn *t = store_add(store_begin(s), SQL_ACCOUNT_LIST_DISABLED);
    store_read(store_add_int(store_add_text(t, realm), limit), fn, arg);
}

void accounts_count_disabled(struct store *s, struct str realm, store_fn fn, void *arg)
{
    store_read(store_add_text(store_add(store_begin(s), SQL_ACCOUNT_COUNT_DISABLED), realm), fn,
               arg);
}

void accounts_list(struct store *s, struct str realm, store_fn fn, void *arg)
{
    struct store_txn *t = store_begin(s);
    if (realm.data)
        store_add_text(store_add(t, SQL_ACCOUNT_LIST_REALM), realm);
    else
        store_add(t, SQL_ACCOUNT_LIST);
    store_read(t, fn, arg);
}

void accounts_read(struct store *s, struct str user, struct str realm, store_fn fn, void *arg)
{
    struct store_txn *t = store_add(store_begin(s), SQL_ACCOUNT_READ);
    store_read(store_add_text(store_add_text(t, user), realm), fn, arg);
}

void accounts_read_keys(struct store *s, struct str user, struct str realm, store_fn fn, void *arg)
{
    struct store_txn *t = store_add(store_begin(s), SQL_ACCOUNT_READ_KEYS);
    store_read(store_add_text(store_add_text(t, user), realm), fn, arg);
}

bool accounts_take_keys(const struct store_rows *rows, size_t row, struct scram_keys *ret)
{
    struct str mech = store_text(rows, row, 0);
    for (int hash = 0; hash < SCRAM_HASHES; hash++)
        if (str_is(mech, scram_hash_name((enum scram_hash)hash)))
            return take_keys(rows, row, (enum scram_hash)hash, ret);
    return false;
}

struct store_txn *accounts_put(struct store_txn *t, struct str user, struct str realm,
                               struct str password, int64_t created, bool disabled)
{
    store_add_text(store_add_text(store_add(t, SQL_ACCOUNT_PUT), user), realm);
    return store_add_int(store_add_int(store_add_text(t, password), created), disabled);
}

void accounts_salt(struct random *random, uint32_t iterations, struct scram_keys ret[SCRAM_HASHES])
{
    for (int i = 0; i < SCRAM_HASHES; i++) {
        ret[i] = (struct scram_keys){
            .hash = (enum scram_hash)i, .iterations = iterations, .salt_len = SCRAM_SALT};
        random_fill(random, ret[i].salt, SCRAM_SALT);
    }
}

bool accounts_derive_salted(struct str password, struct scram_keys keys[SCRAM_HASHES])
{
    for (int i = 0; i < SCRAM_HASHES; i++) {
        struct scram_keys salted = keys[i];
        if (!scram_derive(salted.hash, password, salted.salt, salted.salt_len, salted.iterations,
                          &keys[i]))
            return false;
    }
    return true;
}

bool accounts_derive(struct random *random, struct str password,
                     struct scram_keys ret[SCRAM_HASHES])
{
    accounts_salt(random, SCRAM_ITERATIONS, ret);
    return accounts_derive_salted(password, ret);
}
