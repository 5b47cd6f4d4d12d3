/* Other domains: see remote.h. All decisions about a domain are made in one place, work(), in a
 * turn of its own; whatever happens elsewhere only pokes it. */
#include "s2s/remote.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "s2s/s2s_conn.h"
#include "xmpp/delay.h"

#define REMOTE_TICK_MS   1000u  /* how often what waits is looked at */
#define REMOTE_TAKER_MS  5000u  /* for an answer to a key on a stream that they made */
#define REMOTE_MEMORY_MS 60000u /* limits outlive streams, or reconnecting would lift them */

static void on_timer(struct loop_timer *timer);

/* --- tables --- */

struct remote *remote_find(const struct s2s *s, struct str name)
{
    return hash_get(&s->remotes, name);
}

struct remote *remote_get(struct s2s *s, struct str name)
{
    struct remote *r = remote_find(s, name);

    if (r || s->remotes.count >= (size_t)s2s_config(s)->s2s_max_domains)
        return r;
    r = mem_alloc(sizeof(*r) + name.len + 1);
    r->s2s = s;
    r->name_len = name.len;
    memcpy(r->name, name.data, name.len);
    list_init(&r->pairs);
    list_init(&r->conns);
    list_init(&r->verifies);
    loop_timer_init(&r->timer, s2s_loop(s), on_timer);
    hash_put(&s->remotes, remote_name(r), r);
    return r;
}

void remote_poke(struct remote *r)
{
    loop_timer_start(&r->timer, 0);
}

static void destroy(struct remote *r)
{
    struct list *node;

    s2s_resolve_cancel(&r->query);
    verify_fail_all(r, STANZA_ERR_REMOTE_SERVER_TIMEOUT, true);
    loop_timer_stop(&r->timer);
    while ((node = list_pop(&r->pairs)) != NULL) {
        struct pair *pair = LIST_ENTRY(node, struct pair, node);
        struct packet *p;
        list_remove(&pair->conn_node);
        while ((p = domain_queue_pop(&pair->queue)) != NULL)
            packet_destroy(p);
        free(pair);
    }
    attempt_forget(r);
    hash_del(&r->s2s->remotes, remote_name(r));
    free(r);
}

struct s2s_conn *remote_open_conn(const struct remote *r, const struct s2s_conn *except)
{
    LIST_EACH (it, &r->conns) {
        struct s2s_conn *c = LIST_ENTRY(it, struct s2s_conn, remote_node);
        if (c->state == S2S_OPEN && c != except)
            return c;
    }
    return NULL;
}

void remote_destroy_all(struct s2s *s)
{
    struct remote *r;

    for (size_t i = 0; (r = hash_next(&s->remotes, &i)) != NULL;)
        destroy(r);
}

/* --- sending --- */

static bool addresses(struct packet *p)
{
    if (!p->to)
        p->to = jid_parse(stanza_attr(p->stanza, STANZA_ROOT, STR("to")));
    if (!p->from)
        p->from = jid_parse(stanza_attr(p->stanza, STANZA_ROOT, STR("from")));
    return p->to && p->from;
}

void remote_send(struct s2s *s, struct packet *p)
{
    struct remote *r;
    char id[LEDGER_ID + 1];

    if (!addresses(p) ||
        (!s2s_is_local(s, jid_domain(p->from)) && !s2s_reload_leaving(s, jid_domain(p->from)))) {
        if (log_limit_pass(&s->limit_packet, s2s_now(s), &s->component->log))
            log_warn(&s->component->log,
                     "dropped a stanza from %.*s without a usable from or to (%s)",
                     STR_ARG(p->route_from), ledger_id_text(p->trace, id));
        ledger_note(&s->component->pen, LEDGER_DROPPED, p->trace, STR_NULL,
                    STR("it has no usable address"));
        packet_destroy(p);
        return;
    }
    if (s2s_held_waits(s, p->to)) {
        s2s_held_take(s, p);
    } else if (s2s_is_local(s, jid_domain(p->to))) {
        s2s_bounce(s, p, STANZA_ERR_SERVICE_UNAVAILABLE, NULL);
    } else if (!policy_federates(s, jid_domain(p->from))) {
        /* As if there were no s2s at all. */
        s2s_bounce(s, p, STANZA_ERR_REMOTE_SERVER_NOT_FOUND,
                   "this domain does not speak with other servers");
    } else if (!policy_of(s, jid_domain(p->to)).allowed) {
        s2s_bounce(s, p, STANZA_ERR_NOT_ALLOWED, "this server does not speak with that domain");
    } else if (s->stopping) {
        s2s_bounce(s, p, STANZA_ERR_REMOTE_SERVER_TIMEOUT, "this server is stopping");
    } else if ((r = remote_get(s, jid_domain(p->to))) == NULL) {
        s2s_bounce(s, p, STANZA_ERR_RESOURCE_CONSTRAINT, "too many domains (s2s.max_domains)");
    } else {
        p->born = s2s_now(s); /* what it may wait counts from here */
        pair_send(r, p);
    }
}

/* --- streams that open, and that end --- */

void remote_conn_open(struct s2s_conn *c)
{
    struct remote *r = c->remote;

    if (r->attempt == c)
        r->attempt = NULL;
    r->failures = 0;
    r->why[0] = '\0';
    r->retry_at = 0;
    r->definite = false;
    attempt_forget(r);
    if (c->authenticated) {
        struct pair *pair = pair_get(r, str_of(c->local));
        if (pair->state == PAIR_IDLE)
            pair_open(pair, c);
        else
            pair_share(pair, c);
    }
    remote_poke(r);
}

/* It may have arrived: a second copy says when the first one left (reliability.md G3). */
static void stamp(const struct s2s *s, struct packet *p)
{
    if (!p->delay && str_is(stanza_name(p->stanza, STANZA_ROOT), "message"))
        p->delay = delay_create(jid_domain(p->from),
                                loop_wall(s2s_loop(s)) - (int64_t)(s2s_now(s) - p->born), NULL);
}

/* What was sent and not acknowledged waits again, before what was never sent (XEP-0198 section 4).
 */
static void take_back(struct s2s_conn *c)
{
    struct s2s *s = c->s2s;
    struct packet *p;

    if (s->stopping && !c->sm && !c->ping.answered)
        s2s_ping_release(c); /* it was written, and nothing says that more could be known */
    while ((p = domain_queue_pop_last(&c->unacked)) != NULL) {
        struct remote *r = remote_get(s, jid_domain(p->to));
        if (!r || s->stopping) {
            s2s_bounce(s, p, STANZA_ERR_REMOTE_SERVER_TIMEOUT, "the connection was lost");
            continue;
        }
        s->count.retried++;
        stamp(s, p);
        domain_queue_return(&pair_get(r, jid_domain(p->from))->queue, p);
        remote_poke(r);
    }
}

static void fail_verifies_via(struct remote *r, const struct s2s_conn *c)
{
    LIST_EACH_SAFE (it, &r->verifies) {
        struct verify *v = LIST_ENTRY(it, struct verify, node);
        if (v->via == c)
            verify_done(v, DIALBACK_ERROR, STANZA_ERR_REMOTE_SERVER_TIMEOUT);
    }
}

/* Never a tight loop with a server that hangs up. */
static void not_at_once(struct remote *r)
{
    uint64_t soon = s2s_now(r->s2s) + 1000;

    if (r->retry_at < soon)
        r->retry_at = soon;
}

void remote_conn_ended(struct s2s_conn *c, enum stanza_condition condition, const char *why)
{
    struct remote *r = c->remote;

    LIST_EACH_SAFE (it, &c->pairs) {
        struct pair *pair = LIST_ENTRY(it, struct pair, conn_node);
        if (pair->state == PAIR_PROVING && c->role == S2S_ACCEPTED)
            pair->remote->refuses_keys = true;
        else if (pair->state == PAIR_PROVING && pair->remote != r)
            pair->remote->lonely = true; /* it did not like to be shared */
        else if (pair->state == PAIR_OPEN)
            not_at_once(pair->remote);
        pair_detach(pair);
        if (pair->remote->s2s->stopping)
            pair_bounce(pair, STANZA_ERR_REMOTE_SERVER_TIMEOUT, "this server is stopping");
        remote_poke(pair->remote);
    }
    take_back(c);
    if (!r)
        return;
    fail_verifies_via(r, c);
    (void)snprintf(r->why, sizeof(r->why), "%s", why);
    r->condition = condition;
    if (r->attempt == c) {
        r->attempt = NULL;
        if (!r->s2s->stopping)
            attempt_next(r);
    } else {
        not_at_once(r);
    }
    remote_poke(r);
}

/* --- all that concerns a domain --- */

uint64_t remote_queue_ms(const struct remote *r)
{
    return (uint64_t)s2s_config(r->s2s)->s2s_queue_time * 1000;
}

/* What has waited too long, unless its session manager is not there to be told: then it would send
 * it again, behind what was sent later. */
static struct packet *expired(struct remote *r, struct pair *pair)
{
    const struct packet *first = domain_queue_first(&pair->queue);
    uint64_t now = s2s_now(r->s2s);

    if (!first || now <= remote_queue_ms(r) ||
        (first->receipt.number &&
         !component_peer_up(r->s2s->component, jid_full(first->receipt.origin))))
        return NULL;
    return domain_queue_expired(&pair->queue, now - remote_queue_ms(r));
}

static void expire(struct remote *r)
{
    struct s2s *s = r->s2s;
    uint64_t now = s2s_now(s), limit = (uint64_t)s2s_config(s)->s2s_auth_time * 1000;
    struct packet *p;

    LIST_EACH_SAFE (it, &r->pairs) {
        struct pair *pair = LIST_ENTRY(it, struct pair, node);
        while ((p = expired(r, pair)) != NULL)
            s2s_bounce(s, p, STANZA_ERR_REMOTE_SERVER_TIMEOUT,
                       r->why[0] ? r->why : "the other server could not be reached in time");
        if (pair->state == PAIR_PROVING &&
            now - pair->since > (pair->conn->role == S2S_MADE ? limit : REMOTE_TAKER_MS))
            pair_unanswered(pair);
    }
    LIST_EACH_SAFE (it, &r->verifies) {
        struct verify *v = LIST_ENTRY(it, struct verify, node);
        if (now - v->since > limit)
            verify_done(v, DIALBACK_ERROR, STANZA_ERR_REMOTE_SERVER_TIMEOUT);
    }
}

static bool pending(const struct remote *r)
{
    LIST_EACH (it, &r->pairs) {
        const struct pair *pair = LIST_ENTRY(it, const struct pair, node);
        if (pair->state == PAIR_PROVING || !domain_queue_empty(&pair->queue))
            return true;
    }
    return r->query.s2s != NULL || r->dialer || r->attempt || !list_empty(&r->verifies);
}

void remote_denied(struct remote *r)
{
    s2s_resolve_cancel(&r->query);
    attempt_forget(r);
    LIST_EACH_SAFE (it, &r->pairs) {
        struct pair *pair = LIST_ENTRY(it, struct pair, node);
        if (pair->state != PAIR_OPEN)
            pair_bounce(pair, STANZA_ERR_NOT_ALLOWED,
                        "this server does not speak with that domain");
    }
    verify_fail_all(r, STANZA_ERR_NOT_AUTHORIZED, true);
    remote_poke(r);
}

static void drop_idle_pairs(struct remote *r)
{
    LIST_EACH_SAFE (it, &r->pairs) {
        struct pair *pair = LIST_ENTRY(it, struct pair, node);
        if (pair->state != PAIR_IDLE || !domain_queue_empty(&pair->queue) ||
            pair->refused_till > s2s_now(r->s2s))
            continue;
        list_remove(&pair->node);
        free(pair);
    }
}

static void work(struct remote *r)
{
    bool need = false;

    LIST_EACH_SAFE (it, &r->pairs) {
        struct pair *pair = LIST_ENTRY(it, struct pair, node);
        if (pair->state == PAIR_OPEN)
            s2s_stanza_flush(pair);
        else if (pair_waits(pair) && !pair_find_stream(pair))
            need = true;
    }
    LIST_EACH_SAFE (it, &r->verifies) {
        struct verify *v = LIST_ENTRY(it, struct verify, node);
        struct s2s_conn *via = v->via ? NULL : remote_open_conn(r, v->asker);
        if (via)
            verify_ask(v, via);
        else if (!v->via)
            need = true;
    }
    if (need)
        attempt_begin(r);
}

static void on_timer(struct loop_timer *timer)
{
    struct remote *r = MEM_CONTAINER(timer, struct remote, timer);
    uint64_t now = s2s_now(r->s2s);

    expire(r);
    work(r);
    drop_idle_pairs(r);
    if (loop_timer_running(timer)) /* poked meanwhile */
        return;
    if (r->proof_count > 0)
        r->remembered_till = now + REMOTE_MEMORY_MS;
    if (pending(r))
        loop_timer_start(timer, REMOTE_TICK_MS);
    else if (!list_empty(&r->conns) || !list_empty(&r->pairs) || r->proof_count > 0)
        loop_timer_start(timer, REMOTE_TICK_MS * 30);
    else if (r->retry_at > now || r->remembered_till > now)
        loop_timer_start(timer, r->retry_at > now ? r->retry_at - now : r->remembered_till - now);
    else
        destroy(r);
}

/* --- for people --- */

static const char *state_of(const struct remote *r)
{
    if (remote_open_conn(r, NULL))
        return "connected";
    if (r->query.s2s)
        return "resolving";
    if (r->dialer || r->attempt)
        return "connecting";
    LIST_EACH (it, &r->pairs)
        if (LIST_ENTRY(it, struct pair, node)->state == PAIR_OPEN)
            return "connected";
    if (r->retry_at > s2s_now(r->s2s))
        return "waiting";
    return r->proof_count > 0 ? "incoming" : "idle";
}

json_t *remote_list(const struct s2s *s)
{
    json_t *list = json_array();
    const struct remote *r;

    for (size_t i = 0; (r = hash_next(&s->remotes, &i)) != NULL;) {
        json_t *pairs = json_array();
        LIST_EACH (it, &r->pairs)
            json_array_append_new(pairs, pair_json(LIST_ENTRY(it, const struct pair, node)));
        json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:I, s:s}", "domain", r->name,
                                              "state", state_of(r), "pairs", pairs, "failures",
                                              (json_int_t)r->failures, "why", r->why));
    }
    return list;
}
