/* Entity time (XEP-0202): the server's clock, in UTC. */
#include <time.h>
#include "sm/iq.h"
#include "xmpp/namespaces.h"

static enum stanza_condition on_time(struct iq *iq)
{
    time_t now = (time_t)(loop_wall(iq->sm->loop) / 1000);
    struct tm tm;
    char utc[32];
    size_t len = strftime(utc, sizeof utc, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
    struct builder *b = iq_result_open(iq);
    builder_start(b, STR("time"), NS_TIME);
    builder_leaf(b, STR("tzo"), STR_NULL, STR("+00:00"));
    builder_leaf(b, STR("utc"), STR_NULL, (struct str){utc, len});
    builder_end(b);
    iq_result_send(iq, b);
    return STANZA_ERR_NONE;
}

static const struct iq_handler iqs[] = {{&NS_TIME, "time", IQ_TO_SERVER | IQ_GET, on_time},
                                        {NULL, NULL, 0, NULL}};
static const struct str *const features[] = {&NS_TIME, NULL};

const struct feature entity_time_feature = {
    .name = "entity_time",
    .iqs = iqs,
    .server_features = features,
};
