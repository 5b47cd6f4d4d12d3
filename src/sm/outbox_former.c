/* What was in the outbox when this life of ours began, or is another's: each message is known by
 * its id of the ledger for some minutes. Whoever was not told in time that a row is there - the
 * sender's c2s or s2s, another session manager - sends its message again when we are back; and two
 * session managers that die at once may each have left a row of it. Then the row is what goes on,
 * and once (reliability.md C.1 G3).
 */
#include <stdlib.h>
#include "base/mem.h"
#include "sm/durable.h"
#include "sm/outbox.h"
#include "sm/owed.h"
#include "sm/send.h"

#define KNOWN_MS  300000u
#define KNOWN_MAX 65536u

struct former {
    struct {
        uint64_t trace;
        uint64_t to; /* hash of the bare address; an error has its message's id */
    } key;
    bool row; /* else it came before one was read, and goes on by itself */
};

static struct str key_of(const struct former *f)
{
    return (struct str){(const char *)&f->key, sizeof f->key};
}

/* False: it has no id to be known by. */
static bool name(const struct sm *sm, const struct packet *p, struct former *ret)
{
    if (!p->trace || !p->to)
        return false;
    struct str to = jid_bare(p->to);
    ret->key.trace = p->trace;
    ret->key.to = hash_bytes(sm->flights.former.seed, to.data, to.len) ^
                  str_is(send_type(p->stanza), "error");
    return true;
}

static void enter(struct sm *sm, const struct former *former)
{
    if (sm->flights.former.count >= KNOWN_MAX)
        return;
    struct former *f = MEM_NEW(struct former);
    *f = *former;
    hash_put(&sm->flights.former, key_of(f), f);
    loop_timer_start(&sm->flights.forget, KNOWN_MS);
}

bool outbox_former(struct sm *sm, const struct packet *p)
{
    struct former f = {.row = true};
    if (!name(sm, p, &f))
        return true;
    if (hash_get(&sm->flights.former, key_of(&f)))
        return false;
    enter(sm, &f);
    return true;
}

/* When it comes before its row has been read, it is this that goes on, not the row: whoever sent it
 * keeps it until it has been handled. */
bool outbox_comes_again(struct sm *sm, const struct packet *p)
{
    const struct flights *flights = &sm->flights;
    struct former f = {.row = false};
    bool reading = flights->load_upto || flights->reread_upto;
    if (!p->delay || (!reading && !flights->former.count) || owed_flight(sm, p->promise) ||
        !name(sm, p, &f))
        return false;
    const struct former *known = hash_get(&flights->former, key_of(&f));
    if (!known && reading)
        enter(sm, &f);
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
