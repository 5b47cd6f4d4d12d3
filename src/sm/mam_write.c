/* What is written to archives. A message that the disk refuses is kept and tried again: whoever
 * waits for its acknowledgement waits until it is in the archive (reliability.md C.1 G2), while the
 * message itself has gone on its way. What waits is bounded by what c2s and s2s keep of stanzas
 * that were not acknowledged; a message that nobody waits for is tried once.
 *
 * A message between two users of ours is written when it is sent, and when it is delivered, mostly
 * within the same turn of the loop. While the first row waits for company in the store the second
 * one becomes a part of it: one row for both archives. Where that does not work - the two are at
 * different session managers, or the message has been changed on its way - each archive has a row
 * of its own (docs/decisions/0099-one-row-for-both.md).
 */
#include <stdlib.h>
#include "base/mem.h"
#include "sm/mam.h"
#include "store/users.h"

/* How long a row may wait for others to be committed with, and for the disk to take it again. */
enum { AWAITED_MS = 10, UNAWAITED_MS = 100, AGAIN_MS = 2000 };

#define XML_STACK 2048u /* bytes of a message that need no allocation of their own */
#define SENT      1024u /* rows of messages sent that may be joined: those of a turn of the loop */

/* The newest row of a message sent with such a hash. The store holds it while the round lasts. */
struct sent_row {
    uint64_t round;
    struct store_txn *txn;
    struct entry *entry; /* NULL: nobody waits for it */
};

struct mam_writer {
    struct sm *sm;
    uint64_t newest;     /* id written */
    struct list refused; /* struct entry, oldest first */
    struct loop_timer again;
    bool failing; /* said once */
    struct sent_row sent[SENT];
};

/* What is to be written. Owners are who it is from, who it is to, or both. */
struct message {
    struct jid *from, *to;
    struct stanza *stanza;
    struct mam_id sent, received; /* time 0: not into that archive */
    struct str xml;
};

/* One that somebody waits for: it may have to be written again. It owns all that it names. */
struct entry {
    struct list node; /* in writer->refused */
    struct mam_writer *writer;
    struct promise *promise, *joined; /* `joined` may be NULL */
    struct message message;
    char xml[];
};

static void drop(struct entry *entry)
{
    list_remove(&entry->node);
    promise_unref(entry->promise);
    promise_unref(entry->joined);
    jid_unref(entry->message.from);
    jid_unref(entry->message.to);
    stanza_unref(entry->message.stanza);
    free(entry);
}

static struct str resource_of(const struct jid *jid)
{
    return jid_is_bare(jid) ? STR("") : jid_resource(jid);
}

static struct mam_row row_of(const struct message *m)
{
    struct str stanza = stanza_attr(m->stanza, STANZA_ROOT, STR("id"));
    return (struct mam_row){
        .from = jid_bare(m->from),
        .from_resource = resource_of(m->from),
        .to = jid_bare(m->to),
        .to_resource = resource_of(m->to),
        .stanza = stanza.data ? stanza : STR(""),
        .xml = m->xml,
        .sent = {m->sent.time, m->sent.mark},
        .received = {m->received.time, m->received.mark},
    };
}

/* Ids are made in order; one that is not the newest comes late, and indexes may be beyond it. */
static void follow(struct mam_writer *w, struct store_txn *t, struct str owner, uint64_t id)
{
    if (id > w->newest)
        w->newest = id;
    else if (id)
        mam_index_rewind(t, owner, id);
}

static struct store_txn *add_row(struct mam_writer *w, const struct message *m)
{
    struct mam_row row = row_of(m);
    struct store_txn *t = mam_add(store_begin(w->sm->store), &row);
    follow(w, t, row.from, row.sent.id);
    follow(w, t, row.to, row.received.id);
    return t;
}

static void on_written(void *arg, enum error e, const struct store_rows *rows);

static struct store_txn *submit(struct entry *entry)
{
    return store_commit_later(add_row(entry->writer, &entry->message), AWAITED_MS, on_written,
                              entry);
}

static void on_written(void *arg, enum error e, const struct store_rows *rows)
{
    struct entry *entry = arg;
    struct mam_writer *w = entry->writer;
    (void)rows;
    if (!e || e == ERR_CANCELLED) {
        drop(entry);
        w->failing = false;
        return;
    }
    struct str owner = jid_bare(entry->message.sent.time ? entry->message.from : entry->message.to);
    if (!w->failing)
        log_error(&w->sm->c->log,
                  "cannot write to the archive of %.*s: %s. It is tried again; senders get no "
                  "acknowledgement before",
                  (int)owner.len, owner.data, error_text(e));
    w->failing = true;
    list_push(&w->refused, &entry->node);
    if (!loop_timer_running(&w->again))
        loop_timer_start(&w->again, AGAIN_MS);
}

/* All of them, in the order in which they were refused. */
static void on_again(struct loop_timer *timer)
{
    struct mam_writer *w = MEM_CONTAINER(timer, struct mam_writer, again);
    struct list all, *node;
    list_init(&all);
    list_move_all(&all, &w->refused);
    while ((node = list_pop(&all)))
        submit(LIST_ENTRY(node, struct entry, node));
}

static struct entry *make_entry(struct mam_writer *w, const struct message *m,
                                struct promise *promise)
{
    struct entry *entry = mem_alloc(sizeof *entry + m->xml.len);
    entry->writer = w;
    entry->promise = promise_ref(promise);
    entry->joined = NULL;
    entry->message = *m;
    entry->message.from = jid_ref(m->from);
    entry->message.to = jid_ref(m->to);
    entry->message.stanza = stanza_ref(m->stanza);
    entry->message.xml.data = memcpy(entry->xml, m->xml.data, m->xml.len);
    list_init(&entry->node);
    return entry;
}

/* Into the row that waits for its sender's archive. Not with an id of a former life: the database
 * may have one of the two already, and would take neither. */
static bool join(struct mam_writer *w, const struct message *m, struct promise *promise,
                 const struct sent_row *with)
{
    struct mam_row row = row_of(m);
    if (with->round != store_round(w->sm->store) || (promise && !with->entry) ||
        m->received.time <= w->newest || !mam_join(with->txn, &row))
        return false;
    w->newest = m->received.time;
    if (with->entry) {
        with->entry->message.received = m->received;
        with->entry->joined = promise ? promise_ref(promise) : NULL;
    }
    return true;
}

static void add(struct mam_writer *w, const struct message *m, struct promise *promise,
                struct sent_row *place)
{
    bool fresh = m->sent.time > w->newest;
    struct entry *entry = promise ? make_entry(w, m, promise) : NULL;
    struct store_txn *held =
        entry ? submit(entry) : store_commit_later(add_row(w, m), UNAWAITED_MS, NULL, NULL);
    if (held && fresh)
        *place = (struct sent_row){store_round(w->sm->store), held, entry};
}

void mam_write(struct user *user, const struct packet *p, const struct mam_face *face,
               struct mam_id id, bool sent)
{
    struct mam_writer *w = user->sm->state[FEATURE_mam];
    struct sent_row *place = &w->sent[(face->from ^ face->id ^ face->body) % SENT];
    struct stanza_stamp base = {.xmlns = stanza_ns(p->stanza, STANZA_ROOT)};
    size_t size = packet_payload_size(p, &base);
    char stack[XML_STACK], *xml = size <= sizeof stack ? stack : mem_alloc(size);
    struct message m = {.from = p->from,
                        .to = p->to,
                        .stanza = p->stanza,
                        .xml = {xml, packet_payload_write(p, &base, xml)}};
    *(sent ? &m.sent : &m.received) = id;
    if (sent || !join(w, &m, p->promise, place))
        add(w, &m, p->promise, place);
    if (xml != stack)
        free(xml);
}

void mam_unwrite(struct user *user, uint64_t time)
{
    struct mam_writer *w = user->sm->state[FEATURE_mam];
    LIST_EACH_SAFE (it, &w->refused) {
        struct entry *entry = LIST_ENTRY(it, struct entry, node);
        struct message *m = &entry->message;
        if (jid_eq_bare(m->from, user->jid) && (!time || m->sent.time == time))
            m->sent.time = 0;
        if (jid_eq_bare(m->to, user->jid) && (!time || m->received.time == time))
            m->received.time = 0;
        if (!m->sent.time && !m->received.time)
            drop(entry);
    }
}

void mam_write_start(struct sm *sm)
{
    struct mam_writer *w = MEM_NEW(struct mam_writer);
    w->sm = sm;
    w->newest = store_sequence(sm->store); /* an id of a former life is late, also as the first */
    list_init(&w->refused);
    loop_timer_init(&w->again, sm->loop, on_again);
    sm->state[FEATURE_mam] = w;
}

void mam_write_stop(struct sm *sm)
{
    struct mam_writer *w = sm->state[FEATURE_mam];
    if (!w)
        return;
    loop_timer_stop(&w->again);
    while (!list_empty(&w->refused))
        drop(LIST_ENTRY(w->refused.next, struct entry, node));
    free(w);
    sm->state[FEATURE_mam] = NULL;
}
