/* Accounts: table authreg (username, realm; its password column is empty but for imported accounts
 * until their first login) and authkeys, the SCRAM keys. In the accounts database, which c2s alone
 * opens. */
#ifndef JACKDAW_STORE_ACCOUNTS_H
#define JACKDAW_STORE_ACCOUNTS_H

#include "store/store.h"
#include "xmpp/scram.h"

struct account {
    bool exists;
    bool disabled;
    bool has_keys; /* keys for the hash asked for */
    struct scram_keys keys;
    struct str password; /* what stands in that column (old_password.h); data == NULL: nothing */
};
typedef void (*account_fn)(void *arg, enum error e, const struct account *account);

void accounts_get(struct store *s, struct str user, struct str realm, enum scram_hash hash,
                  account_fn fn, void *arg);
/* Keys of all hashes, made by accounts_derive. ERR_EXISTS from the commit when the account is there
 * already. */
struct store_txn *accounts_create(struct store_txn *t, struct str user, struct str realm,
                                  const struct scram_keys keys[SCRAM_HASHES]);
/* A new password; tokens given for the old one are gone. ERR_NOT_FOUND from the commit. */
struct store_txn *accounts_set_keys(struct store_txn *t, struct str user, struct str realm,
                                    const struct scram_keys keys[SCRAM_HASHES]);
/* With its devices and tokens. ERR_NOT_FOUND from the commit when there is no such account. */
struct store_txn *accounts_delete(struct store_txn *t, struct str user, struct str realm);
/* Whether the account may log in. ERR_NOT_FOUND from the commit when there is none. */
struct store_txn *accounts_set_disabled(struct store_txn *t, struct str user, struct str realm,
                                        bool disabled);
/* Rows: username; at most `limit` of those that may not. */
void accounts_list_disabled(struct store *s, struct str realm, uint32_t limit, store_fn fn,
                            void *arg);
/* Row: how many may not. */
void accounts_count_disabled(struct store *s, struct str realm, store_fn fn, void *arg);
/* Rows: username, realm, created (seconds since 1970), disabled; sorted; realm.data == NULL for
 * all. */
void accounts_list(struct store *s, struct str realm, store_fn fn, void *arg);
/* For copies. Row: password, created, disabled. */
void accounts_read(struct store *s, struct str user, struct str realm, store_fn fn, void *arg);
/* Rows: mech, salt, iterations, stored_key, server_key. */
void accounts_read_keys(struct store *s, struct str user, struct str realm, store_fn fn, void *arg);
/* A row of the latter; false when it is not what we write. */
bool accounts_take_keys(const struct store_rows *rows, size_t row, struct scram_keys *ret);
/* Makes or replaces the account, without its keys; `password` may have data == NULL. */
struct store_txn *accounts_put(struct store_txn *t, struct str user, struct str realm,
                               struct str password, int64_t created, bool disabled);
struct store_txn *accounts_put_keys(struct store_txn *t, struct str user, struct str realm,
                                    const struct scram_keys *keys);
/* Derives keys for every hash with fresh salts: CPU-heavy, any thread. False when the password is
 * unusable. */
bool accounts_derive(struct random *random, struct str password,
                     struct scram_keys ret[SCRAM_HASHES]);
/* Its two halves, for those who derive on another thread than the one that `random` belongs to:
 * fresh salts, then the CPU-heavy rest on any thread. */
void accounts_salt(struct random *random, uint32_t iterations, struct scram_keys ret[SCRAM_HASHES]);
bool accounts_derive_salted(struct str password, struct scram_keys keys[SCRAM_HASHES]);

#endif
