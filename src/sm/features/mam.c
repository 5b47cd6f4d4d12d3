/* The archive of messages (XEP-0313): every message worth keeping that one of our users sends or is
 * given is written to that user's archive, once, and the user's clients see the id it has there
 * (XEP-0359). Delivery does not wait for the write; who waits for an acknowledgement does.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "sm/disco.h"
#include "sm/iq.h"
#include "sm/mam.h"
#include "sm/send.h"
#include "store/users.h"
#include "xmpp/namespaces.h"

#define REREAD_MS  100u /* after the key could not be read */
#define TRACE_SENT ", sent"

bool mam_enabled(const struct sm *sm)
{
    return sm->c->env->config->archive_enabled;
}

/* --- writing --- */

/* For `jackdaw trace`: by the id it finds a message that an administrator has seen in a client. */
static void note_archived(const struct user *user, const struct packet *p, struct mam_id id,
                          bool sent)
{
    char text[MAM_ID_LEN + sizeof(TRACE_SENT) - 1];
    mam_id_write(id, text);
    memcpy(text + MAM_ID_LEN, TRACE_SENT, sizeof(TRACE_SENT) - 1);
    fate_note(user->sm, LEDGER_ARCHIVED, p, jid_full(user->jid),
              (struct str){text, sent ? sizeof text : MAM_ID_LEN});
}

static void keep(struct user *user, const struct packet *p, struct mam_id id,
                 const struct mam_face *face, bool sent)
{
    struct jid *with = sent ? p->to : p->from;
    mam_former_note(user, p, face, id, sent);
    note_archived(user, p, id, sent);
    mam_write(user, p, face, id, sent);
    mam_retract(user, p, with, sent);
}

/* Its id there, which it may have from a former life of ours, or from before another server sent
 * it again. Then it is called late: another server has no other way to know (mam_abroad.c). */
static struct mam_id archive(struct user *user, struct packet *p, bool sent)
{
    bool there = false;
    struct mam_face face = mam_face_of(user, jid_full(p->from), p->stanza);
    struct mam_id id = {0};
    if (!sent)
        id = mam_abroad_take(user, p, &face);
    if (!id.time)
        id = mam_recent_take(user, p, &face, sent, &there);
    if (id.time && !face.again) /* nobody has said so yet: reliability.md C.1 G3 */
        send_delay(user->sm, p, jid_domain(user->jid), (int64_t)(id.time / MAM_MS), NULL);
    if (there)
        return id;
    if (id.time) { /* and perhaps not written any more, or not yet: who waits for it waits on */
        mam_unsee(user, id.time);
        keep(user, p, id, &face, sent);
        return id;
    }
    id = mam_id_make(user, &face);
    keep(user, p, id, &face, sent);
    mam_recent_note(user, p, id, sent);
    if (!sent)
        mam_abroad_note(user, p, &face, id);
    return id;
}

/* It bears its id, and was perhaps not written any more in the life that gave it. */
static void archive_anew(struct user *user, const struct packet *p, struct mam_id id)
{
    struct mam_face face = mam_face_of(user, jid_full(p->from), p->stanza);
    if (!mam_former_has(user, &face, id))
        return;
    mam_unsee(user, id.time);
    keep(user, p, id, &face, false);
}

/* A message to one's own account is received, and so kept once. */
struct mam_id mam_sent(struct user *user, struct packet *p)
{
    struct mam_id none = {0};
    if (!mam_enabled(user->sm) || jid_eq_bare(p->to, user->jid) ||
        !mam_keeps(user, p->stanza, p->to))
        return none;
    return archive(user, p, true);
}

static struct stanza *stamped(const struct user *user, const struct stanza *s, struct mam_id id)
{
    struct builder *b = builder_create_like(s);
    builder_copy_inner(b, s, STANZA_ROOT);
    mam_id_add(b, jid_full(user->jid), id);
    return builder_finish(b);
}

void mam_received(struct user *user, struct packet *p)
{
    if (!mam_enabled(user->sm) || !mam_keeps(user, p->stanza, p->from))
        return;
    struct mam_id id = mam_id_of(user, jid_full(p->from), p->stanza);
    if (id.time) {
        archive_anew(user, p, id);
        return;
    }
    id = archive(user, p, false);
    struct stanza *s = stamped(user, p->stanza, id);
    stanza_unref(p->stanza);
    p->stanza = s;
}

void mam_withdraw(struct user *user, const struct packet *p)
{
    struct mam_id id = mam_id_of(user, jid_full(p->from), p->stanza);
    if (!id.time || user->sm->closing)
        return;
    mam_unwrite(user, id.time);
    store_commit(mam_delete(store_begin(user->sm->store), jid_full(user->jid), id.time), NULL,
                 NULL);
}

/* --- the key of the marks, which is the database's --- */

static void on_key(void *arg, enum error e, const struct store_rows *rows);

static void read_key(struct sm *sm)
{
    mam_get_key(sm->store, on_key, sm);
}

static void on_key(void *arg, enum error e, const struct store_rows *rows)
{
    struct sm *sm = arg;
    if (!e && store_rows_count(rows)) {
        sm->mam_key[0] = (uint64_t)store_int(rows, 0, 0);
        sm->mam_key[1] = (uint64_t)store_int(rows, 0, 1);
    } else if (!e && !sm->mam_key_read.made) { /* the first start: the one that wins is read */
        sm->mam_key_read.made = true;
        store_commit(mam_make_key(store_begin(sm->store), sm->mam_key), NULL, NULL);
        read_key(sm);
    } else if (e != ERR_CANCELLED) {
        if (!sm->mam_key_read.failing)
            log_error(&sm->c->log,
                      "cannot read the key of the archive, which is tried again: %s. Ids of before "
                      "this start are not known as our own until then.",
                      error_text(e ? e : ERR_STORE));
        sm->mam_key_read.failing = true;
        sm->mam_key_read.made = false;
        loop_timer_start(&sm->mam_key_read.again, REREAD_MS);
    }
}

static void on_reread(struct loop_timer *timer)
{
    read_key(MEM_CONTAINER(timer, struct sm, mam_key_read.again));
}

/* Nobody is loaded before it is read, if it can be: the store answers in order. */
static enum path_result at_start(struct path_event *e)
{
    struct sm *sm = e->sm;
    mam_write_start(sm);
    mam_recent_watch(sm);
    mam_former_start(sm);
    random_fill(sm->c->env->random, sm->mam_key, sizeof sm->mam_key);
    loop_timer_init(&sm->mam_key_read.again, sm->loop, on_reread);
    read_key(sm);
    return PATH_PASS;
}

static enum path_result at_user_gone(struct path_event *e)
{
    mam_prefs_destroy(e->user->mam_prefs);
    e->user->mam_prefs = NULL;
    mam_recent_forget(e->user);
    mam_unwrite(e->user, 0);
    return PATH_PASS;
}

static enum path_result at_user_load(struct path_event *e)
{
    mam_recent_load(e->user);
    return PATH_PASS;
}

static enum path_result at_stop(struct path_event *e)
{
    loop_timer_stop(&e->sm->mam_key_read.again);
    mam_former_stop(e->sm);
    mam_abroad_stop(e->sm);
    mam_write_stop(e->sm);
    return PATH_PASS;
}

/* --- what is announced: XEP-0313 section 7, XEP-0359 section 6 --- */

static void extend_account(struct iq *iq, struct builder *b)
{
    static const struct str *const features[] = {&NS_MAM,
                                                 &NS_MAM_EXTENDED,
                                                 &NS_MAM_GROUPCHAT,
                                                 &NS_STANZA_ID,
                                                 &NS_ORDER_BY,
                                                 &NS_ORDER_BY_MAM,
                                                 &NS_RSM,
                                                 &NS_RETRACT,
                                                 &NS_RETRACT_TOMBSTONE,
                                                 &NS_FULLTEXT,
                                                 NULL};
    for (int i = 0; mam_enabled(iq->sm) && features[i]; i++)
        disco_add_feature(b, *features[i]);
}

/* XEP-0424 sections 2 and 4: the server, too. */
static void extend(struct sm *sm, struct str domain, struct builder *b)
{
    if (!mam_enabled(sm))
        return;
    disco_add_feature(b, NS_RETRACT);
    disco_add_feature(b, NS_RETRACT_TOMBSTONE);
}

static const struct str *const server_features[] = {&NS_STANZA_ID, NULL};

const struct feature mam_feature = {
    .name = "mam",
    .at = {[PATH_START] = at_start,
           [PATH_STOP] = at_stop,
           [PATH_USER_LOAD] = at_user_load,
           [PATH_USER_GONE] = at_user_gone},
    .server_features = server_features,
    .extend = extend,
    .extend_account = extend_account,
};
