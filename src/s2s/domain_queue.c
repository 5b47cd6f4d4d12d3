/* Domain queue: see domain_queue.h. */
#include "s2s/domain_queue.h"

void domain_queue_init(struct domain_queue *q)
{
    list_init(&q->packets);
    q->count = q->bytes = 0;
}

static void added(struct domain_queue *q, struct packet *p)
{
    p->queued = packet_size(p);
    q->count++;
    q->bytes += p->queued;
}

bool domain_queue_push(struct domain_queue *q, struct packet *p, size_t max)
{
    if (q->bytes + packet_size(p) > max)
        return false;
    list_push(&q->packets, &p->node);
    added(q, p);
    return true;
}

void domain_queue_return(struct domain_queue *q, struct packet *p)
{
    list_push(q->packets.next, &p->node); /* before the first */
    added(q, p);
}

static struct packet *take(struct domain_queue *q, struct list *node)
{
    struct packet *p = LIST_ENTRY(node, struct packet, node);

    list_remove(node);
    q->count--;
    q->bytes -= p->queued;
    return p;
}

void domain_queue_remove(struct domain_queue *q, struct packet *p)
{
    (void)take(q, &p->node);
}

struct packet *domain_queue_pop(struct domain_queue *q)
{
    return list_empty(&q->packets) ? NULL : take(q, q->packets.next);
}

struct packet *domain_queue_pop_last(struct domain_queue *q)
{
    return list_empty(&q->packets) ? NULL : take(q, q->packets.prev);
}

const struct packet *domain_queue_first(const struct domain_queue *q)
{
    return list_empty(&q->packets) ? NULL : LIST_ENTRY(q->packets.next, struct packet, node);
}

const struct packet *domain_queue_last(const struct domain_queue *q)
{
    return list_empty(&q->packets) ? NULL : LIST_ENTRY(q->packets.prev, struct packet, node);
}

struct packet *domain_queue_expired(struct domain_queue *q, uint64_t before)
{
    const struct packet *first = domain_queue_first(q);

    return first && first->born <= before ? domain_queue_pop(q) : NULL;
}
