/* Stanzas between servers, and their acknowledgements (XEP-0198).
 *
 * In: each stanza's pair of domains must have been proven on this stream. It then leaves for the
 * router as one of jabber:client. Out: what the stream takes is written; with acknowledgements it
 * is kept until the other server has said that it has it.
 */
#include <stdio.h>

#include "base/mem.h"
#include "s2s/s2s_conn.h"
#include "xmpp/namespaces.h"

#define ROUTE_NOT_FOUND 404 /* jabberd2.md 1.2 */
#define ROUTE_NO_ROOM   503
#define UNHANDLED_MAX   500 /* of one stream; then it is not read */

/* --- in --- */

/* Section 4.9.3: why a stanza for this pair ends the stream; NONE: it may come in. */
static enum stream_condition check_pair(const struct s2s_conn *c, const struct jid *from,
                                        const struct jid *to)
{
    if (!from || !to)
        return STREAM_ERR_IMPROPER_ADDRESSING; /* sections 8.1.1.2, 8.1.2.2 */
    if (s2s_proof_find(c, jid_domain(from), jid_domain(to)))
        return s2s_is_local(c->s2s, jid_domain(to)) ? STREAM_ERR_NONE : STREAM_ERR_HOST_GONE;
    LIST_EACH (it, &c->proofs) {
        const struct proof *p = LIST_ENTRY(it, const struct proof, node);
        if (str_eq((struct str){p->remote, p->remote_len}, jid_domain(from)))
            return s2s_is_local(c->s2s, jid_domain(to)) ? STREAM_ERR_NOT_AUTHORIZED
                                                        : STREAM_ERR_HOST_UNKNOWN;
    }
    return STREAM_ERR_INVALID_FROM; /* section 4.9.3.9; B 47 */
}

static struct jid *address_of(const struct stanza *s, struct str name)
{
    struct str text = stanza_attr(s, STANZA_ROOT, name);

    return text.data ? jid_parse(text) : NULL;
}

/* To another server's user, about what they sent. */
static void answer_error(struct s2s *s, const struct stanza *stanza, struct jid *from,
                         struct jid *to, enum stanza_condition condition)
{
    struct stanza *error =
        stanza_error_reply(stanza, jid_full(to), jid_full(from), condition, NULL);
    struct packet *back;

    if (!error)
        return;
    back = packet_create(PACKET_STANZA, jid_domain(from), str_of(s->component->id));
    back->stanza = error;
    back->from = jid_ref(to);
    back->to = jid_ref(from);
    remote_send(s, back);
}

/* Whoever sent it hears of it when it has been handled, not before (reliability.md C.1); until then
 * it may have to go once more. */
static void keep(struct s2s_conn *c, struct packet *p)
{
    struct unhandled_stanza *stanza = unhandled_open(&c->in);

    unhandled_send(stanza, p);
    unhandled_close(stanza);
    if (c->in.count > UNHANDLED_MAX)
        s2s_flow_pause(c, S2S_PAUSE_SLOW);
}

/* A stream without acknowledgements: nobody would send it again, should it be lost with a session
 * manager or a router. A message is not, as long as there is room. */
static void keep_loose(struct s2s *s, struct packet *p)
{
    struct unhandled_stanza *stanza;

    if (!str_is(stanza_name(p->stanza, STANZA_ROOT), "message") ||
        s->loose.bytes >= (size_t)s2s_config(s)->s2s_max_queue)
        return;
    stanza = unhandled_open(&s->loose);
    unhandled_send(stanza, p);
    unhandled_close(stanza);
}

/* It goes no further than here, but it has come. */
static void drop(struct s2s_conn *c, struct stanza *stanza, struct jid *from, struct jid *to)
{
    if (c->sm_counting)
        unhandled_close(unhandled_open(&c->in));
    jid_unref(from);
    jid_unref(to);
    stanza_unref(stanza);
}

void s2s_stanza_in(struct s2s_conn *c, struct stanza *stanza)
{
    struct s2s *s = c->s2s;
    struct jid *from = address_of(stanza, STR("from")), *to = address_of(stanza, STR("to"));
    enum stream_condition condition = check_pair(c, from, to);
    struct packet *p;

    if (condition != STREAM_ERR_NONE) {
        jid_unref(from);
        jid_unref(to);
        stanza_unref(stanza);
        s2s_conn_error(c, condition, NULL);
        return;
    }
    s->count.stanzas_in++;
    c->stanzas++;
    s2s_conn_used(c);
    if (!s2s_flow_stanza(s, s2s_proof_find(c, jid_domain(from), jid_domain(to))->source, stanza)) {
        answer_error(s, stanza, from, to, STANZA_ERR_RESOURCE_CONSTRAINT);
        drop(c, stanza, from, to);
        return;
    }
    if (s2s_ping_answer(s, stanza, from, to)) {
        drop(c, stanza, from, to);
        return;
    }
    p = packet_create(PACKET_STANZA, jid_domain(to), str_of(s->component->id));
    p->stanza = stanza_with_ns(stanza, NS_CLIENT);
    p->from = from;
    p->to = to;
    p->born = s2s_now(s);
    ledger_enter(&s->component->pen, p);
    stanza_unref(stanza);
    bool waits = s2s_held_waits(s, to);
    if (c->sm_counting)
        keep(c, p);
    else if (!waits)
        keep_loose(s, p);
    /* Not before what waits for its domain, though the router may know that one again already. */
    if (!waits)
        component_send(s->component, p);
    else if (c->sm_counting)
        packet_destroy(p);
    else
        s2s_held_take(s, p);
}

static void write_ack(struct s2s_conn *c)
{
    struct buffer out;

    buffer_init(&out, 128);
    buffer_printf(&out, "<a xmlns='urn:xmpp:sm:3' h='%u'/>", unhandled_h(&c->in));
    s2s_conn_write_buffer(c, &out);
    c->ack_owed = c->in.count > 0;
}

void s2s_stanza_handled(void *s2s, uint64_t number)
{
    struct s2s *s = s2s;
    struct unhandled *in = unhandled_receipt(&s->unhandled, number);
    struct s2s_conn *c;

    if (!in || in == &s->loose)
        return;
    c = MEM_CONTAINER(in, struct s2s_conn, in);
    if (c->in.count <= UNHANDLED_MAX / 2)
        s2s_flow_resume(c, S2S_PAUSE_SLOW);
    if (c->ack_owed && c->in.count == 0)
        write_ack(c);
}

struct repeat {
    struct s2s *s2s;
    struct str local;
};

static void send_again(void *arg, struct packet *p)
{
    const struct repeat *repeat = arg;
    struct component *component = repeat->s2s->component;

    if (!str_eq(jid_domain(p->to), repeat->local)) {
        packet_destroy(p);
        return;
    }
    p->route_to = jid_domain(p->to);
    p->route_from = str_of(component->id);
    component_send(component, p);
}

void s2s_stanza_repeat(struct s2s *s, struct str local)
{
    struct repeat repeat = {s, local};

    unhandled_repeat(&s->loose, send_again, &repeat);
    LIST_EACH (it, &s->conns)
        unhandled_repeat(&LIST_ENTRY(it, struct s2s_conn, node)->in, send_again, &repeat);
}

void s2s_stanza_refuse(struct s2s *s, struct packet *p, enum stanza_condition condition)
{
    ledger_note(&s->component->pen, LEDGER_BOUNCED, p->trace, STR_NULL,
                stanza_error_element(condition));
    if (p->from && p->to && !s2s_is_local(s, jid_domain(p->from)))
        answer_error(s, p->stanza, p->from, p->to, condition);
    packet_destroy(p);
}

void s2s_stanza_returned(struct s2s *s, struct packet *p)
{
    /* 503 of a router is that its queue is full, of our link that it is lost. */
    bool lost = p->error == ROUTE_NO_ROOM && !link_is_up(s->component->link);
    bool away = (lost || p->error == ROUTE_NOT_FOUND) && p->from && p->to &&
                domains_find(&s->domains, jid_domain(p->to));

    /* It is kept: when the domain is served again it goes there once more. */
    if (p->receipt.number && away) {
        packet_destroy(p);
        return;
    }
    if (away) {
        s2s_held_take(s, p);
        return;
    }
    if (p->receipt.number)
        s2s_stanza_handled(s, p->receipt.number);
    s2s_stanza_refuse(s, p,
                      p->error == ROUTE_NO_ROOM ? STANZA_ERR_RESOURCE_CONSTRAINT
                                                : STANZA_ERR_SERVICE_UNAVAILABLE);
}

/* --- out --- */

static bool write_packet(struct s2s_conn *c, const struct packet *p)
{
    char *room = conn_reserve(c->conn, packet_write_size(p));
    size_t used;

    if (!room)
        return false;
    used = packet_write_to(p, room);
    conn_commit(c->conn, used);
    c->s2s->count.bytes_out += used;
    c->s2s->count.stanzas_out++;
    ledger_note(&c->s2s->component->pen, LEDGER_SENT, p->trace, jid_domain(p->to), STR_NULL);
    return true;
}

static void ask_ack(struct s2s_conn *c)
{
    if (!c->sm || c->ack_asked || domain_queue_empty(&c->unacked))
        return;
    s2s_conn_write(c, STR("<r xmlns='urn:xmpp:sm:3'/>"));
    c->ack_asked = true;
}

/* Whether the stream takes more now. What it does not take waits where it can still come back. */
static bool has_room(struct s2s_conn *c)
{
    if (conn_queued(c->conn) >= S2S_LOW_ROOM)
        return false;
    while (c->unacked.bytes >= (size_t)s2s_config(c->s2s)->s2s_max_queue)
        if (c->sm || !s2s_ping_make_room(c))
            return false;
    return true;
}

void s2s_stanza_flush(struct pair *pair)
{
    struct s2s_conn *c = pair->conn;
    struct packet *p;
    bool wrote = false;

    while (has_room(c) && (p = domain_queue_pop(&pair->queue)) != NULL) {
        if (!write_packet(c, p)) {
            if (packet_size(p) < S2S_LOW_ROOM) {
                domain_queue_return(&pair->queue, p);
                break;
            }
            s2s_bounce(c->s2s, p, STANZA_ERR_POLICY_VIOLATION, "the stanza is too large");
            continue;
        }
        wrote = true;
        if (c->sm || s2s_ping_keeps(pair, p))
            (void)domain_queue_push(&c->unacked, p, SIZE_MAX);
        else
            s2s_done(c->s2s, p);
    }
    if (!wrote)
        return;
    s2s_conn_used(c);
    ask_ack(c);
    s2s_ping_ask(c);
}

void s2s_stanza_resume(struct s2s_conn *c)
{
    LIST_EACH_SAFE (it, &c->pairs) {
        struct pair *pair = LIST_ENTRY(it, struct pair, conn_node);
        if (pair->state == PAIR_OPEN)
            s2s_stanza_flush(pair);
    }
    s2s_check_acknowledged(c->s2s);
}

/* --- acknowledgements --- */

void s2s_sm_enable(struct s2s_conn *c)
{
    if (c->sm || !c->sm_offered)
        return;
    s2s_conn_write(c, STR("<enable xmlns='urn:xmpp:sm:3'/>"));
    c->sm = true; /* section 3: counting begins with it */
    c->sm_out = 0;
}

static void on_enable(struct s2s_conn *c)
{
    if (c->role == S2S_ACCEPTED && c->sm) { /* section 3: "SHOULD respond with a stream error" */
        s2s_conn_error(c, STREAM_ERR_POLICY_VIOLATION, "stream management is enabled already");
        return;
    }
    if (c->role != S2S_ACCEPTED || c->state != S2S_OPEN || !s2s_config(c->s2s)->s2s_acks) {
        s2s_conn_write(c, STR("<failed xmlns='urn:xmpp:sm:3'><unexpected-request "
                              "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"));
        return;
    }
    s2s_ping_forget(c);
    s2s_conn_write(c, STR("<enabled xmlns='urn:xmpp:sm:3'/>"));
    c->sm = c->sm_counting = true;
    c->sm_out = 0;
    c->sm_before = c->unacked.count;
    ask_ack(c);
}

static void on_request(struct s2s_conn *c)
{
    if (c->sm_counting)
        write_ack(c);
}

void s2s_stanza_acknowledged(struct s2s *s, struct packet *p)
{
    ledger_note(&s->component->pen, LEDGER_ACKNOWLEDGED, p->trace, jid_domain(p->to), STR_NULL);
    s2s_done(s, p);
}

/* Section 6 */
static void too_high(struct s2s_conn *c, uint32_t h)
{
    struct buffer app;

    buffer_init(&app, 256);
    buffer_printf(&app, "<handled-count-too-high xmlns='urn:xmpp:sm:3' h='%u' send-count='%u'/>", h,
                  c->sm_out + (uint32_t)c->unacked.count);
    s2s_conn_error_app(c, STREAM_ERR_UNDEFINED_CONDITION,
                       "more is acknowledged than was sent (handled-count-too-high)",
                       buffer_str(&app));
    buffer_finish(&app);
}

static void on_ack(struct s2s_conn *c, const struct stanza *s)
{
    uint64_t h;
    uint32_t count;

    if (!c->sm || !str_to_u64(stanza_attr(s, STANZA_ROOT, STR("h")), UINT32_MAX, &h)) {
        s2s_conn_error(c, STREAM_ERR_POLICY_VIOLATION, "an acknowledgement of nothing");
        return;
    }
    /* What was sent before <enable/> is not counted; but the answer to what was asked behind it
     * says that it was read, as that to a ping does. */
    for (; c->ack_asked && c->sm_before > 0; c->sm_before--)
        s2s_stanza_acknowledged(c->s2s, domain_queue_pop(&c->unacked));
    count = (uint32_t)h - c->sm_out; /* section 4: modulo 2^32 */
    if (count > c->unacked.count - c->sm_before) {
        too_high(c, (uint32_t)h);
        return;
    }
    for (; count > 0; count--)
        s2s_stanza_acknowledged(c->s2s, domain_queue_pop(&c->unacked));
    c->sm_out = (uint32_t)h;
    c->ack_asked = false;
    ask_ack(c);
    s2s_stanza_resume(c);
}

/* It does not want to: a ping asks instead. */
static void on_failed(struct s2s_conn *c)
{
    c->sm = c->sm_offered = c->ack_asked = false;
    s2s_ping_ask(c);
}

void s2s_sm_element(struct s2s_conn *c, const struct stanza *s)
{
    struct str name = stanza_name(s, STANZA_ROOT);

    if (str_is(name, "r"))
        on_request(c);
    else if (str_is(name, "a"))
        on_ack(c, s);
    else if (str_is(name, "enable"))
        on_enable(c);
    else if (str_is(name, "enabled"))
        c->sm_counting = c->role == S2S_MADE && c->sm;
    else if (str_is(name, "failed"))
        on_failed(c);
    else if (str_is(name, "resume")) /* section 5: no resumption here; what was not acknowledged
                                        goes again on the next stream */
        s2s_conn_write(c, STR("<failed xmlns='urn:xmpp:sm:3'><feature-not-implemented "
                              "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"));
    else
        s2s_conn_error(c, STREAM_ERR_UNSUPPORTED_STANZA_TYPE, NULL);
}
