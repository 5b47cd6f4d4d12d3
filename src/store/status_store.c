/* What 2.7.0 added to jabberd2's tables: status (web presence), and three that only import and
 * export know. */
#include "store/driver.h"
#include "store/users.h"

static struct store_txn *write_begin(struct store_txn *t, enum store_statement statement,
                                     struct str owner)
{
    int64_t sequence = (int64_t)store_sequence(t->store);
    return store_add_int(store_add_text(store_add(t, statement), owner), sequence);
}

static void list(struct store *s, enum store_statement statement, struct str owner, store_fn fn,
                 void *arg)
{
    store_read(store_add_text(store_add(store_begin(s), statement), owner), fn, arg);
}

void status_get(struct store *s, struct str owner, store_fn fn, void *arg)
{
    list(s, SQL_STATUS_GET, owner, fn, arg);
}

struct store_txn *status_set(struct store_txn *t, struct str owner, const struct status_row *row)
{
    write_begin(t, SQL_STATUS_SET, owner);
    store_add_text(store_add_text(t, row->status), row->show);
    return store_add_text(store_add_int(store_add_int(t, row->login), row->logout), row->xml);
}

struct store_txn *status_presence(struct store_txn *t, struct str owner, struct str show,
                                  struct str xml, int64_t time)
{
    write_begin(t, SQL_STATUS_PRESENCE, owner);
    store_add_text(store_add_text(t, STR("online")), show);
    return store_add_text(store_add_int(t, time), xml);
}

struct store_txn *status_gone(struct store_txn *t, struct str owner, struct str xml, int64_t time)
{
    write_begin(t, SQL_STATUS_GONE, owner);
    return store_add_text(store_add_int(t, time), xml);
}

void verify_list(struct store *s, struct str owner, store_fn fn, void *arg)
{
    list(s, SQL_VERIFY_LIST, owner, fn, arg);
}

struct store_txn *verify_set(struct store_txn *t, struct str owner, const struct verify_row *row)
{
    write_begin(t, SQL_VERIFY_SET, owner);
    return store_add_int(store_add_text(store_add_text(t, row->email), row->code), row->state);
}

void published_list(struct store *s, struct str owner, store_fn fn, void *arg)
{
    list(s, SQL_PUBLISHED_LIST, owner, fn, arg);
}

struct store_txn *published_set(struct store_txn *t, struct str owner,
                                const struct published_row *row)
{
    write_begin(t, SQL_PUBLISHED_SET, owner);
    store_add_text(store_add_text(store_add_text(t, row->jid), row->group), row->name);
    return store_add_int(store_add_int(store_add_int(t, row->to), row->from), row->ask);
}

void published_groups_list(struct store *s, struct str owner, store_fn fn, void *arg)
{
    list(s, SQL_PUBLISHED_GROUPS_LIST, owner, fn, arg);
}

struct store_txn *published_groups_set(struct store_txn *t, struct str owner, struct str name)
{
    return store_add_text(write_begin(t, SQL_PUBLISHED_GROUPS_SET, owner), name);
}
