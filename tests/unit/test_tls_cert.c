/* net/tls_cert and the checks of tls_server_add: what is made, what is left alone, and how faults
 * are explained. */
#include "tls_files.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

static int set_up(void **state)
{
    make_files();
    return 0;
}

static int tear_down(void **state)
{
    return remove_files();
}

static void certificates_are_made_once(void **state)
{
    struct stat st, again;
    assert_int_equal(stat(file("ca-key.pem"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(file("one.example-key.pem"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(file("one.example.pem"), &st), 0);
    assert_int_equal(tls_make_certificate(dir, "one.example", why, sizeof why), ERR_OK);
    assert_int_equal(stat(file("one.example.pem"), &again), 0);
    assert_int_equal(st.st_ino, again.st_ino);
    const char *domain;
    int days = tls_server_days_left(server, &domain);
    assert_in_range(days, 395, 397);
    assert_non_null(domain);
}

static void addresses_and_foreign_names(void **state)
{
    struct tls_server *s = tls_server_create();
    add_domain(s, "127.0.0.1");
    add_domain(s, "::1");
    add_domain(s, "b\xc3\xbc"
                  "cher.example"); /* xn--bcher-kva */
    add_domain(s,
               "\xe4\xbe\x8b\xe5\xad\x90.\xe6\xb5\x8b\xe8\xaf\x95"); /* xn--fsqu00a.xn--0zwm56d */
    tls_server_unref(s);
    FILE *in = fopen(file("b\xc3\xbc"
                          "cher.example.pem"),
                     "r");
    X509 *cert = PEM_read_X509(in, NULL, NULL, NULL);
    fclose(in);
    assert_int_equal(X509_check_host(cert, "xn--bcher-kva.example", 0, 0, NULL), 1);
    X509_free(cert);
    in = fopen(file("\xe4\xbe\x8b\xe5\xad\x90.\xe6\xb5\x8b\xe8\xaf\x95.pem"), "r");
    cert = PEM_read_X509(in, NULL, NULL, NULL);
    fclose(in);
    assert_int_equal(X509_check_host(cert, "xn--fsqu00a.xn--0zwm56d", 0, 0, NULL), 1);
    X509_free(cert);
    assert_int_equal(tls_make_certificate(dir, "../escape", why, sizeof why), ERR_INVALID);
    assert_int_equal(tls_make_certificate(dir, "", why, sizeof why), ERR_INVALID);
}

/* A certificate for one.example, valid from now + `from` to now + `to` seconds, that we have not
 * made. */
static void make_foreign(const char *cert_file, const char *key_file, long from, long to)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_set_version(cert, X509_VERSION_3);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
                               (const unsigned char *)"x", -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    X509_gmtime_adj(X509_getm_notBefore(cert), from);
    X509_gmtime_adj(X509_getm_notAfter(cert), to);
    X509_set_pubkey(cert, key);
    X509_EXTENSION *names =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:one.example");
    X509_add_ext(cert, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(cert, key, EVP_sha384());
    FILE *out = fopen(cert_file, "w");
    PEM_write_X509(out, cert);
    fclose(out);
    out = fopen(key_file, "w");
    PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL);
    fclose(out);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void check_refused(const char *domain, const char *cert, const char *key, const char *names,
                          const char *says)
{
    struct tls_server *s = tls_server_create();
    why[0] = '\0';
    assert_int_not_equal(tls_server_add(s, domain, file(cert), file(key), why, sizeof why), ERR_OK);
    if (!strstr(why, names) || !strstr(why, says))
        fail_msg("\"%s\" should name %s and say \"%s\"", why, names, says);
    tls_server_unref(s);
}

static void faults_are_explained(void **state)
{
    make_foreign(file("old.pem"), file("old-key.pem"), -1000, -500);
    make_foreign(file("new.pem"), file("new-key.pem"), 5000, 9000);
    FILE *out = fopen(file("junk.pem"), "w");
    fputs("not PEM\n", out);
    fclose(out);
    check_refused("one.example", "none.pem", "none-key.pem", "none.pem",
                  "cannot read a certificate");
    check_refused("one.example", "junk.pem", "none-key.pem", "junk.pem",
                  "cannot read a certificate");
    check_refused("one.example", "one.example.pem", "none.pem", "none.pem", "cannot read the key");
    check_refused("one.example", "one.example.pem", "junk.pem", "junk.pem", "cannot read the key");
    check_refused("one.example", "one.example.pem", "two.example-key.pem", "two.example-key.pem",
                  "does not belong");
    check_refused("two.example", "one.example.pem", "one.example-key.pem", "one.example.pem",
                  "does not cover two.example");
    check_refused("one.example", "old.pem", "old-key.pem", "old.pem", "has expired");
    check_refused("one.example", "new.pem", "new-key.pem", "new.pem", "not valid yet");
    assert_int_equal(ERR_peek_error(), 0);

    assert_int_not_equal(tls_make_certificate("/proc/nowhere", "one.example", why, sizeof why),
                         ERR_OK);
    assert_non_null(strstr(why, "/proc/nowhere"));
}

/* Certificates of others stay, however bad; an authority without its key is never silently
 * replaced. */
static void nothing_of_others_is_overwritten(void **state)
{
    struct stat before, after;
    make_foreign(file("lan.pem"), file("lan-key.pem"), -1000, -500);
    assert_int_equal(stat(file("lan.pem"), &before), 0);
    assert_int_equal(tls_make_certificate(dir, "lan", why, sizeof why), ERR_OK);
    assert_int_equal(stat(file("lan.pem"), &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    char key[128], away[128];
    snprintf(key, sizeof key, "%s", file("ca-key.pem"));
    snprintf(away, sizeof away, "%s", file("away.pem"));
    assert_int_equal(rename(key, away), 0);
    assert_int_equal(tls_make_certificate(dir, "four.example", why, sizeof why), ERR_INVALID);
    assert_non_null(strstr(why, "ca-key.pem"));
    assert_int_equal(rename(away, key), 0);
    assert_int_equal(tls_make_certificate(dir, "four.example", why, sizeof why), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificates_are_made_once),
        cmocka_unit_test(addresses_and_foreign_names),
        cmocka_unit_test(faults_are_explained),
        cmocka_unit_test(nothing_of_others_is_overwritten),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
