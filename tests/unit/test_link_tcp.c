/* Links over the simulated network: order, back-pressure, loss, who may connect - against our own
 * end, and against scripts that speak as jabberd2's router and components do. */
#include "link_end.h"

#include <unistd.h>

#include "xmpp/digest_md5.h"
#include "xmpp/sasl.h"

#define PORT 5347

/* A peer that speaks bytes. */
struct raw {
    struct conn *conn;
    struct buffer in;
    bool closed;
};

struct world {
    struct loop *loop;
    struct net *net;
    struct random *random;
    struct parser_pool *pool;
    struct net_listener *listener;
    struct end a, b; /* b is the server's in the tests over TCP */
    struct raw raw;  /* the script */
    struct log log;
    const char *secret; /* of user "jackdaw" */
    struct tls_server *tls;
    struct tls_client *tls_client;
    bool plain;
};

static int setup(void **state)
{
    struct world *w = MEM_NEW(struct world);

    w->loop = loop_create_sim(1767225600000);
    w->random = random_create_seeded(11);
    w->net = net_create_sim(w->loop, 11);
    w->pool = parser_pool_create(w->random);
    w->secret = "open sesame";
    w->b.close_on_down = true;
    w->b.pool = w->pool;
    if (getenv("TEST_LOG"))
        w->log.sink = log_sink_create(stderr, LOG_DEBUG, LOG_TEXT);
    buffer_init(&w->raw.in, 1 << 20);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    end_finish(&w->a);
    end_finish(&w->b);
    conn_close(w->raw.conn, 0);
    net_listener_close(w->listener);
    loop_sim_advance(w->loop, 5000);
    buffer_finish(&w->raw.in);
    net_destroy(w->net);
    parser_pool_destroy(w->pool);
    random_destroy(w->random);
    loop_destroy(w->loop);
    log_sink_destroy(w->log.sink);
    tls_server_unref(w->tls);
    tls_client_destroy(w->tls_client);
    free(w);
    return 0;
}

static void settle(struct world *w)
{
    while (loop_sim_turn(w->loop))
        continue;
}

/* --- over TCP --- */

static const char *secret_of(void *arg, struct str user)
{
    struct world *w = arg;

    return str_is(user, "jackdaw") ? w->secret : NULL;
}

static void on_accept(void *arg, struct conn *conn)
{
    struct world *w = arg;
    const struct link_tcp_server config = {.secret_of = secret_of, .arg = w, .tls = w->tls};

    if (w->b.link) {
        conn_close(conn, 0);
        return;
    }
    w->b.link = link_tcp_accept(w->loop, w->net, w->pool, w->random, w->log, conn, &config);
    link_set_events(w->b.link, &end_events, &w->b);
}

static struct net_address router_address(void)
{
    struct net_address at = {.ip = "127.0.0.1", .port = PORT};

    return at;
}

static void serve(struct world *w)
{
    struct net_address at = router_address();

    assert_int_equal(net_listen(w->net, &at, on_accept, w, &w->listener), ERR_OK);
}

static void dial(struct world *w, const char *secret)
{
    struct link_tcp_config config = {.router = router_address(),
                                     .user = STR("jackdaw"),
                                     .secret = str_of(secret),
                                     .tls = w->tls_client,
                                     .plain = w->plain};

    w->a.link = link_tcp_connect(w->loop, w->net, w->pool, w->random, w->log, &config);
    link_set_events(w->a.link, &end_events, &w->a);
}

static void tcp_pair(struct world *w)
{
    serve(w);
    dial(w, "open sesame");
    loop_sim_advance(w->loop, 2000);
    assert_int_equal(w->a.ups, 1);
    assert_int_equal(w->b.ups, 1);
    assert_true(str_is(link_user(w->b.link), "jackdaw"));
}

static void tcp_keeps_order_both_ways(void **state)
{
    struct world *w = *state;

    tcp_pair(w);
    for (unsigned i = 0; i < 200; i++) {
        link_send(w->a.link, numbered(i, 700));
        link_send(w->b.link, numbered(i, 20));
    }
    assert_int_equal(w->a.count + w->b.count, 0);
    loop_sim_advance(w->loop, 5000);
    expect_in_order(&w->b, 200);
    expect_in_order(&w->a, 200);
}

static void tcp_carries_large_packets(void **state)
{
    struct world *w = *state;

    tcp_pair(w);
    link_send(w->a.link, numbered(0, 5000000)); /* larger than the connection's buffer */
    link_send(w->a.link, numbered(1, 10));
    link_send(w->a.link, numbered(2, 3000000));
    loop_sim_advance(w->loop, 60000);
    expect_in_order(&w->b, 3);
    assert_int_equal(stanza_text(w->b.got[0]->stanza, 1).len, 5000000);
}

static void tcp_has_back_pressure(void **state)
{
    struct world *w = *state;
    unsigned sent = 0;

    tcp_pair(w);
    link_set_max(w->a.link, 8000000);
    link_pause(w->b.link);
    while (!link_full(w->a.link) && sent < 4000) {
        link_send(w->a.link, numbered(sent++, 4000));
        loop_sim_advance(w->loop, 20);
    }
    assert_in_range(sent, 400, 700);
    assert_int_equal(w->a.writable, 0);
    link_resume(w->b.link);
    loop_sim_advance(w->loop, 60000);
    expect_in_order(&w->b, sent);
    assert_int_equal(w->a.writable, 1);
    assert_int_equal(link_queued(w->a.link), 0);
}

static void tcp_reconnects_for_ever(void **state)
{
    struct world *w = *state;

    tcp_pair(w);
    for (int round = 1; round <= 3; round++) {
        net_sim_cut(w->net, "127.0.0.1", PORT);
        settle(w);
        loop_sim_advance(w->loop, 10);
        assert_int_equal(w->a.downs, round);
        link_send(w->a.link, numbered(0, 10)); /* while down: at once back to the sender */
        link_send(w->a.link, packet_create_control(PACKET_BIND, STR("x"), 0));
        settle(w);
        assert_int_equal(w->a.count, 1);
        assert_int_equal(w->a.got[0]->error, 503);
        assert_true(str_is(w->a.got[0]->route_to, "c2s"));
        forget(&w->a);
        loop_sim_advance(w->loop, 3000);
        assert_int_equal(w->a.ups, round + 1);
        link_send(w->a.link, numbered(0, 10));
        loop_sim_advance(w->loop, 1000);
        expect_in_order(&w->b, 1);
        forget(&w->b);
    }
}

static void tcp_waits_for_a_router_that_comes_late(void **state)
{
    struct world *w = *state;

    dial(w, "open sesame");
    loop_sim_advance(w->loop, 3600000);
    assert_int_equal(w->a.ups, 0);
    assert_int_equal(w->a.downs, 0);
    serve(w);
    loop_sim_advance(w->loop, 3000);
    assert_int_equal(w->a.ups, 1);
}

static void tcp_returns_what_waited(void **state)
{
    struct world *w = *state;
    unsigned sent = 0;

    tcp_pair(w);
    link_pause(w->b.link);
    while (link_queued(w->a.link) < 3000000 && sent < 4000) {
        link_send(w->a.link, numbered(sent++, 4000));
        loop_sim_advance(w->loop, 20);
    }
    net_sim_cut(w->net, "127.0.0.1", PORT);
    loop_sim_advance(w->loop, 50);
    assert_int_equal(w->a.downs, 1);
    assert_true(w->a.count > 100); /* all but what the connection had taken */
    for (size_t i = 1; i < w->a.count; i++)
        assert_int_equal(number_of(w->a.got[i]), number_of(w->a.got[i - 1]) + 1);
    assert_int_equal(number_of(w->a.got[w->a.count - 1]), sent - 1);
}

static void tcp_wrong_secret(void **state)
{
    struct world *w = *state;

    serve(w);
    dial(w, "open barley");
    loop_sim_advance(w->loop, 5000);
    assert_int_equal(w->a.ups, 0);
    assert_int_equal(w->b.ups, 0);
    assert_true(w->b.downs > 2); /* it was told each time, and the client goes on trying */
    w->secret = "open barley";
    loop_sim_advance(w->loop, 3000);
    assert_int_equal(w->a.ups, 1);
}

static void tcp_close_says_goodbye(void **state)
{
    struct world *w = *state;

    tcp_pair(w);
    link_send(w->a.link, numbered(0, 10));
    link_close(w->a.link);
    w->a.link = NULL;
    loop_sim_advance(w->loop, 1000);
    expect_in_order(&w->b, 1);
    assert_int_equal(w->b.downs, 1);
}

static void tcp_closing_inside_an_event(void **state)
{
    struct world *w = *state;

    tcp_pair(w);
    w->b.close_on_packet = true;
    for (unsigned i = 0; i < 10; i++)
        link_send(w->a.link, numbered(i, 10));
    loop_sim_advance(w->loop, 20);
    assert_int_equal(w->b.count, 1);
    assert_int_equal(w->b.downs, 0);
}

static void tcp_notices_silence_on_the_line(void **state)
{
    struct world *w = *state;

    serve(w);
    net_sim_blackhole(w->net, "127.0.0.1", PORT, true);
    dial(w, "open sesame");
    loop_sim_advance(w->loop, 60000);
    assert_int_equal(w->a.ups, 0);
    net_sim_blackhole(w->net, "127.0.0.1", PORT, false);
    loop_sim_advance(w->loop, 15000);
    assert_int_equal(w->a.ups, 1);
}

/* --- with TLS --- */

static void certify(struct world *w)
{
    char dir[] = "/tmp/jackdaw-test-link-XXXXXX", cert[64], key[64], why[256];

    assert_non_null(mkdtemp(dir));
    assert_int_equal(tls_make_certificate(dir, "router.test", why, sizeof(why)), ERR_OK);
    (void)snprintf(cert, sizeof(cert), "%s/router.test.pem", dir);
    (void)snprintf(key, sizeof(key), "%s/router.test-key.pem", dir);
    w->tls = tls_server_create();
    assert_int_equal(tls_server_add(w->tls, "router.test", cert, key, why, sizeof(why)), ERR_OK);
    unlink(cert);
    unlink(key);
    (void)snprintf(cert, sizeof(cert), "%s/ca.pem", dir);
    (void)snprintf(key, sizeof(key), "%s/ca-key.pem", dir);
    unlink(cert);
    unlink(key);
    rmdir(dir);
}

static void tls_when_both_have_it(void **state)
{
    struct world *w = *state;

    certify(w);
    w->tls_client = tls_client_create(NULL, false);
    tcp_pair(w);
    for (unsigned i = 0; i < 50; i++)
        link_send(w->a.link, numbered(i, 3000));
    loop_sim_advance(w->loop, 5000);
    expect_in_order(&w->b, 50);
}

static void tls_is_not_given_up(void **state)
{
    struct world *w = *state;

    w->tls_client = tls_client_create(NULL, false);
    serve(w);
    dial(w, "open sesame");
    loop_sim_advance(w->loop, 5000);
    assert_int_equal(w->a.ups, 0);
    assert_true(w->b.downs > 1);
}

/* --- against scripts --- */

static void raw_data(void *owner, const char *bytes, size_t len)
{
    assert_true(buffer_add(&((struct raw *)owner)->in, bytes, len));
}

static void raw_close(void *owner, enum error e, const char *why)
{
    ((struct raw *)owner)->closed = true;
}

static const struct conn_events raw_events = {.on_data = raw_data, .on_close = raw_close};

static void raw_dial(struct world *w)
{
    struct net_address at = router_address();

    w->raw.conn = conn_connect(w->net, &at, &raw_events, &w->raw);
    loop_sim_advance(w->loop, 100);
}

static void say(struct world *w, const char *text)
{
    assert_int_equal(conn_write(w->raw.conn, text, strlen(text)), ERR_OK);
    loop_sim_advance(w->loop, 1000);
}

/* What has been said so far holds this; returns what is behind it, and forgets. */
static void heard(struct world *w, const char *text)
{
    struct str in = buffer_str(&w->raw.in);

    if (!memmem(in.data, in.len, text, strlen(text)))
        fail_msg("\"%.*s\" holds no \"%s\"", STR_ARG(in), text);
    buffer_clear(&w->raw.in);
}

/* The base64 text of an element, decoded. */
static void heard_data(struct world *w, const char *name, struct buffer *out)
{
    struct str in = buffer_str(&w->raw.in),
               start = STR("xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>");
    char *at = memmem(in.data, in.len, name, strlen(name)), *end;

    if (!at || !(at = memmem(at, (size_t)(in.data + in.len - at), start.data, start.len)))
        fail_msg("\"%.*s\" holds no <%s>", STR_ARG(in), name);
    at += start.len;
    end = memchr(at, '<', (size_t)(in.data + in.len - at));
    assert_non_null(end);
    assert_true(sasl_base64_decode((struct str){at, (size_t)(end - at)}, out));
    buffer_clear(&w->raw.in);
}

static void say_data(struct world *w, const char *name, struct str data)
{
    struct buffer out;

    buffer_init(&out, 8192);
    assert_true(buffer_printf(&out, "<%s xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>", name));
    if (data.len)
        assert_true(sasl_base64_encode(data, &out));
    assert_true(buffer_printf(&out, "</%s>", name));
    assert_true(buffer_add_char(&out, '\0'));
    say(w, buffer_str(&out).data);
    buffer_finish(&out);
}

#define HEADER                                                                                     \
    "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' "         \
    "version='1.0'>"
#define FRAMES  "<frames xmlns='jackdaw:frames:1'/>"
#define SASL_NS "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"
#define COMP_NS "xmlns='http://jabberd.jabberstudio.org/ns/component/1.0'"

/* The script is authenticated as a component, up to the features of the second stream. */
static void raw_log_in(struct world *w)
{
    struct digest_md5 *d = digest_md5_client(STR("jackdaw"), STR("open sesame"),
                                             STR("jabberd-router"), STR("host"), w->random);
    struct buffer in, out;

    buffer_init(&in, 8192);
    buffer_init(&out, 8192);
    raw_dial(w);
    say(w, HEADER);
    heard(w, "<mechanism>DIGEST-MD5</mechanism>");
    say(w, "<auth " SASL_NS " mechanism='DIGEST-MD5'/>");
    heard_data(w, "challenge", &in);
    assert_non_null(memmem(in.data, buffer_len(&in), "realm=\"jabberd-router\"", 22));
    assert_true(digest_md5_answer(d, buffer_str(&in), &out));
    say_data(w, "response", buffer_str(&out));
    buffer_clear(&in);
    heard_data(w, "success", &in);
    assert_true(digest_md5_verify(d, buffer_str(&in)));
    say(w, HEADER);
    heard(w, "<stream:features>" FRAMES "</stream:features>");
    digest_md5_destroy(d);
    buffer_finish(&in);
    buffer_finish(&out);
}

/* As jabberd2's sm logs in and binds (jabberd2.md 1.2). */
static void a_component_of_jabberd2_logs_in(void **state)
{
    struct world *w = *state;

    serve(w);
    raw_log_in(w);
    assert_int_equal(w->b.ups, 1);
    assert_true(str_is(link_user(w->b.link), "jackdaw"));
    say(w, "<bind " COMP_NS " name='sm'/> <dance " COMP_NS "/><presence xmlns='jabber:client'/>"
           "<throttle " COMP_NS "/>");
    assert_int_equal(w->b.count, 2); /* what is no packet was dropped */
    assert_int_equal(w->b.got[0]->kind, PACKET_BIND);
    assert_int_equal(w->b.got[1]->kind, PACKET_THROTTLE);
    link_send(w->b.link, packet_create_control(PACKET_BIND, STR_NULL, 0));
    loop_sim_advance(w->loop, 100);
    heard(w, "<bind " COMP_NS "/>");
    say(w, "</stream:stream>");
    assert_int_equal(w->b.downs, 1);
}

static void digest_md5_with_a_wrong_secret(void **state)
{
    struct world *w = *state;
    struct buffer in, out;

    buffer_init(&in, 8192);
    buffer_init(&out, 8192);
    serve(w);
    raw_dial(w);
    say(w, HEADER);
    for (int i = 0; i < 3; i++) {
        struct digest_md5 *d =
            digest_md5_client(i == 1 ? STR("nobody") : STR("jackdaw"), STR("open barley"),
                              STR("jabberd-router"), STR("host"), w->random);
        buffer_clear(&in);
        buffer_clear(&out);
        buffer_clear(&w->raw.in);
        say(w, "<auth " SASL_NS " mechanism='DIGEST-MD5'/>");
        heard_data(w, "challenge", &in);
        assert_true(digest_md5_answer(d, buffer_str(&in), &out));
        say_data(w, "response", buffer_str(&out));
        assert_non_null(memmem(w->raw.in.data, buffer_len(&w->raw.in), "<not-authorized/>", 17));
        digest_md5_destroy(d);
    }
    heard(w, "<policy-violation"); /* the third was the last */
    assert_int_equal(w->b.ups, 0);
    assert_int_equal(w->b.downs, 1);
    buffer_finish(&in);
    buffer_finish(&out);
}

static void raw_accept(void *arg, struct conn *conn)
{
    struct world *w = arg;

    if (w->raw.conn) {
        conn_close(conn, 0);
        return;
    }
    w->raw.conn = conn;
    conn_start(conn, &raw_events, &w->raw, 0);
}

/* The script is a router that offers DIGEST-MD5 alone, as jabberd2's; up to the header of the
 * second stream. */
static void raw_let_in(struct world *w)
{
    struct net_address at = router_address();
    struct digest_md5 *d =
        digest_md5_server(STR("jabberd-router"), STR("jabberd-router"), w->random);
    struct buffer in, out;
    struct str user;

    buffer_init(&in, 8192);
    buffer_init(&out, 8192);
    assert_int_equal(net_listen(w->net, &at, raw_accept, w, &w->listener), ERR_OK);
    dial(w, "open sesame");
    loop_sim_advance(w->loop, 100);
    heard(w, "<stream:stream");
    say(w, HEADER "<stream:features><mechanisms " SASL_NS
                  "><mechanism>DIGEST-MD5</mechanism></mechanisms>"
                  "</stream:features>");
    heard(w, "mechanism='DIGEST-MD5'");
    digest_md5_challenge(d, &out);
    say_data(w, "challenge", buffer_str(&out));
    heard_data(w, "response", &in);
    assert_true(digest_md5_response(d, buffer_str(&in), &user));
    assert_true(str_is(user, "jackdaw"));
    buffer_clear(&out);
    assert_true(digest_md5_check(d, STR("open sesame"), &out));
    say_data(w, "success", buffer_str(&out));
    heard(w, "<stream:stream");
    assert_int_equal(w->a.ups, 0);
    digest_md5_destroy(d);
    buffer_finish(&in);
    buffer_finish(&out);
}

static void a_router_of_jabberd2(void **state)
{
    struct world *w = *state;

    raw_let_in(w);
    say(w, HEADER "<stream:features/>");
    assert_int_equal(w->a.ups, 1);
    say(w, "<bind " COMP_NS " error='409'/><presence " COMP_NS " from='sm' type='unavailable'/>");
    assert_int_equal(w->a.count, 2);
    assert_int_equal(w->a.got[0]->error, 409);
    assert_false(w->a.got[1]->up);
}

/* It must prove that it knows the secret, or it is an impostor. */
static void a_router_that_proves_nothing(void **state)
{
    struct world *w = *state;
    struct net_address at = router_address();

    assert_int_equal(net_listen(w->net, &at, raw_accept, w, &w->listener), ERR_OK);
    dial(w, "open sesame");
    loop_sim_advance(w->loop, 100);
    say(w, HEADER "<stream:features><mechanisms " SASL_NS
                  "><mechanism>SCRAM-SHA-256</mechanism></mechanisms>"
                  "</stream:features><success " SASL_NS "/>");
    conn_close(w->raw.conn, 0);
    w->raw.conn = NULL;
    net_listener_close(w->listener);
    w->listener = NULL;
    assert_int_equal(w->a.ups, 0);
}

/* --- frames --- */

static void say_bytes(struct world *w, const void *bytes, size_t len)
{
    assert_int_equal(conn_write(w->raw.conn, bytes, len), ERR_OK);
    loop_sim_advance(w->loop, 1000);
}

/* A packet as a frame, with one byte of it changed (at 0: none). */
static void say_frame(struct world *w, struct packet *p, size_t at, char value)
{
    char *out = mem_alloc(frame_size(p));
    size_t len = frame_write(p, out);

    if (at)
        out[at] = value;
    say_bytes(w, out, len);
    free(out);
    packet_destroy(p);
}

static void both_of_ours_speak_frames(void **state)
{
    struct world *w = *state;

    tcp_pair(w);
    for (unsigned i = 0; i < 20; i++) {
        link_send(w->a.link, numbered(i, 100));
        link_send(w->b.link, numbered(i, 100));
    }
    loop_sim_advance(w->loop, 5000);
    expect_in_order(&w->b, 20);
    expect_in_order(&w->a, 20);
    assert_int_equal(w->b.sealed, 20); /* the router's end alone */
    assert_int_equal(w->a.sealed, 0);
    assert_true(link_takes_sealed(w->a.link) && link_takes_sealed(w->b.link));
    loop_sim_advance(w->loop, 120000); /* keepalives are none of anybody's business */
    assert_int_equal(w->a.count + w->b.count, 40);
    assert_int_equal(w->a.downs + w->b.downs, 0);
}

/* The way of jabberd2's processes, between ours. */
static void xml_where_it_is_asked_for(void **state)
{
    struct world *w = *state;

    w->plain = true;
    tcp_pair(w);
    for (unsigned i = 0; i < 20; i++)
        link_send(i % 2 ? w->a.link : w->b.link, numbered(i / 2, 700));
    loop_sim_advance(w->loop, 5000);
    expect_in_order(&w->b, 10);
    expect_in_order(&w->a, 10);
    assert_int_equal(w->b.sealed, 0);
    assert_false(link_takes_sealed(w->b.link));
}

static void raw_frames(struct world *w)
{
    raw_log_in(w);
    say(w, FRAMES);
    heard(w, FRAMES);
}

/* The router has said why, and closed this connection alone. */
static void cut_with(struct world *w, const char *condition)
{
    heard(w, condition);
    loop_sim_advance(w->loop, 3000);
    assert_true(w->raw.closed);
    assert_null(w->b.link);
    conn_close(w->raw.conn, 0);
    w->raw.conn = NULL;
    w->raw.closed = false;
    loop_sim_advance(w->loop, 1000);
}

static void frames_that_are_none(void **state)
{
    struct world *w = *state;

    serve(w);
    raw_frames(w);
    say_frame(w, numbered(0, 10), 4, 99);
    cut_with(w, "bad-format");
    raw_frames(w);
    say_frame(w, numbered(0, 10), 13, 127); /* fields that are not there */
    cut_with(w, "bad-format");
    raw_frames(w);
    say_bytes(w, "\x7F\xFF\xFF\xFF", 4);
    cut_with(w, "policy-violation");
    raw_frames(w);
    say(w, "<route " COMP_NS "/>"); /* "<rou": more than 1 GB */
    cut_with(w, "policy-violation");
    assert_int_equal(w->b.count, 0);
}

static void frames_out_of_turn(void **state)
{
    struct world *w = *state;

    serve(w);
    raw_dial(w);
    say(w, HEADER FRAMES);
    cut_with(w, "<not-authorized");
    raw_log_in(w);
    say(w, FRAMES " ");
    cut_with(w, "<policy-violation");
    raw_frames(w);
    say(w, FRAMES);
    cut_with(w, "policy-violation");
}

/* It goes on sealed: whoever opens it drops it, and the stream lives. */
static void a_frame_that_is_wrong_inside(void **state)
{
    struct world *w = *state;
    struct packet *bad = numbered(0, 10);
    size_t last = frame_size(bad) - 1;

    w->b.leave_sealed = true;
    serve(w);
    raw_frames(w);
    say_frame(w, bad, last - 1, '<');
    say_frame(w, numbered(1, 10), 0, 0);
    assert_int_equal(w->b.count, 2);
    assert_false(frame_open(w->b.got[0], w->pool));
    assert_true(frame_open(w->b.got[1], w->pool));
    assert_int_equal(w->b.downs, 0);
}

static void a_router_whose_frames_are_wrong(void **state)
{
    struct world *w = *state;
    struct packet *bad = numbered(0, 10);
    size_t last = frame_size(bad) - 1;

    raw_let_in(w);
    say(w, HEADER "<stream:features>" FRAMES "</stream:features>");
    heard(w, FRAMES);
    assert_int_equal(w->a.ups, 0);
    say(w, FRAMES);
    assert_int_equal(w->a.ups, 1);
    say_frame(w, bad, last - 1, '<'); /* a component's fault, not the router's */
    say_frame(w, numbered(1, 10), 0, 0);
    assert_int_equal(w->a.count, 1);
    assert_int_equal(number_of(w->a.got[0]), 1);
    say_frame(w, numbered(2, 10), 7, 1);
    heard(w, "bad-format");
    assert_int_equal(w->a.downs, 1);
}

static void frames_say_goodbye(void **state)
{
    struct world *w = *state;
    char *out = mem_alloc(frame_goodbye_size(STR("x"), STR("y")));

    serve(w);
    raw_frames(w);
    say_bytes(w, out, frame_write_goodbye(STR("x"), STR("y"), out));
    assert_int_equal(w->b.downs, 1);
    free(out);
}

static void hostile(struct world *w, const char *text, const char *answer)
{
    raw_dial(w);
    say(w, text);
    heard(w, answer);
    loop_sim_advance(w->loop, 3000);
    assert_true(w->raw.closed);
    assert_null(w->b.link);
    conn_close(w->raw.conn, 0);
    w->raw.conn = NULL;
    w->raw.closed = false;
    buffer_clear(&w->raw.in);
    loop_sim_advance(w->loop, 1000);
}

static void what_strangers_send(void **state)
{
    struct world *w = *state;
    char *long_text = mem_alloc(20001);

    memset(long_text, 'x', 20000);
    memcpy(long_text, HEADER "<auth a='", sizeof(HEADER "<auth a='") - 1);
    serve(w);
    hostile(w, "GET / HTTP/1.1\r\n\r\n", "<not-well-formed");
    hostile(w,
            "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' "
            "xmlns='jabber:component:accept' to='x'>",
            "<invalid-namespace");
    hostile(w, "<stream:stream xmlns:stream='http://etherx.jabber.org/streams'>",
            "<unsupported-version");
    hostile(w, "<stream xmlns='urn:other' version='1.0'>", "<invalid-namespace");
    hostile(w, HEADER "<bind " COMP_NS " name='sm'/>", "<not-authorized");
    hostile(w, HEADER "<!-- x -->", "<restricted-xml");
    hostile(w, long_text, "<policy-violation");
    raw_dial(w);
    say(w, HEADER "<auth " SASL_NS " mechanism='PLAIN'>AGEAYg==</auth>");
    heard(w, "<invalid-mechanism/>");
    say(w, "<response " SASL_NS ">AAAA</response>");
    heard(w, "<malformed-request/>");
    say(w, "<auth " SASL_NS " mechanism='SCRAM-SHA-256'>!!!!</auth>");
    heard(w, "<incorrect-encoding/>");
    assert_int_equal(w->b.ups, 0);
    free(long_text);
}

/* CVE-2011-0411: what comes in the clear behind <starttls/> must not be taken for encrypted. */
static void plaintext_behind_starttls(void **state)
{
    struct world *w = *state;

    certify(w);
    serve(w);
    hostile(w,
            HEADER "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><auth " SASL_NS
                   " mechanism='DIGEST-MD5'/>",
            "<policy-violation");
}

static void a_stranger_has_ten_seconds(void **state)
{
    struct world *w = *state;

    serve(w);
    raw_dial(w);
    say(w, HEADER);
    assert_false(w->raw.closed);
    loop_sim_advance(w->loop, 10000);
    heard(w, "<connection-timeout");
    assert_true(w->raw.closed);
    assert_int_equal(w->b.downs, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tcp_keeps_order_both_ways),
        TEST(tcp_carries_large_packets),
        TEST(tcp_has_back_pressure),
        TEST(tcp_reconnects_for_ever),
        TEST(tcp_waits_for_a_router_that_comes_late),
        TEST(tcp_returns_what_waited),
        TEST(tcp_wrong_secret),
        TEST(tcp_close_says_goodbye),
        TEST(tcp_closing_inside_an_event),
        TEST(tcp_notices_silence_on_the_line),
        TEST(tls_when_both_have_it),
        TEST(tls_is_not_given_up),
        TEST(plaintext_behind_starttls),
        TEST(a_component_of_jabberd2_logs_in),
        TEST(digest_md5_with_a_wrong_secret),
        TEST(a_router_of_jabberd2),
        TEST(a_router_that_proves_nothing),
        TEST(both_of_ours_speak_frames),
        TEST(xml_where_it_is_asked_for),
        TEST(frames_that_are_none),
        TEST(frames_out_of_turn),
        TEST(a_frame_that_is_wrong_inside),
        TEST(a_router_whose_frames_are_wrong),
        TEST(frames_say_goodbye),
        TEST(what_strangers_send),
        TEST(a_stranger_has_ten_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
