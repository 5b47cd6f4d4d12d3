/* Receipts: numbers given and numbers answered. See receipts.h.
 *
 * What came before is known by a window of bits over the last numbers of each origin. An origin
 * begins at a random number when it starts, so a number far outside the window is a new
 * incarnation: the window moves there, and what it forgets may at worst be handled twice.
 */
#include "component/receipts.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "link/handled.h"

#define WINDOW_BITS 65536u
#define BATCH_MAX   1000u /* numbers in one control packet */
#define ORIGINS_MAX 1000u

struct origin {
    struct list node; /* in receipts->due while numbers wait */
    struct jid *name;
    uint64_t top; /* the greatest number seen */
    uint64_t *seen, *done;
    uint64_t *batch;
    size_t count, room;
};

struct receipts {
    struct component *component;
    void (*handled)(void *owner, uint64_t number);
    void *owner;
    struct jid *name;
    struct hash origins; /* name -> struct origin */
    struct list due;
    struct loop_task task;
    uint64_t last;
};

static void on_task(struct loop_task *task)
{
    receipts_flush(MEM_CONTAINER(task, struct receipts, task));
}

struct receipts *receipts_create(struct component *c, void (*handled)(void *owner, uint64_t number),
                                 void *owner)
{
    struct receipts *r = MEM_NEW(struct receipts);
    uint64_t seed[2];

    random_fill(c->env->random, seed, sizeof(seed));
    random_fill(c->env->random, &r->last, sizeof(r->last));
    r->last = (r->last >> 2) + 1; /* far from an overflow */
    r->component = c;
    r->handled = handled;
    r->owner = owner;
    r->name = jid_parse(str_of(c->id)); /* NULL when it is no name for a router either */
    hash_init(&r->origins, seed);
    list_init(&r->due);
    loop_task_init(&r->task, on_task);
    return r;
}

void receipts_destroy(struct receipts *r)
{
    struct origin *o;

    if (!r)
        return;
    for (size_t i = 0; (o = hash_next(&r->origins, &i)) != NULL;) {
        jid_unref(o->name);
        free(o->seen);
        free(o->done);
        free(o->batch);
        free(o);
    }
    hash_finish(&r->origins);
    loop_task_cancel(&r->task);
    jid_unref(r->name);
    free(r);
}

/* --- asking --- */

uint64_t receipts_number(struct receipts *r)
{
    return ++r->last;
}

void receipts_ask(const struct receipts *r, struct packet *p, uint64_t number)
{
    if (!r->name)
        return;
    p->receipt.number = number;
    jid_unref(p->receipt.origin);
    p->receipt.origin = jid_ref(r->name);
}

/* --- the window --- */

static struct origin *origin_of(struct receipts *r, struct jid *name)
{
    struct origin *o = hash_get(&r->origins, jid_full(name));

    if (o || r->origins.count >= ORIGINS_MAX)
        return o;
    o = MEM_NEW(struct origin);
    o->name = jid_ref(name);
    o->seen = mem_alloc(WINDOW_BITS / 8);
    o->done = mem_alloc(WINDOW_BITS / 8);
    list_init(&o->node);
    hash_put(&r->origins, jid_full(o->name), o);
    return o;
}

static bool bit(const uint64_t *window, uint64_t n)
{
    return window[n % WINDOW_BITS / 64] >> (n % 64) & 1;
}

static void set_bit(uint64_t *window, uint64_t n, bool on)
{
    uint64_t mask = 1ull << (n % 64);

    if (on)
        window[n % WINDOW_BITS / 64] |= mask;
    else
        window[n % WINDOW_BITS / 64] &= ~mask;
}

static bool in_window(const struct origin *o, uint64_t n)
{
    return n <= o->top && o->top - n < WINDOW_BITS;
}

/* `n` is outside. */
static void move_to(struct origin *o, uint64_t n)
{
    if (n > o->top && n - o->top < WINDOW_BITS) {
        for (uint64_t at = o->top + 1; at <= n; at++) {
            set_bit(o->seen, at, false);
            set_bit(o->done, at, false);
        }
    } else {
        memset(o->seen, 0, WINDOW_BITS / 8);
        memset(o->done, 0, WINDOW_BITS / 8);
    }
    o->top = n;
}

bool receipts_admit(struct receipts *r, const struct packet *p)
{
    struct origin *o = origin_of(r, p->receipt.origin);
    uint64_t n = p->receipt.number;

    if (!o)
        return true;
    if (!in_window(o, n))
        move_to(o, n);
    if (!bit(o->seen, n)) {
        set_bit(o->seen, n, true);
        return true;
    }
    if (bit(o->done, n))
        receipts_handled(r, p->receipt.origin, n);
    return false;
}

void receipts_forget(struct receipts *r, struct jid *origin, uint64_t number)
{
    struct origin *o = origin_of(r, origin);

    if (o && in_window(o, number))
        set_bit(o->seen, number, false);
}

/* --- answering --- */

void receipts_handled(struct receipts *r, struct jid *origin, uint64_t number)
{
    struct origin *o = origin_of(r, origin);

    if (!o)
        return;
    if (in_window(o, number))
        set_bit(o->done, number, true);
    if (o->count == o->room) {
        o->room = o->room ? 2 * o->room : 16;
        o->batch = mem_realloc(o->batch, o->room * sizeof(*o->batch));
    }
    o->batch[o->count++] = number;
    if (o->count == 1)
        list_push(&r->due, &o->node);
    loop_defer(r->component->env->loop, &r->task, LOOP_PACKETS);
}

static void send(struct receipts *r, const struct origin *o, const uint64_t *numbers, size_t count)
{
    while (count > 0) {
        size_t part = count < BATCH_MAX ? count : BATCH_MAX;
        component_send(r->component,
                       handled_create(jid_full(o->name), str_of(r->component->id), numbers, part));
        numbers += part;
        count -= part;
    }
}

void receipts_flush(struct receipts *r)
{
    struct list *node;

    while ((node = list_pop(&r->due)) != NULL) {
        struct origin *o = LIST_ENTRY(node, struct origin, node);
        uint64_t *numbers = o->batch;
        size_t count = o->count;
        o->batch = NULL;
        o->count = o->room = 0;
        if (r->name && jid_eq(o->name, r->name))
            for (size_t i = 0; i < count; i++)
                r->handled(r->owner, numbers[i]);
        else
            send(r, o, numbers, count);
        free(numbers);
    }
}

static void tell(void *arg, uint64_t number)
{
    struct receipts *r = arg;

    r->handled(r->owner, number);
}

bool receipts_take(struct receipts *r, struct packet *p)
{
    if (!handled_is(p))
        return false;
    if (!p->error)
        handled_each(p, tell, r);
    packet_destroy(p);
    return true;
}
