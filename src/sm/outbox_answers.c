/* Answers of the server to iqs that were in the outbox when this life of ours began: errors, which
 * keep `h` from covering their iq until its client has them or the disk has (reliability.md C.1 c).
 * They are for one session alone, and wait here until it is resumed; when its address is bound
 * anew, or after a day, they go.
 */
#include "sm/acks.h"
#include "sm/outbox.h"
#include "sm/send.h"

#define KEPT_MS 86400000u

void outbox_answer(struct sm *sm, struct packet *p)
{
    p->to = jid_parse(stanza_attr(p->stanza, STANZA_ROOT, STR("to")));
    if (!p->to || jid_is_bare(p->to)) {
        packet_destroy(p);
        return;
    }
    p->born = loop_now(sm->loop);
    list_push(&sm->flights.answers, &p->node);
    const struct user *user = user_find(sm, jid_bare(p->to));
    struct session *session = user ? session_of(user, jid_resource(p->to)) : NULL;
    if (session && session->acks)
        outbox_answers_send(session);
}

void outbox_answers_send(struct session *session)
{
    LIST_EACH_SAFE (it, &session->user->sm->flights.answers) {
        struct packet *p = LIST_ENTRY(it, struct packet, node);
        if (!jid_eq(p->to, session->jid))
            continue;
        list_remove(&p->node);
        send_stored(session, p->stanza, p->promise, p->trace);
        packet_destroy(p);
    }
}

static bool goes(const struct sm *sm, const struct packet *p, const struct jid *to)
{
    return to ? jid_eq(p->to, to) : loop_now(sm->loop) - p->born > KEPT_MS;
}

void outbox_answers_drop(struct sm *sm, const struct jid *to)
{
    LIST_EACH_SAFE (it, &sm->flights.answers) {
        struct packet *p = LIST_ENTRY(it, struct packet, node);
        if (!goes(sm, p, to))
            continue;
        list_remove(&p->node);
        packet_destroy(p);
    }
}

void outbox_answers_init(struct sm *sm)
{
    list_init(&sm->flights.answers);
}

void outbox_answers_finish(struct sm *sm)
{
    struct list *node;
    while ((node = list_pop(&sm->flights.answers)))
        packet_destroy(LIST_ENTRY(node, struct packet, node));
}
