/* Private XML (XEP-0049), and with it bookmarks as XEP-0048 first had them: what a client keeps
 * here for itself. Elements are found by name and namespace; the same ones of one request belong
 * together. */
#include <stdlib.h>
#include "sm/iq.h"
#include "sm/send.h"
#include "sm/stored.h"
#include "store/users.h"
#include "xmpp/namespaces.h"

#define MAX_ELEMENTS 100u /* in one request */

static struct private_key key_of(const struct iq *iq, stanza_el el)
{
    const struct stanza *s = iq->packet->stanza;
    return (struct private_key){jid_full(iq->user->jid), stanza_ns(s, el), stanza_name(s, el)};
}

/* Section 2.3: at least one element, each in a namespace of its own. */
static bool well_formed(const struct iq *iq)
{
    const struct stanza *s = iq->packet->stanza;
    stanza_el el = stanza_first(s, iq->payload);
    for (stanza_el e = el; e != STANZA_NONE; e = stanza_next(s, e))
        if (str_eq(stanza_ns(s, e), NS_PRIVATE))
            return false;
    return el != STANZA_NONE;
}

/* --- get --- */

static void on_row(void *arg, enum error e, const struct store_rows *rows)
{
    struct iq *iq = arg;
    struct stanza *kept = NULL;
    if (!e && store_rows_count(rows))
        kept = stored_parse(iq->sm->c->env->parsers, store_text(rows, 0, 0));
    if (!e) {
        struct builder *b = iq_result_open(iq);
        builder_start(b, STR("query"), NS_PRIVATE);
        if (kept)
            builder_copy_inner(b, kept, STANZA_ROOT);
        else /* nothing there: as the client sent it */
            builder_copy_inner(b, iq->packet->stanza, iq->payload);
        builder_end(b);
        iq_result_send(iq, b);
    }
    stanza_unref(kept);
    iq_finish(iq, e ? send_condition(e) : STANZA_ERR_NONE);
}

static enum stanza_condition on_get(struct iq *iq)
{
    if (!iq->owner)
        return STANZA_ERR_FORBIDDEN; /* also when there is no such account */
    if (!well_formed(iq) || stanza_children(iq->packet->stanza, iq->payload) != 1)
        return STANZA_ERR_NOT_ACCEPTABLE;
    struct private_key key = key_of(iq, stanza_first(iq->packet->stanza, iq->payload));
    private_get(iq->sm->store, &key, on_row, iq_take(iq));
    return STANZA_ERR_NONE;
}

/* --- set --- */

/* The first of its name and namespace, which stands for all of them. */
static bool first_of_kind(const struct iq *iq, stanza_el el)
{
    const struct stanza *s = iq->packet->stanza;
    return stanza_child(s, iq->payload, stanza_name(s, el), stanza_ns(s, el)) == el;
}

static bool says_nothing(const struct stanza *s, stanza_el el)
{
    return !stanza_inner(s, el).len && !stanza_attr_count(s, el);
}

static void add_kind(struct store_txn *t, const struct iq *iq, stanza_el first)
{
    const struct stanza *s = iq->packet->stanza;
    struct private_key key = key_of(iq, first);
    struct builder *b = builder_create(STR("query"), NS_PRIVATE);
    bool content = false;
    for (stanza_el el = first; el != STANZA_NONE; el = stanza_next(s, el)) {
        if (!stanza_is(s, el, key.name, key.ns))
            continue;
        content = content || !says_nothing(s, el);
        builder_copy(b, s, el);
    }
    struct stanza *kept = builder_finish(b);
    if (content) {
        struct str xml = stored_text(kept);
        private_set(t, &key, xml, (uint64_t)iq->sm->c->env->config->sm_max_private);
        free((char *)xml.data);
    } else {
        private_delete(t, &key); /* what it is answered with when nothing is there */
    }
    stanza_unref(kept);
}

static enum stanza_condition on_set(struct iq *iq)
{
    const struct stanza *s = iq->packet->stanza;
    if (!iq->owner)
        return STANZA_ERR_FORBIDDEN; /* section 2.3 */
    if (!well_formed(iq))
        return STANZA_ERR_NOT_ACCEPTABLE;
    if (stanza_children(s, iq->payload) > MAX_ELEMENTS)
        return STANZA_ERR_RESOURCE_CONSTRAINT;
    struct store_txn *t = store_begin(iq->sm->store);
    for (stanza_el el = stanza_first(s, iq->payload); el != STANZA_NONE; el = stanza_next(s, el))
        if (first_of_kind(iq, el))
            add_kind(t, iq, el);
    iq_commit(iq, t);
    return STANZA_ERR_NONE;
}

static const struct iq_handler iqs[] = {{&NS_PRIVATE, "query", IQ_TO_ACCOUNT | IQ_GET, on_get},
                                        {&NS_PRIVATE, "query", IQ_TO_ACCOUNT | IQ_SET, on_set},
                                        {NULL, NULL, 0, NULL}};
static const struct str *const features[] = {&NS_PRIVATE, NULL};

const struct feature private_feature = {
    .name = "private",
    .iqs = iqs,
    .server_features = features,
    .account_features = features,
};
