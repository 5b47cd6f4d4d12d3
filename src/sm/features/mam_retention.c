/* How long the archive keeps messages (XEP-0313 section 3.2): the oldest go when they are older
 * than archive.max_age, or the archive larger than archive.max_size. One account after the other is
 * looked at, in small steps with pauses between, so that nobody notices; then an hour's rest. What
 * an archive weighs is counted in the same steps, from where the last one ended: the messages
 * themselves pay nothing for it.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "sm/mam.h"
#include "store/users.h"

#define OWNERS    20u      /* read at a time */
#define ROWS      500u     /* counted, and removed, in one step */
#define STEP_MS   50u      /* between two steps */
#define ROUND_MS  3600000u /* between two rounds, and before the first */
#define DAY       86400
#define SECOND_US 1000000

struct retention {
    struct sm *sm;
    struct loop_timer timer;
    struct jid *owners[OWNERS]; /* of this step's accounts, those that are ours */
    uint32_t count, next;
    char *last;    /* account read; NULL: none yet */
    bool more;     /* there may be others behind it */
    int64_t bytes; /* of the owner at hand, up to */
    uint64_t upto;
    bool changed; /* since they were read */
};

static struct retention *of(const struct sm *sm)
{
    return sm->state[FEATURE_mam_retention];
}

static struct str owner_of(const struct retention *r)
{
    return jid_full(r->owners[r->next]);
}

static void step_later(struct retention *r)
{
    loop_timer_start(&r->timer, STEP_MS);
}

static void next_owner(struct retention *r)
{
    jid_unref(r->owners[r->next]);
    r->next++;
    step_later(r);
}

/* --- removing --- */

/* The same owner once more when there is more to do, else the next one. */
struct removal {
    struct retention *r;
    bool again;
};

static void on_removed(void *arg, enum error e, const struct store_rows *rows)
{
    struct removal *removal = arg;
    struct retention *r = removal->r;
    bool again = removal->again;
    free(removal);
    if (e == ERR_CANCELLED)
        return;
    if (again && !e)
        step_later(r);
    else
        next_owner(r);
}

static void submit(struct retention *r, struct store_txn *t, bool again)
{
    struct removal *removal = MEM_NEW(struct removal);
    removal->r = r;
    removal->again = again;
    store_commit(t, on_removed, removal);
}

/* Does the oldest message have to go, the archive having so many bytes? */
static bool is_due(const struct retention *r, int64_t id, int64_t bytes)
{
    const struct config *config = r->sm->c->env->config;
    int64_t now = loop_wall(r->sm->loop) * 1000;
    return (config->archive_max_size && bytes > config->archive_max_size) ||
           (config->archive_max_age && id < now - config->archive_max_age * DAY * SECOND_US);
}

static void on_oldest(void *arg, enum error e, const struct store_rows *rows)
{
    enum { ID, SIZE };
    struct retention *r = arg;
    size_t count = e ? 0 : store_rows_count(rows), i = 0;
    int64_t bytes = r->bytes;
    uint64_t upto = 0;
    if (e == ERR_CANCELLED)
        return;
    for (; i < count && is_due(r, store_int(rows, i, ID), bytes); i++) {
        upto = (uint64_t)store_int(rows, i, ID);
        if (upto <= r->upto)
            bytes -= store_int(rows, i, SIZE);
    }
    struct store_txn *t = mam_size_set(store_begin(r->sm->store), owner_of(r), bytes, r->upto);
    if (i) {
        mam_delete_upto(t, owner_of(r), upto);
        mam_index_delete(t, owner_of(r), 0, upto);
    }
    submit(r, t, i && i == count);
}

/* Most have nothing to remove: one row tells. */
static void on_probe(void *arg, enum error e, const struct store_rows *rows)
{
    struct retention *r = arg;
    if (e == ERR_CANCELLED)
        return;
    if (!e && store_rows_count(rows) && is_due(r, store_int(rows, 0, 0), r->bytes))
        mam_sizes(r->sm->store, owner_of(r), 0, ROWS, on_oldest, r);
    else if (!e && r->changed)
        submit(r, mam_size_set(store_begin(r->sm->store), owner_of(r), r->bytes, r->upto), false);
    else
        next_owner(r);
}

/* --- counting --- */

static void on_sizes(void *arg, enum error e, const struct store_rows *rows)
{
    enum { ID, SIZE };
    struct retention *r = arg;
    size_t count = e ? 0 : store_rows_count(rows);
    if (e == ERR_CANCELLED)
        return;
    if (e) {
        next_owner(r);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        r->bytes += store_int(rows, i, SIZE);
        r->upto = (uint64_t)store_int(rows, i, ID);
    }
    r->changed = count > 0;
    if (count == ROWS) /* the next step goes on from here */
        submit(r, mam_size_set(store_begin(r->sm->store), owner_of(r), r->bytes, r->upto), true);
    else
        mam_sizes(r->sm->store, owner_of(r), 0, 1, on_probe, r);
}

static void on_counted(void *arg, enum error e, const struct store_rows *rows)
{
    struct retention *r = arg;
    bool known = !e && store_rows_count(rows);
    if (e == ERR_CANCELLED)
        return;
    r->bytes = known ? store_int(rows, 0, 0) : 0;
    r->upto = known ? (uint64_t)store_int(rows, 0, 1) : 0;
    mam_sizes(r->sm->store, owner_of(r), r->upto, ROWS, on_sizes, r);
}

/* --- the round --- */

static void on_owners(void *arg, enum error e, const struct store_rows *rows)
{
    struct retention *r = arg;
    size_t count = e ? 0 : store_rows_count(rows);
    if (e == ERR_CANCELLED)
        return;
    r->count = r->next = 0;
    r->more = count == OWNERS;
    for (size_t i = 0; i < count; i++) {
        struct jid *owner = jid_parse(store_text(rows, i, 0));
        if (owner && sm_owns(r->sm, owner))
            r->owners[r->count++] = owner;
        else
            jid_unref(owner);
    }
    free(r->last);
    r->last = r->more ? str_dup(store_text(rows, count - 1, 0)) : NULL;
    step_later(r);
}

static void on_timer(struct loop_timer *timer)
{
    struct retention *r = MEM_CONTAINER(timer, struct retention, timer);
    struct store *store = r->sm->store;
    if (r->next < r->count) {
        mam_size_get(store, owner_of(r), on_counted, r);
    } else if (r->more) {
        mam_owners(store, r->last ? str_of(r->last) : STR(""), OWNERS, on_owners, r);
    } else {
        r->more = true; /* from the beginning, when it is time */
        loop_timer_start(timer, ROUND_MS);
    }
}

static enum path_result at_start(struct path_event *e)
{
    struct retention *r = MEM_NEW(struct retention);
    r->sm = e->sm;
    r->more = true;
    e->sm->state[FEATURE_mam_retention] = r;
    loop_timer_init(&r->timer, e->sm->loop, on_timer);
    loop_timer_start(&r->timer, ROUND_MS);
    return PATH_PASS;
}

static enum path_result at_stop(struct path_event *e)
{
    struct retention *r = of(e->sm);
    if (!r)
        return PATH_PASS;
    loop_timer_stop(&r->timer);
    while (r->next < r->count)
        jid_unref(r->owners[r->next++]);
    free(r->last);
    free(r);
    return PATH_PASS;
}

/* --- an account goes: its archive step by step, before the rest --- */

static void delete_step(struct user *user);

static void on_next(void *arg, enum error e, const struct store_rows *rows)
{
    struct user *user = arg;
    size_t count = e ? 0 : store_rows_count(rows);
    if (e == ERR_CANCELLED)
        return;
    if (!count) {
        user_delete_done(user, e);
        return;
    }
    struct store_txn *t = store_begin(user->sm->store);
    uint64_t upto = (uint64_t)store_int(rows, count - 1, 0);
    store_commit(mam_delete_upto(t, jid_full(user->jid), upto), NULL, NULL);
    delete_step(user);
}

static void delete_step(struct user *user)
{
    mam_sizes(user->sm->store, jid_full(user->jid), 0, ROWS, on_next, user);
}

static enum path_result at_user_delete(struct path_event *e)
{
    user_delete_wait(e->user);
    delete_step(e->user);
    return PATH_PASS;
}

const struct feature mam_retention_feature = {
    .name = "mam_retention",
    .at = {[PATH_START] = at_start, [PATH_STOP] = at_stop, [PATH_USER_DELETE] = at_user_delete},
};
