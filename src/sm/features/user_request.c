/* What other session managers ask about a user that is in memory here (ask.h, ask_user), for an
 * administrator whose right they have checked:
 *
 *   <user action='info'/>    <session jid= c2s= away= available=/>..., roster=, logout=, status=,
 *                            and stanzas=, logins= in the last minute
 *   <user action='roster'/>  <query xmlns='jabber:iq:roster'/> as the user sees it
 *   <user action='end'/>     ends the sessions, or with resource= that one; ended=
 */
#include "sm/ask.h"
#include "sm/user_request.h"
#include "xmpp/namespaces.h"

/* XEP-0133 knows active users and idle ones: idle is who says so. */
bool user_request_away(const struct session *s)
{
    if (!s->presence)
        return true;
    stanza_el show = stanza_child(s->presence, STANZA_ROOT, STR("show"), NS_CLIENT);
    struct str text = show == STANZA_NONE ? STR_NULL : stanza_text(s->presence, show);
    return str_is(text, "away") || str_is(text, "xa");
}

static void add_info(struct user *user, struct builder *b)
{
    uint64_t now = loop_now(user->sm->loop);
    builder_attr_u64(b, STR("stanzas"), rate_per_minute(&user->stanzas, now));
    builder_attr_u64(b, STR("logins"), rate_per_minute(&user->logins, now));
    builder_attr_u64(b, STR("roster"), user->roster.count - user->roster.hidden);
    if (user->logout_time > 0)
        builder_attr_u64(b, STR("logout"), (uint64_t)user->logout_time);
    builder_attr(b, STR("status"), str_of(user->logout_status));
    for (const struct session *s = user->sessions; s; s = s->next) {
        builder_start(b, STR("session"), STR_NULL);
        builder_attr(b, STR("jid"), jid_full(s->jid));
        builder_attr(b, STR("c2s"), peer_name(s->peer));
        builder_attr(b, STR("available"), session_available(s) ? STR("1") : STR_NULL);
        builder_attr(b, STR("away"), user_request_away(s) ? STR("1") : STR_NULL);
        builder_end(b);
    }
}

static void add_roster(const struct user *user, struct builder *b)
{
    builder_start(b, STR("query"), NS_ROSTER);
    for (uint32_t i = 0; i < user->roster.count; i++)
        if (!user->roster.items[i]->hidden)
            roster_item_write(user->roster.items[i], false, b);
    builder_end(b);
}

size_t user_request_end(struct user *user, struct str resource)
{
    size_t ended = 0;
    user_hold(user);
    for (struct session *s = user->sessions, *next; s; s = next) {
        next = s->next;
        if (resource.data && !str_eq(jid_resource(s->jid), resource))
            continue;
        session_close(s, SESSION_ENDED, STR("not-authorized"));
        ended++;
    }
    user_release(user);
    return ended;
}

static void answer(struct user *user, const struct packet *p)
{
    struct str action = stanza_attr(p->stanza, STANZA_ROOT, STR("action"));
    struct builder *b = ask_answer_open(p, user->active ? NULL : "item-not-found");
    if (user->active && str_is(action, "info"))
        add_info(user, b);
    else if (user->active && str_is(action, "roster"))
        add_roster(user, b);
    else if (user->active && str_is(action, "end"))
        builder_attr_u64(
            b, STR("ended"),
            user_request_end(user, stanza_attr(p->stanza, STANZA_ROOT, STR("resource"))));
    ask_answer_send(user->sm, p, b);
}

static enum path_result at_internal(struct path_event *e)
{
    if (!e->user || !stanza_is(e->packet->stanza, STANZA_ROOT, STR("user"), NS_INTERNAL))
        return PATH_PASS;
    answer(e->user, e->packet);
    packet_destroy(e->packet);
    return PATH_DONE;
}

/* `jackdaw user kick`: {"command":"user-kick","jid":...}; of a full JID that session alone. */
static json_t *control(struct sm *sm, const json_t *request)
{
    if (!str_is(str_of(json_string_value(json_object_get(request, "command"))), "user-kick"))
        return NULL;
    struct jid *jid = jid_parse(str_of(json_string_value(json_object_get(request, "jid"))));
    struct user *user = jid ? user_find(sm, jid_bare(jid)) : NULL;
    size_t ended = user ? user_request_end(user, jid_resource(jid)) : 0;
    jid_unref(jid);
    return json_pack("{s:b, s:I}", "ok", 1, "ended", (json_int_t)ended);
}

const struct feature user_request_feature = {
    .name = "user_request",
    .control = control,
    .at = {[PATH_INTERNAL] = at_internal},
};
