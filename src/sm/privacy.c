/* Privacy lists in memory, and what they say: see privacy.h. */
#include "sm/privacy.h"

#include <stdlib.h>
#include "base/mem.h"

/* --- items --- */

struct privacy_item *privacy_items_add(struct privacy_items *items)
{
    if ((items->count & (items->count - 1)) == 0) /* 0, 1, 2, 4 ...: time to double */
        items->items = mem_realloc(items->items,
                                   (items->count ? items->count * 2u : 1u) * sizeof *items->items);
    struct privacy_item *item = &items->items[items->count++];
    *item = (struct privacy_item){.type = PRIVACY_ANY};
    return item;
}

void privacy_items_copy(struct privacy_items *to, const struct privacy_items *from)
{
    for (uint32_t i = 0; i < from->count; i++) {
        struct privacy_item *item = privacy_items_add(to);
        *item = from->items[i];
        if (item->jid)
            jid_ref(item->jid);
        if (item->value)
            item->value = mem_strdup(item->value);
    }
}

void privacy_items_finish(struct privacy_items *items)
{
    for (uint32_t i = 0; i < items->count; i++) {
        jid_unref(items->items[i].jid);
        free(items->items[i].value);
    }
    free(items->items);
    *items = (struct privacy_items){0};
}

static int compare_items(const void *a, const void *b)
{
    const struct privacy_item *x = a, *y = b;
    return x->order < y->order ? -1 : x->order > y->order;
}

bool privacy_items_sort(struct privacy_items *items)
{
    if (items->count)
        qsort(items->items, items->count, sizeof *items->items, compare_items);
    for (uint32_t i = 1; i < items->count; i++)
        if (items->items[i].order == items->items[i - 1].order)
            return false;
    return true;
}

static const char *const type_names[] = {
    [PRIVACY_ANY] = NULL,
    [PRIVACY_JID] = "jid",
    [PRIVACY_GROUP] = "group",
    [PRIVACY_SUBSCRIPTION] = "subscription",
};

struct str privacy_type_name(enum privacy_type type)
{
    return str_of(type_names[type]);
}

struct str privacy_value(const struct privacy_item *item)
{
    return item->jid ? jid_full(item->jid) : str_of(item->value);
}

static bool is_subscription(struct str value)
{
    return str_is(value, "both") || str_is(value, "to") || str_is(value, "from") ||
           str_is(value, "none");
}

enum stanza_condition privacy_item_set(struct privacy_item *item, struct str type, struct str value)
{
    if (!type.data)
        return STANZA_ERR_NONE;
    if (str_is(type, "jid")) {
        item->type = PRIVACY_JID;
        item->jid = jid_parse(value);
        if (!item->jid)
            return STANZA_ERR_JID_MALFORMED;
        item->local_len = item->jid->local_len;
        item->domain_len = item->jid->domain_len;
        return STANZA_ERR_NONE;
    }
    if (str_is(type, "group") && value.len && value.len <= PRIVACY_MAX_TEXT)
        item->type = PRIVACY_GROUP;
    else if (str_is(type, "subscription") && is_subscription(value))
        item->type = PRIVACY_SUBSCRIPTION;
    else
        return STANZA_ERR_BAD_REQUEST;
    item->value = str_dup(value);
    return STANZA_ERR_NONE;
}

/* --- lists --- */

struct privacy *privacy_get(struct user *user)
{
    if (!user->privacy) {
        user->privacy = MEM_NEW(struct privacy);
        list_init(&user->privacy->waiting);
    }
    return user->privacy;
}

static uint32_t position(const struct privacy *p, struct str name, bool *ret_found)
{
    uint32_t at = 0;
    *ret_found = false;
    while (at < p->count && str_cmp(str_of(p->lists[at]->name), name) < 0)
        at++;
    if (at < p->count)
        *ret_found = str_eq(str_of(p->lists[at]->name), name);
    return at;
}

struct privacy_list *privacy_find(const struct user *user, struct str name)
{
    bool found = false;
    uint32_t at = user->privacy ? position(user->privacy, name, &found) : 0;
    return found ? user->privacy->lists[at] : NULL;
}

static struct privacy_list *insert(struct privacy *p, uint32_t at, struct str name)
{
    struct privacy_list *list = MEM_NEW(struct privacy_list);
    list->name = str_dup(name);
    p->lists = mem_realloc(p->lists, (p->count + 1u) * sizeof(void *));
    memmove(p->lists + at + 1, p->lists + at, (p->count - at) * sizeof(void *));
    p->lists[at] = list;
    p->count++;
    return list;
}

/* Nobody uses it any more. */
static void take_out(struct user *user, uint32_t at)
{
    struct privacy *p = user->privacy;
    struct privacy_list *list = p->lists[at];
    for (struct session *s = user->sessions; s; s = s->next)
        if (s->active == list)
            s->active = NULL;
    if (p->standard == list)
        p->standard = NULL;
    memmove(p->lists + at, p->lists + at + 1, (p->count - at - 1) * sizeof(void *));
    p->count--;
    free(list->name);
    free(list);
}

void privacy_put(struct user *user, struct str name, struct privacy_items *content,
                 struct privacy_items *ret_old)
{
    struct privacy *p = privacy_get(user);
    bool found;
    uint32_t at = position(p, name, &found);
    *ret_old = found ? p->lists[at]->content : (struct privacy_items){0};
    if (content->count) {
        struct privacy_list *list = found ? p->lists[at] : insert(p, at, name);
        list->content = *content;
    } else if (found) {
        take_out(user, at);
    }
    *content = (struct privacy_items){0};
}

uint32_t privacy_count(const struct user *user, struct str except)
{
    uint32_t count = 0;
    for (uint32_t i = 0; user->privacy && i < user->privacy->count; i++)
        if (!str_eq(str_of(user->privacy->lists[i]->name), except))
            count += user->privacy->lists[i]->content.count;
    return count;
}

void privacy_add_rows(struct user *user, const struct store_rows *rows)
{
    enum { LIST, TYPE, VALUE, DENY, ORDER, BLOCK, STANDARD };
    struct privacy *p = privacy_get(user);
    for (size_t i = 0; i < store_rows_count(rows); i++) {
        bool found;
        struct str name = store_text(rows, i, LIST);
        uint32_t at = position(p, name, &found);
        struct privacy_list *list = found ? p->lists[at] : insert(p, at, name);
        struct privacy_item *item = privacy_items_add(&list->content);
        item->deny = store_int(rows, i, DENY) != 0;
        item->order = (uint32_t)store_int(rows, i, ORDER);
        item->block = (uint8_t)store_int(rows, i, BLOCK);
        /* What cannot be read (a JID of an older time) forbids or allows nothing. */
        if (privacy_item_set(item, store_text(rows, i, TYPE), store_text(rows, i, VALUE)))
            item->type = PRIVACY_JID;
    }
    struct str standard = store_text(rows, 0, STANDARD);
    p->standard = standard.data ? privacy_find(user, standard) : NULL;
}

void privacy_destroy(struct privacy *privacy)
{
    if (!privacy)
        return;
    for (uint32_t i = 0; i < privacy->count; i++) {
        privacy_items_finish(&privacy->lists[i]->content);
        free(privacy->lists[i]->name);
        free(privacy->lists[i]);
    }
    free(privacy->lists);
    free(privacy);
}

/* --- what they say --- */

/* Section 2.1: user@domain/resource, user@domain, domain/resource, domain. */
static bool jid_matches(const struct privacy_item *item, const struct jid *who)
{
    const struct jid *rule = item->jid;
    if (item->domain_len != who->domain_len ||
        (item->local_len && item->local_len != who->local_len) || !rule)
        return false;
    if (rule->resource_len)
        return jid_eq(rule, who);
    if (rule->local_len)
        return jid_eq_bare(rule, who);
    return str_eq(jid_domain(rule), jid_domain(who));
}

static bool in_group(const struct roster_item *contact, struct str group)
{
    const char *at = contact ? contact->groups : NULL;
    for (uint8_t i = 0; at && i < contact->group_count; i++) {
        if (str_is(group, at))
            return true;
        at += strlen(at) + 1;
    }
    return false;
}

static bool item_matches(const struct privacy_item *item, const struct roster *roster,
                         const struct jid *who)
{
    switch (item->type) {
    case PRIVACY_ANY:
        return true;
    case PRIVACY_JID:
        return jid_matches(item, who);
    case PRIVACY_GROUP:
        return in_group(roster_find(roster, jid_bare(who)), str_of(item->value));
    case PRIVACY_SUBSCRIPTION:
        break;
    }
    const struct roster_item *contact = roster_find(roster, jid_bare(who));
    enum subscription_state state = contact ? contact->state : SUB_NONE;
    return str_eq(subscription_attr(state), str_of(item->value)); /* unknown ones are "none" */
}

const struct privacy_item *privacy_match(const struct privacy_items *items,
                                         const struct roster *roster, const struct jid *who,
                                         unsigned kind)
{
    for (uint32_t i = 0; i < items->count; i++) {
        const struct privacy_item *item = &items->items[i];
        if ((!item->block || item->block & kind) && item_matches(item, roster, who))
            return item;
    }
    return NULL;
}

const struct privacy_item *privacy_denial(const struct privacy_list *list, const struct user *user,
                                          const struct jid *who, unsigned kind)
{
    if (!list || jid_eq_bare(who, user->jid)) /* section 2.1: never between one's own resources */
        return NULL;
    const struct privacy_item *item = privacy_match(&list->content, &user->roster, who, kind);
    return item && item->deny ? item : NULL;
}
