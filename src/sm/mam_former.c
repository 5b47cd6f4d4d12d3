/* Ids that a former life of ours has handed out. Delivery does not wait for the archive, so a
 * session manager that is killed leaves messages that their recipients have and the archive has
 * not; when such a message comes again it must bear the id that it had (reliability.md C.1 G3).
 * So each id is noted, before anybody sees it, in a ring that survives kill -9 (env->notes), with
 * hashes of what the message is. The next life reads the ring and knows by them what comes again.
 *
 * Whether a row was committed is not noted: the archive knows that, and a second INSERT of a row
 * does nothing.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "base/ring.h"
#include "sm/mam.h"

/* What is in the ring. */
struct note {
    uint64_t what; /* hash of owner, sender, id, body, direction */
    uint64_t to;   /* hash */
    struct mam_id id;
};
_Static_assert(sizeof(struct note) <= COMPONENT_NOTE, "a note fits into its place");

struct former {
    struct note note;
    bool taken;
};

struct mam_former {
    struct sm *sm;
    struct loop_timer end;
    size_t count;
    struct former ids[]; /* by what they are, then by time */
};

static uint64_t what_of(const struct user *user, const struct mam_face *face, bool sent)
{
    uint64_t parts[] = {face->owner, face->from, face->id, face->body, sent};
    return hash_bytes(user->sm->mam_key, parts, sizeof parts);
}

static uint64_t to_of(const struct user *user, const struct packet *p)
{
    struct str to = p->to ? jid_full(p->to) : STR("");
    return hash_bytes(user->sm->mam_key, to.data, to.len);
}

void mam_former_note(const struct user *user, const struct packet *p, const struct mam_face *face,
                     struct mam_id id, bool sent)
{
    struct ring *ring = user->sm->c->env->notes;
    uint64_t number;
    void *room = ring ? ring_begin(ring, &number) : NULL;
    if (!room)
        return;
    struct note note = {what_of(user, face, sent), to_of(user, p), id};
    memcpy(room, &note, sizeof note);
    ring_end(ring, number, sizeof note);
}

/* --- reading, in the next life --- */

static int compare(const void *a, const void *b)
{
    const struct note *x = &((const struct former *)a)->note,
                      *y = &((const struct former *)b)->note;
    if (x->what != y->what)
        return x->what < y->what ? -1 : 1;
    return (x->id.time > y->id.time) - (x->id.time < y->id.time);
}

static size_t read_ring(const struct ring *ring, uint64_t from, uint64_t upto, struct former *ids)
{
    char bytes[RING_RECORD];
    size_t count = 0;
    for (; from < upto; from++)
        if (ring_get(ring, from, bytes) == sizeof ids->note)
            memcpy(&ids[count++].note, bytes, sizeof ids->note);
    return count;
}

/* Of the last minutes of that life alone, and each once: what comes again is noted again. */
static size_t choose(struct former *ids, size_t count)
{
    uint64_t newest = 0;
    size_t chosen = 0;
    for (size_t i = 0; i < count; i++)
        newest = ids[i].note.id.time > newest ? ids[i].note.id.time : newest;
    for (size_t i = 0; i < count; i++)
        if (ids[i].note.id.time + (uint64_t)MAM_DOUBT_MS * 1000 > newest)
            ids[chosen++] = ids[i];
    count = chosen;
    if (count)
        qsort(ids, count, sizeof *ids, compare);
    chosen = 0;
    for (size_t i = 0; i < count; i++)
        if (!chosen || compare(&ids[chosen - 1], &ids[i]))
            ids[chosen++] = ids[i];
    return chosen;
}

static void on_end(struct loop_timer *timer)
{
    mam_former_stop(MEM_CONTAINER(timer, struct mam_former, end)->sm);
}

void mam_former_start(struct sm *sm)
{
    const struct ring *ring = sm->c->env->notes;
    uint64_t from = ring ? ring_first(ring) : 0, upto = ring ? ring_next(ring) : 0;
    if (from == upto)
        return;
    struct mam_former *f = mem_alloc(sizeof *f + (size_t)(upto - from) * sizeof f->ids[0]);
    f->sm = sm;
    f->count = choose(f->ids, read_ring(ring, from, upto, f->ids));
    f = mem_realloc(f, sizeof *f + f->count * sizeof f->ids[0]);
    loop_timer_init(&f->end, sm->loop, on_end);
    loop_timer_start(&f->end, MAM_DOUBT_MS);
    sm->mam_former = f;
}

void mam_former_stop(struct sm *sm)
{
    if (!sm->mam_former)
        return;
    loop_timer_stop(&sm->mam_former->end);
    free(sm->mam_former);
    sm->mam_former = NULL;
}

/* The first that is such a thing, or where it would be. */
static struct former *first_of(struct mam_former *f, uint64_t what)
{
    size_t low = 0, high = f->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (f->ids[middle].note.what < what)
            low = middle + 1;
        else
            high = middle;
    }
    return f->ids + low;
}

struct mam_id mam_former_take(const struct user *user, const struct packet *p,
                              const struct mam_face *face, bool sent)
{
    struct mam_former *f = user->sm->mam_former;
    struct mam_id none = {0};
    if (!f)
        return none;
    uint64_t what = what_of(user, face, sent), to = to_of(user, p);
    for (struct former *at = first_of(f, what); at < f->ids + f->count && at->note.what == what;
         at++) {
        if (at->taken || at->note.to != to || !mam_id_fits(user, at->note.id, face))
            continue;
        at->taken = !face->has_id;
        return at->note.id;
    }
    return none;
}

bool mam_former_has(const struct user *user, const struct mam_face *face, struct mam_id id)
{
    struct mam_former *f = user->sm->mam_former;
    if (!f)
        return false;
    uint64_t what = what_of(user, face, false);
    for (const struct former *at = first_of(f, what);
         at < f->ids + f->count && at->note.what == what; at++)
        if (at->note.id.time == id.time)
            return true;
    return false;
}

bool mam_former_knows(const struct sm *sm, struct mam_id id)
{
    const struct mam_former *f = sm->mam_former;
    for (size_t i = 0; f && i < f->count; i++)
        if (f->ids[i].note.id.time == id.time && f->ids[i].note.id.mark == id.mark)
            return true;
    return false;
}
