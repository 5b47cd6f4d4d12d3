/* Arena: memory that is released all at once, shaped by a lifetime (a request, a reload). */
#ifndef JACKDAW_BASE_ARENA_H
#define JACKDAW_BASE_ARENA_H

#include <stddef.h>
#include "base/str.h"

struct arena;

/* `max` bounds the bytes handed out in total; beyond it arena_alloc returns NULL. */
struct arena *arena_create(size_t max);
void arena_destroy(struct arena *a);             /* NULL is fine */
void arena_reset(struct arena *a);               /* forgets everything, keeps one block for reuse */
void *arena_alloc(struct arena *a, size_t size); /* zeroed, aligned for any type */
char *arena_strndup(struct arena *a, struct str s); /* NUL-terminated; NULL over the maximum */
size_t arena_used(const struct arena *a);

#endif
