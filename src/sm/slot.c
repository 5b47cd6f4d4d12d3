/* Slot: see slot.h. */
#include "sm/slot.h"

#include <stdlib.h>
#include "base/mem.h"
#include "link/traits.h"
#include "sm/stored.h"
#include "xml/builder.h"

#define TICK_MS 60000u /* between two notes that we are there */
#define KEPT    3600   /* seconds: so long we may have been away; so long h is known at the end */
#define COMPANY 1u     /* the board's word: another process shared our domains */
#define RUNNING 2u     /* ... we have not been stopped */

/* The board's slot belongs to it. */
struct slot_former {
    uint32_t slot;
    int64_t until;
    size_t owner_len, id_len;
    char text[]; /* owner, id */
};

static struct str former_owner(const struct slot_former *f)
{
    return (struct str){f->text, f->owner_len};
}

static struct str former_id(const struct slot_former *f)
{
    return (struct str){f->text + f->owner_len, f->id_len};
}

static int64_t now_of(const struct sm *sm)
{
    return loop_wall(sm->loop) / 1000;
}

/* --- those of this life --- */

/* What a session cannot do without: who sees it, which messages it gets, and what it is told of
 * (XEP-0115). */
static struct stanza *abridged(const struct stanza *presence)
{
    struct builder *b = builder_create_like(presence);
    for (stanza_el el = stanza_first(presence, STANZA_ROOT); el != STANZA_NONE;
         el = stanza_next(presence, el)) {
        struct str name = stanza_name(presence, el);
        if (str_is(name, "show") || str_is(name, "priority") || str_is(name, "c"))
            builder_copy(b, presence, el);
    }
    return builder_finish(b);
}

static size_t with_presence(struct slot_record *r, const struct stanza *presence,
                            char out[BOARD_BYTES])
{
    r->presence = stored_text(presence);
    size_t len = slot_record_write(r, out);
    free((char *)r->presence.data);
    return len;
}

/* Of a presence that does not fit as much as does. */
static size_t fill(const struct session *session, struct slot_record *r, char out[BOARD_BYTES])
{
    if (!session->presence)
        return slot_record_write(r, out);
    size_t len = with_presence(r, session->presence, out);
    if (len)
        return len;
    struct stanza *less = abridged(session->presence);
    len = with_presence(r, less, out);
    stanza_unref(less);
    return len;
}

static void former_forget(struct sm *sm, struct slot_former *f)
{
    hash_del(&sm->slots.formers, former_id(f));
    free(f);
}

static void former_drop(struct sm *sm, struct slot_former *f)
{
    board_free(sm->slots.board, f->slot);
    former_forget(sm, f);
}

/* The slot of its former life, or a new one. */
static uint32_t take(struct sm *sm, const struct session *session)
{
    struct slot_former *f = slot_find(sm, session->user, str_of(session->acks->id));
    if (!f)
        return board_take(sm->slots.board);
    uint32_t slot = f->slot;
    former_forget(sm, f);
    return slot;
}

void slot_write(struct session *session)
{
    struct sm *sm = session->user->sm;
    struct acks *acks = session->acks;
    char words[TRAITS_TEXT], bytes[BOARD_BYTES];
    if (!sm->slots.board || sm->slots.company || sm->closing || !acks || !acks->max)
        return;
    if (session->presence_due) /* before anything else: until then it is what it was */
        return;
    uint64_t now = loop_now(sm->loop);
    struct slot_record r = {
        .max = acks->max,
        .owner = jid_full(session->user->jid),
        .resource = jid_resource(session->jid),
        .id = str_of(acks->id),
        .traits = traits_write(session->carbons ? TRAIT_CARBONS : 0, words),
    };
    if (session->asleep)
        r.until = now_of(sm) + (int64_t)(acks->deadline > now ? acks->deadline - now : 0) / 1000;
    size_t len = fill(session, &r, bytes);
    if (!len) {
        slot_free(session);
        return;
    }
    if (acks->slot == BOARD_NONE) {
        acks->slot = take(sm, session);
        slot_count(session);
    }
    if (acks->slot != BOARD_NONE)
        board_put(sm->slots.board, acks->slot, bytes, len);
}

void slot_count(const struct session *session)
{
    const struct acks *acks = session->acks;
    const struct sm *sm = session->user->sm;
    if (acks->slot != BOARD_NONE && !sm->closing) /* what is given up at the end is not handled */
        board_set(sm->slots.board, acks->slot, acks_h(acks));
}

void slot_free(struct session *session)
{
    struct acks *acks = session->acks;
    const struct sm *sm = session->user->sm;
    if (acks->slot != BOARD_NONE && !sm->closing)
        board_free(sm->slots.board, acks->slot);
    acks->slot = BOARD_NONE;
}

/* --- those of former lives --- */

struct slot_former *slot_find(const struct sm *sm, const struct user *user, struct str id)
{
    struct slot_former *f = sm->slots.formers.count ? hash_get(&sm->slots.formers, id) : NULL;
    return f && str_eq(former_owner(f), jid_full(user->jid)) ? f : NULL;
}

bool slot_read(const struct sm *sm, const struct slot_former *former, char *bytes,
               struct slot_record *ret, uint32_t *ret_in)
{
    size_t len = board_get(sm->slots.board, former->slot, bytes);
    *ret_in = board_number(sm->slots.board, former->slot);
    return slot_record_read(ret, (struct str){bytes, len});
}

void slot_revoke(struct sm *sm, struct str owner, struct str mark)
{
    struct slot_former *f;
    for (size_t i = 0; (f = hash_next(&sm->slots.formers, &i));)
        if (str_eq(former_owner(f), owner) && str_starts(former_id(f), mark))
            former_drop(sm, f);
}

/* Its stream broke when we died: it sleeps since we know of it. That is written down, so that
 * another death gives it no more time. */
static bool remember(struct sm *sm, uint32_t slot, struct slot_record *r)
{
    char bytes[BOARD_BYTES];
    int64_t now = now_of(sm);
    if (hash_get(&sm->slots.formers, r->id) || (r->until && r->until + KEPT < now))
        return false;
    if (!r->until) {
        r->until = now + r->max;
        board_put(sm->slots.board, slot, bytes, slot_record_write(r, bytes));
    }
    struct slot_former *f = mem_alloc(sizeof *f + r->owner.len + r->id.len);
    f->slot = slot;
    f->until = r->until;
    f->owner_len = r->owner.len;
    f->id_len = r->id.len;
    memcpy(f->text, r->owner.data, r->owner.len);
    memcpy(f->text + r->owner.len, r->id.data, r->id.len);
    hash_put(&sm->slots.formers, former_id(f), f);
    return true;
}

static void read_board(struct sm *sm)
{
    struct board *b = sm->slots.board;
    char bytes[BOARD_BYTES];
    struct slot_record r;
    for (uint32_t slot = 0; slot < board_room(b); slot++) {
        size_t len = board_get(b, slot, bytes);
        if (len && (!slot_record_read(&r, (struct str){bytes, len}) || !remember(sm, slot, &r)))
            board_free(b, slot);
    }
    if (sm->slots.formers.count)
        log_info(&sm->c->log,
                 "%zu sessions of before can be resumed, with what their clients had sent "
                 "counted (XEP-0198)",
                 sm->slots.formers.count);
}

static void note(const struct sm *sm)
{
    board_note(sm->slots.board, (uint64_t)now_of(sm),
               (sm->slots.company ? COMPANY : 0) | (sm->slots.stopped ? 0 : RUNNING));
}

static void on_tick(struct loop_timer *timer)
{
    struct sm *sm = MEM_CONTAINER(timer, struct sm, slots.tick);
    struct slot_former *f;
    for (size_t i = 0; (f = hash_next(&sm->slots.formers, &i));)
        if (f->until + KEPT < now_of(sm))
            former_drop(sm, f);
    note(sm);
    loop_timer_start(timer, TICK_MS);
}

/* What the session manager of another process does with a session that was ours, while we are away,
 * is on its board: ours would say less than the client was told. */
static void forget_all(struct sm *sm)
{
    struct slot_former *f;
    for (size_t i = 0; (f = hash_next(&sm->slots.formers, &i));)
        former_drop(sm, f);
}

void slot_peer(struct sm *sm)
{
    size_t ours = sm->c->env->seats ? sm->c->env->seats : 1;
    if (!sm->slots.board || sm->slots.company)
        return;
    for (size_t i = 0; i < sm->domains.count; i++)
        if (component_owners(sm->c, str_of(sm->domains.names[i])) > ours)
            sm->slots.company = true;
    if (!sm->slots.company)
        return;
    forget_all(sm);
    note(sm);
}

/* reliability.md C.1, G9: nobody else may have seen it. */
static void say_how_it_ended(const struct sm *sm)
{
    const struct board *b = sm->slots.board;
    if (board_word(b) & RUNNING)
        log_warn(&sm->c->log,
                 "was not stopped, but ended: %s. What was acknowledged is stored; what was on its "
                 "way is sent again",
                 board_seen(b) ? "it was killed, or crashed" : "so did the whole machine");
}

void slot_init(struct sm *sm)
{
    struct board *b = sm->slots.board = sm->c->env->board;
    uint64_t seed[2];
    random_fill(sm->c->env->random, seed, sizeof seed);
    hash_init(&sm->slots.formers, seed);
    loop_timer_init(&sm->slots.tick, sm->loop, on_tick);
    if (!b)
        return;
    say_how_it_ended(sm);
    if ((board_word(b) & COMPANY) || (int64_t)board_seen(b) + KEPT < now_of(sm))
        board_clear(b);
    read_board(sm);
    on_tick(&sm->slots.tick);
}

void slot_stop(struct sm *sm)
{
    if (!sm->slots.board)
        return;
    sm->slots.stopped = true;
    note(sm);
}

void slot_finish(struct sm *sm)
{
    struct slot_former *f;
    loop_timer_stop(&sm->slots.tick);
    for (size_t i = 0; (f = hash_next(&sm->slots.formers, &i));)
        former_forget(sm, f);
    hash_finish(&sm->slots.formers);
}
