/* Domain queue: packets for one pair of domains, in order, within a bound, each with the moment it
 * came (packet.born). Knows nothing of connections. */
#ifndef JACKDAW_S2S_DOMAIN_QUEUE_H
#define JACKDAW_S2S_DOMAIN_QUEUE_H

#include "link/packet.h"

struct domain_queue {
    struct list packets;
    size_t count, bytes;
};

void domain_queue_init(struct domain_queue *q);
/* At the end. False when more than `max` bytes would wait; the packet stays the caller's. */
bool domain_queue_push(struct domain_queue *q, struct packet *p, size_t max);
/* Back to the front: it was taken and did not arrive. Never refused: it had its place before. */
void domain_queue_return(struct domain_queue *q, struct packet *p);
/* The first, now the caller's; NULL when there is none. */
struct packet *domain_queue_pop(struct domain_queue *q);
/* The first, still in the queue. */
const struct packet *domain_queue_first(const struct domain_queue *q);
/* The last, still in the queue. */
const struct packet *domain_queue_last(const struct domain_queue *q);
/* The first one when it came at `before` or earlier, now the caller's; else NULL. */
struct packet *domain_queue_expired(struct domain_queue *q, uint64_t before);
/* The last one, now the caller's: for returning many in order. */
struct packet *domain_queue_pop_last(struct domain_queue *q);

/* One of its packets, now the caller's. */
void domain_queue_remove(struct domain_queue *q, struct packet *p);

static inline bool domain_queue_empty(const struct domain_queue *q)
{
    return q->count == 0;
}

#endif
