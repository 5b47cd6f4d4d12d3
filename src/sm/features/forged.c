/* Forged marks: what only this server may say about a message is taken out when somebody else says
 * it (reliability.md B 37): a <delay/> (XEP-0203) in the name of one of our domains, carbons
 * (XEP-0280). Our own are added behind this point of the path.
 */
#include "sm/send.h"
#include "xmpp/namespaces.h"

static bool forged(const struct sm *sm, const struct stanza *s, stanza_el el)
{
    if (str_eq(stanza_ns(s, el), NS_CARBONS))
        return !str_is(stanza_name(s, el), "private");
    if (!stanza_is(s, el, STR("delay"), NS_DELAY))
        return false;
    return sm_domain(sm, stanza_attr(s, el, STR("from"))) != NULL;
}

static struct stanza *without_forged(const struct sm *sm, const struct stanza *s)
{
    struct builder *b = builder_create_like(s);
    for (stanza_el el = stanza_first(s, STANZA_ROOT); el != STANZA_NONE; el = stanza_next(s, el))
        if (!forged(sm, s, el))
            builder_copy(b, s, el);
    return builder_finish(b);
}

static enum path_result strip(struct path_event *e)
{
    struct stanza *s = e->packet->stanza;
    if (send_kind_of(s) == SEND_IQ)
        return PATH_PASS;
    for (stanza_el el = stanza_first(s, STANZA_ROOT); el != STANZA_NONE; el = stanza_next(s, el))
        if (forged(e->sm, s, el)) {
            e->packet->stanza = without_forged(e->sm, s);
            stanza_unref(s);
            break;
        }
    return PATH_PASS;
}

const struct feature forged_feature = {
    .name = "forged",
    .at = {[PATH_FROM_CLIENT] = strip, [PATH_FROM_ROUTER] = strip},
};
