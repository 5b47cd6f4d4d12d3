/* Thread link: two ends on two loops, each of its own thread. What one turn sends is handed over at
 * its end under one lock and with one wakeup of the other loop; packets move, nothing is copied.
 * Each end's mailbox is filled by the other side; all else of an end is its own thread's. The ends
 * share one block, freed when both are closed. Works on one loop too: that is how a simulation runs
 * it.
 */
#include "link/link_impl.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

struct thread_end {
    struct link base;
    struct thread_pair *pair;
    struct loop_task hand_over; /* end of this loop's turn */
    struct list out;            /* sent in this turn */
    size_t out_bytes;
    struct list in; /* taken from the mailbox, not delivered yet */
    bool joined;

    /* The rest is guarded by pair->lock. */
    struct loop_task wake; /* posted to this end's loop by the other side */
    bool posted;
    struct list mailbox; /* for this end's owner */
    atomic_size_t bytes; /* in `mailbox` and `in`; the other side reads it without the lock */
    size_t low;          /* the other side waits for `bytes` to fall to this */
    bool waited_for;
    struct list bounced; /* this end sent them; the other one closed without taking them */
    bool ready;          /* its owner has set the events */
    bool closed;
};

struct thread_pair {
    pthread_mutex_t lock;
    atomic_uint open; /* ends whose memory is still in use */
    struct thread_end ends[2];
};

static struct thread_end *end_of(const struct link *l)
{
    return MEM_CONTAINER(l, struct thread_end, base);
}

static struct thread_end *other_end(const struct thread_end *end)
{
    return &end->pair->ends[end == &end->pair->ends[0]];
}

/* With the lock held. A closed end has no one to wake. */
static void wake(struct thread_end *end)
{
    if (end->posted || end->closed)
        return;
    end->posted = true;
    loop_post(end->base.loop, &end->wake);
}

static void on_wake(struct loop_task *task)
{
    struct thread_end *end = MEM_CONTAINER(task, struct thread_end, wake);

    pthread_mutex_lock(&end->pair->lock);
    end->posted = false;
    pthread_mutex_unlock(&end->pair->lock);
    loop_defer(end->base.loop, &end->base.task, LOOP_PACKETS);
}

/* --- sending --- */

/* With the lock held. Where the other end has closed, the packets stay. */
static void deposit(struct thread_end *end)
{
    struct thread_end *peer = other_end(end);

    if (peer->closed || list_empty(&end->out))
        return;
    list_move_all(&peer->mailbox, &end->out);
    size_t bytes = atomic_fetch_add(&peer->bytes, end->out_bytes) + end->out_bytes;
    end->out_bytes = 0;
    if (bytes > end->base.max / 8) {
        peer->low = end->base.max / 8;
        peer->waited_for = true;
    }
    wake(peer);
}

static void on_hand_over(struct loop_task *task)
{
    struct thread_end *end = MEM_CONTAINER(task, struct thread_end, hand_over);

    pthread_mutex_lock(&end->pair->lock);
    deposit(end);
    pthread_mutex_unlock(&end->pair->lock);
    if (!list_empty(&end->out)) /* the end of the other side is noticed there */
        loop_defer(end->base.loop, &end->base.task, LOOP_PACKETS);
}

static void thread_send(struct link *l, struct packet *p)
{
    struct thread_end *end = end_of(l);

    end->out_bytes += p->queued;
    list_push(&end->out, &p->node);
    loop_defer(l->loop, &end->hand_over, LOOP_FLUSH);
}

static size_t thread_queued(const struct link *l)
{
    const struct thread_end *end = end_of(l);

    return end->out_bytes + atomic_load_explicit(&other_end(end)->bytes, memory_order_relaxed);
}

/* --- receiving --- */

static void thread_pause(struct link *l, bool on)
{
    if (!on)
        loop_defer(l->loop, &l->task, LOOP_PACKETS);
}

static void drain(struct thread_end *end)
{
    struct link *l = &end->base;
    struct list *node;
    size_t taken = 0;

    while (!l->paused && !l->closed && (node = list_pop(&end->in)) != NULL) {
        struct packet *p = LIST_ENTRY(node, struct packet, node);
        taken += p->queued;
        link_say_packet(l, p);
    }
    if (!taken || l->closed)
        return;
    pthread_mutex_lock(&end->pair->lock);
    if (atomic_fetch_sub(&end->bytes, taken) - taken <= end->low && end->waited_for) {
        end->waited_for = false;
        wake(other_end(end));
    }
    pthread_mutex_unlock(&end->pair->lock);
}

/* Takes over what the other side has done since; says whether it has set its events, and closed. */
static bool take(struct thread_end *end, bool *ret_gone)
{
    struct thread_end *peer = other_end(end);
    struct list back;

    list_init(&back);
    pthread_mutex_lock(&end->pair->lock);
    if (!end->ready) {
        end->ready = true;
        wake(peer);
    }
    bool both = peer->ready;
    *ret_gone = peer->closed;
    list_move_all(&end->in, &end->mailbox);
    list_move_all(&back, &end->bounced);
    pthread_mutex_unlock(&end->pair->lock);
    if (*ret_gone) {
        list_move_all(&back, &end->out);
        end->out_bytes = 0;
    }
    link_give_back_all(&end->base, &back);
    return both;
}

static void thread_run(struct link *l)
{
    struct thread_end *end = end_of(l);
    bool gone;

    if (!l->events)
        return;
    bool both = take(end, &gone);
    if (both && !end->joined) {
        end->joined = l->up = true;
        link_say_up(l);
    }
    if (gone)
        l->up = false;
    drain(end);
    if (!l->closed && gone && list_empty(&end->in)) {
        l->ended = true;
        link_say_down(l, "the other side closed it");
    }
    if (!l->closed)
        link_check_writable(l);
}

/* --- closing --- */

static void destroy_all(struct list *packets)
{
    struct list *node;

    while ((node = list_pop(packets)) != NULL)
        packet_destroy(LIST_ENTRY(node, struct packet, node));
}

/* What was sent still arrives; what this end has not taken yet goes back to who sent it. */
static void thread_close(struct link *l)
{
    struct thread_end *end = end_of(l), *peer = other_end(end);

    loop_task_cancel(&end->hand_over);
    pthread_mutex_lock(&end->pair->lock);
    deposit(end);
    if (!peer->closed) {
        list_move_all(&peer->bounced, &end->in);
        list_move_all(&peer->bounced, &end->mailbox);
        wake(peer);
    }
    atomic_store(&end->bytes, 0);
    end->closed = true;
    pthread_mutex_unlock(&end->pair->lock);
    loop_post_cancel(l->loop, &end->wake);
    destroy_all(&end->out);
    destroy_all(&end->in);
    destroy_all(&end->mailbox);
    destroy_all(&end->bounced);
}

static void thread_free(struct link *l)
{
    struct thread_pair *pair = end_of(l)->pair;

    if (atomic_fetch_sub(&pair->open, 1) > 1)
        return;
    pthread_mutex_destroy(&pair->lock);
    free(pair);
}

static const struct link_ops thread_ops = {
    .send = thread_send,
    .queued = thread_queued,
    .pause = thread_pause,
    .run = thread_run,
    .close = thread_close,
    .free = thread_free,
};

static void init_end(struct thread_pair *pair, struct thread_end *end, struct loop *loop,
                     const char *name)
{
    link_init(&end->base, &thread_ops, loop);
    end->pair = pair;
    list_init(&end->out);
    list_init(&end->in);
    list_init(&end->mailbox);
    list_init(&end->bounced);
    loop_task_init(&end->hand_over, on_hand_over);
    loop_task_init(&end->wake, on_wake);
    (void)snprintf(end->base.peer, sizeof(end->base.peer), "thread %s", name);
}

void link_thread_pair(struct loop *loop_a, struct loop *loop_b, const char *name_a,
                      const char *name_b, struct link **ret_a, struct link **ret_b)
{
    struct thread_pair *pair = MEM_NEW(struct thread_pair);

    pthread_mutex_init(&pair->lock, NULL);
    atomic_init(&pair->open, 2);
    init_end(pair, &pair->ends[0], loop_a, name_b);
    init_end(pair, &pair->ends[1], loop_b, name_a);
    *ret_a = &pair->ends[0].base;
    *ret_b = &pair->ends[1].base;
}
