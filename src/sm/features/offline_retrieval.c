/* Flexible retrieval of offline messages (XEP-0013): a client that asks for their headers before it
 * sends presence takes them one by one and says itself which are to go. What it does not remove
 * stays. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "sm/disco.h"
#include "sm/iq.h"
#include "sm/send.h"
#include "sm/stored.h"
#include "store/users.h"
#include "xmpp/data_form.h"
#include "xmpp/namespaces.h"

#define PAGE        100u
#define MAX_ITEMS   100u /* in one request */
#define NODE_DIGITS 20   /* so that nodes are in the order of their bytes: section 2.3 */

struct node {
    char text[NODE_DIGITS + 1];
};

static struct str node_of(uint64_t id, struct node *room)
{
    snprintf(room->text, sizeof room->text, "%020" PRIu64, id);
    return (struct str){room->text, NODE_DIGITS};
}

/* Section 2: what everybody else gets; and from now on there is no flood. */
static bool begin(const struct iq *iq)
{
    if (!iq->owner || !iq->session)
        return false;
    iq->session->retrieves = true;
    return true;
}

/* --- how many: section 2.2 --- */

static void on_count(void *arg, enum error e, const struct store_rows *rows)
{
    static const struct data_field number = {.type = DATA_TEXT_SINGLE, .var = "number_of_messages"};
    struct iq *iq = arg;
    if (e) {
        iq_finish(iq, send_condition(e));
        return;
    }
    struct builder *b = iq_result_open(iq);
    builder_start(b, STR("query"), NS_DISCO_INFO);
    builder_attr(b, STR("node"), NS_OFFLINE_RETRIEVAL);
    disco_add_identity(b, "automation", "message-list", NULL);
    disco_add_feature(b, NS_OFFLINE_RETRIEVAL);
    data_form_open(b, "result", NULL, NULL, NS_OFFLINE_RETRIEVAL);
    data_form_add_number(b, &number, (uint64_t)store_int(rows, 0, 0));
    data_form_close(b);
    builder_end(b);
    iq_result_send(iq, b);
    iq_finish(iq, STANZA_ERR_NONE);
}

static enum stanza_condition on_info(struct iq *iq)
{
    if (!begin(iq))
        return STANZA_ERR_FORBIDDEN;
    struct iq *taken = iq_take(iq);
    queue_count(taken->sm->store, jid_full(taken->user->jid), on_count, taken);
    return STANZA_ERR_NONE;
}

/* --- all of them, a page at a time --- */

struct walk {
    struct iq *iq;
    struct builder *headers; /* of section 2.3; NULL: the messages themselves (2.6) */
};

static void load(struct walk *walk, uint64_t after, store_fn fn)
{
    queue_load(walk->iq->sm->store, jid_full(walk->iq->user->jid), after, PAGE, fn, walk);
}

static void add_header(struct builder *b, const struct user *user, uint64_t id,
                       const struct stanza *s)
{
    struct node node;
    builder_start(b, STR("item"), STR_NULL);
    builder_attr(b, STR("jid"), jid_full(user->jid));
    builder_attr(b, STR("node"), node_of(id, &node));
    builder_attr(b, STR("name"), stanza_attr(s, STANZA_ROOT, STR("from")));
    builder_end(b);
}

/* Section 2.4: each message tells its node. False when the client has gone. */
static bool send_message(const struct iq *iq, uint64_t id, const struct stanza *s)
{
    struct node node;
    struct session *session = iq_session(iq);
    if (!session)
        return false;
    struct builder *b = builder_create_like(s);
    builder_copy_inner(b, s, STANZA_ROOT);
    builder_start(b, STR("offline"), NS_OFFLINE_RETRIEVAL);
    builder_start(b, STR("item"), STR_NULL);
    builder_attr(b, STR("node"), node_of(id, &node));
    builder_end(b);
    builder_end(b);
    struct stanza *marked = builder_finish(b);
    send_session(session, marked, NULL, NULL);
    stanza_unref(marked);
    return true;
}

static void visit(const struct walk *walk, uint64_t id, struct str xml)
{
    struct stanza *s = stored_parse(walk->iq->sm->c->env->parsers, xml);
    if (s && walk->headers)
        add_header(walk->headers, walk->iq->user, id, s);
    else if (s)
        send_message(walk->iq, id, s);
    stanza_unref(s);
}

static void walk_end(struct walk *walk, enum stanza_condition condition)
{
    if (condition)
        builder_destroy(walk->headers);
    else if (walk->headers)
        iq_result_send(walk->iq, walk->headers);
    else
        iq_result(walk->iq);
    iq_finish(walk->iq, condition);
    free(walk);
}

static void on_page(void *arg, enum error e, const struct store_rows *rows)
{
    struct walk *walk = arg;
    size_t count = e ? 0 : store_rows_count(rows);
    for (size_t i = 0; i < count; i++)
        visit(walk, (uint64_t)store_int(rows, i, 0), store_text(rows, i, 1));
    if (e)
        walk_end(walk, send_condition(e));
    else if (count < PAGE)
        walk_end(walk, STANZA_ERR_NONE);
    else if (component_full(walk->iq->sm->c) || !iq_session(walk->iq))
        walk_end(walk, STANZA_ERR_RESOURCE_CONSTRAINT); /* it may go on one by one */
    else
        load(walk, (uint64_t)store_int(rows, count - 1, 0), on_page);
}

static enum stanza_condition walk_begin(struct iq *iq, bool headers)
{
    struct walk *walk = MEM_NEW(struct walk);
    if (headers) {
        walk->headers = iq_result_open(iq);
        builder_start(walk->headers, STR("query"), NS_DISCO_ITEMS);
        builder_attr(walk->headers, STR("node"), NS_OFFLINE_RETRIEVAL);
    }
    walk->iq = iq_take(iq);
    load(walk, 0, on_page);
    return STANZA_ERR_NONE;
}

static enum stanza_condition on_items(struct iq *iq)
{
    return begin(iq) ? walk_begin(iq, true) : STANZA_ERR_FORBIDDEN;
}

/* --- some of them --- */

/* The id in an item with this action; false when it is no such item. */
static bool read_item(const struct iq *iq, stanza_el el, const char *action, uint64_t *ret_id)
{
    const struct stanza *s = iq->packet->stanza;
    return stanza_is(s, el, STR("item"), NS_OFFLINE_RETRIEVAL) &&
           str_is(stanza_attr(s, el, STR("action")), action) &&
           str_to_u64(stanza_attr(s, el, STR("node")), INT64_MAX, ret_id);
}

struct view {
    struct iq *iq;
    stanza_el item;
    uint64_t id;
};

static void view_next(struct view *view);

static void view_end(struct view *view, enum stanza_condition condition)
{
    if (!condition)
        iq_result(view->iq);
    iq_finish(view->iq, condition);
    free(view);
}

static void on_message(void *arg, enum error e, const struct store_rows *rows)
{
    struct view *view = arg;
    struct stanza *s = NULL;
    if (!e && store_rows_count(rows))
        s = stored_parse(view->iq->sm->c->env->parsers, store_text(rows, 0, 0));
    if (!s) {
        view_end(view, e ? send_condition(e) : STANZA_ERR_ITEM_NOT_FOUND); /* section 2.4 */
        return;
    }
    send_message(view->iq, view->id, s);
    stanza_unref(s);
    view->item = stanza_next(view->iq->packet->stanza, view->item);
    view_next(view);
}

static void view_next(struct view *view)
{
    if (view->item == STANZA_NONE)
        view_end(view, STANZA_ERR_NONE);
    else if (!read_item(view->iq, view->item, "view", &view->id))
        view_end(view, STANZA_ERR_ITEM_NOT_FOUND);
    else
        queue_get(view->iq->sm->store, jid_full(view->iq->user->jid), view->id, on_message, view);
}

/* The one child when it is of that name. */
static bool only_child(const struct iq *iq, const char *name)
{
    const struct stanza *s = iq->packet->stanza;
    return stanza_is(s, stanza_first(s, iq->payload), str_of(name), NS_OFFLINE_RETRIEVAL);
}

static enum stanza_condition check(const struct iq *iq)
{
    uint32_t count = stanza_children(iq->packet->stanza, iq->payload);
    if (!begin(iq))
        return STANZA_ERR_FORBIDDEN;
    if (!count)
        return STANZA_ERR_BAD_REQUEST;
    return count > MAX_ITEMS ? STANZA_ERR_RESOURCE_CONSTRAINT : STANZA_ERR_NONE;
}

/* Sections 2.4 and 2.6 */
static enum stanza_condition on_get(struct iq *iq)
{
    enum stanza_condition condition = check(iq);
    if (condition)
        return condition;
    if (only_child(iq, "fetch"))
        return walk_begin(iq, false);
    struct view *view = MEM_NEW(struct view);
    view->item = stanza_first(iq->packet->stanza, iq->payload);
    view->iq = iq_take(iq);
    view_next(view);
    return STANZA_ERR_NONE;
}

/* Sections 2.5 and 2.7; all of a request or nothing. */
static enum stanza_condition on_set(struct iq *iq)
{
    const struct stanza *s = iq->packet->stanza;
    struct str owner = jid_full(iq->user->jid);
    uint64_t id;
    enum stanza_condition condition = check(iq);
    if (condition)
        return condition;
    struct store_txn *t = store_begin(iq->sm->store);
    if (only_child(iq, "purge")) {
        iq_commit(iq, queue_delete_range(t, owner, 0, INT64_MAX));
        return STANZA_ERR_NONE;
    }
    for (stanza_el el = stanza_first(s, iq->payload); el != STANZA_NONE; el = stanza_next(s, el)) {
        if (!read_item(iq, el, "remove", &id)) {
            store_discard(t);
            return STANZA_ERR_ITEM_NOT_FOUND;
        }
        queue_delete(t, owner, id);
    }
    iq_commit(iq, t);
    return STANZA_ERR_NONE;
}

static const struct iq_handler iqs[] = {
    {&NS_OFFLINE_RETRIEVAL, "offline", IQ_TO_ACCOUNT | IQ_GET, on_get},
    {&NS_OFFLINE_RETRIEVAL, "offline", IQ_TO_ACCOUNT | IQ_SET, on_set},
    {NULL, NULL, 0, NULL}};
static const struct feature_node nodes[] = {
    {&NS_OFFLINE_RETRIEVAL, IQ_TO_ACCOUNT, on_info, on_items}, {NULL, 0, NULL, NULL}};
static const struct str *const features[] = {&NS_OFFLINE_RETRIEVAL, NULL};

const struct feature offline_retrieval_feature = {
    .name = "offline_retrieval",
    .iqs = iqs,
    .nodes = nodes,
    .server_features = features,
    .account_features = features,
};
