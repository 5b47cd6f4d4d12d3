/* Acknowledgements from servers that know none (XEP-0198): behind what was sent goes a ping of the
 * other domain (XEP-0199), and its answer - a result or an error, RFC 6120 section 8.2.3 demands
 * one - says that everything before it was read, since stanzas are processed in order (section
 * 10.1). Until then a copy is kept, and goes again when the connection breaks.
 *
 * The answer comes on whatever stream that very pair of domains was proven on. One ping is out at a
 * time, at most PING_PACE_MS apart: so one is for all that was sent meanwhile. A server that never
 * answers gets none after a while, on that stream, and what was written then counts as sent
 * (docs/decisions/0077-s2s-ping.md).
 */
#include <inttypes.h>
#include <stdio.h>

#include "s2s/s2s_conn.h"

#define PING_PACE_MS   100u
#define PING_FIRST_MS  30000u /* for the first answer: they may have to find us before */
#define PING_ANSWER_MS 60000u /* for each after that; then the connection is dead */
#define PING_PAUSED_MS 5000u  /* when we look again, being the ones who do not read */
#define PING_ID        64

static void on_timer(struct loop_timer *timer);

void s2s_ping_init(struct s2s_conn *c)
{
    loop_timer_init(&c->ping.timer, s2s_loop(c->s2s), on_timer);
}

void s2s_ping_stop(struct s2s_conn *c)
{
    loop_timer_stop(&c->ping.timer);
}

/* Answers need none themselves: whoever waits for one asks again. Two servers that do this would
 * otherwise never come to an end. */
static bool is_answer(const struct packet *p)
{
    struct str type = stanza_attr(p->stanza, STANZA_ROOT, STR("type"));

    return str_is(stanza_name(p->stanza, STANZA_ROOT), "iq") &&
           (str_is(type, "result") || str_is(type, "error"));
}

bool s2s_ping_keeps(const struct pair *pair, const struct packet *p)
{
    const struct s2s_conn *c = pair->conn;

    return !c->ping.mute && !pair->remote->no_pings && s2s_config(c->s2s)->s2s_acks &&
           !(domain_queue_empty(&c->unacked) && is_answer(p));
}

static void done(struct s2s_conn *c, size_t count)
{
    const struct packet *first;

    while (count-- > 0)
        s2s_done(c->s2s, domain_queue_pop(&c->unacked));
    while ((first = domain_queue_first(&c->unacked)) != NULL && is_answer(first))
        s2s_done(c->s2s, domain_queue_pop(&c->unacked));
}

void s2s_ping_release(struct s2s_conn *c)
{
    s2s_ping_stop(c);
    c->ping.asked = false;
    c->ping.covers = 0;
    done(c, c->unacked.count);
}

bool s2s_ping_make_room(struct s2s_conn *c)
{
    if (c->ping.answered || domain_queue_empty(&c->unacked))
        return false;
    s2s_done(c->s2s, domain_queue_pop(&c->unacked));
    c->ping.covers -= c->ping.covers > 0;
    return true;
}

/* --- asking --- */

static void make_id(const struct s2s_conn *c, char ret[PING_ID])
{
    (void)snprintf(ret, PING_ID, "ack-%.*s-%" PRIu64, (int)sizeof(c->s2s->ping_token),
                   c->s2s->ping_token, c->ping.number);
}

static void ask(struct s2s_conn *c)
{
    const struct packet *last = domain_queue_last(&c->unacked);
    struct buffer out;
    char id[PING_ID];

    if (!last)
        return;
    c->ping.number = ++c->s2s->count.pings;
    c->ping.covers = c->unacked.count;
    c->ping.asked_at = s2s_now(c->s2s);
    c->ping.asked = true;
    make_id(c, id);
    buffer_init(&out, 4096);
    buffer_printf(&out,
                  "<iq type='get' id='%s' from='%.*s' to='%.*s'><ping xmlns='urn:xmpp:ping'/></iq>",
                  id, STR_ARG(jid_domain(last->from)), STR_ARG(jid_domain(last->to)));
    s2s_conn_write_buffer(c, &out);
    loop_timer_start(&c->ping.timer, c->ping.answered ? PING_ANSWER_MS : PING_FIRST_MS);
}

void s2s_ping_ask(struct s2s_conn *c)
{
    uint64_t now = s2s_now(c->s2s), next = c->ping.asked_at + PING_PACE_MS;

    if (c->sm || c->ping.asked || domain_queue_empty(&c->unacked) ||
        loop_timer_running(&c->ping.timer))
        return;
    /* In a turn to come, so behind all that is written in this one. */
    loop_timer_start(&c->ping.timer, c->ping.asked_at > 0 && next > now ? next - now : 0);
}

/* --- no answer --- */

/* It may be us: a stream that the answer would come on is not read for the moment. */
static bool we_do_not_read(const struct s2s_conn *c, const struct remote *r)
{
    LIST_EACH (it, &c->s2s->conns) {
        const struct s2s_conn *in = LIST_ENTRY(it, const struct s2s_conn, node);
        if (in->paused == 0)
            continue;
        LIST_EACH (at, &in->proofs)
            if (LIST_ENTRY(at, const struct proof, node)->source == r)
                return true;
    }
    return false;
}

static void late(struct s2s_conn *c)
{
    const struct packet *first = domain_queue_first(&c->unacked);
    struct remote *r = first ? remote_find(c->s2s, jid_domain(first->to)) : NULL;
    struct log log = s2s_conn_log(c);

    if (r && we_do_not_read(c, r)) {
        loop_timer_start(&c->ping.timer, PING_PAUSED_MS);
    } else if (c->ping.answered && r) {
        r->no_pings = true; /* should it have grown tired of them: not twice */
        s2s_conn_error(c, STREAM_ERR_CONNECTION_TIMEOUT, "no acknowledgement came");
    } else {
        log_info(&log, "%s answers no ping: what is written to it counts as sent",
                 r ? r->name : "it");
        c->ping.mute = true;
        s2s_ping_release(c);
        s2s_stanza_resume(c);
    }
}

static void on_timer(struct loop_timer *timer)
{
    struct s2s_conn *c = MEM_CONTAINER(timer, struct s2s_conn, ping.timer);

    if (c->ping.asked)
        late(c);
    else if (!c->sm)
        ask(c);
}

/* --- the answer --- */

bool s2s_ping_answer(struct s2s *s, const struct stanza *stanza, const struct jid *from,
                     const struct jid *to)
{
    struct remote *r;
    struct pair *pair;
    struct s2s_conn *c;
    char id[PING_ID];
    struct str type;

    if (to->local_len || to->resource_len || from->local_len || from->resource_len ||
        !str_is(stanza_name(stanza, STANZA_ROOT), "iq"))
        return false;
    type = stanza_attr(stanza, STANZA_ROOT, STR("type"));
    r = remote_find(s, jid_domain(from));
    pair = r ? pair_find(r, jid_domain(to)) : NULL;
    c = pair ? pair->conn : NULL;
    if (!c || !c->ping.asked || (!str_is(type, "result") && !str_is(type, "error")))
        return false;
    make_id(c, id);
    if (!str_is(stanza_attr(stanza, STANZA_ROOT, STR("id")), id))
        return false;
    s2s_ping_stop(c);
    c->ping.asked = false;
    c->ping.answered = true;
    done(c, c->ping.covers);
    c->ping.covers = 0;
    s2s_stanza_resume(c);
    s2s_ping_ask(c);
    return true;
}
