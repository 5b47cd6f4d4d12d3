/* The two ends of an archive: XEP-0313 section 5, and for a client that binds XEP-0386 section 3.2;
 * from them it knows what it has missed. */
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "sm/mam.h"
#include "store/users.h"
#include "xmpp/datetime.h"

struct question {
    struct user *user; /* held */
    mam_ends_fn *fn;
    void *arg;
    struct mam_ends ends;
    enum error error; /* the first one */
};

static void take(struct question *q, enum error e, const struct store_rows *rows,
                 struct mam_id *ret)
{
    if (!q->error)
        q->error = e;
    if (!e && store_rows_count(rows))
        *ret = mam_id_of_row(rows, 0);
}

static void on_oldest(void *arg, enum error e, const struct store_rows *rows)
{
    struct question *q = arg;
    take(q, e, rows, &q->ends.oldest);
}

static void on_newest(void *arg, enum error e, const struct store_rows *rows)
{
    struct question *q = arg;
    struct user *user = q->user;
    take(q, e, rows, &q->ends.newest);
    q->fn(user, q->arg, q->error, &q->ends);
    free(q);
    user_release(user);
}

void mam_ends(struct user *user, mam_ends_fn *fn, void *arg)
{
    struct mam_range range = {.before = INT64_MAX};
    struct store *store = user->sm->store;
    struct question *q = MEM_NEW(struct question);
    q->user = user;
    q->fn = fn;
    q->arg = arg;
    user_hold(user);
    mam_page(store, jid_full(user->jid), &range, 1, on_oldest, q);
    range.back = true;
    mam_page(store, jid_full(user->jid), &range, 1, on_newest, q);
}

struct str mam_ends_write(const struct mam_ends *ends, char out[MAM_ENDS_TEXT])
{
    const struct mam_id *const both[] = {&ends->oldest, &ends->newest};
    size_t len = 0;
    for (int i = 0; i < 2 && ends->newest.time; i++) {
        char id[MAM_ID_LEN], stamp[DATETIME_LEN];
        mam_id_write(*both[i], id);
        datetime_write((int64_t)(both[i]->time / MAM_SECOND), stamp);
        len += (size_t)snprintf(out + len, MAM_ENDS_TEXT - len, " %.*s %.*s", (int)sizeof id, id,
                                (int)sizeof stamp, stamp);
    }
    return (struct str){out, len};
}
