/* Outbox: see outbox.h. */
#include "sm/outbox.h"

#include <stdlib.h>
#include "base/buffer.h"
#include "base/mem.h"
#include "link/spread.h"
#include "sm/deliver.h"
#include "sm/offline.h"
#include "sm/owed.h"
#include "sm/stored.h"
#include "store/users.h"

#define PAGE      100u
#define AGAIN_MS  5000u /* after a failed write */
#define REREAD_MS 2000u /* after a failed read */

static uint64_t patience(const struct sm *sm)
{
    return (uint64_t)sm->c->env->config->sm_outbox_after;
}

/* --- rows --- */

struct row {
    struct promise promise;
    struct sm *sm;
    struct jid *owner;
    uint64_t id;
    struct stanza *stanza; /* in it; NULL: it is of a former life */
    uint64_t returned;     /* outbox_returned */
    bool failed;           /* it was not written */
};

static void delete_row(struct sm *sm, struct jid *owner, uint64_t id)
{
    if (!sm->closing)
        store_commit(outbox_delete(store_begin(sm->store), jid_full(owner), id), NULL, NULL);
}

static void on_kept(struct promise *promise)
{
    struct row *row = MEM_CONTAINER(promise, struct row, promise);
    if (!row->failed)
        delete_row(row->sm, row->owner, row->id);
    stanza_unref(row->stanza);
    jid_unref(row->owner);
    free(row);
}

bool outbox_has(const struct promise *promise)
{
    return promise && promise->kept == on_kept;
}

static struct row *row_of(struct promise *promise)
{
    return outbox_has(promise) ? MEM_CONTAINER(promise, struct row, promise) : NULL;
}

uint64_t *outbox_returned(struct promise *promise)
{
    struct promise **shared = owed_row(promise);
    struct row *row = row_of(shared ? *shared : promise);
    return row ? &row->returned : owed_returned(promise);
}

static struct row *row_create(struct sm *sm, struct jid *owner, uint64_t id, struct stanza *s)
{
    struct row *row = MEM_NEW(struct row);
    row->promise.refs = 1;
    row->promise.kept = on_kept;
    row->sm = sm;
    row->owner = jid_ref(owner);
    row->id = id;
    row->stanza = s ? stanza_ref(s) : NULL;
    return row;
}

/* --- one row at a time --- */

static void take_out(struct row *row, struct store_txn *t)
{
    outbox_delete(t, jid_full(row->owner), row->id); /* once more later, which does no harm */
}

/* The flight that brought p here, when p is still what that carries: not an answer to it. */
static struct flight *source_of(struct sm *sm, const struct packet *p)
{
    uint64_t number = owed_flight(sm, p->promise);
    struct flight *f = number ? flight_find(sm, number) : NULL;
    if (!f || f->session || !p->from || !p->to || !jid_eq(f->packet->from, p->from) ||
        !jid_eq(f->packet->to, p->to))
        return NULL;
    return f;
}

uint64_t outbox_hand_over(struct sm *sm, const struct packet *p, struct store_txn *t)
{
    struct promise **shared = owed_row(p->promise);
    struct row *row = row_of(shared ? *shared : p->promise);
    if (row && row->promise.refs == 1)
        take_out(row, t);
    struct flight *f = source_of(sm, p);
    if (!f)
        return 0;
    if (f->row)
        take_out(row_of(f->row), t);
    list_remove(&f->young); /* nor is it written meanwhile */
    return f->number;
}

void outbox_handed_over(struct sm *sm, uint64_t number, enum error e)
{
    struct flight *f = number ? flight_find(sm, number) : NULL;
    if (!f || e == ERR_CANCELLED)
        return;
    if (e == ERR_OK)
        flight_handled(sm, number);
    else if (!f->row)
        outbox_watch(sm, f);
}

/* --- writing --- */

struct write {
    struct sm *sm;
    struct row *row; /* a reference */
    uint64_t number; /* of the flight */
    uint64_t source; /* outbox_hand_over */
};

/* It flies on; who waits for it is not told. That the database fails has been said once for all. */
static void on_failed(struct sm *sm, struct flight *f, enum error e)
{
    char id[LEDGER_ID + 1];
    promise_unref(f->row);
    f->row = NULL;
    if (e == ERR_CANCELLED)
        return;
    if (e != ERR_STORE_FULL && e != ERR_STORE)
        log_error(&sm->c->log, "cannot write message %s of %s to the outbox: %s",
                  ledger_id_text(f->packet->trace, id), f->owner->text, error_text(e));
    f->since = loop_now(sm->loop) + AGAIN_MS;
    outbox_watch(sm, f);
}

static void on_written(void *arg, enum error e, const struct store_rows *rows)
{
    struct write *w = arg;
    struct sm *sm = w->sm;
    struct flight *f = flight_find(sm, w->number);
    (void)rows;
    if (e)
        w->row->failed = true;
    else if (w->row->failed) /* by another copy, which shares it */
        e = ERR_STORE_FULL;
    if (f)
        f->writing = false;
    if (f && e) {
        on_failed(sm, f, e);
    } else if (f) {
        struct promise *promise = f->packet->promise;
        f->packet->promise = NULL;
        sm->counters.outbox_written++;
        fate_note(sm, LEDGER_KEPT, f->packet, jid_full(f->owner), STR_NULL);
        promise_unref(promise);
    }
    outbox_handed_over(sm, w->source, e);
    promise_unref(&w->row->promise); /* it goes, when all was confirmed meanwhile */
    free(w);
}

static void push_row(const struct row *row, const struct packet *p, struct store_txn *t)
{
    const struct component *c = row->sm->c;
    struct stanza_stamp base = {.xmlns = stanza_ns(p->stanza, STANZA_ROOT)};
    char *xml = mem_alloc(packet_payload_size(p, &base));
    struct str text = {xml, packet_payload_write(p, &base, xml)};
    outbox_push(t, jid_full(row->owner), row->id, component_common_name(c), text,
                (uint32_t)c->env->config->sm_max_outbox, p->trace);
    free(xml);
}

/* The row that another copy of the message has for the same owner: it is this one's, too. */
static struct row *shared_row(struct sm *sm, const struct flight *f, const struct flight *source)
{
    struct promise **shared = owed_row(f->packet->promise);
    struct row *row = row_of(shared ? *shared : NULL);
    if (row && !row->failed && row->stanza == f->packet->stanza && jid_eq(row->owner, f->owner))
        return row;
    row = row_of(source ? source->row : NULL);
    return row && !row->failed && jid_eq(row->owner, f->owner) ? row : NULL;
}

void outbox_write(struct sm *sm, struct flight *f)
{
    const struct packet *p = f->packet;
    const struct flight *source = source_of(sm, p);
    struct store_txn *t = store_begin(sm->store);
    struct row *row = shared_row(sm, f, source);
    struct write *w = MEM_NEW(struct write);
    w->sm = sm;
    w->number = f->number;
    w->source = source ? source->number : 0;
    if (row) { /* t is empty: its word comes behind that of the row */
        promise_ref(&row->promise);
    } else { /* in the place of the former: rows are sent in their order */
        row = row_create(
            sm, f->owner,
            source && source->row ? row_of(source->row)->id : store_sequence(sm->store), p->stanza);
        const uint64_t *returned = outbox_returned(p->promise);
        row->returned = returned ? *returned : 0;
        outbox_hand_over(sm, p, t);
        push_row(row, p, t);
    }
    struct promise **shared = owed_row(p->promise);
    if (shared && (!*shared || row_of(*shared)->failed)) {
        promise_unref(*shared);
        *shared = promise_ref(&row->promise);
    }
    w->row = row;
    f->row = promise_ref(&row->promise);
    f->writing = true;
    list_remove(&f->young);
    store_commit(t, on_written, w);
}

static void on_writer(struct loop_timer *timer)
{
    struct sm *sm = MEM_CONTAINER(timer, struct sm, flights.writer);
    uint64_t now = loop_now(sm->loop);
    while (!list_empty(&sm->flights.young)) {
        struct flight *f = LIST_ENTRY(sm->flights.young.next, struct flight, young);
        if (f->since + patience(sm) > now) {
            loop_timer_start(timer, f->since + patience(sm) - now);
            return;
        }
        outbox_write(sm, f);
    }
}

void outbox_write_all(struct sm *sm)
{
    while (!list_empty(&sm->flights.young))
        outbox_write(sm, LIST_ENTRY(sm->flights.young.next, struct flight, young));
}

void outbox_watch(struct sm *sm, struct flight *f)
{
    const struct promise *promise = f->packet->promise;
    list_remove(&f->young);
    /* What came from the offline queue or from the outbox is still there. */
    if (!promise || !owed_waited(promise) || offline_has(promise) || outbox_has(promise))
        return;
    list_push(&sm->flights.young, &f->young);
    if (!loop_timer_running(&sm->flights.writer))
        loop_timer_start(&sm->flights.writer, patience(sm));
}

/* --- what a former life left --- */

void outbox_restore(struct sm *sm, struct jid *owner, uint64_t id, struct str xml, uint64_t trace)
{
    struct packet *p = packet_create(PACKET_STANZA, STR_NULL, STR_NULL);
    p->stanza = stored_parse(sm->c->env->parsers, xml);
    p->trace = trace;
    char text[LEDGER_ID + 1];
    /* Answers of the server to an iq may have no `from` (RFC 6120 section 10.3.3). */
    bool readable = p->stanza && (owed_answer(p->stanza) || deliver_addresses(p));
    if (!readable)
        log_error(&sm->c->log, "message %s in the outbox of %s cannot be read any more: dropped",
                  ledger_id_text(trace, text), owner->text);
    if (!readable || !outbox_former(sm, p)) {
        delete_row(sm, owner, id);
        packet_destroy(p);
        return;
    }
    struct promise *row = &row_create(sm, owner, id, NULL)->promise;
    if (owed_answer(p->stanza)) {
        p->promise = row;
        outbox_answer(sm, p);
        return;
    }
    sm->counters.outbox_sent++;
    fate_take(sm, p, FATE_FROM_READ);
    fate_note(sm, LEDGER_READ, p, jid_full(owner), STR("the outbox"));
    /* The sequence is a clock of microseconds. */
    flight_restore(sm, p, owner, row, (int64_t)(id / 1000));
}

/* The sm on the loops of one process have one name there, and divide the rows among themselves: so
 * their number may be another than in the former life. */
static bool is_mine(const struct sm *sm, const struct jid *owner)
{
    struct str common = component_common_name(sm->c);
    struct buffer names;
    bool mine = str_is(common, sm->c->id);

    if (mine)
        return true;
    buffer_init(&names, 65536);
    for (unsigned i = 1; i <= sm->c->env->seats; i++)
        (void)buffer_printf(&names, "%s%.*s-%u", i > 1 ? " " : "", STR_ARG(common), i);
    mine = str_is(spread_pick(buffer_str(&names), jid_bare(owner)), sm->c->id);
    buffer_finish(&names);
    return mine;
}

static void load_page(struct sm *sm);

/* Live messages do not wait for a database that fails. */
static void read_later(struct sm *sm)
{
    struct flights *flights = &sm->flights;
    flights->reread_upto = flights->load_upto;
    flights->load_upto = 0;
    flight_restored(sm);
    loop_timer_start(&flights->reread, REREAD_MS);
    flight_go(sm);
}

/* What has left meanwhile leaves again, behind what is read now, and is known by its number. */
static void on_reread(struct loop_timer *timer)
{
    struct sm *sm = MEM_CONTAINER(timer, struct sm, flights.reread);
    sm->flights.load_upto = sm->flights.reread_upto;
    sm->flights.reread_upto = 0;
    sm->flights.held[FLIGHT_LOCAL] = sm->flights.held[FLIGHT_REMOTE] = true;
    load_page(sm);
}

static void on_page(void *arg, enum error e, const struct store_rows *rows)
{
    enum { OWNER, ID, XML, TRACE };
    struct sm *sm = arg;
    if (e == ERR_CANCELLED)
        return;
    if (e) {
        log_error(&sm->c->log, "cannot read the outbox, which is tried again: %s", error_text(e));
        read_later(sm);
        return;
    }
    size_t count = store_rows_count(rows);
    for (size_t i = 0; i < count; i++) {
        struct jid *owner = jid_parse(store_text(rows, i, OWNER));
        sm->flights.loaded = (uint64_t)store_int(rows, i, ID);
        bool mine = owner && is_mine(sm, owner);
        sm->flights.read_again += mine;
        if (mine)
            outbox_restore(sm, owner, sm->flights.loaded, store_text(rows, i, XML),
                           (uint64_t)store_int(rows, i, TRACE));
        jid_unref(owner);
    }
    if (count == PAGE) {
        load_page(sm);
        return;
    }
    sm->flights.load_upto = 0;
    if (sm->flights.read_again)
        log_info(&sm->c->log,
                 "%zu messages of before, of which nobody knows what became, leave again",
                 sm->flights.read_again);
    sm->flights.read_again = 0;
    flight_restored(sm);
    flight_go(sm);
}

static void load_page(struct sm *sm)
{
    outbox_load(sm->store, component_common_name(sm->c), sm->flights.loaded, sm->flights.load_upto,
                PAGE, on_page, sm);
}

void outbox_init(struct sm *sm)
{
    loop_timer_init(&sm->flights.writer, sm->loop, on_writer);
    loop_timer_init(&sm->flights.reread, sm->loop, on_reread);
    sm->flights.load_upto = store_sequence(sm->store);
    load_page(sm);
}
