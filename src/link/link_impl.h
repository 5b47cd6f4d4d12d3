/* Inside of a link, for link_*.c alone: the common part of every kind and the calls a kind
 * implements. */
#ifndef JACKDAW_LINK_LINK_IMPL_H
#define JACKDAW_LINK_LINK_IMPL_H

#include "link/link.h"

#define LINK_MAX_DEFAULT (32u * 1024 * 1024)
#define LINK_PEER_SIZE   128

struct link_ops {
    void (*send)(struct link *l, struct packet *p); /* up and within the maximum; owns the packet */
    size_t (*queued)(const struct link *l);
    void (*pause)(struct link *l, bool on); /* on the first pause and the last resume */
    void (*run)(struct link *l);            /* the task: deliver what waits */
    void (*close)(struct link *l); /* release everything but the memory; no events from here */
    void (*free)(struct link *l);
    struct str (*user)(const struct link *l); /* NULL: a link without authentication */
    void (*end)(struct link *l, enum stream_condition condition, const char *why); /* or NULL */
    bool (*external)(const struct link *l);                                        /* or NULL */
    bool (*seals)(const struct link *l);                                           /* or NULL */
};

struct link {
    const struct link_ops *ops;
    struct loop *loop;
    const struct link_events *events; /* NULL until link_set_events */
    void *owner;
    struct list returned; /* packets on their way back to the owner */
    struct loop_task task;
    size_t max;
    unsigned paused;
    unsigned busy;  /* event handlers of this link on the stack: memory stays */
    bool up;        /* takes packets */
    bool said_up;   /* owes a `down` */
    bool closed;    /* link_close was called: no more events */
    bool ended;     /* the other side has said goodbye */
    bool said_full; /* owes a `writable` */
    char peer[LINK_PEER_SIZE];
};

void link_init(struct link *l, const struct link_ops *ops, struct loop *loop);
/* Around everything that may call an event; link_leave frees a link closed meanwhile and then says
 * false. */
void link_enter(struct link *l);
bool link_leave(struct link *l);
/* The packet did not leave: it comes back in the link's task, or is destroyed if it is of a kind
 * that does not. */
void link_give_back(struct link *l, struct packet *p);
/* Everything in a list of packets comes back. */
void link_give_back_all(struct link *l, struct list *queue);
void link_say_up(struct link *l); /* `up` is set before */
/* What came back is returned first; says nothing when `up` was not said. */
void link_say_down(struct link *l, const char *why);
void link_say_packet(struct link *l, struct packet *p);
void link_check_writable(struct link *l);

#endif
