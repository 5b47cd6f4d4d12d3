/* Input: what comes in to an sm is sorted here - session actions, stanzas from our clients, stanzas
 * from the router, bounces - and handed to the file that knows the rules.
 */
#include "sm/input.h"

#include "sm/acks.h"
#include "sm/ask.h"
#include "sm/carbons.h"
#include "sm/csi.h"
#include "sm/deliver.h"
#include "sm/flight.h"
#include "sm/iq.h"
#include "sm/mam.h"
#include "sm/outbox.h"
#include "sm/owed.h"
#include "sm/presence.h"
#include "sm/push.h"
#include "sm/send.h"

#define ROUTE_NOT_FOUND 404 /* jabberd2.md 1.2 */

/* --- from our clients --- */

/* The c2s believes in a session that we do not have: after a crash of ours, or a race with its end.
 * The client may try again; the c2s starts the session anew, as after any shutdown of an sm. */
static void unknown_session(struct sm *sm, struct packet *p)
{
    struct stanza *error = p->receipt.number
                               ? NULL /* its c2s keeps it for the next session */
                               : stanza_error_reply(p->stanza, STR_NULL, STR_NULL,
                                                    STANZA_ERR_RECIPIENT_UNAVAILABLE, NULL);
    if (error) {
        struct packet *refusal = packet_create(PACKET_STANZA, p->route_from, str_of(sm->c->id));
        refusal->stanza = error;
        refusal->c2s = p->c2s;
        refusal->sm = p->sm;
        component_send(sm->c, refusal);
    }
    struct packet *ended = packet_create_session(p->route_from, str_of(sm->c->id), SESSION_ENDED,
                                                 p->from, STR("system-shutdown"));
    ended->c2s = p->c2s;
    ended->sm = p->sm;
    component_send(sm->c, ended);
    packet_destroy(p);
}

/* `from` is the session's, whatever the client wrote; `to` is looked at once. False: answered with
 * an error. */
static bool stamp(struct session *session, struct packet *p)
{
    jid_unref(p->from);
    p->from = jid_ref(session->jid);
    if (p->to)
        return true;
    struct str to = stanza_attr(p->stanza, STANZA_ROOT, STR("to"));
    if (!to.data)
        return true;
    p->to = jid_parse(to);
    if (p->to)
        return true;
    send_error(session->user->sm, session, p, STANZA_ERR_JID_MALFORMED, NULL);
    return false;
}

static void client_iq(struct session *session, struct packet *p)
{
    struct user *user = session->user;
    struct sm *sm = user->sm;
    if (!iq_valid(p->stanza))
        send_error(sm, session, p, STANZA_ERR_BAD_REQUEST, NULL);
    else if (!p->to || jid_eq(p->to, user->jid)) /* RFC 6120 section 10.3.3 */
        iq_handle(sm, user, session, p);
    else if (!p->to->local_len && sm_domain(sm, jid_domain(p->to)))
        deliver_domain(sm, session, p);
    else
        send_packet(sm, p);
}

static void client_message(struct session *session, struct packet *p)
{
    struct sm *sm = session->user->sm;
    if (!p->to) /* RFC 6120 section 10.3.1 */
        p->to = jid_ref(session->user->jid);
    struct mam_id id = mam_sent(session->user, p);
    if (session->user->carbons.enabled)
        carbons_sent(session, p, id);
    if (outbox_comes_again(sm, p)) {
        fate_end(sm, p, FATE_STORED);
        packet_destroy(p);
        return;
    }
    send_packet(sm, p);
}

static void client_stanza(struct session *session, struct packet *p)
{
    struct user *user = session->user;
    struct sm *sm = user->sm;
    struct path_event e = {.sm = sm, .user = user, .session = session, .packet = p};
    if (path_run(&sm->path, PATH_FROM_CLIENT, &e) == PATH_DONE)
        return;
    switch (send_kind_of(p->stanza)) {
    case SEND_MESSAGE:
        client_message(session, p);
        break;
    case SEND_PRESENCE:
        presence_from_client(session, p);
        break;
    case SEND_IQ:
        client_iq(session, p);
        break;
    case SEND_UNKNOWN:
        packet_destroy(p);
        break;
    }
}

/* The c2s has something to say to its client, and we count it (XEP-0198). */
static void echo(struct session *session, struct packet *p)
{
    send_session(session, p->stanza, NULL, NULL);
    packet_destroy(p);
}

static void on_client_stanza(struct sm *sm, struct packet *p)
{
    struct session *session = session_find(sm, &p->sm);
    sm->counters.from_clients++;
    if (!session || !str_eq(session_id_str(&session->c2s), session_id_str(&p->c2s))) {
        unknown_session(sm, p);
        return;
    }
    struct user *user = session->user;
    if (session->stale)
        session_heard(session);
    user_hold(user);
    rate_count(&user->stanzas, loop_now(sm->loop));
    if (p->receipt.number && !owed_take(sm, p)) {
        packet_destroy(p);
    } else if (p->failed && session->acks) {
        echo(session, p);
    } else {
        fate_take(sm, p, FATE_FROM_CLIENT);
        if (user->state == USER_DELETING)
            fate_drop(sm, p, FATE_REASON_DELETED);
        else if (stamp(session, p))
            client_stanza(session, p);
    }
    user_release(user);
}

/* --- session actions --- */

void input_user_action(struct sm *sm, struct packet *p)
{
    if (!p->target || !p->target->local_len || !sm_domain(sm, jid_domain(p->target)) ||
        (p->action == SESSION_START && jid_is_bare(p->target))) {
        session_answer(sm, p, p->action, STR("jid-malformed"));
        return;
    }
    struct user *user = user_get(sm, p->target);
    if (user->state != USER_READY) {
        if (!user_wait(user, p))
            session_answer(sm, p, p->action, STR("resource-constraint"));
    } else if (p->action == SESSION_START) {
        session_start(user, p);
    } else if (p->action == SESSION_RESUME) {
        acks_resume(user, p);
    } else if (p->action == SESSION_CREATE) {
        user_create(user, p);
    } else {
        user_delete(user, p);
    }
    user_release(user);
}

static void on_session_end(struct sm *sm, struct packet *p)
{
    struct session *session = session_find(sm, &p->sm);
    bool moved = str_is(p->reason, "moved");
    bool lost = str_is(p->reason, "lost"),
         other =
             session && session->acks && !moved &&
             (session->asleep || !str_eq(session_id_str(&session->c2s), session_id_str(&p->c2s)));
    session_answer(sm, p, SESSION_ENDED, STR_NULL); /* also when it had ended already */
    if (other)                                      /* only a former stream of it */
        return;
    if (session && lost) {
        session_lost(session);
        return;
    }
    if (session && moved) {
        /* It goes on at the sm that has the user now: nobody is told that it went. */
        stanza_unref(session->presence);
        session->presence = NULL;
    }
    if (session)
        session_end(session);
    if (moved)
        user_unload_idle(sm);
}

/* XEP-0352: in its place among the stanzas of the client (section 5.1). */
static void on_session_state(struct sm *sm, struct packet *p)
{
    struct session *session = session_find(sm, &p->sm);
    if (session && str_eq(session_id_str(&session->c2s), session_id_str(&p->c2s))) {
        csi_set(session, str_is(p->reason, "inactive"));
        if (!session->csi)
            push_here(session);
    }
    packet_destroy(p);
}

static void on_session_enable(struct sm *sm, struct packet *p)
{
    struct session *session = session_find(sm, &p->sm);
    if (session && str_eq(session_id_str(&session->c2s), session_id_str(&p->c2s)) &&
        acks_enable(session, p->reason))
        session_answer(sm, p, SESSION_ENABLED, STR_NULL);
    else
        packet_destroy(p);
}

static void on_session_packet(struct sm *sm, struct packet *p)
{
    if (p->failed) { /* a refusal bears the action of the request that was ours */
        ask_session_answered(sm, p);
        packet_destroy(p);
        return;
    }
    switch (p->action) {
    case SESSION_CREATE:
    case SESSION_DELETE:
    case SESSION_START:
    case SESSION_RESUME:
        input_user_action(sm, p);
        break;
    case SESSION_ENABLE:
        on_session_enable(sm, p);
        break;
    case SESSION_END:
        on_session_end(sm, p);
        break;
    case SESSION_CREATED:
    case SESSION_DELETED:
        ask_session_answered(sm, p);
        packet_destroy(p);
        break;
    case SESSION_STATE:
        on_session_state(sm, p);
        break;
    case SESSION_STARTED: /* answers: ours to give, not to get */
    case SESSION_ENDED:
    case SESSION_REPLACED:
    case SESSION_ENABLED:
    case SESSION_RESUMED:
        packet_destroy(p);
        break;
    }
}

/* --- what we sent came back because nobody is there --- */

/* Others may have had it: what they get now says that it is late (XEP-0203). */
static void return_undelivered(struct sm *sm, struct packet *p, uint64_t number)
{
    if (deliver_addresses(p))
        send_delay(sm, p, jid_domain(p->to), loop_wall(sm->loop), NULL);
    deliver_returned(sm, p, number);
}

/* The router turned it round: the whole c2s has gone. Or our own link did, which is lost: it goes
 * when the session is heard of again. */
static void back_from_c2s(struct sm *sm, struct packet *p)
{
    struct session *session = session_find(sm, &p->sm);
    if (session && !link_is_up(sm->c->link)) {
        flight_hold(session, p);
        return;
    }
    if (session)
        session_lost(session);
    if (p->receipt.number && flight_bounced(sm, p))
        return;
    p->error = 0;
    p->c2s.len = p->sm.len = 0;
    uint64_t number = p->receipt.number;
    p->receipt.number = 0;
    return_undelivered(sm, p, number);
}

/* False: there is nobody to be told. */
static bool tell_sender(struct sm *sm, struct packet *p, enum stanza_condition condition)
{
    bool told = false;
    struct user *user = user_find(sm, jid_bare(p->from));
    for (struct session *s = user ? user->sessions : NULL; s; s = s->next)
        if (jid_is_bare(p->from) ? s->interested : jid_eq(s->jid, p->from)) {
            send_error_to(sm, s, p, condition, NULL);
            told = true;
        }
    return told;
}

/* A name that nobody has bound: a domain of ours whose sm is away, another's domain while s2s is
 * away (reliability.md C.2), or one that nobody speaks with. */
static enum stanza_condition why_bounced(const struct sm *sm, const struct packet *p)
{
    if (sm_domain(sm, jid_domain(p->to)))
        return STANZA_ERR_SERVICE_UNAVAILABLE;
    return p->error == ROUTE_NOT_FOUND && flight_s2s_lost(sm) ? STANZA_ERR_REMOTE_SERVER_TIMEOUT
                                                              : stanza_error_from_route(p->error);
}

/* He hears of it when he comes back (deliver.c). False: it is nothing that would be kept for him.
 */
static bool tell_later(struct sm *sm, struct packet *p, enum stanza_condition condition)
{
    struct stanza *error = NULL;
    struct jid *from = p->from;
    if (send_kind_of(p->stanza) == SEND_MESSAGE && sm_domain(sm, jid_domain(from)))
        error = stanza_error_reply_by(p->stanza, jid_full(p->to), jid_full(from), jid_domain(from),
                                      condition, NULL);
    if (!error)
        return false;
    fate_note(sm, LEDGER_BOUNCED, p, jid_full(p->to), stanza_error_element(condition));
    stanza_unref(p->stanza);
    p->stanza = error;
    p->from = p->to;
    p->to = from;
    p->error = 0;
    deliver(sm, p);
    return true;
}

static void on_bounce(struct sm *sm, struct packet *p)
{
    if (p->kind == PACKET_STANZA && p->c2s.len) {
        back_from_c2s(sm, p);
        return;
    }
    if (p->kind == PACKET_SESSION)
        ask_session_answered(sm, p);
    if (p->kind == PACKET_STANZA && p->receipt.number && flight_bounced(sm, p))
        return;
    if (p->kind == PACKET_STANZA && p->from && p->to && !push_bounced(sm, p)) {
        /* Broadcasts and probes carry no `to` of the client's: it did not ask, so it is not told.
         */
        bool asked = send_kind_of(p->stanza) != SEND_PRESENCE ||
                     stanza_attr(p->stanza, STANZA_ROOT, STR("to")).data;
        fate_take(sm, p, FATE_FROM_RETURNED);
        enum stanza_condition why = why_bounced(sm, p);
        if (asked && !tell_sender(sm, p, why)) {
            if (!tell_later(sm, p, why))
                fate_drop(sm, p, FATE_REASON_NO_SENDER);
            return;
        }
        fate_end(sm, p, FATE_BOUNCED);
    }
    packet_destroy(p);
}

/* From another component of this server. Strangers' stanzas are in jabber:client, whatever they
 * wrote. */
static bool internal(const struct packet *p)
{
    return (p->kind == PACKET_STANZA || p->kind == PACKET_BROADCAST) && deliver_is_internal(p);
}

void input_packet(struct component *c, struct packet *p)
{
    struct sm *sm = c->state;
    uint64_t answers = p->receipt.answers;
    if (receipts_take(sm->receipts, p))
        return;
    if (internal(p)) {
        deliver_internal(sm, p);
    } else if (p->error) {
        on_bounce(sm, p);
    } else if (answers && !flight_answered(sm, p)) {
        packet_destroy(p); /* dealt with already */
    } else if (p->kind == PACKET_SESSION) {
        on_session_packet(sm, p);
    } else if (p->kind == PACKET_STANZA && p->sm.len) {
        on_client_stanza(sm, p);
    } else if (p->kind == PACKET_STANZA && hash_get(&sm->peers, p->route_from)) {
        if (answers && send_kind_of(p->stanza) == SEND_PRESENCE)
            packet_destroy(p);
        else
            return_undelivered(sm, p, answers);
    } else if (p->kind == PACKET_STANZA) {
        sm->counters.from_router++;
        if (p->receipt.number && !owed_take(sm, p)) {
            packet_destroy(p);
        } else if (deliver_addresses(p) && outbox_comes_again(sm, p)) {
            packet_destroy(p);
        } else {
            fate_take(sm, p, FATE_FROM_ROUTER);
            deliver(sm, p);
        }
    } else {
        packet_destroy(p); /* broadcasts and log copies are for others */
    }
}
