/* Unhandled: see unhandled.h. */
#include "component/unhandled.h"

#include <stdlib.h>

#include "base/mem.h"

struct unhandled_stanza {
    struct list node;
    struct unhandled *owner;
    struct packet *packet; /* what was sent; NULL: nothing */
    uint64_t number;
    int64_t sent; /* wall clock, ms */
    uint32_t place;
    bool done;
};

void unhandled_table_init(struct unhandled_table *t, struct component *c, struct receipts *r)
{
    uint64_t seed[2];

    random_fill(c->env->random, seed, sizeof(seed));
    t->component = c;
    t->receipts = r;
    hash_init(&t->numbers, seed);
}

void unhandled_table_finish(struct unhandled_table *t)
{
    hash_finish(&t->numbers);
}

static struct str key_of(const uint64_t *number)
{
    return (struct str){(const char *)number, sizeof(*number)};
}

void unhandled_init(struct unhandled *u, struct unhandled_table *t, uint32_t came)
{
    u->table = t;
    u->count = 0;
    u->bytes = 0;
    u->came = came;
    list_init(&u->stanzas);
}

static void drop(struct unhandled_stanza *s)
{
    struct unhandled *u = s->owner;

    if (s->packet) {
        hash_del(&u->table->numbers, key_of(&s->number));
        u->bytes -= packet_size(s->packet);
        packet_destroy(s->packet);
    }
    list_remove(&s->node);
    u->count--;
    free(s);
}

void unhandled_finish(struct unhandled *u)
{
    while (!list_empty(&u->stanzas))
        drop(LIST_ENTRY(u->stanzas.next, struct unhandled_stanza, node));
}

/* What is done at the front needs no place any more. */
static void trim(struct unhandled *u)
{
    while (!list_empty(&u->stanzas)) {
        struct unhandled_stanza *s = LIST_ENTRY(u->stanzas.next, struct unhandled_stanza, node);
        if (!s->done)
            return;
        drop(s);
    }
}

struct unhandled_stanza *unhandled_open(struct unhandled *u)
{
    struct unhandled_stanza *s = MEM_NEW(struct unhandled_stanza);

    s->owner = u;
    s->place = ++u->came;
    u->count++;
    list_push(&u->stanzas, &s->node);
    return s;
}

static struct packet *copy_of(const struct packet *p)
{
    struct packet *copy = packet_create(PACKET_STANZA, STR_NULL, STR_NULL);

    copy->stanza = stanza_ref(p->stanza);
    copy->from = p->from ? jid_ref(p->from) : NULL;
    copy->to = p->to ? jid_ref(p->to) : NULL;
    copy->failed = p->failed;
    copy->born = p->born;
    copy->trace = p->trace;
    return copy;
}

static void ask(const struct unhandled_stanza *s, struct packet *p)
{
    receipts_ask(s->owner->table->receipts, p, s->number);
    p->receipt.place = s->place;
}

void unhandled_send(struct unhandled_stanza *s, struct packet *p)
{
    struct unhandled *u = s->owner;

    if (s->packet)
        return;
    s->packet = copy_of(p);
    s->number = receipts_number(u->table->receipts);
    s->sent = loop_wall(u->table->component->env->loop);
    u->bytes += packet_size(s->packet);
    hash_put(&u->table->numbers, key_of(&s->number), s);
    ask(s, p);
}

void unhandled_close(struct unhandled_stanza *s)
{
    struct unhandled *u = s->owner;

    if (s->packet)
        return;
    s->done = true;
    trim(u);
}

struct unhandled *unhandled_receipt(struct unhandled_table *t, uint64_t number)
{
    struct unhandled_stanza *s = hash_get(&t->numbers, key_of(&number));
    struct unhandled *u;

    if (!s)
        return NULL;
    u = s->owner;
    s->done = true;
    trim(u);
    return u;
}

uint32_t unhandled_h(const struct unhandled *u)
{
    return u->came - u->count;
}

void unhandled_repeat(const struct unhandled *u, void (*send)(void *arg, struct packet *p),
                      void *arg)
{
    LIST_EACH (it, &u->stanzas) {
        const struct unhandled_stanza *s = LIST_ENTRY(it, const struct unhandled_stanza, node);
        struct packet *p;
        if (!s->packet || s->done)
            continue;
        p = copy_of(s->packet);
        ask(s, p);
        p->receipt.since = s->sent;
        send(arg, p);
    }
}

bool unhandled_has(const struct unhandled *u, const struct stanza *s)
{
    LIST_EACH (it, &u->stanzas) {
        const struct packet *p = LIST_ENTRY(it, const struct unhandled_stanza, node)->packet;
        if (p && p->stanza == s)
            return true;
    }
    return false;
}
