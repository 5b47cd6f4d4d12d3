/* What the archive has got just before a death. A session manager that dies after a message was
 * archived and before its sender was told gets it once more, in its next life: from c2s, from its
 * own outbox, or from a client that has logged in anew. It goes to its recipient again, but it must
 * not stand in the archive twice, nor bear another id (reliability.md C.1 G2, G3). So whoever is
 * loaded while such a thing may happen comes with the newest rows of his archive, and what arrives
 * is held against their marks.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "sm/mam.h"
#include "store/users.h"

#define DOUBT_MS 300000u /* after a start, or after another component has gone */
#define ROWS     256u    /* looked at */
#define ID_MIN   8u      /* a shorter id may be a client's counter, which has begun anew */

struct mam_recent {
    uint32_t count;
    struct {
        struct mam_id id;
        bool sent;
    } rows[];
};

void mam_recent_watch(struct sm *sm)
{
    sm->mam_doubt = loop_now(sm->loop) + DOUBT_MS;
}

static void on_rows(void *arg, enum error e, const struct store_rows *rows)
{
    enum { ID, MARK, SENT };
    struct user *user = arg;
    size_t count = e ? 0 : store_rows_count(rows);
    if (count) {
        struct mam_recent *r = mem_alloc(sizeof *r + count * sizeof r->rows[0]);
        for (size_t i = 0; i < count; i++) {
            r->rows[i].id.time = (uint64_t)store_int(rows, i, ID);
            r->rows[i].id.mark = (uint64_t)store_int(rows, i, MARK);
            r->rows[i].sent = store_int(rows, i, SENT) != 0;
        }
        r->count = (uint32_t)count;
        user->mam_recent = r;
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

struct mam_id mam_recent_take(struct user *user, const struct packet *p, bool sent)
{
    struct mam_recent *r = user->mam_recent;
    struct mam_id none = {0};
    if (!r)
        return none;
    if (loop_now(user->sm->loop) >= user->sm->mam_doubt) {
        mam_recent_forget(user);
        return none;
    }
    struct str id = stanza_attr(p->stanza, STANZA_ROOT, STR("id"));
    if (!p->delay && id.len < ID_MIN) /* what is sent again says so, but not by clients */
        return none;
    for (uint32_t i = r->count; i-- > 0;) /* newest last, so that equal ones keep their order */
        if (r->rows[i].sent == sent &&
            mam_id_fits(user, r->rows[i].id, jid_full(p->from), p->stanza)) {
            struct mam_id found = r->rows[i].id;
            r->rows[i].id.time = 0; /* fits nothing any more */
            return found;
        }
    return none;
}
