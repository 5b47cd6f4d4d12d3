/* Retraction (XEP-0424): who has written a message may take it back. The message that says so stays
 * in the archive, and what it takes back becomes a tombstone (section 4): in the archive, and in
 * the offline queue if it still waits there.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "sm/mam.h"
#include "sm/mam_index.h"
#include "sm/send.h"
#include "sm/stored.h"
#include "store/users.h"
#include "xmpp/datetime.h"
#include "xmpp/namespaces.h"

#define PAGE 100u /* messages of the queue read at a time */

struct retraction {
    struct user *user;     /* held */
    struct stanza *stanza; /* that takes back */
    struct jid *from;      /* full */
    struct jid *with;
    bool sent;
    bool queue;     /* there may be messages in the queue */
    uint64_t after; /* read of the queue so far */
    uint64_t waits; /* where it is in the queue; 0: not found */
    struct stanza *waiting;
};

/* Somebody in a room: the bare JID is the room's, the resource tells who. */
static bool in_room(const struct stanza *s)
{
    return stanza_child(s, STANZA_ROOT, STR("x"), NS_MUC_USER) != STANZA_NONE;
}

/* Section 5: from the same bare JID; where that is a room's, the same full JID. That the original
 * is of the same side of the same correspondence, its finder has looked at. */
static bool same_author(const struct retraction *r, const struct stanza *original)
{
    if (!in_room(original) && !in_room(r->stanza))
        return true;
    return str_eq(stanza_attr(original, STANZA_ROOT, STR("from")), jid_full(r->from));
}

/* Not what has been taken back already, nor what takes back others: "the archiving service MUST
 * store the retraction message" (section 5). */
static bool may_go(const struct retraction *r, const struct stanza *original)
{
    return stanza_child(original, STANZA_ROOT, STR("retracted"), NS_RETRACT) == STANZA_NONE &&
           stanza_child(original, STANZA_ROOT, STR("retract"), NS_RETRACT) == STANZA_NONE &&
           same_author(r, original);
}

static struct str id_of(const struct retraction *r)
{
    stanza_el el = stanza_child(r->stanza, STANZA_ROOT, STR("retract"), NS_RETRACT);
    return stanza_attr(r->stanza, el, STR("id"));
}

/* The original's root with <retracted/> for its content, and what this server has added. */
static struct str tombstone(const struct retraction *r, const struct stanza *original)
{
    char stamp[DATETIME_LEN];
    struct sm *sm = r->user->sm;
    struct builder *b = builder_create_like(original);
    datetime_write(loop_wall(sm->loop) / 1000, stamp);
    builder_start(b, STR("retracted"), NS_RETRACT);
    builder_attr(b, STR("id"), stanza_attr(r->stanza, STANZA_ROOT, STR("id")));
    builder_attr(b, STR("stamp"), (struct str){stamp, sizeof stamp});
    builder_end(b);
    for (stanza_el el = stanza_first(original, STANZA_ROOT); el != STANZA_NONE;
         el = stanza_next(original, el))
        if (send_is_our_delay(sm, original, el) ||
            mam_id_forged(sm, NULL, STR(""), original, el)) /* in our name: it is not forged here */
            builder_copy(b, original, el);
    struct stanza *s = builder_finish(b);
    struct str xml = stored_text(s);
    stanza_unref(s);
    return xml;
}

static void end(struct retraction *r)
{
    struct user *user = r->user;
    stanza_unref(r->waiting);
    stanza_unref(r->stanza);
    jid_unref(r->from);
    jid_unref(r->with);
    if (!user->sm->closing)
        user_release(user);
    free(r);
}

/* --- what has not been delivered is not to be distributed any more: section 5 --- */

static void take_from_queue(const struct retraction *r)
{
    struct str xml = tombstone(r, r->waiting);
    struct store_txn *t = store_begin(r->user->sm->store);
    store_commit(queue_replace(t, jid_full(r->user->jid), r->waits, xml), NULL, NULL);
    free((char *)xml.data);
}

static bool by_same_sender(const struct retraction *r, const struct stanza *s)
{
    struct jid *from = jid_parse(stanza_attr(s, STANZA_ROOT, STR("from")));
    bool same = from && jid_eq_bare(from, r->from);
    jid_unref(from);
    return same;
}

/* The newest is taken, as in the archive. */
static void look_at(struct retraction *r, uint64_t number, struct str xml)
{
    struct stanza *s = stored_parse(r->user->sm->c->env->parsers, xml);
    if (s && str_eq(stanza_attr(s, STANZA_ROOT, STR("id")), id_of(r)) && by_same_sender(r, s) &&
        may_go(r, s)) {
        stanza_unref(r->waiting);
        r->waiting = stanza_ref(s);
        r->waits = number;
    }
    stanza_unref(s);
}

static void read_queue(struct retraction *r);

static void on_queue(void *arg, enum error e, const struct store_rows *rows)
{
    struct retraction *r = arg;
    size_t count = e ? 0 : store_rows_count(rows);
    for (size_t i = 0; i < count; i++) {
        r->after = (uint64_t)store_int(rows, i, 0);
        look_at(r, r->after, store_text(rows, i, 1));
    }
    if (count == PAGE) {
        read_queue(r);
        return;
    }
    if (r->waits && !e)
        take_from_queue(r);
    end(r);
}

static void read_queue(struct retraction *r)
{
    queue_load(r->user->sm->store, jid_full(r->user->jid), r->after, PAGE, on_queue, r);
}

/* --- the archive --- */

static void bury(const struct retraction *r, uint64_t id, const struct stanza *original)
{
    struct str xml = tombstone(r, original);
    struct store_txn *t = store_begin(r->user->sm->store);
    mam_replace(t, jid_full(r->user->jid), id, xml);
    store_commit(mam_index_delete(t, jid_full(r->user->jid), id, id), NULL, NULL);
    free((char *)xml.data);
}

static void on_found(void *arg, enum error e, const struct store_rows *rows)
{
    struct retraction *r = arg;
    if (!e && store_rows_count(rows)) {
        struct stanza *s = stored_parse(r->user->sm->c->env->parsers, store_text(rows, 0, 1));
        if (s && may_go(r, s))
            bury(r, (uint64_t)store_int(rows, 0, 0), s);
        stanza_unref(s);
    }
    if (!e && r->queue)
        read_queue(r);
    else
        end(r);
}

static void on_indexed(void *arg, enum error e)
{
    struct retraction *r = arg;
    struct mam_sought what = {.with = jid_bare(r->with), .sent = r->sent, .stanza = id_of(r)};
    if (e)
        on_found(r, e, NULL);
    else
        mam_find(r->user->sm->store, jid_full(r->user->jid), &what, on_found, r);
}

void mam_retract(struct user *user, const struct packet *p, struct jid *with, bool sent)
{
    const struct stanza *s = p->stanza;
    stanza_el el = stanza_child(s, STANZA_ROOT, STR("retract"), NS_RETRACT);
    struct str id = el == STANZA_NONE ? STR_NULL : stanza_attr(s, el, STR("id"));
    if (!id.len)
        return;
    struct retraction *r = MEM_NEW(struct retraction);
    r->user = user;
    r->stanza = stanza_ref(p->stanza);
    r->from = jid_ref(p->from);
    r->with = jid_ref(with);
    r->sent = sent;
    r->queue = !sent && !user->offline.empty;
    user_hold(user);
    mam_index_update(user, MAM_INDEX_WITH, on_indexed, r);
}
