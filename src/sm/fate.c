/* Fate: see fate.h. */
#include "sm/fate.h"

#include "sm/flight.h"
#include "sm/user.h"

static const char *const sources[] = {
#define X(id, name) name,
    FATE_SOURCES(X)
#undef X
};

static const char *const fates[] = {
#define X(id, name) name,
    FATES(X)
#undef X
};

static const char *const reasons[] = {
#define X(id, name, text) name,
#include "sm/fate.def"
#undef X
};

static const struct str texts[] = {
#define X(id, name, text) {text, sizeof(text) - 1},
#include "sm/fate.def"
#undef X
};

void fate_take(struct sm *sm, struct packet *p, enum fate_source source)
{
    ledger_enter(&sm->c->pen, p);
    if (p->trace)
        sm->account.taken[source]++;
}

void fate_end(struct sm *sm, const struct packet *p, enum fate fate)
{
    if (p->trace)
        sm->account.ended[fate]++;
}

void fate_note(struct sm *sm, enum ledger_event e, const struct packet *p, struct str to,
               struct str detail)
{
    ledger_note(&sm->c->pen, e, p->trace, to, detail);
}

void fate_drop(struct sm *sm, struct packet *p, enum fate_reason reason)
{
    if (p->trace) {
        fate_end(sm, p, FATE_DROPPED);
        sm->account.dropped[reason]++;
        fate_note(sm, LEDGER_DROPPED, p, STR_NULL, texts[reason]);
    }
    packet_destroy(p);
}

void fate_obeyed(struct sm *sm, struct packet *p)
{
    fate_end(sm, p, FATE_DELIVERED);
    fate_note(sm, LEDGER_DELIVERED, p, p->to ? jid_full(p->to) : STR_NULL,
              STR("the server itself"));
    packet_destroy(p);
}

void fate_writing(struct sm *sm, const struct packet *p, bool more)
{
    if (p && p->trace)
        sm->account.writing += more ? 1u : (uint64_t)-1;
}

/* --- the balance --- */

static uint64_t messages_in(const struct list *packets)
{
    uint64_t count = 0;

    LIST_EACH (it, packets)
        count += LIST_ENTRY(it, const struct packet, node)->trace != 0;
    return count;
}

static uint64_t flights_in(const struct list *flights)
{
    uint64_t count = 0;

    LIST_EACH (it, flights)
        count += LIST_ENTRY(it, const struct flight, node)->packet->trace != 0;
    return count;
}

/* In the lists, one by one: a difference of counters would always balance. */
static uint64_t in_flight(const struct sm *sm)
{
    uint64_t count = sm->account.writing;
    const struct user *user;

    for (size_t i = 0; (user = hash_next(&sm->users, &i));)
        count += messages_in(&user->waiting) + messages_in(&user->offline.held) +
                 messages_in(&user->behind.packets);
    for (int lane = 0; lane < FLIGHT_LANES; lane++)
        count += flights_in(&sm->flights.lanes[lane]) + flights_in(&sm->flights.restored[lane]);
    return count;
}

json_t *fate_balance(const struct sm *sm)
{
    const struct fate_account *a = &sm->account;
    json_t *balance = json_object(), *from = json_object(), *why = json_object();
    uint64_t accepted = 0;

    for (int i = 0; i < FATE_SOURCE_COUNT; i++) {
        accepted += a->taken[i];
        component_count(from, sources[i], a->taken[i]);
    }
    component_count(balance, "accepted", accepted);
    for (int i = 0; i < FATE_COUNT; i++)
        component_count(balance, fates[i], a->ended[i]);
    component_count(balance, "in_flight", in_flight(sm));
    for (int i = 0; i < FATE_REASON_COUNT; i++)
        component_count(why, reasons[i], a->dropped[i]);
    json_object_set_new(balance, "sources", from);
    json_object_set_new(balance, "reasons", why);
    return balance;
}
