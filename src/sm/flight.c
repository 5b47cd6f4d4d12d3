/* Flight: see flight.h. */
#include "sm/flight.h"

#include <stdlib.h>
#include "base/mem.h"
#include "sm/acks.h"
#include "sm/deliver.h"
#include "sm/mam.h"
#include "sm/offline.h"
#include "sm/outbox.h"
#include "sm/owed.h"
#include "sm/send.h"

#define SETTLE_MS     1500u  /* after the link is back: the others have found the router, too */
#define AWAY_MS       30000u /* what waits for s2s is tried again */
#define LATE_MS       5000u  /* what leaves later than this says so */
#define S2S_MAX       64u
#define ROUTE_TIMEOUT 504 /* as the codes of routes (jabberd2.md 1.2) */

/* --- a flight's life --- */

static struct str number_key(const struct flight *f)
{
    return (struct str){(const char *)&f->number, sizeof f->number};
}

struct flight *flight_find(struct sm *sm, uint64_t number)
{
    return hash_get(&sm->flights.table, (struct str){(const char *)&number, sizeof number});
}

/* The stanza as it is kept: without names of components, which may change. */
static struct packet *keep(struct packet *p)
{
    struct packet *kept = packet_create(PACKET_STANZA, STR_NULL, STR_NULL);
    kept->stanza = stanza_ref(p->stanza);
    kept->from = p->from ? jid_ref(p->from) : NULL;
    kept->to = p->to ? jid_ref(p->to) : NULL;
    kept->delay = p->delay ? stanza_ref(p->delay) : NULL;
    kept->born = p->born;
    kept->trace = p->trace;
    kept->promise = p->promise;
    p->promise = NULL;
    return kept;
}

static struct flight *make(struct sm *sm, struct packet *p, struct list *lane)
{
    struct flight *f = MEM_NEW(struct flight);
    f->number = receipts_number(sm->receipts);
    f->since = loop_now(sm->loop);
    f->sent = loop_wall(sm->loop);
    f->packet = keep(p);
    list_push(lane, &f->node);
    list_init(&f->young);
    hash_put(&sm->flights.table, number_key(f), f);
    outbox_watch(sm, f);
    receipts_ask(sm->receipts, p, f->number);
    return f;
}

/* The packet is the caller's, with the promise of who waits for it - or of the row, which is to go
 * when the packet has been dealt with. */
static struct packet *finish(struct sm *sm, struct flight *f)
{
    struct packet *p = f->packet;
    if (f->guarded)
        sm->flights.guarded -= packet_size(p);
    if (f->routed)
        fate_end(sm, p, FATE_SENT_ON);
    if (f->counted && f->session && f->session->acks)
        acks_count(f->session, p, false);
    hash_del(&sm->flights.table, number_key(f));
    list_remove(&f->node);
    list_remove(&f->young);
    if (f->writing) /* whoever writes it finds us gone */
        promise_unref(f->row);
    else if (f->row)
        p->promise = f->row;
    jid_unref(f->owner);
    free(f);
    p->c2s.len = p->sm.len = 0; /* where it goes from here is another question */
    return p;
}

/* --- sending --- */

/* Another copy of what is kept, asking for the same receipt. */
static struct packet *copy_of(struct sm *sm, const struct flight *f, struct str route_to)
{
    const struct packet *kept = f->packet;
    struct packet *p = packet_create(PACKET_STANZA, route_to, str_of(sm->c->id));
    p->stanza = stanza_ref(kept->stanza);
    p->from = kept->from ? jid_ref(kept->from) : NULL;
    p->to = kept->to ? jid_ref(kept->to) : NULL;
    p->delay = kept->delay ? stanza_ref(kept->delay) : NULL;
    p->born = kept->born;
    p->trace = kept->trace;
    receipts_ask(sm->receipts, p, f->number);
    return p;
}

static void send_routed(struct sm *sm, struct flight *f, struct packet *p)
{
    p->route_to = jid_domain(p->to);
    if (sm_domain(sm, jid_domain(p->from)))
        p->route_from = jid_domain(p->from);
    if (f->tried || loop_now(sm->loop) - f->since > LATE_MS)
        p->receipt.since = f->sent;
    sm->counters.repeated += f->tried;
    if (f->tried)
        fate_note(sm, LEDGER_AGAIN, p, jid_domain(p->to), STR_NULL);
    f->tried = true;
    component_send(sm->c, p);
}

static enum flight_lane lane_of(const struct sm *sm, const struct jid *to)
{
    struct str domain = jid_domain(to);
    return sm_domain(sm, domain) || component_peer_up(sm->c, domain) ? FLIGHT_LOCAL : FLIGHT_REMOTE;
}

bool flight_guards(const struct sm *sm, const struct packet *p)
{
    const struct flights *flights = &sm->flights;
    if (flights->guarded >= (size_t)sm->c->env->config->router_max_queue ||
        send_kind_of(p->stanza) != SEND_MESSAGE)
        return false;
    /* What comes while the outbox is read goes behind what is in there. */
    return flights->load_upto || (flights->s2s.count > 0 && lane_of(sm, p->to) == FLIGHT_REMOTE);
}

void flight_route(struct sm *sm, struct packet *p)
{
    enum flight_lane lane = lane_of(sm, p->to);
    struct flight *f = make(sm, p, &sm->flights.lanes[lane]);
    f->owner = jid_to_bare(p->from);
    f->guarded = !f->packet->promise;
    if (f->guarded)
        sm->flights.guarded += packet_size(f->packet);
    f->routed = true;
    packet_destroy(p);
    if (!sm->flights.held[lane])
        send_routed(sm, f, copy_of(sm, f, STR_NULL));
}

void flight_restore(struct sm *sm, struct packet *p, struct jid *owner, struct promise *row,
                    int64_t sent)
{
    struct flights *flights = &sm->flights;
    enum flight_lane lane = lane_of(sm, p->to);
    /* While they are read everything is held, and they go before what has come meanwhile. */
    struct flight *f =
        make(sm, p, flights->load_upto ? &flights->restored[lane] : &flights->lanes[lane]);
    f->owner = jid_ref(owner);
    f->row = row;
    f->sent = sent;
    f->tried = f->routed = true;
    packet_destroy(p);
    if (!flights->held[lane])
        send_routed(sm, f, copy_of(sm, f, STR_NULL));
}

void flight_restored(struct sm *sm)
{
    for (int lane = 0; lane < FLIGHT_LANES; lane++) {
        list_move_all(&sm->flights.restored[lane], &sm->flights.lanes[lane]);
        list_move_all(&sm->flights.lanes[lane], &sm->flights.restored[lane]);
    }
}

/* Who sleeps may sleep longer than we live: its messages are written as if somebody waited, and at
 * once, since they would have to be in the end. When a c2s has died, those who come back wait until
 * what they had sent is handled (acks_resume), and much of it is on its way to those who sleep. */
static void keep_for_sleeper(struct sm *sm, struct flight *f)
{
    const struct promise *promise = f->packet->promise;
    bool kept = owed_durable(f->packet->stanza) || (promise && owed_answer(f->packet->stanza));
    if (!f->row && kept && !offline_has(promise) && !outbox_has(promise))
        outbox_write(sm, f);
}

void flight_sleep(struct session *session)
{
    LIST_EACH (it, &session->flights)
        keep_for_sleeper(session->user->sm, LIST_ENTRY(it, struct flight, node));
}

void flight_deliver(struct session *session, struct packet *p)
{
    struct sm *sm = session->user->sm;
    bool plain = !session->acks && !session->stale;
    if (p->promise && ((plain && !owed_waited(p->promise)) ||
                       (!owed_durable(p->stanza) && !owed_answer(p->stanza))))
        owed_drop(p);
    if (plain && !p->promise) {
        component_send(sm->c, p);
        return;
    }
    struct flight *f = make(sm, p, &session->flights);
    f->session = session;
    f->owner = jid_ref(session->user->jid);
    f->counted = session->acks != NULL;
    if (f->counted)
        acks_count(session, f->packet, true);
    if (session->asleep)
        keep_for_sleeper(sm, f);
    /* It came back: what is in the outbox must not be sent again should we die now, but this. */
    if (outbox_has(f->packet->promise) && str_is(send_type(p->stanza), "error"))
        outbox_write(sm, f);
    if (session->stale || session->asleep)
        packet_destroy(p);
    else
        component_send(sm->c, p);
}

void flight_hold(struct session *session, struct packet *p)
{
    session->stale = session->lost = true; /* as all of its c2s are in a moment */
    if (p->receipt.number)
        packet_destroy(p);
    else
        flight_deliver(session, p);
}

void flight_repeat(struct session *session)
{
    struct sm *sm = session->user->sm;
    LIST_EACH (it, &session->flights) {
        struct packet *p =
            copy_of(sm, LIST_ENTRY(it, const struct flight, node), peer_name(session->peer));
        p->c2s = session->c2s;
        p->sm = session->sm;
        sm->counters.repeated++;
        fate_note(sm, LEDGER_AGAIN, p, jid_full(session->jid), STR_NULL);
        component_send(sm->c, p);
    }
}

/* --- what comes back --- */

void flight_handled(void *owner, uint64_t number)
{
    struct sm *sm = owner;
    struct flight *f = flight_find(sm, number);
    if (!f)
        return;
    if (f->session && f->session->acks)
        fate_note(sm, LEDGER_ACKNOWLEDGED, f->packet, jid_full(f->session->jid), STR_NULL);
    packet_destroy(finish(sm, f));
}

bool flight_answered(struct sm *sm, struct packet *p)
{
    struct flight *f = flight_find(sm, p->receipt.answers);
    if (!f || (f->session && f->session->acks)) /* the latter may be resumed elsewhere */
        return false;
    if (f->session || f->packet->c2s.len) /* back from a client: others may have had it */
        send_delay(sm, p, jid_domain(f->owner), f->sent, NULL);
    struct packet *kept = finish(sm, f);
    p->promise = kept->promise;
    kept->promise = NULL;
    packet_destroy(kept);
    p->receipt.answers = 0;
    return true;
}

static bool is_s2s(const struct sm *sm, struct str name)
{
    return str_is(name, sm->c->env->config->s2s_id) || hash_get(&sm->flights.s2s, name);
}

static bool s2s_there(const struct sm *sm)
{
    const char *name;
    if (component_peer_up(sm->c, str_of(sm->c->env->config->s2s_id)))
        return true;
    for (size_t i = 0; (name = hash_next(&sm->flights.s2s, &i));)
        if (component_peer_up(sm->c, str_of(name)))
            return true;
    return false;
}

/* One is to be there, and none is. */
static bool s2s_away(const struct sm *sm)
{
    return sm->flights.federates && !s2s_there(sm);
}

bool flight_s2s_lost(const struct sm *sm)
{
    return sm->flights.s2s.count > 0 && !s2s_there(sm);
}

static void hold_remote(struct sm *sm)
{
    sm->flights.held[FLIGHT_REMOTE] = true;
    if (!loop_timer_running(&sm->flights.release))
        loop_timer_start(&sm->flights.release, AWAY_MS);
}

/* What nobody keeps comes back before long; what stands in the outbox, or will, when s2s would have
 * sent it back. */
static bool may_wait(const struct sm *sm, const struct flight *f, enum flight_lane lane)
{
    uint64_t patience = (uint64_t)sm->c->env->config->s2s_queue_time * 1000;
    if (!f->guarded && lane == FLIGHT_LOCAL)
        return true;
    return f->since + (f->guarded ? AWAY_MS : patience) > loop_now(sm->loop);
}

bool flight_bounced(struct sm *sm, struct packet *p)
{
    struct flight *f = flight_find(sm, p->receipt.number);
    bool kept = f && f->session && f->session->acks; /* until its client comes back (XEP-0198) */
    if (!f || kept || !link_is_up(sm->c->link)) {    /* it goes when the router is back */
        packet_destroy(p);
        return true;
    }
    if (!f->session && p->to) {
        enum flight_lane lane = lane_of(sm, p->to);
        if (lane == FLIGHT_REMOTE && s2s_away(sm))
            hold_remote(sm);
        if (sm->flights.held[lane] && may_wait(sm, f, lane)) {
            packet_destroy(p);
            return true;
        }
        if (sm->flights.held[lane])
            p->error = ROUTE_TIMEOUT;
    }
    p->receipt.answers = f->number;
    flight_answered(sm, p);
    return false;
}

/* --- sessions that end --- */

/* Its client did not get it: another of the user's, the offline queue, or the sender's error
 * (XEP-0198 section 4, RFC 6121 section 8.5). */
static void redeliver(struct sm *sm, struct flight *f)
{
    int64_t sent = f->sent;
    uint64_t number = f->number;
    fate_note(sm, LEDGER_RETURNED, f->packet, jid_full(f->owner), STR("the session has ended"));
    struct packet *p = finish(sm, f);
    if (offline_has(p->promise)) {
        offline_returned(p);
    } else if (send_kind_of(p->stanza) == SEND_PRESENCE || !deliver_addresses(p)) {
        packet_destroy(p);
    } else {
        send_delay(sm, p, jid_domain(p->to), sent, NULL);
        deliver_returned(sm, p, number);
    }
}

static void redeliver_all(struct sm *sm, struct list *flights)
{
    struct list *node;
    while ((node = flights->next) != flights)
        redeliver(sm, LIST_ENTRY(node, struct flight, node));
}

/* What was under way when the router went may be lost, or the word that it arrived: the c2s tells
 * when it is asked by the same number. It does not have the session any more, so what it has not
 * seen comes back. */
static void ask_again(struct sm *sm, const struct peer *peer, const struct flight *f)
{
    struct packet *p = copy_of(sm, f, peer_name(peer));
    p->c2s = f->packet->c2s;
    p->sm = f->packet->sm;
    sm->counters.repeated++;
    component_send(sm->c, p);
}

void flight_end(struct session *session)
{
    struct sm *sm = session->user->sm;
    struct list *node;
    if (session->acks || session->peer->gone) {
        redeliver_all(sm, &session->flights);
        return;
    }
    while ((node = list_pop(&session->flights))) {
        struct flight *f = LIST_ENTRY(node, struct flight, node);
        f->session = NULL;
        f->packet->c2s = session->c2s;
        f->packet->sm = session->sm;
        list_push(&session->peer->orphans, node);
        if (session->stale)
            ask_again(sm, session->peer, f);
    }
}

void flight_peer_gone(struct sm *sm, struct peer *peer)
{
    redeliver_all(sm, &peer->orphans);
}

/* --- comings and goings --- */

static void send_lane(struct sm *sm, enum flight_lane lane)
{
    LIST_EACH (it, &sm->flights.lanes[lane]) {
        struct flight *f = LIST_ENTRY(it, struct flight, node);
        send_routed(sm, f, copy_of(sm, f, STR_NULL));
    }
}

static void release(struct sm *sm, enum flight_lane lane)
{
    struct flights *flights = &sm->flights;
    if (!flights->held[lane])
        return;
    flights->held[lane] = false;
    send_lane(sm, lane);
}

static void on_release(struct loop_timer *timer)
{
    flight_go(MEM_CONTAINER(timer, struct sm, flights.release));
}

static void ask_for_orphans(struct sm *sm)
{
    struct peer *peer;
    for (size_t i = 0; (peer = hash_next(&sm->peers, &i));)
        LIST_EACH (it, &peer->orphans)
            ask_again(sm, peer, LIST_ENTRY(it, const struct flight, node));
}

void flight_go(struct sm *sm)
{
    struct flights *flights = &sm->flights;
    if (loop_timer_running(&flights->release) || flights->load_upto || !link_is_up(sm->c->link))
        return;
    if (flights->held[FLIGHT_LOCAL])
        ask_for_orphans(sm);
    release(sm, FLIGHT_LOCAL);
    /* An s2s that comes in this moment would get the second before the first, which the router has
     * given back. */
    flights->expects_s2s = s2s_away(sm) && !flights->expects_s2s;
    if (flights->expects_s2s)
        loop_timer_start(&flights->release, SETTLE_MS);
    else
        release(sm, FLIGHT_REMOTE);
}

void flight_peer(struct sm *sm, struct str name, bool up)
{
    if (!up) {
        outbox_watch_others(sm);
        mam_recent_watch(sm);
    }
    if (!is_s2s(sm, name))
        return;
    if (up && !sm->flights.load_upto)
        release(sm, FLIGHT_REMOTE);
    else if (!up && !s2s_there(sm))
        hold_remote(sm);
    else if (!up && !sm->flights.held[FLIGHT_REMOTE])
        send_lane(sm, FLIGHT_REMOTE); /* the others have its share now, and know their own */
}

void flight_s2s(struct sm *sm, struct str name)
{
    char *copy;
    if (hash_get(&sm->flights.s2s, name) || sm->flights.s2s.count == S2S_MAX)
        return;
    copy = str_dup(name);
    hash_put(&sm->flights.s2s, str_of(copy), copy);
    if (component_peer_up(sm->c, name))
        flight_peer(sm, name, true);
}

void flight_link(struct sm *sm, bool up)
{
    struct flights *flights = &sm->flights;
    if (!up) {
        loop_timer_stop(&flights->release);
        flights->held[FLIGHT_LOCAL] = flights->held[FLIGHT_REMOTE] = flights->lost = true;
    } else if (flights->lost) {
        outbox_watch_others(sm);
        loop_timer_start(&flights->release, SETTLE_MS);
    } else {
        flight_go(sm);
    }
}

void flight_init(struct sm *sm)
{
    struct flights *flights = &sm->flights;
    uint64_t seed[2];
    random_fill(sm->c->env->random, seed, sizeof seed);
    hash_init(&flights->table, seed);
    hash_init(&flights->s2s, seed);
    flights->federates = domains_federate(sm->c->env->config);
    for (int lane = 0; lane < FLIGHT_LANES; lane++) {
        list_init(&flights->lanes[lane]);
        list_init(&flights->restored[lane]);
    }
    list_init(&flights->young);
    flights->held[FLIGHT_LOCAL] = flights->held[FLIGHT_REMOTE] =
        true; /* until the outbox is read */
    loop_timer_init(&flights->release, sm->loop, on_release);
    outbox_former_init(sm);
    outbox_answers_init(sm);
    outbox_init(sm);
    outbox_heir_init(sm);
    outbox_watch_others(sm);
}

void flight_finish(struct sm *sm)
{
    struct flight *f;
    loop_timer_stop(&sm->flights.release);
    loop_timer_stop(&sm->flights.writer);
    loop_timer_stop(&sm->flights.heir);
    loop_timer_stop(&sm->flights.reread);
    outbox_former_finish(sm);
    outbox_answers_finish(sm);
    for (size_t i = 0; (f = hash_next(&sm->flights.table, &i));) {
        hash_del(&sm->flights.table, number_key(f));
        packet_destroy(f->packet);
        promise_unref(f->row);
        jid_unref(f->owner);
        free(f);
    }
    hash_finish(&sm->flights.table);
    char *name;
    for (size_t i = 0; (name = hash_next(&sm->flights.s2s, &i));) {
        hash_del(&sm->flights.s2s, str_of(name));
        free(name);
    }
    hash_finish(&sm->flights.s2s);
}
