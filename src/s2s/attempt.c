/* Attempts: reaching another domain - which of its addresses answers, and when to try again. See
 * remote.h. */
#include "s2s/remote.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "s2s/s2s_conn.h"

#define ATTEMPT_DEFINITE_MS 30000u /* how long "there is no such server" is believed */
#define ATTEMPT_RESOLVE_MS  20000u
#define ATTEMPT_CONNS_MAX   16 /* streams of ours to one domain */

void attempt_forget(struct remote *r)
{
    dialer_cancel(r->dialer);
    r->dialer = NULL;
    free(r->targets);
    free(r->tlsa);
    r->targets = NULL;
    r->tlsa = NULL;
    r->target_count = r->tlsa_count = 0;
}

/* The domain of ours that goes into the header; data == NULL when nobody needs a stream. */
static struct str wanted_local(const struct remote *r)
{
    LIST_EACH (it, &r->pairs) {
        const struct pair *pair = LIST_ENTRY(it, const struct pair, node);
        if (pair_waits(pair))
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
        if (c->role == S2S_MADE && c->state == S2S_OPEN && c->dialback && c->dialback_errors &&
            c->target.at.port == t->at.port && strcmp(c->target.at.ip, t->at.ip) == 0 &&
            s2s_judge_allows(c, remote_name(r))) {
            found = c;
            break;
        }
    }
    if (!found)
        return false;
    LIST_EACH (it, &r->pairs) {
        struct pair *pair = LIST_ENTRY(it, struct pair, node);
        if (pair_waits(pair))
            s2s_dialback_prove(pair, found);
    }
    return true;
}

static bool share_any(struct remote *r)
{
    for (size_t i = 0; i < r->target_count; i++)
        if (!r->targets[i].tried && share(r, &r->targets[i]))
            return true;
    return false;
}

static void on_dial_failed(void *owner, size_t index, const char *why)
{
    struct remote *r = owner;
    struct target *t = &r->targets[r->dialed[index]];

    t->tried = true;
    r->condition = STANZA_ERR_REMOTE_SERVER_TIMEOUT;
    (void)snprintf(r->why, sizeof(r->why), "%s port %u: %s", t->at.ip, t->at.port, why);
}

static void on_dialed(void *owner, struct conn *conn, size_t index)
{
    struct remote *r = owner;
    struct target *t = &r->targets[r->dialed[index]];
    struct str local = wanted_local(r);

    r->dialer = NULL;
    if (!conn) {
        attempt_next(r);
    } else if (!local.data || r->s2s->stopping) {
        conn_close(conn, 0); /* nobody needs it any more */
        remote_poke(r);
    } else {
        t->tried = true;
        r->s2s->count.connected++;
        r->attempt = s2s_conn_made(r, t, local, conn);
    }
}

static const struct dialer_events dialer_events = {.on_failed = on_dial_failed,
                                                   .on_done = on_dialed};

/* What has not been tried, in order; how many. */
static size_t candidates(struct remote *r, struct dialer_target *list)
{
    const char *host = NULL;
    size_t count = 0;

    for (size_t i = 0; i < r->target_count && i < S2S_TARGETS_MAX; i++) {
        const struct target *t = &r->targets[i];
        if (t->tried || (t->direct_tls && !s2s_tls_on(r->s2s->tls)))
            continue;
        r->dialed[count] = (uint8_t)i;
        list[count].at = t->at;
        list[count++].same_host = host && strcmp(host, t->host) == 0;
        host = t->host;
    }
    return count;
}

void attempt_next(struct remote *r)
{
    struct dialer_target list[S2S_TARGETS_MAX];
    const struct env *env = r->s2s->component->env;
    size_t count;

    if (!wanted_local(r).data || share_any(r))
        return;
    count = candidates(r, list);
    if (count > 0)
        r->dialer = dialer_start(env->net, env->loop, list, count,
                                 (uint32_t)env->config->s2s_connect_delay, &dialer_events, r);
    else
        attempt_failed(r, r->condition, r->why[0] ? r->why : "none of its addresses can be used",
                       r->condition == STANZA_ERR_REMOTE_SERVER_NOT_FOUND);
}

/* The resolver's answer, or the configuration's. */
static void on_answered(struct s2s_query *q, struct s2s_answer *a)
{
    struct remote *r = MEM_CONTAINER(q, struct remote, query);

    if (a->condition != STANZA_ERR_NONE) {
        attempt_failed(r, a->condition, a->why, a->definite);
        return;
    }
    attempt_forget(r);
    r->targets = a->targets;
    r->target_count = a->target_count;
    r->tlsa = a->tlsa;
    r->tlsa_count = a->tlsa_count;
    a->targets = NULL;
    a->tlsa = NULL;
    r->condition = STANZA_ERR_REMOTE_SERVER_TIMEOUT;
    attempt_next(r); /* `why` stays what it was, for those whose time is over meanwhile */
}

void attempt_begin(struct remote *r)
{
    struct s2s_answer configured = {0};
    size_t conns = 0;

    if (r->attempt || r->dialer || r->query.s2s || s2s_now(r->s2s) < r->retry_at ||
        r->s2s->stopping)
        return;
    LIST_EACH (it, &r->conns)
        conns++;
    if (conns >= ATTEMPT_CONNS_MAX)
        return;
    r->query.answered = on_answered;
    configured.targets = mem_alloc_array(S2S_TARGETS_MAX, sizeof(*configured.targets));
    configured.target_count =
        policy_hosts(r->s2s, remote_name(r), configured.targets, S2S_TARGETS_MAX);
    if (configured.target_count > 0)
        on_answered(&r->query, &configured);
    else
        s2s_resolve(r->s2s, &r->query, remote_name(r), ATTEMPT_RESOLVE_MS);
    free(configured.targets);
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

void attempt_failed(struct remote *r, enum stanza_condition condition, const char *why,
                    bool definite)
{
    struct s2s *s = r->s2s;

    r->failures++;
    s->count.failed++;
    r->condition = condition;
    r->definite = definite;
    if (why != r->why)
        (void)snprintf(r->why, sizeof(r->why), "%s", why);
    r->retry_at = s2s_now(s) + (definite ? ATTEMPT_DEFINITE_MS : backoff(r));
    attempt_forget(r);
    if (log_limit_pass(&s->limit_remote, s2s_now(s), &s->component->log))
        log_warn(&s->component->log, "cannot reach %s: %s; next attempt in %llu s", r->name, r->why,
                 (unsigned long long)((r->retry_at - s2s_now(s) + 999) / 1000));
    if (definite)
        LIST_EACH (it, &r->pairs) {
            struct pair *pair = LIST_ENTRY(it, struct pair, node);
            if (pair_waits(pair))
                pair_bounce(pair, condition, r->why);
        }
    verify_fail_all(
        r, definite ? STANZA_ERR_REMOTE_SERVER_NOT_FOUND : STANZA_ERR_REMOTE_SERVER_TIMEOUT, false);
    remote_poke(r);
}
