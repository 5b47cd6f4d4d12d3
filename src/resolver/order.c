/* Priorities, weights, and families of addresses. */
#include "resolver/order.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool same(const struct target *a, const struct target *b)
{
    return a->direct == b->direct && a->srv.port == b->srv.port &&
           strcmp(a->srv.target, b->srv.target) == 0;
}

static bool known(const struct target *targets, size_t count, const struct target *t)
{
    for (size_t i = 0; i < count; i++)
        if (same(&targets[i], t))
            return true;
    return false;
}

void order_add(struct target targets[ORDER_MAX_RECORDS], size_t *count,
               const struct dns_answer *answer, bool direct, bool *ret_none)
{
    if (answer->status != DNS_FOUND)
        return;
    for (size_t i = 0; i < answer->count && *count < ORDER_MAX_RECORDS; i++) {
        struct target t = {.direct = direct, .secure = answer->secure, .ttl = answer->ttl};
        if (!rdata_srv(answer->records[i], &t.srv))
            continue;
        if (!t.srv.target[0])
            *ret_none = true;
        else if (t.srv.port != 0 && !known(targets, *count, &t))
            targets[(*count)++] = t;
    }
}

static int by_priority(const void *a, const void *b)
{
    const struct target *ta = a, *tb = b;

    return (int)ta->srv.priority - (int)tb->srv.priority;
}

static void swap(struct target *a, struct target *b)
{
    struct target was = *a;

    *a = *b;
    *b = was;
}

/* RFC 2782 wants those of weight 0 in front of the rest and these "in any order": shuffled, so that
 * weights that are all 0 share the load, too. */
static void shuffle(struct target *t, size_t count, struct random *random)
{
    size_t zeros = 0;

    for (size_t i = count; i > 1; i--)
        swap(&t[i - 1], &t[random_below(random, (uint32_t)i)]);
    for (size_t i = 0; i < count; i++)
        if (t[i].srv.weight == 0)
            swap(&t[i], &t[zeros++]);
}

/* RFC 2782, "Weight": a number from 0 to the sum; the first whose running sum reaches it is next.
 */
static void by_weight(struct target *t, size_t count, struct random *random)
{
    shuffle(t, count, random);
    for (size_t first = 0; first + 1 < count; first++) {
        uint32_t sum = 0, running = 0;
        size_t pick = first;

        for (size_t i = first; i < count; i++)
            sum += t[i].srv.weight;
        uint32_t drawn = random_below(random, sum + 1);
        while ((running += t[pick].srv.weight) < drawn)
            pick++;
        struct target chosen = t[pick];
        memmove(&t[first + 1], &t[first], (pick - first) * sizeof(*t)); /* zeros stay in front */
        t[first] = chosen;
    }
}

void order_targets(struct target *targets, size_t count, struct random *random)
{
    size_t start = 0;

    qsort(targets, count, sizeof(*targets), by_priority);
    for (size_t i = 1; i <= count; i++) {
        if (i < count && targets[i].srv.priority == targets[start].srv.priority)
            continue;
        by_weight(targets + start, i - start, random);
        start = i;
    }
}

size_t order_family(size_t v6, size_t v4, size_t position, bool *ret_v6)
{
    size_t pairs = v6 < v4 ? v6 : v4;

    if (position < 2 * pairs) {
        *ret_v6 = position % 2 == 0;
        return position / 2;
    }
    *ret_v6 = v6 > v4;
    return position - pairs;
}

bool order_literal(struct str name, char ret[RDATA_IP_MAX])
{
    char text[RDATA_IP_MAX];
    uint8_t bytes[16];
    bool bracketed = name.len > 2 && name.data[0] == '[' && name.data[name.len - 1] == ']';

    if (bracketed)
        name = (struct str){name.data + 1, name.len - 2};
    if (name.len >= sizeof(text) || memchr(name.data, '\0', name.len))
        return false;
    (void)snprintf(text, sizeof(text), "%.*s", STR_ARG(name));
    if (!bracketed && inet_pton(AF_INET, text, bytes) == 1)
        return rdata_address((struct str){(const char *)bytes, 4}, ret);
    if (inet_pton(AF_INET6, text, bytes) == 1)
        return rdata_address((struct str){(const char *)bytes, 16}, ret);
    return false;
}
