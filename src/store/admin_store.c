/* What administrators set: the message to new accounts and further administrators of a domain, and
 * the black and the white list of the server. */
#include "store/driver.h"
#include "store/users.h"

/* All three tables are an owner, a sequence and a text. */
static struct store_txn *add_row(struct store_txn *t, enum store_statement statement,
                                 struct str owner, struct str text)
{
    store_add_text(store_add(t, statement), owner);
    store_add_int(t, (int64_t)store_sequence(t->store));
    return store_add_text(t, text);
}

void welcome_list(struct store *s, store_fn fn, void *arg)
{
    store_read(store_add(store_begin(s), SQL_WELCOME_LIST), fn, arg);
}

struct store_txn *welcome_set(struct store_txn *t, struct str domain, struct str xml)
{
    return add_row(t, SQL_WELCOME_SET, domain, xml);
}

struct store_txn *welcome_delete(struct store_txn *t, struct str domain)
{
    return store_add_text(store_add(t, SQL_WELCOME_DELETE), domain);
}

void admins_list(struct store *s, store_fn fn, void *arg)
{
    store_read(store_add(store_begin(s), SQL_ADMINS_LIST), fn, arg);
}

struct store_txn *admins_add(struct store_txn *t, struct str owner, struct str domain)
{
    return add_row(t, SQL_ADMINS_ADD, owner, domain);
}

struct store_txn *admins_clear(struct store_txn *t, struct str domain)
{
    return store_add_text(store_add(t, SQL_ADMINS_CLEAR), domain);
}

void server_lists_load(struct store *s, store_fn fn, void *arg)
{
    store_read(store_add(store_begin(s), SQL_SERVER_LISTS_LOAD), fn, arg);
}

struct store_txn *server_lists_add(struct store_txn *t, struct str list, struct str jid)
{
    return add_row(t, SQL_SERVER_LISTS_ADD, list, jid);
}

struct store_txn *server_lists_clear(struct store_txn *t, struct str list)
{
    return store_add_text(store_add(t, SQL_SERVER_LISTS_CLEAR), list);
}
