/* A client's login was revoked, or all of its account: its streams that broke may not be resumed
 * any more (XEP-0198). c2s says so by <asleep jid= mark=/>, the beginning of their SM-IDs; streams
 * that are open it has ended itself.
 */
#include "sm/sleeper.h"
#include "xmpp/namespaces.h"

static enum path_result at_internal(struct path_event *e)
{
    const struct stanza *s = e->packet->stanza;
    if (e->user || !stanza_is(s, STANZA_ROOT, STR("asleep"), NS_INTERNAL))
        return PATH_PASS;
    struct str mark = stanza_attr(s, STANZA_ROOT, STR("mark"));
    struct jid *jid = jid_parse(stanza_attr(s, STANZA_ROOT, STR("jid")));
    if (jid && jid->local_len && mark.data && sm_owns(e->sm, jid))
        sleeper_revoke(e->sm, jid, user_find(e->sm, jid_bare(jid)), mark);
    jid_unref(jid);
    packet_destroy(e->packet);
    return PATH_DONE;
}

const struct feature revoked_feature = {.name = "revoked", .at = {[PATH_INTERNAL] = at_internal}};
