/* Shared: a short list under a lock; asked when instances start and end. */
#include "base/shared.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"

struct shared {
    pthread_mutex_t lock;
    struct list entries;
};

struct entry {
    struct list node;
    void *thing;
    unsigned takers;
    char name[];
};

struct shared *shared_create(void)
{
    struct shared *s = MEM_NEW(struct shared);

    pthread_mutex_init(&s->lock, NULL);
    list_init(&s->entries);
    return s;
}

void shared_destroy(struct shared *s)
{
    if (!s)
        return;
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static struct entry *by_name(const struct shared *s, const char *name)
{
    LIST_EACH (it, &s->entries) {
        struct entry *e = LIST_ENTRY(it, struct entry, node);
        if (strcmp(e->name, name) == 0)
            return e;
    }
    return NULL;
}

static struct entry *by_thing(const struct shared *s, const void *thing)
{
    LIST_EACH (it, &s->entries) {
        struct entry *e = LIST_ENTRY(it, struct entry, node);
        if (e->thing == thing)
            return e;
    }
    return NULL;
}

static void *take(struct shared *s, const char *name, void *(*create)(void *arg), void *arg)
{
    struct entry *e = by_name(s, name);
    size_t size = strlen(name) + 1;
    void *thing;

    if (e) {
        e->takers++;
        return e->thing;
    }
    thing = create(arg);
    if (!thing)
        return NULL;
    e = mem_alloc(sizeof(*e) + size);
    e->thing = thing;
    e->takers = 1;
    memcpy(e->name, name, size);
    list_push(&s->entries, &e->node);
    return thing;
}

void *shared_take(struct shared *s, const char *name, void *(*create)(void *arg), void *arg)
{
    void *thing;

    if (!s)
        return create(arg);
    pthread_mutex_lock(&s->lock);
    thing = take(s, name, create, arg);
    pthread_mutex_unlock(&s->lock);
    return thing;
}

void shared_release(struct shared *s, void *thing, void (*destroy)(void *thing))
{
    struct entry *e;

    if (!s) {
        destroy(thing);
        return;
    }
    pthread_mutex_lock(&s->lock);
    e = by_thing(s, thing);
    if (e && --e->takers == 0) {
        list_remove(&e->node);
        destroy(thing);
        free(e);
    }
    pthread_mutex_unlock(&s->lock);
}
