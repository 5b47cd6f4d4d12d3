/* The address book: see address.h. */
#include "c2s/address.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define ADDRESS_MAX          20000  /* entries without a connection that are remembered */
#define ADDRESS_FORGIVE_MS   30000u /* one failed login is forgiven in this time */
#define ADDRESS_DELAY_MS     50u    /* per failure */
#define ADDRESS_DELAY_MAX_MS 10000u
#define ADDRESS_WAIT_AFTER   100u /* failures after which logins wait before they begin */
#define ADDRESS_WAIT_MAX_MS  5000u
#define ADDRESS_HOUR_MS      3600000u

struct book {
    pthread_mutex_t lock; /* guards everything, also inside of the entries */
    struct hash entries;  /* prefix -> struct address */
    struct list unused;   /* entries without a reference, oldest first */
    size_t unused_count;
    size_t connections;
};

struct addresses {
    struct loop *loop;
    struct shared *shared;
    struct book *book;
};

static void *book_create(void *seed)
{
    struct book *b = MEM_NEW(struct book);

    pthread_mutex_init(&b->lock, NULL);
    hash_init(&b->entries, seed);
    list_init(&b->unused);
    return b;
}

static void book_destroy(void *thing)
{
    struct book *b = thing;
    struct address *e;

    for (size_t i = 0; (e = hash_next(&b->entries, &i)) != NULL;)
        free(e);
    hash_finish(&b->entries);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

struct addresses *addresses_create(struct loop *l, const uint64_t seed[2], struct shared *shared)
{
    struct addresses *a = MEM_NEW(struct addresses);
    uint64_t own[2] = {seed[0], seed[1]};

    a->loop = l;
    a->shared = shared;
    a->book = shared_take(shared, "c2s addresses", book_create, own);
    return a;
}

void addresses_destroy(struct addresses *a)
{
    if (!a)
        return;
    shared_release(a->shared, a->book, book_destroy);
    free(a);
}

static void lock(struct addresses *a)
{
    pthread_mutex_lock(&a->book->lock);
}

static void unlock(struct addresses *a)
{
    pthread_mutex_unlock(&a->book->lock);
}

/* The clocks of two loops may be some milliseconds apart. */
static uint64_t since(const struct addresses *a, uint64_t then)
{
    uint64_t now = loop_now(a->loop);

    return now > then ? now - then : 0;
}

static size_t prefix_ipv6(const struct in6_addr *ip6, char out[46], bool *ret_loopback)
{
    struct in6_addr net = *ip6;
    int n;

    if (IN6_IS_ADDR_V4MAPPED(ip6)) {
        *ret_loopback = ip6->s6_addr[12] == 127;
        n = snprintf(out, 46, "%u.%u.%u.%u", ip6->s6_addr[12], ip6->s6_addr[13], ip6->s6_addr[14],
                     ip6->s6_addr[15]);
        return (size_t)n;
    }
    *ret_loopback = IN6_IS_ADDR_LOOPBACK(ip6);
    if (*ret_loopback) {
        memcpy(out, "::1", 4);
        return 3;
    }
    memset(net.s6_addr + 8, 0, 8);
    inet_ntop(AF_INET6, &net, out, 43);
    n = (int)strlen(out);
    memcpy(out + n, "/64", 4);
    return (size_t)n + 3;
}

size_t address_prefix(const char *ip, char out[46], bool *ret_loopback)
{
    struct in_addr ip4;
    struct in6_addr ip6;
    size_t len = strlen(ip);

    if (inet_pton(AF_INET, ip, &ip4) == 1) {
        *ret_loopback = (ntohl(ip4.s_addr) >> 24) == 127;
        inet_ntop(AF_INET, &ip4, out, 46);
        return strlen(out);
    }
    if (inet_pton(AF_INET6, ip, &ip6) == 1)
        return prefix_ipv6(&ip6, out, ret_loopback);
    *ret_loopback = strncmp(ip, "unix:", 5) == 0;
    if (*ret_loopback) {
        memcpy(out, "unix", 5);
        return 4;
    }
    if (len > 45)
        len = 45;
    memcpy(out, ip, len);
    out[len] = '\0';
    return len;
}

static struct address *get(struct book *b, struct str key, bool loopback)
{
    struct address *e = hash_get(&b->entries, key);

    if (e) {
        if (e->refs == 0) {
            list_remove(&e->node);
            b->unused_count--;
        }
        e->refs++;
        return e;
    }
    e = MEM_NEW(struct address);
    list_init(&e->node);
    e->refs = 1;
    e->loopback = loopback;
    e->key_len = (uint8_t)key.len;
    memcpy(e->key, key.data, key.len);
    hash_put(&b->entries, (struct str){e->key, key.len}, e);
    return e;
}

struct address *address_get(struct addresses *a, const char *ip)
{
    char key[46];
    bool loopback = false;
    size_t len = address_prefix(ip, key, &loopback);
    struct address *e;

    lock(a);
    e = get(a->book, (struct str){key, len}, loopback);
    unlock(a);
    return e;
}

struct address *address_ref(struct addresses *a, struct address *e)
{
    lock(a);
    e->refs++;
    unlock(a);
    return e;
}

static void forgive(struct addresses *a, struct address *e)
{
    uint64_t passed = since(a, e->failed_at) / ADDRESS_FORGIVE_MS;

    if (passed == 0)
        return;
    e->failures = passed >= e->failures ? 0 : e->failures - (uint32_t)passed;
    e->failed_at += passed * ADDRESS_FORGIVE_MS;
}

static bool blank(struct addresses *a, struct address *e)
{
    forgive(a, e);
    return e->failures == 0 &&
           (e->registered == 0 || since(a, e->registered_at) >= ADDRESS_HOUR_MS);
}

static void forget(struct book *b, struct address *e)
{
    hash_del(&b->entries, (struct str){e->key, e->key_len});
    free(e);
}

static void unused(struct addresses *a, struct address *e)
{
    struct book *b = a->book;

    if (blank(a, e)) {
        forget(b, e);
        return;
    }
    list_push(&b->unused, &e->node);
    b->unused_count++;
    /* Each departure looks at the two that left first: whoever has become blank goes, so the list
     * shrinks as fast as it grew; and over the maximum the first goes whatever it did. */
    for (int i = 0; i < 2 && !list_empty(&b->unused); i++) {
        struct address *oldest = LIST_ENTRY(b->unused.next, struct address, node);
        if (!blank(a, oldest) && b->unused_count <= ADDRESS_MAX)
            break;
        list_remove(&oldest->node);
        b->unused_count--;
        forget(b, oldest);
    }
}

void address_unref(struct addresses *a, struct address *e)
{
    if (!e)
        return;
    lock(a);
    if (--e->refs == 0)
        unused(a, e);
    unlock(a);
}

/* --- connections --- */

bool address_connect(struct addresses *a, struct address *e, int64_t max)
{
    bool room;

    lock(a);
    room = max <= 0 || e->connections < (uint64_t)max;
    e->connections += room;
    a->book->connections += room;
    unlock(a);
    return room;
}

void address_disconnect(struct addresses *a, struct address *e)
{
    lock(a);
    e->connections--;
    a->book->connections--;
    unlock(a);
}

size_t addresses_connections(struct addresses *a)
{
    size_t count;

    lock(a);
    count = a->book->connections;
    unlock(a);
    return count;
}

/* --- logins and registrations --- */

static uint32_t delay(uint32_t failures, uint32_t max)
{
    return failures > max / ADDRESS_DELAY_MS ? max : failures * ADDRESS_DELAY_MS;
}

uint32_t address_login_failed(struct addresses *a, struct address *e)
{
    uint32_t wait;

    lock(a);
    forgive(a, e);
    if (e->failures == 0)
        e->failed_at = loop_now(a->loop);
    if (e->failures < UINT32_MAX)
        e->failures++;
    wait = delay(e->failures, ADDRESS_DELAY_MAX_MS);
    unlock(a);
    return wait;
}

uint32_t address_login_wait(struct addresses *a, struct address *e)
{
    uint32_t wait = 0;

    lock(a);
    forgive(a, e);
    if (e->failures > ADDRESS_WAIT_AFTER)
        wait = delay(e->failures - ADDRESS_WAIT_AFTER, ADDRESS_WAIT_MAX_MS);
    unlock(a);
    return wait;
}

bool address_may_register(struct addresses *a, struct address *e, int64_t rate)
{
    bool may;

    lock(a);
    if (e->registered == 0 || since(a, e->registered_at) >= ADDRESS_HOUR_MS) {
        e->registered = 0;
        e->registered_at = loop_now(a->loop);
    }
    may = rate <= 0 || e->registered < (uint64_t)rate;
    e->registered += may;
    unlock(a);
    return may;
}

void address_register_failed(struct addresses *a, struct address *e)
{
    lock(a);
    if (e->registered > 0)
        e->registered--;
    unlock(a);
}
