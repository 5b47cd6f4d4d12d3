/* Dialer: see dialer.h. */
#include "net/dialer.h"

#include <stdlib.h>

#include "base/mem.h"

struct attempt {
    struct dialer *dialer;
    struct conn *conn; /* NULL: not begun, failed, or handed over */
    struct dialer_target target;
};

struct dialer {
    struct net *net;
    const struct dialer_events *events;
    void *owner;
    struct loop_timer next_due;
    uint32_t delay_ms;
    size_t count, next, running;
    struct attempt attempts[];
};

static void finish(struct dialer *d)
{
    loop_timer_stop(&d->next_due);
    for (size_t i = 0; i < d->next; i++)
        conn_close(d->attempts[i].conn, 0);
    free(d);
}

static void on_ready(void *owner)
{
    struct attempt *a = owner;
    struct dialer *d = a->dialer;
    struct conn *conn = a->conn;

    a->conn = NULL;
    d->events->on_done(d->owner, conn, (size_t)(a - d->attempts));
    finish(d);
}

static void begin_next(struct dialer *d);

/* RFC 8305 section 5: what fails early does not make the next wait. */
static void on_close(void *owner, enum error e, const char *why)
{
    struct attempt *a = owner;
    struct dialer *d = a->dialer;

    (void)e;
    conn_close(a->conn, 0);
    a->conn = NULL;
    d->running--;
    d->events->on_failed(d->owner, (size_t)(a - d->attempts), why);
    if (d->next < d->count && (d->running == 0 || d->attempts[d->next].target.same_host))
        begin_next(d);
    if (d->running > 0)
        return;
    d->events->on_done(d->owner, NULL, 0);
    finish(d);
}

/* Handed over before any byte is read. */
static void on_data(void *owner, const char *bytes, size_t len)
{
    (void)owner, (void)bytes, (void)len;
}

static const struct conn_events events = {
    .on_data = on_data, .on_ready = on_ready, .on_close = on_close};

static void begin_next(struct dialer *d)
{
    struct attempt *a = &d->attempts[d->next++];

    a->conn = conn_connect(d->net, &a->target.at, &events, a);
    d->running++;
    loop_timer_stop(&d->next_due);
    if (d->next < d->count)
        loop_timer_start(&d->next_due, d->attempts[d->next].target.same_host
                                           ? d->delay_ms
                                           : (uint64_t)d->delay_ms * DIALER_HOST_FACTOR);
}

static void on_next_due(struct loop_timer *timer)
{
    begin_next(MEM_CONTAINER(timer, struct dialer, next_due));
}

struct dialer *dialer_start(struct net *n, struct loop *loop, const struct dialer_target *targets,
                            size_t count, uint32_t delay_ms, const struct dialer_events *ev,
                            void *owner)
{
    struct dialer *d = mem_alloc(sizeof(*d) + count * sizeof(struct attempt));

    d->net = n;
    d->events = ev;
    d->owner = owner;
    d->delay_ms = delay_ms;
    d->count = count;
    for (size_t i = 0; i < count; i++) {
        d->attempts[i].dialer = d;
        d->attempts[i].target = targets[i];
    }
    loop_timer_init(&d->next_due, loop, on_next_due);
    begin_next(d);
    return d;
}

void dialer_cancel(struct dialer *d)
{
    if (d)
        finish(d);
}
