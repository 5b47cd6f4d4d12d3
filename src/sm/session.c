/* Sessions: started, ended and replaced at a c2s' word. See session.h. */
#include "sm/session.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "link/traits.h"
#include "sm/acks.h"
#include "sm/carbons.h"
#include "sm/csi.h"
#include "sm/mam.h"
#include "sm/outbox.h"
#include "sm/presence.h"

struct session *session_find(const struct sm *sm, const struct session_id *id)
{
    return hash_get(&sm->sessions, session_id_str(id));
}

struct session *session_of(const struct user *user, struct str resource)
{
    for (struct session *s = user->sessions; s; s = s->next)
        if (str_eq(jid_resource(s->jid), resource))
            return s;
    return NULL;
}

/* --- answers --- */

static void answer(struct sm *sm, struct packet *request, enum session_action action,
                   struct str reason, bool failed)
{
    struct packet *p = packet_create_session(request->route_from, str_of(sm->c->id), action,
                                             request->target, reason);
    p->c2s = request->c2s;
    p->sm = request->sm;
    p->request = request->request;
    p->failed = failed;
    component_send(sm->c, p);
    packet_destroy(request);
}

void session_answer(struct sm *sm, struct packet *request, enum session_action action,
                    struct str reason)
{
    answer(sm, request, action, reason, reason.data != NULL);
}

/* "receipts": a c2s of ours may offer XEP-0198. "archive" and its two ends: for XEP-0386. */
static void answer_started(struct session *s, struct packet *request, const struct mam_ends *ends)
{
    char text[MAM_ENDS_TEXT + 24], list[MAM_ENDS_TEXT];
    struct str both = ends ? mam_ends_write(ends, list) : STR("");
    int len = snprintf(text, sizeof text, "receipts%s%.*s", ends ? " archive" : "", STR_ARG(both));
    request->sm = s->sm;
    answer(s->user->sm, request, SESSION_STARTED, (struct str){text, (size_t)len}, false);
}

void session_tell(const struct session *s, enum session_action action, struct str reason)
{
    struct sm *sm = s->user->sm;
    struct packet *p =
        packet_create_session(peer_name(s->peer), str_of(sm->c->id), action, s->jid, reason);
    p->c2s = s->c2s;
    p->sm = s->sm;
    component_send(sm->c, p);
}

/* --- peers --- */

static struct peer *peer_get(struct sm *sm, struct str name)
{
    struct peer *peer = hash_get(&sm->peers, name);
    if (peer)
        return peer;
    peer = mem_alloc(sizeof *peer + name.len + 1);
    peer->name_len = name.len;
    memcpy(peer->name, name.data, name.len);
    list_init(&peer->sessions);
    list_init(&peer->orphans);
    hash_put(&sm->peers, peer_name(peer), peer);
    return peer;
}

/* Stale sessions stand before the others in the list of their peer: whoever is heard of moves to
 * the end. */
static struct session *first_stale(const struct peer *peer)
{
    if (list_empty(&peer->sessions))
        return NULL;
    struct session *s = LIST_ENTRY(peer->sessions.next, struct session, peer_node);
    return s->stale ? s : NULL;
}

void session_heard(struct session *s)
{
    s->stale = false;
    list_remove(&s->peer_node);
    list_push(&s->peer->sessions, &s->peer_node);
    flight_repeat(s);
}

void session_peer_down(struct sm *sm, struct str name, bool link_lost)
{
    struct peer *peer = hash_get(&sm->peers, name);
    if (!peer)
        return;
    LIST_EACH (it, &peer->sessions) {
        struct session *s = LIST_ENTRY(it, struct session, peer_node);
        s->stale = s->lost = true;
    }
    peer->gone = !link_lost;
    if (!peer->gone)
        return;
    loop_timer_start(&sm->reaper, 0);
    flight_peer_gone(sm, peer);
}

void session_resume_timer(struct loop_timer *timer)
{
    struct sm *sm = MEM_CONTAINER(timer, struct sm, resume);
    struct peer *peer;
    for (size_t i = 0; (peer = hash_next(&sm->peers, &i));) {
        peer->gone = true;
        flight_peer_gone(sm, peer);
    }
    loop_timer_start(&sm->reaper, 0);
}

/* So many at a time that the others hardly notice. */
void session_reap_timer(struct loop_timer *timer)
{
    struct sm *sm = MEM_CONTAINER(timer, struct sm, reaper);
    struct peer *peer;
    unsigned left = SM_REAP_AT_ONCE;
    for (size_t i = 0; left && (peer = hash_next(&sm->peers, &i));) {
        struct session *s = NULL;
        while (peer->gone && left && (s = first_stale(peer))) {
            session_lost(s);
            left--;
        }
        if (!s)
            peer->gone = false;
    }
    if (!left)
        loop_timer_start(timer, SM_REAP_MS);
}

/* --- start --- */

static struct session *make(struct user *user, const struct packet *p)
{
    struct sm *sm = user->sm;
    struct session *s = MEM_NEW(struct session);
    s->user = user;
    s->jid = jid_ref(p->target);
    s->c2s = p->c2s;
    list_init(&s->flights);
    list_init(&s->push.watched);
    session_id_make(&s->sm, sm->c->env->random);
    s->peer = peer_get(sm, p->route_from);
    list_push(&s->peer->sessions, &s->peer_node);
    hash_put(&sm->sessions, session_id_str(&s->sm), s);
    struct session **end = &user->sessions;
    while (*end)
        end = &(*end)->next;
    *end = s;
    user->session_count++;
    list_remove(&user->idle);
    sm->counters.sessions_started++;
    rate_count(&user->logins, loop_now(sm->loop));
    return s;
}

/* Names of one session alone (XEP-0175). */
static bool is_guest(const struct user *user)
{
    const struct config_list *domains = &user->sm->c->env->config->auth_anonymous;
    for (size_t i = 0; i < domains->count; i++)
        if (str_is(jid_domain(user->jid), domains->items[i]))
            return true;
    return false;
}

static void on_activated(void *arg, enum error e, const struct store_rows *rows)
{
    struct user *user = arg;
    if (!e && user->active && user->state == USER_READY) {
        path_run(&user->sm->path, PATH_USER_CREATED,
                 &(struct path_event){.sm = user->sm, .user = user});
        user_welcome(user);
    }
    user_release(user);
}

/* An account that c2s has authenticated exists, whatever the users' database knew of it: one that a
 * directory knows is new here when it first comes. */
static void ensure_active(struct user *user)
{
    if (user->active)
        return;
    user->active = true;
    path_run(&user->sm->path, PATH_USER_READY, &(struct path_event){.sm = user->sm, .user = user});
    struct store_txn *t = store_begin(user->sm->store);
    int64_t now = loop_wall(user->sm->loop) / 1000;
    if (is_guest(user)) {
        store_commit(users_activate(t, jid_full(user->jid), now), NULL, NULL);
        return;
    }
    user_hold(user);
    store_commit(users_activate_new(t, jid_full(user->jid), now), on_activated, user);
}

static void take_traits(struct session *s, unsigned traits)
{
    carbons_set(s, traits & TRAIT_CARBONS);
    csi_set(s, traits & TRAIT_INACTIVE);
}

/* Only our link was lost: the session goes on for the same client, under new ids. */
static void adopt(struct session *s, struct packet *p, unsigned traits)
{
    if (s->asleep)
        acks_wake(s);
    session_take(s, p);
    answer_started(s, p, NULL);
    flight_repeat(s);
    take_traits(s, traits);
    path_run(&s->user->sm->path, PATH_SESSION_WAKE,
             &(struct path_event){.sm = s->user->sm, .user = s->user, .session = s});
}

void session_take(struct session *s, const struct packet *p)
{
    struct sm *sm = s->user->sm;
    hash_del(&sm->sessions, session_id_str(&s->sm));
    session_id_make(&s->sm, sm->c->env->random);
    hash_put(&sm->sessions, session_id_str(&s->sm), s);
    list_remove(&s->peer_node);
    s->peer = peer_get(sm, p->route_from);
    list_push(&s->peer->sessions, &s->peer_node);
    s->c2s = p->c2s;
    s->stale = s->lost = false;
}

/* A stanza condition's name when the session may not start. */
static struct str obstacle(const struct user *user, const struct session *same, bool ours)
{
    const struct config *config = user->sm->c->env->config;
    if (same)
        return ours || strcmp(config->c2s_conflict, "replace") == 0 ? STR_NULL : STR("conflict");
    if (user->session_count >= (uint32_t)config->sm_max_resources)
        return STR("resource-constraint");
    return STR_NULL;
}

/* What a START says of the session (link/traits.h). */
struct beginning {
    bool resumed;    /* it goes on from another sm, or after a lost link */
    unsigned traits; /* bits */
    struct str acks; /* what acks_enable takes; data == NULL: none */
};

static struct beginning read_beginning(const struct packet *p)
{
    struct beginning b = {.acks = p->reason};
    struct str rest = p->reason, word;
    b.resumed = str_split(&rest, ' ', &word) && str_is(word, "resumed");
    if (b.resumed)
        b.acks = rest;
    b.traits = traits_take(&b.acks);
    return b;
}

/* "MAX ID ...": the id is that of its stream. */
static bool same_stream(const struct session *s, struct str text)
{
    struct str max, id;
    return str_split(&text, ' ', &max) && str_split(&text, ' ', &id) && acks_is(s, id);
}

/* XEP-0386 section 3.2: "SHOULD terminate any earlier sessions from the same client", whatever its
 * tag was. There is one at most, since each ended the one before. */
static struct session *of_same_client(const struct user *user, struct str resource)
{
    for (struct session *s = user->sessions; s && resource.len >= BIND2_ID; s = s->next) {
        struct str other = jid_resource(s->jid);
        if (other.len >= BIND2_ID && memcmp(other.data + other.len - BIND2_ID,
                                            resource.data + resource.len - BIND2_ID, BIND2_ID) == 0)
            return s;
    }
    return NULL;
}

/* XEP-0386 section 3.2: its client has the archive up to here, so what waits offline and is in
 * there is not sent to it (mam_has_seen). */
static void begin(struct user *user, struct packet *p, const struct mam_ends *ends)
{
    struct sm *sm = user->sm;
    struct session *same = session_of(user, jid_resource(p->target));
    struct beginning b = read_beginning(p);
    if (same && b.resumed && (same->lost || (b.acks.data && same_stream(same, b.acks)))) {
        adopt(same, p, b.traits);
        return;
    }
    if (!same && (b.traits & TRAIT_BIND2) && !b.resumed)
        same = of_same_client(user, jid_resource(p->target));
    struct str why = user->state == USER_READY
                         ? obstacle(user, same, b.resumed || (b.traits & TRAIT_BIND2))
                         : STR("item-not-found"); /* it went while its archive was asked */
    if (why.data) {
        session_answer(sm, p, SESSION_START, why);
        return;
    }
    user_hold(user);
    if (same)
        session_close(same, SESSION_REPLACED, STR_NULL); /* RFC 6120 section 7.7.2.2 */
    ensure_active(user);
    struct session *s = make(user, p);
    s->interested = b.resumed; /* its client asked for the roster long ago and will not again */
    s->seen_from = ends ? ends->oldest.time : 0;
    s->seen_upto = ends ? ends->newest.time : 0;
    if (b.acks.data)
        (void)acks_enable(s, b.acks);
    take_traits(s, b.traits);
    path_run(&sm->path, PATH_SESSION_START,
             &(struct path_event){.sm = sm, .user = user, .session = s});
    answer_started(s, p, ends);
    if (b.resumed && s->acks)
        outbox_answers_send(s);
    else
        outbox_answers_drop(sm, s->jid);
    user_release(user);
}

static void on_ends(struct user *user, void *arg, enum error e, const struct mam_ends *ends)
{
    if (e == ERR_CANCELLED) /* the instance ends */
        packet_destroy(arg);
    else
        begin(user, arg, e ? NULL : ends);
}

void session_start(struct user *user, struct packet *p)
{
    struct beginning b = read_beginning(p);
    if ((b.traits & TRAIT_BIND2) && !b.resumed && mam_enabled(user->sm))
        mam_ends(user, on_ends, p);
    else
        begin(user, p, NULL);
}

struct session *session_restore(struct user *user, struct packet *p, struct jid *jid,
                                unsigned traits, struct str acks)
{
    jid_unref(p->target);
    p->target = jid_ref(jid);
    ensure_active(user);
    struct session *s = make(user, p);
    s->interested = true;
    (void)acks_enable(s, acks);
    take_traits(s, traits);
    path_run(&user->sm->path, PATH_SESSION_START,
             &(struct path_event){.sm = user->sm, .user = user, .session = s});
    return s;
}

/* --- end --- */

static void unlink_session(struct session *s)
{
    struct user *user = s->user;
    struct session **at = &user->sessions;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    user->session_count--;
    list_remove(&s->peer_node);
    hash_del(&user->sm->sessions, session_id_str(&s->sm));
}

static void session_free(struct session *s)
{
    stanza_unref(s->presence);
    for (uint32_t i = 0; i < s->directed_count; i++)
        jid_unref(s->directed[i]);
    free(s->directed);
    jid_unref(s->jid);
    free(s);
}

void session_forget(struct session *s)
{
    if (s->acks) {
        packet_destroy(s->acks->resume);
        s->acks->resume = NULL;
        s->acks->session = NULL;
        acks_unref(s->acks);
    }
    csi_forget(s);
    session_free(s);
}

void session_end(struct session *s)
{
    struct user *user = s->user;
    user_hold(user);
    path_run(&user->sm->path, PATH_SESSION_END,
             &(struct path_event){.sm = user->sm, .user = user, .session = s});
    unlink_session(s); /* first: it gets no copy of its own absence */
    presence_gone(s);
    flight_end(s);
    csi_end(s);
    acks_forget(s);
    session_free(s);
    user_release(user);
}

void session_close(struct session *s, enum session_action action, struct str reason)
{
    session_tell(s, action, reason);
    session_end(s);
}

void session_lost(struct session *s)
{
    struct user *user = s->user;
    if (acks_sleep(s))
        path_run(&user->sm->path, PATH_SESSION_SLEEP,
                 &(struct path_event){.sm = user->sm, .user = user, .session = s});
    else
        session_end(s);
}
