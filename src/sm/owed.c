/* Owed: see owed.h. */
#include "sm/owed.h"

#include <stdlib.h>
#include "base/mem.h"
#include "sm/acks.h"
#include "sm/offline.h"
#include "sm/send.h"

struct owed {
    struct promise promise;
    struct sm *sm;
    struct jid *origin; /* NULL: nobody waits */
    uint64_t number;
    uint64_t returned;       /* outbox_returned */
    struct acks_place place; /* in the sender's stream */
    struct promise *row;     /* in the outbox; NULL: none yet */
};

static void on_kept(struct promise *promise)
{
    struct owed *o = MEM_CONTAINER(promise, struct owed, promise);
    if (!o->sm->closing && o->origin)
        receipts_handled(o->sm->receipts, o->origin, o->number);
    acks_handled(&o->place);
    promise_unref(o->row);
    jid_unref(o->origin);
    free(o);
}

static struct owed *create(struct sm *sm)
{
    struct owed *o = MEM_NEW(struct owed);
    o->promise.refs = 1;
    o->promise.kept = on_kept;
    o->sm = sm;
    return o;
}

static struct owed *owed_of(struct promise *promise)
{
    bool ours = promise && promise->kept == on_kept;
    return ours ? MEM_CONTAINER(promise, struct owed, promise) : NULL;
}

void owed_join(struct sm *sm, struct packet *p)
{
    p->promise = &create(sm)->promise;
}

bool owed_waited(const struct promise *promise)
{
    return promise->kept != on_kept || MEM_CONTAINER(promise, const struct owed, promise)->origin;
}

uint64_t *owed_returned(struct promise *promise)
{
    struct owed *o = owed_of(promise);
    return o ? &o->returned : NULL;
}

bool owed_take(struct sm *sm, struct packet *p)
{
    struct receipt *r = &p->receipt;
    if (!receipts_admit(sm->receipts, p))
        return false;
    struct owed *o = create(sm);
    o->origin = r->origin;
    o->number = r->number;
    p->promise = &o->promise;
    struct session *session = p->sm.len ? session_find(sm, &p->sm) : NULL;
    acks_came(session ? session->acks : NULL, &o->place, r->place);
    if (r->since && !p->failed)
        send_delay(sm, p, str_of(sm->domains.names[0]), r->since, "Sent again");
    *r = (struct receipt){0};
    return true;
}

uint64_t owed_flight(const struct sm *sm, const struct promise *promise)
{
    if (!promise || promise->kept != on_kept)
        return 0;
    const struct owed *o = MEM_CONTAINER(promise, const struct owed, promise);
    return o->origin && str_is(jid_full(o->origin), sm->c->id) ? o->number : 0;
}

struct promise **owed_row(struct promise *promise)
{
    struct owed *o = owed_of(promise);
    return o ? &o->row : NULL;
}

bool owed_durable(const struct stanza *s)
{
    if (send_kind_of(s) != SEND_MESSAGE)
        return false;
    struct str type = send_type(s);
    return str_is(type, "error") || (!str_is(type, "headline") && offline_keeps(s));
}

bool owed_answer(const struct stanza *s)
{
    return send_kind_of(s) == SEND_IQ && str_is(send_type(s), "error");
}

void owed_drop(struct packet *p)
{
    promise_unref(p->promise);
    p->promise = NULL;
}
