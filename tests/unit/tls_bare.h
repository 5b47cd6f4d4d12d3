/* A bare OpenSSL client on a plain connection of a net_world, which can misbehave as ours cannot.
 */
#ifndef JACKDAW_TESTS_TLS_BARE_H
#define JACKDAW_TESTS_TLS_BARE_H

#include "net_world.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

static struct {
    SSL_CTX *context;
    SSL *ssl;
    BIO *in, *out;
    struct buffer got;
    bool finished, ended, failed, trickles;
    SSL_SESSION *session;
} bare;

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    SSL_SESSION_free(bare.session);
    bare.session = session;
    return 1;
}

static void bare_create(int version)
{
    memset(&bare, 0, sizeof bare);
    bare.context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(bare.context, 0);
    SSL_CTX_set_min_proto_version(bare.context, version < TLS1_2_VERSION ? TLS1_VERSION : version);
    SSL_CTX_set_max_proto_version(bare.context, version);
    SSL_CTX_set_session_cache_mode(bare.context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(bare.context, on_session);
    buffer_init(&bare.got, 1 << 24);
}

static void bare_begin(void)
{
    bare.ssl = SSL_new(bare.context);
    bare.in = BIO_new(BIO_s_mem());
    bare.out = BIO_new(BIO_s_mem());
    SSL_set_bio(bare.ssl, bare.in, bare.out);
    SSL_set_connect_state(bare.ssl);
}

static void bare_end(void)
{
    if (bare.ssl) /* or OpenSSL takes the session for a bad one */
        SSL_set_shutdown(bare.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(bare.ssl);
    bare.ssl = NULL;
    bare.finished = bare.ended = bare.failed = false;
    buffer_clear(&bare.got);
}

static void bare_destroy(void)
{
    bare_end();
    SSL_CTX_free(bare.context);
    SSL_SESSION_free(bare.session);
    buffer_finish(&bare.got);
    ERR_clear_error();
}

/* Does what there is to do; sends what came out. */
static void bare_pump(struct end *e)
{
    char bytes[20000];
    if (!bare.finished)
        bare.finished = SSL_do_handshake(bare.ssl) == 1;
    for (int n; bare.finished && (n = SSL_read(bare.ssl, bytes, sizeof bytes)) != 0;) {
        if (n < 0) {
            bare.failed |= SSL_get_error(bare.ssl, n) == SSL_ERROR_SSL;
            break;
        }
        buffer_add(&bare.got, bytes, (size_t)n);
    }
    if (bare.finished)
        bare.ended |= (SSL_get_shutdown(bare.ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
    else
        bare.failed |= ERR_peek_error() != 0;
    for (int n; e->conn && (n = BIO_read(bare.out, bytes, bare.trickles ? 1 : sizeof bytes)) > 0;) {
        conn_write(e->conn, bytes, (size_t)n);
        if (bare.trickles)
            world_wait(e->world, NULL, 1);
    }
}

static void bare_on_data(struct end *e, const char *bytes, size_t len)
{
    BIO_write(bare.in, bytes, (int)len);
    if (!bare.trickles)
        bare_pump(e);
}

static void bare_on_ready(struct end *e)
{
    if (!bare.trickles)
        bare_pump(e);
}

static void bare_connect(struct world *w)
{
    bare_begin();
    assert_null(w->client.conn);
    assert_null(w->servers[0].conn);
    end_init(w, &w->client);
    end_init(w, &w->servers[0]);
    w->client.on_data = bare_on_data;
    w->client.on_ready = bare_on_ready;
    w->accepted = 0;
    world_connect(w);
}

static void bare_write(struct world *w, const char *text)
{
    SSL_write(bare.ssl, text, (int)strlen(text));
    bare_pump(&w->client);
}

#endif
