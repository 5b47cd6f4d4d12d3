/* The indexes over archives: of words (XEP-0431) and of correspondents. Their tables can be made
 * anew from the archive, so no backup has them; those of words are the databases' own kind - FTS5
 * here, tsvector there. */
#include "store/driver.h"
#include "store/users.h"

void mam_index_upto(struct store *s, struct str owner, store_fn fn, void *arg)
{
    store_read(store_add_text(store_add(store_begin(s), SQL_SEARCH_UPTO), owner), fn, arg);
}

/* A statement's first values. */
static struct store_txn *of_ids(struct store_txn *t, enum store_statement statement,
                                struct str owner, uint64_t from, uint64_t upto)
{
    store_add_int(store_add_text(store_add(t, statement), owner), (int64_t)from);
    return store_add_int(t, (int64_t)upto);
}

struct store_txn *mam_index_advance(struct store_txn *t, enum mam_index index, struct str owner,
                                    uint64_t from, uint64_t upto)
{
    return of_ids(t, index == MAM_INDEX_WITH ? SQL_SEARCH_ADVANCE_WITH : SQL_SEARCH_ADVANCE, owner,
                  from, upto);
}

struct store_txn *mam_index_rewind(struct store_txn *t, struct str owner, uint64_t id)
{
    store_add_int(store_add_text(store_add(t, SQL_SEARCH_REWIND), owner), (int64_t)id);
    return mam_index_delete(t, owner, id, INT64_MAX);
}

struct store_txn *mam_index_add_with(struct store_txn *t, struct str owner, uint64_t from,
                                     uint64_t upto)
{
    return of_ids(t, SQL_SEARCH_ADD_WITH, owner, from, upto);
}

struct store_txn *mam_index_delete_with(struct store_txn *t, struct str owner, uint64_t from,
                                        uint64_t upto)
{
    return of_ids(t, SQL_SEARCH_DELETE_WITH, owner, from, upto);
}

struct store_txn *mam_index_add(struct store_txn *t, struct str owner, uint64_t id, struct str text)
{
    store_add_int(store_add_text(store_add(t, SQL_SEARCH_ADD), owner), (int64_t)id);
    return store_add_text(t, text);
}

struct store_txn *mam_index_delete(struct store_txn *t, struct str owner, uint64_t from,
                                   uint64_t upto)
{
    return of_ids(t, SQL_SEARCH_DELETE, owner, from, upto);
}

static void search(struct store *s, enum store_statement statement, struct str owner,
                   const struct mam_range *range, struct str words, uint32_t limit, store_fn fn,
                   void *arg)
{
    struct store_txn *t = store_add_text(store_add(store_begin(s), statement), owner);
    store_add_int(store_add_int(t, (int64_t)range->after), (int64_t)range->before);
    store_add_text(store_add_int(t, limit), range->with.data ? range->with : STR(""));
    store_add_text(t, range->resource.data ? range->resource : STR(""));
    store_read(store_add_text(t, words), fn, arg);
}

void mam_search(struct store *s, struct str owner, const struct mam_range *range, struct str words,
                uint32_t limit, store_fn fn, void *arg)
{
    search(s, range->back ? SQL_SEARCH_PAGE_BACK : SQL_SEARCH_PAGE, owner, range, words, limit, fn,
           arg);
}

void mam_search_count(struct store *s, struct str owner, const struct mam_range *range,
                      struct str words, uint32_t limit, store_fn fn, void *arg)
{
    search(s, SQL_SEARCH_COUNT, owner, range, words, limit, fn, arg);
}
