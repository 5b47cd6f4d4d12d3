/* Link: the part common to every kind - bounds, back-pressure, packets that come back, and closing
 * from inside an event. The kinds are link_local.c and link_tcp.c. */
#include "link/link_impl.h"

#include "base/mem.h"

static void on_task(struct loop_task *task);

void link_init(struct link *l, const struct link_ops *ops, struct loop *loop)
{
    l->ops = ops;
    l->loop = loop;
    l->max = LINK_MAX_DEFAULT;
    list_init(&l->returned);
    loop_task_init(&l->task, on_task);
}

void link_enter(struct link *l)
{
    l->busy++;
}

bool link_leave(struct link *l)
{
    if (--l->busy > 0 || !l->closed)
        return !l->closed;
    l->ops->free(l);
    return false;
}

/* --- events --- */

void link_say_packet(struct link *l, struct packet *p)
{
    if (l->closed)
        packet_destroy(p);
    else
        l->events->packet(l->owner, p);
}

/* --- packets that come back --- */

static bool comes_back(const struct packet *p)
{
    return p->error == 0 && (p->kind == PACKET_STANZA || p->kind == PACKET_SESSION);
}

void link_give_back(struct link *l, struct packet *p)
{
    if (l->closed || !comes_back(p)) {
        packet_destroy(p);
        return;
    }
    list_push(&l->returned, &p->node);
    loop_defer(l->loop, &l->task, LOOP_PACKETS);
}

void link_give_back_all(struct link *l, struct list *queue)
{
    struct list *node;

    while ((node = list_pop(queue)) != NULL)
        link_give_back(l, LIST_ENTRY(node, struct packet, node));
}

/* Only what is there now: an owner that sends again into a dead link is served in the next round.
 */
static void return_packets(struct link *l)
{
    struct list now, *node;

    if (list_empty(&l->returned))
        return;
    list_init(&now);
    while ((node = list_pop(&l->returned)) != NULL)
        list_push(&now, node);
    while ((node = list_pop(&now)) != NULL) {
        struct packet *p = LIST_ENTRY(node, struct packet, node);
        if (l->closed) {
            packet_destroy(p);
        } else if (l->events->undelivered) {
            l->events->undelivered(l->owner, p);
        } else {
            packet_bounce(p, 503);
            l->events->packet(l->owner, p);
        }
    }
}

void link_say_up(struct link *l)
{
    l->said_up = true;
    l->ended = false;
    if (l->events->up && !l->closed)
        l->events->up(l->owner);
}

void link_say_down(struct link *l, const char *why)
{
    l->up = false;
    if (!l->said_up)
        return;
    l->said_up = l->said_full = false;
    return_packets(l);
    if (l->events->down && !l->closed)
        l->events->down(l->owner, why);
}

static void on_task(struct loop_task *task)
{
    struct link *l = MEM_CONTAINER(task, struct link, task);

    link_enter(l);
    return_packets(l);
    if (!l->closed)
        l->ops->run(l);
    (void)link_leave(l);
}

/* --- the owner's side --- */

void link_set_events(struct link *l, const struct link_events *ev, void *owner)
{
    l->events = ev;
    l->owner = owner;
    loop_defer(l->loop, &l->task, LOOP_PACKETS);
}

void link_send(struct link *l, struct packet *p)
{
    bool control = p->kind >= PACKET_BIND; /* few and small: they always fit */

    p->queued = packet_size(p);
    if (!l->up || (!control && l->ops->queued(l) + p->queued > l->max))
        link_give_back(l, p);
    else
        l->ops->send(l, p);
}

bool link_full(struct link *l)
{
    bool full = l->ops->queued(l) > l->max / 4;

    if (full)
        l->said_full = true; /* the promise of a `writable` */
    return full;
}

void link_check_writable(struct link *l)
{
    if (!l->said_full || !l->up || l->closed || l->ops->queued(l) > l->max / 8)
        return;
    l->said_full = false;
    if (l->events->writable)
        l->events->writable(l->owner);
}

bool link_is_up(const struct link *l)
{
    return l->up;
}

size_t link_queued(const struct link *l)
{
    return l->ops->queued(l);
}

const char *link_peer(const struct link *l)
{
    return l->peer;
}

void link_pause(struct link *l)
{
    if (l->paused++ == 0)
        l->ops->pause(l, true);
}

void link_resume(struct link *l)
{
    if (--l->paused == 0)
        l->ops->pause(l, false);
}

void link_set_max(struct link *l, size_t bytes)
{
    l->max = bytes;
}

struct str link_user(const struct link *l)
{
    return l->ops->user ? l->ops->user(l) : STR_NULL;
}

void link_end(struct link *l, enum stream_condition condition, const char *why)
{
    if (!l->ops->end || l->closed)
        return;
    link_enter(l);
    l->ops->end(l, condition, why);
    (void)link_leave(l);
}

bool link_is_external(const struct link *l)
{
    return l->ops->external && l->ops->external(l);
}

bool link_takes_sealed(const struct link *l)
{
    return l->ops->seals && l->ops->seals(l);
}

bool link_is_ended(const struct link *l)
{
    return l->ended;
}

void link_close(struct link *l)
{
    struct list *node;

    if (!l)
        return;
    link_enter(l);
    l->closed = true;
    loop_task_cancel(&l->task);
    while ((node = list_pop(&l->returned)) != NULL)
        packet_destroy(LIST_ENTRY(node, struct packet, node));
    l->ops->close(l);
    (void)link_leave(l);
}
