/* TLS on a connection. OpenSSL reads from and writes to the connection's own buffers through a BIO
 * of ours: input is what the transport has just read, output goes to the end of the wire queue.
 * Nothing is kept for an idle connection but OpenSSL's state. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/net_impl.h"
#include "net/tls_impl.h"

enum {
    HANDSHAKE_MS = 10000, /* until the peer's hello is complete */
    JUDGEMENT_MS = 60000, /* from then on, for a person who looks at our certificate */
    RECORD_MAX = 16384,
    WIRE_MARK = 65536 /* encrypt no more than the transport may soon take */
};

struct tls_layer {
    SSL *ssl;
    struct tls_server *server; /* NULL on the client's side */
    struct outqueue plain;     /* not yet encrypted */
    const char *in;            /* input not yet read by OpenSSL; valid during tls_layer_input */
    size_t in_len;
    char *kept; /* input that came before a pause and waits for its end */
    size_t kept_len;
    struct tls_info *info; /* made when first asked for */
    bool ready;            /* the handshake is finished */
    bool failed;
    bool judged; /* the longer time-out runs: see wait_for_judgement */
    bool bye_said;
};

/* --- the BIO --- */

static int bio_write(BIO *bio, const char *bytes, int len)
{
    struct conn *c = BIO_get_data(bio);
    outqueue_add(&c->net->chunks, &c->wire, bytes, (size_t)len);
    return len;
}

static int bio_read(BIO *bio, char *out, int size)
{
    struct conn *c = BIO_get_data(bio);
    struct tls_layer *t = c->tls;
    size_t len = t->in_len < (size_t)size ? t->in_len : (size_t)size;
    BIO_clear_retry_flags(bio);
    if (!len) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(out, t->in, len);
    t->in += len;
    t->in_len -= len;
    return (int)len;
}

static long bio_control(BIO *bio, int command, long number, void *ptr)
{
    (void)bio, (void)number, (void)ptr;
    return command == BIO_CTRL_FLUSH; /* the one question to which the answer must be yes */
}

static BIO *new_bio(struct conn *c)
{
    BIO_METHOD *method = c->net->tls_method;
    if (!method) {
        method = c->net->tls_method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "jackdaw connection");
        if (!method)
            return NULL;
        BIO_meth_set_write(method, bio_write);
        BIO_meth_set_read(method, bio_read);
        BIO_meth_set_ctrl(method, bio_control);
    }
    BIO *bio = BIO_new(method);
    if (bio) {
        BIO_set_data(bio, c);
        BIO_set_init(bio, 1);
    }
    return bio;
}

void tls_layer_net_finish(struct net *n)
{
    BIO_meth_free(n->tls_method);
    n->tls_method = NULL;
}

/* --- failures --- */

static void fail(struct conn *c, const char *doing)
{
    struct tls_layer *t = c->tls;
    char why[256];
    long verify = SSL_get_verify_result(t->ssl);
    if (!t->server && !t->ready && verify != X509_V_OK)
        snprintf(why, sizeof why, "%s: the peer's certificate: %s", doing,
                 X509_verify_cert_error_string(verify));
    else
        snprintf(why, sizeof why, "%s: %s", doing, tls_impl_reason());
    ERR_clear_error();
    t->failed = true;
    outqueue_clear(&c->net->chunks, &t->plain);
    conn_impl_defer(c); /* an alert may wait */
    conn_impl_report(c, ERR_TLS, why);
}

/* --- input --- */

static bool usable(const struct conn *c)
{
    return !c->closing && !c->reported && !c->tls->failed;
}

/* Once our certificate is out, the peer's user may be asked to accept it; that takes longer than
 * any machine. The owner's own limit for a peer that has not logged in goes on meanwhile. */
static void wait_for_judgement(struct conn *c)
{
    struct tls_layer *t = c->tls;
    OSSL_HANDSHAKE_STATE state = SSL_get_state(t->ssl);
    if (!SSL_is_server(t->ssl) || t->judged || state == TLS_ST_BEFORE ||
        state == TLS_ST_SR_CLNT_HELLO)
        return;
    t->judged = true;
    loop_timer_start(&c->timer, JUDGEMENT_MS);
}

/* Goes on with the handshake; false when it needs more input or has failed. */
static bool handshake(struct conn *c)
{
    struct tls_layer *t = c->tls;
    ERR_clear_error();
    int result = SSL_do_handshake(t->ssl);
    if (result != 1) {
        if (SSL_get_error(t->ssl, result) != SSL_ERROR_WANT_READ)
            fail(c, "TLS handshake failed");
        else
            wait_for_judgement(c);
        return false;
    }
    t->ready = true;
    loop_timer_stop(&c->timer);
    if (c->events->on_ready)
        c->events->on_ready(c->owner);
    return true;
}

/* Decrypts as many records as fit, hands them over together; false when there is no more to read.
 */
static bool deliver(struct conn *c)
{
    struct tls_layer *t = c->tls;
    char *plain = c->net->plain_buffer;
    size_t len = 0, got = 0;
    int why = SSL_ERROR_NONE;
    ERR_clear_error();
    while (NET_BUFFER - len >= RECORD_MAX && why == SSL_ERROR_NONE) {
        if (SSL_read_ex(t->ssl, plain + len, NET_BUFFER - len, &got))
            len += got;
        else
            why = SSL_get_error(t->ssl, 0);
    }
    if (len)
        c->events->on_data(c->owner, plain, len);
    if (!usable(c))
        return false;
    if (why == SSL_ERROR_ZERO_RETURN)
        conn_impl_end(c, ERR_OK, "the peer closed the TLS connection");
    else if (why != SSL_ERROR_NONE && why != SSL_ERROR_WANT_READ)
        fail(c, "TLS");
    return why == SSL_ERROR_NONE;
}

static void work(struct conn *c)
{
    struct tls_layer *t = c->tls;
    bool more = true;
    while (more && usable(c) && !(t->ready && c->paused))
        more = t->ready ? deliver(c) : handshake(c);
    if (c->wire.len || t->plain.len)
        conn_impl_defer(c);
}

/* The bytes in t->in that a pause has left over move to t->kept. */
static void keep_rest(struct conn *c)
{
    struct tls_layer *t = c->tls;
    char *rest = NULL;
    if (t->in_len && usable(c)) {
        rest = mem_realloc(NULL, t->in_len);
        memcpy(rest, t->in, t->in_len);
    }
    free(t->kept);
    t->kept = rest;
    t->kept_len = rest ? t->in_len : 0;
    t->in = NULL;
    t->in_len = 0;
}

void tls_layer_input(struct conn *c, const char *bytes, size_t len)
{
    struct tls_layer *t = c->tls;
    if (t->kept_len) { /* what was read before the pause ended comes first */
        t->kept = mem_realloc(t->kept, t->kept_len + len);
        memcpy(t->kept + t->kept_len, bytes, len);
        t->kept_len += len;
        tls_layer_resume(c);
        return;
    }
    t->in = bytes;
    t->in_len = len;
    work(c);
    keep_rest(c);
}

bool tls_layer_has_input(const struct conn *c)
{
    return c->tls->kept_len && !c->paused && !c->closing;
}

void tls_layer_resume(struct conn *c)
{
    struct tls_layer *t = c->tls;
    t->in = t->kept;
    t->in_len = t->kept_len;
    work(c);
    keep_rest(c);
}

/* --- output --- */

struct outqueue *tls_layer_plain(struct conn *c)
{
    return &c->tls->plain;
}

void tls_layer_encrypt(struct conn *c)
{
    struct tls_layer *t = c->tls;
    struct iovec piece;
    if (t->failed)
        tls_layer_drop(c);
    if (!t->ready || t->failed)
        return;
    if (!t->plain.len && t->plain.head) /* reserved and not used */
        outqueue_clear(&c->net->chunks, &t->plain);
    while (c->wire.len < WIRE_MARK && outqueue_pieces(&t->plain, &piece, 1)) {
        size_t written = 0;
        ERR_clear_error();
        if (!SSL_write_ex(t->ssl, piece.iov_base, piece.iov_len, &written)) {
            fail(c, "TLS cannot encrypt");
            return;
        }
        outqueue_consume(&c->net->chunks, &t->plain, written);
    }
}

void tls_layer_drop(struct conn *c)
{
    outqueue_clear(&c->net->chunks, &c->tls->plain);
}

void tls_layer_say_bye(struct conn *c)
{
    struct tls_layer *t = c->tls;
    if (t->bye_said || !t->ready || t->failed)
        return;
    t->bye_said = true;
    ERR_clear_error();
    SSL_shutdown(t->ssl);
    ERR_clear_error();
}

bool tls_layer_ready(const struct conn *c)
{
    return c->tls->ready;
}

/* --- beginning and end --- */

static void start(struct conn *c, struct tls_server *server, SSL *ssl)
{
    struct tls_layer *t = c->tls = MEM_NEW(struct tls_layer);
    BIO *bio = ssl ? new_bio(c) : NULL;
    t->ssl = ssl;
    t->server = server;
    if (!c->net->plain_buffer)
        c->net->plain_buffer = mem_alloc(NET_BUFFER);
    if (bio)
        SSL_set_bio(ssl, bio, bio);
    else
        t->failed = true;
    if (t->failed)
        c->failure = ERR_TLS; /* told when the handshake would begin */
    if (c->connected)
        tls_layer_begin(c);
}

/* In a later turn: the callers of conn_start_tls_* expect no callback inside. */
void tls_layer_begin(struct conn *c)
{
    loop_timer_start(&c->timer, c->tls->failed ? 0 : HANDSHAKE_MS);
    if (!c->tls->failed && !c->tls->server)
        work(c); /* the client's hello */
}

void conn_start_tls_server(struct conn *c, struct tls_server *server, const char *domain)
{
    start(c, tls_server_ref(server), tls_impl_server_ssl(server, domain));
}

void conn_start_tls_client(struct conn *c, struct tls_client *config, const char *server_name)
{
    start(c, NULL, tls_impl_client_ssl(config, server_name));
}

void tls_layer_free(struct conn *c)
{
    struct tls_layer *t = c->tls;
    if (!t)
        return;
    outqueue_clear(&c->net->chunks, &t->plain);
    SSL_free(t->ssl);
    tls_server_unref(t->server);
    free(t->kept);
    free(t->info);
    free(t);
    c->tls = NULL;
}

/* --- what is known about it --- */

static void copy_text(char *to, size_t size, const char *from, size_t len)
{
    if (len >= size)
        len = size - 1;
    memcpy(to, from, len);
    to[len] = '\0';
}

static struct tls_info *make_info(struct tls_layer *t)
{
    struct tls_info *info = MEM_NEW(struct tls_info);
    const unsigned char *alpn = NULL;
    unsigned alpn_len = 0;
    const char *sni = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
    const struct tls_host *host = t->server ? tls_impl_host(t->server, t->ssl) : NULL;
    info->version = SSL_get_version(t->ssl);
    info->cipher = SSL_get_cipher_name(t->ssl);
    info->resumed = SSL_session_reused(t->ssl);
    SSL_get0_alpn_selected(t->ssl, &alpn, &alpn_len);
    if (alpn_len)
        copy_text(info->alpn, sizeof info->alpn, (const char *)alpn, alpn_len);
    if (sni)
        copy_text(info->sni, sizeof info->sni, sni, strlen(sni));
    if (host) {
        memcpy(info->end_point, host->end_point, host->end_point_len);
        info->end_point_len = host->end_point_len;
    }
    return info;
}

struct ssl_st *tls_layer_ssl(const struct conn *c)
{
    return c->tls && c->tls->ready ? c->tls->ssl : NULL;
}

const struct tls_info *conn_tls(const struct conn *c)
{
    struct tls_layer *t = c->tls;
    if (!t || !t->ready)
        return NULL;
    if (!t->info)
        t->info = make_info(t);
    return t->info;
}

bool conn_tls_exporter(struct conn *c, unsigned char out[32])
{
    static const char label[] = "EXPORTER-Channel-Binding"; /* RFC 9266 section 2 */
    struct tls_layer *t = c->tls;
    if (!t || !t->ready)
        return false;
    /* RFC 9266 section 4.2: over TLS 1.2 it is safe only with the extended master secret. */
    if (SSL_version(t->ssl) < TLS1_3_VERSION && SSL_get_extms_support(t->ssl) != 1)
        return false;
    return SSL_export_keying_material(t->ssl, out, 32, label, sizeof label - 1,
                                      (const unsigned char *)"", 0, 1) == 1;
}

size_t conn_tls_unique(struct conn *c, unsigned char out[64])
{
    struct tls_layer *t = c->tls;
    if (!t || !t->ready)
        return 0;
    if (SSL_version(t->ssl) < TLS1_3_VERSION && SSL_get_extms_support(t->ssl) != 1)
        return 0;
    /* RFC 5929 section 3: of the handshake's first Finished message - the client's, but the
     * server's in a resumed one. */
    bool ours = (SSL_session_reused(t->ssl) == 1) != (SSL_is_server(t->ssl) == 0);
    size_t len = ours ? SSL_get_finished(t->ssl, out, 64) : SSL_get_peer_finished(t->ssl, out, 64);
    return len <= 64 ? len : 0;
}
