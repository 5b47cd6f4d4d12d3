/* The roster in memory: a sorted array of items. See roster.h. */
#include "sm/roster.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/hash.h"
#include "base/mem.h"
#include "sm/stored.h"
#include "xmpp/namespaces.h"

/* The index of the JID, or where it belongs. */
static uint32_t position(const struct roster *r, struct str jid, bool *ret_found)
{
    uint32_t low = 0, high = r->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = str_cmp(jid_full(r->items[middle]->jid), jid);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_found = false;
    return low;
}

static void insert(struct roster *r, uint32_t at, struct roster_item *item)
{
    if (r->count == r->cap) {
        r->cap = r->cap ? r->cap + r->cap / 2 + 1 : 4;
        r->items = mem_realloc(r->items, r->cap * sizeof(void *));
    }
    memmove(r->items + at + 1, r->items + at, (r->count - at) * sizeof(void *));
    r->items[at] = item;
    r->count++;
    if (item->hidden)
        r->hidden++;
}

void roster_finish(struct roster *r)
{
    for (uint32_t i = 0; i < r->count; i++)
        roster_item_destroy(r->items[i]);
    free(r->items);
    *r = (struct roster){.version = r->version, .floor = r->floor};
}

struct roster_item *roster_find(const struct roster *r, struct str jid)
{
    bool found;
    uint32_t at = position(r, jid, &found);
    return found ? r->items[at] : NULL;
}

struct roster_item *roster_put(struct roster *r, struct jid *jid)
{
    bool found;
    uint32_t at = position(r, jid_full(jid), &found);
    if (found)
        return r->items[at];
    struct roster_item *item = MEM_NEW(struct roster_item);
    item->jid = jid_ref(jid);
    item->hidden = true;
    insert(r, at, item);
    return item;
}

struct roster_item *roster_take(struct roster *r, struct str jid)
{
    bool found;
    uint32_t at = position(r, jid, &found);
    if (!found)
        return NULL;
    struct roster_item *item = r->items[at];
    memmove(r->items + at, r->items + at + 1, (r->count - at - 1) * sizeof(void *));
    r->count--;
    if (item->hidden)
        r->hidden--;
    return item;
}

void roster_restore(struct roster *r, struct roster_item *item)
{
    roster_item_destroy(roster_take(r, jid_full(item->jid)));
    bool found;
    uint32_t at = position(r, jid_full(item->jid), &found);
    insert(r, at, item);
}

void roster_set_hidden(struct roster *r, struct roster_item *item, bool hidden)
{
    if (item->hidden && !hidden)
        r->hidden--;
    else if (!item->hidden && hidden)
        r->hidden++;
    item->hidden = hidden;
}

static size_t texts_size(const char *texts, uint8_t count)
{
    size_t size = 0;
    for (uint8_t i = 0; i < count; i++)
        size += strlen(texts + size) + 1;
    return size;
}

static size_t groups_size(const struct roster_item *item)
{
    return texts_size(item->groups, item->group_count);
}

static bool has_text(const char *texts, uint8_t count, struct str text)
{
    for (uint8_t i = 0; i < count; i++) {
        struct str one = str_of(texts);
        if (str_eq(one, text))
            return true;
        texts += one.len + 1;
    }
    return false;
}

struct roster_item *roster_item_copy(const struct roster_item *item)
{
    struct roster_item *copy = MEM_NEW(struct roster_item);
    *copy = *item;
    jid_ref(copy->jid);
    if (item->name)
        copy->name = mem_strdup(item->name);
    if (item->groups) {
        size_t size = groups_size(item);
        copy->groups = mem_alloc(size);
        memcpy(copy->groups, item->groups, size);
    }
    if (item->shared) {
        size_t size = texts_size(item->shared, item->shared_count);
        copy->shared = mem_alloc(size);
        memcpy(copy->shared, item->shared, size);
    }
    if (item->request)
        stanza_ref(item->request);
    return copy;
}

void roster_item_destroy(struct roster_item *item)
{
    if (!item)
        return;
    jid_unref(item->jid);
    free(item->name);
    free(item->groups);
    free(item->shared);
    stanza_unref(item->request);
    free(item);
}

void roster_item_set_name(struct roster_item *item, struct str name)
{
    free(item->name);
    item->name = name.len ? str_dup(name) : NULL;
}

void roster_item_set_groups(struct roster_item *item, const struct str *groups, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += groups[i].len + 1;
    char *texts = size ? mem_alloc(size) : NULL;
    char *out = texts;
    for (size_t i = 0; out && i < count; i++) {
        memcpy(out, groups[i].data, groups[i].len); /* mem_alloc has put the NUL behind it */
        out += groups[i].len + 1;
    }
    free(item->groups);
    item->groups = texts;
    item->group_count = (uint8_t)count;
}

void roster_item_set_request(struct roster_item *item, struct stanza *request)
{
    struct stanza *old = item->request;
    item->request = request ? stanza_ref(request) : NULL;
    stanza_unref(old);
}

/* Those that `but_of` (NULL: nobody) has not got as its own. */
static void write_groups(const char *group, uint8_t count, const struct roster_item *but_of,
                         struct builder *b)
{
    for (uint8_t i = 0; i < count; i++) {
        struct str text = str_of(group);
        if (!but_of || !has_text(but_of->groups, but_of->group_count, text))
            builder_leaf(b, STR("group"), STR_NULL, text);
        group += text.len + 1;
    }
}

void roster_item_share(struct roster_item *item, struct str group)
{
    if (item->shared_count >= ROSTER_MAX_GROUPS ||
        has_text(item->shared, item->shared_count, group))
        return;
    if (!item->shared) {
        item->own_hidden = item->hidden;
        item->own_state = item->state;
        item->state = SUB_BOTH;
    }
    size_t size = texts_size(item->shared, item->shared_count);
    item->shared = mem_realloc(item->shared, size + group.len + 1);
    memcpy(item->shared + size, group.data, group.len);
    item->shared[size + group.len] = '\0';
    item->shared_count++;
}

void roster_item_unshare(struct roster_item *item)
{
    if (item->shared)
        item->state = item->own_state;
    free(item->shared);
    item->shared = NULL;
    item->shared_count = 0;
}

/* --- what is shared, as a part of the version --- */

void roster_mark_shared(struct roster *r)
{
    uint64_t seed[2] = {0, 0};
    bool any = false;
    for (uint32_t i = 0; i < r->count; i++) {
        const struct roster_item *item = r->items[i];
        if (!item->shared)
            continue;
        any = true;
        seed[0] = hash_bytes(seed, item->jid->text, strlen(item->jid->text) + 1);
        seed[1] = hash_bytes(seed, item->shared, texts_size(item->shared, item->shared_count));
    }
    r->shared_mark = any ? (seed[0] ^ seed[1]) | 1 : 0;
}

struct str roster_version_write(const struct roster *r, uint64_t version,
                                char room[ROSTER_VERSION_SIZE])
{
    int len;
    if (version == ROSTER_NO_VERSION)
        return STR("0-0");
    if (r->shared_mark)
        len = snprintf(room, ROSTER_VERSION_SIZE, "%" PRIu64 "-%" PRIu64, version, r->shared_mark);
    else
        len = snprintf(room, ROSTER_VERSION_SIZE, "%" PRIu64, version);
    return (struct str){room, (size_t)len};
}

bool roster_version_read(const struct roster *r, struct str text, uint64_t *ret)
{
    struct str number, rest = text;
    uint64_t mark = 0;
    if (!str_split(&rest, '-', &number) || !str_to_u64(number, INT64_MAX, ret))
        return false;
    if (!rest.data)
        return r->shared_mark == 0;
    return str_to_u64(rest, UINT64_MAX, &mark) && mark && mark == r->shared_mark;
}

void roster_item_write(const struct roster_item *item, bool removed, struct builder *b)
{
    builder_start(b, STR("item"), STR_NULL);
    builder_attr(b, STR("jid"), jid_full(item->jid));
    if (removed) {
        builder_attr(b, STR("subscription"), STR("remove"));
        builder_end(b);
        return;
    }
    builder_attr(b, STR("name"), str_of(item->name));
    builder_attr(b, STR("subscription"), subscription_attr(item->state));
    if (subscription_pending_out(item->state))
        builder_attr(b, STR("ask"), STR("subscribe"));
    if (item->approved)
        builder_attr(b, STR("approved"), STR("true"));
    write_groups(item->groups, item->group_count, NULL, b);
    write_groups(item->shared, item->shared_count, item, b);
    builder_end(b);
}

void roster_add_rows(struct roster *r, const struct store_rows *rows, struct parser_pool *pool)
{
    enum { JID, NAME, TO, FROM, ASK, PENDING_IN, APPROVED, HIDDEN, VERSION, XML };
    for (size_t i = 0; i < store_rows_count(rows); i++) {
        struct jid *jid = jid_parse(store_text(rows, i, JID));
        if (!jid)
            continue;
        struct roster_item *item = roster_put(r, jid);
        jid_unref(jid);
        item->own = true;
        roster_item_set_name(item, store_text(rows, i, NAME));
        item->state = (uint8_t)subscription_state_of(
            store_int(rows, i, TO) != 0, store_int(rows, i, FROM) != 0,
            store_int(rows, i, ASK) == 1, store_int(rows, i, PENDING_IN) != 0);
        item->approved = store_int(rows, i, APPROVED) != 0;
        roster_set_hidden(r, item, store_int(rows, i, HIDDEN) != 0);
        item->version = (uint64_t)store_int(rows, i, VERSION);
        stanza_unref(item->request);
        /* One that cannot be parsed is lost as text alone: the pending state stays. */
        struct str xml = store_text(rows, i, XML);
        item->request = xml.data ? stored_parse(pool, xml) : NULL;
    }
}

/* Rows come in the order the user gave the groups, but not necessarily item by item. */
static void add_group(struct roster_item *item, struct str group)
{
    if (item->group_count >= ROSTER_MAX_GROUPS)
        return;
    size_t size = groups_size(item);
    item->groups = mem_realloc(item->groups, size + group.len + 1);
    memcpy(item->groups + size, group.data, group.len);
    item->groups[size + group.len] = '\0';
    item->group_count++;
}

void roster_add_group_rows(struct roster *r, const struct store_rows *rows)
{
    for (size_t i = 0; i < store_rows_count(rows); i++) {
        struct roster_item *item = roster_find(r, store_text(rows, i, 0));
        struct str group = store_text(rows, i, 1);
        if (item && group.len)
            add_group(item, group);
    }
}

struct store_txn *roster_item_store(struct store_txn *t, struct str owner,
                                    const struct roster_item *item)
{
    struct str groups[ROSTER_MAX_GROUPS];
    const char *group = item->groups;
    for (uint8_t i = 0; i < item->group_count; i++) {
        groups[i] = str_of(group);
        group += groups[i].len + 1;
    }
    enum subscription_state state = item->shared ? item->own_state : item->state;
    struct buffer xml;
    buffer_init(&xml, 1u << 24);
    struct stanza_stamp stamp = {.xmlns = item->request ? stanza_ns(item->request, STANZA_ROOT)
                                                        : STR_NULL};
    bool has_request = item->request && stanza_write(item->request, &stamp, &xml);
    struct roster_row row = {
        .jid = jid_full(item->jid),
        .name = str_of(item->name),
        .to = subscription_to(state),
        .from = subscription_from(state),
        .ask = subscription_pending_out(state) ? 1 : 0,
        .pending_in = subscription_pending_in(state),
        .approved = item->approved,
        .hidden = item->shared ? item->own_hidden : item->hidden,
        .version = item->version,
        .pending_xml = has_request ? buffer_str(&xml) : STR_NULL,
    };
    t = roster_set(t, owner, &row, groups, item->group_count);
    buffer_finish(&xml);
    return t;
}
