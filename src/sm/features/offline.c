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
#include "sm/carbons.h"
#include "sm/deliver.h"
#include "sm/mam.h"
#include "sm/outbox.h"
#include "sm/send.h"
#include "sm/session.h"
#include "sm/stored.h"
#include "store/users.h"
#include "xmpp/namespaces.h"

#define PAGE      100u  /* messages handed over at a time */
#define REREAD_MS 2000u /* after the database could not be read, or not be written */
#define TRIES     30u   /* to write a message that somebody waits for */

/* --- storing --- */

bool offline_keeps(const struct stanza *message)
{
    if (carbons_is_copy(message))
        return false;
    if (stanza_child(message, STANZA_ROOT, STR("no-store"), NS_HINTS) != STANZA_NONE)
        return false;
    if (stanza_child(message, STANZA_ROOT, STR("store"), NS_HINTS) != STANZA_NONE)
        return true;
    bool content = false, chat_state = false;
    for (stanza_el el = stanza_first(message, STANZA_ROOT); el != STANZA_NONE;
         el = stanza_next(message, el)) {
        struct str ns = stanza_ns(message, el), name = stanza_name(message, el);
        if (str_eq(ns, NS_MAM)) /* a result for one session, and in the archive anyway */
            return false;
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
    struct list node; /* in user->offline.refused */
    struct user *user;
    struct packet *packet; /* for the error, should the write fail */
    uint64_t source;       /* outbox_hand_over */
    unsigned tries;
};

static void again_later(struct user *user)
{
    struct sm *sm = user->sm;
    if (!list_empty(&user->offline.unread))
        return;
    user_hold(user);
    list_push(&sm->unread, &user->offline.unread);
    if (!loop_timer_running(&sm->reread))
        loop_timer_start(&sm->reread, REREAD_MS);
}

static void on_deposited(void *arg, enum error e, const struct store_rows *rows)
{
    struct deposit *deposit = arg;
    char id[LEDGER_ID + 1];
    struct user *user = deposit->user;
    outbox_handed_over(user->sm, deposit->source, e);
    /* Who waits for an acknowledgement may have it by now - the message is in an outbox - and not
     * be there any more to hear of an error (reliability.md G1): a disk that is full for a while
     * must not lose it. */
    if (e && e != ERR_CANCELLED && e != ERR_FULL && deposit->packet->promise &&
        ++deposit->tries < TRIES) {
        list_push(&user->offline.refused, &deposit->node);
        again_later(user);
        user_release(user);
        return;
    }
    fate_writing(user->sm, deposit->packet, false);
    if (e) {
        if (e != ERR_FULL && e != ERR_STORE_FULL && e != ERR_CANCELLED)
            log_error(&user->sm->c->log, "cannot store message %s for %s: %s",
                      ledger_id_text(deposit->packet->trace, id), user->jid->text, error_text(e));
        mam_withdraw(user, deposit->packet);
        send_error(user->sm, NULL, deposit->packet, STANZA_ERR_SERVICE_UNAVAILABLE, NULL);
    } else {
        user->sm->counters.offline_stored++;
        fate_end(user->sm, deposit->packet, FATE_STORED);
        fate_note(user->sm, LEDGER_STORED, deposit->packet, jid_full(user->jid), STR_NULL);
        packet_destroy(deposit->packet);
    }
    free(deposit);
    user_release(user);
}

static void commit(struct deposit *deposit)
{
    struct user *user = deposit->user;
    struct packet *p = deposit->packet;
    struct sm *sm = user->sm;
    struct stanza_stamp base = {.xmlns = stanza_ns(p->stanza, STANZA_ROOT)};
    char *xml = mem_alloc(packet_payload_size(p, &base));
    size_t len = packet_payload_write(p, &base, xml);
    user->offline.empty = false;
    user_hold(user);
    struct store_txn *t = store_begin(sm->store);
    t = queue_push_traced(t, jid_full(user->jid), store_sequence(sm->store), (struct str){xml, len},
                          (uint32_t)sm->c->env->config->sm_max_offline, p->trace);
    deposit->source = outbox_hand_over(sm, p, t);
    store_commit(t, on_deposited, deposit);
    free(xml);
}

static void deposit(struct user *user, struct packet *p)
{
    struct deposit *deposit = MEM_NEW(struct deposit);
    list_init(&deposit->node);
    deposit->user = user;
    deposit->packet = p;
    fate_writing(user->sm, p, true);
    commit(deposit);
}

static enum path_result only_archived(struct path_event *e)
{
    fate_end(e->sm, e->packet, FATE_STORED);
    fate_note(e->sm, LEDGER_STORED, e->packet, jid_full(e->user->jid), STR("in the archive alone"));
    packet_destroy(e->packet);
    return PATH_DONE;
}

static enum path_result at_offline(struct path_event *e)
{
    if (!offline_keeps(e->packet->stanza) ||
        offline_expired(e->packet->stanza, (uint64_t)loop_wall(e->sm->loop) * 1000,
                        loop_wall(e->sm->loop) / 1000))
        return PATH_PASS;
    if (e->sm->c->env->config->sm_max_offline == 0) {
        if (mam_id_of(e->user, jid_full(e->packet->from), e->packet->stanza).time)
            return only_archived(e); /* and that is how it is wanted */
        send_error(e->sm, NULL, e->packet, STANZA_ERR_SERVICE_UNAVAILABLE, NULL);
        return PATH_DONE;
    }
    send_delay(e->sm, e->packet, jid_domain(e->user->jid), loop_wall(e->sm->loop),
               "Offline Storage");
    deposit(e->user, e->packet);
    return PATH_DONE;
}

/* --- flushing --- */

static void load_page(struct user *user);

static struct session *receiver(struct user *user)
{
    if (user->offline.session && session_takes_messages(user->offline.session))
        return user->offline.session;
    for (struct session *s = user->sessions; s; s = s->next)
        if (session_takes_messages(s))
            return user->offline.session = s;
    return NULL;
}

/* --- pages: messages handed over stay in the queue until the client has them --- */

/* What its c2s has written, or its client has acknowledged (XEP-0198), has not come back. */
struct page {
    struct promise promise;
    struct list node; /* in user->offline.pages */
    struct sm *sm;
    struct user *user;             /* held */
    const struct session *session; /* that got it; NULL: it has ended, its c2s still answers */
    uint32_t count, back;
    struct {
        uint64_t id, mark;
        bool back;   /* its client did not get it: it stays */
        bool unsent; /* it has expired, or its client has it from the archive */
    } messages[PAGE];
};

static uint64_t mark_of(const struct user *user, const struct stanza *s)
{
    struct str inner = stanza_inner(s, STANZA_ROOT), id = stanza_attr(s, STANZA_ROOT, STR("id"));
    const uint64_t *seed = user->sm->users.seed;
    return hash_bytes(seed, inner.data, inner.len) ^ hash_bytes(seed, id.data, id.len);
}

static bool stays(const struct page *page, uint32_t i, bool given)
{
    return given ? page->messages[i].back : !page->messages[i].unsent;
}

/* Each run between those that stay: what its client has been given, or what it is not given. */
static void delete_page(const struct page *page, bool given)
{
    struct store_txn *t = store_begin(page->user->sm->store);
    for (uint32_t i = 0, first; i < page->count; i++) {
        if (stays(page, i, given))
            continue;
        for (first = i; i + 1 < page->count && !stays(page, i + 1, given);)
            i++;
        queue_delete_range(t, jid_full(page->user->jid), page->messages[first].id,
                           page->messages[i].id);
    }
    store_commit(t, NULL, NULL);
}

static bool page_ended(const struct user *user)
{
    LIST_EACH (it, &user->offline.pages)
        if (!LIST_ENTRY(it, const struct page, node)->session)
            return true;
    return false;
}

/* A page is over. What has come back goes before anything newer. */
static void go_on(struct user *user)
{
    struct user_offline *offline = &user->offline;
    if (offline->waiting && !page_ended(user)) {
        offline->waiting = false;
        load_page(user);
    } else if (offline->rewind && !offline->flushing && list_empty(&offline->pages) &&
               user->state == USER_READY && receiver(user)) {
        offline->flushing = true;
        load_page(user);
    }
}

static void on_handed_over(struct promise *promise)
{
    struct page *page = MEM_CONTAINER(promise, struct page, promise);
    struct user *user = page->user;
    bool closing = page->sm->closing; /* then the user has gone */
    list_remove(&page->node);
    if (!closing) {
        if (page->back < page->count)
            delete_page(page, true);
        if (page->back) {
            user->offline.empty = false;
            user->offline.rewind = true;
        }
        go_on(user);
        user_release(user);
    }
    free(page);
}

static struct page *page_create(struct session *session)
{
    struct page *page = MEM_NEW(struct page);
    page->promise.refs = 1;
    page->promise.kept = on_handed_over;
    page->sm = session->user->sm;
    page->user = session->user;
    page->session = session;
    list_push(&page->user->offline.pages, &page->node);
    user_hold(page->user);
    return page;
}

bool offline_has(const struct promise *promise)
{
    return promise && promise->kept == on_handed_over;
}

/* Of two that are equal, the other comes next. */
void offline_returned(struct packet *p)
{
    struct page *page = MEM_CONTAINER(p->promise, struct page, promise);
    uint64_t mark = mark_of(page->user, p->stanza);
    for (uint32_t i = 0; i < page->count; i++)
        if (page->messages[i].mark == mark && !page->messages[i].back) {
            page->messages[i].back = true;
            page->back++;
            break;
        }
    packet_destroy(p);
}

/* Lets what waited behind the queue go on, in order. */
static void release_held(struct user *user)
{
    struct list *node;
    user->offline.flushing = false;
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

/* False: it was not, and no client will say that it has it. */
static bool hand_over(struct session *session, struct page *page, uint64_t id, struct str xml,
                      uint64_t trace)
{
    struct sm *sm = session->user->sm;
    struct stanza *s = stored_parse(sm->c->env->parsers, xml);
    char text[LEDGER_ID + 1];
    page->messages[page->count].id = id;
    page->messages[page->count++].mark = s ? mark_of(session->user, s) : 0;
    if (!s) {
        log_error(&sm->c->log, "message %s, stored for %s, cannot be read any more; it is dropped",
                  ledger_id_text(trace, text), session->user->jid->text);
        return false;
    }
    ledger_note(&sm->c->pen, LEDGER_READ, trace, jid_full(session->user->jid), STR_NULL);
    bool wanted = !offline_expired(s, id, loop_wall(sm->loop) / 1000) && !mam_has_seen(session, s);
    if (wanted) {
        send_stored(session, s, &page->promise, trace);
        sm->counters.offline_delivered++;
    } else {
        ledger_note(&sm->c->pen, LEDGER_DROPPED, trace, jid_full(session->jid),
                    STR("it has expired, or its client has it from the archive"));
    }
    stanza_unref(s);
    return wanted;
}

static void hand_over_all(struct session *session, const struct store_rows *rows, size_t count)
{
    if (!count)
        return;
    struct page *page = page_create(session);
    uint32_t unsent = 0;
    for (size_t i = 0; i < count; i++) {
        page->messages[i].unsent =
            !hand_over(session, page, (uint64_t)store_int(rows, i, 0), store_text(rows, i, 1),
                       (uint64_t)store_int(rows, i, 2));
        unsent += page->messages[i].unsent;
    }
    if (unsent && unsent < count) /* nobody waits for those: a resumed stream would get them */
        delete_page(page, false);
    session->user->offline.after = page->messages[count - 1].id;
    promise_unref(&page->promise);
}

/* The database fails. Live messages go on meanwhile. */
static void read_later(struct user *user)
{
    user->offline.rewind = true;
    again_later(user);
}

/* Somebody may be there for them by now. */
static void try_again(struct user *user)
{
    struct list refused, *node;
    list_init(&refused);
    list_move_all(&refused, &user->offline.refused);
    while ((node = list_pop(&refused))) {
        struct deposit *deposit = LIST_ENTRY(node, struct deposit, node);
        struct packet *p = deposit->packet;
        if (user->state == USER_READY && user->offline.flushing) { /* behind those */
            list_push(&user->offline.refused, node);
            again_later(user);
            continue;
        }
        if (user->state == USER_READY && !receiver(user)) {
            commit(deposit);
            continue;
        }
        fate_writing(user->sm, p, false);
        free(deposit);
        if (user->state == USER_READY)
            deliver_message(user, p);
        else if (!user_wait(user, p))
            send_error(user->sm, NULL, p, STANZA_ERR_RESOURCE_CONSTRAINT, NULL);
    }
}

void offline_forget(struct user *user)
{
    struct list *node;
    while ((node = list_pop(&user->offline.refused))) {
        struct deposit *deposit = LIST_ENTRY(node, struct deposit, node);
        packet_destroy(deposit->packet);
        free(deposit);
    }
}

void offline_reread(struct loop_timer *timer)
{
    struct sm *sm = MEM_CONTAINER(timer, struct sm, reread);
    struct list users, *node;
    list_init(&users);
    list_move_all(&users, &sm->unread);
    while ((node = list_pop(&users))) {
        struct user *user = LIST_ENTRY(node, struct user, offline.unread);
        try_again(user);
        go_on(user);
        user_release(user);
    }
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
        if (e)
            read_later(user);
        release_held(user);
        user_release(user);
        return;
    }
    if (page_ended(user)) { /* some of an older page may come back: goes on in go_on */
        user->offline.waiting = true;
        user_release(user);
        return;
    }
    if (user->offline.rewind && list_empty(&user->offline.pages)) { /* older ones are there again */
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
    struct user_offline *offline = &user->offline;
    if (list_empty(&offline->pages)) { /* else the first ones are on their way to a session */
        offline->after = offline->rewind ? 0 : offline->after;
        offline->rewind = false;
    }
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
    user->offline.rewind = true;
    user->offline.session = e->session;
    load_page(user);
    return PATH_PASS;
}

static enum path_result at_session_end(struct path_event *e)
{
    struct user_offline *offline = &e->user->offline;
    if (offline->session == e->session)
        offline->session = NULL;
    LIST_EACH (it, &offline->pages) {
        struct page *page = LIST_ENTRY(it, struct page, node);
        if (page->session == e->session)
            page->session = NULL;
    }
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
    fate_note(e->sm, LEDGER_WAITS, e->packet, jid_full(e->user->jid),
              STR("behind stored messages"));
    list_push(&offline->held, &e->packet->node);
    return PATH_DONE;
}

/* --- an account goes: its messages go back --- */

static void on_returned(void *arg, enum error e, const struct store_rows *rows);

static void return_page(struct user *user)
{
    queue_load(user->sm->store, jid_full(user->jid), user->offline.after, PAGE, on_returned, user);
}

static void send_back(struct sm *sm, struct str xml, uint64_t trace)
{
    struct packet *p = packet_create(PACKET_STANZA, STR_NULL, STR_NULL);
    p->stanza = stored_parse(sm->c->env->parsers, xml);
    if (p->stanza) {
        p->from = jid_parse(stanza_attr(p->stanza, STANZA_ROOT, STR("from")));
        p->to = jid_parse(stanza_attr(p->stanza, STANZA_ROOT, STR("to")));
    }
    p->trace = trace;
    fate_take(sm, p, FATE_FROM_READ);
    if (p->from && p->to)
        send_error(sm, NULL, p, STANZA_ERR_SERVICE_UNAVAILABLE, NULL);
    else
        fate_drop(sm, p, FATE_REASON_NO_ADDRESS);
}

static void on_returned(void *arg, enum error e, const struct store_rows *rows)
{
    struct user *user = arg;
    size_t count = e ? 0 : store_rows_count(rows);
    if (e == ERR_CANCELLED)
        return;
    for (size_t i = 0; i < count; i++)
        send_back(user->sm, store_text(rows, i, 1), (uint64_t)store_int(rows, i, 2));
    if (count == PAGE) {
        user->offline.after = (uint64_t)store_int(rows, count - 1, 0);
        return_page(user);
        return;
    }
    if (!e)
        user->offline.empty = true;
    user_delete_done(user, e);
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
