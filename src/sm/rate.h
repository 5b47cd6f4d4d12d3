/* Rate: how often something has happened within about the last minute, in twelve bytes. */
#ifndef JACKDAW_SM_RATE_H
#define JACKDAW_SM_RATE_H

#include <stdint.h>

#define RATE_MS 60000u

struct rate {
    uint32_t minute;      /* since the loop's beginning */
    uint32_t now, before; /* in that minute, and in the one before it */
};

static inline void rate_move(struct rate *r, uint64_t now)
{
    uint32_t minute = (uint32_t)(now / RATE_MS);
    if (minute == r->minute)
        return;
    r->before = minute == r->minute + 1 ? r->now : 0;
    r->now = 0;
    r->minute = minute;
}

/* `now`: loop_now. */
static inline void rate_count(struct rate *r, uint64_t now)
{
    rate_move(r, now);
    r->now++;
}

/* The former minute counts with the part of it that is not over a minute ago. */
static inline uint32_t rate_per_minute(struct rate *r, uint64_t now)
{
    rate_move(r, now);
    return r->now + (uint32_t)(r->before * (RATE_MS - now % RATE_MS) / RATE_MS);
}

#endif
