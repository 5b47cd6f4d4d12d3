/* DIGEST-MD5: the response formula against RFC 2831 section 4, each side against the formula, both
 * against each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <openssl/evp.h>

#include "xmpp/digest_md5.h"

static void md5_hex(const void *bytes, size_t len, char hex[33], unsigned char raw[16])
{
    EVP_Digest(bytes, len, raw, NULL, EVP_md5(), NULL);
    str_hex(raw, 16, hex);
    hex[32] = '\0';
}

/* RFC 2831 section 2.1.2.1, written down a second time. */
static void formula(const char *user, const char *realm, const char *secret, const char *nonce,
                    const char *cnonce, const char *uri, const char *prefix, char ret[33])
{
    char text[1024], a1[33], a2[33];
    unsigned char raw[16];
    int n = snprintf(text, sizeof(text), "%s:%s:%s", user, realm, secret);
    md5_hex(text, (size_t)n, a1, raw);
    memcpy(text, raw, 16);
    n = snprintf(text + 16, sizeof(text) - 16, ":%s:%s", nonce, cnonce);
    md5_hex(text, 16 + (size_t)n, a1, raw);
    n = snprintf(text, sizeof(text), "%s:%s", prefix, uri);
    md5_hex(text, (size_t)n, a2, raw);
    n = snprintf(text, sizeof(text), "%s:%s:00000001:%s:auth:%s", a1, nonce, cnonce, a2);
    md5_hex(text, (size_t)n, ret, raw);
}

/* The example of RFC 2831 section 4 (IMAP): so the formula above is right. */
static void test_formula(void **state)
{
    (void)state;
    char out[33];
    formula("chris", "elwood.innosoft.com", "secret", "OA6MG9tEQGm2hh", "OA6MHXh6VqTrRk",
            "imap/elwood.innosoft.com", "AUTHENTICATE", out);
    assert_string_equal(out, "d388dad90d4bbd760a152321f2143af7");
    formula("chris", "elwood.innosoft.com", "secret", "OA6MG9tEQGm2hh", "OA6MHXh6VqTrRk",
            "imap/elwood.innosoft.com", "", out);
    assert_string_equal(out, "ea40f60335c427b5527b84dbabcdfffd");
}

struct server {
    struct random *random;
    struct digest_md5 *d;
    char nonce[64];
};

static void server_setup(struct server *s)
{
    struct buffer out;
    buffer_init(&out, 1024);
    s->random = random_create_seeded(3);
    s->d = digest_md5_server(STR("jabberd-router"), STR("jabberd-router"), s->random);
    digest_md5_challenge(s->d, &out);
    buffer_add_char(&out, '\0');
    assert_int_equal(sscanf(out.data,
                            "realm=\"jabberd-router\",nonce=\"%63[a-z0-9]\",qop=\"auth\","
                            "charset=utf-8,algorithm=md5-sess",
                            s->nonce),
                     1);
    assert_true(strlen(s->nonce) >= 26);
    buffer_finish(&out);
}

static void server_teardown(struct server *s)
{
    digest_md5_destroy(s->d);
    random_destroy(s->random);
}

/* A response as GNU SASL writes it; `uri` and `nc` as given. */
static void make_response(const struct server *s, const char *uri, const char *nc,
                          const char *extra, char *ret, size_t cap)
{
    char hex[33];
    formula("jabberd", "jabberd-router", "secret", s->nonce, "abc", uri, "AUTHENTICATE", hex);
    snprintf(ret, cap,
             "username=\"jabberd\", realm=\"jabberd-router\", nonce=\"%s\", cnonce=\"abc\", nc=%s, "
             "qop=auth, digest-uri=\"%s\", response=%s, charset=utf-8%s",
             s->nonce, nc, uri, hex, extra);
}

static void test_server(void **state)
{
    (void)state;
    struct server s;
    struct buffer out;
    struct str user;
    char text[1024], hex[33];
    buffer_init(&out, 1024);
    server_setup(&s);
    make_response(&s, "jabberd-router/localhost", "00000001", "", text, sizeof(text));
    assert_true(digest_md5_response(s.d, str_of(text), &user));
    assert_true(str_is(user, "jabberd"));
    assert_false(digest_md5_check(s.d, STR("wrong"), &out));
    assert_false(digest_md5_check(s.d, STR_NULL, &out));
    assert_int_equal(buffer_len(&out), 0);
    assert_true(digest_md5_check(s.d, STR("secret"), &out));
    formula("jabberd", "jabberd-router", "secret", s.nonce, "abc", "jabberd-router/localhost", "",
            hex);
    snprintf(text, sizeof(text), "rspauth=%s", hex);
    assert_true(str_is(buffer_str(&out), text));
    /* replayed: the nonce was good once */
    assert_false(digest_md5_check(s.d, STR("secret"), &out));
    make_response(&s, "jabberd-router/localhost", "00000001", "", text, sizeof(text));
    assert_false(digest_md5_response(s.d, str_of(text), &user));
    buffer_finish(&out);
    server_teardown(&s);
}

static void test_server_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *nc, *extra;
    } rows[] = {
        {"xmpp/localhost", "00000001", ""},
        {"jabberd-router", "00000001", ""},
        {"jabberd-router/", "00000001", ""},
        {"jabberd-routerx/localhost", "00000001", ""},
        {"jabberd-router/localhost", "00000002", ""},
        {"jabberd-router/localhost", "1", ""},
        {"jabberd-router/localhost", "00000001", ", nonce=\"x\""},
        {"jabberd-router/localhost", "00000001", ", username=\"admin\""},
        {"jabberd-router/localhost", "00000001", ", x=\"unclosed"},
        {"jabberd-router/localhost", "00000001", " x"},
        {"jabberd-router/localhost", "00000001", ","},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct server s;
        struct str user = STR_NULL;
        char text[1024];
        server_setup(&s);
        make_response(&s, rows[i].uri, rows[i].nc, rows[i].extra, text, sizeof(text));
        if (digest_md5_response(s.d, str_of(text), &user))
            fail_msg("accepted %s", text);
        struct buffer out;
        buffer_init(&out, 100);
        assert_false(digest_md5_check(s.d, STR("secret"), &out));
        buffer_finish(&out);
        assert_false(digest_md5_response(s.d, STR(""), &user));
        assert_false(digest_md5_response(s.d, STR_NULL, &user));
        assert_false(digest_md5_response(s.d, STR("username=\"a\""), &user));
        server_teardown(&s);
    }
}

static void test_client(void **state)
{
    (void)state;
    struct random *random = random_create_seeded(5);
    struct digest_md5 *d = digest_md5_client(STR("jabberd"), STR("secret"), STR("jabberd-router"),
                                             STR("localhost"), random);
    struct buffer out;
    char text[1024], cnonce[64] = "", response[33] = "", hex[33];
    buffer_init(&out, 1024);
    assert_true(digest_md5_answer(d,
                                  STR("realm=\"jabberd-router\", nonce=\"ab\\\"c\", qop=\"auth\", "
                                      "charset=utf-8, algorithm=md5-sess"),
                                  &out));
    buffer_add_char(&out, '\0');
    const char *at = strstr(out.data, "cnonce=\"");
    assert_non_null(at);
    sscanf(at, "cnonce=\"%63[a-z0-9]\"", cnonce);
    at = strstr(out.data, "response=");
    assert_non_null(at);
    sscanf(at, "response=%32[0-9a-f]", response);
    assert_non_null(strstr(out.data, "username=\"jabberd\""));
    assert_non_null(strstr(out.data, "nonce=\"ab\\\"c\""));
    assert_non_null(strstr(out.data, "digest-uri=\"jabberd-router/localhost\""));
    formula("jabberd", "jabberd-router", "secret", "ab\"c", cnonce, "jabberd-router/localhost",
            "AUTHENTICATE", hex);
    assert_string_equal(response, hex);
    formula("jabberd", "jabberd-router", "secret", "ab\"c", cnonce, "jabberd-router/localhost", "",
            hex);
    snprintf(text, sizeof(text), "rspauth=%s", hex);
    assert_true(digest_md5_verify(d, str_of(text)));
    text[10] = text[10] == '0' ? '1' : '0';
    assert_false(digest_md5_verify(d, str_of(text)));
    assert_false(digest_md5_verify(d, STR("")));
    assert_false(digest_md5_verify(d, STR("rspauth=")));
    assert_false(digest_md5_verify(d, STR("x=y")));
    buffer_finish(&out);
    digest_md5_destroy(d);
    random_destroy(random);
}

static void test_client_refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "realm=\"x\"",
        "realm=\"x\",nonce=\"\",algorithm=md5-sess",
        "realm=\"x\",nonce=\"n\"",
        "realm=\"x\",nonce=\"n\",algorithm=md5",
        "realm=\"x\",nonce=\"n\",qop=\"auth-int,auth-conf\",algorithm=md5-sess",
        "realm=\"x\",nonce=\"n\",nonce=\"m\",algorithm=md5-sess",
    };
    struct random *random = random_create_seeded(5);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct buffer out;
        buffer_init(&out, 1024);
        struct digest_md5 *d = digest_md5_client(STR("jabberd"), STR("secret"),
                                                 STR("jabberd-router"), STR("localhost"), random);
        if (digest_md5_answer(d, str_of(bad[i]), &out))
            fail_msg("accepted %s", bad[i]);
        assert_false(digest_md5_verify(d, STR("rspauth=00000000000000000000000000000000")));
        buffer_finish(&out);
        digest_md5_destroy(d);
    }
    random_destroy(random);
    digest_md5_destroy(NULL);
}

static void test_together(void **state)
{
    (void)state;
    struct random *random = random_create_seeded(9);
    for (int right = 0; right < 2; right++) {
        struct digest_md5 *server =
            digest_md5_server(STR("jabberd-router"), STR("jabberd-router"), random);
        struct digest_md5 *client = digest_md5_client(
            STR("sm"), STR("s3cret"), STR("jabberd-router"), STR("127.0.0.1"), random);
        struct buffer challenge, response, rspauth;
        struct str user;
        buffer_init(&challenge, 1024);
        buffer_init(&response, 1024);
        buffer_init(&rspauth, 1024);
        digest_md5_challenge(server, &challenge);
        assert_true(digest_md5_answer(client, buffer_str(&challenge), &response));
        assert_true(digest_md5_response(server, buffer_str(&response), &user));
        assert_true(str_is(user, "sm"));
        assert_int_equal(digest_md5_check(server, right ? STR("s3cret") : STR("s3creT"), &rspauth),
                         right);
        assert_int_equal(digest_md5_verify(client, buffer_str(&rspauth)), right);
        buffer_finish(&challenge);
        buffer_finish(&response);
        buffer_finish(&rspauth);
        digest_md5_destroy(server);
        digest_md5_destroy(client);
    }
    random_destroy(random);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formula),        cmocka_unit_test(test_server),
        cmocka_unit_test(test_server_refuses), cmocka_unit_test(test_client),
        cmocka_unit_test(test_client_refuses), cmocka_unit_test(test_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
