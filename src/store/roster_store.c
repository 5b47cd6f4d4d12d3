/* The roster's tables: items, their groups, the version, and tombstones of removed items for roster
 * versioning. */
#include "store/driver.h"
#include "store/users.h"

static struct store_txn *owned(struct store_txn *t, enum store_statement statement,
                               struct str owner)
{
    return store_add_text(store_add(t, statement), owner);
}

void roster_load(struct store *s, struct str owner, store_fn fn, void *arg)
{
    store_read(owned(store_begin(s), SQL_ROSTER_LOAD, owner), fn, arg);
}

void roster_load_groups(struct store *s, struct str owner, store_fn fn, void *arg)
{
    store_read(owned(store_begin(s), SQL_ROSTER_LOAD_GROUPS, owner), fn, arg);
}

void roster_load_version(struct store *s, struct str owner, store_fn fn, void *arg)
{
    store_read(owned(store_begin(s), SQL_ROSTER_LOAD_VERSION, owner), fn, arg);
}

void roster_load_removed(struct store *s, struct str owner, store_fn fn, void *arg)
{
    store_read(owned(store_begin(s), SQL_ROSTER_LOAD_REMOVED, owner), fn, arg);
}

static void set_version(struct store_txn *t, struct str owner, int64_t sequence, uint64_t version)
{
    owned(t, SQL_ROSTER_SET_VERSION, owner);
    store_add_int(store_add_int(t, sequence), (int64_t)version);
}

struct store_txn *roster_set(struct store_txn *t, struct str owner, const struct roster_row *item,
                             const struct str *groups, size_t group_count)
{
    int64_t sequence = (int64_t)store_sequence(t->store);
    owned(t, SQL_ROSTER_SET, owner);
    store_add_text(store_add_text(store_add_int(t, sequence), item->jid), item->name);
    store_add_int(store_add_int(store_add_int(t, item->to), item->from), item->ask);
    store_add_int(store_add_int(store_add_int(t, item->pending_in), item->approved), item->hidden);
    store_add_text(store_add_int(t, (int64_t)item->version), item->pending_xml);
    store_add_text(owned(t, SQL_ROSTER_DELETE_GROUPS, owner), item->jid);
    for (size_t i = 0; i < group_count; i++) {
        store_add_int(owned(t, SQL_ROSTER_ADD_GROUP, owner), sequence);
        store_add_int(store_add_text(store_add_text(t, item->jid), groups[i]), (int64_t)i);
    }
    store_add_text(owned(t, SQL_ROSTER_DELETE_REMOVED, owner), item->jid);
    set_version(t, owner, sequence, item->version);
    return t;
}

struct store_txn *roster_remove(struct store_txn *t, struct str owner, struct str jid,
                                uint64_t version)
{
    int64_t sequence = (int64_t)store_sequence(t->store);
    store_add_text(owned(t, SQL_ROSTER_DELETE_ITEM, owner), jid);
    store_add_text(owned(t, SQL_ROSTER_DELETE_GROUPS, owner), jid);
    store_add_int(owned(t, SQL_ROSTER_ADD_REMOVED, owner), sequence);
    store_add_int(store_add_text(t, jid), (int64_t)version);
    set_version(t, owner, sequence, version);
    store_add_int(owned(t, SQL_ROSTER_RAISE_FLOOR, owner), ROSTER_TOMBSTONES_MAX);
    return owned(t, SQL_ROSTER_TRIM_REMOVED, owner);
}

struct store_txn *roster_forget(struct store_txn *t, struct str owner)
{
    owned(t, SQL_ROSTER_FORGET, owner);
    return owned(t, SQL_ROSTER_TRIM_REMOVED, owner);
}
