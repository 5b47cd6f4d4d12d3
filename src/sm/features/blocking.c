/* Blocking (XEP-0191): the items of type jid, action deny, about everything, in the user's default
 * privacy list (section 5). Blocked JIDs come first in it; the first block makes the list. */
#include "sm/privacy_change.h"
#include "xmpp/namespaces.h"

static struct privacy_items blocklist_of(const struct user *user)
{
    const struct privacy *p = user->privacy;
    return p && p->standard ? p->standard->content : (struct privacy_items){0};
}

/* Section 3.2 */
static enum stanza_condition on_get(struct iq *iq)
{
    if (!iq->session || !iq->owner)
        return STANZA_ERR_FORBIDDEN;
    struct privacy_items items = blocklist_of(iq->user);
    iq->session->knows_blocklist = true;
    struct builder *b = iq_result_open(iq);
    builder_start(b, STR("blocklist"), NS_BLOCKING);
    for (uint32_t i = 0; i < items.count; i++) {
        if (!privacy_is_block(&items.items[i]))
            continue;
        builder_start(b, STR("item"), STR_NULL);
        builder_attr(b, STR("jid"), jid_full(items.items[i].jid));
        builder_end(b);
    }
    builder_end(b);
    iq_result_send(iq, b);
    return STANZA_ERR_NONE;
}

/* The JIDs of a request, as items. */
static enum stanza_condition read_jids(const struct iq *iq, struct privacy_items *ret)
{
    const struct stanza *s = iq->packet->stanza;
    for (stanza_el el = stanza_first(s, iq->payload); el != STANZA_NONE; el = stanza_next(s, el)) {
        struct str jid = stanza_attr(s, el, STR("jid"));
        if (!stanza_is(s, el, STR("item"), NS_BLOCKING) || !jid.data)
            return STANZA_ERR_BAD_REQUEST;
        if (ret->count >= (uint32_t)iq->sm->c->env->config->sm_max_privacy_items)
            return STANZA_ERR_RESOURCE_CONSTRAINT;
        struct privacy_item *item = privacy_items_add(ret);
        item->deny = true;
        if (privacy_item_set(item, STR("jid"), jid))
            return STANZA_ERR_JID_MALFORMED;
    }
    return STANZA_ERR_NONE;
}

static bool listed(const struct privacy_items *items, const struct jid *jid)
{
    for (uint32_t i = 0; i < items->count; i++)
        if (privacy_is_block(&items->items[i]) && jid_eq(items->items[i].jid, jid))
            return true;
    return false;
}

/* The list that a block goes into. */
static struct privacy_change change_begin_blocking(const struct user *user)
{
    const struct privacy_list *standard = user->privacy ? user->privacy->standard : NULL;
    struct privacy_change change = {.blocking = true};
    change.list = standard ? str_of(standard->name) : PRIVACY_BLOCKLIST;
    change.set_standard = !standard;
    change.standard = standard ? STR_NULL : PRIVACY_BLOCKLIST;
    return change;
}

/* The items that `which` has and `but` has not. */
static void copy_but(struct privacy_items *to, const struct privacy_items *which,
                     const struct privacy_items *but)
{
    for (uint32_t i = 0; i < which->count; i++) {
        struct privacy_items one = {&which->items[i], 1};
        if (!privacy_is_block(one.items) || !listed(but, one.items->jid))
            privacy_items_copy(to, &one);
    }
}

/* Section 5: what is blocked stands first. */
static void renumber(struct privacy_items *items)
{
    for (uint32_t i = 0; i < items->count; i++)
        items->items[i].order = i + 1;
}

static void add_blocks(struct iq *iq, const struct privacy_items *jids)
{
    struct privacy_change change = change_begin_blocking(iq->user);
    const struct privacy_list *list = privacy_find(iq->user, change.list);
    struct privacy_items content = list ? list->content : (struct privacy_items){0};
    for (uint32_t i = 0; i < jids->count; i++) {
        struct privacy_items one = {&jids->items[i], 1};
        if (!listed(&content, one.items->jid) && !listed(&change.items, one.items->jid))
            privacy_items_copy(&change.items, &one);
    }
    privacy_items_copy(&change.items, &content);
    renumber(&change.items);
    privacy_commit(iq, &change);
}

/* Section 3.3 */
static enum stanza_condition on_block(struct iq *iq)
{
    struct privacy_items jids = {0};
    if (!iq->session || !iq->owner)
        return STANZA_ERR_FORBIDDEN;
    if (stanza_first(iq->packet->stanza, iq->payload) == STANZA_NONE)
        return STANZA_ERR_BAD_REQUEST;
    if (privacy_wait(iq, on_block))
        return STANZA_ERR_NONE;
    enum stanza_condition condition = read_jids(iq, &jids);
    if (!condition && jids.count + privacy_count(iq->user, STR_NULL) >
                          (uint32_t)iq->sm->c->env->config->sm_max_privacy_items)
        condition = STANZA_ERR_RESOURCE_CONSTRAINT;
    if (!condition)
        add_blocks(iq, &jids);
    privacy_items_finish(&jids);
    return condition;
}

static void remove_blocks(struct iq *iq, const struct privacy_items *jids, bool all)
{
    struct privacy_items content = blocklist_of(iq->user);
    struct privacy_change change = change_begin_blocking(iq->user);
    change.all = all;
    copy_but(&change.items, &content, all ? &content : jids);
    if (!content.count || change.items.count == content.count) { /* nobody of them is blocked */
        privacy_items_finish(&change.items);
        iq_result(iq);
        return;
    }
    renumber(&change.items);
    if (!change.items.count) { /* an empty list is none */
        change.set_standard = true;
        change.standard = STR_NULL;
    }
    privacy_commit(iq, &change);
}

/* Sections 3.4 and 3.5 */
static enum stanza_condition on_unblock(struct iq *iq)
{
    struct privacy_items jids = {0};
    if (!iq->session || !iq->owner)
        return STANZA_ERR_FORBIDDEN;
    if (privacy_wait(iq, on_unblock))
        return STANZA_ERR_NONE;
    enum stanza_condition condition = read_jids(iq, &jids);
    if (!condition)
        remove_blocks(iq, &jids, jids.count == 0);
    privacy_items_finish(&jids);
    return condition;
}

static const struct iq_handler iqs[] = {
    {&NS_BLOCKING, "blocklist", IQ_TO_ACCOUNT | IQ_GET, on_get},
    {&NS_BLOCKING, "block", IQ_TO_ACCOUNT | IQ_SET, on_block},
    {&NS_BLOCKING, "unblock", IQ_TO_ACCOUNT | IQ_SET, on_unblock},
    {NULL, NULL, 0, NULL}};
static const struct str *const features[] = {&NS_BLOCKING, NULL};

const struct feature blocking_feature = {
    .name = "blocking",
    .iqs = iqs,
    .server_features = features,
    .account_features = features,
};
