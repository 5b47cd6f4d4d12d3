/* TLS by OpenSSL 3, hidden here. TLS 1.2 and 1.3 with AEAD and forward secrecy only, no
 * renegotiation, no compression, RELEASE_BUFFERS, an own BIO over the connection's buffers
 * (dependencies.md section 3). */
#ifndef JACKDAW_NET_TLS_H
#define JACKDAW_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/str.h"

/* A server's certificates: one per domain by SNI, and which is used without SNI. Reloading builds a
 * new object and swaps it; connections keep theirs (reference-counted). */
struct tls_server;
struct tls_client;

struct tls_server *tls_server_create(void);
struct tls_server *tls_server_ref(struct tls_server *s);
void tls_server_unref(struct tls_server *s);
/* PEM files. `why` takes a sentence that names the file and what is wrong with it (key does not
 * match, expired, does not cover the domain ...). The first domain added answers clients without
 * SNI. */
enum error tls_server_add(struct tls_server *s, const char *domain, const char *cert_file,
                          const char *key_file, char *why, size_t why_size);
/* ALPN protocols this listener accepts, e.g. "xmpp-client" (XEP-0368); a client that offers only
 * others is refused. */
void tls_server_set_alpn(struct tls_server *s, const char *protocol);
/* Days until the first certificate expires (negative: expired). */
int tls_server_days_left(const struct tls_server *s, const char **ret_domain);

struct tls_client *tls_client_create(const char *ca_file,
                                     bool verify); /* NULL ca_file: the system's */
void tls_client_destroy(struct tls_client *c);

struct tls_info {
    const char *version; /* "TLSv1.3" */
    const char *cipher;
    char alpn[32]; /* "" when none */
    char sni[256]; /* "" when none */
    /* RFC 5929 tls-server-end-point: hash of our certificate. */
    unsigned char end_point[64];
    size_t end_point_len;
    bool resumed;
};

/* Makes a local CA (once: dir/ca.pem, dir/ca-key.pem) and a certificate signed by it for `domain`
 * (dir/DOMAIN.pem with the chain, dir/DOMAIN-key.pem), P-256, keys with mode 0600. An existing
 * certificate that is still valid for 30 days, or that this function has not made, is left alone.
 * `why` as above. */
enum error tls_make_certificate(const char *dir, const char *domain, char *why, size_t why_size);

#endif
