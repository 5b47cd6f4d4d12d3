/* Output queue: see outqueue.h. */
#include "net/outqueue.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
    CHUNK_ROOM = 4096 - sizeof(struct chunk) - 16, /* with malloc's own header within one page */
    SPARES_MAX = 64
};

static struct chunk *chunk_take(struct chunk_pool *pool, size_t len)
{
    struct chunk *c = pool->spare;
    if (c && len <= CHUNK_ROOM) {
        pool->spare = c->next;
        pool->spares--;
    } else {
        size_t room = len > CHUNK_ROOM ? len : CHUNK_ROOM;
        c = mem_realloc(NULL, sizeof *c + room);
        c->room = (uint32_t)room;
    }
    c->next = NULL;
    c->start = c->end = 0;
    return c;
}

static void chunk_give(struct chunk_pool *pool, struct chunk *c)
{
    if (c->room != CHUNK_ROOM || pool->spares >= SPARES_MAX) {
        free(c);
        return;
    }
    c->next = pool->spare;
    pool->spare = c;
    pool->spares++;
}

void chunk_pool_finish(struct chunk_pool *pool)
{
    while (pool->spare) {
        struct chunk *next = pool->spare->next;
        free(pool->spare);
        pool->spare = next;
    }
    pool->spares = 0;
}

char *outqueue_reserve(struct chunk_pool *pool, struct outqueue *q, size_t len)
{
    struct chunk *tail = q->tail;
    if (!tail || tail->room - tail->end < len) {
        struct chunk *c = chunk_take(pool, len);
        if (tail)
            tail->next = c;
        else
            q->head = c;
        q->tail = tail = c;
    }
    return tail->bytes + tail->end;
}

void outqueue_commit(struct outqueue *q, size_t len)
{
    q->tail->end += (uint32_t)len;
    q->len += len;
}

void outqueue_add(struct chunk_pool *pool, struct outqueue *q, const void *bytes, size_t len)
{
    const char *from = bytes;
    if (q->tail &&
        len > q->tail->room - q->tail->end) { /* fill up the last chunk first: slow readers */
        size_t part = q->tail->room - q->tail->end;
        memcpy(q->tail->bytes + q->tail->end, from, part);
        outqueue_commit(q, part);
        from += part;
        len -= part;
    }
    if (!len)
        return;
    memcpy(outqueue_reserve(pool, q, len), from, len);
    outqueue_commit(q, len);
}

int outqueue_pieces(const struct outqueue *q, struct iovec *pieces, int max)
{
    int n = 0;
    for (struct chunk *c = q->head; c && n < max; c = c->next)
        if (c->end > c->start)
            pieces[n++] = (struct iovec){c->bytes + c->start, c->end - c->start};
    return n;
}

void outqueue_consume(struct chunk_pool *pool, struct outqueue *q, size_t len)
{
    q->len -= len;
    while (q->head) {
        struct chunk *c = q->head;
        size_t part = c->end - c->start;
        if (len < part) {
            c->start += (uint32_t)len;
            return;
        }
        len -= part;
        q->head = c->next;
        chunk_give(pool, c);
    }
    q->tail = NULL;
}

void outqueue_clear(struct chunk_pool *pool, struct outqueue *q)
{
    outqueue_consume(pool, q, q->len);
}
