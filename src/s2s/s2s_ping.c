/* Acknowledgements from servers that know none (XEP-0198): behind what was sent goes a ping of the
 * other domain (XEP-0199), and its answer - a result or an error, RFC 6120 section 8.2.3 demands
 * one - says that everything before it was read, since stanzas are processed in order (section
 * 10.1). Until then a copy is kept, and goes again when the connection breaks.
 *
 * The answer comes on whatever stream that very pair of domains was proven on, and that may be at
 * another s2s: the id names who asked, with a proof that one of us made it, and whoever gets the
 * answer passes it on. One ping is out at a time, at least PING_PACE_MS after the one before: so
 * one is for all that was sent meanwhile. A server that never answers gets none after a while, on
 * that stream, and what was written then counts as sent (docs/decisions/0077-s2s-ping.md).
 */
#include <inttypes.h>
#include <stdio.h>

#include "s2s/s2s_conn.h"
#include "xml/builder.h"
#include "xmpp/namespaces.h"

#define PING_PACE_MS   100u
#define PING_FIRST_MS  30000u /* for the first answer: they may have to find us before */
#define PING_ANSWER_MS 60000u /* for each after that; then the connection is dead */
#define PING_PAUSED_MS 5000u  /* when we look again, being the ones who do not read */
#define PING_TOKEN     16     /* characters, of each half of ping_token */
#define PING_ID        320    /* "ack-" RANDOM "-" PROOF "-" NUMBER "-" NAME */

static void on_timer(struct loop_timer *timer);

/* That the one who asks by this name is one of us, who all have the secret. */
static void prove(const struct s2s *s, struct str name, struct str random, char ret[DIALBACK_KEY])
{
    dialback_key((struct str){s->secret, sizeof(s->secret)}, name, STR("ping"), random, ret);
}

void s2s_ping_start(struct s2s *s)
{
    char random[PING_TOKEN], proof[DIALBACK_KEY];

    random_token(s->component->env->random, random, sizeof(random));
    prove(s, str_of(s->component->id), (struct str){random, sizeof(random)}, proof);
    (void)snprintf(s->ping_token, sizeof(s->ping_token), "%.*s-%.*s", PING_TOKEN, random,
                   PING_TOKEN, proof);
}

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

/* `tell`: of one that is over. */
static void done(struct s2s_conn *c, size_t count, void (*tell)(struct s2s *s, struct packet *p))
{
    const struct packet *first;

    while (count-- > 0)
        tell(c->s2s, domain_queue_pop(&c->unacked));
    while ((first = domain_queue_first(&c->unacked)) != NULL && is_answer(first))
        s2s_done(c->s2s, domain_queue_pop(&c->unacked));
}

void s2s_ping_forget(struct s2s_conn *c)
{
    s2s_ping_stop(c);
    c->ping.asked = false;
    c->ping.covers = 0;
}

void s2s_ping_release(struct s2s_conn *c)
{
    s2s_ping_forget(c);
    done(c, c->unacked.count, s2s_done);
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
    (void)snprintf(ret, PING_ID, "ack-%s-%" PRIu64 "-%s", c->s2s->ping_token, c->ping.number,
                   c->s2s->component->id);
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

/* It may be us: a stream that the answer would come on is not read for the moment. Of the other
 * s2s, who may have that stream, only one reason is known. */
static bool we_do_not_read(const struct s2s_conn *c, const struct remote *r, struct str local)
{
    if (!component_peer_up(c->s2s->component, local))
        return true;
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

    if (r && we_do_not_read(c, r, jid_domain(first->from))) {
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

static bool answered(struct s2s *s, struct str from, struct str to, struct str answer)
{
    struct remote *r = remote_find(s, from);
    struct pair *pair = r ? pair_find(r, to) : NULL;
    struct s2s_conn *c = pair ? pair->conn : NULL;
    char id[PING_ID];

    if (!c || !c->ping.asked)
        return false;
    make_id(c, id);
    if (!str_is(answer, id))
        return false;
    s2s_ping_stop(c);
    c->ping.asked = false;
    c->ping.answered = true;
    done(c, c->ping.covers, s2s_stanza_acknowledged);
    c->ping.covers = 0;
    s2s_stanza_resume(c);
    s2s_ping_ask(c);
    return true;
}

static struct str part(struct str s, size_t from, size_t len)
{
    return from + len <= s.len ? (struct str){s.data + from, len} : STR_NULL;
}

/* Which of us has made it; data == NULL: none. */
static struct str asker_of(const struct s2s *s, struct str id)
{
    struct str random = part(id, 4, PING_TOKEN), proof = part(id, 5 + PING_TOKEN, PING_TOKEN);
    size_t at = 6 + 2 * PING_TOKEN;
    char right[DIALBACK_KEY];

    while (at < id.len && id.data[at] >= '0' && id.data[at] <= '9')
        at++;
    if (!str_starts(id, STR("ack-")) || !proof.data || at + 1 >= id.len || id.data[at] != '-')
        return STR_NULL;
    id = part(id, at + 1, id.len - at - 1);
    prove(s, id, random, right);
    return str_eq(proof, (struct str){right, PING_TOKEN}) ? id : STR_NULL;
}

static void pass_on(struct s2s *s, struct str to, const struct jid *from, const struct jid *local,
                    struct str id)
{
    struct packet *p = packet_create(PACKET_STANZA, to, str_of(s->component->id));
    struct builder *b = builder_create(STR("pong"), NS_INTERNAL);

    builder_attr(b, STR("remote"), jid_domain(from));
    builder_attr(b, STR("local"), jid_domain(local));
    builder_attr(b, STR("id"), id);
    p->stanza = builder_finish(b);
    component_send(s->component, p);
}

bool s2s_ping_answer(struct s2s *s, const struct stanza *stanza, const struct jid *from,
                     const struct jid *to)
{
    struct str type, id, asker;

    if (to->local_len || to->resource_len || from->local_len || from->resource_len ||
        !str_is(stanza_name(stanza, STANZA_ROOT), "iq"))
        return false;
    type = stanza_attr(stanza, STANZA_ROOT, STR("type"));
    if (!str_is(type, "result") && !str_is(type, "error"))
        return false;
    id = stanza_attr(stanza, STANZA_ROOT, STR("id"));
    if (answered(s, jid_domain(from), jid_domain(to), id))
        return true;
    asker = asker_of(s, id);
    if (asker.data && !str_is(asker, s->component->id) && component_peer_up(s->component, asker))
        pass_on(s, asker, from, to, id);
    return asker.data != NULL;
}

bool s2s_ping_passed_on(struct s2s *s, const struct packet *p)
{
    const struct stanza *pong = p->stanza;

    if (p->kind != PACKET_STANZA || p->error || !pong ||
        !stanza_is(pong, STANZA_ROOT, STR("pong"), NS_INTERNAL))
        return false;
    (void)answered(s, stanza_attr(pong, STANZA_ROOT, STR("remote")),
                   stanza_attr(pong, STANZA_ROOT, STR("local")),
                   stanza_attr(pong, STANZA_ROOT, STR("id")));
    return true;
}
