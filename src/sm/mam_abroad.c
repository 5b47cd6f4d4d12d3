/* What another server sends again. When a connection between servers breaks, whatever had not been
 * acknowledged on it goes once more, and says since when it has been on its way (XEP-0203; ours:
 * s2s/remote.c). The first copy may have arrived all the same: then the second must not stand in
 * the archive beside it, nor bear another id (reliability.md C.1 G2, G3). So the newest messages of
 * other servers are known here, by what they are, with the ids that they were given; no other
 * message pays for it. What a former life has given mam_recent.c and mam_former.c know.
 *
 * A repetition is what its sender's own server calls late, with the sender's resource, the id and
 * the body of one that is known. Without an id nobody could tell it from another "ok": it is
 * archived again. So is one with an id so short that it may be a counter that has begun anew, when
 * the known one came before this one was sent. The first copy may also come last, from a connection
 * that nothing got through for a while: it says nothing, so it must have a sure id.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "sm/mam.h"
#include "sm/send.h"
#include "xmpp/datetime.h"
#include "xmpp/namespaces.h"

#define ENTRIES 65536u /* known; the oldest go */
#define MASK    (ENTRIES - 1)
#define SLACK_US                                                                                   \
    UINT64_C(10000000) /* two servers' clocks, and how late an outbox begins to count */
_Static_assert((ENTRIES & MASK) == 0, "a power of two");

struct entry {
    uint64_t what;  /* hash of owner, sender, address, id and body */
    uint64_t older; /* of the same chain; 0: none */
    struct mam_id id;
    bool late; /* it was called late, and no first copy has come */
};

/* Numbers begin with 1; an entry's place is its number, modulo ENTRIES. */
struct mam_abroad {
    uint64_t last;
    uint64_t chains[ENTRIES]; /* the newest of each; 0: none */
    struct entry entries[ENTRIES];
};

static bool is_from_abroad(const struct sm *sm, const struct packet *p)
{
    return !sm_domain(sm, jid_domain(p->from));
}

static uint64_t what_of(const struct user *user, const struct packet *p,
                        const struct mam_face *face)
{
    const uint64_t *key = user->sm->mam_key;
    struct str to = jid_full(p->to);
    uint64_t parts[] = {face->owner, face->from, hash_bytes(key, to.data, to.len), face->id,
                        face->body};
    return hash_bytes(key, parts, sizeof parts);
}

/* XEP-0203: by the server whose user has sent it. */
static stanza_el their_delay(const struct packet *p)
{
    for (stanza_el el = stanza_first(p->stanza, STANZA_ROOT); el != STANZA_NONE;
         el = stanza_next(p->stanza, el)) {
        if (!stanza_is(p->stanza, el, STR("delay"), NS_DELAY))
            continue;
        struct jid *by = jid_parse(stanza_attr(p->stanza, el, STR("from")));
        bool theirs = by && !by->local_len && str_eq(jid_domain(by), jid_domain(p->from));
        jid_unref(by);
        if (theirs)
            return el;
    }
    return STANZA_NONE;
}

static bool has_sure_id(const struct packet *p)
{
    return stanza_attr(p->stanza, STANZA_ROOT, STR("id")).len >= MAM_SURE_ID;
}

/* Not when it cannot be known: without a time where that matters. */
static bool comes_again(const struct packet *p, struct mam_face *face)
{
    stanza_el delay = their_delay(p);
    int64_t sent;
    if (delay == STANZA_NONE || has_sure_id(p))
        return delay != STANZA_NONE;
    if (!datetime_parse(stanza_attr(p->stanza, delay, STR("stamp")), &sent) || sent < 0)
        return false;
    uint64_t since = (uint64_t)sent * MAM_SECOND;
    face->since = since > SLACK_US ? since - SLACK_US : 0;
    return true;
}

/* The newest: no other would fit better. */
static struct entry *find(struct mam_abroad *a, uint64_t what)
{
    for (uint64_t n = a ? a->chains[what & MASK] : 0; n && n + ENTRIES > a->last;
         n = a->entries[n & MASK].older)
        if (a->entries[n & MASK].what == what)
            return &a->entries[n & MASK];
    return NULL;
}

/* Of the last minutes. */
static bool is_first_copy(const struct sm *sm, const struct packet *p, const struct entry *entry)
{
    return entry->late && has_sure_id(p) &&
           entry->id.time / MAM_MS + MAM_DOUBT_MS > (uint64_t)loop_wall(sm->loop);
}

struct mam_id mam_abroad_take(const struct user *user, const struct packet *p,
                              struct mam_face *face)
{
    struct sm *sm = user->sm;
    struct mam_id none = {0};
    if (!face->has_id || !is_from_abroad(sm, p))
        return none;
    face->again = comes_again(p, face);
    struct entry *entry = find(sm->mam_abroad, what_of(user, p, face));
    if (!entry || !(face->again || is_first_copy(sm, p, entry)) ||
        !mam_id_fits(user, entry->id, face))
        return none;
    entry->late = entry->late && face->again;
    return entry->id;
}

void mam_abroad_note(const struct user *user, const struct packet *p, const struct mam_face *face,
                     struct mam_id id)
{
    struct sm *sm = user->sm;
    if (!face->has_id || !is_from_abroad(sm, p))
        return;
    if (!sm->mam_abroad)
        sm->mam_abroad = MEM_NEW(struct mam_abroad);
    struct mam_abroad *a = sm->mam_abroad;
    uint64_t what = what_of(user, p, face), n = ++a->last;
    a->entries[n & MASK] = (struct entry){what, a->chains[what & MASK], id, face->again};
    a->chains[what & MASK] = n;
}

void mam_abroad_stop(struct sm *sm)
{
    free(sm->mam_abroad);
    sm->mam_abroad = NULL;
}
