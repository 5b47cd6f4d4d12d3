/* sm: the session manager component. What comes in is sorted here - session actions, stanzas from
 * our clients, stanzas from the router, bounces - and handed to the file that knows the rules. The
 * way of a message: on_client_stanza -> send_packet (here the sender's sm ends) -> deliver ->
 * deliver_message -> send_session_packet.
 */
#include "sm/sm.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "component/database.h"
#include "sm/acks.h"
#include "sm/ask.h"
#include "sm/carbons.h"
#include "sm/csi.h"
#include "sm/deliver.h"
#include "sm/iq.h"
#include "sm/sleeper.h"
#include "sm/slot.h"
#include "sm/mam.h"
#include "sm/offline.h"
#include "sm/outbox.h"
#include "sm/owed.h"
#include "sm/presence.h"
#include "sm/push.h"
#include "sm/send.h"
#include "sm/services.h"
#include "sm/shared_directory.h"
#include "xmpp/namespaces.h"

#define DRAIN_POLL_MS   20
#define ROUTE_NOT_FOUND 404 /* jabberd2.md 1.2 */

struct jid *sm_domain(const struct sm *sm, struct str domain)
{
    return domains_find(&sm->domains, domain) ? hash_get(&sm->domain_jids, domain) : NULL;
}

bool sm_owns(const struct sm *sm, const struct jid *user)
{
    struct str owner = component_owner(sm->c, jid_domain(user), jid_bare(user));
    return !owner.data || str_is(owner, sm->c->id);
}

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
    if (!p->to) /* RFC 6120 section 10.3.1 */
        p->to = jid_ref(session->user->jid);
    struct mam_id id = mam_sent(session->user, p);
    if (session->user->carbons.enabled)
        carbons_sent(session, p, id);
    send_packet(session->user->sm, p);
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

static void on_user_action(struct sm *sm, struct packet *p)
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
        on_user_action(sm, p);
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
        if (asked && !tell_sender(sm, p, why_bounced(sm, p))) {
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

static void on_packet(struct component *c, struct packet *p)
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
        } else {
            fate_take(sm, p, FATE_FROM_ROUTER);
            deliver(sm, p);
        }
    } else {
        packet_destroy(p); /* broadcasts and log copies are for others */
    }
}

/* --- the component --- */

static enum error open_store(struct sm *sm)
{
    struct component *c = sm->c;
    char url[4096], why[512] = "";
    database_url(c->env->config, c->env->data_dir, STORE_USERS, url, sizeof url);
    enum error e = store_open_shared(c->env->shared, sm->loop, c->log, STORE_USERS, url, &sm->store,
                                     why, sizeof why);
    if (e)
        log_error(&c->log, "cannot open the users' data: %s", why[0] ? why : error_text(e));
    mem_wipe(url, sizeof url); /* there may be a password in it */
    return e;
}

static void init_hashes(struct sm *sm)
{
    struct hash *const hashes[] = {&sm->users, &sm->sessions, &sm->peers, &sm->domain_jids};
    for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
        uint64_t seed[2];
        random_fill(sm->c->env->random, seed, sizeof seed);
        hash_init(hashes[i], seed);
    }
}

static void enter_domain(struct sm *sm, struct str domain)
{
    struct jid *jid = hash_get(&sm->domain_jids, domain);
    if (!jid) {
        jid = jid_from_parts(STR_NULL, domain, STR_NULL);
        hash_put(&sm->domain_jids, jid_domain(jid), jid);
    }
    component_bind(sm->c, domain, PACKET_BIND_MULTI);
}

/* Domains that are gone: so many sessions at a time that the others hardly notice. Their contacts
 * hear that they went while the name is still bound. What the users stored stays. */
static void on_leave(struct loop_timer *timer)
{
    struct sm *sm = MEM_CONTAINER(timer, struct sm, leave);
    struct session *s;
    unsigned left = SM_REAP_AT_ONCE;
    for (size_t i = 0; left && (s = hash_next(&sm->sessions, &i));)
        if (domains_was_served(&sm->domains, jid_domain(s->jid))) {
            session_close(s, SESSION_ENDED, STR("host-gone")); /* RFC 6120 section 4.9.3.5 */
            left--;
        }
    if (!left) {
        loop_timer_start(timer, SM_REAP_MS);
        return;
    }
    for (size_t i = 0; i < sm->domains.gone_count; i++)
        component_unbind(sm->c, str_of(sm->domains.gone[i]));
}

static void on_drain(struct loop_timer *timer)
{
    struct sm *sm = MEM_CONTAINER(timer, struct sm, drain);
    if (store_pending(sm->store))
        loop_timer_start(timer, DRAIN_POLL_MS);
    else
        component_stopped(sm->c);
}

static enum error sm_start(struct component *c)
{
    struct sm *sm = MEM_NEW(struct sm);
    c->state = sm;
    sm->c = c;
    sm->loop = c->env->loop;
    sm->started = loop_now(sm->loop);
    list_init(&sm->idle);
    list_init(&sm->paused);
    list_init(&sm->unread);
    list_init(&sm->services);
    list_init(&sm->sleeping);
    list_init(&sm->overfull);
    loop_timer_init(&sm->acks, sm->loop, acks_timer);
    loop_timer_init(&sm->unload, sm->loop, user_unload_timer);
    loop_timer_init(&sm->resume, sm->loop, session_resume_timer);
    loop_timer_init(&sm->reaper, sm->loop, session_reap_timer);
    loop_timer_init(&sm->drain, sm->loop, on_drain);
    loop_timer_init(&sm->reread, sm->loop, offline_reread);
    loop_timer_init(&sm->leave, sm->loop, on_leave);
    path_init(&sm->path, sm);
    init_hashes(sm);
    enum error e = domains_read(&sm->domains, c);
    if (!e)
        e = open_store(sm);
    if (e)
        return e;
    sm->receipts = receipts_create(c, flight_handled, sm);
    flight_init(sm);
    sleeper_init(sm);
    slot_init(sm);
    path_run(&sm->path, PATH_START, &(struct path_event){.sm = sm});
    for (size_t i = 0; i < sm->domains.count; i++)
        enter_domain(sm, str_of(sm->domains.names[i]));
    return ERR_OK;
}

/* --- reload --- */

static enum error sm_prepare(struct component *c)
{
    struct sm *sm = c->state;
    enum error e = domains_read(&sm->fresh_domains, c);
    if (e)
        domains_finish(&sm->fresh_domains);
    return e;
}

static void sm_revert(struct component *c)
{
    struct sm *sm = c->state;
    domains_finish(&sm->fresh_domains);
}

static void on_domain(void *arg, const char *domain, bool served)
{
    struct sm *sm = arg;
    if (served)
        enter_domain(sm, str_of(domain));
    else
        loop_timer_start(&sm->leave, 0);
}

static void sm_reload(struct component *c)
{
    struct sm *sm = c->state;
    domains_replace(&sm->domains, &sm->fresh_domains, on_domain, sm);
    services_reload(sm);
    path_init(&sm->path, sm);
    path_run(&sm->path, PATH_RELOAD, &(struct path_event){.sm = sm});
}

static void sm_peer(struct component *c, struct str name, bool up)
{
    struct sm *sm = c->state;
    services_peer(sm, name, up);
    flight_peer(sm, name, up);
    if (up) {
        /* Users may be another's from now on: what we remember of them grows old. */
        if (sm_domain(sm, name)) {
            slot_peer(sm);
            user_unload_idle(sm);
        }
        return;
    }
    bool link_lost = !link_is_up(c->link);
    session_peer_down(sm, name, link_lost);
}

/* After a lost link the c2s re-start their sessions; those that they do not have gone meanwhile. */
static void sm_link_state(struct component *c, bool up)
{
    struct sm *sm = c->state;
    if (up)
        loop_timer_start(&sm->resume, SM_RESUME_SECONDS * 1000);
    else
        loop_timer_stop(&sm->resume);
    flight_link(sm, up);
}

static void sm_writable(struct component *c)
{
    struct sm *sm = c->state;
    while (!list_empty(&sm->paused) && !component_full(c)) {
        struct user *user = LIST_ENTRY(sm->paused.next, struct user, offline.paused);
        list_remove(&user->offline.paused);
        offline_resume(user);
    }
}

static void sm_stop(struct component *c)
{
    struct sm *sm = c->state;
    outbox_write_all(sm);
    loop_timer_start(&sm->drain, 0);
}

static void sm_status(struct component *c, json_t *into)
{
    const struct sm *sm = c->state;
    const struct sm_counters *n = &sm->counters;
    json_t *counters = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "from_clients", (json_int_t)n->from_clients,
        "from_router", (json_int_t)n->from_router, "to_clients", (json_int_t)n->to_clients,
        "to_router", (json_int_t)n->to_router, "offline_stored", (json_int_t)n->offline_stored,
        "offline_delivered", (json_int_t)n->offline_delivered, "errors", (json_int_t)n->errors,
        "sessions_started", (json_int_t)n->sessions_started);
    component_count(into, "sessions", sm->sessions.count);
    component_count(into, "users_loaded", sm->users.count);
    component_count(into, "store_pending", store_pending(sm->store));
    json_object_set_new(into, "counters", counters);
    json_object_set_new(into, "balance", fate_balance(sm));
}

/* `jackdaw user add` and `del`: as if the account's own c2s had asked; the answer comes back to us
 * and is dropped. Another sm that shares the domain hears it, too, and one of us has the user. */
static json_t *account_changed(struct sm *sm, struct jid *jid, enum session_action action)
{
    bool ours = sm_domain(sm, jid_domain(jid)) && sm_owns(sm, jid);
    if (ours)
        on_user_action(
            sm, packet_create_session(jid_domain(jid), str_of(sm->c->id), action, jid,
                                      action == SESSION_DELETE ? STR(USER_EXISTED) : STR_NULL));
    return json_pack("{s:b, s:i}", "ok", 1, "taken", (int)ours);
}

/* Whether that is still under way: who deletes rows beside us waits for it, or contacts would not
 * be told and messages would not go back. */
static json_t *account_leaving(const struct sm *sm, const struct jid *jid)
{
    const struct user *user = user_find(sm, jid_bare(jid));
    bool leaving = user && (user->state != USER_READY || user->waiting_count > 0);
    return json_pack("{s:b, s:i}", "ok", 1, "leaving", (int)leaving);
}

static json_t *sm_command(struct component *c, const json_t *request)
{
    struct sm *sm = c->state;
    struct str name = str_of(json_string_value(json_object_get(request, "command")));
    for (int f = 0; f < FEATURES; f++) {
        json_t *answer = path_features[f]->control ? path_features[f]->control(sm, request) : NULL;
        if (answer)
            return answer;
    }
    bool gone = str_is(name, "user-gone"), leaving = str_is(name, "user-leaving");
    if (!gone && !leaving && !str_is(name, "user-new"))
        return NULL;
    struct jid *jid = jid_parse(str_of(json_string_value(json_object_get(request, "jid"))));
    if (!jid)
        return json_pack("{s:s}", "error", "the command needs a valid jid");
    json_t *answer = leaving ? account_leaving(sm, jid)
                             : account_changed(sm, jid, gone ? SESSION_DELETE : SESSION_CREATE);
    jid_unref(jid);
    return answer;
}

/* Nobody is told: clients whose c2s outlives us get their sessions back from the next sm. */
static void sm_destroy(struct component *c)
{
    struct sm *sm = c->state;
    if (!sm)
        return;
    sm->closing = true;
    store_close(sm->store); /* its last callbacks still find everything */
    path_run(&sm->path, PATH_STOP, &(struct path_event){.sm = sm});
    loop_timer_stop(&sm->acks);
    sleeper_finish(sm);
    slot_finish(sm);
    loop_timer_stop(&sm->unload);
    loop_timer_stop(&sm->resume);
    loop_timer_stop(&sm->reaper);
    loop_timer_stop(&sm->drain);
    loop_timer_stop(&sm->reread);
    loop_timer_stop(&sm->leave);
    struct session *s;
    for (size_t i = 0; (s = hash_next(&sm->sessions, &i));)
        session_forget(s);
    if (sm->receipts)
        flight_finish(sm); /* its promises know users: offline.c */
    struct user *user;
    for (size_t i = 0; (user = hash_next(&sm->users, &i));)
        user_destroy(user);
    struct peer *peer;
    for (size_t i = 0; (peer = hash_next(&sm->peers, &i));)
        free(peer);
    receipts_destroy(sm->receipts);
    hash_finish(&sm->sessions);
    hash_finish(&sm->users);
    hash_finish(&sm->peers);
    services_finish(sm);
    struct jid *domain;
    for (size_t i = 0; (domain = hash_next(&sm->domain_jids, &i));)
        jid_unref(domain);
    hash_finish(&sm->domain_jids);
    domains_finish(&sm->domains);
    domains_finish(&sm->fresh_domains);
    free(sm);
    c->state = NULL;
}

const struct component_ops sm_component = {
    .name = "sm",
    .stores = 1u << STORE_USERS,
    .notes = MAM_NOTES,
    .board = SLOT_MOST,
    .per_loop = true,
    .start = sm_start,
    .packet = on_packet,
    .peer = sm_peer,
    .link_state = sm_link_state,
    .writable = sm_writable,
    .prepare = sm_prepare,
    .reload = sm_reload,
    .revert = sm_revert,
    .stop = sm_stop,
    .status = sm_status,
    .destroy = sm_destroy,
    .helper_wanted = shared_directory_wanted,
    .helper = shared_directory_helper,
    .command = sm_command,
};
