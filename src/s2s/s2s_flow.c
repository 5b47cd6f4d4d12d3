/* Flow: when a stream is read and when it is not - the router does not keep up, nobody here serves
 * what it sends to, or it sends more than it may (reliability.md B 53). What is not read waits with
 * the other server. */
#include "s2s/s2s_conn.h"

#define FLOW_STANZA_COST     100 /* what a stanza costs at least of s2s.rate, however small */
#define FLOW_BURST           10  /* seconds' worth of s2s.message_rate that may come at once */
#define FLOW_TURN_MS         200 /* from the oldest stream of a server to the next one */
#define FLOW_SUBSCRIBE_BURST 60  /* s2s.subscribe_rate is for so many seconds */

void s2s_flow_pause(struct s2s_conn *c, enum s2s_pause why)
{
    if (c->paused == 0)
        conn_pause(c->conn);
    c->paused |= (unsigned)why;
}

void s2s_flow_resume(struct s2s_conn *c, enum s2s_pause why)
{
    if (!(c->paused & (unsigned)why))
        return;
    c->paused &= ~(unsigned)why;
    if (c->paused == 0)
        conn_resume(c->conn);
}

/* --- the router --- */

void s2s_flow_check_link(struct s2s_conn *c)
{
    if (!component_full(c->s2s->component) || (c->paused & S2S_PAUSE_LINK))
        return;
    s2s_flow_pause(c, S2S_PAUSE_LINK);
    list_push(&c->s2s->blocked, &c->link_node);
}

void s2s_flow_unblock(struct s2s *s)
{
    LIST_EACH_SAFE (it, &s->blocked) {
        struct s2s_conn *c = LIST_ENTRY(it, struct s2s_conn, link_node);
        list_remove(&c->link_node);
        s2s_flow_resume(c, S2S_PAUSE_LINK);
    }
}

/* --- our domains --- */

static bool sends_to(const struct s2s_conn *c, struct str local)
{
    LIST_EACH (it, &c->proofs) {
        const struct proof *p = LIST_ENTRY(it, const struct proof, node);
        if (str_eq((struct str){p->local, p->local_len}, local))
            return true;
    }
    return false;
}

/* Of the streams of one server the oldest is read first: what was sent on it was sent before (RFC
 * 6120 section 10.1). One that has broken since is at its end soon. */
static void resume_in_turn(struct s2s_conn *c)
{
    uint64_t now = s2s_now(c->s2s), turn = now;

    if (!(c->paused & S2S_PAUSE_AWAY))
        return;
    LIST_EACH (it, &c->proofs) {
        const struct remote *source = LIST_ENTRY(it, const struct proof, node)->source;
        turn = source->next_turn > turn ? source->next_turn : turn;
    }
    LIST_EACH (it, &c->proofs)
        LIST_ENTRY(it, struct proof, node)->source->next_turn = turn + FLOW_TURN_MS;
    if (turn > now && !loop_timer_running(&c->rate_timer)) {
        s2s_flow_pause(c, S2S_PAUSE_RATE);
        loop_timer_start(&c->rate_timer, turn - now);
    }
    s2s_flow_resume(c, S2S_PAUSE_AWAY);
}

void s2s_flow_domain(struct s2s *s, struct str local, bool served)
{
    LIST_EACH_SAFE (it, &s->conns) {
        struct s2s_conn *c = LIST_ENTRY(it, struct s2s_conn, node);
        if (!sends_to(c, local))
            continue;
        if (served)
            resume_in_turn(c);
        else
            s2s_flow_pause(c, S2S_PAUSE_AWAY);
    }
}

/* Another stream of the same server may be waiting: its turn is before this one's. */
void s2s_flow_check_domain(struct s2s_conn *c, struct str local)
{
    const struct s2s *s = c->s2s;

    if (domains_find(&s->domains, local) && !component_peer_up(s->component, local))
        s2s_flow_pause(c, S2S_PAUSE_AWAY);
}

/* --- rates --- */

static void wait_for(struct s2s_conn *c, uint64_t ms)
{
    if (ms == 0 || c->state == S2S_CLOSED)
        return;
    c->s2s->count.slowed += !(c->paused & S2S_PAUSE_RATE);
    s2s_flow_pause(c, S2S_PAUSE_RATE);
    loop_timer_start(&c->rate_timer, ms);
}

void s2s_flow_rate_tick(struct loop_timer *timer)
{
    s2s_flow_resume(MEM_CONTAINER(timer, struct s2s_conn, rate_timer), S2S_PAUSE_RATE);
}

void s2s_flow_charge(struct s2s_conn *c, size_t bytes, uint64_t stanzas)
{
    const struct config *config = s2s_config(c->s2s);
    int64_t rate = config->s2s_rate, messages = config->s2s_message_rate,
            cost = (int64_t)bytes > (int64_t)stanzas * FLOW_STANZA_COST
                       ? (int64_t)bytes
                       : (int64_t)stanzas * FLOW_STANZA_COST;
    uint64_t now = s2s_now(c->s2s), wait = 0, more;

    if (!bucket_take(&c->bytes, rate, rate, cost, now))
        wait = bucket_wait(&c->bytes, rate, rate, now);
    LIST_EACH (it, &c->proofs) {
        struct remote *source = LIST_ENTRY(it, struct proof, node)->source;
        more = bucket_wait(&source->messages, messages, messages * FLOW_BURST, now);
        wait = more > wait ? more : wait;
    }
    wait_for(c, wait);
}

bool s2s_flow_stanza(struct s2s *s, struct remote *source, const struct stanza *stanza)
{
    const struct config *config = s2s_config(s);
    struct str name = stanza_name(stanza, STANZA_ROOT);
    int64_t rate;

    if (str_is(name, "message")) {
        rate = config->s2s_message_rate;
        (void)bucket_take(&source->messages, rate, rate * FLOW_BURST, 1, s2s_now(s));
        return true;
    }
    if (!str_is(name, "presence") ||
        !str_is(stanza_attr(stanza, STANZA_ROOT, STR("type")), "subscribe"))
        return true;
    rate = config->s2s_subscribe_rate;
    if (bucket_try(&source->subscribes, rate, rate * FLOW_SUBSCRIBE_BURST, FLOW_SUBSCRIBE_BURST,
                   s2s_now(s)))
        return true;
    s->count.subscribes_refused++;
    if (log_limit_pass(&s->limit_spam, s2s_now(s), &s->component->log))
        log_warn(&s->component->log,
                 "%s sends more subscription requests than it may (s2s.subscribe_rate)",
                 source->name);
    return false;
}
