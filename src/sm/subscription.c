/* The subscription state machine: tables of RFC 6121 appendix A and their look-up. */
#include "sm/subscription.h"

static const struct subscription_step out_table[SUB_EVENTS][SUB_STATES] = {
#define OUT(event, state, action, next) [SUB_##event][SUB_##state] = {SUB_DO_##action, SUB_##next},
#include "sm/subscription.def"
#undef OUT
};

static const struct subscription_step in_table[SUB_EVENTS][SUB_STATES] = {
#define IN(event, state, action, next) [SUB_##event][SUB_##state] = {SUB_DO_##action, SUB_##next},
#include "sm/subscription.def"
#undef IN
};

static const struct approved_row {
    enum subscription_event event;
    enum subscription_state state;
    struct subscription_step step;
} approved_table[] = {
#define IN_APPROVED(event, state, action, next)                                                    \
    {SUB_##event, SUB_##state, {SUB_DO_##action, SUB_##next}},
#include "sm/subscription.def"
#undef IN_APPROVED
};

static const struct state_row {
    const char *name;
    bool to, from, out, in;
} states[SUB_STATES] = {
#define STATE(id, name, to, from, out, in) [SUB_##id] = {name, to, from, out, in},
#include "sm/subscription.def"
#undef STATE
};

static const struct str event_types[SUB_EVENTS] = {
    [SUB_SUBSCRIBE] = STR("subscribe"),
    [SUB_UNSUBSCRIBE] = STR("unsubscribe"),
    [SUB_SUBSCRIBED] = STR("subscribed"),
    [SUB_UNSUBSCRIBED] = STR("unsubscribed"),
};

struct subscription_step subscription_out(enum subscription_state state, enum subscription_event e)
{
    return out_table[e][state];
}

struct subscription_step subscription_in(enum subscription_state state, enum subscription_event e,
                                         bool approved)
{
    if (approved)
        for (size_t i = 0; i < sizeof approved_table / sizeof *approved_table; i++)
            if (approved_table[i].event == e && approved_table[i].state == state)
                return approved_table[i].step;
    return in_table[e][state];
}

bool subscription_to(enum subscription_state s)
{
    return states[s].to;
}

bool subscription_from(enum subscription_state s)
{
    return states[s].from;
}

bool subscription_pending_out(enum subscription_state s)
{
    return states[s].out;
}

bool subscription_pending_in(enum subscription_state s)
{
    return states[s].in;
}

enum subscription_state subscription_state_of(bool to, bool from, bool pending_out, bool pending_in)
{
    /* Who has a subscription has none pending in that direction. */
    bool out = pending_out && !to;
    bool in = pending_in && !from;
    for (int s = 0; s < SUB_STATES; s++)
        if (states[s].to == to && states[s].from == from && states[s].out == out &&
            states[s].in == in)
            return (enum subscription_state)s;
    return SUB_NONE;
}

const char *subscription_state_name(enum subscription_state s)
{
    return states[s].name;
}

struct str subscription_attr(enum subscription_state s)
{
    if (states[s].to)
        return states[s].from ? STR("both") : STR("to");
    return states[s].from ? STR("from") : STR("none");
}

struct str subscription_event_type(enum subscription_event e)
{
    return event_types[e];
}

bool subscription_event_parse(struct str type, enum subscription_event *ret)
{
    for (int e = 0; e < SUB_EVENTS; e++)
        if (str_eq(type, event_types[e])) {
            *ret = (enum subscription_event)e;
            return true;
        }
    return false;
}
