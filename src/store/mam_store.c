/* The archive of messages (XEP-0313): rows found by their time-ordered key, in pages of any archive
 * alike; who is archived; and what was counted of an archive's size. */
#include "store/driver.h"
#include "store/users.h"

enum { FIND_DEPTH = 10000 }; /* messages of one correspondence that a retraction looks at */

struct store_txn *mam_add(struct store_txn *t, struct str owner, const struct mam_row *row)
{
    store_add_text(store_add(t, SQL_MAM_ADD), owner);
    store_add_int(store_add_int(t, (int64_t)row->id), (int64_t)row->mark);
    store_add_text(store_add_text(t, row->with), row->resource);
    store_add_text(store_add_int(t, row->sent), row->stanza);
    return store_add_text(store_add_int(t, (int64_t)row->xml.len), row->xml);
}

/* A statement's first four or six values. */
static struct store_txn *add_range(struct store *s, enum store_statement all,
                                   enum store_statement with, struct str owner,
                                   const struct mam_range *range, uint32_t limit)
{
    struct store_txn *t = store_add(store_begin(s), range->with.data ? with : all);
    store_add_int(store_add_text(t, owner), (int64_t)range->after);
    store_add_int(store_add_int(t, (int64_t)range->before), limit);
    if (range->with.data)
        store_add_text(store_add_text(t, range->with),
                       range->resource.data ? range->resource : STR(""));
    return t;
}

void mam_page(struct store *s, struct str owner, const struct mam_range *range, uint32_t limit,
              store_fn fn, void *arg)
{
    enum store_statement all = range->back ? SQL_MAM_PAGE_BACK : SQL_MAM_PAGE;
    enum store_statement with = range->back ? SQL_MAM_PAGE_WITH_BACK : SQL_MAM_PAGE_WITH;
    store_read(add_range(s, all, with, owner, range, limit), fn, arg);
}

void mam_newest(struct store *s, struct str owner, uint32_t limit, store_fn fn, void *arg)
{
    struct store_txn *t = store_add_text(store_add(store_begin(s), SQL_MAM_NEWEST), owner);
    store_read(store_add_int(t, limit), fn, arg);
}

void mam_count(struct store *s, struct str owner, const struct mam_range *range, uint32_t limit,
               store_fn fn, void *arg)
{
    store_read(add_range(s, SQL_MAM_COUNT, SQL_MAM_COUNT_WITH, owner, range, limit), fn, arg);
}

void mam_get(struct store *s, struct str owner, uint64_t id, store_fn fn, void *arg)
{
    struct store_txn *t = store_add_text(store_add(store_begin(s), SQL_MAM_GET), owner);
    store_read(store_add_int(t, (int64_t)id), fn, arg);
}

void mam_find(struct store *s, struct str owner, const struct mam_row *what, store_fn fn, void *arg)
{
    struct store_txn *t = store_add_text(store_add(store_begin(s), SQL_MAM_FIND), owner);
    store_add_int(store_add_text(t, what->with), what->sent);
    store_read(store_add_int(store_add_text(t, what->stanza), FIND_DEPTH), fn, arg);
}

/* A statement about one id of an owner. */
static struct store_txn *of_id(struct store_txn *t, enum store_statement statement,
                               struct str owner, uint64_t id)
{
    return store_add_int(store_add_text(store_add(t, statement), owner), (int64_t)id);
}

struct store_txn *mam_replace(struct store_txn *t, struct str owner, uint64_t id, struct str xml)
{
    return store_add_text(of_id(t, SQL_MAM_REPLACE, owner, id), xml);
}

struct store_txn *mam_delete(struct store_txn *t, struct str owner, uint64_t id)
{
    mam_index_delete_with(t, owner, id, id);
    return of_id(t, SQL_MAM_DELETE, owner, id);
}

struct store_txn *mam_delete_upto(struct store_txn *t, struct str owner, uint64_t id)
{
    mam_index_delete_with(t, owner, 0, id);
    return of_id(t, SQL_MAM_DELETE_UPTO, owner, id);
}

void mam_sizes(struct store *s, struct str owner, uint64_t after, uint32_t limit, store_fn fn,
               void *arg)
{
    store_read(store_add_int(of_id(store_begin(s), SQL_MAM_SIZES, owner, after), limit), fn, arg);
}

void mam_size_get(struct store *s, struct str owner, store_fn fn, void *arg)
{
    store_read(store_add_text(store_add(store_begin(s), SQL_MAM_SIZE_GET), owner), fn, arg);
}

struct store_txn *mam_size_set(struct store_txn *t, struct str owner, int64_t bytes, uint64_t upto)
{
    store_add_int(store_add_text(store_add(t, SQL_MAM_SIZE_SET), owner), bytes);
    return store_add_int(t, (int64_t)upto);
}

void mam_owners(struct store *s, struct str after, uint32_t limit, store_fn fn, void *arg)
{
    struct store_txn *t = store_add_text(store_add(store_begin(s), SQL_MAM_OWNERS), after);
    store_read(store_add_int(t, limit), fn, arg);
}

struct store_txn *mam_set_prefs(struct store_txn *t, struct str owner, struct str standard,
                                struct str always, struct str never)
{
    store_add_text(store_add(t, SQL_MAM_SET_PREFS), owner);
    store_add_text(store_add_int(t, (int64_t)store_sequence(t->store)), standard);
    return store_add_text(store_add_text(t, always), never);
}

struct store_txn *mam_make_key(struct store_txn *t, const uint64_t key[2])
{
    store_add_int(store_add(t, SQL_MAM_MAKE_KEY), (int64_t)key[0]);
    return store_add_int(t, (int64_t)key[1]);
}

void mam_get_key(struct store *s, store_fn fn, void *arg)
{
    store_read(store_add(store_begin(s), SQL_MAM_GET_KEY), fn, arg);
}
