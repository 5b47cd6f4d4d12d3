/* vCards (XEP-0054): the whole XML, jabberd2's columns beside it for those who query them, and what
 * the search (XEP-0055) compares. */
#include "base/buffer.h"
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

/* The longest word is in the fewest cards, most likely: its index is asked. In the order of
 * SQL_VCARD_SEARCH_FN and what follows it. */
static enum store_statement sharpest(const struct vcard_search *what, struct str *ret)
{
    const struct str words[] = {what->fn, what->first, what->last, what->nick, what->email};
    int best = 0;
    for (int i = 1; i < 5; i++)
        if (words[i].len > words[best].len)
            best = i;
    *ret = words[best];
    return (enum store_statement)(SQL_VCARD_SEARCH_FN + best);
}

void vcard_find(struct store *s, struct str domain, const struct vcard_search *what, uint32_t limit,
                store_fn fn, void *arg)
{
    struct buffer behind;
    struct str word;
    enum store_statement statement = sharpest(what, &word);
    struct store_txn *t = store_add_text(store_add(store_begin(s), statement), domain);
    buffer_init(&behind, word.len + 4);
    buffer_add_str(&behind, word);
    buffer_add_str(&behind, STR("\xf4\x8f\xbf\xbf")); /* U+10FFFF: in nobody's name */
    store_add_text(store_add_text(store_add_text(t, what->fn), what->first), what->last);
    store_add_int(store_add_text(store_add_text(t, what->nick), what->email), limit);
    store_add_text(t, buffer_str(&behind));
    store_read(t, fn, arg);
    buffer_finish(&behind);
}
