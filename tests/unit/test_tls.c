/* net/tls: certificates, contexts and the layer on connections, with our own client and with a bare
 * OpenSSL client that can misbehave. Over real sockets and over the simulated network, which cuts
 * the bytes anywhere. */
#include "tls_bare.h"
#include "tls_files.h"

#include <malloc.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

static struct tls_client *client;

static int set_up(void **state)
{
    make_files();
    client = tls_client_create(file("ca.pem"), true);
    assert_non_null(client);
    return 0;
}

static int tear_down(void **state)
{
    tls_client_destroy(client);
    return remove_files();
}

/* --- the server's side --- */

static const char *header; /* the domain that the client has named before TLS */

static void echo(struct end *e, const char *bytes, size_t len)
{
    assert_non_null(conn_tls(e->conn));
    buffer_add(&e->got, bytes, len);
    assert_int_equal(conn_write(e->conn, bytes, len), ERR_OK);
}

static void echo_tls(struct end *e)
{
    e->on_data = echo;
    conn_start_tls_server(e->conn, server, header);
}

static int setup(void **state, bool sim)
{
    struct world *w = world_create(sim, 11);
    w->prepare = echo_tls;
    w->max_queue = 4 << 20;
    *state = w;
    return 0;
}

static int setup_real(void **state)
{
    return setup(state, false);
}

static int setup_sim(void **state)
{
    return setup(state, true);
}

static int teardown(void **state)
{
    world_destroy(*state);
    return 0;
}

static bool both_ready(struct world *w)
{
    return w->client.readies && w->servers[0].readies;
}

static bool server_ready(struct world *w)
{
    return w->servers[0].readies > 0;
}

static bool bare_ready(struct world *w)
{
    return w->servers[0].readies > 0 && bare.finished;
}

static bool server_closed(struct world *w)
{
    return w->servers[0].closes > 0;
}

static bool client_closed(struct world *w)
{
    return w->client.closes > 0;
}

static bool both_gone(struct world *w)
{
    return !w->client.conn && !w->servers[0].conn;
}

static size_t wanted;

static bool client_has_all(struct world *w)
{
    return buffer_len(&w->client.got) == wanted;
}

static bool bare_has_all(struct world *w)
{
    return buffer_len(&bare.got) >= wanted;
}

static void connect_ours(struct world *w, const char *name)
{
    world_connect(w);
    conn_start_tls_client(w->client.conn, client, name);
}

/* --- good connections --- */

static void write_pattern(struct conn *c, size_t from, size_t len)
{
    char *bytes = malloc(len);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)((from + i) * 31 + ((from + i) >> 9));
    assert_int_equal(conn_write(c, bytes, len), ERR_OK);
    free(bytes);
}

static void check_pattern(const struct buffer *b, size_t len)
{
    assert_int_equal(buffer_len(b), len);
    for (size_t i = 0; i < len; i++)
        if (buffer_str(b).data[i] != (char)(i * 31 + (i >> 9)))
            fail_msg("byte %zu of %zu differs", i, len);
}

static void our_client_and_server(void **state)
{
    struct world *w = *state;
    unsigned char ours[32], theirs[32], hash[64];
    unsigned hash_len = 0;
    connect_ours(w, "two.example");
    conn_write(w->client.conn, "", 0);
    assert_null(conn_tls(w->client.conn));
    assert_true(world_wait(w, both_ready, 5000));
    assert_int_equal(w->client.readies, 1);
    const struct tls_info *info = conn_tls(w->servers[0].conn);
    assert_string_equal(info->version, "TLSv1.3");
    assert_string_equal(info->cipher, "TLS_AES_128_GCM_SHA256");
    assert_string_equal(info->sni, "two.example");
    assert_string_equal(info->alpn, "");
    assert_false(info->resumed);
    assert_true(conn_tls_exporter(w->servers[0].conn, ours));
    assert_true(conn_tls_exporter(w->client.conn, theirs));
    assert_memory_equal(ours, theirs, 32);

    FILE *in = fopen(file("two.example.pem"), "r"); /* ECDSA with SHA-256: so is the end point */
    X509 *cert = PEM_read_X509(in, NULL, NULL, NULL);
    fclose(in);
    X509_digest(cert, EVP_sha256(), hash, &hash_len);
    X509_free(cert);
    assert_int_equal(info->end_point_len, 32);
    assert_memory_equal(info->end_point, hash, 32);

    wanted = 0;
    for (size_t len = 1; wanted < 1500000; len = len * 3 % 70001) {
        while (conn_queued(w->client.conn) > 900000)
            world_wait(w, NULL, 2);
        write_pattern(w->client.conn, wanted, len);
        wanted += len;
        if (len % 5 == 0)
            world_wait(w, NULL, 1);
    }
    assert_true(world_wait(w, client_has_all, 30000));
    check_pattern(&w->client.got, wanted);
    assert_int_equal(conn_queued(w->client.conn), 0);
    end_close(&w->client, 1000);
    assert_true(world_wait(w, server_closed, 5000));
    assert_int_equal(w->servers[0].error, ERR_CLOSED);
    assert_string_equal(w->servers[0].why, "the peer closed the TLS connection");
}

static void bare_echo(struct world *w, int version, const char *name)
{
    unsigned char ours[32], theirs[32];
    bare_create(version);
    bare_connect(w);
    assert_true(world_wait(w, bare_ready, 5000));
    assert_string_equal(conn_tls(w->servers[0].conn)->version, name);
    bare_write(w, "hello");
    wanted = 5;
    assert_true(world_wait(w, bare_has_all, 5000));
    assert_true(str_is(buffer_str(&bare.got), "hello"));
    assert_true(conn_tls_exporter(w->servers[0].conn, ours));
    SSL_export_keying_material(bare.ssl, theirs, 32, "EXPORTER-Channel-Binding", 24,
                               (const unsigned char *)"", 0, 1);
    assert_memory_equal(ours, theirs, 32);
}

static void tls_1_3(void **state)
{
    bare_echo(*state, TLS1_3_VERSION, "TLSv1.3");
    bare_destroy();
}

static void tls_1_2(void **state)
{
    bare_echo(*state, TLS1_2_VERSION, "TLSv1.2");
    bare_destroy();
}

/* RFC 9266 section 4.2: no exporter over TLS 1.2 without the extended master secret. */
static void no_exporter_without_extended_master_secret(void **state)
{
    struct world *w = *state;
    unsigned char out[32];
    bare_create(TLS1_2_VERSION);
    SSL_CTX_set_options(bare.context, SSL_OP_NO_EXTENDED_MASTER_SECRET);
    bare_connect(w);
    assert_true(world_wait(w, bare_ready, 5000));
    assert_false(conn_tls_exporter(w->servers[0].conn, out));
    bare_destroy();
}

static void one_byte_at_a_time(void **state)
{
    struct world *w = *state;
    bare_create(TLS1_3_VERSION);
    bare.trickles = true;
    bare_connect(w);
    for (int i = 0; i < 100 && !w->servers[0].readies; i++) {
        world_wait(w, NULL, 20);
        bare_pump(&w->client);
    }
    assert_int_equal(w->servers[0].readies, 1);
    bare_write(w, "slowly");
    bare.trickles = false;
    wanted = 6;
    world_wait(w, NULL, 100);
    bare_pump(&w->client);
    assert_true(world_wait(w, bare_has_all, 5000));
    assert_true(str_is(buffer_str(&bare.got), "slowly"));
    bare_destroy();
}

static bool server_wants(struct world *w)
{
    return buffer_len(&w->servers[0].got) >= wanted;
}

static void pause_in_the_middle(struct end *e, const char *bytes, size_t len)
{
    buffer_add(&e->got, bytes, len);
    conn_pause(e->conn);
}

static void pausing_tls(struct end *e)
{
    e->on_data = pause_in_the_middle;
    conn_start_tls_server(e->conn, server, NULL);
}

/* Records that were read together with the one on which the owner paused wait, and come in order.
 */
static void pauses_hold_decrypted_bytes_back(void **state)
{
    struct world *w = *state;
    w->prepare = pausing_tls;
    connect_ours(w, "one.example");
    assert_true(world_wait(w, both_ready, 5000));
    write_pattern(w->client.conn, 0, 900000);
    wanted = 900000;
    size_t last = 0;
    int rounds = 0;
    for (; rounds < 20000 && !server_wants(w); rounds++) {
        world_wait(w, NULL, 2);
        size_t now = buffer_len(&w->servers[0].got);
        if (now == last)
            continue;
        world_wait(w, NULL, rounds % 10 ? 1 : 10);
        assert_int_equal(buffer_len(&w->servers[0].got), now); /* nothing while paused */
        last = now;
        conn_resume(w->servers[0].conn);
    }
    assert_true(rounds > 5);
    check_pattern(&w->servers[0].got, 900000);
}

static void say_and_close(struct end *e)
{
    write_pattern(e->conn, 0, 300000);
    end_close(e, 5000);
}

static void saying(struct end *e)
{
    e->on_ready = say_and_close;
    conn_start_tls_server(e->conn, server, NULL);
}

static void close_flushes_and_says_bye(void **state)
{
    struct world *w = *state;
    w->prepare = saying;
    connect_ours(w, "one.example");
    assert_true(world_wait(w, client_closed, 10000));
    check_pattern(&w->client.got, 300000);
    assert_string_equal(w->client.why, "the peer closed the TLS connection");
}

static void tickets_resume(void **state)
{
    struct world *w = *state;
    bare_create(TLS1_3_VERSION);
    for (int round = 0; round < 2; round++) {
        bare_connect(w);
        SSL_set_tlsext_host_name(bare.ssl, "two.example");
        if (round)
            SSL_set_session(bare.ssl, bare.session);
        assert_true(world_wait(w, bare_ready, 5000));
        bare_write(w, "x");
        wanted = 1;
        assert_true(world_wait(w, bare_has_all, 5000));
        assert_int_equal(conn_tls(w->servers[0].conn)->resumed, round == 1);
        assert_string_equal(conn_tls(w->servers[0].conn)->sni, "two.example");
        assert_int_equal(conn_tls(w->servers[0].conn)->end_point_len, 32);
        assert_non_null(bare.session);
        end_close(&w->client, 0);
        assert_true(world_wait(w, server_closed, 5000));
        bare_end();
    }
    bare_destroy();
}

static void reloading_keeps_connections(void **state)
{
    struct world *w = *state;
    struct tls_server *old = server;
    connect_ours(w, "one.example");
    assert_true(world_wait(w, both_ready, 5000));
    server = tls_server_create();
    add_domain(server, "one.example");
    add_domain(server, "two.example");
    tls_server_unref(old);
    write_pattern(w->client.conn, 0, 1000);
    wanted = 1000;
    assert_true(world_wait(w, client_has_all, 5000));
    assert_int_equal(conn_tls(w->servers[0].conn)->end_point_len, 32);
}

/* --- names and protocols --- */

static void check_name(struct world *w, const char *sni, const char *expected)
{
    bare_connect(w);
    if (sni)
        SSL_set_tlsext_host_name(bare.ssl, sni);
    assert_true(world_wait(w, bare_ready, 5000));
    bare_write(w, "x");
    wanted = 1;
    assert_true(world_wait(w, bare_has_all, 5000));
    X509 *cert = SSL_get1_peer_certificate(bare.ssl);
    assert_int_equal(X509_check_host(cert, expected, 0, 0, NULL), 1);
    X509_free(cert);
    assert_string_equal(conn_tls(w->servers[0].conn)->sni, sni ? sni : "");
    end_close(&w->client, 0);
    assert_true(world_wait(w, server_closed, 5000));
    bare_end();
}

static void sni_chooses_the_certificate(void **state)
{
    bare_create(TLS1_3_VERSION);
    check_name(*state, "two.example", "two.example");
    check_name(*state, "TWO.Example", "two.example");
    check_name(*state, NULL, "one.example");
    check_name(*state, "stranger.example", "one.example");
    header = "two.example";
    check_name(*state, NULL, "two.example");
    check_name(*state, "one.example", "one.example");
    header = "stranger.example";
    check_name(*state, NULL, "one.example");
    header = NULL;
    bare_destroy();
}

static void offer(const char *protocols)
{
    SSL_set_alpn_protos(bare.ssl, (const unsigned char *)protocols, (unsigned)strlen(protocols));
}

static void alpn(void **state)
{
    struct world *w = *state;
    struct tls_server *plain = server;
    server = tls_server_create();
    add_domain(server, "one.example");
    tls_server_set_alpn(server, "xmpp-client");
    bare_create(TLS1_3_VERSION);

    bare_connect(w);
    offer("\x02h2\x0bxmpp-client");
    assert_true(world_wait(w, bare_ready, 5000));
    assert_string_equal(conn_tls(w->servers[0].conn)->alpn, "xmpp-client");
    end_close(&w->client, 0);
    assert_true(world_wait(w, server_closed, 5000));
    bare_end();

    bare_connect(w); /* offers nothing: accepted */
    assert_true(world_wait(w, bare_ready, 5000));
    assert_string_equal(conn_tls(w->servers[0].conn)->alpn, "");
    end_close(&w->client, 0);
    assert_true(world_wait(w, server_closed, 5000));
    bare_end();

    bare_connect(w);
    offer("\x02h2\x0bxmpp-server");
    assert_true(world_wait(w, server_closed, 5000));
    assert_int_equal(w->servers[0].error, ERR_TLS);
    assert_int_equal(w->servers[0].readies, 0);
    bare_destroy();
    tls_server_unref(server);
    server = plain;
}

static void verification(void **state)
{
    struct world *w = *state;
    connect_ours(w, "three.example"); /* gets one.example's certificate */
    assert_true(world_wait(w, client_closed, 5000));
    assert_int_equal(w->client.error, ERR_TLS);
    assert_non_null(strstr(w->client.why, "ostname mismatch"));
    assert_int_equal(w->client.readies, 0);

    struct tls_client *stranger = tls_client_create(NULL, true),
                      *careless = tls_client_create(NULL, false);
    end_init(w, &w->client);
    w->accepted = 0;
    world_wait(w, NULL, 50);
    world_connect(w);
    conn_start_tls_client(w->client.conn, stranger, "one.example");
    assert_true(world_wait(w, client_closed, 5000));
    assert_int_equal(w->client.error, ERR_TLS);
    assert_non_null(strstr(w->client.why, "certificate"));

    end_init(w, &w->client);
    w->accepted = 0;
    world_wait(w, NULL, 50);
    world_connect(w);
    conn_start_tls_client(w->client.conn, careless, "three.example");
    assert_true(world_wait(w, both_ready, 5000));
    net_destroy(w->net); /* before the clients that it uses */
    w->net = net_create_sim(w->loop, 1);
    tls_client_destroy(stranger);
    tls_client_destroy(careless);
    assert_null(tls_client_create("/nonexistent/ca.pem", true));
}

/* --- bad clients --- */

static void weak_offers_are_refused(void **state)
{
    struct world *w = *state;
    bare_create(TLS1_1_VERSION);
    bare_connect(w);
    assert_true(world_wait(w, server_closed, 5000));
    assert_int_equal(w->servers[0].error, ERR_TLS);
    assert_true(world_wait(w, both_gone, 5000));
    bare_destroy();

    const char *weak[] = {"AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256",
                          "ECDHE-ECDSA-AES128-SHA", "AES256-SHA"};
    for (size_t i = 0; i < sizeof weak / sizeof *weak; i++) {
        bare_create(TLS1_2_VERSION);
        assert_int_equal(SSL_CTX_set_cipher_list(bare.context, weak[i]), 1);
        bare_connect(w);
        assert_true(world_wait(w, server_closed, 5000));
        assert_int_equal(w->servers[0].error, ERR_TLS);
        assert_int_equal(w->servers[0].readies, 0);
        assert_true(world_wait(w, both_gone, 5000));
        bare_destroy();
    }
}

static void renegotiation_is_refused(void **state)
{
    struct world *w = *state;
    bare_create(TLS1_2_VERSION);
    bare_connect(w);
    assert_true(world_wait(w, bare_ready, 5000));
    assert_int_equal(SSL_renegotiate(bare.ssl), 1);
    bare.finished = false; /* a handshake of it */
    bare_pump(&w->client);
    world_wait(w, NULL, 100);
    assert_false(bare.finished); /* never completes */
    bare_destroy();
}

static void garbage_ends_cleanly(void **state)
{
    struct world *w = *state;
    const struct str hellos[] = {
        STR("<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='one.example'>"),
        STR("GET / HTTP/1.1\r\nHost: one.example\r\n\r\n"),
        STR("\x16\x03\x01\x40\x01garbage that claims to be longer than a record may be"),
        STR("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"),
        STR("\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10"),
        STR("\x17\x03\x03\x00\x03"
            "abc"),
        STR("\x15\x03\x01\x00\x02\x02\x28"),
        STR("\0\0\0\0\0\0\0\0\0\0\0\0"),
    };
    for (size_t i = 0; i < sizeof hellos / sizeof *hellos; i++) {
        end_init(w, &w->client);
        end_init(w, &w->servers[0]);
        w->accepted = 0;
        world_connect(w);
        conn_write(w->client.conn, hellos[i].data, hellos[i].len);
        world_wait(w, server_closed, 300);
        if (w->client.conn) /* some are only the beginning of something that could still be right */
            end_close(&w->client, 0);
        assert_true(world_wait(w, server_closed, 5000));
        assert_int_equal(w->servers[0].error, ERR_TLS);
        assert_int_equal(w->servers[0].readies, 0);
        assert_int_equal(buffer_len(&w->servers[0].got), 0);
        assert_true(buffer_len(&w->client.got) <= 7); /* at most an alert */
    }
}

static void damaged_records_are_detected(void **state)
{
    struct world *w = *state;
    char record[200];
    bare_create(TLS1_3_VERSION);
    bare_connect(w);
    assert_true(world_wait(w, bare_ready, 5000));
    SSL_write(bare.ssl, "damaged", 7);
    int n = BIO_read(bare.out, record, sizeof record);
    record[n - 1] ^= 1;
    conn_write(w->client.conn, record, (size_t)n);
    assert_true(world_wait(w, server_closed, 5000));
    assert_int_equal(w->servers[0].error, ERR_TLS);
    assert_int_equal(buffer_len(&w->servers[0].got), 0);
    bare_destroy();
}

static void stalled_handshakes_time_out(void **state)
{
    struct world *w = *state;
    world_connect(w);
    conn_write(w->client.conn, "\x16\x03\x01\x02\x00\x01", 6);
    loop_sim_advance(w->loop, 9900);
    assert_int_equal(w->servers[0].closes, 0);
    conn_write(w->client.conn, "\x00", 1); /* no input extends it */
    loop_sim_advance(w->loop, 200);
    assert_int_equal(w->servers[0].closes, 1);
    assert_int_equal(w->servers[0].error, ERR_TIMEOUT);
}

/* --- STARTTLS --- */

static void answer_starttls(struct end *e, const char *bytes, size_t len)
{
    buffer_add(&e->got, bytes, len);
    if (!str_is(buffer_str(&e->got), "<starttls/>"))
        return;
    conn_write(e->conn, "<proceed/>", 10); /* leaves in the clear although it is still queued */
    e->on_data = echo;
    conn_start_tls_server(e->conn, server, NULL);
}

static void starttls(struct end *e)
{
    e->on_data = answer_starttls;
}

static void client_proceeds(struct end *e, const char *bytes, size_t len)
{
    buffer_add(&e->got, bytes, len);
    if (!str_is(buffer_str(&e->got), "<proceed/>"))
        return;
    e->on_data = NULL;
    conn_start_tls_client(e->conn, client, "one.example");
}

static void starttls_on_a_running_connection(void **state)
{
    struct world *w = *state;
    w->prepare = starttls;
    w->client.on_data = client_proceeds;
    world_connect(w);
    conn_write(w->client.conn, "<starttls/>", 11);
    assert_true(world_wait(w, server_ready, 5000));
    conn_write(w->client.conn, "secret", 6);
    wanted = 16;
    assert_true(world_wait(w, client_has_all, 5000));
    assert_true(str_is(buffer_str(&w->client.got), "<proceed/>secret"));
    assert_int_equal(w->client.readies, 2); /* connected, handshake */
}

/* Plaintext behind the switch is never taken for what TLS carried (CVE-2011-0411). */
static void plaintext_after_starttls(void **state)
{
    struct world *w = *state;
    w->prepare = starttls;
    world_connect(w);
    conn_write(w->client.conn, "<starttls/>", 11);
    wanted = 10;
    assert_true(world_wait(w, client_has_all, 5000));
    conn_write(w->client.conn, "<auth mechanism='PLAIN'>AGEAYg==</auth>", 39);
    assert_true(world_wait(w, server_closed, 5000));
    assert_int_equal(w->servers[0].error, ERR_TLS);
    assert_true(str_is(buffer_str(&w->servers[0].got), "<starttls/>"));
}

static void many_handshakes_leave_no_memory(void **state)
{
    struct world *w = *state;
    size_t before = 0;
    bare_create(TLS1_3_VERSION);
    for (int i = 0; i < 300; i++) {
        if (i == 50)
            before = mallinfo2().uordblks;
        if (i % 3 == 0) {
            end_init(w, &w->client);
            w->accepted = 0;
            connect_ours(w, "one.example");
            assert_true(world_wait(w, both_ready, 5000));
        } else {
            bare_connect(w);
            if (i % 3 == 1)
                assert_true(world_wait(w, bare_ready, 5000));
        }
        end_close(&w->client, 0);
        world_wait(w, server_closed, 20);
        if (w->servers[0].conn)
            end_close(&w->servers[0], 0);
        bare_end();
        end_init(w, &w->client);
        end_init(w, &w->servers[0]);
    }
    world_wait(w, NULL, 20);
    assert_true(mallinfo2().uordblks < before + 60000);
    bare_destroy();
}

#define BOTH(test)                                                                                 \
    cmocka_unit_test_setup_teardown(test, setup_real, teardown),                                   \
        cmocka_unit_test_setup_teardown(test, setup_sim, teardown)
#define SIM(test) cmocka_unit_test_setup_teardown(test, setup_sim, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(our_client_and_server),
        BOTH(tls_1_3),
        BOTH(tls_1_2),
        SIM(no_exporter_without_extended_master_secret),
        BOTH(one_byte_at_a_time),
        BOTH(pauses_hold_decrypted_bytes_back),
        BOTH(close_flushes_and_says_bye),
        BOTH(tickets_resume),
        SIM(reloading_keeps_connections),
        BOTH(sni_chooses_the_certificate),
        BOTH(alpn),
        SIM(verification),
        BOTH(weak_offers_are_refused),
        BOTH(renegotiation_is_refused),
        BOTH(garbage_ends_cleanly),
        BOTH(damaged_records_are_detected),
        SIM(stalled_handshakes_time_out),
        BOTH(starttls_on_a_running_connection),
        BOTH(plaintext_after_starttls),
        BOTH(many_handshakes_leave_no_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
