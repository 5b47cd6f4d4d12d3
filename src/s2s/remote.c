/* Other domains: see remote.h. All decisions about a domain are made in one place, work(), in a
 * turn of its own; whatever happens elsewhere only pokes it. */
#include "s2s/remote.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "s2s/s2s_conn.h"

#define REMOTE_TICK_MS     1000u  /* how often what waits is looked at */
#define REMOTE_DEFINITE_MS 30000u /* how long "there is no such server" is believed */
#define REMOTE_RESOLVE_MS  20000u
#define REMOTE_CONNS_MAX   16

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

struct pair *remote_pair(struct remote *r, struct str local)
{
    LIST_EACH (it, &r->pairs) {
        struct pair *pair = LIST_ENTRY(it, struct pair, node);
        if (str_eq(pair_local(pair), local))
            return pair;
    }
    return NULL;
}

static struct pair *pair_get(struct remote *r, struct str local)
{
    struct pair *pair = remote_pair(r, local);

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

void remote_poke(struct remote *r)
{
    loop_timer_start(&r->timer, 0);
}

static void forget_targets(struct remote *r)
{
    free(r->targets);
    free(r->tlsa);
    r->targets = NULL;
    r->tlsa = NULL;
    r->target_count = r->next_target = r->tlsa_count = 0;
}

static void destroy(struct remote *r)
{
    struct list *node;

    s2s_resolve_cancel(r);
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
    forget_targets(r);
    hash_del(&r->s2s->remotes, remote_name(r));
    free(r);
}

void remote_destroy_all(struct s2s *s)
{
    struct remote *r;

    for (size_t i = 0; (r = hash_next(&s->remotes, &i)) != NULL;)
        destroy(r);
}

/* --- coming back --- */

static void bounce_queue(struct pair *pair, enum stanza_condition condition, const char *text)
{
    struct packet *p;

    while ((p = domain_queue_pop(&pair->queue)) != NULL)
        s2s_bounce(pair->remote->s2s, p, condition, text);
}

static uint64_t queue_ms(const struct s2s *s)
{
    return (uint64_t)s2s_config(s)->s2s_queue_time * 1000;
}

static void expire(struct remote *r)
{
    struct s2s *s = r->s2s;
    uint64_t now = s2s_now(s), limit = (uint64_t)s2s_config(s)->s2s_auth_time * 1000;
    struct packet *p;

    LIST_EACH_SAFE (it, &r->pairs) {
        struct pair *pair = LIST_ENTRY(it, struct pair, node);
        while (now > queue_ms(s) &&
               (p = domain_queue_expired(&pair->queue, now - queue_ms(s))) != NULL)
            s2s_bounce(s, p, STANZA_ERR_REMOTE_SERVER_TIMEOUT,
                       r->why[0] ? r->why : "the other server could not be reached in time");
        if (pair->state == PAIR_PROVING && now - pair->since > limit)
            s2s_conn_fail(pair->conn, STANZA_ERR_REMOTE_SERVER_TIMEOUT,
                          "it did not answer our dialback key");
    }
    LIST_EACH_SAFE (it, &r->verifies) {
        struct verify *v = LIST_ENTRY(it, struct verify, node);
        if (now - v->since > limit)
            verify_done(v, DIALBACK_ERROR, STANZA_ERR_REMOTE_SERVER_TIMEOUT);
    }
    if (r->resolving && now - r->resolving_since > REMOTE_RESOLVE_MS) {
        s2s_resolve_cancel(r);
        remote_failed(r, STANZA_ERR_REMOTE_SERVER_TIMEOUT, "its address could not be found in time",
                      false);
    }
}

/* --- sending --- */

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
        (r->definite || r->retry_at - now > queue_ms(r->s2s)))
        return r->condition;
    return STANZA_ERR_NONE;
}

static bool addresses(struct packet *p)
{
    if (!p->to)
        p->to = jid_parse(stanza_attr(p->stanza, STANZA_ROOT, STR("to")));
    if (!p->from)
        p->from = jid_parse(stanza_attr(p->stanza, STANZA_ROOT, STR("from")));
    return p->to && p->from;
}

static void enqueue(struct remote *r, struct packet *p)
{
    struct pair *pair = pair_get(r, jid_domain(p->from));
    const char *why;
    enum stanza_condition condition = hopeless(r, pair, &why);

    if (condition != STANZA_ERR_NONE) {
        s2s_bounce(r->s2s, p, condition, why);
    } else if (!domain_queue_push(&pair->queue, p, (size_t)s2s_config(r->s2s)->s2s_max_queue)) {
        s2s_bounce(r->s2s, p, STANZA_ERR_RESOURCE_CONSTRAINT,
                   "too much waits for that domain (s2s.max_queue)");
    } else if (pair->state == PAIR_OPEN) {
        s2s_stanza_flush(pair);
        return;
    }
    if (!loop_timer_running(&r->timer) || pair->state == PAIR_IDLE)
        remote_poke(r);
}

void remote_send(struct s2s *s, struct packet *p)
{
    struct remote *r;

    if (!addresses(p) || !s2s_is_local(s, jid_domain(p->from))) {
        if (log_limit_pass(&s->limit_packet, s2s_now(s), &s->component->log))
            log_warn(&s->component->log, "dropped a stanza from %.*s without a usable from or to",
                     STR_ARG(p->route_from));
        packet_destroy(p);
        return;
    }
    p->born = s2s_now(s); /* what it may wait counts from here */
    if (s2s_is_local(s, jid_domain(p->to))) {
        s2s_bounce(s, p, STANZA_ERR_SERVICE_UNAVAILABLE, NULL);
    } else if (!policy_of(s, jid_domain(p->to)).allowed) {
        s2s_bounce(s, p, STANZA_ERR_NOT_ALLOWED, "this server does not speak with that domain");
    } else if (s->stopping) {
        s2s_bounce(s, p, STANZA_ERR_REMOTE_SERVER_TIMEOUT, "this server is stopping");
    } else if ((r = remote_get(s, jid_domain(p->to))) == NULL) {
        s2s_bounce(s, p, STANZA_ERR_RESOURCE_CONSTRAINT, "too many domains (s2s.max_domains)");
    } else {
        enqueue(r, p);
    }
}

/* --- streams for pairs --- */

void pair_open(struct pair *pair, struct s2s_conn *c)
{
    struct log log = s2s_conn_log(c);

    if (pair->state == PAIR_IDLE) {
        pair->conn = c;
        list_push(&c->pairs, &pair->conn_node);
    }
    pair->state = PAIR_OPEN;
    pair->refused_till = 0;
    log_info(&log, "%s sends to %s over %s stream%s", pair->local, pair->remote->name,
             c->role == S2S_MADE ? "our" : "their", c->tls ? " (TLS)" : "");
    if (c->role == S2S_MADE) {
        s2s_sm_enable(c);
        /* XEP-0288: the other direction of what was proven (section 2.2). */
        if (c->bidi)
            (void)s2s_proof_add(c, remote_name(pair->remote), pair_local(pair));
    }
    s2s_stanza_flush(pair);
}

static void detach(struct pair *pair)
{
    list_remove(&pair->conn_node);
    pair->conn = NULL;
    pair->state = PAIR_IDLE;
}

void pair_refused(struct pair *pair, enum stanza_condition condition)
{
    struct remote *r = pair->remote;
    bool shared = pair->conn && pair->conn->remote != r;

    detach(pair);
    remote_poke(r);
    if (shared) { /* XEP-0220 section 2.6: then a stream of its own */
        r->lonely = true;
        return;
    }
    pair->refusal = condition;
    pair->refused_till = s2s_now(r->s2s) + REMOTE_DEFINITE_MS;
    bounce_queue(pair, condition, "the other server refuses this domain");
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

static bool find_stream(struct pair *pair)
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
    return false;
}

static struct s2s_conn *any_open(const struct remote *r)
{
    LIST_EACH (it, &r->conns) {
        struct s2s_conn *c = LIST_ENTRY(it, struct s2s_conn, remote_node);
        if (c->state == S2S_OPEN)
            return c;
    }
    return NULL;
}

/* --- attempts --- */

static bool waits(const struct pair *pair)
{
    return pair->state == PAIR_IDLE && !domain_queue_empty(&pair->queue);
}

/* The domain of ours that goes into the header; data == NULL when nobody needs a stream. */
static struct str wanted_local(const struct remote *r)
{
    LIST_EACH (it, &r->pairs) {
        const struct pair *pair = LIST_ENTRY(it, const struct pair, node);
        if (waits(pair))
            return pair_local(pair);
    }
    LIST_EACH (it, &r->verifies) {
        const struct verify *v = LIST_ENTRY(it, const struct verify, node);
        if (!v->via)
            return str_of(v->local);
    }
    return STR_NULL;
}

static bool asks(const struct remote *r)
{
    LIST_EACH (it, &r->verifies)
        if (!LIST_ENTRY(it, struct verify, node)->via)
            return true;
    return false;
}

/* XEP-0220 section 2.6.2: another domain's stream to the very same address may carry ours too. */
static bool share(struct remote *r, const struct target *t)
{
    struct s2s_conn *found = NULL;

    if (r->lonely || asks(r))
        return false;
    LIST_EACH (it, &r->s2s->conns) {
        struct s2s_conn *c = LIST_ENTRY(it, struct s2s_conn, node);
        if (c->role == S2S_MADE && c->state == S2S_OPEN && c->dialback_errors &&
            c->target.at.port == t->at.port && strcmp(c->target.at.ip, t->at.ip) == 0 &&
            s2s_out_acceptable(c, remote_name(r))) {
            found = c;
            break;
        }
    }
    if (!found)
        return false;
    LIST_EACH (it, &r->pairs) {
        struct pair *pair = LIST_ENTRY(it, struct pair, node);
        if (waits(pair))
            s2s_dialback_prove(pair, found);
    }
    return true;
}

static void try_next(struct remote *r)
{
    struct str local = wanted_local(r);

    while (local.data && r->next_target < r->target_count) {
        const struct target *t = &r->targets[r->next_target++];
        if (t->direct_tls && !r->s2s->tls)
            continue;
        if (share(r, t))
            return;
        r->s2s->count.connected++;
        r->attempt = s2s_conn_connect(r, t, local);
        return;
    }
    if (local.data)
        remote_failed(r, r->condition, r->why[0] ? r->why : "none of its addresses can be used",
                      r->condition == STANZA_ERR_REMOTE_SERVER_NOT_FOUND);
}

void remote_resolved(struct remote *r, struct target *targets, size_t count, struct tlsa *tlsa,
                     size_t tlsa_count)
{
    forget_targets(r);
    r->targets = targets;
    r->target_count = count;
    r->tlsa = tlsa;
    r->tlsa_count = tlsa_count;
    r->condition = STANZA_ERR_REMOTE_SERVER_TIMEOUT;
    r->why[0] = '\0';
    try_next(r);
}

static void attempt(struct remote *r)
{
    struct target *t;
    size_t conns = 0;

    if (r->attempt || r->resolving || s2s_now(r->s2s) < r->retry_at || r->s2s->stopping)
        return;
    LIST_EACH (it, &r->conns)
        conns++;
    if (conns >= REMOTE_CONNS_MAX)
        return;
    t = MEM_NEW(struct target);
    if (policy_host(r->s2s, remote_name(r), t)) {
        remote_resolved(r, t, 1, NULL, 0);
        return;
    }
    free(t);
    r->resolving_since = s2s_now(r->s2s);
    s2s_resolve(r);
}

/* 1 s, 2 s, 4 s ... s2s.retry_max, each up to a quarter longer, so that a server that comes back is
 * not met by everybody at once. */
static uint64_t backoff(const struct remote *r)
{
    uint64_t most = (uint64_t)s2s_config(r->s2s)->s2s_retry_max * 1000;
    uint64_t wait = 1000ull << (r->failures < 20 ? r->failures - 1 : 19);

    if (wait > most)
        wait = most;
    return wait + random_below(r->s2s->component->env->random, (uint32_t)wait / 4);
}

void remote_failed(struct remote *r, enum stanza_condition condition, const char *why,
                   bool definite)
{
    struct s2s *s = r->s2s;

    r->failures++;
    s->count.failed++;
    r->condition = condition;
    r->definite = definite;
    if (why != r->why)
        (void)snprintf(r->why, sizeof(r->why), "%s", why);
    r->retry_at = s2s_now(s) + (definite ? REMOTE_DEFINITE_MS : backoff(r));
    forget_targets(r);
    if (log_limit_pass(&s->limit_remote, s2s_now(s), &s->component->log))
        log_warn(&s->component->log, "cannot reach %s: %s; next attempt in %llu s", r->name, r->why,
                 (unsigned long long)((r->retry_at - s2s_now(s) + 999) / 1000));
    if (definite)
        LIST_EACH (it, &r->pairs) {
            struct pair *pair = LIST_ENTRY(it, struct pair, node);
            if (waits(pair))
                bounce_queue(pair, condition, r->why);
        }
    verify_fail_all(
        r, definite ? STANZA_ERR_REMOTE_SERVER_NOT_FOUND : STANZA_ERR_REMOTE_SERVER_TIMEOUT, false);
    remote_poke(r);
}

void remote_conn_open(struct s2s_conn *c)
{
    struct remote *r = c->remote;

    if (r->attempt == c)
        r->attempt = NULL;
    r->failures = 0;
    r->retry_at = 0;
    r->definite = false;
    forget_targets(r);
    if (c->authenticated) {
        struct pair *pair = pair_get(r, str_of(c->local));
        if (pair->state == PAIR_IDLE)
            pair_open(pair, c);
    }
    remote_poke(r);
}

/* --- streams that end --- */

/* What was sent and not acknowledged waits again, before what was never sent (XEP-0198 section 4).
 */
static void take_back(struct s2s_conn *c)
{
    struct s2s *s = c->s2s;
    struct packet *p;

    while ((p = domain_queue_pop_last(&c->unacked)) != NULL) {
        struct remote *r = remote_get(s, jid_domain(p->to));
        if (!r || s->stopping) {
            s2s_bounce(s, p, STANZA_ERR_REMOTE_SERVER_TIMEOUT, "the connection was lost");
            continue;
        }
        s->count.retried++;
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

void remote_conn_ended(struct s2s_conn *c, enum stanza_condition condition, const char *why)
{
    struct remote *r = c->remote;

    LIST_EACH_SAFE (it, &c->pairs) {
        struct pair *pair = LIST_ENTRY(it, struct pair, conn_node);
        if (pair->remote != r && pair->state == PAIR_PROVING)
            pair->remote->lonely = true; /* it did not like to be shared */
        detach(pair);
        if (pair->remote->s2s->stopping)
            bounce_queue(pair, STANZA_ERR_REMOTE_SERVER_TIMEOUT, "this server is stopping");
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
            try_next(r);
    } else if (r->retry_at < s2s_now(r->s2s) + 1000) {
        r->retry_at = s2s_now(r->s2s) + 1000; /* never a tight loop with a server that hangs up */
    }
    remote_poke(r);
}

/* --- all that concerns a domain --- */

static bool pending(const struct remote *r)
{
    LIST_EACH (it, &r->pairs) {
        const struct pair *pair = LIST_ENTRY(it, const struct pair, node);
        if (pair->state == PAIR_PROVING || !domain_queue_empty(&pair->queue))
            return true;
    }
    return r->resolving || r->attempt || !list_empty(&r->verifies);
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
        else if (waits(pair) && !find_stream(pair))
            need = true;
    }
    LIST_EACH_SAFE (it, &r->verifies) {
        struct verify *v = LIST_ENTRY(it, struct verify, node);
        struct s2s_conn *via = v->via ? NULL : any_open(r);
        if (via)
            verify_ask(v, via);
        else if (!v->via)
            need = true;
    }
    if (need)
        attempt(r);
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
    if (pending(r))
        loop_timer_start(timer, REMOTE_TICK_MS);
    else if (!list_empty(&r->conns) || !list_empty(&r->pairs))
        loop_timer_start(timer, REMOTE_TICK_MS * 30);
    else if (r->retry_at > now)
        loop_timer_start(timer, r->retry_at - now);
    else
        destroy(r);
}

/* --- for people --- */

static const char *state_of(const struct remote *r)
{
    if (any_open(r))
        return "connected";
    if (r->resolving)
        return "resolving";
    if (r->attempt)
        return "connecting";
    LIST_EACH (it, &r->pairs)
        if (LIST_ENTRY(it, struct pair, node)->state == PAIR_OPEN)
            return "connected";
    return r->retry_at > s2s_now(r->s2s) ? "waiting" : "idle";
}

static json_t *list_pair(const struct pair *pair)
{
    static const char *const states[] = {
        [PAIR_IDLE] = "idle", [PAIR_PROVING] = "proving", [PAIR_OPEN] = "open"};
    const struct s2s_conn *c = pair->conn;

    return json_pack("{s:s, s:s, s:I, s:s, s:b, s:s, s:b}", "from", pair->local, "state",
                     states[pair->state], "queued", (json_int_t)pair->queue.count, "stream",
                     !c                    ? "-"
                     : c->role == S2S_MADE ? "ours"
                                           : "theirs",
                     "tls", c ? (int)c->tls : 0, "by",
                     !c                                        ? "-"
                     : c->authenticated || c->role != S2S_MADE ? "certificate"
                                                               : "dialback",
                     "acks", c ? (int)c->sm : 0);
}

json_t *remote_list(const struct s2s *s)
{
    json_t *list = json_array();
    const struct remote *r;

    for (size_t i = 0; (r = hash_next(&s->remotes, &i)) != NULL;) {
        json_t *pairs = json_array();
        LIST_EACH (it, &r->pairs)
            json_array_append_new(pairs, list_pair(LIST_ENTRY(it, const struct pair, node)));
        json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:I, s:s}", "domain", r->name,
                                              "state", state_of(r), "pairs", pairs, "failures",
                                              (json_int_t)r->failures, "why", r->why));
    }
    return list;
}
