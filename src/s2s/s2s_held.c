/* Held: what is for a domain of ours whose session manager is away for the moment. A stream that
 * sends to it is not read then (s2s_flow.c), but what was read already, and what a component of
 * ours sent, is here: it goes when the domain is served again. After s2s.queue_time it comes back
 * with recipient-unavailable, which says that trying again may help (RFC 6120 section 8.3.3.13). */
#include "s2s/s2s_conn.h"

#define HELD_TICK_MS 1000u

static void on_timer(struct loop_timer *timer);

void s2s_held_init(struct s2s *s)
{
    domain_queue_init(&s->held);
    loop_timer_init(&s->held_timer, s2s_loop(s), on_timer);
}

void s2s_held_finish(struct s2s *s)
{
    struct packet *p;

    loop_timer_stop(&s->held_timer);
    while ((p = domain_queue_pop(&s->held)) != NULL)
        packet_destroy(p);
}

static void send_back(struct s2s *s, struct packet *p)
{
    if (s2s_is_local(s, jid_domain(p->from))) {
        s2s_bounce(s, p, STANZA_ERR_RECIPIENT_UNAVAILABLE, NULL);
        return;
    }
    s2s_stanza_refuse(s, p, STANZA_ERR_RECIPIENT_UNAVAILABLE);
}

bool s2s_held_waits(const struct s2s *s, const struct jid *to)
{
    return domains_find(&s->domains, jid_domain(to)) &&
           !component_peer_up(s->component, jid_domain(to));
}

/* What the router gave back was read before what was held meanwhile without having been there
 * (RFC 6120 section 10.1: in order, of each sender). */
static void put_in_order(struct list *all, struct packet *p)
{
    struct list *before = NULL;

    for (struct list *at = p->node.prev; p->trace && at != all; at = at->prev) {
        const struct packet *other = LIST_ENTRY(at, const struct packet, node);
        if (!other->trace || !jid_eq(other->from, p->from))
            continue;
        if ((int64_t)(other->trace - p->trace) < 0)
            break;
        before = at;
    }
    if (before) {
        list_remove(&p->node);
        list_push(before, &p->node);
    }
}

void s2s_held_take(struct s2s *s, struct packet *p)
{
    p->error = 0;
    p->born = s2s_now(s);
    if (s->stopping || !domain_queue_push(&s->held, p, (size_t)s2s_config(s)->s2s_max_queue)) {
        send_back(s, p);
        return;
    }
    put_in_order(&s->held.packets, p);
    if (!loop_timer_running(&s->held_timer))
        loop_timer_start(&s->held_timer, HELD_TICK_MS);
}

void s2s_held_release(struct s2s *s, struct str local)
{
    LIST_EACH_SAFE (it, &s->held.packets) {
        struct packet *p = LIST_ENTRY(it, struct packet, node);
        if (!str_eq(jid_domain(p->to), local))
            continue;
        domain_queue_remove(&s->held, p);
        p->route_to = jid_domain(p->to);
        p->route_from = str_of(s->component->id);
        component_send(s->component, p);
    }
}

void s2s_held_send_back(struct s2s *s, uint64_t before)
{
    struct packet *p;
    size_t count = 0;

    while ((p = domain_queue_expired(&s->held, before)) != NULL) {
        send_back(s, p);
        count++;
    }
    if (count)
        log_warn(&s->component->log,
                 "%zu stanzas came back: nobody serves their domain of ours (is sm running?)",
                 count);
}

static void on_timer(struct loop_timer *timer)
{
    struct s2s *s = MEM_CONTAINER(timer, struct s2s, held_timer);
    uint64_t now = s2s_now(s), patience = (uint64_t)s2s_config(s)->s2s_queue_time * 1000;

    if (now > patience)
        s2s_held_send_back(s, now - patience);
    if (!domain_queue_empty(&s->held))
        loop_timer_start(timer, HELD_TICK_MS);
}
