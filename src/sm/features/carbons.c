/* Message carbons (XEP-0280, with the exact rules of its section 6.1, urn:xmpp:carbons:rules:0):
 * each session that asks for it sees both sides of every conversation. One stanza is made for all
 * copies of a message; only the start tag differs.
 *
 * Where the XEP leaves a choice: a message to the user's own account has no sent copies, since it
 * is received; what goes to the queue is not copied to a session that has not said that it is
 * available, since it will get the queue. The hint <no-copy/> alone (XEP-0334 section 4.3) counts
 * as <private/> does.
 */
#include "sm/carbons.h"

#include <stdlib.h>
#include "base/mem.h"
#include "sm/iq.h"
#include "sm/presence.h"
#include "sm/privacy.h"
#include "sm/send.h"
#include "sm/slot.h"
#include "xmpp/namespaces.h"

#define REMEMBERED 64u /* messages of a user whose errors are recognised */

/* --- which sessions --- */

void carbons_set(struct session *session, bool on)
{
    struct user_carbons *carbons = &session->user->carbons;
    if (session->carbons == on)
        return;
    session->carbons = on;
    carbons->enabled += on ? 1u : (uint32_t)-1;
    slot_write(session);
    if (carbons->enabled)
        return;
    free(carbons->copied);
    carbons->copied = NULL;
}

/* RFC 6121 section 8.5 gives the session the message itself, now or with the queue. */
static bool gets_original(const struct session *s, const struct packet *p,
                          enum deliver_action action)
{
    switch (action) {
    case DELIVER_ONE:
        return !jid_is_bare(p->to) && str_eq(jid_resource(s->jid), jid_resource(p->to));
    case DELIVER_ALL:
        return session_takes_messages(s);
    case DELIVER_STORE:
        return !session_available(s);
    case DELIVER_IGNORE:
    case DELIVER_REFUSE:
        break;
    }
    return false;
}

/* --- which messages: section 6.1 --- */

/* What a message has in it. */
struct content {
    bool never;   /* <private/>, or a carbon itself */
    bool no_copy; /* the hint */
    bool body;    /* has one */
    bool im;      /* elements typical for instant messaging */
    bool invites; /* to a room */
    bool muc;     /* from or to somebody in a room */
};

static void look_at(struct content *c, const struct stanza *s, stanza_el el)
{
    struct str ns = stanza_ns(s, el), name = stanza_name(s, el);
    if (str_eq(ns, NS_CARBONS))
        c->never |= str_is(name, "private") || str_is(name, "sent") || str_is(name, "received");
    else if (str_eq(ns, NS_HINTS))
        c->no_copy |= str_is(name, "no-copy");
    else if (str_eq(ns, NS_MUC_USER) &&
             stanza_child(s, el, STR("invite"), NS_MUC_USER) != STANZA_NONE)
        c->invites = true;
    else if (str_eq(ns, NS_MUC_USER))
        c->muc = true;
    else if (str_eq(ns, NS_CONFERENCE))
        c->invites = true;
    else if (str_eq(ns, NS_CHAT_STATES) || str_eq(ns, NS_DELIVERY_RECEIPTS) ||
             str_eq(ns, NS_CHAT_MARKERS))
        c->im = true;
    else if (str_is(name, "body") && str_eq(ns, stanza_ns(s, STANZA_ROOT)))
        c->body = true;
}

static uint64_t mark_of(const struct user *user, struct str id, const struct jid *peer)
{
    const uint64_t *seed = user->sm->users.seed;
    struct str bare = jid_bare(peer);
    return hash_bytes(seed, id.data, id.len) * 31 + hash_bytes(seed, bare.data, bare.len);
}

/* An error need not contain what it answers (RFC 6120 section 8.3.1), so the ids of the last
 * messages are kept. */
static void remember(struct user *user, struct str id, const struct jid *peer)
{
    struct user_carbons *carbons = &user->carbons;
    if (!id.len)
        return;
    if (!carbons->copied)
        carbons->copied = mem_alloc_array(REMEMBERED, sizeof *carbons->copied);
    carbons->copied[carbons->next++ % REMEMBERED] = mark_of(user, id, peer);
}

static bool remembered(const struct user *user, struct str id, const struct jid *peer)
{
    const struct user_carbons *carbons = &user->carbons;
    uint64_t mark = mark_of(user, id, peer);
    for (uint32_t i = 0; id.len && carbons->copied && i < REMEMBERED; i++)
        if (carbons->copied[i] == mark)
            return true;
    return false;
}

enum verdict {
    CARBONS_NOBODY,
    CARBONS_ALL,
    CARBONS_IN_ROOM /* those who share the sender's nick */
};

/* What an error brings back counts when its question is not remembered; a hint in it is none
 * (XEP-0334 section 5). */
static bool concerns_all(const struct user *user, const struct packet *p, const struct jid *peer,
                         const struct content *c)
{
    enum deliver_kind kind = deliver_kind_of(p->stanza);
    struct str id = stanza_attr(p->stanza, STANZA_ROOT, STR("id"));
    if (c->never || kind == DELIVER_GROUPCHAT)
        return false;
    if (kind == DELIVER_ERROR && remembered(user, id, peer))
        return true;
    if (c->no_copy)
        return false;
    return kind == DELIVER_CHAT || (kind != DELIVER_HEADLINE && c->body) || c->im || c->invites;
}

static enum verdict judge(const struct user *user, const struct packet *p, const struct jid *peer,
                          bool received)
{
    const struct stanza *s = p->stanza;
    struct content c = {0};
    for (stanza_el el = stanza_first(s, STANZA_ROOT); el != STANZA_NONE; el = stanza_next(s, el))
        look_at(&c, s, el);
    if (!concerns_all(user, p, peer, &c))
        return CARBONS_NOBODY;
    if (!c.muc || c.invites || jid_is_bare(peer))
        return CARBONS_ALL;
    return received && deliver_kind_of(s) != DELIVER_ERROR
               ? CARBONS_NOBODY /* the room itself tells all who are in it */
               : CARBONS_IN_ROOM;
}

static enum verdict eligible(struct user *user, const struct packet *p, const struct jid *peer,
                             bool received)
{
    enum verdict verdict = judge(user, p, peer, received);
    if (verdict != CARBONS_NOBODY && !str_is(send_type(p->stanza), "error"))
        remember(user, stanza_attr(p->stanza, STANZA_ROOT, STR("id")), peer);
    return verdict;
}

bool carbons_concern(const struct user *user, const struct packet *p)
{
    return judge(user, p, p->from, true) != CARBONS_NOBODY;
}

/* Sessions that are in a room under one nick have sent their presence to the same address there. A
 * sender whom we do not know to be there - it joined before this session manager was started -
 * shares with all. */
static bool shares_nick(const struct session *sender, const struct session *s,
                        const struct jid *room)
{
    bool in_room = false;
    for (uint32_t i = 0; i < sender->directed_count; i++) {
        const struct jid *nick = sender->directed[i];
        if (!jid_eq_bare(nick, room) || jid_is_bare(nick))
            continue;
        if (presence_is_directed(s, nick))
            return true;
        in_room = true;
    }
    return !in_room;
}

/* --- the copy --- */

/* The message as it is delivered: with the true from and to. */
static void add_original(struct builder *b, const struct packet *p, struct mam_id id)
{
    const struct stanza *s = p->stanza;
    builder_start(b, stanza_name(s, STANZA_ROOT), stanza_ns(s, STANZA_ROOT));
    builder_attr(b, STR("from"), jid_full(p->from));
    builder_attr(b, STR("to"), jid_full(p->to));
    for (uint32_t i = 0; i < stanza_attr_count(s, STANZA_ROOT); i++) {
        struct str name, ns, value;
        stanza_attr_at(s, STANZA_ROOT, i, &name, &ns, &value);
        if (ns.len && str_eq(ns, NS_XML))
            builder_lang(b, value);
        else if (ns.len)
            builder_attr_ns(b, name, ns, value);
        else if (!str_is(name, "from") && !str_is(name, "to"))
            builder_attr(b, name, value);
    }
    builder_copy_inner(b, s, STANZA_ROOT);
    if (id.time)
        mam_id_add(b, jid_bare(p->from), id);
    if (p->delay)
        builder_copy(b, p->delay, STANZA_ROOT);
    builder_end(b);
}

/* Sections 7 and 8: the same type, from the user's bare JID; `to` is written for each session. */
static struct stanza *make_copy(const struct packet *p, const char *direction, struct mam_id id)
{
    struct builder *b = builder_create(STR("message"), NS_CLIENT);
    builder_attr(b, STR("type"), send_type(p->stanza));
    builder_start(b, str_of(direction), NS_CARBONS);
    builder_start(b, STR("forwarded"), NS_FORWARD);
    add_original(b, p, id);
    builder_end(b);
    builder_end(b);
    return builder_finish(b);
}

void carbons_sent(struct session *session, const struct packet *p, struct mam_id id)
{
    struct user *user = session->user;
    struct stanza *copy = NULL;
    enum verdict verdict =
        jid_eq_bare(p->to, user->jid) ? CARBONS_NOBODY : eligible(user, p, p->to, false);
    for (struct session *s = user->sessions; s && verdict != CARBONS_NOBODY; s = s->next) {
        if (s == session || !s->carbons ||
            (verdict == CARBONS_IN_ROOM && !shares_nick(session, s, p->to)))
            continue;
        if (!copy)
            copy = make_copy(p, "sent", id);
        send_copy(s, copy, p);
    }
    stanza_unref(copy);
}

/* What one session has blocked stays away from it in copies, too. */
static bool may_have(const struct session *s, const struct jid *from)
{
    return !s->user->privacy || !privacy_denial(privacy_of(s), s->user, from, PRIVACY_MESSAGE);
}

void carbons_received(struct user *user, const struct packet *p, enum deliver_action action)
{
    struct stanza *copy = NULL;
    enum verdict verdict = eligible(user, p, p->from, true);
    const struct session *asked = /* whose message to somebody in a room this error answers */
        verdict == CARBONS_IN_ROOM ? session_of(user, jid_resource(p->to)) : NULL;
    for (struct session *s = user->sessions; s && verdict != CARBONS_NOBODY; s = s->next) {
        if (!s->carbons || gets_original(s, p, action) || jid_eq(s->jid, p->from) ||
            !may_have(s, p->from))
            continue;
        if (verdict == CARBONS_IN_ROOM && !(asked && shares_nick(asked, s, p->from)))
            continue;
        if (!copy)
            copy = make_copy(p, "received", (struct mam_id){0});
        send_copy(s, copy, p);
    }
    stanza_unref(copy);
}

bool carbons_is_copy(const struct stanza *s)
{
    return stanza_child(s, STANZA_ROOT, STR("received"), NS_CARBONS) != STANZA_NONE ||
           stanza_child(s, STANZA_ROOT, STR("sent"), NS_CARBONS) != STANZA_NONE;
}

stanza_el carbons_message(const struct stanza *s)
{
    if (!carbons_is_copy(s))
        return STANZA_ROOT;
    stanza_el forwarded = stanza_first(s, stanza_first(s, STANZA_ROOT));
    return stanza_first(s, forwarded);
}

/* --- switching: sections 4, 5 and 10.1 --- */

static enum stanza_condition switch_to(struct iq *iq, bool on)
{
    if (!iq->session || !iq->owner)
        return STANZA_ERR_NOT_ALLOWED;
    carbons_set(iq->session, on);
    iq_result(iq);
    return STANZA_ERR_NONE;
}

static enum stanza_condition on_enable(struct iq *iq)
{
    return switch_to(iq, true);
}

static enum stanza_condition on_disable(struct iq *iq)
{
    return switch_to(iq, false);
}

static enum path_result at_session_end(struct path_event *e)
{
    carbons_set(e->session, false);
    return PATH_PASS;
}

static const struct iq_handler iqs[] = {
    {&NS_CARBONS, "enable", IQ_TO_ACCOUNT | IQ_SET, on_enable},
    {&NS_CARBONS, "disable", IQ_TO_ACCOUNT | IQ_SET, on_disable},
    {NULL, NULL, 0, NULL}};
static const struct str *const features[] = {&NS_CARBONS, &NS_CARBONS_RULES, NULL};

const struct feature carbons_feature = {
    .name = "carbons",
    .at = {[PATH_SESSION_END] = at_session_end},
    .iqs = iqs,
    .server_features = features,
    .account_features = features,
};
