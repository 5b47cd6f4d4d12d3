/* Making certificates: a local authority once, then one certificate per domain signed by it, so
 * that a LAN install has TLS from its first start and people import one ca.pem. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"
#include "net/tls_impl.h"

enum {
    CA_DAYS = 3653,
    SERVER_DAYS =
        397, /* the longest that common clients accept from a public authority; ours follow suit */
    RENEW_DAYS = 30,
    PATH_SIZE = 4096
};

#define AUTHORITY_NAME "Jackdaw local authority"

/* What the steps below share. */
struct maker {
    const char *dir, *domain;
    char ascii[256];
    char *why;
    size_t why_size;
    EVP_PKEY *ca_key, *key;
    X509 *ca, *cert;
};

static enum error openssl_failed(struct maker *m, const char *doing)
{
    snprintf(m->why, m->why_size, "cannot %s for %s: %s", doing, m->domain, tls_impl_reason());
    return ERR_TLS;
}

static enum error file_failed(struct maker *m, const char *path, const char *doing)
{
    int errnum = errno;
    snprintf(m->why, m->why_size,
             "%s: cannot %s: %s; the directory must belong to the user who runs the server", path,
             doing, error_errno_text(errnum));
    return error_from_errno(errnum);
}

static void path_of(const struct maker *m, const char *name, const char *suffix,
                    char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s/%s%s", m->dir, name, suffix);
}

/* --- files --- */

/* The file appears complete or not at all. */
static enum error write_file(struct maker *m, const char *path, mode_t mode, BIO *content)
{
    char temporary[PATH_SIZE + 8];
    char *bytes;
    long len = BIO_get_mem_data(content, &bytes);
    snprintf(temporary, sizeof temporary, "%s.new", path);
    unlink(temporary);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return file_failed(m, temporary, "create it");
    bool written = write(fd, bytes, (size_t)len) == len && fsync(fd) == 0;
    if (close(fd) == 0 && written && rename(temporary, path) == 0)
        return ERR_OK;
    enum error e = file_failed(m, path, "write it");
    unlink(temporary);
    return e;
}

static enum error write_key(struct maker *m, const char *path, EVP_PKEY *key)
{
    BIO *content = BIO_new(BIO_s_secmem());
    enum error e = ERR_OK;
    if (!content || !PEM_write_bio_PrivateKey(content, key, NULL, NULL, 0, NULL, NULL))
        e = openssl_failed(m, "write a key");
    else
        e = write_file(m, path, 0600, content);
    BIO_free(content);
    return e;
}

static enum error write_certificates(struct maker *m, const char *path, X509 *first, X509 *second)
{
    BIO *content = BIO_new(BIO_s_mem());
    enum error e = ERR_OK;
    if (!content || !PEM_write_bio_X509(content, first) ||
        (second && !PEM_write_bio_X509(content, second)))
        e = openssl_failed(m, "write a certificate");
    else
        e = write_file(m, path, 0644, content);
    BIO_free(content);
    return e;
}

static X509 *read_certificate(const char *path)
{
    BIO *in = BIO_new_file(path, "r");
    X509 *cert = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
    BIO_free(in);
    ERR_clear_error();
    return cert;
}

static EVP_PKEY *read_key(const char *path)
{
    BIO *in = BIO_new_file(path, "r");
    EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, NULL, NULL) : NULL;
    BIO_free(in);
    ERR_clear_error();
    return key;
}

/* --- certificates --- */

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool added = extension && X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
    return added;
}

/* RFC 5280 section 4.1.2.2: a positive serial number of at most 20 bytes; random, so that it need
 * not be kept. */
static bool set_serial(X509 *cert)
{
    BIGNUM *number = BN_new();
    bool set = number && BN_rand(number, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) &&
               BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
    BN_free(number);
    return set;
}

static X509 *new_certificate(EVP_PKEY *key, const char *name, int days)
{
    X509 *cert = X509_new();
    X509_NAME *subject = cert ? X509_get_subject_name(cert) : NULL;
    int name_len =
        (int)strnlen(name, 64); /* ub-common-name; the subjectAltName carries the whole */
    if (cert && X509_set_version(cert, X509_VERSION_3) && set_serial(cert) &&
        X509_gmtime_adj(X509_getm_notBefore(cert), -3600) && /* clocks differ */
        X509_time_adj_ex(X509_getm_notAfter(cert), days, 0, NULL) && X509_set_pubkey(cert, key) &&
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name,
                                   name_len, -1, 0))
        return cert;
    X509_free(cert);
    return NULL;
}

static X509 *new_authority(EVP_PKEY *key)
{
    unsigned char salt[4];
    char name[64];
    struct random *random = random_create();
    random_fill(random, salt, sizeof salt);
    random_destroy(random);
    /* Two installations on one network must not have authorities of the same name: clients would
     * mix them up. */
    snprintf(name, sizeof name, AUTHORITY_NAME " %02x%02x%02x%02x", salt[0], salt[1], salt[2],
             salt[3]);
    X509 *cert = new_certificate(key, name, CA_DAYS);
    if (cert && X509_set_issuer_name(cert, X509_get_subject_name(cert)) &&
        add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
        add_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
        add_extension(cert, cert, NID_subject_key_identifier, "hash") &&
        X509_sign(cert, key, EVP_sha256()))
        return cert;
    X509_free(cert);
    return NULL;
}

static X509 *new_server_certificate(const struct maker *m)
{
    char names[300];
    snprintf(names, sizeof names, "%s:%s", tls_name_is_address(m->ascii) ? "IP" : "DNS", m->ascii);
    X509 *cert = new_certificate(m->key, m->ascii, SERVER_DAYS);
    if (cert && X509_set_issuer_name(cert, X509_get_subject_name(m->ca)) &&
        add_extension(cert, m->ca, NID_basic_constraints, "critical,CA:FALSE") &&
        add_extension(cert, m->ca, NID_key_usage, "critical,digitalSignature") &&
        add_extension(cert, m->ca, NID_ext_key_usage,
                      "serverAuth,clientAuth") && /* s2s: both ends */
        add_extension(cert, m->ca, NID_subject_key_identifier, "hash") &&
        add_extension(cert, m->ca, NID_authority_key_identifier, "keyid") &&
        add_extension(cert, m->ca, NID_subject_alt_name, names) &&
        X509_sign(cert, m->ca_key, EVP_sha256()))
        return cert;
    X509_free(cert);
    return NULL;
}

/* --- the steps --- */

static int days_left(const X509 *cert)
{
    int days = 0, seconds;
    ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(cert));
    return days;
}

static bool made_by_us(X509 *cert)
{
    char issuer[128] = "";
    X509_NAME_get_text_by_NID(X509_get_issuer_name(cert), NID_commonName, issuer, sizeof issuer);
    return strncmp(issuer, AUTHORITY_NAME, strlen(AUTHORITY_NAME)) == 0;
}

/* What is there stays when it is good for another month, or when it is not ours to replace:
 * tls_server_add then says what is wrong with it. */
static bool stays(const struct maker *m, const char *cert_path, const char *key_path)
{
    X509 *cert = read_certificate(cert_path);
    EVP_PKEY *key = read_key(key_path);
    bool good = cert ? !made_by_us(cert) ||
                           (key && X509_check_private_key(cert, key) &&
                            days_left(cert) >= RENEW_DAYS && tls_name_matches(cert, m->ascii))
                     : access(cert_path, F_OK) == 0; /* whatever it is, somebody put it there */
    ERR_clear_error();
    X509_free(cert);
    EVP_PKEY_free(key);
    return good;
}

static enum error make_authority(struct maker *m, const char *cert_path, const char *key_path)
{
    m->ca_key = EVP_EC_gen("P-256");
    m->ca = m->ca_key ? new_authority(m->ca_key) : NULL;
    if (!m->ca)
        return openssl_failed(m, "make a local certificate authority");
    enum error e = write_key(m, key_path, m->ca_key);
    return e == ERR_OK ? write_certificates(m, cert_path, m->ca, NULL) : e;
}

/* Loads the authority or makes it. One that exists is never replaced because of a fault: people
 * have imported it. */
static enum error get_authority(struct maker *m)
{
    char cert_path[PATH_SIZE], key_path[PATH_SIZE];
    path_of(m, "ca", ".pem", cert_path);
    path_of(m, "ca-key", ".pem", key_path);
    if (access(cert_path, F_OK) < 0 && access(key_path, F_OK) < 0)
        return make_authority(m, cert_path, key_path);
    m->ca = read_certificate(cert_path);
    m->ca_key = read_key(key_path);
    if (!m->ca || !m->ca_key || !X509_check_private_key(m->ca, m->ca_key)) {
        ERR_clear_error();
        snprintf(m->why, m->why_size,
                 "%s and %s: not a certificate authority with its key, readable by this process; "
                 "restore both "
                 "files, or remove both to have a new authority made (clients must then import it "
                 "again)",
                 cert_path, key_path);
        return ERR_INVALID;
    }
    if (days_left(m->ca) < RENEW_DAYS)
        return make_authority(m, cert_path, key_path);
    return ERR_OK;
}

static enum error make_locked(struct maker *m)
{
    char cert_path[PATH_SIZE], key_path[PATH_SIZE];
    path_of(m, m->domain, ".pem", cert_path);
    path_of(m, m->domain, "-key.pem", key_path);
    if (stays(m, cert_path, key_path))
        return ERR_OK;
    enum error e = get_authority(m);
    if (e != ERR_OK)
        return e;
    m->key = EVP_EC_gen("P-256");
    m->cert = m->key ? new_server_certificate(m) : NULL;
    if (!m->cert)
        return openssl_failed(m, "make a certificate");
    e = write_key(m, key_path, m->key);
    return e == ERR_OK ? write_certificates(m, cert_path, m->cert, m->ca) : e;
}

/* c2s and s2s, and several of each, may start at once: whoever comes second finds what the first
 * has made. */
static enum error make(struct maker *m)
{
    if (mkdir(m->dir, 0700) < 0 && errno != EEXIST)
        return file_failed(m, m->dir, "create this directory");
    int lock = open(m->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX) != 0) {
        if (lock >= 0)
            close(lock);
        return file_failed(m, m->dir, "lock this directory");
    }
    enum error e = make_locked(m);
    close(lock);
    return e;
}

enum error tls_make_certificate(const char *dir, const char *domain, char *why, size_t why_size)
{
    struct maker m = {.dir = dir, .domain = domain, .why = why, .why_size = why_size};
    if (strchr(domain, '/') || !tls_name_to_ascii(domain, m.ascii, sizeof m.ascii)) {
        snprintf(why, why_size, "%s is no domain that DNS and certificates can spell", domain);
        return ERR_INVALID;
    }
    ERR_clear_error();
    enum error e = make(&m);
    X509_free(m.ca);
    X509_free(m.cert);
    EVP_PKEY_free(m.ca_key);
    EVP_PKEY_free(m.key);
    return e;
}
