/* Requests the server answers itself: dispatch to the features' handlers, and their answers. See
 * iq.h. */
#include "sm/iq.h"

#include <stdlib.h>
#include "base/mem.h"
#include "sm/send.h"
#include "xmpp/namespaces.h"

bool iq_valid(const struct stanza *s)
{
    struct str type = send_type(s);
    if (!stanza_attr(s, STANZA_ROOT, STR("id")).data)
        return false;
    if (str_is(type, "result") || str_is(type, "error"))
        return true;
    return (str_is(type, "get") || str_is(type, "set")) && stanza_children(s, STANZA_ROOT) == 1;
}

/* Owner or subscriber: who may know that the account is there. */
static void judge(struct iq *iq)
{
    if (!iq->user || !iq->user->active)
        return;
    iq->owner = jid_eq_bare(iq->packet->from, iq->user->jid);
    const struct roster_item *item = roster_find(&iq->user->roster, jid_bare(iq->packet->from));
    iq->entitled = iq->owner || (item && subscription_from(item->state));
}

bool iq_forbidden(struct user *user, struct packet *p)
{
    struct iq iq = {.sm = user->sm, .user = user, .packet = p};
    stanza_el payload = stanza_first(p->stanza, STANZA_ROOT);
    if (payload == STANZA_NONE || !str_is(send_type(p->stanza), "get"))
        return false;
    const struct iq_handler *handler = path_iq(
        stanza_ns(p->stanza, payload), stanza_name(p->stanza, payload), IQ_TO_ACCOUNT, IQ_GET);
    if (!handler || !(handler->flags & IQ_GUARDED))
        return false;
    judge(&iq);
    return !iq.entitled;
}

void iq_handle(struct sm *sm, struct user *user, struct session *session, struct packet *p)
{
    struct str type = send_type(p->stanza);
    struct iq iq = {.sm = sm, .user = user, .session = session, .packet = p};
    if (str_is(type, "result") || str_is(type, "error")) {
        packet_destroy(
            p); /* nobody waits for it, and it must not be answered: RFC 6120 section 8.2.3 */
        return;
    }
    if (!iq_valid(p->stanza)) {
        send_error(sm, session, p, STANZA_ERR_BAD_REQUEST, NULL);
        return;
    }
    judge(&iq);
    iq.set = str_is(type, "set");
    iq.payload = stanza_first(p->stanza, STANZA_ROOT);
    const struct iq_handler *handler =
        path_iq(stanza_ns(p->stanza, iq.payload), stanza_name(p->stanza, iq.payload),
                user ? IQ_TO_ACCOUNT : IQ_TO_SERVER, iq.set ? IQ_SET : IQ_GET);
    /* Not understood: RFC 6120 section 8.4, RFC 6121 section 8.5.2.1.3. */
    enum stanza_condition condition = handler ? handler->fn(&iq) : STANZA_ERR_SERVICE_UNAVAILABLE;
    if (condition && iq.packet)
        send_error_to(sm, session, iq.packet, condition, NULL);
    packet_destroy(iq.packet);
}

struct session *iq_session(const struct iq *iq)
{
    const struct packet *p = iq->packet;
    if (!iq->later || !p->sm.len)
        return iq->session;
    struct session *session = session_find(iq->sm, &p->sm);
    if (session)
        return session;
    struct user *user = user_find(iq->sm, jid_bare(p->from));
    return user ? session_of(user, jid_resource(p->from)) : NULL;
}

/* Our client asked and has gone since. */
static bool nobody_waits(const struct iq *iq, const struct session *session)
{
    return iq->later && iq->packet->sm.len && !session;
}

void iq_send(struct iq *iq, struct stanza *result)
{
    struct session *session = iq_session(iq);
    if (session)
        send_session(session, result, iq->packet->to, iq->packet->from);
    else if (iq->packet->to && !nobody_waits(iq, session))
        send_route(iq->sm, result, iq->packet->to, iq->packet->from);
    stanza_unref(result);
}

void iq_result(struct iq *iq)
{
    iq_send(iq, stanza_result(iq->packet->stanza, STR_NULL, STR_NULL));
}

struct builder *iq_result_open(struct iq *iq)
{
    return stanza_result_open(iq->packet->stanza, STR_NULL, STR_NULL);
}

void iq_result_send(struct iq *iq, struct builder *b)
{
    iq_send(iq, builder_finish(b));
}

/* --- answers that come later --- */

struct iq *iq_take(struct iq *iq)
{
    struct iq *taken = MEM_NEW(struct iq);
    *taken = *iq;
    taken->session = NULL;
    taken->later = true;
    iq->packet = NULL;
    if (taken->user)
        user_hold(taken->user);
    return taken;
}

void iq_finish(struct iq *iq, enum stanza_condition condition)
{
    struct session *session = iq_session(iq);
    if (condition && !nobody_waits(iq, session))
        send_error_to(iq->sm, session, iq->packet, condition, NULL);
    packet_destroy(iq->packet);
    if (iq->user)
        user_release(iq->user);
    free(iq);
}

void iq_again(struct iq *iq, enum stanza_condition (*fn)(struct iq *iq))
{
    struct iq again = *iq;
    again.session = iq_session(iq);
    enum stanza_condition condition = fn(&again);
    iq->packet = again.packet;
    if (iq->packet) {
        iq_finish(iq, condition);
        return;
    }
    if (iq->user)
        user_release(iq->user);
    free(iq);
}

static void on_committed(void *arg, enum error e, const struct store_rows *rows)
{
    struct iq *iq = arg;
    if (!e)
        iq_result(iq);
    iq_finish(iq, e ? send_condition(e) : STANZA_ERR_NONE);
}

void iq_commit(struct iq *iq, struct store_txn *t)
{
    store_commit(t, on_committed, iq_take(iq));
}
