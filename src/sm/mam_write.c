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

struct mam_writer {
    struct sm *sm;
    struct list refused; /* struct entry, oldest first */
    struct loop_timer again;
    bool failing; /* said once */
};

struct entry {
    struct list node; /* in writer->refused */
    struct mam_writer *writer;
    struct promise *promise;
    struct jid *owner, *with;
    struct stanza *stanza;
    struct mam_id id;
    bool sent;
    size_t len;
    char xml[];
};

static void drop(struct entry *entry)
{
    list_remove(&entry->node);
    promise_unref(entry->promise);
    jid_unref(entry->owner);
    jid_unref(entry->with);
    stanza_unref(entry->stanza);
    free(entry);
}

static void on_written(void *arg, enum error e, const struct store_rows *rows);

static void submit(struct entry *entry)
{
    struct sm *sm = entry->writer->sm;
    struct str stanza = stanza_attr(entry->stanza, STANZA_ROOT, STR("id"));
    struct mam_row row = {
        .id = entry->id.time,
        .mark = entry->id.mark,
        .with = jid_bare(entry->with),
        .resource = jid_is_bare(entry->with) ? STR("") : jid_resource(entry->with),
        .sent = entry->sent,
        .stanza = stanza.data ? stanza : STR(""),
        .xml = {entry->xml, entry->len},
    };
    struct store_txn *t = mam_add(store_begin(sm->store), jid_full(entry->owner), &row);
    if (entry->promise)
        store_commit_later(t, AWAITED_MS, on_written, entry);
    else
        store_commit_later(t, UNAWAITED_MS, NULL, NULL);
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
                  entry->owner->text, error_text(e));
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

void mam_write(struct user *user, const struct packet *p, struct mam_id id, struct jid *with,
               bool sent)
{
    struct stanza_stamp base = {.xmlns = stanza_ns(p->stanza, STANZA_ROOT)};
    struct entry *entry = mem_alloc(sizeof *entry + packet_payload_size(p, &base));
    entry->writer = user->sm->state[FEATURE_mam];
    entry->promise = p->promise ? promise_ref(p->promise) : NULL;
    entry->owner = jid_ref(user->jid);
    entry->with = jid_ref(with);
    entry->stanza = stanza_ref(p->stanza);
    entry->id = id;
    entry->sent = sent;
    entry->len = packet_payload_write(p, &base, entry->xml);
    list_init(&entry->node);
    submit(entry);
    if (!entry->promise)
        drop(entry);
}

void mam_unwrite(struct user *user, uint64_t time)
{
    struct mam_writer *w = user->sm->state[FEATURE_mam];
    LIST_EACH_SAFE (it, &w->refused) {
        struct entry *entry = LIST_ENTRY(it, struct entry, node);
        if (jid_eq(entry->owner, user->jid) && (!time || entry->id.time == time))
            drop(entry);
    }
}

void mam_write_start(struct sm *sm)
{
    struct mam_writer *w = MEM_NEW(struct mam_writer);
    w->sm = sm;
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
