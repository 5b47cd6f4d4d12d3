/* Subscription: the state machine of RFC 6121 appendix A, pure. The tables are in subscription.def;
 * what follows from a step (pushes, presence, storage) is done by subscribe.c.
 */
#ifndef JACKDAW_SM_SUBSCRIPTION_H
#define JACKDAW_SM_SUBSCRIPTION_H

#include <stdbool.h>
#include "base/str.h"

enum subscription_state {
#define STATE(id, name, to, from, out, in) SUB_##id,
#include "sm/subscription.def"
#undef STATE
    SUB_STATES
};

enum subscription_event {
    SUB_SUBSCRIBE,
    SUB_UNSUBSCRIBE,
    SUB_SUBSCRIBED,
    SUB_UNSUBSCRIBED,
    SUB_EVENTS
};

enum subscription_action {
    SUB_DO_IGNORE,
    SUB_DO_ROUTE,     /* outbound: to the contact */
    SUB_DO_DELIVER,   /* inbound: to the user's clients */
    SUB_DO_APPROVE,   /* outbound: a pre-approval (3.4.2) */
    SUB_DO_UNAPPROVE, /* outbound: the end of one */
    SUB_DO_REPLY      /* inbound: answer `subscribed` in the user's name */
};

struct subscription_step {
    enum subscription_action action;
    enum subscription_state next;
};

struct subscription_step subscription_out(enum subscription_state state, enum subscription_event e);
struct subscription_step subscription_in(enum subscription_state state, enum subscription_event e,
                                         bool approved);

/* The four flags a state is made of, and back. A combination that appendix A does not have (to and
 * pending out ...) becomes the nearest it has. */
bool subscription_to(enum subscription_state s);
bool subscription_from(enum subscription_state s);
bool subscription_pending_out(enum subscription_state s);
bool subscription_pending_in(enum subscription_state s);
enum subscription_state subscription_state_of(bool to, bool from, bool pending_out,
                                              bool pending_in);

const char *subscription_state_name(enum subscription_state s); /* "None + Pending Out" */
struct str subscription_attr(enum subscription_state s);        /* none, to, from, both */
struct str subscription_event_type(enum subscription_event e);  /* "subscribe": the presence type */
/* False when `type` is none of the four. */
bool subscription_event_parse(struct str type, enum subscription_event *ret);

#endif
