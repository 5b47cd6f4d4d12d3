/* How stanzas leave: see send.h. */
#include "sm/send.h"

#include "sm/flight.h"
#include "sm/owed.h"
#include "sm/peer_lists.h"
#include "xmpp/delay.h"
#include "xmpp/namespaces.h"

/* True: it flies, because somebody waits for it or it is `guarded`, and that decides its fate. */
static bool begin_route(struct sm *sm, struct packet *p, bool guarded)
{
    fate_note(sm, LEDGER_ROUTED, p, jid_domain(p->to), STR_NULL);
    if ((p->promise || guarded) && owed_durable(p->stanza)) {
        flight_route(sm, p);
        return true;
    }
    owed_drop(p);
    fate_end(sm, p, FATE_SENT_ON);
    return false;
}

void send_packet(struct sm *sm, struct packet *p)
{
    /* Errors may leave: RFC 6120 section 8.2.3 wants an answer to every request. */
    if (peer_lists_refuse(sm, p->to) && !str_is(send_type(p->stanza), "error")) {
        fate_drop(sm, p, FATE_REASON_LISTED);
        return;
    }
    sm->counters.to_router++;
    if (begin_route(sm, p, flight_guards(sm, p)))
        return;
    /* The names are parts of the JIDs that the packet holds. */
    p->route_to = jid_domain(p->to);
    p->route_from = jid_domain(p->from);
    p->c2s.len = p->sm.len = 0;
    component_send(sm->c, p);
}

void send_moved(struct sm *sm, struct packet *p)
{
    if (begin_route(sm, p, false))
        return;
    p->route_to = p->route_from = jid_domain(p->to);
    p->c2s.len = p->sm.len = 0;
    component_send(sm->c, p);
}

/* `trace` 0: the message is a new one. */
static void route(struct sm *sm, struct stanza *s, struct jid *from, struct jid *to,
                  struct promise *promise, uint64_t trace)
{
    struct packet *p = packet_create(PACKET_STANZA, STR_NULL, STR_NULL);
    p->stanza = stanza_ref(s);
    p->from = jid_ref(from);
    p->to = jid_ref(to);
    p->promise = promise ? promise_ref(promise) : NULL;
    p->born = loop_now(sm->loop);
    p->trace = trace;
    fate_take(sm, p, FATE_FROM_SERVER);
    send_packet(sm, p);
}

void send_route_promised(struct sm *sm, struct stanza *s, struct jid *from, struct jid *to,
                         struct promise *promise)
{
    route(sm, s, from, to, promise, 0);
}

void send_route(struct sm *sm, struct stanza *s, struct jid *from, struct jid *to)
{
    send_route_promised(sm, s, from, to, NULL);
}

static void to_client(struct session *session, struct packet *p, enum ledger_event how)
{
    struct sm *sm = session->user->sm;
    p->c2s = session->c2s;
    p->sm = session->sm;
    struct path_event e = {.sm = sm, .user = session->user, .session = session, .packet = p};
    if (path_run(&sm->path, PATH_TO_CLIENT, &e) == PATH_DONE)
        return;
    sm->counters.to_clients++;
    fate_note(sm, how, p, jid_full(session->jid), session->asleep ? STR("which sleeps") : STR_NULL);
    flight_deliver(session, p);
}

static struct packet *for_session(struct session *session, struct stanza *s, struct jid *from,
                                  struct jid *to, struct promise *promise)
{
    struct sm *sm = session->user->sm;
    struct packet *p = packet_create(PACKET_STANZA, peer_name(session->peer), str_of(sm->c->id));
    p->stanza = stanza_ref(s);
    p->from = from ? jid_ref(from) : NULL;
    p->to = to ? jid_ref(to) : NULL;
    p->promise = promise ? promise_ref(promise) : NULL;
    p->born = loop_now(sm->loop);
    return p;
}

void send_session(struct session *session, struct stanza *s, struct jid *from, struct jid *to)
{
    to_client(session, for_session(session, s, from, to, NULL), LEDGER_DELIVERED);
}

void send_copy(struct session *session, struct stanza *s, const struct packet *original)
{
    struct packet *p = for_session(session, s, session->user->jid, session->jid, NULL);
    p->trace = original->trace;
    to_client(session, p, LEDGER_CARBON);
}

void send_stored(struct session *session, struct stanza *s, struct promise *promise, uint64_t trace)
{
    struct packet *p = for_session(session, s, NULL, NULL, promise);
    p->trace = trace;
    to_client(session, p, LEDGER_DELIVERED);
}

void send_session_packet(struct session *session, const struct packet *original)
{
    struct packet *p =
        for_session(session, original->stanza, original->from, original->to, original->promise);
    p->delay = original->delay ? stanza_ref(original->delay) : NULL;
    p->born = original->born;
    p->trace = original->trace;
    to_client(session, p, LEDGER_DELIVERED);
}

bool send_error_to(struct sm *sm, struct session *session, const struct packet *p,
                   enum stanza_condition condition, const char *text)
{
    struct str from = p->to ? jid_full(p->to) : STR_NULL, domain = jid_domain(p->from);
    /* To our own users, who may find it when they come back (deliver.c). */
    bool own = send_kind_of(p->stanza) == SEND_MESSAGE && sm_domain(sm, domain);
    struct stanza *error = stanza_error_reply_by(p->stanza, from, jid_full(p->from),
                                                 own ? domain : STR_NULL, condition, text);
    if (!error)
        return false;
    sm->counters.errors++;
    fate_note(sm, LEDGER_BOUNCED, p, p->to ? jid_full(p->to) : STR_NULL,
              stanza_error_element(condition));
    /* Who waits for the stanza waits for its error now (reliability.md C.1 c); a question, which
     * changes nothing, can be asked again. */
    if (session) {
        bool question = send_kind_of(p->stanza) == SEND_IQ && str_is(send_type(p->stanza), "get");
        struct packet *back =
            for_session(session, error, p->to, p->from, question ? NULL : p->promise);
        back->trace = p->trace;
        to_client(session, back, LEDGER_DELIVERED);
    } else if (p->to) {
        route(sm, error, p->to, p->from, p->promise, p->trace);
    }
    stanza_unref(error);
    return true;
}

void send_error(struct sm *sm, struct session *session, struct packet *p,
                enum stanza_condition condition, const char *text)
{
    if (!send_error_to(sm, session, p, condition, text)) {
        fate_drop(sm, p, FATE_REASON_NO_ANSWER);
        return;
    }
    fate_end(sm, p, FATE_BOUNCED);
    packet_destroy(p);
}

enum stanza_condition send_condition(enum error e)
{
    if (e == ERR_NOT_FOUND)
        return STANZA_ERR_ITEM_NOT_FOUND;
    return e == ERR_STORE_FULL || e == ERR_TOO_BIG ? STANZA_ERR_RESOURCE_CONSTRAINT
                                                   : STANZA_ERR_INTERNAL_SERVER_ERROR;
}

enum send_kind send_kind_of(const struct stanza *s)
{
    struct str name = stanza_name(s, STANZA_ROOT);
    if (str_eq(name, STR("message")))
        return SEND_MESSAGE;
    if (str_eq(name, STR("presence")))
        return SEND_PRESENCE;
    return str_eq(name, STR("iq")) ? SEND_IQ : SEND_UNKNOWN;
}

bool send_is_our_delay(const struct sm *sm, const struct stanza *s, stanza_el el)
{
    if (!stanza_is(s, el, STR("delay"), NS_DELAY))
        return false;
    struct jid *from = jid_parse(stanza_attr(s, el, STR("from"))); /* however it is written */
    bool ours = from && !from->local_len && sm_domain(sm, jid_domain(from));
    jid_unref(from);
    return ours;
}

void send_delay(struct sm *sm, struct packet *p, struct str by, int64_t since, const char *reason)
{
    const struct stanza *s = p->stanza;
    if (p->delay || send_kind_of(s) != SEND_MESSAGE)
        return;
    for (stanza_el el = stanza_first(s, STANZA_ROOT); el != STANZA_NONE; el = stanza_next(s, el))
        if (send_is_our_delay(sm, s, el))
            return;
    p->delay = delay_create(by, since, reason);
}

struct str send_type(const struct stanza *s)
{
    return stanza_attr(s, STANZA_ROOT, STR("type"));
}
