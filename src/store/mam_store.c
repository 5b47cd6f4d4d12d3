/* The archive of messages (XEP-0313): rows found by their time-ordered key, in pages of any archive
 * alike; who is archived; and what was counted of an archive's size. */
#include "store/driver.h"
#include "store/users.h"

enum { FIND_DEPTH = 10000 }; /* messages of one correspondence that a retraction looks at */

struct store_txn *mam_add(struct store_txn *t, const struct mam_row *row)
{
    store_add_text(store_add_text(store_add(t, SQL_MAM_ADD), row->from), row->from_resource);
    store_add_text(store_add_text(t, row->to), row->to_resource);
    store_add_int(store_add_text(t, row->stanza), (int64_t)row->xml.len);
    store_add_int(store_add_text(t, row->xml), (int64_t)row->sent.id);
    store_add_int(store_add_int(t, (int64_t)row->sent.mark), (int64_t)row->received.id);
    return store_add_int(t, (int64_t)row->received.mark);
}

static bool next_is(struct request_cursor *c, struct str text)
{
    struct value v;
    return request_next_value(c, &v) && v.type == VALUE_TEXT && str_eq(v.bytes, text);
}

static bool next_is_number(struct request_cursor *c, uint64_t *ret)
{
    struct value v;
    if (!request_next_value(c, &v) || v.type != VALUE_INT)
        return false;
    *ret = (uint64_t)v.number;
    return true;
}

bool mam_join(struct store_txn *t, const struct mam_row *row)
{
    struct request_cursor c;
    enum store_statement id;
    uint64_t size, sent, mark, received;
    request_cursor_init(&c, t);
    if (t->statements != 1 || !request_next_statement(&c, &id) || id != SQL_MAM_ADD)
        return false;
    if (!next_is(&c, row->from) || !next_is(&c, row->from_resource) || !next_is(&c, row->to) ||
        !next_is(&c, row->to_resource) || !next_is(&c, row->stanza) || !next_is_number(&c, &size) ||
        !next_is(&c, row->xml))
        return false;
    if (!next_is_number(&c, &sent) || !next_is_number(&c, &mark) ||
        !next_is_number(&c, &received) || received)
        return false;
    store_set_int(t, 1, (int64_t)row->received.id);
    store_set_int(t, 0, (int64_t)row->received.mark);
    return true;
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

void mam_find(struct store *s, struct str owner, const struct mam_sought *what, store_fn fn,
              void *arg)
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
    store_add_text(of_id(t, SQL_MAM_REPLACE_SENT, owner, id), xml);
    return store_add_text(of_id(t, SQL_MAM_REPLACE_RECEIVED, owner, id), xml);
}

static struct store_txn *delete_range(struct store_txn *t, struct str owner, uint64_t from,
                                      uint64_t upto)
{
    static const enum store_statement all[] = {SQL_MAM_DELETE_SENT, SQL_MAM_DELETE_RECEIVED,
                                               SQL_MAM_LEAVE_SENT, SQL_MAM_LEAVE_RECEIVED};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        store_add_int(of_id(t, all[i], owner, from), (int64_t)upto);
    return t;
}

struct store_txn *mam_delete(struct store_txn *t, struct str owner, uint64_t id)
{
    mam_index_delete_with(t, owner, id, id);
    return delete_range(t, owner, id, id);
}

struct store_txn *mam_delete_upto(struct store_txn *t, struct str owner, uint64_t id)
{
    mam_index_delete_with(t, owner, 0, id);
    return delete_range(t, owner, 0, id);
}

struct store_txn *mam_delete_all(struct store_txn *t, struct str owner)
{
    return delete_range(t, owner, 0, INT64_MAX);
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
