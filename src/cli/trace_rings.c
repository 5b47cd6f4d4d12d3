/* The rings of a data directory: see trace_rings.h. */
#include "cli/trace_rings.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/random.h"

#define RINGS_MAX 256u
#define NAME_LEN  64u
#define SUFFIX    ".ring"
#define CUT_SURE  40u /* bytes of a cut address that are enough to know it by */

struct source {
    char name[NAME_LEN];
    struct ring *ring;
    uint64_t at;
    uint64_t missing; /* this number was not there when we came */
};

struct trace_rings {
    char *folder;
    struct source sources[RINGS_MAX];
    size_t count;
};

static bool known(const struct trace_rings *t, const char *name)
{
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->sources[i].name, name) == 0)
            return true;
    return false;
}

static void take(struct trace_rings *t, const char *file)
{
    struct source *s = &t->sources[t->count];
    size_t len = strlen(file), suffix = sizeof(SUFFIX) - 1;
    char name[NAME_LEN], path[4096];

    if (t->count == RINGS_MAX || len <= suffix || len - suffix >= NAME_LEN ||
        strcmp(file + len - suffix, SUFFIX) != 0)
        return;
    (void)snprintf(name, sizeof(name), "%.*s", (int)(len - suffix), file);
    (void)snprintf(path, sizeof(path), "%s/%s", t->folder, file);
    if (known(t, name) || ring_read(path, &s->ring) != ERR_OK)
        return;
    memcpy(s->name, name, sizeof(name));
    s->at = ring_first(s->ring);
    s->missing = 0;
    t->count++;
}

void trace_rings_look(struct trace_rings *t)
{
    struct dirent **names = NULL;
    int count = scandir(t->folder, &names, NULL, alphasort);

    for (int i = 0; i < count; i++) {
        take(t, names[i]->d_name);
        free(names[i]);
    }
    free(names);
}

struct trace_rings *trace_rings_open(const char *data_dir)
{
    struct trace_rings *t = MEM_NEW(struct trace_rings);
    size_t size = strlen(data_dir) + sizeof("/ledger");

    t->folder = mem_alloc(size);
    (void)snprintf(t->folder, size, "%s/ledger", data_dir);
    trace_rings_look(t);
    return t;
}

void trace_rings_close(struct trace_rings *t)
{
    for (size_t i = 0; i < t->count; i++)
        ring_close(t->sources[i].ring);
    free(t->folder);
    free(t);
}

size_t trace_rings_count(const struct trace_rings *t)
{
    return t->count;
}

const char *trace_process(const struct trace_rings *t, size_t ring)
{
    return t->sources[ring].name;
}

void trace_rings_rewind(struct trace_rings *t, bool end)
{
    for (size_t i = 0; i < t->count; i++) {
        struct source *s = &t->sources[i];
        s->at = end ? ring_next(s->ring) : ring_first(s->ring);
        s->missing = 0;
    }
}

/* A record that is not there may be just being written: it is waited for once. */
static bool next_of(struct source *s, struct trace_step *ret)
{
    while (s->at < ring_next(s->ring)) {
        size_t len;
        if (s->at < ring_first(s->ring))
            s->at = ring_first(s->ring);
        len = ring_get(s->ring, s->at, ret->bytes);
        if (len == 0 && s->missing != s->at && s->at + 64 > ring_next(s->ring)) {
            s->missing = s->at;
            return false;
        }
        ret->number = s->at++;
        if (len > 0 && ledger_record_read((struct str){ret->bytes, len}, &ret->record))
            return true;
    }
    return false;
}

bool trace_rings_next(struct trace_rings *t, struct trace_step *ret)
{
    for (size_t i = 0; i < t->count; i++)
        if (next_of(&t->sources[i], ret)) {
            ret->ring = i;
            return true;
        }
    return false;
}

/* --- addresses --- */

static bool is_of(struct str address, struct str jid, bool cut)
{
    struct str rest;

    if (cut && address.len >= CUT_SURE && address.len < jid.len)
        return memcmp(address.data, jid.data, address.len) == 0;
    if (address.len >= jid.len && memcmp(address.data, jid.data, jid.len) == 0 &&
        (address.len == jid.len || address.data[jid.len] == '/'))
        return true;
    if (memchr(jid.data, '@', jid.len) || memchr(jid.data, '/', jid.len))
        return false;
    rest.data = memchr(address.data ? address.data : "", '@', address.len);
    if (!rest.data)
        return false;
    rest.data++;
    rest.len = address.len - (size_t)(rest.data - address.data);
    return rest.len >= jid.len && memcmp(rest.data, jid.data, jid.len) == 0 &&
           (rest.len == jid.len || rest.data[jid.len] == '/');
}

bool trace_concerns(const struct ledger_record *r, struct str jid)
{
    return is_of(r->from, jid, r->cut) || is_of(r->to, jid, r->cut);
}

/* --- ids --- */

void trace_ids_init(struct hash *h)
{
    struct random *random = random_create();
    uint64_t seed[2];

    random_fill(random, seed, sizeof(seed));
    random_destroy(random);
    hash_init(h, seed);
}

struct str trace_key(const uint64_t *id)
{
    return (struct str){(const char *)id, sizeof(*id)};
}

/* --- steps --- */

void trace_steps_add(struct trace_steps *s, const struct trace_step *step)
{
    struct trace_step *copy = MEM_NEW(struct trace_step);
    struct ledger_record *r = &copy->record;
    struct str *const texts[] = {&r->component, &r->from, &r->to, &r->detail};

    *copy = *step;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        texts[i]->data = copy->bytes + (texts[i]->data - step->bytes);
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 64;
        s->items = mem_realloc(s->items, s->room * sizeof(struct trace_step *));
    }
    s->items[s->count++] = copy;
}

/* What one process noted in the same microsecond is in its order. */
static int by_time(const void *a, const void *b)
{
    const struct trace_step *x = *(struct trace_step *const *)a,
                            *y = *(struct trace_step *const *)b;

    if (x->record.time != y->record.time)
        return x->record.time < y->record.time ? -1 : 1;
    if (x->ring != y->ring)
        return x->ring < y->ring ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

void trace_steps_sort(struct trace_steps *s)
{
    if (s->count > 0)
        qsort(s->items, s->count, sizeof(struct trace_step *), by_time);
}

void trace_steps_drop(struct trace_steps *s, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(s->items[i]);
    s->count -= count;
    if (s->count > 0)
        memmove(s->items, s->items + count, s->count * sizeof(struct trace_step *));
    if (s->count == 0) {
        free(s->items);
        *s = (struct trace_steps){.items = NULL};
    }
}
