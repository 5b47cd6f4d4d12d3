/* Local link: two ends on one loop. A packet sent moves into the other end's queue, which is
 * drained at the end of the turn; nothing is copied or written. The ends share one block, freed
 * when both are closed. */
#include "link/link_impl.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

struct local_end {
    struct link base;
    struct local_pair *pair;
    struct list in; /* packets for this end's owner */
    size_t in_bytes;
    bool joined, announce; /* both sides have their events; `up` is still to be said */
};

struct local_pair {
    struct local_end ends[2];
    unsigned open; /* ends whose memory is still in use */
};

static struct local_end *end_of(struct link *l)
{
    return MEM_CONTAINER(l, struct local_end, base);
}

static struct local_end *other_end(const struct local_end *end)
{
    return &end->pair->ends[end == &end->pair->ends[0]];
}

static void wake(struct local_end *end)
{
    if (!end->base.closed)
        loop_defer(end->base.loop, &end->base.task, LOOP_PACKETS);
}

static void local_send(struct link *l, struct packet *p)
{
    struct local_end *peer = other_end(end_of(l));

    if (peer->base.closed) {
        link_give_back(l, p);
        return;
    }
    peer->in_bytes += p->queued;
    list_push(&peer->in, &p->node);
    wake(peer);
}

static size_t local_queued(const struct link *l)
{
    const struct local_end *end = MEM_CONTAINER(l, const struct local_end, base);

    return other_end(end)->in_bytes;
}

static void local_pause(struct link *l, bool on)
{
    if (!on)
        wake(end_of(l));
}

static void drain(struct local_end *end)
{
    struct link *l = &end->base;
    struct list *node;

    while (!l->paused && !l->closed && (node = list_pop(&end->in)) != NULL) {
        struct packet *p = LIST_ENTRY(node, struct packet, node);
        end->in_bytes -= p->queued;
        link_say_packet(l, p);
    }
    if (other_end(end)->base.said_full)
        wake(other_end(end));
}

/* Both ends carry packets from the same moment on; each says so in its own task. */
static void join(struct local_end *end, struct local_end *peer)
{
    if (end->joined || !end->base.events || !peer->base.events || peer->base.closed)
        return;
    end->joined = end->announce = end->base.up = true;
    peer->joined = peer->announce = peer->base.up = true;
    wake(peer);
}

static void local_run(struct link *l)
{
    struct local_end *end = end_of(l), *peer = other_end(end);

    join(end, peer);
    if (end->announce) {
        end->announce = false;
        link_say_up(l);
    }
    if (!l->closed && l->events)
        drain(end);
    if (!l->closed && peer->base.closed && list_empty(&end->in)) {
        l->ended = true;
        link_say_down(l, "the other side closed it");
    }
    if (!l->closed && l->events)
        link_check_writable(l);
}

/* What this end has not taken yet goes back to who sent it. */
static void local_close(struct link *l)
{
    struct local_end *end = end_of(l), *peer = other_end(end);
    struct list *node;

    end->in_bytes = 0;
    if (peer->base.closed) {
        while ((node = list_pop(&end->in)) != NULL)
            packet_destroy(LIST_ENTRY(node, struct packet, node));
        return;
    }
    peer->base.up = false;
    link_give_back_all(&peer->base, &end->in);
    wake(peer);
}

static void local_free(struct link *l)
{
    struct local_pair *pair = end_of(l)->pair;

    if (--pair->open == 0)
        free(pair);
}

static const struct link_ops local_ops = {
    .send = local_send,
    .queued = local_queued,
    .pause = local_pause,
    .run = local_run,
    .close = local_close,
    .free = local_free,
};

void link_local_pair(struct loop *loop, const char *name, struct link **ret_a, struct link **ret_b)
{
    struct local_pair *pair = MEM_NEW(struct local_pair);

    pair->open = 2;
    for (size_t i = 0; i < 2; i++) {
        struct local_end *end = &pair->ends[i];
        link_init(&end->base, &local_ops, loop);
        end->pair = pair;
        list_init(&end->in);
        (void)snprintf(end->base.peer, sizeof(end->base.peer), "local %s", name);
    }
    *ret_a = &pair->ends[0].base;
    *ret_b = &pair->ends[1].base;
}
