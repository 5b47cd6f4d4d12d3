/* Sleeper: see sleeper.h. */
#include "sm/sleeper.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "link/traits.h"
#include "sm/outbox.h"
#include "sm/presence.h"
#include "sm/slot.h"
#include "sm/stored.h"
#include "store/users.h"

#define KEPT_LATE   86400    /* seconds that the h of a stream is known after its time is over */
#define LATE_MOST   10u      /* such streams of one account */
#define EXPIRE_MS   3600000u /* between two looks for those that nobody will ask for */
#define FAILED_TEXT 40

static int64_t now_of(const struct sm *sm)
{
    return loop_wall(sm->loop) / 1000;
}

/* --- writing --- */

void sleeper_write(struct session *session)
{
    struct sm *sm = session->user->sm;
    const struct acks *acks = session->acks;
    if (acks->releasing)
        return;
    char words[TRAITS_TEXT];
    uint64_t now = loop_now(sm->loop);
    struct str presence = session->presence ? stored_text(session->presence) : STR_NULL;
    struct session_row row = {
        .resource = jid_resource(session->jid),
        .id = str_of(acks->id),
        .max = acks->max,
        .in = acks_h(acks),
        .until = now_of(sm) + (int64_t)(acks->deadline > now ? acks->deadline - now : 0) / 1000,
        .traits = traits_write(session->carbons ? TRAIT_CARBONS : 0, words),
        .presence = presence,
    };
    session->acks->kept = true;
    store_commit(sessions_set(store_begin(sm->store), jid_full(session->user->jid), &row), NULL,
                 NULL);
    free((char *)presence.data);
}

static void delete_row(struct sm *sm, const struct user *user, struct str id)
{
    store_commit(sessions_delete(store_begin(sm->store), jid_full(user->jid), id), NULL, NULL);
}

void sleeper_forget(struct session *session)
{
    struct acks *acks = session->acks;
    if (!acks->kept)
        return;
    acks->kept = false;
    delete_row(session->user->sm, session->user, str_of(acks->id));
}

struct release {
    struct user *user; /* held */
    char id[ACKS_ID_MAX + 1];
};

static void on_released(void *arg, enum error e, const struct store_rows *rows)
{
    struct release *r = arg;
    struct session *session = e == ERR_CANCELLED ? NULL : acks_find(r->user, str_of(r->id));
    struct acks *acks = session ? session->acks : NULL;
    struct packet *request = acks ? acks->resume : NULL;
    if (acks) {
        acks->releasing = false;
        acks->kept = e != ERR_OK;
    }
    if (request && e == ERR_OK) {
        acks_go_on(session, request);
    } else if (request) {
        acks->resume = NULL;
        session_answer(r->user->sm, request, SESSION_RESUME, STR("item-not-found"));
    }
    user_release(r->user);
    free(r);
}

void sleeper_release(struct session *session)
{
    struct acks *acks = session->acks;
    if (acks->releasing)
        return;
    acks->releasing = true;
    struct release *r = MEM_NEW(struct release);
    r->user = session->user;
    memcpy(r->id, acks->id, sizeof r->id);
    user_hold(r->user);
    store_commit(
        sessions_delete(store_begin(r->user->sm->store), jid_full(r->user->jid), str_of(acks->id)),
        on_released, r);
}

/* --- the end --- */

void sleeper_late(struct session *session)
{
    struct sm *sm = session->user->sm;
    struct acks *acks = session->acks;
    struct str owner = jid_full(session->user->jid);
    int64_t now = now_of(sm);
    struct session_row row = {.resource = jid_resource(session->jid),
                              .id = str_of(acks->id),
                              .max = acks->max,
                              .in = acks_h(acks),
                              .until = now - 1};
    if (!acks->kept || acks->releasing)
        return;
    acks->kept = false; /* what is in the store now stays there */
    struct store_txn *t = sessions_set(store_begin(sm->store), owner, &row);
    store_commit(sessions_keep(t, owner, now, LATE_MOST), NULL, NULL);
}

void sleeper_revoke(struct sm *sm, struct jid *account, struct user *user, struct str mark)
{
    if (user)
        user_hold(user);
    for (struct session *s = user ? user->sessions : NULL, *next; s; s = next) {
        next = s->next;
        if (s->asleep && str_starts(str_of(s->acks->id), mark))
            session_end(s);
    }
    if (user)
        user_release(user);
    slot_revoke(sm, jid_bare(account), mark);
    store_commit(sessions_revoke(store_begin(sm->store), jid_bare(account), mark), NULL, NULL);
}

static void on_expire(struct loop_timer *timer)
{
    struct sm *sm = MEM_CONTAINER(timer, struct sm, expire);
    store_commit(sessions_expire(store_begin(sm->store), now_of(sm) - KEPT_LATE), NULL, NULL);
    outbox_answers_drop(sm, NULL);
    loop_timer_start(timer, EXPIRE_MS);
}

void sleeper_init(struct sm *sm)
{
    loop_timer_init(&sm->expire, sm->loop, on_expire);
    on_expire(&sm->expire);
}

void sleeper_finish(struct sm *sm)
{
    loop_timer_stop(&sm->expire);
}

/* --- resuming --- */

struct wish {
    struct user *user;     /* held */
    struct packet *packet; /* SESSION_RESUME; NULL: answered */
    uint32_t h;
    char id[ACKS_ID_MAX + 1];
    bool late;       /* there is a row, and its time is over */
    int64_t max, in; /* of the row, as the following */
    char *resource, *traits, *presence;
};

static void wish_destroy(struct wish *w)
{
    user_release(w->user);
    free(w->resource);
    free(w->traits);
    free(w->presence);
    free(w);
}

static void refuse(struct wish *w)
{
    char text[FAILED_TEXT];
    int len = snprintf(text, sizeof text, "item-not-found %" PRId64, w->in);
    session_answer(w->user->sm, w->packet, SESSION_RESUME,
                   w->late ? (struct str){text, (size_t)len} : STR("item-not-found"));
}

/* The presence of its former life is said to all as if it came now: they have not heard of the
 * session since we died. Then it gets what was stored for it. */
static void show(struct session *session, struct str xml)
{
    struct sm *sm = session->user->sm;
    struct packet *p = packet_create(PACKET_STANZA, STR_NULL, STR_NULL);
    p->stanza = xml.data ? stored_parse(sm->c->env->parsers, xml) : NULL;
    if (!p->stanza) {
        packet_destroy(p);
        return;
    }
    p->from = jid_ref(session->jid);
    presence_from_client(session, p);
    if (session->presence)
        acks_tell_presence(session);
}

static void restore(struct wish *w)
{
    const struct user *user = w->user;
    struct str words = str_of(w->traits);
    char text[ACKS_ID_MAX + 72];
    int len = snprintf(text, sizeof text, "%" PRId64 " %s %" PRId64 " %" PRIu32, w->max, w->id,
                       w->in, w->h);
    struct jid *jid =
        jid_from_parts(jid_local(user->jid), jid_domain(user->jid), str_of(w->resource));
    struct session *session = session_restore(w->user, w->packet, jid, traits_take(&words),
                                              (struct str){text, (size_t)len});
    jid_unref(jid);
    acks_go_on(session, w->packet);
    outbox_answers_send(session);
    show(session, w->presence ? str_of(w->presence) : STR_NULL);
}

/* Else a newer session has taken its place. */
static bool has_room(const struct user *user, struct str resource)
{
    return user->state == USER_READY && !session_of(user, resource) &&
           user->session_count < (uint32_t)user->sm->c->env->config->sm_max_resources;
}

/* Only now: a row that outlived this would have an h that is too low, should we die again. */
static void on_deleted(void *arg, enum error e, const struct store_rows *rows)
{
    struct wish *w = arg;
    if (e == ERR_CANCELLED)
        packet_destroy(w->packet);
    else if (e == ERR_OK && has_room(w->user, str_of(w->resource)))
        restore(w);
    else
        refuse(w);
    wish_destroy(w);
}

static void take_words(struct wish *w, struct str resource, struct str traits, struct str presence)
{
    w->resource = str_dup(resource);
    w->traits = str_dup(traits.data ? traits : STR(""));
    w->presence = presence.data ? str_dup(presence) : NULL;
}

static bool take_row(struct wish *w, const struct store_rows *rows)
{
    enum { RESOURCE, MAX, IN, UNTIL, TRAITS, PRESENCE };
    if (store_rows_count(rows) != 1)
        return false;
    w->in = store_int(rows, 0, IN);
    w->late = store_int(rows, 0, UNTIL) < now_of(w->user->sm);
    if (w->late || !has_room(w->user, store_text(rows, 0, RESOURCE)))
        return false;
    w->max = store_int(rows, 0, MAX);
    take_words(w, store_text(rows, 0, RESOURCE), store_text(rows, 0, TRAITS),
               store_text(rows, 0, PRESENCE));
    return true;
}

/* No row was ever written of it, or that has gone: then the board knows it. */
static bool take_slot(struct wish *w)
{
    struct sm *sm = w->user->sm;
    struct slot_former *former = slot_find(sm, w->user, str_of(w->id));
    char bytes[BOARD_BYTES];
    struct slot_record r;
    uint32_t in;
    if (!former || !slot_read(sm, former, bytes, &r, &in))
        return false;
    w->in = in;
    w->late = r.until < now_of(sm);
    if (w->late || !has_room(w->user, r.resource))
        return false;
    w->max = r.max;
    take_words(w, r.resource, r.traits, r.presence);
    return true;
}

static void on_row(void *arg, enum error e, const struct store_rows *rows)
{
    struct wish *w = arg;
    if (e == ERR_OK && !acks_find(w->user, str_of(w->id)) && take_row(w, rows)) {
        struct store_txn *t = store_begin(w->user->sm->store);
        store_commit(sessions_delete(t, jid_full(w->user->jid), str_of(w->id)), on_deleted, w);
        return;
    }
    if (e == ERR_CANCELLED)
        packet_destroy(w->packet);
    else if (acks_find(w->user, str_of(w->id))) /* another stream was faster */
        acks_resume(w->user, w->packet);
    else if (e == ERR_OK && store_rows_count(rows) == 0 && take_slot(w))
        restore(w);
    else
        refuse(w);
    wish_destroy(w);
}

void sleeper_resume(struct user *user, struct packet *p, struct str id, uint32_t h)
{
    if (id.len > ACKS_ID_MAX) {
        session_answer(user->sm, p, SESSION_RESUME, STR("item-not-found"));
        return;
    }
    struct wish *w = MEM_NEW(struct wish);
    w->user = user;
    w->packet = p;
    w->h = h;
    memcpy(w->id, id.data, id.len);
    user_hold(user);
    sessions_get(user->sm->store, jid_full(user->jid), str_of(w->id), on_row, w);
}
