/* Bucket: see bucket.h. */
#include "base/bucket.h"

static void fill(struct bucket *b, int64_t rate, int64_t capacity, uint64_t now_ms)
{
    int64_t room = capacity - b->level, gained;
    uint64_t passed = now_ms - b->filled;

    if (b->filled == 0 || room <= 0 || passed > (uint64_t)(room / rate + 1) * 1000) {
        b->level = capacity; /* also when it was larger before a reload */
        b->filled = now_ms;
        return;
    }
    gained = (int64_t)passed * rate / 1000;
    if (gained == 0)
        return; /* what is less than one whole unit is not forgotten */
    b->level += gained < room ? gained : room;
    b->filled += (uint64_t)gained * 1000 / (uint64_t)rate;
}

bool bucket_take(struct bucket *b, int64_t rate, int64_t capacity, int64_t cost, uint64_t now_ms)
{
    if (rate <= 0)
        return true;
    fill(b, rate, capacity, now_ms);
    b->level -= cost;
    return b->level >= 0;
}

bool bucket_try(struct bucket *b, int64_t rate, int64_t capacity, int64_t cost, uint64_t now_ms)
{
    if (rate <= 0)
        return true;
    fill(b, rate, capacity, now_ms);
    if (b->level < cost)
        return false;
    b->level -= cost;
    return true;
}

uint64_t bucket_wait(struct bucket *b, int64_t rate, int64_t capacity, uint64_t now_ms)
{
    if (rate <= 0)
        return 0;
    fill(b, rate, capacity, now_ms);
    if (b->level >= 0)
        return 0;
    return b->filled + (uint64_t)(-b->level * 1000 + rate - 1) / (uint64_t)rate - now_ms;
}
