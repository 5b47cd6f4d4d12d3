/* Push notifications (XEP-0357): which app servers a user has enabled, and what is worth telling
 * them. A device that has no session hears of every message for its user that it would see; one
 * whose session sleeps (XEP-0198) of what waits for it there; one that is inactive (XEP-0352) of
 * what it does not acknowledge in time, since its connection may be dead without anybody knowing.
 *
 * Worth a push are messages that somebody wrote: with a text, encrypted, a call, an invitation; and
 * requests to see the user's presence. Not presence, typing, receipts, errors, headlines, nor what
 * one's own other devices sent.
 */
#include "sm/push.h"

#include <stdlib.h>
#include "base/mem.h"
#include "sm/carbons.h"
#include "sm/flight.h"
#include "sm/iq.h"
#include "sm/offline.h"
#include "sm/send.h"
#include "sm/stored.h"
#include "store/users.h"
#include "xmpp/data_form.h"
#include "xmpp/namespaces.h"

#define MAX_NODE    1023u
#define MAX_OPTIONS 4096u
#define MAX_BODY    512u /* bytes of a text that are told */

/* --- registrations --- */

static struct push *find(const struct user *user, const struct jid *jid, struct str node)
{
    for (struct push *push = user->pushes; push; push = push->next)
        if (jid_eq(push->jid, jid) && str_is(node, push->node))
            return push;
    return NULL;
}

static struct push *add(struct user *user, struct jid *jid, struct str node)
{
    struct push *push = MEM_NEW(struct push), **end = &user->pushes;
    push->user = user;
    push->jid = jid_ref(jid);
    push->node = str_dup(node);
    push->resource = str_dup(STR(""));
    list_init(&push->queued);
    list_init(&push->timed);
    while (*end)
        end = &(*end)->next;
    *end = push;
    return push;
}

static void set(struct push *push, struct str resource, struct stanza *options)
{
    free(push->resource);
    stanza_unref(push->options);
    push->resource = str_dup(resource);
    push->options = options;
    push->failures = 0;
    push->not_before = 0;
}

static void destroy(struct push *push)
{
    jid_unref(push->jid);
    free(push->node);
    free(push->resource);
    stanza_unref(push->options);
    jid_unref(push->sender);
    free(push->body);
    free(push);
}

static void drop(struct push *push)
{
    struct user *user = push->user;
    struct push **at = &user->pushes;
    while (*at != push)
        at = &(*at)->next;
    *at = push->next;
    push_cancel(push);
    destroy(push);
}

void push_forget(struct user *user)
{
    struct push *push;
    while ((push = user->pushes)) {
        user->pushes = push->next;
        push_cancel(push);
        destroy(push);
    }
}

void push_remove(struct push *push)
{
    struct user *user = push->user;
    user_hold(user);
    store_commit(push_delete(store_begin(user->sm->store), jid_full(user->jid), jid_full(push->jid),
                             str_of(push->node)),
                 NULL, NULL);
    drop(push);
    user_release(user);
}

void push_add_rows(struct user *user, const struct store_rows *rows)
{
    enum { JID, NODE, RESOURCE, OPTIONS, QUEUED };
    for (size_t i = 0; i < store_rows_count(rows); i++) {
        struct jid *jid = jid_parse(store_text(rows, i, JID));
        struct str options = store_text(rows, i, OPTIONS);
        if (!jid)
            continue;
        struct push *push = add(user, jid, store_text(rows, i, NODE));
        set(push, store_text(rows, i, RESOURCE),
            options.len ? stored_parse(user->sm->c->env->parsers, options) : NULL);
        push->count = (uint32_t)store_int(rows, i, QUEUED);
        jid_unref(jid);
    }
}

/* --- what is worth it --- */

static bool is_worth(const struct stanza *s, stanza_el message, stanza_el el)
{
    struct str ns = stanza_ns(s, el), name = stanza_name(s, el);
    if (str_is(name, "body") && str_eq(ns, stanza_ns(s, message)))
        return stanza_text(s, el).len > 0;
    if (str_eq(ns, NS_MUC_USER))
        return stanza_child(s, el, STR("invite"), NS_MUC_USER) != STANZA_NONE;
    /* XEP-0380; the encryptions themselves, of which there are many; XEP-0353; XEP-0249 */
    return str_eq(ns, NS_EME) || str_is(name, "encrypted") ||
           (str_eq(ns, NS_JINGLE_MESSAGE) && str_is(name, "propose")) || str_eq(ns, NS_CONFERENCE);
}

static bool from_own(const struct user *user, const struct packet *p, stanza_el message)
{
    if (message == STANZA_ROOT && p->from)
        return jid_eq_bare(p->from, user->jid);
    struct jid *from = jid_parse(stanza_attr(p->stanza, message, STR("from")));
    bool own = !from || jid_eq_bare(from, user->jid);
    jid_unref(from);
    return own;
}

static bool worthy(const struct user *user, const struct packet *p)
{
    const struct stanza *s = p->stanza;
    stanza_el message = carbons_message(s);
    struct str type = stanza_attr(s, message, STR("type"));
    if (send_kind_of(s) != SEND_MESSAGE || str_is(type, "error") || str_is(type, "headline") ||
        from_own(user, p, message))
        return false;
    for (stanza_el el = stanza_first(s, message); el != STANZA_NONE; el = stanza_next(s, el))
        if (is_worth(s, message, el))
            return true;
    return false;
}

/* --- telling --- */

/* At most MAX_BODY bytes, whole characters. */
static char *cut(struct str body)
{
    if (body.len > MAX_BODY) {
        body.len = MAX_BODY;
        while (body.len && ((unsigned char)body.data[body.len] & 0xC0) == 0x80)
            body.len--;
    }
    return str_dup(body);
}

/* Section 9: private things go through third parties only when the administrator wants it. */
static void take_summary(struct push *push, const struct packet *p)
{
    const char *what = push->user->sm->c->env->config->sm_push_summary;
    const struct stanza *s = p->stanza;
    stanza_el message = carbons_message(s);
    bool body = strcmp(what, "body") == 0;
    jid_unref(push->sender);
    free(push->body);
    push->sender = NULL;
    push->body = NULL;
    if (!body && strcmp(what, "sender") != 0)
        return;
    push->sender = message == STANZA_ROOT && p->from
                       ? jid_ref(p->from)
                       : jid_parse(stanza_attr(s, message, STR("from")));
    stanza_el el = stanza_child(s, message, STR("body"), stanza_ns(s, message));
    if (body && el != STANZA_NONE)
        push->body = cut(stanza_text(s, el));
}

static void note(struct push *push, const struct packet *p)
{
    push->count++;
    fate_note(push->user->sm, LEDGER_PUSHED, p, jid_full(push->jid), STR_NULL);
    take_summary(push, p);
    push_publish(push);
}

static bool belongs(const struct push *push, const struct session *session)
{
    return str_is(jid_resource(session->jid), push->resource);
}

static void note_session(struct session *session, const struct packet *p)
{
    for (struct push *push = session->user->pushes; push; push = push->next)
        if (belongs(push, session))
            note(push, p);
}

/* Devices without a session. What is for one other device alone is not for them, nor what they
 * would find neither in the queue nor in the archive (XEP-0334 section 4.2). */
void push_message(struct user *user, const struct packet *p, enum deliver_action action)
{
    if (!worthy(user, p) || !offline_keeps(p->stanza) ||
        (action == DELIVER_ONE && !carbons_concern(user, p)))
        return;
    for (struct push *push = user->pushes; push; push = push->next)
        if (!session_of(user, str_of(push->resource)))
            note(push, p);
}

/* Section 6, "number of pending subscription requests": they wait for whoever comes next. */
void push_request(struct user *user)
{
    for (struct push *push = user->pushes; push; push = push->next) {
        const struct session *session = session_of(user, str_of(push->resource));
        if (!session || session->asleep)
            push_publish(push);
    }
}

static bool has_push(const struct session *session)
{
    for (const struct push *push = session->user->pushes; push; push = push->next)
        if (belongs(push, session))
            return true;
    return false;
}

static enum path_result at_to_client(struct path_event *e)
{
    struct session *s = e->session;
    if (!e->user->pushes || (!s->asleep && !(s->csi && s->acks)) || !has_push(s) ||
        !worthy(e->user, e->packet))
        return PATH_PASS;
    if (s->asleep)
        note_session(s, e->packet);
    else
        push_watch(s);
    return PATH_PASS;
}

void push_unacknowledged(struct session *session, uint64_t age)
{
    uint64_t now = loop_now(session->user->sm->loop);
    LIST_EACH (it, &session->flights) {
        const struct flight *f = LIST_ENTRY(it, const struct flight, node);
        if (f->number <= session->push.upto || !worthy(session->user, f->packet))
            continue;
        if (f->since + age > now) {
            push_watch(session);
            return;
        }
        session->push.upto = f->number;
        note_session(session, f->packet);
    }
}

static enum path_result at_sleep(struct path_event *e)
{
    push_unwatch(e->session);
    if (e->user->pushes)
        push_unacknowledged(e->session, 0);
    return PATH_PASS;
}

/* Its device is here, and looks for itself. */
void push_here(struct session *session)
{
    for (struct push *push = session->user->pushes; push; push = push->next)
        if (belongs(push, session)) {
            push->count = 0;
            push_cancel(push);
        }
}

static enum path_result at_here(struct path_event *e)
{
    push_here(e->session);
    return PATH_PASS;
}

static enum path_result at_session_end(struct path_event *e)
{
    push_unwatch(e->session);
    return PATH_PASS;
}

/* --- switching: sections 4 and 5 --- */

struct request {
    struct iq *iq;
    struct push *added; /* NULL: it was there before */
};

static void on_saved(void *arg, enum error e, const struct store_rows *rows)
{
    struct request *r = arg;
    struct push *push = r->iq->user->pushes;
    while (push && push != r->added)
        push = push->next;
    if (!e)
        iq_result(r->iq);
    else if (push) /* nobody has removed it meanwhile */
        drop(push);
    iq_finish(r->iq, e ? send_condition(e) : STANZA_ERR_NONE);
    free(r);
}

/* The oldest give way: what a device of yesterday has left behind is in nobody's way. */
static struct store_txn *make_room(struct store_txn *t, struct user *user, uint32_t max)
{
    uint32_t count = 0;
    for (const struct push *push = user->pushes; push; push = push->next)
        count++;
    for (; count >= max; count--) {
        struct push *oldest = user->pushes;
        t = push_delete(t, jid_full(user->jid), jid_full(oldest->jid), str_of(oldest->node));
        drop(oldest);
    }
    return t;
}

static void enable(struct iq *iq, struct jid *jid, struct str node, struct stanza *options)
{
    struct user *user = iq->user;
    struct str owner = jid_full(user->jid), form = options ? stored_text(options) : STR_NULL;
    struct push_row row = {jid_full(jid), node, jid_resource(iq->session->jid), form};
    struct store_txn *t = store_begin(iq->sm->store);
    struct push *push = find(user, jid, node);
    struct request *r = MEM_NEW(struct request);
    if (!push) {
        t = make_room(t, user, (uint32_t)iq->sm->c->env->config->sm_max_push);
        push = r->added = add(user, jid, node);
    }
    set(push, row.resource, options);
    t = push_set(t, owner, &row);
    r->iq = iq_take(iq);
    store_commit(t, on_saved, r);
    free((char *)form.data);
}

/* The form of section 4 of its own; false: it is not one, or too big. */
static bool read_options(const struct iq *iq, struct stanza **ret)
{
    struct data_form form;
    *ret = NULL;
    if (!data_form_find(iq->packet->stanza, iq->payload, &form))
        return true;
    if (!str_eq(data_form_value(&form, "FORM_TYPE"), NS_PUBLISH_OPTIONS))
        return false;
    *ret = stanza_extract(form.stanza, form.x);
    if (stanza_size(*ret) <= MAX_OPTIONS)
        return true;
    stanza_unref(*ret);
    return false;
}

/* NULL, and a condition, when the request is not one of this user's, or names nobody. */
static struct jid *read_jid(const struct iq *iq, enum stanza_condition *ret)
{
    struct str jid = stanza_attr(iq->packet->stanza, iq->payload, STR("jid"));
    struct jid *parsed = NULL;
    if (!iq->session || !iq->owner)
        *ret = STANZA_ERR_FORBIDDEN;
    else if (iq->sm->c->env->config->sm_max_push == 0)
        *ret = STANZA_ERR_SERVICE_UNAVAILABLE;
    else if (!jid.len)
        *ret = STANZA_ERR_BAD_REQUEST;
    else if (!(parsed = jid_parse(jid)))
        *ret = STANZA_ERR_JID_MALFORMED;
    return parsed;
}

static enum stanza_condition on_enable(struct iq *iq)
{
    enum stanza_condition condition = STANZA_ERR_NONE;
    struct str node = stanza_attr(iq->packet->stanza, iq->payload, STR("node"));
    struct stanza *options;
    struct jid *jid = read_jid(iq, &condition);
    if (!jid)
        return condition;
    if (node.len > MAX_NODE || !read_options(iq, &options))
        condition = STANZA_ERR_BAD_REQUEST;
    else
        enable(iq, jid, node.len ? node : STR(""), options);
    jid_unref(jid);
    return condition;
}

/* Section 5: without a node all of the service. */
static enum stanza_condition on_disable(struct iq *iq)
{
    enum stanza_condition condition = STANZA_ERR_NONE;
    struct str node = stanza_attr(iq->packet->stanza, iq->payload, STR("node"));
    struct jid *jid = read_jid(iq, &condition);
    if (!jid)
        return condition;
    struct store_txn *t = store_begin(iq->sm->store);
    for (struct push *push = iq->user->pushes, *next; push; push = next) {
        next = push->next;
        if (!jid_eq(push->jid, jid) || (node.data && !str_is(node, push->node)))
            continue;
        t = push_delete(t, jid_full(iq->user->jid), jid_full(jid), str_of(push->node));
        drop(push);
    }
    jid_unref(jid);
    iq_commit(iq, t);
    return STANZA_ERR_NONE;
}

/* Section 7: the app server takes the right to publish away. */
static bool is_revoked(struct user *user, const struct packet *p)
{
    const struct stanza *s = p->stanza;
    stanza_el pubsub = stanza_child(s, STANZA_ROOT, STR("pubsub"), NS_PUBSUB);
    stanza_el el = pubsub == STANZA_NONE ? STANZA_NONE
                                         : stanza_child(s, pubsub, STR("affiliation"), NS_PUBSUB);
    if (el == STANZA_NONE || !str_is(stanza_attr(s, el, STR("affiliation")), "none") ||
        !str_eq(stanza_attr(s, el, STR("jid")), jid_full(user->jid)))
        return false;
    struct str node = stanza_attr(s, pubsub, STR("node"));
    struct push *push = find(user, p->from, node.len ? node : STR(""));
    if (push)
        push_remove(push);
    return push != NULL;
}

static enum path_result at_from_router(struct path_event *e)
{
    struct packet *p = e->packet;
    if (!e->user->pushes)
        return PATH_PASS;
    enum send_kind kind = send_kind_of(p->stanza);
    if (kind == SEND_IQ)
        return push_answered(e->sm, p) ? PATH_DONE : PATH_PASS;
    if (kind != SEND_MESSAGE || !is_revoked(e->user, p))
        return PATH_PASS;
    fate_obeyed(e->sm, p);
    return PATH_DONE;
}

/* --- life --- */

/* Section 3.1: told by the account. */
static void extend_account(struct iq *iq, struct builder *b)
{
    if (iq->sm->c->env->config->sm_max_push == 0)
        return;
    builder_start(b, STR("feature"), STR_NULL);
    builder_attr(b, STR("var"), NS_PUSH);
    builder_end(b);
}

static enum path_result at_start(struct path_event *e)
{
    e->sm->state[FEATURE_push] = push_publisher_create(e->sm);
    return PATH_PASS;
}

static enum path_result at_stop(struct path_event *e)
{
    push_publisher_destroy(e->sm->state[FEATURE_push]);
    e->sm->state[FEATURE_push] = NULL;
    return PATH_PASS;
}

static enum path_result at_user_gone(struct path_event *e)
{
    push_forget(e->user);
    return PATH_PASS;
}

static const struct iq_handler iqs[] = {{&NS_PUSH, "enable", IQ_TO_ACCOUNT | IQ_SET, on_enable},
                                        {&NS_PUSH, "disable", IQ_TO_ACCOUNT | IQ_SET, on_disable},
                                        {NULL, NULL, 0, NULL}};

const struct feature push_feature = {
    .name = "push",
    .at = {[PATH_START] = at_start,
           [PATH_STOP] = at_stop,
           [PATH_FROM_ROUTER] = at_from_router,
           [PATH_TO_CLIENT] = at_to_client,
           [PATH_SESSION_START] = at_here,
           [PATH_SESSION_SLEEP] = at_sleep,
           [PATH_SESSION_WAKE] = at_here,
           [PATH_SESSION_END] = at_session_end,
           [PATH_USER_GONE] = at_user_gone},
    .iqs = iqs,
    .extend_account = extend_account,
};
