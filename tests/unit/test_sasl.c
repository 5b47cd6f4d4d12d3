/* SASL, server side: the examples of the RFCs, and every way an exchange may go wrong, with the
 * condition each gets (reliability.md B 17 to 23). The client here is made with OpenSSL's own
 * PBKDF2 and HMAC. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/mem.h"
#include "xmpp/sasl.h"
#include "xmpp/sasl_impl.h"

#define SCRAM_ALL                                                                                  \
    (SASL_SCRAM_SHA_1 | SASL_SCRAM_SHA_256 | SASL_SCRAM_SHA_512 | SASL_SCRAM_SHA_1_PLUS |          \
     SASL_SCRAM_SHA_256_PLUS | SASL_SCRAM_SHA_512_PLUS)
#define NO_PLUS   (SASL_SCRAM_SHA_1 | SASL_SCRAM_SHA_256 | SASL_SCRAM_SHA_512 | SASL_PLAIN)
#define EXPORTER  STR("0123456789abcdef0123456789abcdef")
#define END_POINT STR("end-point-hash-of-the-certificate")

static const unsigned char secret[32] = "a secret of this installation";

struct exchange {
    struct random *random;
    struct sasl *s;
    struct scram_keys keys[SCRAM_HASHES];
    struct buffer out;
};

static int setup(void **state)
{
    struct exchange *x = MEM_NEW(struct exchange);
    x->random = random_create_seeded(11);
    for (enum scram_hash h = 0; h < SCRAM_HASHES; h++)
        scram_derive(h, STR("pencil"), (const unsigned char *)"0123456789abcdef", 16, 64,
                     &x->keys[h]);
    buffer_init(&x->out, 65536);
    *state = x;
    return 0;
}

static int teardown(void **state)
{
    struct exchange *x = *state;
    sasl_destroy(x->s);
    random_destroy(x->random);
    buffer_finish(&x->out);
    free(x);
    return 0;
}

static void start(struct exchange *x, enum sasl_mechanism m, unsigned offered)
{
    struct sasl_channel channel = {EXPORTER, END_POINT, STR_NULL};
    sasl_destroy(x->s);
    x->s = sasl_create(m, offered, STR("example.com"), &channel, secret, x->random);
    buffer_clear(&x->out);
}

static void assert_failure(struct exchange *x, enum sasl_action action, enum sasl_failure failure,
                           const char *what)
{
    if (action != SASL_FAILURE || sasl_failure(x->s) != failure)
        fail_msg("%s: action %d, %s (%s)", what, action,
                 sasl_failure_element(sasl_failure(x->s)).data, sasl_why(x->s));
    assert_true(strlen(sasl_why(x->s)) > 0);
    /* and it stays over */
    assert_int_equal(sasl_step(x->s, STR("n,,n=user,r=abc"), &x->out), SASL_FAILURE);
    assert_int_equal(sasl_account(x->s, &x->keys[SCRAM_SHA_256], false, &x->out), SASL_FAILURE);
    sasl_verify_run(x->s);
    assert_int_equal(sasl_verify_done(x->s, &x->out), SASL_FAILURE);
}

/* The client's second message, for the challenge in x->out. */
static void client_final(struct exchange *x, enum scram_hash h, const char *password,
                         struct str bare, struct str binding, struct buffer *final)
{
    static const EVP_MD *(*const digest[])(void) = {EVP_sha1, EVP_sha256, EVP_sha512};
    const EVP_MD *md = digest[h]();
    unsigned char salted[64], key[64], stored[64], mac[64];
    unsigned size = 0, iterations = 0;
    char nonce[200], salt64[100];
    struct buffer auth, salt;
    buffer_init(&auth, 8192);
    buffer_init(&salt, 100);
    buffer_add_char(&x->out, '\0');
    assert_int_equal(sscanf(x->out.data, "r=%199[^,],s=%99[^,],i=%u", nonce, salt64, &iterations),
                     3);
    assert_true(sasl_base64_decode(str_of(salt64), &salt));
    buffer_add_str(final, STR("c="));
    sasl_base64_encode(binding, final);
    buffer_printf(final, ",r=%s", nonce);
    buffer_add_str(&auth, bare);
    buffer_printf(&auth, ",%s,", x->out.data);
    buffer_add_str(&auth, buffer_str(final));
    int hash_size = EVP_MD_get_size(md);
    PKCS5_PBKDF2_HMAC(password, (int)strlen(password),
                      (const unsigned char *)buffer_str(&salt).data, (int)buffer_len(&salt),
                      (int)iterations, md, hash_size, salted);
    HMAC(md, salted, hash_size, (const unsigned char *)"Client Key", 10, key, &size);
    EVP_Digest(key, size, stored, NULL, md, NULL);
    HMAC(md, stored, hash_size, (const unsigned char *)auth.data, buffer_len(&auth), mac, NULL);
    for (unsigned i = 0; i < size; i++)
        key[i] ^= mac[i];
    buffer_add_str(final, STR(",p="));
    sasl_base64_encode((struct str){(const char *)key, size}, final);
    buffer_clear(&x->out);
    buffer_finish(&auth);
    buffer_finish(&salt);
}

/* gs2 header and binding data, then the whole exchange. */
static enum sasl_action run(struct exchange *x, enum sasl_mechanism m, unsigned offered,
                            const char *gs2, struct str data, const char *bare,
                            const char *password, bool known)
{
    struct buffer first, binding, final;
    buffer_init(&first, 8192);
    buffer_init(&binding, 8192);
    buffer_init(&final, 8192);
    start(x, m, offered);
    buffer_printf(&first, "%s%s", gs2, bare);
    buffer_add_str(&binding, str_of(gs2));
    buffer_add_str(&binding, data);
    enum sasl_action action = sasl_step(x->s, buffer_str(&first), &x->out);
    if (action == SASL_LOOKUP) {
        enum scram_hash h = sasl_hash(x->s);
        action = sasl_account(x->s, known ? &x->keys[h] : NULL, false, &x->out);
        assert_int_equal(action, SASL_CHALLENGE);
        client_final(x, h, password, str_of(bare), buffer_str(&binding), &final);
        action = sasl_step(x->s, buffer_str(&final), &x->out);
    }
    buffer_finish(&first);
    buffer_finish(&binding);
    buffer_finish(&final);
    return action;
}

static void test_names(void **state)
{
    (void)state;
    size_t count = 0;
    for (; sasl_preference[count] != SASL_NONE; count++)
        assert_int_equal(sasl_mechanism_parse(str_of(sasl_mechanism_name(sasl_preference[count]))),
                         sasl_preference[count]);
    assert_int_equal(count, 8);
    assert_int_equal(sasl_mechanism_parse(STR("SCRAM-SHA-256-PLUS")), SASL_SCRAM_SHA_256_PLUS);
    assert_int_equal(sasl_mechanism_parse(STR("ANONYMOUS")), SASL_ANONYMOUS);
    assert_int_equal(sasl_mechanism_parse(STR("EXTERNAL")), SASL_NONE);
    assert_int_equal(sasl_mechanism_parse(STR("DIGEST-MD5")), SASL_NONE);
    assert_int_equal(sasl_mechanism_parse(STR("plain")), SASL_NONE);
    assert_int_equal(sasl_mechanism_parse(STR("")), SASL_NONE);
    assert_int_equal(sasl_mechanism_parse(STR_NULL), SASL_NONE);
    assert_true(
        str_is(sasl_failure_element(SASL_FAIL_TEMPORARY_AUTH_FAILURE), "temporary-auth-failure"));
    assert_true(str_is(sasl_failure_element(SASL_FAIL_ENCRYPTION_REQUIRED), "encryption-required"));
    assert_true(str_is(sasl_failure_element(SASL_FAIL_MALFORMED_REQUEST), "malformed-request"));
    assert_true(str_is(sasl_failure_element(SASL_FAIL_ACCOUNT_DISABLED), "account-disabled"));
    assert_true(str_is(sasl_failure_element(SASL_FAIL_ABORTED), "aborted"));
    assert_true(str_is(sasl_failure_element(SASL_FAIL_INCORRECT_ENCODING), "incorrect-encoding"));
    assert_true(str_is(sasl_failure_element(SASL_FAIL_INVALID_AUTHZID), "invalid-authzid"));
    assert_true(str_is(sasl_failure_element(SASL_FAIL_INVALID_MECHANISM), "invalid-mechanism"));
    assert_true(str_is(sasl_failure_element(SASL_FAIL_NOT_AUTHORIZED), "not-authorized"));
}

/* The examples of RFC 5802 section 5 and RFC 7677 section 3, and one for SHA-512 computed by
 * python3 (hashlib.pbkdf2_hmac, hmac, with the same salt, nonces and count as RFC 7677). The
 * server's nonce is put in by hand. */
static void test_published_vectors(void **state)
{
    struct exchange *x = *state;
    static const struct {
        enum sasl_mechanism mechanism;
        enum scram_hash hash;
        const char *salt, *cnonce, *snonce, *proof, *signature;
    } rows[] = {
        {SASL_SCRAM_SHA_1, SCRAM_SHA_1, "QSXCR+Q6sek8bf92", "fyko+d2lbbFgONRv9qkxdawL",
         "3rfcNHYJY1ZVvWVs7j", "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
        {SASL_SCRAM_SHA_256, SCRAM_SHA_256, "W22ZaJ0SNY7soEsUEjb6gQ==", "rOprNGfwEbeRWgbNEkqO",
         "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
         "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
        {SASL_SCRAM_SHA_512, SCRAM_SHA_512, "W22ZaJ0SNY7soEsUEjb6gQ==", "rOprNGfwEbeRWgbNEkqO",
         "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
         "gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==",
         "v=ZQnYEgWQMFmmsM8aQMF0nDDCy/"
         "AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw=="},
    };
    for (size_t i = 0; i < 3; i++) {
        char text[1000];
        struct buffer salt;
        struct scram_keys keys;
        buffer_init(&salt, 100);
        assert_true(sasl_base64_decode(str_of(rows[i].salt), &salt));
        assert_true(scram_derive(rows[i].hash, STR("pencil"),
                                 (const unsigned char *)buffer_str(&salt).data, buffer_len(&salt),
                                 4096, &keys));
        buffer_finish(&salt);
        start(x, rows[i].mechanism, NO_PLUS);
        snprintf(text, sizeof(text), "n,,n=user,r=%s", rows[i].cnonce);
        assert_int_equal(sasl_step(x->s, str_of(text), &x->out), SASL_LOOKUP);
        assert_true(str_is(sasl_username(x->s), "user"));
        assert_int_equal(sasl_account(x->s, &keys, false, &x->out), SASL_CHALLENGE);
        buffer_clear(&x->s->nonce);
        buffer_printf(&x->s->nonce, "%s%s", rows[i].cnonce, rows[i].snonce);
        buffer_clear(&x->s->auth_message);
        buffer_printf(&x->s->auth_message, "n=user,r=%s,r=%s%s,s=%s,i=4096", rows[i].cnonce,
                      rows[i].cnonce, rows[i].snonce, rows[i].salt);
        buffer_clear(&x->out);
        snprintf(text, sizeof(text), "c=biws,r=%s%s,p=%s", rows[i].cnonce, rows[i].snonce,
                 rows[i].proof);
        assert_int_equal(sasl_step(x->s, str_of(text), &x->out), SASL_SUCCESS);
        assert_true(str_is(buffer_str(&x->out), rows[i].signature));
    }
}

static void test_scram(void **state)
{
    struct exchange *x = *state;
    static const enum sasl_mechanism all[] = {SASL_SCRAM_SHA_1, SASL_SCRAM_SHA_256,
                                              SASL_SCRAM_SHA_512};
    static const enum sasl_mechanism plus[] = {SASL_SCRAM_SHA_1_PLUS, SASL_SCRAM_SHA_256_PLUS,
                                               SASL_SCRAM_SHA_512_PLUS};
    for (size_t i = 0; i < 3; i++) {
        const char *bare = "n=user,r=abc,x=ignored";
        assert_int_equal(run(x, all[i], SCRAM_ALL, "n,,", STR(""), bare, "pencil", true),
                         SASL_SUCCESS);
        assert_true(str_starts(buffer_str(&x->out), STR("v=")));
        assert_int_equal(run(x, all[i], NO_PLUS, "y,,", STR(""), bare, "pencil", true),
                         SASL_SUCCESS);
        assert_int_equal(
            run(x, plus[i], SCRAM_ALL, "p=tls-exporter,,", EXPORTER, bare, "pencil", true),
            SASL_SUCCESS);
        assert_int_equal(
            run(x, plus[i], SCRAM_ALL, "p=tls-server-end-point,,", END_POINT, bare, "pencil", true),
            SASL_SUCCESS);
        assert_failure(x, run(x, all[i], SCRAM_ALL, "n,,", STR(""), bare, "pencil", false),
                       SASL_FAIL_NOT_AUTHORIZED, "unknown user");
        assert_failure(x, run(x, all[i], SCRAM_ALL, "n,,", STR(""), bare, "Pencil", true),
                       SASL_FAIL_NOT_AUTHORIZED, "wrong password");
        assert_failure(
            x, run(x, plus[i], SCRAM_ALL, "p=tls-exporter,,", END_POINT, bare, "pencil", true),
            SASL_FAIL_NOT_AUTHORIZED, "binding to another channel");
    }
}

/* docs/decisions/0006-tls-unique.md: used where the channel has it, though never announced. Without
 * it: test_bad_first. */
static void test_tls_unique(void **state)
{
    struct exchange *x = *state;
    struct sasl_channel channel = {EXPORTER, END_POINT, STR("finished")};
    for (int right = 0; right < 2; right++) {
        struct buffer final;
        buffer_init(&final, 1000);
        sasl_destroy(x->s);
        x->s = sasl_create(SASL_SCRAM_SHA_256_PLUS, SCRAM_ALL, STR("example.com"), &channel, secret,
                           x->random);
        buffer_clear(&x->out);
        assert_int_equal(sasl_step(x->s, STR("p=tls-unique,,n=user,r=abc"), &x->out), SASL_LOOKUP);
        sasl_account(x->s, &x->keys[SCRAM_SHA_256], false, &x->out);
        client_final(x, SCRAM_SHA_256, "pencil", STR("n=user,r=abc"),
                     right ? STR("p=tls-unique,,finished") : STR("p=tls-unique,,Finished"), &final);
        assert_int_equal(sasl_step(x->s, buffer_str(&final), &x->out),
                         right ? SASL_SUCCESS : SASL_FAILURE);
        buffer_finish(&final);
    }
}

/* The name is prepared, the authorization identity compared prepared (B 19). */
static void test_identities(void **state)
{
    struct exchange *x = *state;
    static const struct {
        const char *gs2, *bare;
        enum sasl_failure failure;
    } rows[] = {
        {"n,,", "n=USER,r=abc", SASL_FAIL_NONE},
        {"n,,", "n=u=2Cs=3Der,r=abc", SASL_FAIL_NONE},
        {"n,a=user@example.com,", "n=user,r=abc", SASL_FAIL_NONE},
        {"n,a=User@EXAMPLE.com.,", "n=uSer,r=abc", SASL_FAIL_NONE},
        {"n,a=u=3Dser@example.com,", "n=u=3Dser,r=abc", SASL_FAIL_NONE},
        {"n,a=other@example.com,", "n=user,r=abc", SASL_FAIL_INVALID_AUTHZID},
        {"n,a=user@example.net,", "n=user,r=abc", SASL_FAIL_INVALID_AUTHZID},
        {"n,a=user@example.com/r,", "n=user,r=abc", SASL_FAIL_INVALID_AUTHZID},
        {"n,a=user,", "n=user,r=abc", SASL_FAIL_INVALID_AUTHZID},
        {"n,a=@,", "n=user,r=abc", SASL_FAIL_INVALID_AUTHZID},
        {"n,a=,", "n=user,r=abc", SASL_FAIL_MALFORMED_REQUEST},
        {"n,a==,", "n=user,r=abc", SASL_FAIL_MALFORMED_REQUEST},
        {"n,user,", "n=user,r=abc", SASL_FAIL_MALFORMED_REQUEST},
        {"n,,", "n=us er,r=abc", SASL_FAIL_NOT_AUTHORIZED},
        {"n,,", "n=user@example.com,r=abc", SASL_FAIL_NOT_AUTHORIZED},
        {"n,,", "n=\u265A,r=abc", SASL_FAIL_NOT_AUTHORIZED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char what[200];
        snprintf(what, sizeof(what), "%s%s", rows[i].gs2, rows[i].bare);
        enum sasl_action action =
            run(x, SASL_SCRAM_SHA_256, NO_PLUS, rows[i].gs2, STR(""), rows[i].bare, "pencil", true);
        if (rows[i].failure == SASL_FAIL_NONE)
            assert_int_equal(action, SASL_SUCCESS);
        else
            assert_failure(x, action, rows[i].failure, what);
    }
    run(x, SASL_SCRAM_SHA_256, NO_PLUS, "n,,", STR(""), "n=U\u0308=2C,r=abc", "pencil", true);
    assert_true(str_is(sasl_username(x->s), "\u00FC,"));
}

/* First messages that must not get as far as the look-up (B 18, B 20). */
static void test_bad_first(void **state)
{
    struct exchange *x = *state;
    static const struct {
        enum sasl_mechanism mechanism;
        unsigned offered;
        const char *text;
        enum sasl_failure failure;
    } rows[] = {
        /* the gs2 flag: RFC 5802 section 6 */
        {SASL_SCRAM_SHA_256, SCRAM_ALL, "y,,n=user,r=abc", SASL_FAIL_NOT_AUTHORIZED},
        {SASL_SCRAM_SHA_256_PLUS, SCRAM_ALL, "y,,n=user,r=abc", SASL_FAIL_NOT_AUTHORIZED},
        {SASL_SCRAM_SHA_256_PLUS, SCRAM_ALL, "n,,n=user,r=abc", SASL_FAIL_MALFORMED_REQUEST},
        {SASL_SCRAM_SHA_256, SCRAM_ALL, "p=tls-exporter,,n=user,r=abc",
         SASL_FAIL_MALFORMED_REQUEST},
        {SASL_SCRAM_SHA_256_PLUS, SCRAM_ALL, "p=tls-unique,,n=user,r=abc",
         SASL_FAIL_NOT_AUTHORIZED},
        {SASL_SCRAM_SHA_256_PLUS, SCRAM_ALL, "p=,,n=user,r=abc", SASL_FAIL_NOT_AUTHORIZED},
        {SASL_SCRAM_SHA_256_PLUS, SCRAM_ALL, "p,,n=user,r=abc", SASL_FAIL_MALFORMED_REQUEST},
        {SASL_SCRAM_SHA_256, NO_PLUS, "x,,n=user,r=abc", SASL_FAIL_MALFORMED_REQUEST},
        {SASL_SCRAM_SHA_256, NO_PLUS, "N,,n=user,r=abc", SASL_FAIL_MALFORMED_REQUEST},
        /* syntax */
        {SASL_SCRAM_SHA_256, NO_PLUS, "", SASL_FAIL_MALFORMED_REQUEST},
        {SASL_SCRAM_SHA_256, NO_PLUS, ",", SASL_FAIL_MALFORMED_REQUEST},
        {SASL_SCRAM_SHA_256, NO_PLUS, "n,,", SASL_FAIL_MALFORMED_REQUEST},
        {SASL_SCRAM_SHA_256, NO_PLUS, "n,,n=user", SASL_FAIL_MALFORMED_REQUEST},
        {SASL_SCRAM_SHA_256, NO_PLUS, "n,,n=,r=abc", SASL_FAIL_MALFORMED_REQUEST},
        {SASL_SCRAM_SHA_256, NO_PLUS, "n,,n=user,r=", SASL_FAIL_MALFORMED_REQUEST},
        {SASL_SCRAM_SHA_256, NO_PLUS, "n,,r=abc,n=user", SASL_FAIL_MALFORMED_REQUEST},
        {SASL_SCRAM_SHA_256, NO_PLUS, "n,,m=x,n=user,r=abc", SASL_FAIL_MALFORMED_REQUEST},
        {SASL_SCRAM_SHA_256, NO_PLUS, "n,,n=user,r=abc,m=x", SASL_FAIL_MALFORMED_REQUEST},
        {SASL_SCRAM_SHA_256, NO_PLUS, "n,,n=user,r=abc,", SASL_FAIL_MALFORMED_REQUEST},
        {SASL_SCRAM_SHA_256, NO_PLUS, "n,,n=user,r=abc,1=x", SASL_FAIL_MALFORMED_REQUEST},
        {SASL_SCRAM_SHA_256, NO_PLUS, "n,,n=user,r=a c", SASL_FAIL_MALFORMED_REQUEST},
        {SASL_SCRAM_SHA_256, NO_PLUS, "n,,n=user,r=a\u00FC", SASL_FAIL_MALFORMED_REQUEST},
        {SASL_SCRAM_SHA_256, NO_PLUS, "n,,n=us=er,r=abc", SASL_FAIL_MALFORMED_REQUEST},
        {SASL_SCRAM_SHA_256, NO_PLUS, "n,,n=user=,r=abc", SASL_FAIL_MALFORMED_REQUEST},
        {SASL_SCRAM_SHA_256, NO_PLUS,
         "n,,n=us\xFF"
         "er,r=abc",
         SASL_FAIL_MALFORMED_REQUEST},
        /* the mechanism itself (B 17) */
        {SASL_SCRAM_SHA_512, SASL_SCRAM_SHA_256, "n,,n=user,r=abc", SASL_FAIL_INVALID_MECHANISM},
        {SASL_PLAIN, SCRAM_ALL, "", SASL_FAIL_INVALID_MECHANISM},
        {SASL_NONE, SCRAM_ALL, "", SASL_FAIL_INVALID_MECHANISM},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        start(x, rows[i].mechanism, rows[i].offered);
        assert_failure(x, sasl_step(x->s, str_of(rows[i].text), &x->out), rows[i].failure,
                       rows[i].text);
        assert_int_equal(buffer_len(&x->out), 0);
    }
    start(x, SASL_SCRAM_SHA_256, NO_PLUS);
    assert_failure(x, sasl_step(x->s, STR("n,,n=us\0er,r=abc"), &x->out),
                   SASL_FAIL_MALFORMED_REQUEST, "NUL");
    char *big = mem_alloc(10000);
    memset(big, 'a', 10000);
    memcpy(big, "n,,n=user,r=", 12);
    start(x, SASL_SCRAM_SHA_256, NO_PLUS);
    assert_failure(x, sasl_step(x->s, (struct str){big, 10000}, &x->out),
                   SASL_FAIL_MALFORMED_REQUEST, "too long");
    start(x, SASL_SCRAM_SHA_256, NO_PLUS);
    assert_failure(x, sasl_step(x->s, (struct str){big, 2000}, &x->out),
                   SASL_FAIL_MALFORMED_REQUEST, "nonce too long");
    free(big);
    /* what the channel cannot give */
    static const struct sasl_channel none = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    sasl_destroy(x->s);
    x->s = sasl_create(SASL_SCRAM_SHA_256_PLUS, SCRAM_ALL, STR("example.com"), &none, secret,
                       x->random);
    assert_failure(x, sasl_step(x->s, STR("p=tls-exporter,,n=user,r=abc"), &x->out),
                   SASL_FAIL_NOT_AUTHORIZED, "no exporter");
}

/* '@' becomes the nonce, '#' the proof. */
static void expand(const char *format, const char *nonce, const char *proof, char *out, size_t cap)
{
    size_t len = 0;
    for (; *format; format++) {
        char one[2] = {*format, '\0'};
        const char *part = *format == '@' ? nonce : *format == '#' ? proof : one;
        len += (size_t)snprintf(out + len, cap - len, "%s", part);
        assert_true(len < cap);
    }
    out[len] = '\0';
}

/* Second messages made from a right one by one change each. */
static void test_bad_final(void **state)
{
    struct exchange *x = *state;
    static const struct {
        const char *format;
        enum sasl_failure failure;
    } rows[] = {
        {"c=biws,r=@,p=#", SASL_FAIL_NONE},
        {"c=biws,r=@,x=extension,p=#", SASL_FAIL_NOT_AUTHORIZED}, /* signed text differs */
        {"c=biws,r=@,p=#,x=1", SASL_FAIL_MALFORMED_REQUEST},
        {"c=biws,r=@,p=#,", SASL_FAIL_MALFORMED_REQUEST},
        {"c=biws,r=@,p=#AAAA", SASL_FAIL_MALFORMED_REQUEST},
        {"c=biws,r=@,p=# ", SASL_FAIL_MALFORMED_REQUEST},
        {"c=biws,r=@,p=#,p=#", SASL_FAIL_MALFORMED_REQUEST},
        {"c=biws,r=@,p=", SASL_FAIL_MALFORMED_REQUEST},
        {"c=biws,r=@,p==", SASL_FAIL_MALFORMED_REQUEST},
        {"c=biws,r=@,p=AAAA", SASL_FAIL_MALFORMED_REQUEST},
        {"c=biws,r=@,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", SASL_FAIL_NOT_AUTHORIZED},
        {"c=biws,r=@", SASL_FAIL_MALFORMED_REQUEST},
        {"c=biws,r=@x,p=#", SASL_FAIL_NOT_AUTHORIZED},
        {"c=biws,r=abc,p=#", SASL_FAIL_NOT_AUTHORIZED},
        {"c=eSws,r=@,p=#", SASL_FAIL_NOT_AUTHORIZED}, /* "y,," */
        {"c=biwsAA==,r=@,p=#", SASL_FAIL_NOT_AUTHORIZED},
        {"c=bi ws,r=@,p=#", SASL_FAIL_MALFORMED_REQUEST},
        {"c=,r=@,p=#", SASL_FAIL_MALFORMED_REQUEST},
        {"r=@,c=biws,p=#", SASL_FAIL_MALFORMED_REQUEST},
        {"m=x,c=biws,r=@,p=#", SASL_FAIL_MALFORMED_REQUEST},
        {"c=biws,r=@,m=x,p=#", SASL_FAIL_MALFORMED_REQUEST},
        {"p=#", SASL_FAIL_MALFORMED_REQUEST},
        {"", SASL_FAIL_MALFORMED_REQUEST},
        {"n,,n=user,r=abc", SASL_FAIL_MALFORMED_REQUEST},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buffer final;
        char nonce[200], proof[200], text[1000];
        buffer_init(&final, 1000);
        start(x, SASL_SCRAM_SHA_256, NO_PLUS);
        assert_int_equal(sasl_step(x->s, STR("n,,n=user,r=abc"), &x->out), SASL_LOOKUP);
        assert_int_equal(sasl_account(x->s, &x->keys[SCRAM_SHA_256], false, &x->out),
                         SASL_CHALLENGE);
        client_final(x, SCRAM_SHA_256, "pencil", STR("n=user,r=abc"), STR("n,,"), &final);
        buffer_add_char(&final, '\0');
        assert_int_equal(sscanf(final.data, "c=biws,r=%199[^,],p=%199s", nonce, proof), 2);
        expand(rows[i].format, nonce, proof, text, sizeof(text));
        enum sasl_action action = sasl_step(x->s, str_of(text), &x->out);
        if (rows[i].failure == SASL_FAIL_NONE)
            assert_int_equal(action, SASL_SUCCESS);
        else
            assert_failure(x, action, rows[i].failure, rows[i].format);
        buffer_finish(&final);
    }
}

/* A whole right exchange recorded and sent again meets another nonce (B 20). */
static void test_replay(void **state)
{
    struct exchange *x = *state;
    struct buffer final;
    buffer_init(&final, 1000);
    start(x, SASL_SCRAM_SHA_256, NO_PLUS);
    sasl_step(x->s, STR("n,,n=user,r=abc"), &x->out);
    sasl_account(x->s, &x->keys[SCRAM_SHA_256], false, &x->out);
    struct str challenge = buffer_str(&x->out);
    assert_true(str_starts(challenge, STR("r=abc")));
    const char *comma = memchr(challenge.data, ',', challenge.len);
    assert_true(comma - challenge.data >= 5 + 25); /* 128 bits of [a-z0-9] */
    client_final(x, SCRAM_SHA_256, "pencil", STR("n=user,r=abc"), STR("n,,"), &final);
    assert_int_equal(sasl_step(x->s, buffer_str(&final), &x->out), SASL_SUCCESS);
    assert_int_equal(sasl_step(x->s, buffer_str(&final), &x->out), SASL_FAILURE);
    start(x, SASL_SCRAM_SHA_256, NO_PLUS);
    sasl_step(x->s, STR("n,,n=user,r=abc"), &x->out);
    sasl_account(x->s, &x->keys[SCRAM_SHA_256], false, &x->out);
    assert_failure(x, sasl_step(x->s, buffer_str(&final), &x->out), SASL_FAIL_NOT_AUTHORIZED,
                   "replay");
    buffer_finish(&final);
}

static void challenge_for(struct exchange *x, enum sasl_mechanism m, const char *first,
                          const struct scram_keys *keys, char salt[100], unsigned *iterations)
{
    char nonce[200];
    start(x, m, NO_PLUS);
    assert_int_equal(sasl_step(x->s, str_of(first), &x->out), SASL_LOOKUP);
    assert_int_equal(sasl_account(x->s, keys, false, &x->out), SASL_CHALLENGE);
    buffer_add_char(&x->out, '\0');
    assert_int_equal(sscanf(x->out.data, "r=%199[^,],s=%99[^,],i=%u", nonce, salt, iterations), 3);
}

/* Nobody's account looks like somebody's: same steps, a salt that does not change, of the usual
 * length (B 23). */
static void test_fake_salt(void **state)
{
    struct exchange *x = *state;
    char salt[4][100];
    unsigned iterations;
    challenge_for(x, SASL_SCRAM_SHA_256, "n,,n=nobody,r=abc", NULL, salt[0], &iterations);
    assert_int_equal(iterations, SCRAM_ITERATIONS);
    assert_int_equal(strlen(salt[0]), 24); /* 16 bytes */
    challenge_for(x, SASL_SCRAM_SHA_256, "n,,n=NoBody,r=def", NULL, salt[1], &iterations);
    assert_string_equal(salt[0], salt[1]);
    challenge_for(x, SASL_SCRAM_SHA_256, "n,,n=nobody2,r=def", NULL, salt[2], &iterations);
    assert_string_not_equal(salt[0], salt[2]);
    challenge_for(x, SASL_SCRAM_SHA_512, "n,,n=nobody,r=abc", NULL, salt[3], &iterations);
    assert_string_not_equal(salt[0], salt[3]);
    /* keys of another hash only: the same */
    challenge_for(x, SASL_SCRAM_SHA_256, "n,,n=nobody,r=abc", &x->keys[SCRAM_SHA_1], salt[1],
                  &iterations);
    assert_string_equal(salt[0], salt[1]);
    assert_int_equal(iterations, SCRAM_ITERATIONS);
}

static void test_order(void **state)
{
    struct exchange *x = *state;
    /* no initial response: an empty challenge asks for it (RFC 6120 section 6.4.2) */
    start(x, SASL_SCRAM_SHA_256, NO_PLUS);
    assert_int_equal(sasl_step(x->s, STR_NULL, &x->out), SASL_CHALLENGE);
    assert_int_equal(buffer_len(&x->out), 0);
    assert_null(sasl_username(x->s).data);
    assert_int_equal(sasl_step(x->s, STR("n,,n=user,r=abc"), &x->out), SASL_LOOKUP);
    /* a response that nobody asked for, during the look-up */
    assert_int_equal(sasl_step(x->s, STR("c=biws,r=abc,p=AAAA"), &x->out), SASL_FAILURE);
    assert_int_equal(sasl_account(x->s, &x->keys[SCRAM_SHA_256], false, &x->out), SASL_FAILURE);
    start(x, SASL_SCRAM_SHA_256, NO_PLUS);
    assert_int_equal(sasl_account(x->s, &x->keys[SCRAM_SHA_256], false, &x->out), SASL_FAILURE);
    start(x, SASL_PLAIN, NO_PLUS);
    assert_int_equal(sasl_verify_done(x->s, &x->out), SASL_FAILURE);
    start(x, SASL_SCRAM_SHA_256, NO_PLUS);
    assert_int_equal(sasl_step(x->s, STR_NULL, &x->out), SASL_CHALLENGE);
    assert_failure(x, sasl_step(x->s, STR_NULL, &x->out), SASL_FAIL_MALFORMED_REQUEST,
                   "nothing twice");
    start(x, SASL_SCRAM_SHA_256, NO_PLUS);
    assert_int_equal(sasl_step(x->s, STR("n,,n=user,r=abc"), &x->out), SASL_LOOKUP);
    assert_failure(x, sasl_account(x->s, NULL, true, &x->out), SASL_FAIL_TEMPORARY_AUTH_FAILURE,
                   "store failure");
    sasl_destroy(NULL);
}

static enum sasl_action plain(struct exchange *x, struct str message, const struct scram_keys *keys)
{
    start(x, SASL_PLAIN, NO_PLUS);
    enum sasl_action action = sasl_step(x->s, message, &x->out);
    if (action != SASL_LOOKUP)
        return action;
    assert_int_equal(sasl_hash(x->s), SCRAM_SHA_256);
    assert_int_equal(sasl_account(x->s, keys, false, &x->out), SASL_VERIFY);
    sasl_verify_run(x->s);
    return sasl_verify_done(x->s, &x->out);
}

static void test_plain(void **state)
{
    struct exchange *x = *state;
    const struct scram_keys *keys = &x->keys[SCRAM_SHA_256];
    assert_int_equal(plain(x, STR("\0user\0pencil"), keys), SASL_SUCCESS);
    assert_true(str_is(sasl_username(x->s), "user"));
    assert_int_equal(buffer_len(&x->out), 0);
    assert_int_equal(plain(x, STR("\0USER\0pencil"), keys), SASL_SUCCESS);
    assert_true(str_is(sasl_username(x->s), "user"));
    assert_int_equal(plain(x, STR("user@Example.com\0user\0pencil"), keys), SASL_SUCCESS);
    assert_failure(x, plain(x, STR("\0user\0pencil2"), keys), SASL_FAIL_NOT_AUTHORIZED, "wrong");
    assert_failure(x, plain(x, STR("\0user\0pen\tcil"), keys), SASL_FAIL_NOT_AUTHORIZED,
                   "unpreparable");
    assert_failure(x, plain(x, STR("\0user\0pencil"), NULL), SASL_FAIL_NOT_AUTHORIZED, "unknown");
    assert_failure(x, plain(x, STR("\0user\0pencil"), &x->keys[SCRAM_SHA_1]),
                   SASL_FAIL_NOT_AUTHORIZED, "keys of another hash");
    assert_failure(x, plain(x, STR("\0us er\0pencil"), keys), SASL_FAIL_NOT_AUTHORIZED, "bad name");
    assert_failure(x, plain(x, STR("other@example.com\0user\0pencil"), keys),
                   SASL_FAIL_INVALID_AUTHZID, "authzid of another");
    assert_failure(x, plain(x, STR("user\0user\0pencil"), keys), SASL_FAIL_INVALID_AUTHZID,
                   "authzid is no JID of ours");
    static const struct str malformed[] = {
        {"", 0},
        {"user", 4},
        {"\0user", 5},
        {"\0user\0", 6},
        {"\0\0pencil", 8},
        {"\0user\0pen\0cil", 13},
        {"\0user\0pencil\0", 13},
        {"\0user\0pen\xFF", 10},
        {"\0\0\0", 3},
    };
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
        assert_failure(x, plain(x, malformed[i], keys), SASL_FAIL_MALFORMED_REQUEST,
                       "malformed PLAIN");
    /* not verified is not right, whatever the caller forgets */
    start(x, SASL_PLAIN, NO_PLUS);
    sasl_step(x->s, STR("\0user\0pencil"), &x->out);
    sasl_account(x->s, keys, false, &x->out);
    assert_failure(x, sasl_verify_done(x->s, &x->out), SASL_FAIL_NOT_AUTHORIZED, "not run");
}

/* PLAIN where somebody else checks the password. */
static void test_checked(void **state)
{
    struct exchange *x = *state;
    static const struct {
        bool ok, temporary;
        enum sasl_failure failure;
    } rows[] = {{true, false, SASL_FAIL_NONE},
                {false, false, SASL_FAIL_NOT_AUTHORIZED},
                {false, true, SASL_FAIL_TEMPORARY_AUTH_FAILURE},
                {true, true, SASL_FAIL_TEMPORARY_AUTH_FAILURE}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        start(x, SASL_PLAIN, NO_PLUS);
        assert_null(sasl_password(x->s).data);
        assert_failure(x, sasl_checked(x->s, true, false), SASL_FAIL_MALFORMED_REQUEST,
                       "too early");
        start(x, SASL_PLAIN, NO_PLUS);
        assert_int_equal(sasl_step(x->s, STR("\0user\0pencil"), &x->out), SASL_LOOKUP);
        assert_true(str_is(sasl_password(x->s), "pencil"));
        enum sasl_action action = sasl_checked(x->s, rows[i].ok, rows[i].temporary);
        if (rows[i].failure == SASL_FAIL_NONE)
            assert_int_equal(action, SASL_SUCCESS);
        else
            assert_failure(x, action, rows[i].failure, "checked");
    }
    start(x, SASL_SCRAM_SHA_256, NO_PLUS); /* whoever would call it for SCRAM lets nobody in */
    assert_int_equal(sasl_step(x->s, STR("n,,n=user,r=abc"), &x->out), SASL_LOOKUP);
    assert_failure(x, sasl_checked(x->s, true, false), SASL_FAIL_MALFORMED_REQUEST, "SCRAM");
}

/* RFC 4505, XEP-0175: every time another name. */
static void test_anonymous(void **state)
{
    struct exchange *x = *state;
    char first[64] = "", trace[1100];
    start(x, SASL_ANONYMOUS, NO_PLUS);
    assert_failure(x, sasl_step(x->s, STR(""), &x->out), SASL_FAIL_INVALID_MECHANISM,
                   "not offered");
    for (int i = 0; i < 2; i++) {
        start(x, SASL_ANONYMOUS, SASL_ANONYMOUS);
        assert_int_equal(sasl_step(x->s, STR_NULL, &x->out), SASL_CHALLENGE);
        assert_int_equal(sasl_step(x->s, STR("sirhc"), &x->out), SASL_SUCCESS);
        struct str name = sasl_username(x->s);
        assert_int_equal(name.len, 26);
        assert_false(str_is(name, first));
        memcpy(first, name.data, name.len);
    }
    memset(trace, 'x', sizeof(trace));
    start(x, SASL_ANONYMOUS, SASL_ANONYMOUS);
    assert_failure(x, sasl_step(x->s, (struct str){trace, 1021}, &x->out),
                   SASL_FAIL_MALFORMED_REQUEST, "long trace");
}

/* RFC 4648 section 10, and the strictness of RFC 6120 section 6.4.2. */
static void test_base64(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", "="},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xFB\xFF\xBF", "+/+/"},
    };
    struct buffer b;
    buffer_init(&b, 100);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buffer_clear(&b);
        assert_true(sasl_base64_encode(str_of(rows[i][0]), &b));
        assert_true(str_is(buffer_str(&b), rows[i][1]));
        buffer_clear(&b);
        assert_true(sasl_base64_decode(str_of(rows[i][1]), &b));
        assert_true(str_eq(buffer_str(&b), str_of(rows[i][0])));
    }
    static const char *const bad[] = {
        "Z",     "Zg",       "Zg=",  "Zm9",      "==",        "===",        "====",   "Zg===",
        "Zm9v=", "Z===",     "Zh==", "Zm9=",     "Zm9v Zm9v", " Zm9v",      "Zm9v\n", "Zm9v\r\n",
        "Zm-_",  "Zm9v!!!!", "=Zm9", "Zg==Zm9v", "Z=g=",      "Zm\xC3\xBC", "AA=A",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        buffer_clear(&b);
        if (sasl_base64_decode(str_of(bad[i]), &b))
            fail_msg("accepted %s", bad[i]);
        assert_int_equal(buffer_len(&b), 0);
    }
    buffer_clear(&b);
    assert_true(sasl_base64_decode(STR(""), &b));
    assert_int_equal(buffer_len(&b), 0);
    buffer_finish(&b);
    buffer_init(&b, 3);
    assert_false(sasl_base64_encode(STR("foo"), &b));
    assert_true(sasl_base64_decode(STR("Zm9v"), &b));
    assert_false(sasl_base64_decode(STR("Zm9v"), &b));
    buffer_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup_teardown(test_published_vectors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_scram, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tls_unique, setup, teardown),
        cmocka_unit_test_setup_teardown(test_identities, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_final, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replay, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fake_salt, setup, teardown),
        cmocka_unit_test_setup_teardown(test_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_anonymous, setup, teardown),
        cmocka_unit_test(test_base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
