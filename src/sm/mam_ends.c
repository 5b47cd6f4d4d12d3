/* The two ends of an archive, for a client that binds (XEP-0386 section 3.2): from them it knows
 * what it has missed without asking. */
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "sm/mam.h"
#include "store/users.h"
#include "xmpp/datetime.h"

#define SECOND UINT64_C(1000000)

struct question {
    struct user *user; /* held */
    struct packet *packet;
    mam_ends_fn *fn;
    struct mam_ends ends;
    bool failed;
};

static void take(struct question *q, enum error e, const struct store_rows *rows,
                 struct mam_id *ret)
{
    q->failed = q->failed || e;
    if (!e && store_rows_count(rows))
        *ret = (struct mam_id){(uint64_t)store_int(rows, 0, 0), (uint64_t)store_int(rows, 0, 1)};
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
    if (e == ERR_CANCELLED) /* the instance ends */
        packet_destroy(q->packet);
    else
        q->fn(user, q->packet, q->failed ? NULL : &q->ends);
    free(q);
    user_release(user);
}

void mam_ends(struct user *user, struct packet *p, mam_ends_fn *fn)
{
    struct mam_range range = {.before = INT64_MAX};
    struct store *store = user->sm->store;
    struct question *q = MEM_NEW(struct question);
    q->user = user;
    q->packet = p;
    q->fn = fn;
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
        datetime_write((int64_t)(both[i]->time / SECOND), stamp);
        len += (size_t)snprintf(out + len, MAM_ENDS_TEXT - len, " %.*s %.*s", (int)sizeof id, id,
                                (int)sizeof stamp, stamp);
    }
    return (struct str){out, len};
}
