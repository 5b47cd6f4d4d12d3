/* What was in the outbox when this life of ours began, or is another's: each message is known for
 * some minutes. Whoever was not told in time that a row is there - the sender's c2s or s2s, another
 * session manager - sends its message again when we are back, with the id that it has in the
 * ledger; its client, whose stream was resumed with an `h` that an earlier stanza holds back, with
 * a new one: then it is its sender, its own id and its body that it is known by. And two session
 * managers that die at once may each have left a row of it. The row is what goes on, and once
 * (reliability.md C.1 G3).
 */
#include <stdlib.h>
#include "base/mem.h"
#include "sm/durable.h"
#include "sm/mam.h"
#include "sm/outbox.h"
#include "sm/owed.h"
#include "sm/send.h"

#define KNOWN_MS  300000u
#define KNOWN_MAX 65536u

struct former {
    struct {
        uint64_t what; /* its id in the ledger, or a hash of what it is */
        uint64_t to;   /* hash of the bare address; an error has its message's id */
    } key;
    bool row; /* else it came before one was read, and goes on by itself */
};

enum name { BY_ID, BY_TEXT, NAMES };

static struct str key_of(const struct former *f)
{
    return (struct str){(const char *)&f->key, sizeof f->key};
}

/* 0: it has no id, or one that may be a counter that has begun anew. */
static uint64_t hash_text(const struct sm *sm, const struct packet *p)
{
    const uint64_t *seed = sm->flights.former.seed;
    struct str id = stanza_attr(p->stanza, STANZA_ROOT, STR("id"));
    stanza_el el =
        stanza_child(p->stanza, STANZA_ROOT, STR("body"), stanza_ns(p->stanza, STANZA_ROOT));
    struct str body = el == STANZA_NONE ? STR("") : stanza_text(p->stanza, el);
    if (id.len < MAM_SURE_ID || !p->from)
        return 0;
    uint64_t parts[] = {hash_bytes(seed, id.data, id.len), hash_bytes(seed, body.data, body.len),
                        hash_bytes(seed, jid_full(p->from).data, jid_full(p->from).len)};
    return hash_bytes(seed, parts, sizeof parts);
}

/* False: it has none. */
static bool name(const struct sm *sm, const struct packet *p, enum name by, struct former *ret)
{
    bool error = str_is(send_type(p->stanza), "error");
    if (!p->to || (error && by == BY_TEXT))
        return false;
    struct str to = jid_bare(p->to);
    ret->key.what = by == BY_ID ? p->trace : hash_text(sm, p);
    ret->key.to = hash_bytes(sm->flights.former.seed, to.data, to.len) ^ error;
    return ret->key.what != 0;
}

static void enter(struct sm *sm, const struct packet *p, bool row)
{
    for (enum name by = 0; by < NAMES && sm->flights.former.count < KNOWN_MAX; by++) {
        struct former f = {.row = row};
        if (!name(sm, p, by, &f))
            continue;
        struct former *made = MEM_NEW(struct former);
        *made = f;
        hash_put(&sm->flights.former, key_of(made), made);
        loop_timer_start(&sm->flights.forget, KNOWN_MS);
    }
}

static const struct former *find(const struct sm *sm, const struct packet *p, enum name by)
{
    const struct former *found = NULL;
    for (; by < NAMES && !found; by++) {
        struct former f;
        if (name(sm, p, by, &f))
            found = hash_get(&sm->flights.former, key_of(&f));
    }
    return found;
}

bool outbox_former(struct sm *sm, const struct packet *p)
{
    if (find(sm, p, BY_ID))
        return false;
    enter(sm, p, true);
    return true;
}

/* When it comes before its row has been read, it is this that goes on, not the row: whoever sent it
 * keeps it until it has been handled. */
bool outbox_comes_again(struct sm *sm, const struct packet *p)
{
    const struct flights *flights = &sm->flights;
    bool reading = flights->load_upto || flights->reread_upto;
    if ((!reading && !flights->former.count) || owed_flight(sm, p->promise))
        return false;
    const struct former *known = find(sm, p, p->delay ? BY_ID : BY_TEXT);
    if (!known && reading && p->delay)
        enter(sm, p, false);
    if (!known || !known->row || !durable(sm))
        return false;
    fate_note(sm, LEDGER_KEPT, p, jid_full(p->to), STR("it was there already"));
    return true;
}

static void forget(struct sm *sm)
{
    struct former *f;
    for (size_t i = 0; (f = hash_next(&sm->flights.former, &i));) {
        hash_del(&sm->flights.former, key_of(f));
        free(f);
    }
}

static void on_forget(struct loop_timer *timer)
{
    forget(MEM_CONTAINER(timer, struct sm, flights.forget));
}

void outbox_former_init(struct sm *sm)
{
    uint64_t seed[2];
    random_fill(sm->c->env->random, seed, sizeof seed);
    hash_init(&sm->flights.former, seed);
    loop_timer_init(&sm->flights.forget, sm->loop, on_forget);
}

void outbox_former_finish(struct sm *sm)
{
    loop_timer_stop(&sm->flights.forget);
    forget(sm);
    hash_finish(&sm->flights.former);
}
