/* sm: the session manager component, from its start to its end: domains, reload, neighbours that
 * come and go, what the shell asks. What comes in is sorted in input.c.
 */
#include "sm/sm.h"

#include <stdlib.h>
#include "base/mem.h"
#include "component/database.h"
#include "sm/acks.h"
#include "sm/durable.h"
#include "sm/flight.h"
#include "sm/input.h"
#include "sm/sleeper.h"
#include "sm/slot.h"
#include "sm/mam.h"
#include "sm/offline.h"
#include "sm/outbox.h"
#include "sm/services.h"
#include "sm/shared_directory.h"

#define DRAIN_POLL_MS 20

struct jid *sm_domain(const struct sm *sm, struct str domain)
{
    return domains_find(&sm->domains, domain) ? hash_get(&sm->domain_jids, domain) : NULL;
}

bool sm_owns(const struct sm *sm, const struct jid *user)
{
    struct str owner = component_owner(sm->c, jid_domain(user), jid_bare(user));
    return !owner.data || str_is(owner, sm->c->id);
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
    if (store_pending(sm->store)) {
        loop_timer_start(timer, DRAIN_POLL_MS);
        return;
    }
    slot_stop(sm);
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
    durable_init(sm);
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
        input_user_action(
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
    .packet = input_packet,
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
