/* What the archive has got just before a death. A session manager that dies after a message was
 * archived and before its sender was told gets it once more, in its next life: from c2s, from its
 * own outbox, or from a client that has logged in anew. It goes to its recipient again, but it must
 * not stand in the archive twice, nor bear another id (reliability.md C.1 G2, G3). So whoever is
 * loaded while such a thing may happen comes with the newest rows of his archive, and what arrives
 * is held against their marks, and against the ids that were handed out and not written any more
 * (mam_former.c).
 */
#include <stdlib.h>
#include "base/mem.h"
#include "sm/durable.h"
#include "sm/mam.h"
#include "sm/send.h"
#include "store/users.h"

#define ROWS 256u /* looked at */
#define MORE 256u /* that came again and were not there yet: they may come twice */

struct mam_recent {
    uint32_t count, room;
    struct {
        struct mam_id id; /* time 0: it has come again */
        uint64_t with;    /* hash */
        bool sent;
    } rows[]; /* newest first; behind them what came again */
};

static struct mam_recent *create(struct user *user, size_t count)
{
    struct mam_recent *r = mem_alloc(sizeof *r + (count + MORE) * sizeof r->rows[0]);
    r->count = (uint32_t)count;
    r->room = r->count + MORE;
    mam_recent_forget(user);
    return user->mam_recent = r;
}

void mam_recent_watch(struct sm *sm)
{
    sm->mam_doubt = loop_now(sm->loop) + MAM_DOUBT_MS;
}

static uint64_t hash(const struct user *user, struct str with)
{
    return hash_bytes(user->sm->mam_key, with.data, with.len);
}

static void on_rows(void *arg, enum error e, const struct store_rows *rows)
{
    enum { ID, MARK, SENT, WITH };
    struct user *user = arg;
    size_t count = e ? 0 : store_rows_count(rows);
    if (count) {
        struct mam_recent *r = create(user, count);
        for (size_t i = 0; i < count; i++) {
            r->rows[i].id.time = (uint64_t)store_int(rows, i, ID);
            r->rows[i].id.mark = (uint64_t)store_int(rows, i, MARK);
            r->rows[i].sent = store_int(rows, i, SENT) != 0;
            r->rows[i].with = hash(user, store_text(rows, i, WITH));
        }
    }
    user_load_end(user, e);
}

void mam_recent_load(struct user *user)
{
    struct sm *sm = user->sm;
    if (!mam_enabled(sm) || loop_now(sm->loop) >= sm->mam_doubt)
        return;
    user_load_begin(user);
    mam_newest(sm->store, jid_full(user->jid), ROWS, on_rows, user);
}

void mam_recent_forget(struct user *user)
{
    free(user->mam_recent);
    user->mam_recent = NULL;
}

static bool in_doubt(struct user *user)
{
    if (loop_now(user->sm->loop) < user->sm->mam_doubt)
        return true;
    mam_recent_forget(user);
    return false;
}

/* It says so itself (XEP-0203), or we are about to; clients that send again do not. */
static bool comes_again(const struct sm *sm, const struct packet *p)
{
    if (p->delay)
        return true;
    for (stanza_el el = stanza_first(p->stanza, STANZA_ROOT); el != STANZA_NONE;
         el = stanza_next(p->stanza, el))
        if (send_is_our_delay(sm, p->stanza, el))
            return true;
    return false;
}

static struct str id_of(const struct packet *p)
{
    return stanza_attr(p->stanza, STANZA_ROOT, STR("id"));
}

static uint64_t with_of(const struct user *user, const struct packet *p, bool sent)
{
    return hash(user, jid_bare(sent ? p->to : p->from));
}

/* Its row; -1: none. */
static int64_t find_row(const struct user *user, const struct packet *p,
                        const struct mam_face *face, bool sent)
{
    const struct mam_recent *r = user->mam_recent;
    uint64_t with = with_of(user, p, sent);
    for (int64_t i = r ? r->count : 0; i-- > 0;) /* so that equal ones keep their order */
        if (r->rows[i].sent == sent && r->rows[i].with == with &&
            mam_id_fits(user, r->rows[i].id, face))
            return i;
    return -1;
}

static int64_t find_id(const struct user *user, struct mam_id id)
{
    const struct mam_recent *r = user->mam_recent;
    for (int64_t i = r ? r->count : 0; i-- > 0;)
        if (r->rows[i].id.time == id.time)
            return i;
    return -1;
}

struct mam_id mam_recent_take(struct user *user, const struct packet *p,
                              const struct mam_face *face, bool sent, bool *ret_there)
{
    struct mam_id id = {0};
    *ret_there = false;
    if (!in_doubt(user) ||
        (id_of(p).len < MAM_SURE_ID && !face->again && !comes_again(user->sm, p)))
        return id;
    id = mam_former_take(user, p, face, sent);
    int64_t row = id.time ? find_id(user, id) : find_row(user, p, face, sent);
    if (row < 0)
        return id;
    *ret_there = durable(user->sm); /* else it is written once more, and waited for */
    id = user->mam_recent->rows[row].id;
    if (!face->has_id)
        user->mam_recent->rows[row].id.time = 0;
    return id;
}

void mam_recent_note(struct user *user, const struct packet *p, struct mam_id id, bool sent)
{
    struct mam_recent *r = user->mam_recent;
    if (!in_doubt(user) || !id_of(p).len || !comes_again(user->sm, p))
        return;
    if (!r)
        r = create(user, 0);
    if (r->count == r->room)
        return;
    r->rows[r->count].id = id;
    r->rows[r->count].with = with_of(user, p, sent);
    r->rows[r->count++].sent = sent;
}
