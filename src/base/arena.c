/* Arena: a chain of blocks from which memory is cut and never given back singly. Blocks double up
 * to 64 KB; a request larger than that gets a block of its own. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { FIRST_BLOCK = 1024, LARGEST_BLOCK = 65536 };

struct block {
    struct block *next; /* older */
    size_t size, used;
    alignas(max_align_t) char bytes[];
};

struct arena {
    struct block *newest;
    size_t max;
    size_t used; /* bytes handed out, with padding */
};

struct arena *arena_create(size_t max)
{
    struct arena *a = MEM_NEW(struct arena);
    a->max = max;
    return a;
}

static void free_chain(struct block *b)
{
    while (b) {
        struct block *next = b->next;
        free(b);
        b = next;
    }
}

void arena_destroy(struct arena *a)
{
    if (!a)
        return;
    free_chain(a->newest);
    free(a);
}

void arena_reset(struct arena *a)
{
    a->used = 0;
    if (!a->newest)
        return;
    free_chain(a->newest->next);
    a->newest->next = NULL;
    a->newest->used = 0;
    if (a->newest->size > LARGEST_BLOCK) { /* one huge request must not be kept for ever */
        free(a->newest);
        a->newest = NULL;
    }
}

static struct block *add_block(struct arena *a, size_t needed)
{
    size_t size = a->newest ? a->newest->size * 2 : FIRST_BLOCK;
    if (size > LARGEST_BLOCK)
        size = LARGEST_BLOCK;
    if (size < needed)
        size = needed;
    struct block *b = mem_realloc(NULL, sizeof *b + size);
    b->next = a->newest;
    b->size = size;
    b->used = 0;
    a->newest = b;
    return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
    const size_t align = alignof(max_align_t);
    if (size > SIZE_MAX - align)
        return NULL;
    size_t needed = size ? (size + align - 1) / align * align : align;
    if (needed > a->max - a->used)
        return NULL;
    struct block *b = a->newest;
    if (!b || b->size - b->used < needed)
        b = add_block(a, needed);
    void *p = b->bytes + b->used;
    b->used += needed;
    a->used += needed;
    return memset(p, 0, needed);
}

char *arena_strndup(struct arena *a, struct str s)
{
    char *copy = s.len < SIZE_MAX ? arena_alloc(a, s.len + 1) : NULL;
    if (copy && s.len)
        memcpy(copy, s.data, s.len);
    return copy;
}

size_t arena_used(const struct arena *a)
{
    return a->used;
}
