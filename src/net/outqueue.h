/* Output queue: bytes on their way out, as a list of chunks. Chunks come from a pool shared by all
 * connections of a loop, so that an idle connection owns none and a busy one allocates nothing. */
#ifndef JACKDAW_NET_OUTQUEUE_H
#define JACKDAW_NET_OUTQUEUE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct chunk {
    struct chunk *next;
    uint32_t start, end, room; /* room: size of bytes[] */
    char bytes[];
};

struct chunk_pool {
    struct chunk *spare;
    size_t spares;
};

struct outqueue {
    struct chunk *head, *tail;
    size_t len;
};

void chunk_pool_finish(struct chunk_pool *pool);

/* Contiguous room at the end; what is then committed becomes part of the queue. */
char *outqueue_reserve(struct chunk_pool *pool, struct outqueue *q, size_t len);
void outqueue_commit(struct outqueue *q, size_t len);
void outqueue_add(struct chunk_pool *pool, struct outqueue *q, const void *bytes, size_t len);
/* The front of the queue as at most `max` pieces; returns how many. */
int outqueue_pieces(const struct outqueue *q, struct iovec *pieces, int max);
void outqueue_consume(struct chunk_pool *pool, struct outqueue *q, size_t len);
void outqueue_clear(struct chunk_pool *pool, struct outqueue *q);

#endif
