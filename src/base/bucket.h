/* Bucket: how much of something may pass in a second. It fills at `rate` and holds at most
 * `capacity`; what is taken beyond its level is a debt, to be waited for. Time is the caller's
 * (loop_now), the rate too, so that a reload counts at once. Zeroed is empty and never asked; a
 * rate of 0 means unlimited. */
#ifndef JACKDAW_BASE_BUCKET_H
#define JACKDAW_BASE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
    int64_t level;
    uint64_t filled; /* until when; 0: never yet, so it is full */
};

/* Takes `cost` whatever the level is. False: it is in debt now. */
bool bucket_take(struct bucket *b, int64_t rate, int64_t capacity, int64_t cost, uint64_t now_ms);
/* Takes nothing when there is less than `cost`, and says so. */
bool bucket_try(struct bucket *b, int64_t rate, int64_t capacity, int64_t cost, uint64_t now_ms);
/* Milliseconds until the debt is paid; 0: there is none. */
uint64_t bucket_wait(struct bucket *b, int64_t rate, int64_t capacity, uint64_t now_ms);

#endif
