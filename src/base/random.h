/* The seam for random numbers: getrandom(2) for real, a seeded generator in simulation and tests.
 */
#ifndef JACKDAW_BASE_RANDOM_H
#define JACKDAW_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random; /* one per instance; not shared between threads */

struct random *random_create(void);                 /* the system's CSPRNG, buffered */
struct random *random_create_seeded(uint64_t seed); /* repeatable; tests only */
void random_destroy(struct random *r);
void random_fill(struct random *r, void *bytes, size_t len);
uint32_t random_below(struct random *r, uint32_t bound); /* uniform in [0, bound) */
/* `chars` characters of [a-z0-9] without NUL: 5.17 bits each (26 make 134 bits). */
void random_token(struct random *r, char *out, size_t chars);

#endif
