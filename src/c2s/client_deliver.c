/* To the client: a packet's stanza is written straight into the connection's output queue. A client
 * that reads more slowly than it is sent to is cut when its queue is full - nobody else waits for
 * it (reliability.md B 39) - and what cannot be delivered goes back, so that the session manager
 * finds another resource, keeps it, or tells the sender.
 */
#include "c2s/client_acks.h"

#include "base/mem.h"
#include "xmpp/namespaces.h"

/* Errors and results are not answered, presence is not worth it. But where the sm keeps it, it
 * alone knows whether the client may come back for it (XEP-0198): to call that handled would be an
 * acknowledgement that the client never gave. */
static bool worth_returning(const struct packet *p)
{
    struct str type = stanza_attr(p->stanza, STANZA_ROOT, STR("type"));

    return p->receipt.number || (!str_is(type, "error") && !str_is(type, "result") &&
                                 !str_is(stanza_name(p->stanza, STANZA_ROOT), "presence"));
}

/* To the session manager it came from, without session ids: it knows that this one was for a client
 * that has gone, and does what RFC 6121 section 8.5.3.2 says - another resource, the offline queue,
 * or an error. */
static void send_back(struct c2s *s, struct packet *p, struct str why)
{
    struct packet *back;

    s->count.bounced++;
    ledger_note(&s->component->pen, LEDGER_RETURNED, p->trace, STR_NULL, why);
    if (p->receipt.number) /* it may come again */
        receipts_forget(s->receipts, p->receipt.origin, p->receipt.number);
    if (worth_returning(p)) {
        back = packet_create(PACKET_STANZA, p->route_from, c2s_id(s));
        back->stanza = p->stanza;
        back->from = p->from;
        back->to = p->to;
        back->delay = p->delay;
        back->born = p->born;
        back->trace = p->trace;
        back->receipt.answers = p->receipt.number;
        p->stanza = p->delay = NULL;
        p->from = p->to = NULL;
        component_send(s->component, back);
    }
    packet_destroy(p);
}

/* The session is not there any more. The sm hears of it first, or it would send the stanza here
 * again. */
static void no_session(struct c2s *s, struct packet *p)
{
    struct packet *end;
    char id[LEDGER_ID + 1];

    if (p->c2s.len == 0 || p->sm.len == 0) {
        if (log_limit_pass(&s->limit_packet, c2s_now(s), &s->component->log))
            log_warn(&s->component->log, "dropped a stanza from %.*s that names no session (%s)",
                     STR_ARG(p->route_from), ledger_id_text(p->trace, id));
        ledger_note(&s->component->pen, LEDGER_DROPPED, p->trace, STR_NULL,
                    STR("it names no session"));
        packet_destroy(p);
        return;
    }
    end = packet_create_session(p->route_from, c2s_id(s), SESSION_END, NULL, STR_NULL);
    end->c2s = p->c2s;
    end->sm = p->sm;
    component_send(s->component, end);
    send_back(s, p, STR("its client has gone"));
}

/* What was stored for it while it was away, by our own stamp (XEP-0203): forged ones are stripped.
 */
static bool was_stored(const struct client *c, const struct stanza *s)
{
    stanza_el delay = stanza_child(s, STANZA_ROOT, STR("delay"), NS_DELAY);

    return delay != STANZA_NONE && str_eq(stanza_attr(s, delay, STR("from")), str_of(c->domain));
}

/* Over c2s.max_queue a client does not read - but for its own stored messages, which come all at
 * once. Those, and what comes behind them, may wait as long as some of them leave. */
static bool too_slow(struct client *c, const struct packet *p, size_t size)
{
    size_t queued = conn_queued(c->conn);
    uint64_t now = c2s_now(c->c2s), drained = c->delivered > queued ? c->delivered - queued : 0;

    if (queued + size <= c->c2s->max_queue) {
        c->slow_since = 0;
        return false;
    }
    if (c->slow_since == 0 && !was_stored(c, p->stanza))
        return true;
    if (c->slow_since == 0 || drained > c->slow_drained) {
        c->slow_since = now;
        c->slow_drained = drained;
    }
    return queued + size > c->c2s->max_queue * CLIENT_QUEUE_BURST ||
           now - c->slow_since >= CLIENT_SLOW_MS;
}

static void cut_slow(struct client *c, struct packet *p)
{
    struct c2s *s = c->c2s;
    struct log log = client_log(c);

    s->count.slow++;
    if (log_limit_pass(&s->limit_slow, c2s_now(s), &s->component->log))
        log_warn(&log, "cut: it does not read, %zu bytes are queued for it (c2s.max_queue)",
                 conn_queued(c->conn));
    client_error(c, STREAM_ERR_POLICY_VIOLATION, "you read too slowly");
    send_back(s, p, STR("its client reads too slowly"));
}

void client_deliver(struct c2s *s, struct packet *p)
{
    struct client *c = p->c2s.len ? hash_get(&s->sessions, session_id_str(&p->c2s)) : NULL;
    size_t size, used;
    char *room;

    if (!p->stanza || (p->receipt.number && !receipts_admit(s->receipts, p))) {
        packet_destroy(p);
        return;
    }
    /* What an sm said before its session moved to another is said to the client all the same. */
    if (!c || (c->phase != SESSION_ATTACHED && c->state != STREAM_BOUND)) {
        no_session(s, p);
        return;
    }
    if (p->failed) { /* what its presence is, for a stream that did not send it (XEP-0198) */
        stanza_unref(c->presence);
        c->presence = stanza_ref(p->stanza);
        packet_destroy(p);
        return;
    }
    size = packet_write_size(p);
    if (too_slow(c, p, size)) {
        cut_slow(c, p);
        return;
    }
    room = conn_reserve(c->conn, size);
    if (!room) {
        client_lost(c, "the connection is broken");
        send_back(s, p, STR("the connection is broken"));
        return;
    }
    used = packet_write_to(p, room);
    conn_commit(c->conn, used);
    c->delivered += used;
    s->count.bytes_out += used;
    s->count.stanzas_out++;
    ledger_note(&s->component->pen, LEDGER_WRITTEN, p->trace, jid_full(c->jid), STR_NULL);
    if (client_acks_on(c))
        client_acks_wrote(c, p); /* the client answers */
    else if (p->receipt.number)
        receipts_handled(s->receipts, p->receipt.origin, p->receipt.number);
    packet_destroy(p);
}
