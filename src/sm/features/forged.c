/* Forged marks: what only this server may say about a message is taken out when somebody else says
 * it (reliability.md B 37): a <delay/> (XEP-0203) in the name of one of our domains, carbons
 * (XEP-0280), a <stanza-id/> (XEP-0359 section 4) in the name of a domain or account of ours. Our
 * own are added behind this point of the path; the ids of what comes round again stay.
 */
#include "sm/mam.h"
#include "sm/send.h"
#include "xmpp/namespaces.h"

static bool forged(const struct path_event *e, stanza_el el)
{
    const struct packet *p = e->packet;
    /* A client's own message has not been in any archive yet. */
    const struct user *reader = e->session ? NULL : e->user;
    if (str_eq(stanza_ns(p->stanza, el), NS_CARBONS))
        return !str_is(stanza_name(p->stanza, el), "private");
    return send_is_our_delay(e->sm, p->stanza, el) ||
           mam_id_forged(e->sm, reader, jid_full(p->from), p->stanza, el);
}

static struct stanza *without_forged(const struct path_event *e)
{
    const struct stanza *s = e->packet->stanza;
    struct builder *b = builder_create_like(s);
    for (stanza_el el = stanza_first(s, STANZA_ROOT); el != STANZA_NONE; el = stanza_next(s, el))
        if (!forged(e, el))
            builder_copy(b, s, el);
    return builder_finish(b);
}

static enum path_result strip(struct path_event *e)
{
    struct stanza *s = e->packet->stanza;
    if (send_kind_of(s) == SEND_IQ)
        return PATH_PASS;
    for (stanza_el el = stanza_first(s, STANZA_ROOT); el != STANZA_NONE; el = stanza_next(s, el))
        if (forged(e, el)) {
            e->packet->stanza = without_forged(e);
            stanza_unref(s);
            break;
        }
    return PATH_PASS;
}

/* What one of ours has sent was looked at when it came from its client; a <delay/> is its sm's. */
static enum path_result strip_strangers(struct path_event *e)
{
    return sm_domain(e->sm, jid_domain(e->packet->from)) ? PATH_PASS : strip(e);
}

const struct feature forged_feature = {
    .name = "forged",
    .at = {[PATH_FROM_CLIENT] = strip, [PATH_FROM_ROUTER] = strip_strangers},
};
