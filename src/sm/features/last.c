/* Last activity (XEP-0012): the server's uptime; when a user was last here, for those who may see
 * its presence. */
#include <stdlib.h>
#include "sm/iq.h"
#include "store/users.h"
#include "xmpp/namespaces.h"

static void answer(struct iq *iq, uint64_t seconds, struct str status)
{
    struct builder *b = iq_result_open(iq);
    builder_start(b, STR("query"), NS_LAST);
    builder_attr_u64(b, STR("seconds"), seconds);
    if (status.len)
        builder_text(b, status);
    builder_end(b);
    iq_result_send(iq, b);
}

/* Sections 3 and 4. Who may not know gets the same answer whether the account exists or not. */
static enum stanza_condition on_account(struct iq *iq)
{
    struct user *user = iq->user;
    if (!iq->entitled)
        return STANZA_ERR_FORBIDDEN;
    if (user->sessions) { /* connected is enough */
        answer(iq, 0, STR_NULL);
        return STANZA_ERR_NONE;
    }
    if (!user->logout_time)
        return STANZA_ERR_SERVICE_UNAVAILABLE;
    int64_t gone = loop_wall(iq->sm->loop) / 1000 - user->logout_time;
    answer(iq, gone > 0 ? (uint64_t)gone : 0, str_of(user->logout_status));
    return STANZA_ERR_NONE;
}

/* Section 5 */
static enum stanza_condition on_server(struct iq *iq)
{
    answer(iq, (loop_now(iq->sm->loop) - iq->sm->started) / 1000, STR_NULL);
    return STANZA_ERR_NONE;
}

/* The last session's end is written down; not for an account that is being removed. A resource that
 * goes without a word leaves no status behind (section 4: that of the last unavailable presence).
 */
static enum path_result at_session_end(struct path_event *e)
{
    struct user *user = e->user;
    if (session_available(e->session)) {
        free(user->logout_status);
        user->logout_status = NULL;
    }
    if (user->session_count > 1 || user->state == USER_DELETING)
        return PATH_PASS;
    user->logout_time = loop_wall(e->sm->loop) / 1000;
    store_commit(users_set_logout(store_begin(e->sm->store), jid_full(user->jid), user->logout_time,
                                  str_of(user->logout_status)),
                 NULL, NULL);
    return PATH_PASS;
}

static const struct iq_handler iqs[] = {
    {&NS_LAST, "query", IQ_TO_ACCOUNT | IQ_GET | IQ_GUARDED, on_account},
    {&NS_LAST, "query", IQ_TO_SERVER | IQ_GET, on_server},
    {NULL, NULL, 0, NULL}};
static const struct str *const features[] = {&NS_LAST, NULL};

const struct feature last_feature = {
    .name = "last",
    .at = {[PATH_SESSION_END] = at_session_end},
    .iqs = iqs,
    .server_features = features,
    .account_features = features,
};
