/* Presence of our users' resources: RFC 6121 section 4. A broadcast shares one stanza; each copy is
 * only stamped. */
#include "sm/presence.h"

#include <stdlib.h>
#include "base/mem.h"
#include "sm/privacy.h"
#include "sm/send.h"
#include "sm/slot.h"
#include "sm/subscribe.h"
#include "xmpp/namespaces.h"

#define MAX_STATUS 1023u /* bytes kept of the status that goes with an absence */

/* --- priority: section 4.7.2.3 --- */

/* The schema's xs:byte collapses white space. */
static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct str trim(struct str s)
{
    while (s.len && is_space(s.data[0]))
        s = (struct str){s.data + 1, s.len - 1};
    while (s.len && is_space(s.data[s.len - 1]))
        s.len--;
    return s;
}

static bool parse_priority(const struct stanza *s, int8_t *ret)
{
    stanza_el el = stanza_child(s, STANZA_ROOT, STR("priority"), stanza_ns(s, STANZA_ROOT));
    *ret = 0;
    if (el == STANZA_NONE)
        return true;
    struct str text = trim(stanza_text(s, el));
    bool negative = text.len && text.data[0] == '-';
    if (negative || (text.len && text.data[0] == '+'))
        text = (struct str){text.data + 1, text.len - 1};
    uint64_t n;
    if (!str_to_u64(text, negative ? 128 : 127, &n))
        return false;
    *ret = (int8_t)(negative ? -(int)n : (int)n);
    return true;
}

/* --- directed presence: section 4.6 --- */

static uint32_t directed_position(const struct session *s, const struct jid *to, bool *ret_found)
{
    uint32_t low = 0, high = s->directed_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = str_cmp(jid_full(s->directed[middle]), jid_full(to));
        *ret_found = order == 0;
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_found = false;
    return low;
}

/* Who is to be told of the end. False when there are too many. */
static bool directed_add(struct session *s, struct jid *to)
{
    bool found;
    uint32_t at = directed_position(s, to, &found);
    if (found)
        return true;
    if (s->directed_count >= SM_MAX_DIRECTED)
        return false;
    if ((s->directed_count & (s->directed_count - 1)) == 0) /* 0, 1, 2, 4 ...: time to double */
        s->directed = mem_realloc(s->directed, (s->directed_count ? s->directed_count * 2u : 1u) *
                                                   sizeof(void *));
    memmove(s->directed + at + 1, s->directed + at, (s->directed_count - at) * sizeof(void *));
    s->directed[at] = jid_ref(to);
    s->directed_count++;
    return true;
}

bool presence_is_directed(const struct session *s, const struct jid *to)
{
    bool found;
    (void)directed_position(s, to, &found);
    return found;
}

/* The memory follows at the next doubling or at the end of the session. */
static void directed_remove(struct session *s, struct jid *to)
{
    bool found;
    uint32_t at = directed_position(s, to, &found);
    if (!found)
        return;
    jid_unref(s->directed[at]);
    struct jid **smaller = NULL;
    uint32_t count = s->directed_count - 1;
    if (count) {
        uint32_t cap = 1;
        while (cap < count)
            cap *= 2;
        memmove(s->directed + at, s->directed + at + 1, (count - at) * sizeof(void *));
        smaller = mem_realloc(s->directed, cap * sizeof(void *));
    } else {
        free(s->directed);
    }
    s->directed = smaller;
    s->directed_count = count;
}

static bool subscriber(const struct user *user, struct str bare)
{
    const struct roster_item *item = roster_find(&user->roster, bare);
    return item && subscription_from(item->state);
}

/* --- broadcasts --- */

static void to_subscribers(struct session *session, struct stanza *s)
{
    struct user *user = session->user;
    for (uint32_t i = 0; i < user->roster.count; i++) {
        const struct roster_item *item = user->roster.items[i];
        if (subscription_from(item->state) && privacy_shows(session, item->jid))
            send_route(user->sm, s, session->jid, item->jid);
    }
}

/* The user's own available resources, this one among them (4.2.2, 4.4.2, 4.5.2). */
static void to_resources(struct session *session, struct stanza *s)
{
    for (struct session *other = session->user->sessions; other; other = other->next)
        if (session_available(other))
            send_session(other, s, session->jid, other->jid);
}

/* Section 4.3.1: asks for the presence of all contacts that the user is subscribed to. */
static void probe_contacts(struct session *session)
{
    struct user *user = session->user;
    struct stanza *probe = NULL;
    for (uint32_t i = 0; i < user->roster.count; i++) {
        const struct roster_item *item = user->roster.items[i];
        if (!subscription_to(item->state) || !privacy_reaches(session, item->jid))
            continue;
        if (!probe) {
            struct builder *b = builder_create(STR("presence"), NS_CLIENT);
            builder_attr(b, STR("type"), STR("probe"));
            probe = builder_finish(b);
        }
        send_route(user->sm, probe, session->jid, item->jid);
    }
    stanza_unref(probe);
}

/* What a resource that has just come needs to know (4.2.2, 3.1.3). */
static void welcome(struct session *session)
{
    for (struct session *other = session->user->sessions; other; other = other->next)
        if (other != session && session_available(other))
            send_session(session, other->presence, other->jid, session->jid);
    probe_contacts(session);
    subscribe_deliver_requests(session);
}

static void available(struct session *session, struct packet *p)
{
    struct sm *sm = session->user->sm;
    bool initial = !session_available(session), took = session_takes_messages(session);
    int8_t priority;
    if (!parse_priority(p->stanza, &priority)) {
        send_error(sm, session, p, STANZA_ERR_BAD_REQUEST, "priority must be -128 to 127");
        return;
    }
    stanza_unref(session->presence);
    session->presence = stanza_ref(p->stanza);
    session->priority = priority;
    slot_write(session);
    if (!took)
        session->takes_since = receipts_number(sm->receipts);
    to_subscribers(session, p->stanza);
    to_resources(session, p->stanza);
    if (initial)
        welcome(session);
    packet_destroy(p);
    if (!took && session_takes_messages(session))
        path_run(&sm->path, PATH_SESSION_AVAILABLE,
                 &(struct path_event){.sm = sm, .user = session->user, .session = session});
}

/* The end of a resource's availability; `s` is the client's own stanza or ours. */
static void leave(struct session *session, struct stanza *s)
{
    struct user *user = session->user;
    bool was_available = session_available(session);
    if (was_available) {
        to_subscribers(session, s);
        to_resources(session, s);
    }
    for (uint32_t i = 0; i < session->directed_count; i++) {
        struct jid *to = session->directed[i];
        if ((!was_available || !subscriber(user, jid_bare(to))) && privacy_shows(session, to))
            send_route(user->sm, s, session->jid, to); /* 4.6.3 */
        jid_unref(to);
    }
    free(session->directed);
    session->directed = NULL;
    session->directed_count = 0;
    stanza_unref(session->presence);
    session->presence = NULL;
}

/* What XEP-0012 tells of an absent user. */
static void keep_status(struct user *user, const struct stanza *s)
{
    stanza_el el = stanza_child(s, STANZA_ROOT, STR("status"), stanza_ns(s, STANZA_ROOT));
    struct str text = el == STANZA_NONE ? STR_NULL : stanza_text(s, el);
    free(user->logout_status);
    user->logout_status = text.len && text.len <= MAX_STATUS ? str_dup(text) : NULL;
}

static void directed(struct session *session, struct packet *p, bool unavailable)
{
    struct sm *sm = session->user->sm;
    bool known = session_available(session) && subscriber(session->user, jid_bare(p->to));
    if (unavailable) {
        directed_remove(session, p->to);
    } else if (!known && !directed_add(session, p->to)) {
        send_error(sm, session, p, STANZA_ERR_RESOURCE_CONSTRAINT,
                   "too many addresses have directed presence of this session");
        return;
    }
    send_packet(sm, p);
}

void presence_from_client(struct session *session, struct packet *p)
{
    struct sm *sm = session->user->sm;
    struct str type = send_type(p->stanza);
    bool unavailable = str_is(type, "unavailable");
    enum subscription_event event;
    if (!type.data || unavailable) {
        if (p->to) {
            directed(session, p, unavailable);
        } else if (unavailable) {
            session->presence_due = false;
            keep_status(session->user, p->stanza);
            leave(session, p->stanza);
            slot_write(session);
            packet_destroy(p);
        } else {
            session->presence_due = false;
            available(session, p);
        }
    } else if (subscription_event_parse(type, &event) && p->to) {
        subscribe_from_client(session, event, p);
    } else if ((str_is(type, "probe") || str_is(type, "error")) && p->to) {
        send_packet(sm, p); /* who may know answers: section 4.3.2 */
    } else {
        send_error(sm, session, p, STANZA_ERR_BAD_REQUEST, NULL);
    }
}

/* --- what arrives --- */

static void unsubscribed_reply(struct user *user, struct jid *to)
{
    struct builder *b = builder_create(STR("presence"), NS_CLIENT);
    builder_attr(b, STR("type"), STR("unsubscribed"));
    struct stanza *s = builder_finish(b);
    struct jid *bare = jid_to_bare(to);
    send_route(user->sm, s, user->jid, bare);
    jid_unref(bare);
    stanza_unref(s);
}

/* Section 4.3.2. */
static void on_probe(struct user *user, struct packet *p)
{
    bool self = jid_eq_bare(p->from, user->jid);
    if (!user->active || (!self && !subscriber(user, jid_bare(p->from)))) {
        unsubscribed_reply(user, p->from);
        return;
    }
    bool any = false;
    for (struct session *s = user->sessions; s; s = s->next)
        if (session_available(s) && (jid_is_bare(p->to) || jid_eq(p->to, s->jid)) &&
            privacy_shows(s, p->from)) {
            send_route(user->sm, s->presence, s->jid, p->from);
            any = true;
        }
    if (!any && jid_is_bare(p->to)) {
        struct stanza *absent = presence_unavailable();
        send_route(user->sm, absent, user->jid, p->from);
        stanza_unref(absent);
    }
}

/* Sections 8.5.2.1.2 and 8.5.3. */
static void notify(struct user *user, const struct packet *p, bool error)
{
    if (!jid_is_bare(p->to)) {
        struct session *s = session_of(user, jid_resource(p->to));
        if (s)
            send_session_packet(s, p);
        return;
    }
    if (error)
        return;
    for (struct session *s = user->sessions; s; s = s->next)
        if (session_available(s))
            send_session_packet(s, p);
}

void presence_from_router(struct user *user, struct packet *p)
{
    struct str type = send_type(p->stanza);
    enum subscription_event event;
    if (subscription_event_parse(type, &event)) {
        if (user->active) {
            subscribe_from_router(user, event, p);
            return;
        }
    } else if (str_is(type, "probe")) {
        on_probe(user, p);
    } else if (!type.data || str_is(type, "unavailable")) {
        notify(user, p, false);
    } else if (str_is(type, "error")) {
        notify(user, p, true);
    }
    packet_destroy(p);
}

/* --- for others --- */

struct stanza *presence_unavailable(void)
{
    struct builder *b = builder_create(STR("presence"), NS_CLIENT);
    builder_attr(b, STR("type"), STR("unavailable"));
    return builder_finish(b);
}

void presence_gone(struct session *session)
{
    if (!session_available(session) && !session->directed_count)
        return;
    struct stanza *absent = presence_unavailable();
    leave(session, absent);
    stanza_unref(absent);
}

void presence_replace(struct session *session, struct stanza *s)
{
    stanza_unref(session->presence);
    session->presence = stanza_ref(s);
    slot_write(session);
    to_subscribers(session, s);
    to_resources(session, s);
}

void presence_send_all(struct user *user, struct jid *to)
{
    for (struct session *s = user->sessions; s; s = s->next)
        if (session_available(s) && privacy_shows(s, to))
            send_route(user->sm, s->presence, s->jid, to);
}

void presence_send_absence(struct user *user, struct jid *to)
{
    struct stanza *absent = presence_unavailable();
    for (struct session *s = user->sessions; s; s = s->next)
        if (session_available(s) && privacy_shows(s, to))
            send_route(user->sm, absent, s->jid, to);
    stanza_unref(absent);
}
