/* Privacy lists as clients ask for them and change them: XEP-0016 sections 2.3 to 2.8. */
#include "sm/privacy_change.h"
#include "xmpp/namespaces.h"

/* --- get: section 2.3 --- */

static void add_name(struct builder *b, struct str element, const struct privacy_list *list)
{
    if (!list)
        return;
    builder_start(b, element, STR_NULL);
    builder_attr(b, STR("name"), str_of(list->name));
    builder_end(b);
}

static void add_names(struct builder *b, const struct iq *iq)
{
    const struct privacy *p = iq->user->privacy;
    if (!p)
        return;
    add_name(b, STR("active"), iq->session->active);
    add_name(b, STR("default"), p->standard);
    for (uint32_t i = 0; i < p->count; i++)
        add_name(b, STR("list"), p->lists[i]);
}

static const struct kind {
    const char *name;
    unsigned bit;
} kinds[] = {
    {"message", PRIVACY_MESSAGE},
    {"iq", PRIVACY_IQ},
    {"presence-in", PRIVACY_PRESENCE_IN},
    {"presence-out", PRIVACY_PRESENCE_OUT},
};
#define KINDS (sizeof kinds / sizeof *kinds)

static void add_item(struct builder *b, const struct privacy_item *item)
{
    builder_start(b, STR("item"), STR_NULL);
    builder_attr(b, STR("type"), privacy_type_name(item->type));
    builder_attr(b, STR("value"), privacy_value(item));
    builder_attr(b, STR("action"), item->deny ? STR("deny") : STR("allow"));
    builder_attr_u64(b, STR("order"), item->order);
    for (size_t i = 0; i < KINDS; i++)
        if (item->block & kinds[i].bit)
            builder_leaf(b, str_of(kinds[i].name), STR_NULL, STR_NULL);
    builder_end(b);
}

static void add_list(struct builder *b, const struct privacy_list *list)
{
    builder_start(b, STR("list"), STR_NULL);
    builder_attr(b, STR("name"), str_of(list->name));
    for (uint32_t i = 0; i < list->content.count; i++)
        add_item(b, &list->content.items[i]);
    builder_end(b);
}

static enum stanza_condition on_get(struct iq *iq)
{
    const struct stanza *s = iq->packet->stanza;
    stanza_el el = stanza_first(s, iq->payload);
    const struct privacy_list *list = NULL;
    if (!iq->session || !iq->owner)
        return STANZA_ERR_FORBIDDEN;
    if (el != STANZA_NONE) { /* one list alone */
        if (stanza_next(s, el) != STANZA_NONE || !stanza_is(s, el, STR("list"), NS_PRIVACY))
            return STANZA_ERR_BAD_REQUEST;
        list = privacy_find(iq->user, stanza_attr(s, el, STR("name")));
        if (!list)
            return STANZA_ERR_ITEM_NOT_FOUND;
    }
    iq->session->knows_privacy = true;
    struct builder *b = iq_result_open(iq);
    builder_start(b, STR("query"), NS_PRIVACY);
    if (list)
        add_list(b, list);
    else
        add_names(b, iq);
    builder_end(b);
    iq_result_send(iq, b);
    return STANZA_ERR_NONE;
}

/* --- set --- */

static bool group_exists(const struct roster *roster, struct str group)
{
    for (uint32_t i = 0; i < roster->count; i++) {
        const char *at = roster->items[i]->groups;
        for (uint8_t k = 0; at && k < roster->items[i]->group_count; k++) {
            if (str_is(group, at))
                return true;
            at += strlen(at) + 1;
        }
    }
    return false;
}

static enum stanza_condition read_kinds(const struct stanza *s, stanza_el item, uint8_t *ret)
{
    for (stanza_el el = stanza_first(s, item); el != STANZA_NONE; el = stanza_next(s, el)) {
        size_t i = 0;
        while (i < KINDS && !stanza_is(s, el, str_of(kinds[i].name), NS_PRIVACY))
            i++;
        if (i == KINDS)
            return STANZA_ERR_BAD_REQUEST;
        *ret |= (uint8_t)kinds[i].bit;
    }
    return STANZA_ERR_NONE;
}

/* Section 2.1 */
static enum stanza_condition read_item(const struct iq *iq, stanza_el el,
                                       struct privacy_items *items)
{
    const struct stanza *s = iq->packet->stanza;
    struct str action = stanza_attr(s, el, STR("action"));
    uint64_t order;
    if (!stanza_is(s, el, STR("item"), NS_PRIVACY) ||
        !str_to_u64(stanza_attr(s, el, STR("order")), UINT32_MAX, &order) ||
        (!str_is(action, "allow") && !str_is(action, "deny")))
        return STANZA_ERR_BAD_REQUEST;
    struct privacy_item *item = privacy_items_add(items);
    item->order = (uint32_t)order;
    item->deny = str_is(action, "deny");
    enum stanza_condition condition =
        privacy_item_set(item, stanza_attr(s, el, STR("type")), stanza_attr(s, el, STR("value")));
    if (!condition && item->type == PRIVACY_GROUP &&
        !group_exists(&iq->user->roster, privacy_value(item)))
        condition = STANZA_ERR_ITEM_NOT_FOUND;
    return condition ? condition : read_kinds(s, el, &item->block);
}

static enum stanza_condition read_items(const struct iq *iq, stanza_el list,
                                        struct privacy_items *items)
{
    const struct stanza *s = iq->packet->stanza;
    struct str name = stanza_attr(s, list, STR("name"));
    uint32_t max = (uint32_t)iq->sm->c->env->config->sm_max_privacy_items;
    if (stanza_children(s, list) + privacy_count(iq->user, name) > max)
        return STANZA_ERR_RESOURCE_CONSTRAINT;
    enum stanza_condition condition = STANZA_ERR_NONE;
    for (stanza_el el = stanza_first(s, list); el != STANZA_NONE && !condition;
         el = stanza_next(s, el))
        condition = read_item(iq, el, items);
    if (!condition && !privacy_items_sort(items))
        condition = STANZA_ERR_BAD_REQUEST;
    return condition;
}

/* Sections 2.6 and 2.7 */
static enum stanza_condition edit(struct iq *iq, stanza_el list)
{
    struct privacy_change change = {.list = stanza_attr(iq->packet->stanza, list, STR("name"))};
    if (!change.list.len || change.list.len > PRIVACY_MAX_TEXT)
        return STANZA_ERR_BAD_REQUEST;
    enum stanza_condition condition = read_items(iq, list, &change.items);
    if (condition)
        privacy_items_finish(&change.items);
    else
        privacy_commit(iq, &change);
    return condition;
}

/* Section 2.8 */
static enum stanza_condition remove_list(struct iq *iq, stanza_el el)
{
    struct privacy_change change = {.list = stanza_attr(iq->packet->stanza, el, STR("name"))};
    const struct privacy_list *list = privacy_find(iq->user, change.list);
    if (!list)
        return STANZA_ERR_ITEM_NOT_FOUND;
    if (privacy_in_use(iq->user, list, iq->session))
        return STANZA_ERR_CONFLICT;
    change.set_standard = list == iq->user->privacy->standard; /* to none */
    privacy_commit(iq, &change);
    return STANZA_ERR_NONE;
}

/* Section 2.5 */
static enum stanza_condition set_standard(struct iq *iq, struct privacy_list *list)
{
    const struct privacy_list *now = iq->user->privacy ? iq->user->privacy->standard : NULL;
    struct privacy_change change = {.set_standard = true};
    if (list)
        change.standard = str_of(list->name);
    if (list != now && privacy_in_use(iq->user, now, iq->session))
        return STANZA_ERR_CONFLICT;
    privacy_commit(iq, &change);
    return STANZA_ERR_NONE;
}

static enum stanza_condition on_set(struct iq *iq)
{
    const struct stanza *s = iq->packet->stanza;
    stanza_el el = stanza_first(s, iq->payload);
    if (!iq->session || !iq->owner)
        return STANZA_ERR_FORBIDDEN;
    if (el == STANZA_NONE || stanza_next(s, el) != STANZA_NONE)
        return STANZA_ERR_BAD_REQUEST; /* section 2.1 */
    if (privacy_wait(iq, on_set))
        return STANZA_ERR_NONE;
    iq->session->knows_privacy = true;
    if (stanza_is(s, el, STR("list"), NS_PRIVACY))
        return stanza_children(s, el) ? edit(iq, el) : remove_list(iq, el);
    bool active = stanza_is(s, el, STR("active"), NS_PRIVACY);
    if (!active && !stanza_is(s, el, STR("default"), NS_PRIVACY))
        return STANZA_ERR_BAD_REQUEST;
    struct str name = stanza_attr(s, el, STR("name")); /* absent: declined */
    struct privacy_list *list = name.data ? privacy_find(iq->user, name) : NULL;
    if (name.data && !list)
        return STANZA_ERR_ITEM_NOT_FOUND;
    if (!active)
        return set_standard(iq, list);
    privacy_commit(iq, &(struct privacy_change){.set_active = true, .active = list}); /* 2.4 */
    return STANZA_ERR_NONE;
}

static const struct iq_handler iqs[] = {{&NS_PRIVACY, "query", IQ_TO_ACCOUNT | IQ_GET, on_get},
                                        {&NS_PRIVACY, "query", IQ_TO_ACCOUNT | IQ_SET, on_set},
                                        {NULL, NULL, 0, NULL}};
static const struct str *const features[] = {&NS_PRIVACY, NULL};

const struct feature privacy_iq_feature = {
    .name = "privacy_iq",
    .iqs = iqs,
    .server_features = features,
    .account_features = features,
};
