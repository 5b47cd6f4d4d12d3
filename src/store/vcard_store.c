/* vCards (XEP-0054): the whole XML, jabberd2's columns beside it for those who query them, and what
 * the search (XEP-0055) compares. */
#include "store/driver.h"
#include "store/users.h"

void vcard_get(struct store *s, struct str owner, store_fn fn, void *arg)
{
    store_read(store_add_text(store_add(store_begin(s), SQL_VCARD_GET), owner), fn, arg);
}

struct store_txn *vcard_set(struct store_txn *t, struct str owner, const struct vcard_row *row)
{
    store_add_text(store_add(t, SQL_VCARD_SET), owner);
    store_add_int(t, (int64_t)store_sequence(t->store));
    for (int i = 0; i < VCARD_COLUMNS; i++)
        store_add_text(t, row->columns[i]);
    return store_add_text(store_add_text(t, row->xml), row->photo_hash);
}

struct store_txn *vcard_set_search(struct store_txn *t, struct str owner, struct str domain,
                                   const struct vcard_search *what)
{
    store_add_text(store_add_text(store_add(t, SQL_VCARD_SET_SEARCH), domain), owner);
    store_add_int(t, (int64_t)store_sequence(t->store));
    store_add_text(store_add_text(store_add_text(t, what->fn), what->first), what->last);
    return store_add_text(store_add_text(t, what->nick), what->email);
}

struct store_txn *vcard_delete(struct store_txn *t, struct str owner)
{
    store_add_text(store_add(t, SQL_USER_DELETE_VCARD), owner);
    return vcard_delete_search(t, owner);
}

struct store_txn *vcard_delete_search(struct store_txn *t, struct str owner)
{
    return store_add_text(store_add(t, SQL_USER_DELETE_VCARD_SEARCH), owner);
}

void vcard_find(struct store *s, struct str domain, const struct vcard_search *what, uint32_t limit,
                store_fn fn, void *arg)
{
    struct store_txn *t = store_add_text(store_add(store_begin(s), SQL_VCARD_SEARCH), domain);
    store_add_text(store_add_text(store_add_text(t, what->fn), what->first), what->last);
    store_add_int(store_add_text(store_add_text(t, what->nick), what->email), limit);
    store_read(t, fn, arg);
}
