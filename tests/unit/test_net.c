/* net: the same tests over real loopback sockets and over the simulated network. */
#include "net_world.h"

#include <malloc.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/random.h"

static uint64_t next_seed = 1;

static int setup_real(void **state)
{
    *state = world_create(false, 0);
    return 0;
}

static int setup_sim(void **state)
{
    *state = world_create(true, next_seed++);
    return 0;
}

static int teardown(void **state)
{
    world_destroy(*state);
    return 0;
}

/* What byte number `i` of a test stream is. */
static char pattern(size_t i)
{
    return (char)(i * 7 + (i >> 8) * 13 + (i >> 16));
}

static void check_pattern(const struct buffer *b, size_t len)
{
    assert_int_equal(buffer_len(b), len);
    for (size_t i = 0; i < len; i++)
        if (buffer_str(b).data[i] != pattern(i))
            fail_msg("byte %zu of %zu differs", i, len);
}

static void write_pattern(struct conn *c, size_t from, size_t len)
{
    char *bytes = malloc(len);
    for (size_t i = 0; i < len; i++)
        bytes[i] = pattern(from + i);
    assert_int_equal(conn_write(c, bytes, len), ERR_OK);
    free(bytes);
}

static bool connected(struct world *w)
{
    return w->client.readies && w->accepted;
}

static bool both_closed(struct world *w)
{
    return !w->client.conn && !w->servers[0].conn;
}

static bool client_closed(struct world *w)
{
    return w->client.closes > 0;
}

static bool server_closed(struct world *w)
{
    return w->servers[0].closes > 0;
}

/* --- data --- */

enum { ECHO_TOTAL = 3000000 };

static void echo(struct end *e, const char *bytes, size_t len)
{
    assert_int_equal(conn_write(e->conn, bytes, len), ERR_OK);
}

static void echoing(struct end *e)
{
    e->on_data = echo;
}

static bool echo_complete(struct world *w)
{
    static const size_t total = ECHO_TOTAL;
    return buffer_len(&w->client.got) == total;
}

static void bytes_come_back_in_order(void **state)
{
    struct world *w = *state;
    struct random *r = random_create_seeded(5);
    w->prepare = echoing;
    w->max_queue = 4 << 20;
    world_connect(w);
    for (size_t sent = 0;
         sent < ECHO_TOTAL;) { /* some before it is connected, in pieces of all sizes */
        size_t len = 1 + random_below(r, 1u << random_below(r, 17));
        if (len > ECHO_TOTAL - sent)
            len = ECHO_TOTAL - sent;
        if (conn_queued(w->client.conn) + len > 1 << 20) {
            world_wait(w, NULL, 10);
            continue;
        }
        if (random_below(r, 2)) {
            write_pattern(w->client.conn, sent, len);
        } else {
            char *room = conn_reserve(w->client.conn, len + 100);
            if (!room)
                continue;
            for (size_t i = 0; i < len; i++)
                room[i] = pattern(sent + i);
            conn_commit(w->client.conn, len);
        }
        sent += len;
    }
    assert_true(world_wait(w, echo_complete, 60000));
    check_pattern(&w->client.got, ECHO_TOTAL);
    assert_int_equal(w->client.readies, 1);
    assert_int_equal(w->servers[0].readies, 0);
    assert_int_equal(w->accepted, 1);
    random_destroy(r);
}

static void peers_are_named(void **state)
{
    struct world *w = *state;
    world_connect(w);
    assert_true(world_wait(w, connected, 5000));
    assert_string_equal(conn_peer(w->client.conn)->ip, "127.0.0.1");
    assert_int_equal(conn_peer(w->client.conn)->port, w->at.port);
    assert_string_equal(conn_peer(w->servers[0].conn)->ip, "127.0.0.1");
    assert_true(conn_peer(w->servers[0].conn)->port > 1023);
    assert_null(conn_tls(w->client.conn));
    end_close(&w->client, 0);
    assert_true(world_wait(w, server_closed, 5000));
    assert_int_equal(w->servers[0].error, ERR_CLOSED);
}

/* --- back-pressure --- */

static void pausing(struct end *e)
{
    conn_pause(e->conn);
    conn_pause(e->conn);
}

static bool client_drained(struct world *w)
{
    return w->client.drains > 0;
}

static size_t expected_len;

static bool server_has_all(struct world *w)
{
    return buffer_len(&w->servers[0].got) == expected_len;
}

static void a_slow_reader_stops_the_writer(void **state)
{
    struct world *w = *state;
    size_t sent = 0;
    char *piece = calloc(1, 100000);
    w->prepare = pausing;
    world_connect(w);
    assert_true(world_wait(w, connected, 5000));
    for (int full = 0; full < 5;) { /* until the kernel and the queue (1 MiB) are both full */
        for (size_t i = 0; i < 100000; i++)
            piece[i] = pattern(sent + i);
        enum error e = conn_write(w->client.conn, piece, 100000);
        if (e == ERR_OK) {
            sent += 100000;
            full = 0;
            continue;
        }
        assert_int_equal(e, ERR_FULL);
        assert_null(conn_reserve(w->client.conn, 100000));
        full++;
        world_wait(w, NULL, 20);
        assert_true(sent < 100 << 20);
    }
    free(piece);
    assert_true(conn_queued(w->client.conn) <= 1 << 20);
    assert_true(conn_queued(w->client.conn) > (1 << 20) - 100000);
    assert_int_equal(buffer_len(&w->servers[0].got), 0);
    w->client.drains = 0;
    conn_resume(w->servers[0].conn);
    world_wait(w, NULL, 50);
    assert_int_equal(buffer_len(&w->servers[0].got), 0); /* paused twice */
    conn_resume(w->servers[0].conn);
    assert_true(world_wait(w, client_drained, 10000));
    expected_len = sent;
    assert_true(world_wait(w, server_has_all, 60000));
    check_pattern(&w->servers[0].got, sent);
    assert_int_equal(conn_queued(w->client.conn), 0);
    assert_int_equal(w->client.drains, 1);
}

static void one_piece_over_the_maximum_is_refused(void **state)
{
    struct world *w = *state;
    char big[2000] = {0};
    w->max_queue = 1000;
    world_connect(w);
    assert_true(world_wait(w, connected, 5000));
    struct end *server = &w->servers[0];
    assert_int_equal(conn_write(server->conn, big, 1001), ERR_FULL);
    assert_int_equal(conn_queued(server->conn), 0);
    assert_int_equal(conn_write(server->conn, big, 1000), ERR_OK);
    assert_int_equal(conn_write(server->conn, big, 1), ERR_FULL);
    world_wait(w, NULL, 50);
    assert_int_equal(server->drains, 1);
    assert_int_equal(buffer_len(&w->client.got), 1000);
}

/* A pause between two reads must not lose or reorder anything. */
static void pause_and_resume(struct end *e, const char *bytes, size_t len)
{
    buffer_add(&e->got, bytes, len);
    conn_pause(e->conn);
    if (buffer_len(&e->got) % 3)
        conn_resume(e->conn);
}

static void pausing_often(struct end *e)
{
    e->on_data = pause_and_resume;
}

static void short_pauses(void **state)
{
    struct world *w = *state;
    w->prepare = pausing_often;
    world_connect(w);
    assert_true(world_wait(w, connected, 5000));
    write_pattern(w->client.conn, 0, 700000);
    expected_len = 700000;
    for (int i = 0; i < 10000 && !server_has_all(w); i++) {
        size_t before = buffer_len(&w->servers[0].got);
        world_wait(w, NULL, 4);
        if (buffer_len(&w->servers[0].got) % 3 == 0 && before &&
            buffer_len(&w->servers[0].got) == before && !server_has_all(w)) {
            conn_resume(w->servers[0].conn);
        }
    }
    check_pattern(&w->servers[0].got, 700000);
}

/* --- closing --- */

enum { LAST_WORDS = 600000 };

static void say_and_close(struct end *e)
{
    write_pattern(e->conn, 0, LAST_WORDS);
    end_close(e, 5000);
}

static void close_flushes_first(void **state)
{
    struct world *w = *state;
    w->on_accept = say_and_close;
    world_connect(w);
    assert_true(world_wait(w, client_closed, 5000));
    check_pattern(&w->client.got, LAST_WORDS);
    assert_int_equal(w->client.error, ERR_CLOSED);
    assert_int_equal(w->client.closes, 1);
}

static void last_words(struct end *e, const char *bytes, size_t len)
{
    assert_int_equal(conn_write(e->conn, "</stream:stream>", 16), ERR_OK);
    end_close(e, 5000);
}

static void answering_with_close(struct end *e)
{
    e->on_data = last_words;
}

/* A client that goes on talking must still get our last words, not a reset that destroys them. */
static void close_survives_unread_input(void **state)
{
    struct world *w = *state;
    w->prepare = answering_with_close;
    world_connect(w);
    assert_true(world_wait(w, connected, 5000));
    write_pattern(w->client.conn, 0, 500000);
    assert_true(world_wait(w, client_closed, 10000));
    assert_true(str_is(buffer_str(&w->client.got), "</stream:stream>"));
    assert_int_equal(w->client.error, ERR_CLOSED);
    assert_string_equal(w->client.why, "the peer closed the connection");
}

static void pausing_for_ever(struct end *e)
{
    conn_pause(e->conn);
}

static void linger_has_an_end(void **state)
{
    struct world *w = *state;
    w->prepare = pausing_for_ever;
    w->keep_closed = true;
    world_connect(w);
    assert_true(world_wait(w, connected, 5000));
    char *much = calloc(1, 1 << 20);
    while (conn_write(w->client.conn, much, 1 << 20) == ERR_OK)
        world_wait(w, NULL, 4);
    free(much);
    end_close(&w->client, 100);
    world_wait(w, NULL, 300);
    conn_resume(w->servers[0].conn);
    assert_true(world_wait(w, server_closed, 5000)); /* cut off, with or without a reset */
    end_close(&w->servers[0], 0);
}

static void close_at_once(struct end *e)
{
    end_close(e, 0);
}

static void close_on_data(struct end *e, const char *bytes, size_t len)
{
    end_close(e, 0);
}

static void closing_on_data(struct end *e)
{
    e->on_data = close_on_data;
}

static void closing_inside_callbacks(void **state)
{
    struct world *w = *state;
    w->on_accept = close_at_once; /* inside accept */
    world_connect(w);
    assert_true(world_wait(w, client_closed, 5000));

    end_init(w, &w->client);
    w->client.on_ready = close_at_once; /* inside on_ready */
    w->on_accept = NULL;
    w->accepted = 0;
    world_connect(w);
    assert_true(world_wait(w, server_closed, 5000));

    end_init(w, &w->client);
    w->prepare = closing_on_data; /* inside on_data */
    w->accepted = 0;
    world_connect(w);
    conn_write(w->client.conn, "x", 1);
    assert_true(world_wait(w, client_closed, 5000));
}

static void writing_after_the_end_fails(void **state)
{
    struct world *w = *state;
    w->on_accept = close_at_once;
    w->keep_closed = true;
    world_connect(w);
    assert_true(world_wait(w, client_closed, 5000));
    for (int i = 0; i < 100; i++) {
        conn_write(w->client.conn, "x", 1);
        world_wait(w, NULL, 2);
    }
    assert_int_equal(conn_write(w->client.conn, "x", 1), ERR_CLOSED);
    assert_null(conn_reserve(w->client.conn, 1));
    assert_int_equal(w->client.closes, 1);
    end_close(&w->client, 1000);
}

/* The client ends its side; the server may still answer. */
static void answer_after_end(struct end *e)
{
    conn_write(e->conn, "bye", 3);
    end_close(e, 1000);
}

static void answering_the_end(struct end *e)
{
    e->on_close = answer_after_end;
    e->world->keep_closed = true;
}

static void half_closed_peers_get_answers(void **state)
{
    struct world *w = *state;
    w->prepare = answering_the_end;
    world_connect(w);
    assert_true(world_wait(w, connected, 5000));
    /* a close with linger sends our end and then discards: the server's answer must find its way
     * without a reset */
    write_pattern(w->client.conn, 0, 100);
    end_close(&w->client, 2000);
    assert_true(world_wait(w, server_closed, 5000));
    assert_int_equal(w->servers[0].error, ERR_CLOSED);
    check_pattern(&w->servers[0].got, 100);
    world_wait(w, NULL, 50);
}

static void destroying_with_open_connections(void **state)
{
    struct world *w = *state;
    world_connect(w);
    assert_true(world_wait(w, connected, 5000));
    conn_write(w->client.conn, "unsent", 6);
    /* teardown destroys the net: ASan and uv_loop_close tell whether anything is left */
}

/* --- connecting and listening --- */

static void refused(void **state)
{
    struct world *w = *state;
    net_listener_close(w->listener);
    net_listener_close(NULL);
    world_connect(w);
    assert_int_equal(w->client.closes, 0); /* never inside the call */
    assert_true(world_wait(w, client_closed, 5000));
    assert_int_equal(w->client.error, ERR_REFUSED);
}

static void close_while_connecting(void **state)
{
    struct world *w = *state;
    world_connect(w);
    end_close(&w->client, 1000);
    world_wait(w, NULL, 50);
    assert_int_equal(w->client.closes, 0);
}

static void address_in_use(void **state)
{
    struct world *w = *state;
    struct net_listener *second = NULL;
    assert_int_equal(net_listen(w->net, &w->at, world_accept, w, &second), ERR_ADDRESS_IN_USE);
    assert_null(second);
}

static void many_cycles_leave_no_memory(void **state)
{
    struct world *w = *state;
    size_t before = 0;
    for (int i = 0; i < 2000; i++) {
        w->accepted = 0;
        end_init(w, &w->client);
        world_connect(w);
        conn_write(w->client.conn, "hello", 5);
        if (i % 2)
            assert_true(world_wait(w, connected, 5000));
        end_close(&w->client, i % 3 ? 1000 : 0);
        if (i % 2)
            assert_true(world_wait(w, both_closed, 5000));
        else
            world_wait(w, NULL, 1);
        if (w->servers[0].conn)
            end_close(&w->servers[0], 0);
        if (i == 200)
            before = mallinfo2().uordblks;
    }
    world_wait(w, NULL, 20);
    assert_true(mallinfo2().uordblks <
                before + 20000); /* under ASan both are 0, and it looks itself */
}

/* --- real sockets only --- */

static void bad_addresses(void **state)
{
    struct world *w = *state;
    struct net_listener *l;
    const char *bad[] = {"localhost", "", "1.2.3", "unix:", "127.0.0.1:5"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct net_address at = {.port = 1};
        snprintf(at.ip, sizeof at.ip, "%s", bad[i]);
        assert_int_equal(net_listen(w->net, &at, world_accept, w, &l), ERR_INVALID);
        end_init(w, &w->client);
        w->client.conn = conn_connect(w->net, &at, &end_events, &w->client);
        assert_true(world_wait(w, client_closed, 1000));
        assert_int_equal(w->client.error, ERR_INVALID);
    }
}

static void both_families(void **state)
{
    struct world *w = *state;
    struct net_listener *four, *six;
    struct net_address any4 = {"0.0.0.0", 0}, any6 = {"::", 0};
    assert_int_equal(net_listen(w->net, &any4, world_accept, w, &four), ERR_OK);
    any6.port = net_listener_port(four);
    enum error e = net_listen(w->net, &any6, world_accept, w, &six);
    net_listener_close(four);
    if (e == ERR_INVALID)
        skip(); /* a machine without IPv6 */
    assert_int_equal(e, ERR_OK);
    w->at = (struct net_address){"::1", any6.port};
    world_connect(w);
    assert_true(world_wait(w, connected, 5000));
    assert_string_equal(conn_peer(w->servers[0].conn)->ip, "::1");
    net_listener_close(six);
}

static void unix_sockets(void **state)
{
    struct world *w = *state;
    struct net_listener *l, *second;
    struct net_address at = {.port = 0};
    struct stat st;
    snprintf(at.ip, sizeof at.ip, "unix:/tmp/jackdaw-test-%d.sock", (int)getpid());
    const char *path = at.ip + 5;
    assert_int_equal(net_listen(w->net, &at, world_accept, w, &l), ERR_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(net_listen(w->net, &at, world_accept, w, &second), ERR_ADDRESS_IN_USE);
    world_wait(w, NULL, 20); /* the second asked whether anybody listens */
    w->accepted = 0;
    w->at = at;
    world_connect(w);
    assert_true(world_wait(w, connected, 5000));
    conn_write(w->client.conn, "hello", 5);
    expected_len = 5;
    assert_true(world_wait(w, server_has_all, 5000));
    assert_true(strncmp(conn_peer(w->servers[0].conn)->ip, "unix:", 5) == 0);
    net_listener_close(l);
    assert_int_equal(access(path, F_OK), -1);

    /* left over by a server that was killed: taken over */
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un left = {.sun_family = AF_UNIX};
    snprintf(left.sun_path, sizeof left.sun_path, "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&left, sizeof left), 0);
    close(fd);
    assert_int_equal(net_listen(w->net, &at, world_accept, w, &l), ERR_OK);
    net_listener_close(l);
}

/* Without free descriptors clients are turned away, the loop does not spin, and it goes on once
 * there are some. */
static void out_of_descriptors(void **state)
{
    struct world *w = *state;
    struct rlimit old, none;
    struct rusage before, after;
    world_connect(w); /* our own end has its descriptor */
    getrlimit(RLIMIT_NOFILE, &old);
    none = old;
    none.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &none);
    bool closed = world_wait(w, client_closed, 1000);
    getrusage(RUSAGE_SELF, &before);
    world_wait(w, NULL, 400);
    getrusage(RUSAGE_SELF, &after);
    setrlimit(RLIMIT_NOFILE, &old);
    assert_int_equal(w->accepted, 0);
    assert_true(
        closed ||
        w->client.conn); /* turned away, or still waiting where even the reserve could not be had */
    assert_true(after.ru_nvcsw - before.ru_nvcsw >= 2); /* it slept: a loop that spins never does */
    if (w->client.conn)
        end_close(&w->client, 0);
    end_init(w, &w->client);
    world_connect(w);
    assert_true(world_wait(w, connected, 5000));
}

/* --- simulation only --- */

static void cut(void **state)
{
    struct world *w = *state;
    world_connect(w);
    assert_true(world_wait(w, connected, 5000));
    conn_write(w->client.conn, "lost", 4);
    net_sim_cut(w->net, "127.0.0.1", w->at.port);
    assert_true(world_wait(w, both_closed, 1000));
    assert_int_equal(w->client.error, ERR_CLOSED);
    assert_int_equal(w->servers[0].closes, 1);
    assert_int_equal(buffer_len(&w->servers[0].got), 0);
}

/* Who is killed says nothing more; the address is the one of when it connected. */
static void kills(void **state)
{
    struct world *w = *state;
    net_sim_set_client(w->net, "10.0.0.7");
    world_connect(w);
    net_sim_set_client(w->net, "127.0.0.1");
    assert_true(world_wait(w, connected, 5000));
    assert_string_equal(conn_peer(w->servers[0].conn)->ip, "10.0.0.7");
    conn_write(w->client.conn, "last words", 10);
    net_sim_kill(w->net, true);
    end_close(&w->client, 1000);
    net_sim_kill(w->net, false);
    loop_sim_advance(w->loop, 2000);
    assert_int_equal(w->servers[0].closes, 1);
    assert_int_equal(buffer_len(&w->servers[0].got), 0);
}

static void blackholes(void **state)
{
    struct world *w = *state;
    world_connect(w);
    assert_true(world_wait(w, connected, 5000));
    net_sim_blackhole(w->net, "127.0.0.1", w->at.port, true);
    conn_write(w->client.conn, "late", 4);
    loop_sim_advance(w->loop, 60000);
    assert_int_equal(buffer_len(&w->servers[0].got), 0);
    net_sim_blackhole(w->net, "127.0.0.1", w->at.port, false);
    loop_sim_advance(w->loop, 1000);
    assert_true(str_is(buffer_str(&w->servers[0].got), "late"));

    end_close(&w->client, 0);
    loop_sim_advance(w->loop, 100);
    end_init(w, &w->client);
    net_sim_blackhole(w->net, "127.0.0.1", w->at.port, true);
    world_connect(w);
    loop_sim_advance(w->loop, 9000);
    assert_int_equal(w->client.closes, 0);
    loop_sim_advance(w->loop, 2000);
    assert_int_equal(w->client.error, ERR_TIMEOUT);
}

static void clients_come_from_anywhere(void **state)
{
    struct world *w = *state;
    net_sim_set_client(w->net, "192.0.2.7");
    world_connect(w);
    assert_true(world_wait(w, connected, 5000));
    assert_string_equal(conn_peer(w->servers[0].conn)->ip, "192.0.2.7");
}

static uint64_t history; /* a digest of when how much arrived */

static void remember(struct end *e, const char *bytes, size_t len)
{
    history = history * 31 + loop_now(e->world->loop) * 1000003 + len;
    buffer_add(&e->got, bytes, len);
}

static void remembering(struct end *e)
{
    e->on_data = remember;
}

static uint64_t one_run(uint64_t seed)
{
    struct world *w = world_create(true, seed);
    history = 0;
    w->prepare = remembering;
    world_connect(w);
    write_pattern(w->client.conn, 0, 300000);
    loop_sim_advance(w->loop, 100000);
    check_pattern(&w->servers[0].got, 300000);
    world_destroy(w);
    return history;
}

static void runs_repeat_from_their_seed(void **state)
{
    uint64_t first = one_run(77);
    assert_true(one_run(77) == first);
    assert_true(one_run(78) != first);
}

#define BOTH(test)                                                                                 \
    cmocka_unit_test_setup_teardown(test, setup_real, teardown),                                   \
        cmocka_unit_test_setup_teardown(test, setup_sim, teardown)
#define SIM(test)  cmocka_unit_test_setup_teardown(test, setup_sim, teardown)
#define REAL(test) cmocka_unit_test_setup_teardown(test, setup_real, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(bytes_come_back_in_order),
        BOTH(peers_are_named),
        BOTH(a_slow_reader_stops_the_writer),
        BOTH(one_piece_over_the_maximum_is_refused),
        BOTH(short_pauses),
        BOTH(close_flushes_first),
        BOTH(close_survives_unread_input),
        BOTH(linger_has_an_end),
        BOTH(closing_inside_callbacks),
        BOTH(writing_after_the_end_fails),
        BOTH(half_closed_peers_get_answers),
        BOTH(destroying_with_open_connections),
        BOTH(refused),
        BOTH(close_while_connecting),
        BOTH(address_in_use),
        BOTH(many_cycles_leave_no_memory),
        REAL(bad_addresses),
        REAL(both_families),
        REAL(unix_sockets),
        REAL(out_of_descriptors),
        SIM(cut),
        SIM(kills),
        SIM(blackholes),
        SIM(clients_come_from_anywhere),
        cmocka_unit_test(runs_repeat_from_their_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
