/* A connection's life: accepted or made, read, paused, closed, freed; and the bytes written to it.
 */
#include "s2s/s2s_conn.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "xmpp/namespaces.h"

#define CONN_PREAUTH_STANZA 16384u
#define CONN_PREAUTH_TOTAL  131072u
#define CONN_NAMESPACES     64
#define CONN_CHILDREN       8192
#define CONN_DEPTH          128
#define CONN_ATTRIBUTES     128
#define CONN_QUEUE          (4u << 20) /* unsent bytes, what may follow S2S_LOW_ROOM included */
#define CONN_ACK_TIMEOUT_MS 60000u

static void on_data(void *owner, const char *bytes, size_t len);
static void on_ready(void *owner);
static void on_close(void *owner, enum error e, const char *why);
static void on_drain(void *owner);
static void on_timer(struct loop_timer *timer);

static const struct conn_events events = {
    .on_data = on_data, .on_ready = on_ready, .on_close = on_close, .on_drain = on_drain};

struct log s2s_conn_log(const struct s2s_conn *c)
{
    struct log log = c->s2s->component->log;

    log.session = c->peer;
    if (c->conn)
        log.peer = conn_peer(c->conn)->ip;
    return log;
}

void s2s_conn_set_state(struct s2s_conn *c, enum s2s_state state, const char *cause)
{
    struct log log = s2s_conn_log(c);

    log_debug(&log, "%s stream %s -> %s: %s", c->role == S2S_MADE ? "outgoing" : "incoming",
              s2s_state_name(c->state), s2s_state_name(state), cause);
    c->state = state;
}

static char *copy_or_null(struct str s)
{
    return s.data ? str_dup(s) : NULL;
}

void s2s_conn_set_domains(struct s2s_conn *c, struct str local, struct str peer)
{
    char *old_local = c->local, *old_peer = c->peer; /* what is given may point into them */

    c->local = copy_or_null(local);
    c->peer = copy_or_null(peer);
    free(old_local);
    free(old_peer);
}

void s2s_conn_used(struct s2s_conn *c)
{
    c->last_use = s2s_now(c->s2s);
}

/* --- who comes from where --- */

struct s2s_address *s2s_address_get(struct s2s *s, const char *ip)
{
    struct s2s_address *a = hash_get(&s->addresses, str_of(ip));

    if (a)
        return a;
    a = MEM_NEW(struct s2s_address);
    (void)snprintf(a->ip, sizeof(a->ip), "%s", ip);
    hash_put(&s->addresses, str_of(a->ip), a);
    return a;
}

void s2s_address_release(struct s2s *s, struct s2s_address *a)
{
    if (!a || a->conns > 0 || a->pending > 0)
        return;
    hash_del(&s->addresses, str_of(a->ip));
    free(a);
}

/* --- begin --- */

static void limits_of(const struct s2s_conn *c, bool known, struct parser_limits *ret)
{
    size_t most = (size_t)s2s_config(c->s2s)->s2s_max_stanza;

    *ret = (struct parser_limits){
        .stanza_bytes = known ? most : CONN_PREAUTH_STANZA,
        .total_bytes = known ? 0 : CONN_PREAUTH_TOTAL,
        .depth = CONN_DEPTH,
        .attributes = CONN_ATTRIBUTES,
        .namespaces = CONN_NAMESPACES,
        .children = CONN_CHILDREN,
    };
}

void s2s_conn_raise_limits(struct s2s_conn *c)
{
    struct parser_limits limits;

    limits_of(c, true, &limits);
    parser_set_limits(c->parser, &limits);
}

static struct s2s_conn *create(struct s2s *s, enum s2s_role role)
{
    struct s2s_conn *c = MEM_NEW(struct s2s_conn);
    struct parser_limits limits;

    c->s2s = s;
    c->role = role;
    c->state = S2S_WAIT_HEADER;
    c->last_use = s2s_now(s);
    list_init(&c->remote_node);
    list_init(&c->link_node);
    list_init(&c->pairs);
    list_init(&c->proofs);
    list_init(&c->verifies);
    domain_queue_init(&c->unacked);
    unhandled_init(&c->in, &s->unhandled, 0);
    s2s_ping_init(c);
    list_push(&s->conns, &c->node);
    s->conn_count++;
    limits_of(c, role == S2S_MADE, &limits);
    c->parser = parser_create(s->component->env->parsers, &limits, &s2s_element_events, c);
    loop_timer_init(&c->timer, s2s_loop(s), on_timer);
    loop_timer_init(&c->rate_timer, s2s_loop(s), s2s_flow_rate_tick);
    loop_timer_start(&c->timer, (uint64_t)s2s_config(s)->s2s_auth_time * 1000);
    return c;
}

static const char *refusal(const struct s2s *s, const struct s2s_address *a)
{
    const struct config *config = s2s_config(s);

    if (s->stopping)
        return "the server is stopping";
    if (config->s2s_max_per_address > 0 && a->conns >= (uint64_t)config->s2s_max_per_address)
        return "too many connections from this address (s2s.max_per_address)";
    if (s->conn_count >= (uint64_t)config->s2s_max_connections)
        return "too many connections (s2s.max_connections)";
    return NULL;
}

void s2s_conn_accept(struct s2s *s, struct conn *conn, bool direct_tls)
{
    struct s2s_address *a = s2s_address_get(s, conn_peer(conn)->ip);
    const char *why = refusal(s, a);
    struct s2s_conn *c;

    if (why) {
        s->count.refused++;
        if (log_limit_pass(&s->limit_accept, s2s_now(s), &s->component->log))
            log_warn(&s->component->log, "connection from %s refused: %s", a->ip, why);
        s2s_address_release(s, a);
        conn_close(conn, 0);
        return;
    }
    s->count.accepted++;
    c = create(s, S2S_ACCEPTED);
    c->conn = conn;
    c->address = a;
    c->direct_tls = direct_tls;
    a->conns++;
    conn_start(conn, &events, c, CONN_QUEUE);
    if (direct_tls) {
        s2s_conn_set_state(c, S2S_TLS, "direct TLS");
        conn_start_tls_server(conn, s2s_tls_server(s->tls, true), NULL);
    }
}

struct s2s_conn *s2s_conn_made(struct remote *r, const struct target *target, struct str local,
                               struct conn *conn)
{
    struct s2s *s = r->s2s;
    struct s2s_conn *c = create(s, S2S_MADE);

    c->remote = r;
    c->target = *target;
    c->direct_tls = target->direct_tls;
    c->tried_external = r->no_external;
    s2s_conn_set_domains(c, local, remote_name(r));
    list_push(&r->conns, &c->remote_node);
    c->conn = conn;
    conn_start(conn, &events, c, CONN_QUEUE);
    if (c->direct_tls) {
        s2s_conn_set_state(c, S2S_TLS, "direct TLS");
        conn_start_tls_client(c->conn, s2s_tls_client(s->tls, local, true), c->peer);
    } else {
        s2s_out_begin(c);
    }
    return c;
}

/* --- end --- */

static void forget_verifies(struct s2s_conn *c)
{
    LIST_EACH_SAFE (it, &c->verifies) {
        struct verify *v = LIST_ENTRY(it, struct verify, asker_node);
        list_remove(&v->asker_node);
        v->asker = NULL; /* the answer will find nobody */
    }
    c->verify_count = 0;
}

static void leave(struct s2s_conn *c, enum stanza_condition condition, const char *why,
                  uint32_t linger_ms)
{
    struct s2s *s = c->s2s;

    s2s_conn_set_state(c, S2S_CLOSED, why);
    loop_timer_stop(&c->timer);
    loop_timer_stop(&c->rate_timer);
    s2s_ping_stop(c);
    s2s_resolve_cancel(&c->query);
    list_remove(&c->link_node);
    list_remove(&c->remote_node);
    if (c->in_feed)
        parser_stop(c->parser);
    conn_close(c->conn, linger_ms);
    c->conn = NULL;
    if (c->address) {
        c->address->conns--;
        s2s_address_release(s, c->address);
        c->address = NULL;
    }
    forget_verifies(c);
    s2s_proof_forget_all(c);
    s->conn_count--;
    list_remove(&c->node);
    list_push(&s->closed, &c->node);
    loop_defer(s2s_loop(s), &s->reaper, LOOP_PACKETS);
    unhandled_finish(&c->in); /* its other end sends again what we have not acknowledged */
    remote_conn_ended(c, condition, why);
}

static void destroy(struct s2s_conn *c)
{
    list_remove(&c->node);
    parser_destroy(c->parser);
    free(c->local);
    free(c->peer);
    free(c->id);
    free(c);
}

void s2s_conn_reap(struct loop_task *task)
{
    struct s2s *s = MEM_CONTAINER(task, struct s2s, reaper);

    LIST_EACH_SAFE (it, &s->closed)
        destroy(LIST_ENTRY(it, struct s2s_conn, node));
    s2s_check_stopped(s);
}

void s2s_conn_close(struct s2s_conn *c, const char *cause)
{
    if (c->state == S2S_CLOSED)
        return;
    if (c->header_sent && c->state != S2S_TLS)
        s2s_conn_write(c, STR("</stream:stream>"));
    leave(c, STANZA_ERR_REMOTE_SERVER_TIMEOUT, cause, S2S_LINGER_MS);
}

void s2s_conn_error(struct s2s_conn *c, enum stream_condition condition, const char *text)
{
    s2s_conn_error_app(c, condition, text, STR_NULL);
}

void s2s_conn_error_app(struct s2s_conn *c, enum stream_condition condition, const char *text,
                        struct str app)
{
    struct log log = s2s_conn_log(c);
    struct buffer out;
    bool in_handshake = c->state == S2S_TLS;

    if (c->state == S2S_CLOSED)
        return;
    c->s2s->count.stream_errors++;
    if (log_limit_pass(&c->s2s->limit_stream, s2s_now(c->s2s), &c->s2s->component->log))
        log_info(&log, "stream error %.*s in state %s: %s",
                 STR_ARG(stream_error_element(condition)), s2s_state_name(c->state),
                 text ? text : "-");
    if (!in_handshake) {
        if (!c->header_sent)
            s2s_in_error_header(c);
        buffer_init(&out, 2048);
        stream_error_write_app(&out, condition, text, app);
        s2s_conn_write_buffer(c, &out);
    }
    leave(c, STANZA_ERR_REMOTE_SERVER_TIMEOUT, text ? text : "stream error",
          in_handshake ? 0 : S2S_LINGER_MS);
}

void s2s_conn_fail(struct s2s_conn *c, enum stanza_condition condition, const char *why)
{
    if (c->state == S2S_CLOSED)
        return;
    if (c->header_sent && c->state != S2S_TLS)
        s2s_conn_write(c, STR("</stream:stream>"));
    leave(c, condition, why, c->state == S2S_TLS ? 0 : S2S_LINGER_MS);
}

void s2s_conn_restart(struct s2s_conn *c)
{
    parser_restart(c->parser);
    c->header_sent = c->role == S2S_MADE && c->header_sent;
    s2s_conn_set_state(c, S2S_WAIT_HEADER, "stream restart");
}

/* --- in --- */

static void on_data(void *owner, const char *bytes, size_t len)
{
    struct s2s_conn *c = owner;
    enum parser_status status;

    if (c->state == S2S_CLOSED)
        return;
    c->s2s->count.bytes_in += len;
    c->in_feed = true;
    status = parser_feed(c->parser, bytes, len);
    c->in_feed = false;
    if (c->state == S2S_CLOSED)
        return;
    if (status != PARSER_OK) {
        s2s_conn_error(c, stream_error_from_parser(status), parser_why(c->parser));
        return;
    }
    s2s_flow_charge(c, len, c->stanzas);
    c->stanzas = 0;
    s2s_flow_check_link(c);
}

static void on_ready(void *owner)
{
    struct s2s_conn *c = owner;

    if (c->state != S2S_TLS || !conn_tls(c->conn))
        return;
    c->tls = true;
    s2s_judge_certificate(c);
    if (c->role == S2S_MADE)
        s2s_out_tls_ready(c);
    else
        s2s_in_tls_ready(c);
}

static void on_close(void *owner, enum error e, const char *why)
{
    struct s2s_conn *c = owner;
    char text[160];

    if (c->state == S2S_CLOSED)
        return;
    (void)snprintf(text, sizeof(text), "%s", why && why[0] ? why : error_text(e));
    leave(c, STANZA_ERR_REMOTE_SERVER_TIMEOUT, text, 0);
}

static void on_drain(void *owner)
{
    s2s_stanza_resume(owner);
}

/* --- time --- */

static bool in_use(const struct s2s_conn *c)
{
    if (c->verify_count > 0 || c->unacked.count > 0)
        return true;
    LIST_EACH (it, &c->pairs) {
        const struct pair *pair = LIST_ENTRY(it, const struct pair, conn_node);
        if (!domain_queue_empty(&pair->queue))
            return true;
    }
    return false;
}

static void check_idle(struct s2s_conn *c)
{
    uint64_t idle = (uint64_t)s2s_config(c->s2s)->s2s_idle * 1000;
    uint64_t passed = s2s_now(c->s2s) - c->last_use;

    if (c->ack_asked && passed >= CONN_ACK_TIMEOUT_MS) {
        s2s_conn_error(c, STREAM_ERR_CONNECTION_TIMEOUT, "no acknowledgement came");
        return;
    }
    if (passed >= idle && !in_use(c)) {
        s2s_conn_close(c, "idle (s2s.idle)");
        return;
    }
    loop_timer_start(&c->timer, c->ack_asked || idle < CONN_ACK_TIMEOUT_MS ? CONN_ACK_TIMEOUT_MS / 4
                                                                           : CONN_ACK_TIMEOUT_MS);
}

static void on_timer(struct loop_timer *timer)
{
    struct s2s_conn *c = MEM_CONTAINER(timer, struct s2s_conn, timer);

    if (c->state == S2S_OPEN)
        check_idle(c);
    else if (c->role == S2S_MADE)
        s2s_conn_fail(c, STANZA_ERR_REMOTE_SERVER_TIMEOUT,
                      "the other server did not finish its stream in time (s2s.auth_time)");
    else
        s2s_conn_error(c, STREAM_ERR_CONNECTION_TIMEOUT,
                       "nobody was proven in time (s2s.auth_time)");
}

/* --- out --- */

void s2s_conn_write(struct s2s_conn *c, struct str bytes)
{
    if (!c->conn || bytes.len == 0)
        return;
    if (conn_write(c->conn, bytes.data, bytes.len) == ERR_OK)
        c->s2s->count.bytes_out += bytes.len;
}

void s2s_conn_write_buffer(struct s2s_conn *c, struct buffer *out)
{
    s2s_conn_write(c, buffer_str(out));
    buffer_finish(out);
}

/* --- for people --- */

static json_t *list_proofs(const struct s2s_conn *c)
{
    json_t *list = json_array();

    LIST_EACH (it, &c->proofs) {
        const struct proof *p = LIST_ENTRY(it, const struct proof, node);
        json_array_append_new(list, json_pack("{s:s, s:s}", "from", p->remote, "to", p->local));
    }
    return list;
}

json_t *s2s_conn_list(const struct s2s *s)
{
    json_t *list = json_array();

    LIST_EACH (it, &s->conns) {
        const struct s2s_conn *c = LIST_ENTRY(it, struct s2s_conn, node);
        if (c->role != S2S_ACCEPTED)
            continue;
        json_array_append_new(
            list,
            json_pack("{s:s, s:s?, s:s, s:b, s:b, s:b, s:b, s:b, s:b, s:b, s:o}", "address",
                      conn_peer(c->conn)->ip, "domain", c->peer, "state", s2s_state_name(c->state),
                      "tls", (int)c->tls, "certificate", (int)c->authenticated, "dane",
                      (int)c->dane, "bidi", (int)c->bidi, "acks", (int)c->sm, "slowed",
                      (c->paused & S2S_PAUSE_RATE) != 0, "waiting",
                      (c->paused & ~(unsigned)S2S_PAUSE_RATE) != 0, "pairs", list_proofs(c)));
    }
    return list;
}
