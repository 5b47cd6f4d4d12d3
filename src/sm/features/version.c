/* Software version (XEP-0092). The operating system is nobody's business. */
#include "sm/iq.h"
#include "xmpp/namespaces.h"

static enum stanza_condition on_version(struct iq *iq)
{
    struct builder *b = iq_result_open(iq);
    builder_start(b, STR("query"), NS_VERSION);
    builder_leaf(b, STR("name"), STR_NULL, STR("Jackdaw"));
    builder_leaf(b, STR("version"), STR_NULL, STR(JACKDAW_VERSION));
    builder_end(b);
    iq_result_send(iq, b);
    return STANZA_ERR_NONE;
}

static const struct iq_handler iqs[] = {{&NS_VERSION, "query", IQ_TO_SERVER | IQ_GET, on_version},
                                        {NULL, NULL, 0, NULL}};
static const struct str *const features[] = {&NS_VERSION, NULL};

const struct feature version_feature = {
    .name = "version",
    .iqs = iqs,
    .server_features = features,
};
