/* Connection: an output queue with a maximum, one write per turn, pausing, closing with time to
 * flush, and a place for the TLS layer; the same over real sockets and the simulated network.
 *
 * Owners' callbacks may do anything to any connection, conn_close on this one included: nothing is
 * freed before the connection's task at the end of the turn (on_turn). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "net/net_impl.h"

enum { DEFAULT_QUEUE = 1 << 20, CONNECT_MS = 10000, PIECES = 16 };

/* --- net --- */

void net_impl_init(struct net *n, const struct net_ops *ops, struct loop *l, struct log log)
{
    n->ops = ops;
    n->loop = l;
    n->log = log;
    list_init(&n->conns);
    list_init(&n->listeners);
    n->read_buffer = mem_alloc(NET_BUFFER);
}

static void finish(struct conn *c);

void net_impl_listener_init(struct net_listener *l, struct net *n, net_accept_fn fn, void *arg)
{
    l->net = n;
    l->fn = fn;
    l->arg = arg;
    list_push(&n->listeners, &l->node);
}

void net_impl_finish(struct net *n)
{
    for (struct list *node = n->listeners.next; node != &n->listeners; node = n->listeners.next)
        net_listener_close(LIST_ENTRY(node, struct net_listener, node));
    for (struct list *node = n->conns.next; node != &n->conns; node = n->conns.next)
        finish(LIST_ENTRY(node, struct conn, node));
    tls_layer_net_finish(n);
    chunk_pool_finish(&n->chunks);
    free(n->read_buffer);
    free(n->plain_buffer);
}

void net_destroy(struct net *n)
{
    if (n)
        n->ops->destroy(n);
}

size_t net_capacity(const struct net *n)
{
    struct rlimit limit;
    if (loop_is_sim(n->loop) || getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return SIZE_MAX;
    return limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : (size_t)limit.rlim_cur;
}

enum error net_listen(struct net *n, const struct net_address *at, net_accept_fn fn, void *arg,
                      struct net_listener **ret)
{
    return n->ops->listen(n, at, NET_ALONE, fn, arg, ret);
}

enum error net_listen_shared(struct net *n, const struct net_address *at, enum net_share share,
                             net_accept_fn fn, void *arg, struct net_listener **ret)
{
    return n->ops->listen(n, at, share, fn, arg, ret);
}

uint16_t net_listener_port(const struct net_listener *l)
{
    return l->net->ops->listener_port(l);
}

void net_listener_close(struct net_listener *l)
{
    if (l)
        l->net->ops->listener_close(l);
}

/* --- the end of a turn --- */

void conn_impl_defer(struct conn *c)
{
    loop_defer(c->net->loop, &c->turn, LOOP_FLUSH);
}

static void finish(struct conn *c)
{
    list_remove(&c->node);
    loop_timer_stop(&c->timer);
    loop_task_cancel(&c->turn);
    tls_layer_free(c);
    outqueue_clear(&c->net->chunks, &c->wire);
    c->net->ops->release(c);
}

void conn_impl_report(struct conn *c, enum error e, const char *why)
{
    if (c->reported || c->closing)
        return;
    c->reported = true;
    loop_timer_stop(&c->timer);
    c->net->ops->interest(c);
    if (c->events)
        c->events->on_close(c->owner, e, why);
}

/* Nothing can be sent any more. What the peer sent before is still worth reading: its end or error
 * will come there, unless the owner does not read. */
static void broke(struct conn *c, int errnum)
{
    c->broken = true;
    c->blocked = false;
    outqueue_clear(&c->net->chunks, &c->wire);
    if (!conn_impl_reads(c))
        conn_impl_report(c, error_from_errno(errnum), error_errno_text(errnum));
}

/* What the transport took of the front of the queue, or -errno; *ret_offered is what it was
 * offered. */
static ssize_t send_pieces(struct conn *c, size_t *ret_offered)
{
    struct iovec pieces[PIECES];
    int count = outqueue_pieces(&c->wire, pieces, PIECES);
    size_t offered = 0;
    for (int i = 0; i < count; i++)
        offered += pieces[i].iov_len;
    *ret_offered = offered;
    return c->net->ops->send(c, pieces, count);
}

/* The same for the usual case, a single chunk. */
static ssize_t send_one(struct conn *c, size_t *ret_offered)
{
    struct chunk *head = c->wire.head;
    struct iovec piece = {head->bytes + head->start, head->end - head->start};
    *ret_offered = piece.iov_len;
    return c->net->ops->send(c, &piece, 1);
}

static void flush(struct conn *c)
{
    while (!c->broken && !c->blocked) {
        size_t offered = 0;
        if (c->tls)
            tls_layer_encrypt(c);
        if (!c->wire.len) {
            if (c->wire.head) /* reserved and not used */
                outqueue_clear(&c->net->chunks, &c->wire);
            break;
        }
        ssize_t taken =
            c->wire.head == c->wire.tail ? send_one(c, &offered) : send_pieces(c, &offered);
        if (taken < 0 && taken != -EAGAIN) {
            broke(c, (int)-taken);
            return;
        }
        if (taken > 0)
            outqueue_consume(&c->net->chunks, &c->wire, (size_t)taken);
        c->blocked = taken < 0 || (size_t)taken < offered;
    }
    if (c->blocked)
        c->net->ops->interest(c);
}

/* Closing: everything out, then our end, then wait for the peer's: closing a socket with unread
 * input would reset the connection and could destroy our last words on their way. */
static void close_step(struct conn *c)
{
    if (!c->lingers || c->broken || !c->connected) {
        finish(c);
        return;
    }
    if (conn_queued(c))
        return;
    if (!c->shut) {
        c->shut = true;
        c->net->ops->shut(c);
    }
    if (c->ended || c->discarded > CONN_DISCARD_MAX)
        finish(c);
    else
        c->net->ops->interest(c);
}

static void on_turn(struct loop_task *task)
{
    struct conn *c = MEM_CONTAINER(task, struct conn, turn);
    if (c->tls && tls_layer_has_input(c))
        tls_layer_resume(c);
    if (c->connected)
        flush(c);
    if (c->closing) {
        if (c->tls && !tls_layer_ready(c))
            tls_layer_drop(c);
        if (c->tls && !conn_queued(c)) {
            tls_layer_say_bye(c);
            flush(c);
        }
        close_step(c);
        return;
    }
    size_t below = c->drain_below ? c->drain_below : c->max_queue / 2;
    if (c->owes_drain && !c->reported && conn_queued(c) < below) {
        c->owes_drain = false;
        c->drain_below = 0;
        if (c->events && c->events->on_drain)
            c->events->on_drain(c->owner);
    }
}

static void on_timer(struct loop_timer *timer)
{
    struct conn *c = MEM_CONTAINER(timer, struct conn, timer);
    if (c->closing) {
        c->lingers = false;
        conn_impl_defer(c);
    } else if (c->failure != ERR_OK) {
        conn_impl_report(c, c->failure, error_text(c->failure));
    } else if (!c->connected) {
        conn_impl_report(c, ERR_TIMEOUT, "no answer to the connection attempt within 10 s");
    } else if (c->tls && !tls_layer_ready(c)) {
        conn_impl_report(c, ERR_TIMEOUT, "the TLS handshake was not finished in time");
    }
}

/* --- what the drivers report --- */

void conn_impl_init(struct conn *c, struct net *n, const struct net_address *peer)
{
    c->net = n;
    c->peer = *peer;
    c->max_queue = DEFAULT_QUEUE;
    list_push(&n->conns, &c->node);
    loop_task_init(&c->turn, on_turn);
    loop_timer_init(&c->timer, n->loop, on_timer);
}

void conn_impl_connected(struct conn *c)
{
    if (c->reported)
        return;
    c->connected = true;
    c->started = true;
    loop_timer_stop(&c->timer);
    c->net->ops->interest(c);
    if (conn_queued(c) || c->closing)
        conn_impl_defer(c);
    if (c->closing)
        return;
    if (c->tls) {
        tls_layer_begin(c);
        return;
    }
    if (c->events->on_ready)
        c->events->on_ready(c->owner);
}

void conn_impl_input(struct conn *c, const char *bytes, size_t len)
{
    if (c->closing) {
        c->discarded += (uint32_t)len;
        if (c->discarded > CONN_DISCARD_MAX) {
            c->net->ops->interest(c);
            conn_impl_defer(c);
        }
        return;
    }
    if (c->tls)
        tls_layer_input(c, bytes, len);
    else
        c->events->on_data(c->owner, bytes, len);
}

void conn_impl_end(struct conn *c, enum error e, const char *why)
{
    c->ended = true;
    if (e != ERR_OK) {
        c->broken = true;
        c->blocked = false;
        outqueue_clear(&c->net->chunks, &c->wire);
    }
    c->net->ops->interest(c);
    if (c->closing) {
        conn_impl_defer(c);
        return;
    }
    if (e == ERR_OK && c->tls && !tls_layer_ready(c))
        conn_impl_report(c, ERR_TLS, "the peer closed the connection during the TLS handshake");
    else
        conn_impl_report(c, e == ERR_OK ? ERR_CLOSED : e, why);
}

void conn_impl_writable(struct conn *c)
{
    c->blocked = false;
    c->net->ops->interest(c);
    conn_impl_defer(c);
}

/* --- what owners call --- */

struct conn *conn_connect(struct net *n, const struct net_address *at, const struct conn_events *ev,
                          void *owner)
{
    enum error e = ERR_OK;
    struct conn *c = n->ops->connect(n, at, &e);
    c->events = ev;
    c->owner = owner;
    c->failure = e;
    loop_timer_start(&c->timer, e == ERR_OK ? CONNECT_MS : 0);
    return c;
}

void conn_start(struct conn *c, const struct conn_events *ev, void *owner, size_t max_queue)
{
    c->events = ev;
    c->owner = owner;
    if (max_queue)
        c->max_queue = max_queue;
    c->started = c->connected;
    c->net->ops->interest(c);
}

/* Where the owner's bytes go; NULL (and *ret_error) when they may not. */
static struct outqueue *queue_for(struct conn *c, size_t len, enum error *ret_error)
{
    if (c->broken || c->closing) {
        *ret_error = ERR_CLOSED;
        return NULL;
    }
    size_t queued = conn_queued(c);
    if (queued > c->max_queue || len > c->max_queue - queued) {
        c->owes_drain = true;
        if (!queued)
            conn_impl_defer(c); /* a single piece larger than the bound: no write will follow */
        *ret_error = ERR_FULL;
        return NULL;
    }
    return c->tls ? tls_layer_plain(c) : &c->wire;
}

static void queued_more(struct conn *c)
{
    if (!c->blocked)
        conn_impl_defer(c);
    if (!c->owes_drain && conn_queued(c) > c->max_queue / 2)
        c->owes_drain = true;
}

void conn_drain_below(struct conn *c, size_t queued)
{
    c->owes_drain = true;
    c->drain_below = queued;
    conn_impl_defer(c);
}

enum error conn_write(struct conn *c, const void *bytes, size_t len)
{
    enum error e = ERR_OK;
    struct outqueue *q = queue_for(c, len, &e);
    if (!q)
        return e;
    outqueue_add(&c->net->chunks, q, bytes, len);
    queued_more(c);
    return ERR_OK;
}

char *conn_reserve(struct conn *c, size_t len)
{
    enum error e;
    struct outqueue *q = queue_for(c, len, &e);
    return q ? outqueue_reserve(&c->net->chunks, q, len) : NULL;
}

void conn_commit(struct conn *c, size_t len)
{
    outqueue_commit(c->tls ? tls_layer_plain(c) : &c->wire, len);
    queued_more(c);
}

size_t conn_queued(const struct conn *c)
{
    return c->wire.len + (c->tls ? tls_layer_plain((struct conn *)c)->len : 0);
}

void conn_set_max_queue(struct conn *c, size_t max_queue)
{
    c->max_queue = max_queue;
}

void conn_pause(struct conn *c)
{
    c->paused++; /* the driver notices when input comes: a short pause costs nothing */
}

void conn_resume(struct conn *c)
{
    if (--c->paused)
        return;
    c->net->ops->interest(c);
    if (c->tls && tls_layer_has_input(c))
        conn_impl_defer(c);
}

void conn_close(struct conn *c, uint32_t linger_ms)
{
    if (!c)
        return;
    c->closing = true;
    c->events = NULL;
    c->owner = NULL;
    c->lingers = linger_ms > 0;
    loop_timer_stop(&c->timer);
    if (linger_ms)
        loop_timer_start(&c->timer, linger_ms);
    c->net->ops->interest(c);
    conn_impl_defer(c);
}

const struct net_address *conn_peer(const struct conn *c)
{
    return &c->peer;
}
