/* Service discovery (XEP-0030) of domains and accounts. What is told comes from the features'
 * registrations: nothing is advertised that is not there. */
#include "sm/disco.h"

#include "sm/disco_items.h"
#include "sm/iq.h"
#include "sm/services.h"
#include "xmpp/namespaces.h"

void disco_add_identity(struct builder *b, const char *category, const char *type, const char *name)
{
    builder_start(b, STR("identity"), STR_NULL);
    builder_attr(b, STR("category"), str_of(category));
    builder_attr(b, STR("type"), str_of(type));
    builder_attr(b, STR("name"), str_of(name));
    builder_end(b);
}

void disco_add_feature(struct builder *b, struct str var)
{
    builder_start(b, STR("feature"), STR_NULL);
    builder_attr(b, STR("var"), var);
    builder_end(b);
}

static void add_identity(struct builder *b, const struct feature_identity *identity)
{
    if (identity)
        disco_add_identity(b, identity->category, identity->type, identity->name);
}

static void add_features(struct builder *b, const struct str *const *features)
{
    for (; features && *features; features++)
        disco_add_feature(b, **features);
}

/* Section 3.2: empty is as good as absent. */
static struct str node_of(const struct iq *iq)
{
    return stanza_attr(iq->packet->stanza, iq->payload, STR("node"));
}

static const struct feature_node *find_node(const struct iq *iq)
{
    struct str name = node_of(iq);
    for (int f = 0; f < FEATURES; f++) {
        const struct feature_node *node = path_features[f]->nodes;
        for (; node && node->node; node++)
            if ((node->flags & (iq->user ? IQ_TO_ACCOUNT : IQ_TO_SERVER)) &&
                (node->flags & NODE_PREFIX ? str_starts(name, *node->node)
                                           : str_eq(name, *node->node)))
                return node;
    }
    return NULL;
}

static void answer_info(struct iq *iq)
{
    struct builder *b = iq_result_open(iq);
    builder_start(b, STR("query"), NS_DISCO_INFO);
    for (int f = 0; f < FEATURES; f++)
        add_identity(b, iq->user ? path_features[f]->account_identity
                                 : path_features[f]->server_identity);
    for (int f = 0; f < FEATURES; f++)
        add_features(b, iq->user ? path_features[f]->account_features
                                 : path_features[f]->server_features);
    for (int f = 0; f < FEATURES && iq->user; f++)
        if (path_features[f]->extend_account)
            path_features[f]->extend_account(iq, b);
    for (int f = 0; f < FEATURES && !iq->user; f++)
        if (path_features[f]->extend)
            path_features[f]->extend(iq->sm, jid_domain(iq->packet->to), b);
    builder_end(b);
    iq_result_send(iq, b);
}

static enum stanza_condition on_info(struct iq *iq)
{
    if (iq->user && !iq->entitled)
        return STANZA_ERR_SERVICE_UNAVAILABLE; /* section 8: also for accounts that do not exist */
    if (node_of(iq).len) {
        const struct feature_node *node = find_node(iq);
        if (!node && iq->user)
            return disco_items_answer_info(iq);
        return node && node->info ? node->info(iq) : STANZA_ERR_ITEM_NOT_FOUND;
    }
    answer_info(iq);
    return STANZA_ERR_NONE;
}

static enum stanza_condition on_items(struct iq *iq)
{
    if (iq->user && !iq->entitled)
        return STANZA_ERR_SERVICE_UNAVAILABLE;
    if (node_of(iq).len) {
        const struct feature_node *node = find_node(iq);
        if (node || !iq->user)
            return node && node->items ? node->items(iq) : STANZA_ERR_ITEM_NOT_FOUND;
    }
    if (iq->user)
        return disco_items_answer(iq);
    struct builder *b = iq_result_open(iq);
    builder_start(b, STR("query"), NS_DISCO_ITEMS);
    services_write(iq->sm, jid_domain(iq->packet->to), b);
    builder_end(b);
    iq_result_send(iq, b);
    return STANZA_ERR_NONE;
}

static const struct iq_handler iqs[] = {
    {&NS_DISCO_INFO, "query", IQ_TO_SERVER | IQ_TO_ACCOUNT | IQ_GET, on_info},
    {&NS_DISCO_ITEMS, "query", IQ_TO_SERVER | IQ_TO_ACCOUNT | IQ_GET, on_items},
    {NULL, NULL, 0, NULL}};
static const struct str *const account_features[] = {&NS_DISCO_INFO, &NS_DISCO_ITEMS, NULL};
/* XEP-0077 section 5: who is logged in can change the password at the c2s, which has no disco of
 * its own. */
static const struct str *const server_features[] = {&NS_DISCO_INFO, &NS_DISCO_ITEMS, &NS_REGISTER,
                                                    NULL};
static const struct feature_identity server = {"server", "im", "Jackdaw"};
static const struct feature_identity account = {"account", "registered", NULL};

const struct feature disco_feature = {
    .name = "disco",
    .iqs = iqs,
    .server_features = server_features,
    .account_features = account_features,
    .server_identity = &server,
    .account_identity = &account,
};
