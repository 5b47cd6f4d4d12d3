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

/* A server's certificates: one per domain, by SNI or by the stream header (conn_start_tls_server).
 * Reloading builds a new object and swaps it; connections keep theirs (reference-counted). */
struct tls_server;
struct tls_client;

struct tls_server *tls_server_create(void);
struct tls_server *tls_server_ref(struct tls_server *s);
void tls_server_unref(struct tls_server *s);
/* PEM files. `why` takes a sentence that names the file and what is wrong with it (key does not
 * match, expired, does not cover the domain ...). The first domain added answers clients that
 * name none. */
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

/* --- between servers: both sides show certificates, and the owner judges them --- */

/* Authorities that are trusted. One per owner, made anew on reload. */
struct tls_trust;
/* `ca_file` (PEM) or, when NULL, the system's authorities. NULL after writing to `why`. */
struct tls_trust *tls_trust_create(const char *ca_file, char *why, size_t why_size);
void tls_trust_destroy(struct tls_trust *t); /* NULL is fine */

/* Before tls_server_add: the handshake asks for the peer's certificate and accepts whatever comes,
 * or nothing; conn_tls_peer_trusted judges. No session tickets: each connection shows its own. */
void tls_server_ask_peer(struct tls_server *s);
/* For a client made without `verify`: what it shows when asked, and the ALPN protocol it offers
 * (RFC 7301). Errors and `why` as tls_server_add. */
enum error tls_client_set_certificate(struct tls_client *c, const char *cert_file,
                                      const char *key_file, char *why, size_t why_size);
void tls_client_set_alpn(struct tls_client *c, const char *protocol);

/* One TLSA record (RFC 6698 section 2.1). */
struct tls_tlsa {
    uint8_t usage, selector, matching;
    const unsigned char *data;
    size_t len;
};

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
