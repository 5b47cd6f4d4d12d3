/* Web presence: the table `status` as jabberd2 2.7.0 had it, for programs that show on a web page
 * who is there. Off unless sm.web_presence says so: it costs a write for each presence, for which
 * nobody waits. The row tells of the last presence of any resource; offline is whose last one has
 * gone. Who adds the domain to a roster sees that the service is there, as DOMAIN/webstatus. */
#include <stdlib.h>
#include "sm/send.h"
#include "sm/session.h"
#include "sm/stored.h"
#include "store/users.h"
#include "xmpp/namespaces.h"

#define SERVICE_RESOURCE "webstatus" /* jabberd2: status.resource */

static bool switched_on(const struct sm *sm)
{
    return sm->c->env->config->sm_web_presence;
}

static bool wanted(const struct path_event *e)
{
    return switched_on(e->sm) && e->user->state != USER_DELETING;
}

static int64_t now(const struct path_event *e)
{
    return loop_wall(e->sm->loop) / 1000;
}

static bool other_available(const struct path_event *e)
{
    for (const struct session *s = e->user->sessions; s; s = s->next)
        if (s != e->session && session_available(s))
            return true;
    return false;
}

static void gone(struct path_event *e, struct str xml)
{
    store_commit(status_gone(store_begin(e->sm->store), jid_full(e->user->jid), xml, now(e)), NULL,
                 NULL);
}

static enum path_result at_from_client(struct path_event *e)
{
    const struct stanza *s = e->packet->stanza;
    struct str type = send_type(s);
    if (!wanted(e) || send_kind_of(s) != SEND_PRESENCE ||
        stanza_attr(s, STANZA_ROOT, STR("to")).data || (type.data && !str_is(type, "unavailable")))
        return PATH_PASS;
    struct str xml = stored_text(s);
    stanza_el el = stanza_child(s, STANZA_ROOT, STR("show"), STR_NULL);
    if (!type.data)
        store_commit(status_presence(store_begin(e->sm->store), jid_full(e->user->jid),
                                     el == STANZA_NONE ? STR("") : stanza_text(s, el), xml, now(e)),
                     NULL, NULL);
    else if (!other_available(e))
        gone(e, xml);
    free((char *)(uintptr_t)xml.data);
    return PATH_PASS;
}

/* Without a word of its own: what it said last does not hold any more. */
static enum path_result at_session_end(struct path_event *e)
{
    if (wanted(e) && session_available(e->session) && !other_available(e))
        gone(e, STR_NULL);
    return PATH_PASS;
}

/* --- the service's own presence --- */

static void tell(struct sm *sm, const char *type, struct jid *from, struct jid *to)
{
    struct builder *b = builder_create(STR("presence"), NS_CLIENT);
    if (type)
        builder_attr(b, STR("type"), str_of(type));
    struct stanza *s = builder_finish(b);
    struct jid *bare = jid_to_bare(to);
    send_route(sm, s, from, bare);
    jid_unref(bare);
    stanza_unref(s);
}

/* To requests and probes (RFC 6121 sections 3.1.3, 3.3.3 and 4.3.2) from anybody. */
static enum path_result at_domain_presence(struct path_event *e)
{
    const struct packet *p = e->packet;
    struct str type = send_type(p->stanza);
    bool request = str_is(type, "subscribe"), end = str_is(type, "unsubscribe");
    if (!switched_on(e->sm) || !p->from->local_len || (!request && !end && !str_is(type, "probe")))
        return PATH_PASS;
    struct str domain = jid_domain(p->to);
    struct jid *service = jid_from_parts(STR_NULL, domain, STR(SERVICE_RESOURCE));
    if (request || end)
        tell(e->sm, request ? "subscribed" : "unsubscribed", sm_domain(e->sm, domain), p->from);
    if (!end)
        tell(e->sm, NULL, service, p->from);
    jid_unref(service);
    packet_destroy(e->packet);
    return PATH_DONE;
}

const struct feature web_presence_feature = {
    .name = "web_presence",
    .at = {[PATH_FROM_CLIENT] = at_from_client,
           [PATH_SESSION_END] = at_session_end,
           [PATH_DOMAIN_PRESENCE] = at_domain_presence},
};
