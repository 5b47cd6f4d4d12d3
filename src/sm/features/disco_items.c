/* Items that users publish of themselves, answered for them while they are away: the publishing of
 * XEP-0030 version 2.3 section 5 (taken out of later versions), which jabberd2's table disco-items
 * is for. Who may see the user's presence may see them; they stand under the account or under a
 * node of the user's own. */
#include "sm/disco_items.h"

#include "sm/disco.h"
#include "sm/send.h"
#include "store/users.h"
#include "xmpp/namespaces.h"

#define MAX_ITEMS 100u  /* in one request */
#define MAX_TEXT  1023u /* bytes of a name or node */

static struct str node_of(const struct iq *iq)
{
    struct str node = stanza_attr(iq->packet->stanza, iq->payload, STR("node"));
    return node.len ? node : STR("");
}

/* --- answers --- */

static void add_resources(struct builder *b, const struct user *user)
{
    for (const struct session *s = user->sessions; s; s = s->next) {
        if (!session_available(s))
            continue;
        builder_start(b, STR("item"), STR_NULL);
        builder_attr(b, STR("jid"), jid_full(s->jid));
        builder_end(b);
    }
}

static void add_rows(struct builder *b, const struct store_rows *rows)
{
    enum { JID, NAME, NODE };
    for (size_t i = 0; i < store_rows_count(rows); i++) {
        struct str node = store_text(rows, i, NODE);
        builder_start(b, STR("item"), STR_NULL);
        builder_attr(b, STR("jid"), store_text(rows, i, JID));
        builder_attr(b, STR("node"), node.len ? node : STR_NULL);
        builder_attr(b, STR("name"), store_text(rows, i, NAME));
        builder_end(b);
    }
}

static void on_items(void *arg, enum error e, const struct store_rows *rows)
{
    struct iq *iq = arg;
    struct str node = node_of(iq);
    if (e || (node.len && !store_rows_count(rows))) {
        iq_finish(iq, e ? send_condition(e) : STANZA_ERR_ITEM_NOT_FOUND);
        return;
    }
    struct builder *b = iq_result_open(iq);
    builder_start(b, STR("query"), NS_DISCO_ITEMS);
    if (node.len)
        builder_attr(b, STR("node"), node);
    else
        add_resources(b, iq->user);
    add_rows(b, rows);
    builder_end(b);
    iq_result_send(iq, b);
    iq_finish(iq, STANZA_ERR_NONE);
}

enum stanza_condition disco_items_answer(struct iq *iq)
{
    struct iq *taken = iq_take(iq);
    disco_load(taken->sm->store, jid_full(taken->user->jid), node_of(taken), on_items, taken);
    return STANZA_ERR_NONE;
}

static void on_info(void *arg, enum error e, const struct store_rows *rows)
{
    struct iq *iq = arg;
    if (e || !store_rows_count(rows)) {
        iq_finish(iq, e ? send_condition(e) : STANZA_ERR_ITEM_NOT_FOUND);
        return;
    }
    struct builder *b = iq_result_open(iq);
    builder_start(b, STR("query"), NS_DISCO_INFO);
    builder_attr(b, STR("node"), node_of(iq));
    disco_add_identity(b, "hierarchy", "branch", NULL);
    disco_add_feature(b, NS_DISCO_ITEMS);
    builder_end(b);
    iq_result_send(iq, b);
    iq_finish(iq, STANZA_ERR_NONE);
}

enum stanza_condition disco_items_answer_info(struct iq *iq)
{
    struct iq *taken = iq_take(iq);
    disco_load(taken->sm->store, jid_full(taken->user->jid), node_of(taken), on_info, taken);
    return STANZA_ERR_NONE;
}

/* --- publishing --- */

static enum stanza_condition add_item(struct store_txn *t, const struct iq *iq, stanza_el el)
{
    const struct stanza *s = iq->packet->stanza;
    struct str action = stanza_attr(s, el, STR("action")), node = stanza_attr(s, el, STR("node"));
    struct disco_row row = {.parent = node_of(iq),
                            .node = node.len ? node : STR(""),
                            .name = stanza_attr(s, el, STR("name"))};
    bool update = str_is(action, "update");
    if (!stanza_is(s, el, STR("item"), NS_DISCO_ITEMS) || (!update && !str_is(action, "remove")))
        return STANZA_ERR_BAD_REQUEST;
    if (row.node.len > MAX_TEXT || row.parent.len > MAX_TEXT || row.name.len > MAX_TEXT)
        return STANZA_ERR_NOT_ACCEPTABLE;
    struct jid *jid = jid_parse(stanza_attr(s, el, STR("jid")));
    if (!jid)
        return stanza_attr(s, el, STR("jid")).data ? STANZA_ERR_JID_MALFORMED
                                                   : STANZA_ERR_BAD_REQUEST;
    row.jid = jid_full(jid);
    if (update)
        disco_set(t, jid_full(iq->user->jid), &row,
                  (uint32_t)iq->sm->c->env->config->sm_max_disco_items);
    else
        disco_delete(t, jid_full(iq->user->jid), &row);
    jid_unref(jid);
    return STANZA_ERR_NONE;
}

static enum stanza_condition on_set(struct iq *iq)
{
    const struct stanza *s = iq->packet->stanza;
    uint32_t count = stanza_children(s, iq->payload);
    enum stanza_condition condition = STANZA_ERR_NONE;
    if (!iq->owner)
        return STANZA_ERR_FORBIDDEN; /* also when there is no such account */
    if (count == 0 || count > MAX_ITEMS)
        return count ? STANZA_ERR_RESOURCE_CONSTRAINT : STANZA_ERR_BAD_REQUEST;
    struct store_txn *t = store_begin(iq->sm->store);
    for (stanza_el el = stanza_first(s, iq->payload); el != STANZA_NONE && !condition;
         el = stanza_next(s, el))
        condition = add_item(t, iq, el);
    if (condition)
        store_discard(t);
    else
        iq_commit(iq, t);
    return condition;
}

static const struct iq_handler iqs[] = {{&NS_DISCO_ITEMS, "query", IQ_TO_ACCOUNT | IQ_SET, on_set},
                                        {NULL, NULL, 0, NULL}};
static const struct str *const features[] = {&NS_DISCO_PUBLISH, NULL};

const struct feature disco_items_feature = {
    .name = "disco_items",
    .iqs = iqs,
    .server_features = features,
    .account_features = features,
};
