/* The s2s component: who I am, what I open, and what I do with each event. */
#include "s2s/s2s.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "s2s/s2s_conn.h"
#include "xmpp/delay.h"
#include "xmpp/namespaces.h"

#define S2S_STOP_MS      300u  /* for the last words to leave */
#define S2S_STOP_WAIT_MS 5000u /* for what was sent to be acknowledged */

/* --- settings --- */

/* Components of ours (chat.example.org) are at the router under their domain; the names without a
 * dot that are not configured are those of processes (sm, c2s). */
bool s2s_is_local(const struct s2s *s, struct str domain)
{
    if (domains_find(&s->domains, domain))
        return true;
    return component_peer_up(s->component, domain) &&
           (memchr(domain.data, '.', domain.len) != NULL ||
            domains_is_component(s2s_config(s), domain));
}

/* --- start --- */

static void on_stop_timer(struct loop_timer *timer)
{
    struct s2s *s = MEM_CONTAINER(timer, struct s2s, stop_timer);

    LIST_EACH_SAFE (it, &s->conns)
        s2s_conn_error(LIST_ENTRY(it, struct s2s_conn, node), STREAM_ERR_SYSTEM_SHUTDOWN, NULL);
    s2s_check_stopped(s);
}

static struct s2s *create(struct component *component)
{
    struct s2s *s = MEM_NEW(struct s2s);
    struct loop *loop = component->env->loop;
    uint64_t seed[2];

    random_fill(component->env->random, seed, sizeof(seed));
    s->component = component;
    hash_init(&s->remotes, seed);
    hash_init(&s->queries, seed);
    hash_init(&s->addresses, seed);
    s->receipts = receipts_create(component, s2s_stanza_handled, s);
    unhandled_table_init(&s->unhandled, component, s->receipts);
    unhandled_init(&s->loose, &s->unhandled, 0);
    list_init(&s->conns);
    list_init(&s->closed);
    list_init(&s->blocked);
    s2s_held_init(s);
    loop_task_init(&s->reaper, s2s_conn_reap);
    loop_timer_init(&s->stop_timer, loop, on_stop_timer);
    loop_timer_init(&s->farewell, loop, s2s_reload_farewell);
    return s;
}

/* XEP-0185 section 3: whichever s2s of this installation is asked about a key knows it. What they
 * all have is the secret that they show the router. */
static enum error load_secret(struct s2s *s)
{
    char shared[256];
    enum error e = secret_load(s->component->env, "router-secret",
                               s2s_config(s)->router_secret_file, shared, sizeof(shared));

    if (e == ERR_OK)
        dialback_key(str_of(shared), STR("s2s"), STR("dialback"), STR("keys"), s->secret);
    mem_wipe(shared, sizeof(shared));
    s2s_ping_start(s);
    return e;
}

static enum error start(struct component *component)
{
    struct s2s *s = create(component);
    enum error e = load_secret(s);

    component->state = s;
    s->tls = s2s_tls_create(s);
    return e == ERR_OK ? s2s_reload_start(s) : e;
}

/* --- events --- */

void s2s_done(struct s2s *s, struct packet *p)
{
    if (p->receipt.number)
        receipts_handled(s->receipts, p->receipt.origin, p->receipt.number);
    packet_destroy(p);
}

void s2s_bounce(struct s2s *s, struct packet *p, enum stanza_condition condition, const char *text)
{
    struct receipt *r = &p->receipt;
    struct stanza *error;
    struct packet *back;

    if (r->number && s->stopping) { /* the session manager keeps it for the next of us */
        packet_destroy(p);
        return;
    }
    error = stanza_error_reply_by(p->stanza, jid_full(p->to), jid_full(p->from),
                                  jid_domain(p->from), condition, text && text[0] ? text : NULL);
    if (error) {
        s->count.bounced++;
        ledger_note(&s->component->pen, LEDGER_BOUNCED, p->trace, jid_domain(p->to),
                    stanza_error_element(condition));
        back = packet_create(PACKET_STANZA, r->number ? jid_full(r->origin) : jid_domain(p->from),
                             str_of(s->component->id));
        back->receipt.answers = r->number;
        if (r->number) /* should the error be lost, the stanza comes again */
            receipts_forget(s->receipts, r->origin, r->number);
        back->stanza = error;
        back->from = jid_ref(p->to);
        back->to = jid_ref(p->from);
        back->born = s2s_now(s);
        back->trace = p->trace;
        component_send(s->component, back);
    }
    if (error)
        packet_destroy(p);
    else
        s2s_done(s, p);
}

static void take(struct s2s *s, struct packet *p)
{
    const struct receipt *r = &p->receipt;

    if (r->number && !receipts_admit(s->receipts, p)) {
        packet_destroy(p); /* it came before */
        return;
    }
    if (r->since && p->from && str_is(stanza_name(p->stanza, STANZA_ROOT), "message")) {
        stanza_unref(p->delay);
        p->delay = delay_create(jid_domain(p->from), r->since, NULL);
    }
    remote_send(s, p);
}

static void packet(struct component *component, struct packet *p)
{
    struct s2s *s = component->state;

    if (receipts_take(s->receipts, p))
        return;
    if (s2s_peers_told(s, p) || s2s_ping_passed_on(s, p) || p->kind != PACKET_STANZA || !p->stanza)
        packet_destroy(p);
    else if (str_eq(stanza_ns(p->stanza, STANZA_ROOT), NS_RESOLVER))
        s2s_resolve_answer(s, p);
    else if (p->error)
        s2s_stanza_returned(s, p);
    else
        take(s, p);
}

static void peer(struct component *component, struct str name, bool up)
{
    if (!component->state)
        return;
    if (up) { /* in the order in which it was read */
        s2s_stanza_repeat(component->state, name);
        s2s_held_release(component->state, name);
    }
    s2s_flow_domain(component->state, name, up);
    if (up)
        s2s_peers_ask(component->state, name);
    if (up && str_is(name, "resolver"))
        s2s_resolve_again(component->state);
}

static void writable(struct component *component)
{
    s2s_flow_unblock(component->state);
}

/* --- stop --- */

void s2s_check_stopped(struct s2s *s)
{
    if (s->stopping && s->conn_count == 0 && list_empty(&s->closed))
        component_stopped(s->component);
}

static bool unacknowledged(const struct s2s *s)
{
    LIST_EACH (it, &s->conns)
        if (LIST_ENTRY(it, struct s2s_conn, node)->unacked.count > 0)
            return true;
    return false;
}

void s2s_check_acknowledged(struct s2s *s)
{
    if (s->stopping && s->conn_count > 0 && !unacknowledged(s))
        loop_timer_start(&s->stop_timer, S2S_STOP_MS);
}

static void stop(struct component *component)
{
    struct s2s *s = component->state;
    struct remote *r;

    listeners_close(s->listeners);
    s->listeners = NULL;
    s2s_held_send_back(s, s2s_now(s));
    s->stopping = true;
    for (size_t i = 0; (r = hash_next(&s->remotes, &i)) != NULL;) {
        LIST_EACH (it, &r->pairs) {
            struct pair *pair = LIST_ENTRY(it, struct pair, node);
            struct packet *p;
            while (pair->state != PAIR_OPEN && (p = domain_queue_pop(&pair->queue)) != NULL)
                s2s_bounce(s, p, STANZA_ERR_REMOTE_SERVER_TIMEOUT, "this server is stopping");
        }
    }
    loop_timer_start(&s->stop_timer, unacknowledged(s)   ? S2S_STOP_WAIT_MS
                                     : s->conn_count > 0 ? S2S_STOP_MS
                                                         : 1);
}

static void destroy(struct component *component)
{
    struct s2s *s = component->state;
    struct s2s_address *a;

    if (!s)
        return;
    s->stopping = true;
    listeners_close(s->listeners);
    LIST_EACH_SAFE (it, &s->conns)
        s2s_conn_fail(LIST_ENTRY(it, struct s2s_conn, node), STANZA_ERR_REMOTE_SERVER_TIMEOUT,
                      "the component ends");
    loop_task_cancel(&s->reaper);
    s2s_conn_reap(&s->reaper);
    s2s_held_finish(s);
    remote_destroy_all(s);
    for (size_t i = 0; (a = hash_next(&s->addresses, &i)) != NULL;)
        free(a);
    loop_timer_stop(&s->stop_timer);
    loop_timer_stop(&s->farewell);
    unhandled_finish(&s->loose);
    unhandled_table_finish(&s->unhandled);
    receipts_destroy(s->receipts);
    hash_finish(&s->remotes);
    hash_finish(&s->queries);
    hash_finish(&s->addresses);
    s2s_tls_destroy(s->tls);
    s2s_peers_finish(s);
    domains_finish(&s->domains);
    domains_finish(&s->fresh.domains);
    mem_wipe(s->secret, sizeof(s->secret));
    free(s);
    component->state = NULL;
}

/* --- status and commands --- */

static void status(struct component *component, json_t *into)
{
    const struct s2s *s = component->state;
    uint64_t incoming = 0, queued = 0;
    const struct remote *r;

    if (!s)
        return;
    queued = s->held.count;
    LIST_EACH (it, &s->conns)
        incoming += LIST_ENTRY(it, struct s2s_conn, node)->role == S2S_ACCEPTED;
    for (size_t i = 0; (r = hash_next(&s->remotes, &i)) != NULL;)
        LIST_EACH (it, &r->pairs)
            queued += LIST_ENTRY(it, struct pair, node)->queue.count;
    component_count(into, "domains", s->remotes.count);
    component_count(into, "incoming", incoming);
    component_count(into, "outgoing", s->conn_count - incoming);
    component_count(into, "queued", queued);
    component_count(into, "accepted", s->count.accepted);
    component_count(into, "refused", s->count.refused);
    component_count(into, "connected", s->count.connected);
    component_count(into, "failed", s->count.failed);
    component_count(into, "stanzas_in", s->count.stanzas_in);
    component_count(into, "stanzas_out", s->count.stanzas_out);
    component_count(into, "bytes_in", s->count.bytes_in);
    component_count(into, "bytes_out", s->count.bytes_out);
    component_count(into, "bounced", s->count.bounced);
    component_count(into, "sent_again", s->count.retried);
    component_count(into, "pings", s->count.pings);
    component_count(into, "dialback_valid", s->count.dialback_valid);
    component_count(into, "dialback_invalid", s->count.dialback_invalid);
    component_count(into, "stream_errors", s->count.stream_errors);
    component_count(into, "slowed", s->count.slowed);
    component_count(into, "subscribes_refused", s->count.subscribes_refused);
}

static json_t *command(struct component *component, const json_t *request)
{
    const struct s2s *s = component->state;

    if (!str_is(str_of(json_string_value(json_object_get(request, "command"))), "s2s-list"))
        return NULL;
    return json_pack("{s:b, s:o, s:o}", "ok", 1, "domains", remote_list(s), "incoming",
                     s2s_conn_list(s));
}

const struct component_ops s2s_component = {
    .name = "s2s",
    .keys = true,
    .bind_flags = PACKET_BIND_DEFAULT,
    .start = start,
    .packet = packet,
    .peer = peer,
    .writable = writable,
    .prepare = s2s_reload_prepare,
    .reload = s2s_reload_commit,
    .revert = s2s_reload_revert,
    .stop = stop,
    .status = status,
    .destroy = destroy,
    .command = command,
};
