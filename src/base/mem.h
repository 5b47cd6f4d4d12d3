/* Memory that never comes back NULL.
 *
 * Every growing thing in Jackdaw has a maximum given at its creation, so an allocation that fails
 * means the machine itself has none left. Then the process says so and aborts: nothing acknowledged
 * is lost by a crash (docs/decisions/0003-memory.md), and no code path half-handles what no test
 * can reach.
 */
#ifndef JACKDAW_BASE_MEM_H
#define JACKDAW_BASE_MEM_H

#include <stddef.h>

/* Zeroed memory; free() releases it. Aborts with a message when the system has none. */
void *mem_alloc(size_t size);
void *mem_alloc_array(size_t count, size_t size); /* checks the product for overflow */
void *mem_realloc(void *ptr, size_t size);        /* the new part is not zeroed */
char *mem_strdup(const char *text);
char *mem_strndup(const char *text, size_t len); /* adds the terminating NUL */

/* Overwrites a secret in a way that the compiler may not remove. */
void mem_wipe(void *ptr, size_t size);

#define MEM_NEW(type) ((type *)mem_alloc(sizeof(type)))

/* The object that embeds `member`, from a pointer to the member. */
#define MEM_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
