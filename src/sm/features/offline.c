/* Offline messages (XEP-0160) with the time they came (XEP-0203).
 *
 * A message that no resource can take is written to the queue; it counts as accepted when the write
 * is committed, and is answered with service-unavailable when that fails (RFC 6121
 * section 8.5.2.2.1). The first session that can take messages gets the queue, in order, page by
 * page; a page is deleted when it has been handed over. Messages that arrive meanwhile wait behind
 * it. When that session ends in the middle, another one gets the rest, or it stays.
 */
#include "sm/offline.h"

#include <stdlib.h>
#include "base/mem.h"
#include "sm/deliver.h"
#include "sm/send.h"
#include "sm/session.h"
#include "sm/stored.h"
#include "store/users.h"
#include "xmpp/delay.h"
#include "xmpp/namespaces.h"

#define PAGE 100u /* messages handed over at a time */

/* --- storing --- */

bool offline_keeps(const struct stanza *message)
{
    if (stanza_child(message, STANZA_ROOT, STR("no-store"), NS_HINTS) != STANZA_NONE)
        return false;
    if (stanza_child(message, STANZA_ROOT, STR("store"), NS_HINTS) != STANZA_NONE)
        return true;
    bool content = false, chat_state = false;
    for (stanza_el el = stanza_first(message, STANZA_ROOT); el != STANZA_NONE;
         el = stanza_next(message, el)) {
        struct str ns = stanza_ns(message, el), name = stanza_name(message, el);
        if (str_eq(ns, NS_CHAT_STATES))
            chat_state = true;
        else if (!str_eq(ns, NS_HINTS) && !str_is(name, "thread"))
            content = true;
    }
    /* XEP-0160: a chat message that says only how the typing goes is not kept; nor is an empty one.
     */
    return content || (!chat_state && stanza_first(message, STANZA_ROOT) != STANZA_NONE);
}

struct deposit {
    struct user *user;
    struct packet *packet; /* for the error, should the write fail */
};

static void on_deposited(void *arg, enum error e, const struct store_rows *rows)
{
    struct deposit *deposit = arg;
    struct user *user = deposit->user;
    if (e) {
        if (e != ERR_STORE_FULL && e != ERR_CANCELLED)
            log_error(&user->sm->c->log, "cannot store a message for %s: %s", user->jid->text,
                      error_text(e));
        send_error(user->sm, NULL, deposit->packet, STANZA_ERR_SERVICE_UNAVAILABLE, NULL);
    } else {
        user->sm->counters.offline_stored++;
        packet_destroy(deposit->packet);
    }
    free(deposit);
    user_release(user);
}

/* `id`: the place in the queue. */
static void deposit(struct user *user, struct packet *p, uint64_t id)
{
    struct sm *sm = user->sm;
    struct stanza_stamp base = {.xmlns = stanza_ns(p->stanza, STANZA_ROOT)};
    char *xml = mem_alloc(packet_payload_size(p, &base));
    size_t len = packet_payload_write(p, &base, xml);
    struct deposit *deposit = MEM_NEW(struct deposit);
    deposit->user = user;
    deposit->packet = p;
    user->offline.empty = false;
    user_hold(user);
    struct store_txn *t = store_begin(sm->store);
    t = queue_push(t, jid_full(user->jid), id, (struct str){xml, len},
                   (uint32_t)sm->c->env->config->sm_max_offline);
    store_commit(t, on_deposited, deposit);
    free(xml);
}

static enum path_result at_offline(struct path_event *e)
{
    if (!offline_keeps(e->packet->stanza) ||
        offline_expired(e->packet->stanza, (uint64_t)loop_wall(e->sm->loop) * 1000,
                        loop_wall(e->sm->loop) / 1000))
        return PATH_PASS;
    if (e->sm->c->env->config->sm_max_offline == 0) {
        send_error(e->sm, NULL, e->packet, STANZA_ERR_SERVICE_UNAVAILABLE, NULL);
        return PATH_DONE;
    }
    if (!e->packet->delay)
        e->packet->delay =
            delay_create(jid_domain(e->user->jid), loop_wall(e->sm->loop), "Offline Storage");
    deposit(e->user, e->packet, store_sequence(e->sm->store));
    return PATH_DONE;
}

/* --- flushing --- */

static void load_page(struct user *user);

/* Lets what waited behind the queue go on, in order. */
static void release_held(struct user *user)
{
    struct list *node;
    user->offline.flushing = false;
    user->offline.rewind = false;
    user->offline.session = NULL;
    while (!user->offline.flushing && (node = list_pop(&user->offline.held))) {
        user->offline.held_count--;
        struct packet *p = LIST_ENTRY(node, struct packet, node);
        if (user->state == USER_READY)
            deliver_message(user, p);
        else if (!user_wait(user, p))
            send_error(user->sm, NULL, p, STANZA_ERR_RESOURCE_CONSTRAINT, NULL);
    }
}

static struct session *receiver(struct user *user)
{
    if (user->offline.session && session_takes_messages(user->offline.session))
        return user->offline.session;
    for (struct session *s = user->sessions; s; s = s->next)
        if (session_takes_messages(s))
            return user->offline.session = s;
    return NULL;
}

static uint64_t mark_of(const struct user *user, const struct stanza *s)
{
    struct str inner = stanza_inner(s, STANZA_ROOT), id = stanza_attr(s, STANZA_ROOT, STR("id"));
    const uint64_t *seed = user->sm->users.seed;
    return hash_bytes(seed, inner.data, inner.len) ^ hash_bytes(seed, id.data, id.len);
}

/* Remembers the last two pages: more cannot be on the way to the client unseen by the c2s. */
static void remember(struct user *user, uint64_t id, const struct stanza *s)
{
    struct user_offline *offline = &user->offline;
    if (offline->handed_count == 2 * PAGE) {
        memmove(offline->handed, offline->handed + PAGE, PAGE * sizeof *offline->handed);
        offline->handed_count = PAGE;
    }
    if (offline->handed_count % 16 == 0)
        offline->handed =
            mem_realloc(offline->handed, (offline->handed_count + 16) * sizeof *offline->handed);
    offline->handed[offline->handed_count++] = (struct user_handed){id, mark_of(user, s)};
}

/* Already has our stamp, so nothing is added. */
bool offline_returned(struct user *user, struct packet *p)
{
    struct user_offline *offline = &user->offline;
    uint64_t mark = offline->handed_count ? mark_of(user, p->stanza) : 0;
    for (uint32_t i = 0; i < offline->handed_count; i++) {
        if (offline->handed[i].mark != mark)
            continue;
        offline->handed[i].mark = 0; /* of two that are equal, the other comes next */
        deposit(user, p, offline->handed[i].id);
        offline->rewind = offline->flushing;
        return true;
    }
    return false;
}

/* Messages handed to a session with XEP-0198 stay in the queue until its client has acknowledged
 * them; a page of them is one promise. */
struct page {
    struct promise promise;
    struct user *user; /* held */
    uint64_t upto;
    bool broken; /* the session ended before: they stay */
};

static void on_acknowledged(struct promise *promise)
{
    struct page *page = MEM_CONTAINER(promise, struct page, promise);
    struct user *user = page->user;
    struct sm *sm = user->sm;
    user->offline.pages--;
    if (page->broken)
        user->offline.empty = false;
    else if (!sm->closing)
        store_commit(queue_delete_upto(store_begin(sm->store), jid_full(user->jid), page->upto),
                     NULL, NULL);
    free(page);
    if (!sm->closing)
        user_release(user);
}

static struct promise *page_create(struct user *user, uint64_t upto)
{
    struct page *page = MEM_NEW(struct page);
    page->promise.refs = 1;
    page->promise.kept = on_acknowledged;
    page->user = user;
    page->upto = upto;
    user->offline.pages++;
    user_hold(user);
    return &page->promise;
}

bool offline_has(const struct promise *promise)
{
    return promise && promise->kept == on_acknowledged;
}

void offline_broken(struct promise *promise)
{
    MEM_CONTAINER(promise, struct page, promise)->broken = true;
}

static void hand_over(struct session *session, uint64_t id, struct str xml, struct promise *promise)
{
    struct sm *sm = session->user->sm;
    struct stanza *s = stored_parse(sm->c->env->parsers, xml);
    if (!s) {
        log_error(&sm->c->log, "a stored message of %s cannot be read any more; it is dropped",
                  session->user->jid->text);
        return;
    }
    if (!offline_expired(s, id, loop_wall(sm->loop) / 1000)) {
        if (!promise)
            remember(session->user, id, s);
        send_stored(session, s, promise);
        sm->counters.offline_delivered++;
    }
    stanza_unref(s);
}

static void hand_over_all(struct session *session, const struct store_rows *rows, size_t count)
{
    struct user *user = session->user;
    if (!count)
        return;
    user->offline.after = (uint64_t)store_int(rows, count - 1, 0);
    struct promise *page = session->acks ? page_create(user, user->offline.after) : NULL;
    for (size_t i = 0; i < count; i++)
        hand_over(session, (uint64_t)store_int(rows, i, 0), store_text(rows, i, 1), page);
    promise_unref(page);
    if (page)
        return;
    struct store_txn *t = store_begin(user->sm->store);
    store_commit(queue_delete_upto(t, jid_full(user->jid), user->offline.after), NULL, NULL);
}

static void on_page(void *arg, enum error e, const struct store_rows *rows)
{
    struct user *user = arg;
    struct sm *sm = user->sm;
    struct session *session = receiver(user);
    size_t count = e ? 0 : store_rows_count(rows);
    if (e == ERR_CANCELLED) { /* the store closes: nothing may be written any more */
        user_release(user);
        return;
    }
    if (e)
        log_error(&sm->c->log, "cannot read the offline messages of %s: %s", user->jid->text,
                  error_text(e));
    if (e || !session || user->state == USER_DELETING) { /* they stay for the next one */
        release_held(user);
        user_release(user);
        return;
    }
    if (user->offline.rewind) { /* older ones are back in the queue */
        user->offline.rewind = false;
        user->offline.after = 0;
        load_page(user);
        user_release(user);
        return;
    }
    hand_over_all(session, rows, count);
    if (count == PAGE) {
        load_page(user);
    } else {
        user->offline.empty = true;
        release_held(user);
    }
    user_release(user);
}

static void load_page(struct user *user)
{
    struct sm *sm = user->sm;
    user_hold(user);
    if (component_full(sm->c))
        list_push(&sm->paused, &user->offline.paused); /* goes on in offline_resume */
    else
        queue_load(sm->store, jid_full(user->jid), user->offline.after, PAGE, on_page, user);
}

void offline_resume(struct user *user)
{
    queue_load(user->sm->store, jid_full(user->jid), user->offline.after, PAGE, on_page, user);
}

/* XEP-0013 section 2.2: no flood for this session, nor for another beside it. */
static bool retrieved_one_by_one(const struct user *user)
{
    for (const struct session *s = user->sessions; s; s = s->next)
        if (s->retrieves)
            return true;
    return false;
}

static enum path_result at_available(struct path_event *e)
{
    struct user *user = e->user;
    if (user->offline.flushing || user->offline.empty || retrieved_one_by_one(user))
        return PATH_PASS;
    user->offline.flushing = true;
    if (!user->offline.pages) /* else the first ones are on their way to another session */
        user->offline.after = 0;
    user->offline.session = e->session;
    load_page(user);
    return PATH_PASS;
}

static enum path_result at_session_end(struct path_event *e)
{
    if (e->user->offline.session == e->session)
        e->user->offline.session = NULL;
    return PATH_PASS;
}

/* A message that comes while older ones are being handed over waits for its turn. */
static enum path_result at_from_router(struct path_event *e)
{
    struct user_offline *offline = &e->user->offline;
    if (!offline->flushing || send_kind_of(e->packet->stanza) != SEND_MESSAGE)
        return PATH_PASS;
    if (offline->held_count >= SM_MAX_WAITING) {
        send_error(e->sm, NULL, e->packet, STANZA_ERR_RESOURCE_CONSTRAINT, NULL);
        return PATH_DONE;
    }
    offline->held_count++;
    list_push(&offline->held, &e->packet->node);
    return PATH_DONE;
}

/* --- an account goes: its messages go back --- */

static void on_returned(void *arg, enum error e, const struct store_rows *rows);

static void return_page(struct user *user)
{
    queue_load(user->sm->store, jid_full(user->jid), user->offline.after, PAGE, on_returned, user);
}

static void send_back(struct sm *sm, struct str xml)
{
    struct packet *p = packet_create(PACKET_STANZA, STR_NULL, STR_NULL);
    p->stanza = stored_parse(sm->c->env->parsers, xml);
    if (p->stanza) {
        p->from = jid_parse(stanza_attr(p->stanza, STANZA_ROOT, STR("from")));
        p->to = jid_parse(stanza_attr(p->stanza, STANZA_ROOT, STR("to")));
    }
    if (p->from && p->to)
        send_error(sm, NULL, p, STANZA_ERR_SERVICE_UNAVAILABLE, NULL);
    else
        packet_destroy(p);
}

static void on_returned(void *arg, enum error e, const struct store_rows *rows)
{
    struct user *user = arg;
    size_t count = e ? 0 : store_rows_count(rows);
    if (e == ERR_CANCELLED)
        return;
    for (size_t i = 0; i < count; i++)
        send_back(user->sm, store_text(rows, i, 1));
    if (count == PAGE) {
        user->offline.after = (uint64_t)store_int(rows, count - 1, 0);
        return_page(user);
        return;
    }
    user->offline.empty = true;
    user_delete_done(user);
}

static enum path_result at_user_delete(struct path_event *e)
{
    user_delete_wait(e->user);
    e->user->offline.after = 0;
    return_page(e->user);
    return PATH_PASS;
}

static const struct str *const features[] = {&NS_OFFLINE, NULL};

const struct feature offline_feature = {
    .name = "offline",
    .at = {[PATH_FROM_ROUTER] = at_from_router,
           [PATH_OFFLINE] = at_offline,
           [PATH_SESSION_AVAILABLE] = at_available,
           [PATH_SESSION_END] = at_session_end,
           [PATH_USER_DELETE] = at_user_delete},
    .server_features = features,
};
