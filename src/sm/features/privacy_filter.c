/* Privacy lists at work (XEP-0016 sections 2.2 and 2.14, XEP-0191): the first rule a stanza meets
 * on its way in, and the last before it goes out. Broadcasts ask privacy_shows themselves
 * (sm/presence.c).
 *
 * The active list of a session counts for what is addressed to it, the default list for the user as
 * a whole and for everybody without an active list. What comes for the bare JID and is for all
 * sessions goes in when one of them may have it; each then gets it or not. */
#include "sm/mam.h"
#include "sm/privacy.h"
#include "sm/send.h"
#include "xmpp/namespaces.h"

/* Section 2.1: "presence" means notifications alone; the rest of it only an item about everything
 * concerns. */
static bool is_notification(const struct stanza *s)
{
    struct str type = send_type(s);
    return !type.data || str_is(type, "unavailable");
}

static unsigned kind_in(const struct stanza *s)
{
    switch (send_kind_of(s)) {
    case SEND_MESSAGE:
        return PRIVACY_MESSAGE;
    case SEND_IQ:
        return PRIVACY_IQ;
    case SEND_PRESENCE:
        return is_notification(s) ? PRIVACY_PRESENCE_IN : PRIVACY_ONLY_ALL;
    case SEND_UNKNOWN:
        break;
    }
    return PRIVACY_ONLY_ALL;
}

/* Of several sessions, one with an active list of its own lets it in. */
static bool some_session_allows(const struct user *user, const struct jid *from, unsigned kind)
{
    for (const struct session *s = user->sessions; s; s = s->next)
        if (s->active && !privacy_denial(s->active, user, from, kind))
            return true;
    return false;
}

static bool denied(const struct user *user, const struct packet *p)
{
    unsigned kind = kind_in(p->stanza);
    const struct session *match = jid_is_bare(p->to) ? NULL : session_of(user, jid_resource(p->to));
    const struct privacy_list *list = match ? privacy_of(match) : user->privacy->standard;
    if (!privacy_denial(list, user, p->from, kind))
        return false;
    bool for_all = kind == PRIVACY_MESSAGE || kind == PRIVACY_PRESENCE_IN;
    return match || !for_all || !some_session_allows(user, p->from, kind);
}

/* Section 2.14: presence is not answered, messages and requests are as if nobody were there. */
static enum path_result refuse(struct path_event *e)
{
    if (send_kind_of(e->packet->stanza) == SEND_PRESENCE)
        packet_destroy(e->packet);
    else
        send_error(e->sm, NULL, e->packet, STANZA_ERR_SERVICE_UNAVAILABLE, NULL);
    return PATH_DONE;
}

static enum path_result at_from_router(struct path_event *e)
{
    return e->user->privacy && denied(e->user, e->packet) ? refuse(e) : PATH_PASS;
}

/* Nobody is there: the default list alone counts. */
static enum path_result at_offline(struct path_event *e)
{
    if (!e->user->privacy ||
        !privacy_denial(e->user->privacy->standard, e->user, e->packet->from, PRIVACY_MESSAGE))
        return PATH_PASS;
    mam_withdraw(e->user, e->packet);
    return refuse(e);
}

/* Also what was stored before somebody was blocked. Errors are answers; requests were judged when
 * they came in. */
static bool judged_here(const struct stanza *s)
{
    enum send_kind kind = send_kind_of(s);
    return (kind == SEND_MESSAGE || kind == SEND_PRESENCE) && !str_is(send_type(s), "error");
}

static enum path_result at_to_client(struct path_event *e)
{
    const struct user *user = e->user;
    const struct packet *p = e->packet;
    if (!user->privacy || user->privacy->changing || !judged_here(p->stanza))
        return PATH_PASS;
    struct jid *from =
        p->from ? jid_ref(p->from) : jid_parse(stanza_attr(p->stanza, STANZA_ROOT, STR("from")));
    bool deny = from && privacy_denial(privacy_of(e->session), user, from, kind_in(p->stanza));
    jid_unref(from);
    if (!deny)
        return PATH_PASS;
    fate_note(e->sm, LEDGER_DROPPED, p, jid_full(e->session->jid),
              STR("a privacy list keeps it away"));
    packet_destroy(e->packet);
    return PATH_DONE;
}

/* Section 2.14, XEP-0191 section 3.3: the user's own stanza to somebody it has blocked. The server
 * itself stays within reach: how else would the lists be changed? */
static enum path_result at_from_client(struct path_event *e)
{
    struct packet *p = e->packet;
    if (!e->user->privacy || !p->to || (!p->to->local_len && sm_domain(e->sm, jid_domain(p->to))))
        return PATH_PASS;
    bool notification = send_kind_of(p->stanza) == SEND_PRESENCE && is_notification(p->stanza);
    const struct privacy_item *item =
        privacy_denial(privacy_of(e->session), e->user, p->to,
                       notification ? PRIVACY_PRESENCE_OUT : PRIVACY_ONLY_ALL);
    if (!item)
        return PATH_PASS;
    struct stanza *error = stanza_error_reply_app(
        p->stanza, jid_full(p->to), jid_full(p->from), STANZA_ERR_NOT_ACCEPTABLE, NULL,
        privacy_is_block(item) ? STR("blocked") : STR_NULL, NS_BLOCKING_ERRORS);
    if (!error) {
        fate_drop(e->sm, p, FATE_REASON_NO_ANSWER);
        return PATH_DONE;
    }
    send_session(e->session, error, p->to, p->from);
    stanza_unref(error);
    fate_note(e->sm, LEDGER_BOUNCED, p, jid_full(p->to),
              STR("its sender has blocked that address"));
    fate_end(e->sm, p, FATE_BOUNCED);
    packet_destroy(p);
    return PATH_DONE;
}

const struct feature privacy_filter_feature = {
    .name = "privacy_filter",
    .at = {[PATH_FROM_CLIENT] = at_from_client,
           [PATH_FROM_ROUTER] = at_from_router,
           [PATH_OFFLINE] = at_offline,
           [PATH_TO_CLIENT] = at_to_client},
};
