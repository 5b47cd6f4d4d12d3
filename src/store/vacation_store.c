/* Vacations: when, what is answered, and who has been. */
#include "store/driver.h"
#include "store/users.h"

void vacation_get(struct store *s, struct str owner, store_fn fn, void *arg)
{
    store_read(store_add_text(store_add(store_begin(s), SQL_VACATION_GET), owner), fn, arg);
}

struct store_txn *vacation_set(struct store_txn *t, struct str owner,
                               const struct vacation_row *row)
{
    store_add_text(store_add(t, SQL_VACATION_SET), owner);
    store_add_int(store_add_int(t, (int64_t)store_sequence(t->store)), row->start);
    store_add_text(store_add_int(t, row->end), row->message);
    return store_add_text(store_add(t, SQL_USER_DELETE_VACATION_ANSWERED), owner);
}

struct store_txn *vacation_delete(struct store_txn *t, struct str owner)
{
    store_add_text(store_add(t, SQL_USER_DELETE_VACATION), owner);
    return store_add_text(store_add(t, SQL_USER_DELETE_VACATION_ANSWERED), owner);
}

struct store_txn *vacation_answer(struct store_txn *t, struct str owner, struct str jid,
                                  uint32_t max)
{
    store_add_text(store_add(t, SQL_VACATION_ANSWER), owner);
    store_add_int(t, (int64_t)store_sequence(t->store));
    return store_add_int(store_add_text(t, jid), max);
}
