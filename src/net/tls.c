/* TLS contexts: which certificate for which domain, and what is allowed. */
#include "net/tls.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/tls_impl.h"

struct tls_server {
    int references; /* one loop's thread only */
    struct tls_host *hosts, **last;
    unsigned char alpn[33]; /* length and name; length 0: any or none */
    bool ask_peer;
};

/* TLS 1.2 only what has forward secrecy and AEAD (RFC 9325 section 4.2); TLS 1.3 has nothing else.
 */
static const char tls12_ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
/* 128 bits first: as safe, cheaper, and its key schedule is smaller in every idle connection. */
static const char tls13_suites[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

const char *tls_impl_reason(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return reason ? reason : "no reason known";
}

static SSL_CTX *new_context(const SSL_METHOD *method)
{
    SSL_CTX *context = SSL_CTX_new(method);
    if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) ||
        !SSL_CTX_set_cipher_list(context, tls12_ciphers) ||
        !SSL_CTX_set_ciphersuites(context, tls13_suites) ||
        !SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384")) {
        fprintf(stderr, "jackdaw: OpenSSL cannot do TLS 1.2 with AEAD ciphers here: %s\n",
                tls_impl_reason());
        abort();
    }
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    return context;
}

/* --- server --- */

struct tls_server *tls_server_create(void)
{
    struct tls_server *s = MEM_NEW(struct tls_server);
    s->references = 1;
    s->last = &s->hosts;
    return s;
}

struct tls_server *tls_server_ref(struct tls_server *s)
{
    s->references++;
    return s;
}

static void host_destroy(struct tls_host *h)
{
    SSL_CTX_free(h->context);
    free(h->domain);
    free(h);
}

void tls_server_unref(struct tls_server *s)
{
    if (!s || --s->references)
        return;
    for (struct tls_host *h = s->hosts, *next; h; h = next) {
        next = h->next;
        host_destroy(h);
    }
    free(s);
}

static struct tls_host *find_host(const struct tls_server *s, const char *name)
{
    struct tls_host *h = s->hosts;
    while (h && strcasecmp(h->domain, name) != 0)
        h = h->next;
    return h;
}

/* RFC 6066 section 3. An unknown name gets the certificate that no name would have got: the client
 * will see that it does not match, and the stream then ends with host-unknown, which says more than
 * a TLS alert. */
static int on_sni(SSL *ssl, int *alert, void *arg)
{
    struct tls_server *s = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    (void)alert;
    const struct tls_host *h = name ? find_host(s, name) : NULL;
    if (!h)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_SSL_CTX(ssl, h->context);
    return SSL_TLSEXT_ERR_OK;
}

/* RFC 7301 section 3.2: a client that offers only other protocols is refused (XEP-0368 section 3,
 * against ALPACA). */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned in_len, void *arg)
{
    const struct tls_server *s = arg;
    (void)ssl;
    if (!s->alpn[0])
        return SSL_TLSEXT_ERR_NOACK;
    for (unsigned i = 0; i < in_len; i += in[i] + 1u) {
        if (in[i] == s->alpn[0] && memcmp(in + i + 1, s->alpn + 1, s->alpn[0]) == 0) {
            *out = s->alpn + 1;
            *out_len = s->alpn[0];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

void tls_server_set_alpn(struct tls_server *s, const char *protocol)
{
    size_t len = strnlen(protocol, sizeof s->alpn - 1);
    s->alpn[0] = (unsigned char)len;
    memcpy(s->alpn + 1, protocol, len);
}

/* RFC 5929 section 4.1: the hash of the certificate's own signature, SHA-256 where that is MD5,
 * SHA-1 or none. */
static bool hash_end_point(struct tls_host *h, X509 *cert)
{
    int digest = NID_undef, key;
    unsigned len = sizeof h->end_point;
    OBJ_find_sigid_algs(X509_get_signature_nid(cert), &digest, &key);
    const EVP_MD *md = NULL;
    if (digest != NID_undef && digest != NID_md5 && digest != NID_sha1 && digest != NID_md5_sha1)
        md = EVP_get_digestbynid(digest);
    if (!X509_digest(cert, md ? md : EVP_sha256(), h->end_point, &len))
        return false;
    h->end_point_len = len;
    return true;
}

static enum error check_certificate(X509 *cert, const char *ascii, const char *domain,
                                    const char *file, char *why, size_t why_size)
{
    if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
        snprintf(why, why_size,
                 "%s: the certificate for %s has expired; put a renewed one there and reload", file,
                 domain);
    else if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0)
        snprintf(
            why, why_size,
            "%s: the certificate for %s is not valid yet; check the clock of this machine, or wait",
            file, domain);
    else if (!tls_name_matches(cert, ascii))
        snprintf(
            why, why_size,
            "%s: the certificate does not cover %s; get one with this name in its subjectAltName",
            file, domain);
    else
        return ERR_OK;
    return ERR_INVALID;
}

/* Loads both files into h->context. */
static enum error load(struct tls_host *h, const char *domain, const char *cert_file,
                       const char *key_file, char *why, size_t why_size)
{
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(h->context, cert_file) != 1) {
        snprintf(why, why_size,
                 "%s: cannot read a certificate for %s: %s; the file must be PEM and readable by "
                 "this process",
                 cert_file, domain, tls_impl_reason());
        return ERR_NOT_FOUND;
    }
    X509 *cert = SSL_CTX_get0_certificate(h->context);
    enum error e = check_certificate(cert, h->domain, domain, cert_file, why, why_size);
    if (e != ERR_OK)
        return e;
    if (SSL_CTX_use_PrivateKey_file(h->context, key_file, SSL_FILETYPE_PEM) != 1) {
        bool mismatch = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH ||
                        ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_TYPE_MISMATCH;
        if (mismatch)
            snprintf(why, why_size, "%s: this key does not belong to the certificate in %s",
                     key_file, cert_file);
        else
            snprintf(
                why, why_size,
                "%s: cannot read the key for %s: %s; the file must be PEM, without a password, and "
                "readable by this process",
                key_file, domain, tls_impl_reason());
        ERR_clear_error();
        return mismatch ? ERR_INVALID : ERR_NOT_FOUND;
    }
    if (!hash_end_point(h, cert)) {
        snprintf(why, why_size, "%s: cannot hash the certificate: %s", cert_file,
                 tls_impl_reason());
        return ERR_TLS;
    }
    return ERR_OK;
}

/* A certificate nobody vouches for is no reason to end the handshake: dialback may still prove the
 * domain (XEP-0178 section 3). */
static int accept_any(int valid, X509_STORE_CTX *store)
{
    (void)valid, (void)store;
    return 1;
}

static void ask_peer(SSL_CTX *context)
{
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, accept_any);
    /* A resumed session would carry the leaf without the chain that is to be judged. */
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
}

void tls_server_ask_peer(struct tls_server *s)
{
    s->ask_peer = true;
}

enum error tls_server_add(struct tls_server *s, const char *domain, const char *cert_file,
                          const char *key_file, char *why, size_t why_size)
{
    static const unsigned char session_context[] = "jackdaw";
    char ascii[256];
    if (!tls_name_to_ascii(domain, ascii, sizeof ascii)) {
        snprintf(why, why_size, "%s is no domain that DNS and certificates can spell", domain);
        return ERR_INVALID;
    }
    struct tls_host *h = MEM_NEW(struct tls_host);
    h->domain = mem_strdup(ascii);
    h->context = new_context(TLS_server_method());
    SSL_CTX_set_num_tickets(h->context, 1); /* stateless: nothing is kept here */
    if (s->ask_peer)
        ask_peer(h->context);
    SSL_CTX_set_session_id_context(h->context, session_context, sizeof session_context - 1);
    SSL_CTX_set_tlsext_servername_callback(h->context, on_sni);
    SSL_CTX_set_tlsext_servername_arg(h->context, s);
    SSL_CTX_set_alpn_select_cb(h->context, on_alpn, s);
    enum error e = load(h, domain, cert_file, key_file, why, why_size);
    if (e != ERR_OK) {
        host_destroy(h);
        return e;
    }
    *s->last = h;
    s->last = &h->next;
    return ERR_OK;
}

int tls_server_days_left(const struct tls_server *s, const char **ret_domain)
{
    int least = INT32_MAX;
    *ret_domain = NULL;
    for (const struct tls_host *h = s->hosts; h; h = h->next) {
        int days = 0, seconds;
        const X509 *cert = SSL_CTX_get0_certificate(h->context);
        ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(cert));
        if (days < least) {
            least = days;
            *ret_domain = h->domain;
        }
    }
    return least;
}

SSL *tls_impl_server_ssl(struct tls_server *s, const char *domain)
{
    char ascii[256];
    if (!s->hosts)
        return NULL;
    bool named = domain && tls_name_to_ascii(domain, ascii, sizeof ascii);
    const struct tls_host *h = named ? find_host(s, ascii) : NULL;
    SSL *ssl = SSL_new((h ? h : s->hosts)->context);
    if (ssl)
        SSL_set_accept_state(ssl);
    return ssl;
}

const struct tls_host *tls_impl_host(struct tls_server *s, SSL *ssl)
{
    const SSL_CTX *context = SSL_get_SSL_CTX(ssl);
    for (const struct tls_host *h = s->hosts; h; h = h->next)
        if (h->context == context)
            return h;
    return NULL;
}

/* --- client --- */

struct tls_client *tls_client_create(const char *ca_file, bool verify)
{
    struct tls_client *c = MEM_NEW(struct tls_client);
    c->context = new_context(TLS_client_method());
    c->verify = verify;
    /* The system's authorities are 2 MB and 50 ms: only for who looks at them. */
    if (verify && (ca_file ? !SSL_CTX_load_verify_file(c->context, ca_file)
                           : !SSL_CTX_set_default_verify_paths(c->context))) {
        ERR_clear_error();
        if (ca_file) {
            tls_client_destroy(c);
            return NULL;
        }
    }
    SSL_CTX_set_verify(c->context, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    return c;
}

void tls_client_destroy(struct tls_client *c)
{
    if (!c)
        return;
    SSL_CTX_free(c->context);
    free(c);
}

SSL *tls_impl_client_ssl(struct tls_client *c, const char *server_name)
{
    char ascii[256];
    SSL *ssl = SSL_new(c->context);
    if (!ssl || !tls_name_to_ascii(server_name, ascii, sizeof ascii)) {
        SSL_free(ssl);
        return NULL;
    }
    if (tls_name_is_address(ascii)) /* RFC 6066 section 3: no SNI for addresses */
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), ascii);
    else if (!SSL_set_tlsext_host_name(ssl, ascii) || !SSL_set1_host(ssl, ascii)) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_connect_state(ssl);
    return ssl;
}
