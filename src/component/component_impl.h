/* What component.c and component_names.c share. */
#ifndef JACKDAW_COMPONENT_COMPONENT_IMPL_H
#define JACKDAW_COMPONENT_COMPONENT_IMPL_H

#include "base/hash.h"
#include "component/component.h"

struct component_impl {
    char *id;
    struct list binds, requests;
    struct hash peers; /* name -> struct peer, those that are up */
    struct loop_timer retry;
    struct loop_timer halt; /* runs between component_halt and the end */
    bool restart;
    uint64_t started, received, sent, bounced;
    struct log_limit refused_limit;
    struct component *owner;
};

/* --- component_names.c --- */

void component_names_init(struct component *c);
void component_names_finish(struct component *c);
/* The link is up: the router is asked for all our names. */
void component_names_ask(struct component *c);
/* The link is lost, and with it who was there. */
void component_names_lost(struct component *c);
/* The router answers the oldest request. */
void component_names_answer(struct component *c, const struct packet *p);
/* Another name is there, or is shared by others than before; or it has gone. */
void component_names_peer_up(struct component *c, struct str name, struct str nodes);
void component_names_peer_down(struct component *c, struct str name);
json_t *component_names_list(const struct component *c); /* those that we have; new reference */

#endif
