/* Subscriptions: the steps of subscription.def carried out - roster, storage, pushes, presence (RFC
 * 6121 section 3). */
#include "sm/subscribe.h"

#include "sm/change.h"
#include "sm/presence.h"
#include "sm/push.h"
#include "sm/send.h"
#include "xmpp/namespaces.h"

#define MAX_REQUEST 8192u /* bytes kept of a request; a larger one is kept without its content */

static struct stanza *plain(enum subscription_event e)
{
    struct builder *b = builder_create(STR("presence"), NS_CLIENT);
    builder_attr(b, STR("type"), subscription_event_type(e));
    return builder_finish(b);
}

/* A subscription stanza of ours to a contact. */
static struct packet *notice(struct user *user, enum subscription_event e, struct jid *to)
{
    struct packet *p = packet_create(PACKET_STANZA, STR_NULL, STR_NULL);
    p->stanza = plain(e);
    p->from = jid_ref(user->jid);
    p->to = jid_to_bare(to);
    return p;
}

/* From and to become bare: sections 3.1.2 and following. */
static void make_bare(struct packet *p)
{
    struct jid *from = jid_to_bare(p->from), *to = jid_to_bare(p->to);
    jid_unref(p->from);
    jid_unref(p->to);
    p->from = from;
    p->to = to;
}

/* A request alone does not make a roster item that the user sees, nor does what is left of a
 * refused one stay. */
static bool worth_keeping(const struct roster_item *item)
{
    return !item->hidden || item->state != SUB_NONE || item->approved;
}

/* What the roster shows of a state: a request that has come is not among it (2.1.2.5). */
static bool looks_same(enum subscription_state a, enum subscription_state b)
{
    return subscription_to(a) == subscription_to(b) &&
           subscription_from(a) == subscription_from(b) &&
           subscription_pending_out(a) == subscription_pending_out(b);
}

/* Brings the item into its next state; what the user may see of it is pushed, and the contact sees
 * what it may. */
static void apply(struct change *c, struct user *user, struct jid *contact,
                  enum subscription_state next, bool approved, struct stanza *request)
{
    struct roster_item *item = roster_put(&user->roster, contact);
    item->own = true;
    bool was_visible = !item->hidden, had_from = subscription_from(item->state);
    bool same = looks_same(item->state, next) && item->approved == approved;
    item->state = (uint8_t)next;
    item->approved = approved;
    item->version = change_version(user);
    if (request || !subscription_pending_in(next))
        roster_item_set_request(item, request);
    if (approved || (next != SUB_NONE && next != SUB_NONE_IN))
        roster_set_hidden(&user->roster, item, false);
    bool visible = !item->hidden, has_from = subscription_from(next);
    if (!worth_keeping(item))
        roster_item_destroy(roster_take(&user->roster, jid_full(contact)));
    if (was_visible != visible || (visible && !same))
        change_push(c);
    if (has_from && !had_from)
        presence_send_all(user, contact); /* 3.1.5 */
    else if (had_from && !has_from)
        presence_send_absence(user, contact); /* 3.2.2, 3.3.3 */
}

static uint32_t visible_count(const struct user *user)
{
    return user->roster.count - user->roster.hidden;
}

static uint32_t roster_limit(const struct user *user)
{
    return (uint32_t)user->sm->c->env->config->sm_max_roster;
}

/* --- outbound --- */

/* True when the step would show the user one item more than is allowed. */
static bool too_many(const struct user *user, const struct roster_item *item,
                     struct subscription_step step)
{
    bool new_item = !item || item->hidden;
    bool shows =
        step.action == SUB_DO_APPROVE || (step.next != SUB_NONE && step.next != SUB_NONE_IN);
    return new_item && shows && visible_count(user) >= roster_limit(user);
}

static void commit_outbound(struct session *session, enum subscription_event e,
                            struct subscription_step step, struct packet *p)
{
    struct user *user = session->user;
    struct change *c = change_begin(user, p->to);
    struct roster_item *item = roster_find(&user->roster, jid_full(p->to));
    struct jid *contact = jid_ref(p->to);
    bool approved =
        step.action == SUB_DO_APPROVE || (item && item->approved && e != SUB_UNSUBSCRIBED);
    change_origin(c, packet_copy(p));
    if (step.action == SUB_DO_ROUTE)
        send_packet(user->sm, p);
    else
        packet_destroy(p);
    apply(c, user, contact, step.next, approved, NULL);
    change_commit(c);
    jid_unref(contact);
}

void subscribe_from_client(struct session *session, enum subscription_event e, struct packet *p)
{
    struct user *user = session->user;
    make_bare(p);
    struct roster_item *item = roster_find(&user->roster, jid_full(p->to));
    enum subscription_state state = item ? item->state : SUB_NONE;
    struct subscription_step step = subscription_out(state, e);
    bool approved = item && item->approved;
    if (step.action == SUB_DO_IGNORE || jid_eq(p->to, user->jid) || (item && item->shared) ||
        (step.action == SUB_DO_APPROVE && approved) ||
        (step.action == SUB_DO_UNAPPROVE && !approved)) {
        packet_destroy(p);
    } else if (too_many(user, item, step)) {
        jid_unref(p->from);
        p->from = jid_ref(session->jid);
        send_error(user->sm, session, p, STANZA_ERR_RESOURCE_CONSTRAINT, "the roster is full");
    } else if (step.action == SUB_DO_ROUTE && step.next == state) {
        send_packet(user->sm, p); /* nothing changes here: the contact's server may know better */
    } else {
        commit_outbound(session, e, step, p);
    }
}

/* --- inbound --- */

/* What is kept to be delivered again at each login: section 3.1.3. */
static struct stanza *request_to_keep(const struct packet *p)
{
    return stanza_size(p->stanza) <= MAX_REQUEST ? stanza_ref(p->stanza) : plain(SUB_SUBSCRIBE);
}

/* Requests go to available resources (3.1.3), answers to interested ones (3.1.6, 3.2.3, 3.3.3). */
static void to_resources(struct user *user, const struct packet *p, bool request)
{
    for (struct session *s = user->sessions; s; s = s->next)
        if (request ? session_available(s) : s->interested)
            send_session_packet(s, p);
}

static void commit_inbound(struct user *user, enum subscription_event e,
                           struct subscription_step step, struct packet *p)
{
    struct change *c = change_begin(user, p->from);
    struct roster_item *item = roster_find(&user->roster, jid_full(p->from));
    struct jid *contact = jid_ref(p->from);
    struct stanza *request = NULL;
    if (step.action == SUB_DO_REPLY) {
        send_packet(user->sm, notice(user, SUB_SUBSCRIBED, contact));
    } else if (e == SUB_SUBSCRIBE) {
        request = request_to_keep(p);
        to_resources(user, p, true);
    } else {
        to_resources(user, p, false);
    }
    packet_destroy(p);
    apply(c, user, contact, step.next, item && item->approved, request);
    change_goes_first(c);
    change_commit(c);
    if (request && user->pushes)
        push_request(user);
    stanza_unref(request);
    jid_unref(contact);
}

void subscribe_from_router(struct user *user, enum subscription_event e, struct packet *p)
{
    make_bare(p);
    struct roster_item *item = roster_find(&user->roster, jid_full(p->from));
    enum subscription_state state = item ? item->state : SUB_NONE;
    struct subscription_step step = subscription_in(state, e, item && item->approved);
    if (step.action == SUB_DO_IGNORE || jid_eq(p->from, user->jid) || (item && item->shared)) {
        packet_destroy(p);
    } else if (step.action == SUB_DO_REPLY && step.next == state) {
        send_packet(user->sm, notice(user, SUB_SUBSCRIBED, p->from));
        packet_destroy(p);
    } else if (!item && user->roster.hidden >= roster_limit(user)) {
        packet_destroy(p); /* a flood of requests: reliability.md B 36 */
    } else {
        commit_inbound(user, e, step, p);
    }
}

/* --- the rest --- */

/* Takes back what the user has from the contact and what the contact has from the user. */
static void end_both(struct user *user, struct jid *contact, enum subscription_state state)
{
    if (subscription_to(state) || subscription_pending_out(state))
        send_packet(user->sm, notice(user, SUB_UNSUBSCRIBE, contact));
    if (subscription_from(state) || subscription_pending_in(state))
        send_packet(user->sm, notice(user, SUB_UNSUBSCRIBED, contact));
}

void subscribe_remove(struct user *user, struct roster_item *item, struct packet *request)
{
    struct change *c = change_begin(user, item->jid);
    struct jid *contact = jid_ref(item->jid);
    enum subscription_state state = item->state;
    change_origin(c, request);
    change_version(user);
    roster_item_destroy(roster_take(&user->roster, jid_full(contact)));
    change_push(c);
    end_both(user, contact, state);
    if (subscription_from(state))
        presence_send_absence(user, contact);
    change_commit(c);
    jid_unref(contact);
}

void subscribe_farewell(struct user *user)
{
    for (uint32_t i = 0; i < user->roster.count; i++) {
        const struct roster_item *item = user->roster.items[i];
        end_both(user, item->jid, item->shared ? item->own_state : item->state);
    }
}

void subscribe_deliver_requests(struct session *session)
{
    struct user *user = session->user;
    for (uint32_t i = 0; i < user->roster.count; i++) {
        const struct roster_item *item = user->roster.items[i];
        if (!subscription_pending_in(item->state))
            continue;
        struct stanza *request = item->request ? stanza_ref(item->request) : plain(SUB_SUBSCRIBE);
        send_session(session, request, item->jid, user->jid);
        stanza_unref(request);
    }
}
