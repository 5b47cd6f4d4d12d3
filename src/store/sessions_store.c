/* Sessions that sleep and may be resumed (XEP-0198), for a session manager that dies meanwhile
 * (docs/decisions/0074-kept-sessions.md). */
#include "store/driver.h"
#include "store/users.h"

struct store_txn *sessions_set(struct store_txn *t, struct str owner, const struct session_row *row)
{
    store_add_text(store_add_text(store_add(t, SQL_SESSION_SET), owner), row->resource);
    store_add_int(store_add_int(store_add_text(t, row->id), row->max), row->in);
    store_add_int(t, row->until);
    return store_add_text(store_add_text(t, row->traits), row->presence);
}

void sessions_get(struct store *s, struct str owner, struct str id, store_fn fn, void *arg)
{
    struct store_txn *t = store_add_text(store_add(store_begin(s), SQL_SESSION_GET), owner);
    store_read(store_add_text(t, id), fn, arg);
}

struct store_txn *sessions_delete(struct store_txn *t, struct str owner, struct str id)
{
    return store_add_text(store_add_text(store_add(t, SQL_SESSION_DELETE), owner), id);
}

struct store_txn *sessions_expire(struct store_txn *t, int64_t then)
{
    return store_add_int(store_add(t, SQL_SESSIONS_EXPIRE), then);
}

struct store_txn *sessions_revoke(struct store_txn *t, struct str owner, struct str mark)
{
    return store_add_text(store_add_text(store_add(t, SQL_SESSIONS_REVOKE), owner), mark);
}

struct store_txn *sessions_keep(struct store_txn *t, struct str owner, int64_t now, uint32_t most)
{
    store_add_int(store_add_text(store_add(t, SQL_SESSIONS_KEEP), owner), now);
    return store_add_int(t, most);
}
