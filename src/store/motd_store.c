/* Messages of the day: one for a domain, and when each user saw the last one. */
#include "store/driver.h"
#include "store/users.h"

void motd_list(struct store *s, store_fn fn, void *arg)
{
    store_read(store_add(store_begin(s), SQL_MOTD_LIST), fn, arg);
}

struct store_txn *motd_set(struct store_txn *t, struct str domain, struct str xml, int64_t time)
{
    int64_t sequence = (int64_t)store_sequence(t->store);
    store_add_int(store_add_text(store_add(t, SQL_MOTD_SET), domain), sequence);
    return store_add_int(store_add_text(t, xml), time);
}

struct store_txn *motd_delete(struct store_txn *t, struct str domain)
{
    return store_add_text(store_add(t, SQL_MOTD_DELETE), domain);
}

void motd_time(struct store *s, struct str owner, store_fn fn, void *arg)
{
    store_read(store_add_text(store_add(store_begin(s), SQL_MOTD_TIME), owner), fn, arg);
}

static struct store_txn *add_time(struct store_txn *t, enum store_statement statement,
                                  struct str owner, int64_t time)
{
    int64_t sequence = (int64_t)store_sequence(t->store);
    store_add_int(store_add_text(store_add(t, statement), owner), sequence);
    return store_add_int(t, time);
}

struct store_txn *motd_see(struct store_txn *t, struct str owner, int64_t time)
{
    return add_time(t, SQL_MOTD_SEE, owner, time);
}

struct store_txn *motd_seen(struct store_txn *t, struct str owner, int64_t time)
{
    return add_time(t, SQL_MOTD_SEEN, owner, time);
}
