/* What is written to archives. A message that the disk refuses is kept and tried again: whoever
 * waits for its acknowledgement waits until it is in the archive (reliability.md C.1 G2), while the
 * message itself has gone on its way. What waits is bounded by what c2s and s2s keep of stanzas
 * that were not acknowledged; a message that nobody waits for is tried once.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "sm/mam.h"
#include "store/users.h"

/* How long a row may wait for others to be committed with, and for the disk to take it again. */
enum { AWAITED_MS = 10, UNAWAITED_MS = 100, AGAIN_MS = 2000 };

#define XML_STACK 2048u /* bytes of a message that need no allocation of their own */

struct mam_writer {
    struct sm *sm;
    uint64_t newest;     /* id written */
    struct list refused; /* struct entry, oldest first */
    struct loop_timer again;
    bool failing; /* said once */
};

/* What is to be written. */
struct message {
    struct jid *owner, *with;
    struct stanza *stanza;
    struct mam_id id;
    bool sent;
    struct str xml;
};

/* One that somebody waits for: it may have to be written again. It owns all that it names. */
struct entry {
    struct list node; /* in writer->refused */
    struct mam_writer *writer;
    struct promise *promise;
    struct message message;
    char xml[];
};

static void drop(struct entry *entry)
{
    list_remove(&entry->node);
    promise_unref(entry->promise);
    jid_unref(entry->message.owner);
    jid_unref(entry->message.with);
    stanza_unref(entry->message.stanza);
    free(entry);
}

/* Ids are made in order; one that is not the newest comes late, and indexes may be beyond it. */
static struct store_txn *add_row(struct mam_writer *w, const struct message *m)
{
    struct str stanza = stanza_attr(m->stanza, STANZA_ROOT, STR("id")), owner = jid_full(m->owner);
    struct mam_row row = {
        .id = m->id.time,
        .mark = m->id.mark,
        .with = jid_bare(m->with),
        .resource = jid_is_bare(m->with) ? STR("") : jid_resource(m->with),
        .sent = m->sent,
        .stanza = stanza.data ? stanza : STR(""),
        .xml = m->xml,
    };
    struct store_txn *t = mam_add(store_begin(w->sm->store), owner, &row);
    if (row.id <= w->newest)
        return mam_index_rewind(t, owner, row.id);
    w->newest = row.id;
    return t;
}

static void on_written(void *arg, enum error e, const struct store_rows *rows);

static void submit(struct entry *entry)
{
    store_commit_later(add_row(entry->writer, &entry->message), AWAITED_MS, on_written, entry);
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
    if (!w->failing)
        log_error(&w->sm->c->log,
                  "cannot write to the archive of %s: %s. It is tried again; senders get no "
                  "acknowledgement before",
                  entry->message.owner->text, error_text(e));
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

static void submit_awaited(struct mam_writer *w, const struct message *m, struct promise *promise)
{
    struct entry *entry = mem_alloc(sizeof *entry + m->xml.len);
    entry->writer = w;
    entry->promise = promise_ref(promise);
    entry->message = *m;
    entry->message.owner = jid_ref(m->owner);
    entry->message.with = jid_ref(m->with);
    entry->message.stanza = stanza_ref(m->stanza);
    entry->message.xml.data = memcpy(entry->xml, m->xml.data, m->xml.len);
    list_init(&entry->node);
    submit(entry);
}

void mam_write(struct user *user, const struct packet *p, struct mam_id id, struct jid *with,
               bool sent)
{
    struct mam_writer *w = user->sm->state[FEATURE_mam];
    struct stanza_stamp base = {.xmlns = stanza_ns(p->stanza, STANZA_ROOT)};
    size_t size = packet_payload_size(p, &base);
    char stack[XML_STACK], *xml = size <= sizeof stack ? stack : mem_alloc(size);
    struct message m = {.owner = user->jid,
                        .with = with,
                        .stanza = p->stanza,
                        .id = id,
                        .sent = sent,
                        .xml = {xml, packet_payload_write(p, &base, xml)}};
    if (p->promise)
        submit_awaited(w, &m, p->promise);
    else
        store_commit_later(add_row(w, &m), UNAWAITED_MS, NULL, NULL);
    if (xml != stack)
        free(xml);
}

void mam_unwrite(struct user *user, uint64_t time)
{
    struct mam_writer *w = user->sm->state[FEATURE_mam];
    LIST_EACH_SAFE (it, &w->refused) {
        struct entry *entry = LIST_ENTRY(it, struct entry, node);
        if (jid_eq(entry->message.owner, user->jid) && (!time || entry->message.id.time == time))
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
