/* Retraction (XEP-0424): who has written a message may take it back. The message that says so stays
 * in the archive, and what it takes back becomes a tombstone (section 4).
 */
#include <stdlib.h>
#include "base/mem.h"
#include "sm/mam.h"
#include "sm/stored.h"
#include "store/users.h"
#include "xmpp/datetime.h"
#include "xmpp/namespaces.h"

struct retraction {
    struct user *user;     /* held */
    struct stanza *stanza; /* that takes back */
    struct jid *from;      /* full */
};

/* Somebody in a room: the bare JID is the room's, the resource tells who. */
static bool in_room(const struct stanza *s)
{
    return stanza_child(s, STANZA_ROOT, STR("x"), NS_MUC_USER) != STANZA_NONE;
}

/* Section 5: from the same bare JID; where that is a room's, the same full JID. That the row is of
 * the same side of the same correspondence, the store has looked at. */
static bool same_author(const struct retraction *r, const struct stanza *original)
{
    if (!in_room(original) && !in_room(r->stanza))
        return true;
    return str_eq(stanza_attr(original, STANZA_ROOT, STR("from")), jid_full(r->from));
}

static bool is_tombstone(const struct stanza *s)
{
    return stanza_child(s, STANZA_ROOT, STR("retracted"), NS_RETRACT) != STANZA_NONE;
}

/* The original's root with <retracted/> for its content. */
static struct stanza *tombstone(const struct retraction *r, const struct stanza *original)
{
    char stamp[DATETIME_LEN];
    struct builder *b = builder_create_like(original);
    datetime_write(loop_wall(r->user->sm->loop) / 1000, stamp);
    builder_start(b, STR("retracted"), NS_RETRACT);
    builder_attr(b, STR("id"), stanza_attr(r->stanza, STANZA_ROOT, STR("id")));
    builder_attr(b, STR("stamp"), (struct str){stamp, sizeof stamp});
    return builder_finish(b);
}

static void bury(const struct retraction *r, uint64_t id, const struct stanza *original)
{
    struct stanza *s = tombstone(r, original);
    struct str xml = stored_text(s);
    struct store_txn *t = store_begin(r->user->sm->store);
    mam_replace(t, jid_full(r->user->jid), id, xml);
    store_commit(mam_index_delete(t, jid_full(r->user->jid), id, id), NULL, NULL);
    free((char *)xml.data);
    stanza_unref(s);
}

static void on_found(void *arg, enum error e, const struct store_rows *rows)
{
    struct retraction *r = arg;
    struct sm *sm = r->user->sm;
    if (!e && store_rows_count(rows)) {
        struct stanza *s = stored_parse(sm->c->env->parsers, store_text(rows, 0, 1));
        if (s && !is_tombstone(s) && same_author(r, s))
            bury(r, (uint64_t)store_int(rows, 0, 0), s);
        stanza_unref(s);
    }
    stanza_unref(r->stanza);
    jid_unref(r->from);
    if (!sm->closing)
        user_release(r->user);
    free(r);
}

void mam_retract(struct user *user, const struct packet *p, const struct jid *with, bool sent)
{
    const struct stanza *s = p->stanza;
    stanza_el el = stanza_child(s, STANZA_ROOT, STR("retract"), NS_RETRACT);
    struct str id = el == STANZA_NONE ? STR_NULL : stanza_attr(s, el, STR("id"));
    if (!id.len)
        return;
    struct retraction *r = MEM_NEW(struct retraction);
    struct mam_row what = {.with = jid_bare(with), .sent = sent, .stanza = id};
    r->user = user;
    r->stanza = stanza_ref(p->stanza);
    r->from = jid_ref(p->from);
    user_hold(user);
    mam_find(user->sm->store, jid_full(user->jid), &what, on_found, r);
}
