/* Store: takes requests in, keeps their order, hands results out. What runs them is a driver. */
#include "store/store.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/driver.h"

enum { DRIVERS = 3 };
static const struct store_driver *const drivers[DRIVERS] = {&store_sqlite, &store_memory,
                                                            &store_postgres};

/* store_sequence is ahead of what it has promised to the database by at most this much. */
#define SEQUENCE_RESERVE_US 1000000

static void on_kick(struct loop_task *task);
static void on_release(struct loop_timer *timer);

static const struct store_driver *driver_of(const char *url)
{
    for (size_t i = 0; i < DRIVERS; i++)
        if (str_starts(str_of(url), str_of(drivers[i]->scheme)))
            return drivers[i];
    return NULL;
}

enum error store_open(struct loop *l, struct log log, enum store_kind kind, const char *url,
                      struct store **ret, char *why, size_t why_size)
{
    return store_open_shared(NULL, l, log, kind, url, ret, why, why_size);
}

enum error store_open_shared(struct shared *shared, struct loop *l, struct log log,
                             enum store_kind kind, const char *url, struct store **ret, char *why,
                             size_t why_size)
{
    const struct store_driver *driver = driver_of(url);
    if (!driver) {
        snprintf(why, why_size,
                 "the database \"%s\" is of no kind known: write sqlite:PATH or "
                 "postgresql://USER@HOST/DATABASE",
                 url);
        return ERR_INVALID;
    }
    struct store *s = MEM_NEW(struct store);
    s->loop = l;
    s->log = log;
    s->kind = kind;
    s->shared = shared;
    s->driver = driver;
    loop_task_init(&s->kick, on_kick);
    loop_timer_init(&s->release, l, on_release);
    txn_list_init(&s->held);
    enum error e = driver->open(s, url + strlen(driver->scheme), &s->reserved, why, why_size);
    if (e != ERR_OK) {
        free(s);
        return e;
    }
    s->sequence = s->reserved;
    s->round = 1;
    *ret = s;
    return ERR_OK;
}

bool store_away(const char *url, char *shown, size_t size)
{
    const struct store_driver *driver = driver_of(url);

    return driver && driver->away && driver->away(url, shown, size);
}

struct store_txn *store_begin(struct store *s)
{
    struct store_txn *t = s->spare;
    if (t) {
        s->spare = t->next;
        s->spare_count--;
    } else {
        t = mem_realloc(NULL, sizeof *t); /* not zeroed: `fixed` is written before it is read */
    }
    t->after = NULL;
    t->next = NULL;
    t->store = s;
    t->fn = NULL;
    t->arg = NULL;
    t->rows = NULL;
    t->data = t->fixed;
    t->used = 0;
    t->cap = sizeof t->fixed;
    t->statements = 0;
    t->read = t->done = t->inside = false;
    t->result = ERR_OK;
    t->since = 0;
    return t;
}

void store_discard(struct store_txn *t)
{
    if (!t)
        return;
    struct store *s = t->store;
    store_rows_destroy(t->rows);
    if (t->data != t->fixed)
        free(t->data);
    if (s->spare_count >= STORE_SPARE_MAX) {
        free(t);
        return;
    }
    t->next = s->spare;
    s->spare = t;
    s->spare_count++;
}

static void kick(struct store *s)
{
    if (s->kicked || !s->driver)
        return;
    s->kicked = true;
    loop_post(s->loop, &s->kick);
}

/* The maximum of what may be in flight: a database that stands still must not eat the machine's
 * memory. */
static bool over_limit(struct store *s, const struct store_txn *t)
{
    bool over =
        s->in_flight >= STORE_PENDING_MAX || s->bytes_in_flight + t->used > STORE_PENDING_BYTES_MAX;
    if (over && !s->refusing)
        log_error(&s->log,
                  "the database does not keep up: %zu requests (%zu bytes) wait for it, further "
                  "ones are refused. Look at the disk's health and load.",
                  s->in_flight, s->bytes_in_flight);
    s->refusing = over;
    return over;
}

/* --- what may wait for company --- */

struct held {
    struct store_txn *t;
    uint64_t begin; /* of the owner: decides nearly always */
    struct str owner;
    size_t number;
};

static uint64_t begin_of(struct str s)
{
    uint64_t word = 0;
    if (s.len)
        memcpy(&word, s.data, s.len < sizeof word ? s.len : sizeof word);
    return be64toh(word);
}

static int compare_held(const void *left, const void *right)
{
    const struct held *a = left, *b = right;
    if (a->begin != b->begin)
        return a->begin > b->begin ? 1 : -1;
    size_t len = a->owner.len < b->owner.len ? a->owner.len : b->owner.len;
    int order = len ? memcmp(a->owner.data, b->owner.data, len) : 0;
    if (order == 0)
        order = (a->owner.len > b->owner.len) - (a->owner.len < b->owner.len);
    return order ? order : (a->number > b->number) - (a->number < b->number);
}

/* Every table is clustered by its owner: rows that go to the same page are written one after the
 * other, which saves a fifth of what they cost. Those of one owner stay in their order. */
static void submit_by_owner(struct store *s, size_t count)
{
    struct held *held = mem_alloc(count * sizeof *held);
    for (size_t i = 0; i < count; i++) {
        struct request_cursor cursor;
        enum store_statement id;
        struct value v = {0};
        held[i] = (struct held){.t = txn_list_pop(&s->held), .number = i};
        request_cursor_init(&cursor, held[i].t);
        if (request_next_statement(&cursor, &id) && request_next_value(&cursor, &v))
            held[i].owner = v.bytes;
        held[i].begin = begin_of(held[i].owner);
    }
    qsort(held, count, sizeof *held, compare_held);
    for (size_t i = 0; i < count; i++)
        s->driver->submit(s, held[i].t);
    free(held);
}

static void release(struct store *s)
{
    size_t count = s->held_count;
    if (!count)
        return;
    loop_timer_stop(&s->release);
    s->held_count = 0;
    s->round++;
    submit_by_owner(s, count);
}

static void on_release(struct loop_timer *timer)
{
    release(MEM_CONTAINER(timer, struct store, release));
}

/* False: it is on its way already. */
static bool hold(struct store *s, struct store_txn *t, uint32_t within)
{
    uint64_t due = t->since + within;
    txn_list_push(&s->held, t);
    if (++s->held_count >= STORE_HELD_MAX) {
        release(s);
        return false;
    }
    if (s->held_count == 1 || due < s->release_due) {
        s->release_due = due;
        loop_timer_start(&s->release, within);
    }
    return true;
}

/* --- submitting --- */

/* Into the list of what is in flight; false when its result is known already. */
static bool admit(struct store_txn *t, store_fn fn, void *arg)
{
    struct store *s = t->store;
    t->fn = fn;
    t->arg = arg;
    t->since = loop_now(s->loop);
    if (t->result == ERR_OK && !s->driver)
        t->result =
            ERR_CANCELLED; /* by a callback of store_close, which will call this one's, too */
    else if (t->result == ERR_OK && over_limit(s, t))
        t->result = ERR_STORE;
    if (s->newest)
        s->newest->after = t;
    else
        s->oldest = t;
    s->newest = t;
    s->in_flight++;
    s->bytes_in_flight += t->used;
    s->writes_pending += !t->read;
    if (t->result == ERR_OK && t->statements)
        return true;
    t->done = true;
    kick(s);
    return false;
}

static void submit(struct store_txn *t, store_fn fn, void *arg)
{
    struct store *s = t->store;
    if (!admit(t, fn, arg))
        return;
    release(s);
    s->driver->submit(s, t);
}

void store_commit(struct store_txn *t, store_fn fn, void *arg)
{
    submit(t, fn, arg);
}

struct store_txn *store_commit_later(struct store_txn *t, uint32_t within, store_fn fn, void *arg)
{
    return admit(t, fn, arg) && hold(t->store, t, within) ? t : NULL;
}

uint64_t store_round(const struct store *s)
{
    return s->round;
}

void store_read(struct store_txn *t, store_fn fn, void *arg)
{
    t->read = true;
    submit(t, fn, arg);
}

/* That the database fails is said once, by its driver, and how much was refused when it works
 * again.
 */
static bool said_already(enum error e)
{
    return e == ERR_STORE || e == ERR_STORE_FULL;
}

/* Takes the oldest request out and makes its callback. */
static void finish_oldest(struct store *s)
{
    struct store_txn *t = s->oldest;
    s->oldest = t->after;
    if (!s->oldest)
        s->newest = NULL;
    s->in_flight--;
    s->bytes_in_flight -= t->used;
    s->writes_pending -= !t->read;
    if (t->fn)
        t->fn(t->arg, t->result, t->result == ERR_OK ? t->rows : NULL);
    else if (t->result != ERR_OK && t->result != ERR_CANCELLED && !said_already(t->result))
        log_error(&s->log, "a change could not be stored: %s", error_text(t->result));
    store_discard(t);
}

static void deliver(struct store *s)
{
    while (s->oldest && s->oldest->done)
        finish_oldest(s);
}

void store_done(struct store *s, struct store_txn *first)
{
    for (struct store_txn *t = first; t; t = t->next)
        t->done = true;
    deliver(s);
}

static void on_kick(struct loop_task *task)
{
    struct store *s = MEM_CONTAINER(task, struct store, kick);
    s->kicked = false;
    deliver(s);
}

void store_close(struct store *s)
{
    if (!s)
        return;
    release(s);
    s->driver->close(s);
    s->driver = NULL;
    loop_post_cancel(s->loop, &s->kick);
    while (s->oldest) {
        s->oldest->result = ERR_CANCELLED;
        finish_oldest(s);
    }
    for (struct store_txn *t; (t = s->spare);) {
        s->spare = t->next;
        free(t);
    }
    free(s);
}

size_t store_pending(const struct store *s)
{
    return s->writes_pending;
}

/* Wall-clock microseconds never repeat while the clock behaves. For the day it does not (a machine
 * without a clock battery starts in 1970), the database keeps a number that no sequence has reached
 * yet, raised once a second of use; the raise commits before or with the first write that relies on
 * it, because requests are run in order. */
uint64_t store_sequence(struct store *s)
{
    uint64_t wall = (uint64_t)loop_wall(s->loop) * 1000;
    s->sequence = wall > s->sequence ? wall : s->sequence + 1;
    if (s->sequence >= s->reserved) {
        s->reserved = s->sequence + SEQUENCE_RESERVE_US;
        struct store_txn *t = store_add(store_begin(s), SQL_SEQUENCE_RESERVE);
        store_commit(store_add_int(t, (int64_t)s->reserved), NULL, NULL);
    }
    return s->sequence;
}
