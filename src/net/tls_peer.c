/* The peer's certificate between servers: who it is for, and who vouches for it. The handshake
 * itself accepts anything, since dialback may prove a domain without; so every judgement is here,
 * made once the handshake is finished. */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/net_impl.h"
#include "net/tls_impl.h"

enum { CHAIN_MAX = 10 }; /* certificates of a peer that are looked at */

/* --- what we trust, what we show --- */

struct tls_trust *tls_trust_create(const char *ca_file, char *why, size_t why_size)
{
    struct tls_trust *t = MEM_NEW(struct tls_trust);
    t->store = X509_STORE_new();
    ERR_clear_error();
    if (t->store && (ca_file ? X509_STORE_load_file(t->store, ca_file) == 1
                             : X509_STORE_set_default_paths(t->store) == 1))
        return t;
    snprintf(why, why_size, "%s: cannot read certificates of authorities: %s; the file must be PEM",
             ca_file ? ca_file : "the system's store", tls_impl_reason());
    tls_trust_destroy(t);
    return NULL;
}

void tls_trust_destroy(struct tls_trust *t)
{
    if (!t)
        return;
    X509_STORE_free(t->store);
    free(t);
}

enum error tls_client_set_certificate(struct tls_client *c, const char *cert_file,
                                      const char *key_file, char *why, size_t why_size)
{
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(c->context, cert_file) == 1 &&
        SSL_CTX_use_PrivateKey_file(c->context, key_file, SSL_FILETYPE_PEM) == 1)
        return ERR_OK;
    snprintf(why, why_size, "%s and %s: cannot be used as a certificate with its key: %s",
             cert_file, key_file, tls_impl_reason());
    return ERR_INVALID;
}

void tls_client_set_alpn(struct tls_client *c, const char *protocol)
{
    unsigned char list[34];
    size_t len = strnlen(protocol, sizeof list - 1);
    list[0] = (unsigned char)len;
    memcpy(list + 1, protocol, len);
    SSL_CTX_set_alpn_protos(c->context, list, (unsigned)len + 1);
}

/* --- whose it is --- */

/* The certificate is the connection's; not to be freed. */
static X509 *leaf_of(struct conn *c)
{
    SSL *ssl = tls_layer_ssl(c);
    return ssl ? SSL_get0_peer_certificate(ssl) : NULL;
}

bool conn_tls_peer_shown(struct conn *c)
{
    return leaf_of(c) != NULL;
}

static bool text_is(const ASN1_STRING *value, const char *prefix, const char *ascii)
{
    size_t prefix_len = strlen(prefix), len = strlen(ascii);
    const char *bytes = (const char *)ASN1_STRING_get0_data(value);
    /* An embedded NUL makes the lengths differ. */
    return (size_t)ASN1_STRING_length(value) == prefix_len + len &&
           strncasecmp(bytes, prefix, prefix_len) == 0 &&
           strncasecmp(bytes + prefix_len, ascii, len) == 0;
}

/* SRVName (RFC 4985) "_xmpp-server.DOMAIN", and id-on-xmppAddr (RFC 6120 section 13.7.1.4), which
 * is the domain in UTF-8. */
static bool other_name_is(const OTHERNAME *name, const char *ascii, const char *domain)
{
    const ASN1_TYPE *value = name->value;
    int nid = OBJ_obj2nid(name->type_id);
    if (nid == NID_SRVName && value->type == V_ASN1_IA5STRING)
        return text_is(value->value.ia5string, "_xmpp-server.", ascii);
    if (nid == NID_XmppAddr && value->type == V_ASN1_UTF8STRING)
        return text_is(value->value.utf8string, "", domain);
    return false;
}

static bool names_include(X509 *cert, const char *ascii, const char *domain)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    bool found = false;
    for (int i = 0; !found && names && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        found = name->type == GEN_OTHERNAME && other_name_is(name->d.otherName, ascii, domain);
    }
    GENERAL_NAMES_free(names);
    return found;
}

/* RFC 6125 section 6.4: DNS-ID without partial wildcards and never the common name. */
static bool is_for(X509 *cert, const char *domain)
{
    char ascii[256];
    if (!tls_name_to_ascii(domain, ascii, sizeof ascii))
        return false;
    if (tls_name_is_address(ascii))
        return X509_check_ip_asc(cert, ascii, 0) == 1;
    return X509_check_host(cert, ascii, 0,
                           X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT,
                           NULL) == 1 ||
           names_include(cert, ascii, domain);
}

bool conn_tls_peer_is(struct conn *c, const char *domain)
{
    X509 *cert = leaf_of(c);
    bool is = cert && is_for(cert, domain);
    ERR_clear_error();
    return is;
}

/* --- who vouches for it --- */

static bool verify(X509_STORE *store, X509 *leaf, STACK_OF(X509) * chain, int purpose,
                   unsigned long flags, int *ret_error)
{
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    bool valid = false;
    *ret_error = X509_V_ERR_OUT_OF_MEM;
    if (context && X509_STORE_CTX_init(context, store, leaf, chain) == 1) {
        X509_STORE_CTX_set_purpose(context, purpose);
        X509_STORE_CTX_set_flags(context, flags);
        X509_STORE_CTX_set_depth(context, CHAIN_MAX);
        valid = X509_verify_cert(context) == 1;
        *ret_error = X509_STORE_CTX_get_error(context);
    }
    X509_STORE_CTX_free(context);
    ERR_clear_error();
    return valid;
}

bool conn_tls_peer_trusted(struct conn *c, const struct tls_trust *t, char *why, size_t why_size)
{
    X509 *leaf = leaf_of(c);
    STACK_OF(X509) * chain;
    int error;
    if (!leaf) {
        snprintf(why, why_size, "it showed no certificate");
        return false;
    }
    chain = SSL_get_peer_cert_chain(tls_layer_ssl(c));
    /* Authorities give out certificates for one of the two uses only; a server needs both. */
    if (verify(t->store, leaf, chain, X509_PURPOSE_SSL_SERVER, 0, &error) ||
        (error == X509_V_ERR_INVALID_PURPOSE &&
         verify(t->store, leaf, chain, X509_PURPOSE_SSL_CLIENT, 0, &error)))
        return true;
    snprintf(why, why_size, "%s", X509_verify_cert_error_string(error));
    return false;
}

/* --- DANE --- */

/* RFC 6698 section 2.1.2 and 2.1.3: the certificate or its key, whole or hashed. */
static bool tlsa_matches(X509 *cert, const struct tls_tlsa *r)
{
    unsigned char *der = NULL, digest[EVP_MAX_MD_SIZE];
    const EVP_MD *md = r->matching == 1 ? EVP_sha256() : r->matching == 2 ? EVP_sha512() : NULL;
    unsigned digest_len = 0;
    bool matches = false;
    int len = r->selector == 0   ? i2d_X509(cert, &der)
              : r->selector == 1 ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der)
                                 : -1;
    if (len > 0 && r->matching == 0)
        matches = (size_t)len == r->len && memcmp(der, r->data, r->len) == 0;
    else if (len > 0 && md && EVP_Digest(der, (size_t)len, digest, &digest_len, md, NULL))
        matches = digest_len == r->len && memcmp(digest, r->data, r->len) == 0;
    OPENSSL_free(der);
    return matches;
}

/* The authority itself is what DNS names (RFC 6698 section 2.1.1, usage 2). */
static bool anchored(X509 *leaf, STACK_OF(X509) * chain, X509 *anchor)
{
    X509_STORE *store = X509_STORE_new();
    int error;
    bool valid =
        store && X509_STORE_add_cert(store, anchor) == 1 &&
        verify(store, leaf, chain, X509_PURPOSE_SSL_SERVER, X509_V_FLAG_PARTIAL_CHAIN, &error);
    X509_STORE_free(store);
    return valid;
}

static bool chain_matches(X509 *leaf, STACK_OF(X509) * chain, const struct tls_tlsa *r)
{
    for (int i = 1; i < sk_X509_num(chain) && i < CHAIN_MAX; i++) {
        X509 *cert = sk_X509_value(chain, i);
        if (tlsa_matches(cert, r) && (r->usage == 0 || anchored(leaf, chain, cert)))
            return true;
    }
    return false;
}

bool conn_tls_peer_dane(struct conn *c, const struct tls_trust *t, const struct tls_tlsa *record,
                        const char *domain, const char *host)
{
    X509 *leaf = leaf_of(c);
    char why[128];
    bool matches;
    if (!leaf)
        return false;
    if (record->usage == 3) { /* RFC 7671 section 5.1: neither names nor dates count */
        matches = tlsa_matches(leaf, record);
        ERR_clear_error();
        return matches;
    }
    if (!is_for(leaf, domain) && !(host && is_for(leaf, host)))
        return false;
    if (record->usage == 1)
        matches = tlsa_matches(leaf, record);
    else
        matches = record->usage <= 2 &&
                  chain_matches(leaf, SSL_get_peer_cert_chain(tls_layer_ssl(c)), record);
    if (matches && record->usage < 2)
        matches = conn_tls_peer_trusted(c, t, why, sizeof why);
    ERR_clear_error();
    return matches;
}
