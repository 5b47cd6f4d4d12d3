/* Ping (XEP-0199): of the server, and of one's account. */
#include "sm/iq.h"
#include "xmpp/namespaces.h"

static enum stanza_condition on_ping(struct iq *iq)
{
    if (iq->user && !iq->entitled)
        return STANZA_ERR_SERVICE_UNAVAILABLE; /* as for an account that does not exist */
    iq_result(iq);
    return STANZA_ERR_NONE;
}

static const struct iq_handler iqs[] = {
    {&NS_PING, "ping", IQ_TO_SERVER | IQ_TO_ACCOUNT | IQ_GET, on_ping}, {NULL, NULL, 0, NULL}};
static const struct str *const features[] = {&NS_PING, NULL};

const struct feature ping_feature = {
    .name = "ping",
    .iqs = iqs,
    .server_features = features,
    .account_features = features,
};
