/* A client's life: accepted, read, paused, closed, freed; and the bytes written to it. */
#include "c2s/client.h"

#include <stdlib.h>

#include "base/mem.h"
#include "c2s/certificates.h"
#include "c2s/client_acks.h"
#include "xmpp/namespaces.h"

#define CLIENT_LINGER_MS   5000u /* for the last bytes of a stream to leave */
#define CLIENT_STANZA_COST 100   /* what a stanza costs at least of c2s.rate, however small */

static void on_data(void *owner, const char *bytes, size_t len);
static void on_ready(void *owner);
static void on_close(void *owner, enum error e, const char *why);
static void on_drain(void *owner);
static void on_timer(struct loop_timer *timer);

static const struct conn_events conn_events = {
    .on_data = on_data, .on_ready = on_ready, .on_close = on_close, .on_drain = on_drain};

struct log client_log(const struct client *c)
{
    struct log log = c->c2s->component->log;

    if (c->jid)
        log.session = c->jid->text;
    if (c->conn)
        log.peer = conn_peer(c->conn)->ip;
    return log;
}

void client_set_state(struct client *c, enum stream_state state, const char *cause)
{
    struct log log = client_log(c);

    log_debug(&log, "stream %s -> %s: %s", stream_state_name(c->state), stream_state_name(state),
              cause);
    c->state = state;
}

/* --- begin --- */

/* When the house is nearly full, strangers who take their time make room for those who come to log
 * in: at three quarters of c2s.max_connections, or of the file descriptors, the stranger that has
 * waited longest goes (reliability.md B 43). */
static void drop_oldest_stranger(struct c2s *s)
{
    size_t room = (size_t)c2s_config(s)->c2s_max_connections;

    if (room > s->fds)
        room = s->fds;
    if (addresses_connections(s->addresses) < room - room / 4 || list_empty(&s->unauthenticated))
        return;
    client_error(LIST_ENTRY(s->unauthenticated.next, struct client, phase_node),
                 STREAM_ERR_RESOURCE_CONSTRAINT,
                 "too many connections: log in at once after connecting");
}

/* NULL: it may come, and is counted. */
static const char *refusal(struct c2s *s, struct address *a, bool direct_tls)
{
    const struct config *config = c2s_config(s);

    if (s->stopping)
        return "the server is stopping";
    if (direct_tls && !certificates_direct(s->certificates))
        return "direct TLS begins when the reload under way is over";
    if (addresses_connections(s->addresses) >= (uint64_t)config->c2s_max_connections)
        return "too many connections (c2s.max_connections)";
    if (!address_connect(s->addresses, a, config->c2s_max_per_address))
        return "too many connections from this address (c2s.max_per_address)";
    return NULL;
}

static struct client *create(struct c2s *s, struct conn *conn, struct address *address,
                             bool direct_tls)
{
    struct client *c = MEM_NEW(struct client);
    struct parser_limits limits;

    c->c2s = s;
    c->conn = conn;
    c->address = address;
    c->direct_tls = direct_tls;
    c->state = STREAM_WAIT_HEADER;
    c->last_input = c2s_now(s);
    list_init(&c->phase_node);
    list_init(&c->link_node);
    list_init(&c->rate_node);
    list_push(&s->clients, &c->node);
    list_push(&s->unauthenticated, &c->phase_node);
    s->client_count++;
    s->unauthenticated_count++;
    c->negotiation = client_auth_create(c);
    client_stream_limits(c, &limits);
    c->parser = parser_create(s->component->env->parsers, &limits, &client_stream_events, c);
    loop_timer_init(&c->timer, c2s_loop(s), on_timer);
    return c;
}

void client_accept(struct c2s *s, struct conn *conn, bool direct_tls)
{
    const struct config *config = c2s_config(s);
    struct address *address = address_get(s->addresses, conn_peer(conn)->ip);
    const char *why = refusal(s, address, direct_tls);
    struct client *c;

    if (why) {
        s->count.refused++;
        if (log_limit_pass(&s->limit_accept, c2s_now(s), &s->component->log))
            log_warn(&s->component->log, "connection from %s refused: %s", conn_peer(conn)->ip,
                     why);
        address_unref(s->addresses, address);
        conn_close(conn, 0);
        return;
    }
    s->count.accepted++;
    drop_oldest_stranger(s);
    c = create(s, conn, address, direct_tls);
    conn_start(conn, &conn_events, c, s->max_queue * CLIENT_QUEUE_BURST + CLIENT_QUEUE_RESERVE);
    loop_timer_start(&c->timer, (uint64_t)config->c2s_preauth_time * 1000);
    if (direct_tls) {
        client_set_state(c, STREAM_TLS, "direct TLS");
        conn_start_tls_server(conn, certificates_direct(s->certificates), NULL);
    }
}

bool client_authenticated(struct client *c, struct str user)
{
    struct jid *jid = jid_from_parts(user, str_of(c->domain), STR_NULL);
    struct parser_limits limits;

    if (!jid)
        return false;
    jid_unref(c->jid);
    c->jid = jid;
    list_remove(&c->phase_node);
    c->c2s->unauthenticated_count--;
    c->c2s->count.logins++;
    client_stream_limits(c, &limits);
    parser_set_limits(c->parser, &limits);
    /* A resource must follow as soon as the login did. */
    loop_timer_start(&c->timer, (uint64_t)c2s_config(c->c2s)->c2s_preauth_time * 1000);
    return true;
}

/* --- end --- */

static void leave(struct client *c, const char *cause, uint32_t linger_ms)
{
    struct c2s *s = c->c2s;

    client_stream_give_up(c, false);
    client_session_end(c);
    client_acks_end(c);
    client_register_lost(c);
    client_set_state(c, STREAM_CLOSED, cause);
    if (!c->jid)
        s->unauthenticated_count--;
    list_remove(&c->phase_node);
    list_remove(&c->link_node);
    list_remove(&c->rate_node);
    loop_timer_stop(&c->timer);
    client_auth_release(c->negotiation);
    c->negotiation = NULL;
    if (c->in_feed)
        parser_stop(c->parser);
    conn_close(c->conn, linger_ms);
    c->conn = NULL;
    if (c->tls)
        s->tls_count--;
    s->client_count--;
    address_disconnect(s->addresses, c->address);
    address_unref(s->addresses, c->address);
    c->address = NULL;
    list_remove(&c->node);
    list_push(&s->closed, &c->node);
    loop_defer(c2s_loop(s), &s->reaper, LOOP_PACKETS);
}

static void destroy(struct client *c)
{
    list_remove(&c->node);
    parser_destroy(c->parser);
    jid_unref(c->jid);
    jid_unref(c->last_to);
    free(c->lang);
    stanza_unref(c->presence);
    free(c);
}

void client_reap(struct loop_task *task)
{
    struct c2s *s = MEM_CONTAINER(task, struct c2s, reaper);

    LIST_EACH_SAFE (it, &s->closed)
        destroy(LIST_ENTRY(it, struct client, node));
    c2s_check_stopped(s);
}

void client_close(struct client *c, const char *cause)
{
    if (c->state == STREAM_CLOSED)
        return;
    c->ends = true;
    client_stream_give_up(c, true);
    if (c->header_sent)
        client_write(c, STR("</stream:stream>"));
    leave(c, cause, CLIENT_LINGER_MS);
}

/* After these the client may come back to its session (XEP-0198 section 7). */
static bool may_come_back(enum stream_condition condition)
{
    return condition == STREAM_ERR_CONNECTION_TIMEOUT || condition == STREAM_ERR_SYSTEM_SHUTDOWN ||
           condition == STREAM_ERR_RESET || condition == STREAM_ERR_REMOTE_CONNECTION_FAILED;
}

void client_error(struct client *c, enum stream_condition condition, const char *text)
{
    client_error_app(c, condition, text, STR_NULL);
}

void client_error_app(struct client *c, enum stream_condition condition, const char *text,
                      struct str app)
{
    struct log log = client_log(c);
    struct buffer out;
    bool in_handshake = c->state == STREAM_TLS;

    if (c->state == STREAM_CLOSED)
        return;
    c->ends = !may_come_back(condition);
    c->c2s->count.stream_errors++;
    if (log_limit_pass(&c->c2s->limit_stream, c2s_now(c->c2s), &c->c2s->component->log))
        log_info(&log, "stream error %.*s in state %s: %s",
                 STR_ARG(stream_error_element(condition)), stream_state_name(c->state),
                 text ? text : "-");
    client_stream_give_up(c, true);
    if (!in_handshake) {
        /* RFC 6120 section 4.9.1.2: before our header was sent, it goes first. */
        if (!c->header_sent)
            client_stream_header(c, STR_NULL, STR_NULL);
        buffer_init(&out, 2048);
        stream_error_write_app(&out, condition, text, app);
        client_write_buffer(c, &out);
    }
    leave(c, text ? text : "stream error", in_handshake ? 0 : CLIENT_LINGER_MS);
}

void client_lost(struct client *c, const char *cause)
{
    if (c->state == STREAM_CLOSED)
        return;
    leave(c, cause, 0);
}

/* --- in --- */

static void charge(struct client *c, size_t bytes, uint64_t stanzas)
{
    struct c2s *s = c->c2s;
    int64_t rate = c2s_config(s)->c2s_rate;
    uint64_t now = c2s_now(s);
    int64_t cost = (int64_t)bytes;

    if (rate == 0)
        return;
    if (cost < (int64_t)stanzas * CLIENT_STANZA_COST)
        cost = (int64_t)stanzas * CLIENT_STANZA_COST;
    if (bucket_take(&c->bytes, rate, rate, cost, now) || c->paused & CLIENT_PAUSE_RATE)
        return;
    client_pause(c, CLIENT_PAUSE_RATE);
    list_push(&s->throttled, &c->rate_node);
    if (!loop_timer_running(&s->rate_timer))
        loop_timer_start(&s->rate_timer, 20);
}

void client_rate_tick(struct loop_timer *timer)
{
    struct c2s *s = MEM_CONTAINER(timer, struct c2s, rate_timer);
    int64_t rate = c2s_config(s)->c2s_rate;
    uint64_t now = c2s_now(s);

    LIST_EACH_SAFE (it, &s->throttled) {
        struct client *c = LIST_ENTRY(it, struct client, rate_node);
        if (bucket_wait(&c->bytes, rate, rate, now) > 0)
            continue;
        list_remove(&c->rate_node);
        client_resume(c, CLIENT_PAUSE_RATE);
    }
    if (!list_empty(&s->throttled))
        loop_timer_start(&s->rate_timer, 20);
}

void client_unblock(struct c2s *s)
{
    LIST_EACH_SAFE (it, &s->blocked) {
        struct client *c = LIST_ENTRY(it, struct client, link_node);
        list_remove(&c->link_node);
        client_resume(c, CLIENT_PAUSE_LINK);
    }
}

static size_t queue_half(const struct c2s *s)
{
    return (s->max_queue + CLIENT_QUEUE_RESERVE) / 2;
}

static void on_data(void *owner, const char *bytes, size_t len)
{
    struct client *c = owner;
    struct c2s *s = c->c2s;
    uint64_t before = s->count.stanzas_in;
    enum parser_status status;

    if (c->state == STREAM_CLOSED)
        return;
    c->last_input = c2s_now(s);
    c->pinged = false;
    s->count.bytes_in += len;
    c->in_feed = true;
    status = parser_feed(c->parser, bytes, len);
    c->in_feed = false;
    if (c->state == STREAM_CLOSED)
        return;
    if (status != PARSER_OK) {
        client_error(c, stream_error_from_parser(status), parser_why(c->parser));
        return;
    }
    charge(c, len, s->count.stanzas_in - before);
    if (component_full(s->component) && !(c->paused & CLIENT_PAUSE_LINK)) {
        client_pause(c, CLIENT_PAUSE_LINK);
        list_push(&s->blocked, &c->link_node);
    }
    /* Who does not take its answers gets no new ones (reliability.md B 39: self-amplification). */
    if (conn_queued(c->conn) > queue_half(s)) {
        client_pause(c, CLIENT_PAUSE_OUTPUT);
        conn_drain_below(c->conn, queue_half(s)); /* its own bound is for bursts, and far off */
    }
}

static void on_drain(void *owner)
{
    client_resume(owner, CLIENT_PAUSE_OUTPUT);
}

static void on_ready(void *owner)
{
    struct client *c = owner;

    if (c->state != STREAM_TLS)
        return;
    c->tls = true;
    c->c2s->tls_count++;
    client_set_state(c, STREAM_WAIT_HEADER, "TLS handshake finished");
}

static void on_close(void *owner, enum error e, const char *why)
{
    struct client *c = owner;
    struct log log = client_log(c);

    if (c->state == STREAM_CLOSED)
        return;
    log_debug(&log, "connection ended: %s", why ? why : error_text(e));
    client_lost(c, "connection ended");
}

static void on_timer(struct loop_timer *timer)
{
    struct client *c = MEM_CONTAINER(timer, struct client, timer);

    switch (c->state) {
    case STREAM_BOUND:
        client_keepalive_timer(c);
        break;
    case STREAM_BINDING:
        client_error(c, STREAM_ERR_REMOTE_CONNECTION_FAILED,
                     "no session manager answers: try again later");
        break;
    case STREAM_CLOSED:
        break;
    default:
        client_error(c, STREAM_ERR_CONNECTION_TIMEOUT,
                     "the stream was not authenticated and bound in time (c2s.preauth_time)");
    }
}

void client_pause(struct client *c, enum client_pause why)
{
    if (c->paused == 0 && c->conn)
        conn_pause(c->conn);
    c->paused |= (uint8_t)why;
}

void client_resume(struct client *c, enum client_pause why)
{
    if (!(c->paused & why))
        return;
    c->paused &= (uint8_t)~why;
    if (c->paused == 0 && c->conn)
        conn_resume(c->conn);
}

/* --- out --- */

void client_write(struct client *c, struct str bytes)
{
    if (!c->conn || bytes.len == 0)
        return;
    if (conn_write(c->conn, bytes.data, bytes.len) == ERR_OK)
        c->c2s->count.bytes_out += bytes.len;
}

void client_write_buffer(struct client *c, struct buffer *out)
{
    client_write(c, buffer_str(out));
    buffer_finish(out);
}

void client_write_stanza(struct client *c, const struct stanza *s)
{
    size_t size = stanza_write_size(s, NULL), used;
    char *room = c->conn ? conn_reserve(c->conn, size) : NULL;

    if (!room)
        return;
    used = stanza_write_to(s, NULL, room);
    conn_commit(c->conn, used);
    c->c2s->count.bytes_out += used;
    c->c2s->count.stanzas_out++;
}

void client_reply(struct client *c, struct stanza *reply)
{
    if (!reply)
        return;
    if (client_acks_on(c) && c->phase == SESSION_ATTACHED) {
        client_session_echo(c, reply);
        return;
    }
    client_write_stanza(c, reply);
    stanza_unref(reply);
}

void client_refuse(struct client *c, const struct stanza *s, enum stanza_condition condition,
                   const char *text)
{
    struct str from = stanza_attr(s, STANZA_ROOT, STR("to"));

    /* What cannot be parsed is not echoed (reliability.md B 26). */
    if (!from.data || condition == STANZA_ERR_JID_MALFORMED)
        from = str_of(c->domain);
    client_reply(
        c, stanza_error_reply(s, from, c->jid ? jid_full(c->jid) : STR_NULL, condition, text));
}
