/* Pairs: what one of our domains sends to one of theirs, and which stream carries it. See remote.h.
 */
#include "s2s/remote.h"

#include <stdlib.h>

#include "base/mem.h"
#include "s2s/s2s_conn.h"

#define PAIR_REFUSED_MS 30000u /* how long another server's refusal is believed */
#define PAIR_AGAIN_MS   2000u  /* when our key is shown again to one that could not ask us */

/* --- the table --- */

struct pair *pair_find(struct remote *r, struct str local)
{
    LIST_EACH (it, &r->pairs) {
        struct pair *pair = LIST_ENTRY(it, struct pair, node);
        if (str_eq(pair_local(pair), local))
            return pair;
    }
    return NULL;
}

struct pair *pair_get(struct remote *r, struct str local)
{
    struct pair *pair = pair_find(r, local);

    if (pair)
        return pair;
    pair = mem_alloc(sizeof(*pair) + local.len + 1);
    pair->remote = r;
    pair->local_len = local.len;
    memcpy(pair->local, local.data, local.len);
    list_init(&pair->conn_node);
    domain_queue_init(&pair->queue);
    list_push(&r->pairs, &pair->node);
    return pair;
}

bool pair_waits(const struct pair *pair)
{
    return pair->state == PAIR_IDLE && !domain_queue_empty(&pair->queue) &&
           pair->again_at <= s2s_now(pair->remote->s2s);
}

/* --- the queue --- */

void pair_bounce(struct pair *pair, enum stanza_condition condition, const char *text)
{
    struct packet *p;

    while ((p = domain_queue_pop(&pair->queue)) != NULL)
        s2s_bounce(pair->remote->s2s, p, condition, text);
}

/* Why a packet cannot even wait; NONE: it can. */
static enum stanza_condition hopeless(const struct remote *r, const struct pair *pair,
                                      const char **ret_why)
{
    uint64_t now = s2s_now(r->s2s);

    if (pair->refused_till > now) {
        *ret_why = "the other server refuses this domain";
        return pair->refusal;
    }
    *ret_why = r->why;
    if (pair->state == PAIR_IDLE && now < r->retry_at &&
        (r->definite || r->retry_at - now > remote_queue_ms(r)))
        return r->condition;
    return STANZA_ERR_NONE;
}

/* The same message, from the next life of a session manager: its numbers began at a random place.
 * One that is alive may wait for both. */
static bool is_again(const struct packet *old, const struct packet *p)
{
    uint64_t one = old->receipt.number, other = p->receipt.number;

    return old->trace == p->trace && one && jid_eq(old->from, p->from) && jid_eq(old->to, p->to) &&
           (one < other ? other - one : one - other) > UINT32_MAX;
}

static struct packet *find_again(const struct domain_queue *q, const struct packet *p)
{
    LIST_EACH (it, &q->packets) {
        struct packet *old = LIST_ENTRY(it, struct packet, node);
        if (is_again(old, p))
            return old;
    }
    return NULL;
}

/* A session manager that has died sends again, in its next life, what it did not know to have
 * arrived. What of that is still here keeps its place before what was sent later (RFC 6120 section
 * 10.1), and goes once; whoever waits for it is told. */
static bool adopt(const struct pair *pair, struct packet *p)
{
    struct packet *old = NULL;

    if (!p->receipt.since || !p->receipt.number || !p->trace)
        return false;
    if (pair->conn)
        old = find_again(&pair->conn->unacked, p);
    if (!old)
        old = find_again(&pair->queue, p);
    if (!old)
        return false;
    jid_unref(old->receipt.origin);
    old->receipt = p->receipt;
    p->receipt.origin = NULL;
    packet_destroy(p);
    return true;
}

void pair_send(struct remote *r, struct packet *p)
{
    struct pair *pair = pair_get(r, jid_domain(p->from));
    const char *why;
    enum stanza_condition condition = hopeless(r, pair, &why);

    if (adopt(pair, p))
        return;
    if (condition != STANZA_ERR_NONE) {
        s2s_bounce(r->s2s, p, condition, why);
    } else if (!domain_queue_push(&pair->queue, p, (size_t)s2s_config(r->s2s)->s2s_max_queue)) {
        s2s_bounce(r->s2s, p, STANZA_ERR_RESOURCE_CONSTRAINT,
                   "too much waits for that domain (s2s.max_queue)");
    } else if (pair->state == PAIR_OPEN) {
        s2s_stanza_flush(pair);
        return;
    } else {
        ledger_note(&r->s2s->component->pen, LEDGER_WAITS, p->trace, remote_name(r),
                    STR("for a connection"));
    }
    if (!loop_timer_running(&r->timer) || pair->state == PAIR_IDLE)
        remote_poke(r);
}

/* --- the stream --- */

void pair_open(struct pair *pair, struct s2s_conn *c)
{
    struct log log = s2s_conn_log(c);
    bool by_key = pair->state == PAIR_PROVING;

    if (pair->state == PAIR_IDLE) {
        pair->conn = c;
        list_push(&c->pairs, &pair->conn_node);
    }
    pair->state = PAIR_OPEN;
    pair->refused_till = 0;
    log_info(&log, "%s sends to %s over %s stream%s", pair->local, pair->remote->name,
             c->role == S2S_MADE ? "our" : "their", c->tls ? " (TLS)" : "");
    if (c->role == S2S_ACCEPTED && by_key)
        c->takes_keys = true;
    pair_share(pair, c);
    s2s_stanza_flush(pair);
}

void pair_share(struct pair *pair, struct s2s_conn *c)
{
    if (c->role == S2S_MADE)
        s2s_sm_enable(c);
    /* XEP-0288: the other direction of what was proven (section 2.2). */
    if (c->bidi)
        (void)s2s_proof_add(c, remote_name(pair->remote), pair_local(pair));
}

void pair_detach(struct pair *pair)
{
    list_remove(&pair->conn_node);
    pair->conn = NULL;
    pair->state = PAIR_IDLE;
}

/* XEP-0220 section 2.5. */
void pair_refused(struct pair *pair, enum stanza_condition said)
{
    struct remote *r = pair->remote;
    struct s2s_conn *c = pair->conn;

    pair_detach(pair);
    remote_poke(r);
    if (c->role == S2S_ACCEPTED) { /* theirs carries only what they asked for */
        r->refuses_keys = true;
    } else if (c->remote != r) { /* section 2.6: then a stream of its own */
        r->lonely = true;
    } else if (said == STANZA_ERR_RESOURCE_CONSTRAINT && !list_empty(&c->pairs)) {
        c->dialback = false; /* it is full: another one may do */
    } else if (said == STANZA_ERR_REMOTE_SERVER_TIMEOUT) {
        /* Section 2.4: it could not reach us to ask, which says nothing of our key. */
        pair->again_at = s2s_now(r->s2s) + PAIR_AGAIN_MS;
    } else {
        pair->refusal = said == STANZA_ERR_ITEM_NOT_FOUND ? STANZA_ERR_REMOTE_SERVER_NOT_FOUND
                                                          : STANZA_ERR_REMOTE_SERVER_TIMEOUT;
        pair->refused_till = s2s_now(r->s2s) + PAIR_REFUSED_MS;
        pair_bounce(pair, pair->refusal, "the other server refuses this domain");
    }
}

void pair_unanswered(struct pair *pair)
{
    struct s2s_conn *c = pair->conn;

    if (c->role == S2S_MADE) {
        s2s_conn_fail(c, STANZA_ERR_REMOTE_SERVER_TIMEOUT, "it did not answer our dialback key");
        return;
    }
    pair->remote->refuses_keys = true;
    pair_detach(pair);
    remote_poke(pair->remote);
}

/* An accepted stream on which both ends may send, and on which that very pair is proven. */
static struct s2s_conn *find_bidi(const struct pair *pair)
{
    LIST_EACH (it, &pair->remote->s2s->conns) {
        struct s2s_conn *c = LIST_ENTRY(it, struct s2s_conn, node);
        if (c->role == S2S_ACCEPTED && c->bidi && c->state == S2S_OPEN &&
            s2s_proof_find(c, remote_name(pair->remote), pair_local(pair)))
            return c;
    }
    return NULL;
}

static bool speaks_for(const struct s2s_conn *c, const struct remote *r)
{
    LIST_EACH (it, &c->proofs)
        if (LIST_ENTRY(it, const struct proof, node)->source == r)
            return true;
    return false;
}

/* XEP-0288 section 2.2: on a stream that they made we may show keys for others of our domains. Few
 * servers answer those, so it is tried where nothing else has worked, or where it has before. */
static struct s2s_conn *find_taker(const struct pair *pair)
{
    LIST_EACH (it, &pair->remote->s2s->conns) {
        struct s2s_conn *c = LIST_ENTRY(it, struct s2s_conn, node);
        if (c->role == S2S_ACCEPTED && c->bidi && c->state == S2S_OPEN &&
            (c->takes_keys || pair->remote->failures > 0) && !pair->remote->refuses_keys &&
            speaks_for(c, pair->remote) && s2s_judge_allows(c, remote_name(pair->remote)))
            return c;
    }
    return NULL;
}

bool pair_find_stream(struct pair *pair)
{
    struct s2s_conn *c = find_bidi(pair);

    if (c) {
        pair_open(pair, c);
        return true;
    }
    LIST_EACH (it, &pair->remote->conns) {
        c = LIST_ENTRY(it, struct s2s_conn, remote_node);
        if (c->state != S2S_OPEN)
            continue;
        if (c->authenticated && str_is(pair_local(pair), c->local)) {
            pair_open(pair, c);
            return true;
        }
        if (c->dialback) {
            s2s_dialback_prove(pair, c);
            return true;
        }
    }
    c = find_taker(pair);
    if (c)
        s2s_dialback_prove(pair, c);
    return c != NULL;
}

/* --- for people --- */

json_t *pair_json(const struct pair *pair)
{
    static const char *const states[] = {
        [PAIR_IDLE] = "idle", [PAIR_PROVING] = "proving", [PAIR_OPEN] = "open"};
    const struct s2s_conn *c = pair->conn;

    return json_pack("{s:s, s:s, s:I, s:s, s:b, s:s, s:b, s:b}", "from", pair->local, "state",
                     states[pair->state], "queued", (json_int_t)pair->queue.count, "stream",
                     !c                    ? "-"
                     : c->role == S2S_MADE ? "ours"
                                           : "theirs",
                     "tls", c ? (int)c->tls : 0, "by",
                     c ? s2s_judge_proof(c, remote_name(pair->remote)) : "-", "acks",
                     c ? (int)c->sm : 0, "pings", c ? (int)(!c->sm && c->ping.answered) : 0);
}
