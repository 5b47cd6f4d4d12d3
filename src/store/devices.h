/* Devices: the clients that an account has logged in with (XEP-0388 section 2.3), and their tokens
 * (XEP-0484): tables devices and tokens of the accounts database. A token is not stored, but a seed
 * of which the server makes it (docs/decisions/0071-tokens.md). */
#ifndef JACKDAW_STORE_DEVICES_H
#define JACKDAW_STORE_DEVICES_H

#include "store/store.h"

#define DEVICE_SEED 32

/* One client of one account. `id` is its UUID. */
struct device {
    struct str user, realm, id;
};
enum { DEVICE_SLOT_CURRENT, DEVICE_SLOT_NEW }; /* XEP-0484 section 5.1 */

/* Rows, the newer slot first: disabled (of the account), slot, mech, seed, made, expires (seconds),
 * count. An account without tokens of that device: one row with an empty mech. No account: none. */
void devices_tokens(struct store *s, const struct device *d, store_fn fn, void *arg);
/* It has logged in at `now` (milliseconds). `most` devices of the account are kept. */
struct store_txn *devices_seen(struct store_txn *t, const struct device *d, struct str software,
                               struct str name, struct str address, int64_t now, int64_t most);
/* Into the slot for new ones. */
struct store_txn *devices_put_token(struct store_txn *t, const struct device *d, struct str mech,
                                    const unsigned char seed[DEVICE_SEED], int64_t made,
                                    int64_t expires);
/* The token has been used, with that count (0: without): older ones go. ERR_NOT_FOUND from the
 * commit when it is not there any more, or has been used with that count before. */
struct store_txn *devices_use_token(struct store_txn *t, const struct device *d, int slot,
                                    const unsigned char seed[DEVICE_SEED], int64_t count);
/* The one in use goes. */
struct store_txn *devices_drop_current(struct store_txn *t, const struct device *d);
/* Rows: id, software, device, address, made, used (both milliseconds), expires of its token
 * (seconds; 0: none); last used first. */
void devices_list(struct store *s, struct str user, struct str realm, store_fn fn, void *arg);
/* With its tokens. ERR_NOT_FOUND from the commit when there is none. */
struct store_txn *devices_remove(struct store_txn *t, const struct device *d);
struct store_txn *devices_remove_all(struct store_txn *t, struct str user, struct str realm);
/* Every client must show its password again. */
struct store_txn *devices_remove_tokens(struct store_txn *t, struct str user, struct str realm);

#endif
