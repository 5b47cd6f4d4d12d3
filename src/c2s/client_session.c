/* The other half of a session: a session manager behind the router that may die, restart or hand
 * over while the client stays (design.md section 4). A client that loses its sm waits; what it
 * sends is held; when an sm serves its domain again the session is started there anew under a new
 * id with reason "resumed", the last broadcast presence is repeated, and then goes what was held -
 * first what came back undelivered, in the order it was sent.
 */
#include "c2s/client_acks.h"
#include "c2s/client_sasl2.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "link/traits.h"

#define SESSION_TICK_MS  1000u
#define SESSION_RETRY_MS 10000u /* a start that nobody answers is asked for again */
#define ROUTE_NOT_FOUND  404    /* jabberd2.md 1.2 */
#define START_TEXT       (CLIENT_ACKS_TEXT + TRAITS_TEXT + 16)

static const struct str moved = {"moved", 5}, lost = {"lost", 4};

/* --- session managers --- */

static struct session_manager *manager_of(struct c2s *s, struct str name)
{
    struct session_manager *m = hash_get(&s->sms, name);

    if (m)
        return m;
    m = mem_alloc(sizeof(*m) + name.len + 1);
    memcpy(m->name, name.data, name.len);
    m->len = name.len;
    list_init(&m->clients);
    hash_put(&s->sms, (struct str){m->name, m->len}, m);
    return m;
}

static struct str manager_name(const struct session_manager *m)
{
    return (struct str){m->name, m->len};
}

/* --- tables --- */

static void forget_id(struct client *c)
{
    if (c->id.len > 0)
        hash_del(&c->c2s->sessions, session_id_str(&c->id));
    c->id.len = 0;
    c->sm.len = 0;
}

void client_session_forget_old(struct client *c)
{
    if (!c->backlog || c->backlog->old.len == 0)
        return;
    hash_del(&c->c2s->sessions, session_id_str(&c->backlog->old));
    c->backlog->old.len = 0;
}

static void wait_for_sm(struct client *c)
{
    struct c2s *s = c->c2s;

    list_remove(&c->phase_node);
    list_push(&s->waiting, &c->phase_node);
    c->phase = SESSION_WAITING;
    if (!loop_timer_running(&s->session_timer))
        loop_timer_start(&s->session_timer, SESSION_TICK_MS);
}

/* The sm is gone. What was sent to it may still come back under the old id. */
static void detach(struct client *c)
{
    struct backlog *b = client_stream_backlog(c);

    client_session_forget_old(c);
    hash_del(&c->c2s->sessions, session_id_str(&c->id));
    b->old = c->id;
    hash_put(&c->c2s->sessions, session_id_str(&b->old), c);
    c->id.len = 0;
    c->sm.len = 0;
    c->manager->count--;
    c->manager = NULL;
    c->c2s->session_count--;
    c->lost_at = c2s_now(c->c2s);
    wait_for_sm(c);
}

/* --- start --- */

/* A new sm does not know what the client's presence is; with acknowledgements the client may send
 * it again itself. */
static bool owes_presence(const struct client *c)
{
    return c->presence && !client_stream_holds(c, c->presence) &&
           !(client_acks_on(c) && unhandled_has(&c->acks->in, c->presence));
}

/* What the sm must know beside who it is. */
static struct str start_reason(const struct client *c, char *out)
{
    char text[CLIENT_ACKS_TEXT], traits[TRAITS_TEXT];
    bool counted = client_acks_on(c) || (client_bind2_on(c) && c->acks);
    struct str words[4] = {c->state == STREAM_BOUND ? STR("resumed") : STR_NULL,
                           traits_write(c->traits, traits),
                           counted ? client_acks_text(c, text) : STR_NULL,
                           counted && owes_presence(c) ? STR("presence") : STR_NULL};
    int len = 0;

    if (c->acks && c->acks->state == CLIENT_ACKS_RESUMING)
        len = snprintf(out, START_TEXT, "%" PRIu32 " %s", c->acks->resume_h, c->acks->id);
    else
        for (int i = 0; i < 4; i++)
            if (words[i].len)
                len += snprintf(out + len, START_TEXT - (size_t)len, "%s%.*s", len ? " " : "",
                                STR_ARG(words[i]));
    return len ? (struct str){out, (size_t)len} : STR_NULL;
}

static void start(struct client *c)
{
    struct c2s *s = c->c2s;
    char text[START_TEXT];
    bool resume = c->acks && c->acks->state == CLIENT_ACKS_RESUMING;
    struct packet *p;

    session_id_make(&c->id, s->component->env->random);
    hash_put(&s->sessions, session_id_str(&c->id), c);
    p = packet_create_session(str_of(c->domain), c2s_id(s), resume ? SESSION_RESUME : SESSION_START,
                              c->jid, start_reason(c, text));
    p->c2s = p->request = c->id;
    list_remove(&c->phase_node);
    list_push(&s->starting, &c->phase_node);
    c->phase = SESSION_STARTING;
    c->since = c2s_now(s);
    component_send(s->component, p);
}

void client_session_run(struct c2s *s)
{
    LIST_EACH_SAFE (it, &s->waiting) {
        struct client *c = LIST_ENTRY(it, struct client, phase_node);
        if (component_full(s->component))
            return; /* `writable` comes back here */
        if (component_peer_up(s->component, str_of(c->domain)))
            start(c);
    }
}

void client_session_start(struct client *c)
{
    wait_for_sm(c);
    client_session_run(c->c2s);
}

/* The start was not answered, or could not be delivered: once more, later, under another id. */
static void start_again(struct client *c)
{
    forget_id(c);
    wait_for_sm(c);
}

/* --- end --- */

static void send_end(struct c2s *s, struct str sm, const struct session_id *c2s_sid,
                     const struct session_id *sm_sid, struct jid *target, struct str reason)
{
    struct packet *p = packet_create_session(sm, c2s_id(s), SESSION_END, target, reason);

    p->c2s = *c2s_sid;
    p->sm = *sm_sid;
    component_send(s->component, p);
}

/* XEP-0175 section 4: what was stored for a name that nobody can have again goes with the session.
 * Nobody waits for the answer. */
static void forget_anonymous(struct client *c)
{
    struct packet *p =
        packet_create_session(jid_domain(c->jid), c2s_id(c->c2s), SESSION_DELETE, c->jid, STR_NULL);

    session_id_make(&p->request, c->c2s->component->env->random);
    p->c2s = p->request;
    component_send(c->c2s->component, p);
}

void client_session_end(struct client *c)
{
    struct c2s *s = c->c2s;

    if (c->phase == SESSION_ATTACHED) {
        if (c->acks)
            receipts_flush(s->receipts); /* what the client acknowledged is not to go elsewhere */
        send_end(s, manager_name(c->manager), &c->id, &c->sm, c->jid,
                 client_acks_on(c) && !c->ends ? lost : STR_NULL);
        if (c->anonymous)
            forget_anonymous(c);
        c->manager->count--;
        c->manager = NULL;
        s->session_count--;
    }
    /* One that is starting is ended when its answer finds nobody. */
    if (c->phase != SESSION_NONE)
        list_remove(&c->phase_node);
    c->phase = SESSION_NONE;
    forget_id(c);
    client_session_forget_old(c);
}

/* --- stanzas --- */

void client_session_post(struct client *c, struct packet *p)
{
    p->route_to = manager_name(c->manager);
    p->route_from = c2s_id(c->c2s);
    p->c2s = c->id;
    p->sm = c->sm;
    component_send(c->c2s->component, p);
}

void client_session_send(struct client *c, struct stanza *s, struct jid *to)
{
    struct packet *p = packet_create(PACKET_STANZA, STR_NULL, STR_NULL);

    p->stanza = s;
    p->from = jid_ref(c->jid);
    p->to = to;
    p->born = c2s_now(c->c2s);
    p->trace = c->trace;
    ledger_enter(&c->c2s->component->pen, p);
    client_acks_sending(c, p);
    client_session_post(c, p);
}

void client_session_echo(struct client *c, struct stanza *s)
{
    struct packet *p = packet_create(PACKET_STANZA, STR_NULL, STR_NULL);

    p->stanza = s;
    p->failed = true;
    client_acks_sending(c, p);
    client_session_post(c, p);
}

void client_session_enable(struct client *c)
{
    char text[CLIENT_ACKS_TEXT];
    struct packet *p = packet_create_session(manager_name(c->manager), c2s_id(c->c2s),
                                             SESSION_ENABLE, c->jid, client_acks_text(c, text));

    p->c2s = c->id;
    p->sm = c->sm;
    component_send(c->c2s->component, p);
}

void client_session_state(struct client *c, bool inactive)
{
    struct packet *p;

    c->traits = (uint8_t)(inactive ? c->traits | TRAIT_INACTIVE : c->traits & ~TRAIT_INACTIVE);
    if (!c->sm_counts) /* a session manager of jabberd2 */
        return;
    p = packet_create_session(manager_name(c->manager), c2s_id(c->c2s), SESSION_STATE, c->jid,
                              inactive ? STR("inactive") : STR("active"));
    p->c2s = c->id;
    p->sm = c->sm;
    component_send(c->c2s->component, p);
}

void client_session_returned(struct c2s *s, struct packet *p)
{
    struct client *c = p->c2s.len ? hash_get(&s->sessions, session_id_str(&p->c2s)) : NULL;
    struct stanza *stanza = p->stanza;
    uint64_t trace;

    if (!c || !stanza) {
        packet_destroy(p);
        return;
    }
    if (p->error != ROUTE_NOT_FOUND && !p->receipt.number) {
        ledger_note(&s->component->pen, LEDGER_BOUNCED, p->trace, jid_full(c->jid),
                    STR("the router could not pass it on"));
        client_refuse(c, stanza, stanza_error_from_route(p->error), NULL);
        packet_destroy(p);
        return;
    }
    /* The news that the sm is gone may come behind what it did not get. */
    if (c->phase == SESSION_ATTACHED)
        detach(c);
    /* It is kept: client_acks.c. A presence without number is the one that we repeat after each
     * start, which is no stanza of the client's to be counted. */
    if (p->receipt.number ||
        (client_acks_on(c) && str_is(stanza_name(stanza, STANZA_ROOT), "presence"))) {
        packet_destroy(p);
        client_session_run(s);
        return;
    }
    trace = p->trace;
    ledger_note(&s->component->pen, LEDGER_WAITS, trace, jid_full(c->jid),
                STR("for a session manager"));
    p->stanza = NULL;
    packet_destroy(p);
    client_stream_hold(c, stanza, true, trace);
    client_session_run(s);
}

/* --- answers --- */

static void attach(struct client *c, const struct packet *p)
{
    struct c2s *s = c->c2s;

    c->manager = manager_of(s, p->route_from);
    c->sm = p->sm;
    c->sm_counts = p->action == SESSION_RESUMED || str_starts(p->reason, STR("receipts"));
    list_remove(&c->phase_node);
    list_push(&c->manager->clients, &c->phase_node);
    c->manager->count++;
    s->session_count++;
    c->phase = SESSION_ATTACHED;
    c->lost_at = 0;
    if (c->state == STREAM_BOUND) {
        struct log log = client_log(c);
        log_debug(&log, "session resumed at %s", c->manager->name);
        s->count.resumed++;
        client_session_forget_old(c);
        if (c->backlog)
            c->backlog->returned = NULL;
        if (owes_presence(c))
            client_session_send(c, stanza_ref(c->presence), NULL);
        client_acks_repeat(c);
        if (c->acks && c->acks->state == CLIENT_ACKS_ASKED)
            client_session_enable(c);
    } else if (p->action == SESSION_RESUMED) {
        client_acks_resumed(c, p);
    } else {
        client_bind_started(c, p->reason);
    }
    client_stream_continue(c);
}

/* jabberd2's sm gives no reason: then the client may try again at once. */
static enum stream_condition stream_condition_of(struct str reason)
{
    if (!reason.data)
        return STREAM_ERR_RESET;
#define X(id, element)                                                                             \
    if (str_is(reason, element))                                                                   \
        return STREAM_ERR_##id;
#include "xmpp/stream_error.def"
#undef X
    return STREAM_ERR_INTERNAL_SERVER_ERROR;
}

static void on_started(struct c2s *s, struct client *c, const struct packet *p)
{
    bool mine = c && c->phase == SESSION_STARTING &&
                str_eq(session_id_str(&p->c2s), session_id_str(&c->id));

    if (!mine) {
        /* The client has left meanwhile, or has been started elsewhere; it may come back. */
        if (!p->failed && p->sm.len > 0)
            send_end(s, p->route_from, &p->c2s, &p->sm, p->target, lost);
        return;
    }
    if (!p->failed) {
        attach(c, p);
        return;
    }
    forget_id(c);
    list_remove(&c->phase_node);
    c->phase = SESSION_NONE;
    if (c->state == STREAM_BOUND)
        client_error(c, stream_condition_of(p->reason), "the session could not be resumed");
    else if (c->acks && c->acks->state == CLIENT_ACKS_RESUMING)
        client_acks_not_resumed(c, p->reason);
    else
        client_bind_failed(c, p->reason);
}

static bool from_its_manager(const struct client *c, const struct packet *p)
{
    return c && c->phase == SESSION_ATTACHED && str_eq(p->route_from, manager_name(c->manager)) &&
           str_eq(session_id_str(&p->c2s), session_id_str(&c->id));
}

/* The sm ended the session: it needs no end from us. */
static void drop_session(struct client *c)
{
    c->manager->count--;
    c->manager = NULL;
    c->c2s->session_count--;
    list_remove(&c->phase_node);
    c->phase = SESSION_NONE;
    forget_id(c);
}

static void on_ended(struct client *c, const struct packet *p)
{
    if (!from_its_manager(c, p))
        return; /* the answer to an end of ours */
    if (str_is(p->reason, "system-shutdown")) {
        /* Only the sm stops: the client waits for the next one. */
        detach(c);
        return;
    }
    drop_session(c);
    if (client_register_removing(c))
        return; /* its own doing: the stream ends with the answer */
    client_error(c, stream_condition_of(p->reason), "the session manager ended the session");
}

static void on_replaced(struct client *c, const struct packet *p)
{
    if (!from_its_manager(c, p))
        return;
    drop_session(c);
    /* RFC 6120 section 7.7.2.2 */
    client_error(c, STREAM_ERR_CONFLICT, "another stream took this resource");
}

static void on_bounced(struct c2s *s, struct client *c, const struct packet *p)
{
    if (p->action == SESSION_CREATE || p->action == SESSION_DELETE)
        client_register_answered(s, p);
    else if ((p->action == SESSION_START || p->action == SESSION_RESUME) && c &&
             c->phase == SESSION_STARTING)
        start_again(c);
}

void client_session_answer(struct c2s *s, struct packet *p)
{
    struct client *c = p->c2s.len ? hash_get(&s->sessions, session_id_str(&p->c2s)) : NULL;

    if (p->error) {
        on_bounced(s, c, p);
        packet_destroy(p);
        return;
    }
    switch (p->action) {
    case SESSION_START: /* a failed one comes back as it was */
    case SESSION_STARTED:
    case SESSION_RESUME:
    case SESSION_RESUMED:
        on_started(s, c, p);
        break;
    case SESSION_ENABLE:
    case SESSION_STATE:
        break;
    case SESSION_ENABLED:
        if (from_its_manager(c, p))
            client_acks_enabled(c);
        break;
    case SESSION_END:
    case SESSION_ENDED:
        on_ended(c, p);
        break;
    case SESSION_REPLACED:
        on_replaced(c, p);
        break;
    case SESSION_CREATE:
    case SESSION_CREATED:
    case SESSION_DELETE:
    case SESSION_DELETED:
        client_register_answered(s, p);
        break;
    }
    packet_destroy(p);
}

/* --- comings and goings --- */

static void manager_down(struct c2s *s, struct session_manager *m)
{
    log_info(&s->component->log, "session manager %s is gone: %zu sessions wait for another",
             m->name, m->count);
    LIST_EACH_SAFE (it, &m->clients)
        detach(LIST_ENTRY(it, struct client, phase_node));
    hash_del(&s->sms, manager_name(m));
    free(m);
}

/* Another sm shares the domain now: what comes for some of the users goes there, so their sessions
 * follow. They end where they are without a word to others, and start in the timer's next turn:
 * until then the old sm has written down what it knew. True when any did. */
static bool follow(struct c2s *s, struct str domain)
{
    struct session_manager *m;
    bool any = false;

    for (size_t i = 0; (m = hash_next(&s->sms, &i)) != NULL;) {
        LIST_EACH_SAFE (it, &m->clients) {
            struct client *c = LIST_ENTRY(it, struct client, phase_node);
            struct str owner = component_owner(s->component, domain, jid_bare(c->jid));
            if (!owner.data || !str_is(domain, c->domain) || str_eq(owner, manager_name(m)))
                continue;
            send_end(s, manager_name(m), &c->id, &c->sm, c->jid, moved);
            detach(c);
            any = true;
        }
    }
    return any;
}

void client_session_peer(struct c2s *s, struct str name, bool up)
{
    struct session_manager *m = up ? NULL : hash_get(&s->sms, name);

    if (up && domains_find(&s->domains, name) && follow(s, name))
        return; /* whoever waits is started by the timer */
    if (m)
        manager_down(s, m);
    if (!up && domains_find(&s->domains, name))
        LIST_EACH_SAFE (it, &s->starting) {
            struct client *c = LIST_ENTRY(it, struct client, phase_node);
            if (str_is(name, c->domain))
                start_again(c);
        }
    client_session_run(s);
}

static void give_up(struct c2s *s, struct list *clients, uint64_t after)
{
    LIST_EACH_SAFE (it, clients) {
        struct client *c = LIST_ENTRY(it, struct client, phase_node);
        if (c->lost_at > 0 && c2s_now(s) - c->lost_at >= after)
            client_error(c, STREAM_ERR_REMOTE_CONNECTION_FAILED,
                         "no session manager came back in time (c2s.hold_time)");
    }
}

void client_session_tick(struct loop_timer *timer)
{
    struct c2s *s = MEM_CONTAINER(timer, struct c2s, session_timer);
    uint64_t hold = (uint64_t)c2s_config(s)->c2s_hold_time * 1000;

    LIST_EACH_SAFE (it, &s->starting) {
        struct client *c = LIST_ENTRY(it, struct client, phase_node);
        if (c2s_now(s) - c->since >= SESSION_RETRY_MS)
            start_again(c);
    }
    give_up(s, &s->waiting, hold);
    give_up(s, &s->starting, hold);
    client_session_run(s);
    if (!list_empty(&s->waiting) || !list_empty(&s->starting))
        loop_timer_start(&s->session_timer, SESSION_TICK_MS);
}

void client_session_finish(struct c2s *s)
{
    struct session_manager *m;

    for (size_t i = 0; (m = hash_next(&s->sms, &i)) != NULL;)
        free(m);
    hash_finish(&s->sms);
    hash_finish(&s->sessions);
}
