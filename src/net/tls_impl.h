/* What the TLS files share: contexts (tls.c), the layer on a connection (tls_layer.c), certificates
 * (tls_cert.c). */
#ifndef JACKDAW_NET_TLS_IMPL_H
#define JACKDAW_NET_TLS_IMPL_H

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>

#include "net/tls.h"

/* One domain's certificate. */
struct tls_host {
    struct tls_host *next;
    char *domain; /* in its ASCII form, lower case */
    SSL_CTX *context;
    unsigned char end_point[64];
    size_t end_point_len;
};

struct tls_client {
    SSL_CTX *context;
    bool verify;
};

struct tls_trust {
    X509_STORE *store;
};

/* A new connection's state on the server's side; its context answers SNI by itself, and without it
 * shows the certificate of `domain` (NULL or unknown: the first). NULL when no domain was added. */
SSL *tls_impl_server_ssl(struct tls_server *s, const char *domain);
SSL *tls_impl_client_ssl(struct tls_client *c, const char *server_name);
/* The certificate that `ssl` uses now, after SNI. */
const struct tls_host *tls_impl_host(struct tls_server *s, SSL *ssl);

/* The newest reason in OpenSSL's queue as text; empties the queue. */
const char *tls_impl_reason(void);

/* tls_name.c: the domain as certificates and SNI spell it (lower case, A-labels by RFC 3492). False
 * when too long. */
bool tls_name_to_ascii(const char *domain, char *out, size_t size);
bool tls_name_is_address(const char *domain);
/* RFC 6125: the certificate is for this domain (ASCII form) or IP address. */
bool tls_name_matches(X509 *cert, const char *ascii_domain);

#endif
