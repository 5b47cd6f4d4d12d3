/* SASL2: what is read of an <authenticate/>, and what is written (XEP-0388, XEP-0474); HT-SHA-256
 * (XEP-0484), whose hashes OpenSSL's own HMAC makes here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "xml/builder.h"
#include "xmpp/namespaces.h"
#include "xmpp/sasl2.h"

#define ID       "d4565fa7-4d72-4749-b3d3-740edbf87770"
#define EXPORTER STR("0123456789abcdef0123456789abcdef")

static struct stanza *authenticate(const char *id, struct str software)
{
    struct builder *b = builder_create(STR("authenticate"), NS_SASL2);
    builder_start(b, STR("user-agent"), NS_SASL2);
    builder_attr(b, STR("id"), str_of(id));
    builder_leaf(b, STR("software"), NS_SASL2, software);
    builder_leaf(b, STR("device"), STR("urn:other"), STR("not this one"));
    builder_end(b);
    return builder_finish(b);
}

static bool read_id(const char *id, struct sasl2_agent *agent)
{
    struct stanza *s = authenticate(id, STR("AwesomeXMPP"));
    bool ok = sasl2_read_agent(s, agent);
    assert_true(str_is(agent->software, "AwesomeXMPP"));
    assert_null(agent->device.data);
    stanza_unref(s);
    return ok;
}

static void test_agent(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "x",
                                        "d4565fa7-4d72-4749-b3d3-740edbf8777",
                                        "d4565fa7-4d72-4749-b3d3-740edbf877700",
                                        "d4565fa714d72-4749-b3d3-740edbf87770",
                                        "d4565fa7-4d72-4749-b3d3-740edbf8777g",
                                        "d4565fa-74d72-4749-b3d3-740edbf87770"};
    struct sasl2_agent agent;
    char text[SASL2_UUID];
    assert_true(read_id("D4565FA7-4d72-4749-b3d3-740edbf87770", &agent));
    assert_true(agent.has_id);
    sasl2_write_uuid(agent.id, text);
    assert_memory_equal(text, ID, sizeof text);
    assert_true(read_id(NULL, &agent));
    assert_false(agent.has_id);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(read_id(wrong[i], &agent));
        assert_false(agent.has_id);
    }
    struct stanza *s = builder_finish(builder_create(STR("authenticate"), NS_SASL2));
    assert_true(sasl2_read_agent(s, &agent));
    assert_false(agent.has_id);
    stanza_unref(s);
}

/* A long name is cut, and between two characters. */
static void test_long_name(void **state)
{
    (void)state;
    char name[SASL2_AGENT_TEXT + 10];
    struct sasl2_agent agent;
    for (size_t i = 0; i < sizeof name; i += 2)
        memcpy(name + i, "\xC3\xBC", 2);
    for (size_t shift = 0; shift < 2; shift++) {
        name[0] = 'x';
        name[1] = 'y';
        struct stanza *s = authenticate(ID, (struct str){name + shift, sizeof name - 2});
        assert_true(sasl2_read_agent(s, &agent));
        assert_true(str_utf8_valid(agent.software));
        assert_int_equal(agent.software.len, SASL2_AGENT_TEXT - shift);
        stanza_unref(s);
    }
}

static void test_failure(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 1000);
    sasl2_write_failure(&out, SASL_FAIL_CREDENTIALS_EXPIRED, "log in");
    assert_true(str_is(buffer_str(&out),
                       "<failure xmlns='urn:xmpp:sasl:2'><credentials-expired "
                       "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/><text>log in</text></failure>"));
    buffer_clear(&out);
    sasl2_write_data(&out, STR("additional-data"), STR("abc"));
    sasl2_write_data(&out, STR("challenge"), STR(""));
    assert_true(str_is(buffer_str(&out), "<additional-data>YWJj</additional-data><challenge/>"));
    buffer_finish(&out);
    assert_true(sasl2_true(STR("1")) && sasl2_true(STR("true")));
    assert_false(sasl2_true(STR("false")) || sasl2_true(STR_NULL) || sasl2_true(STR("TRUE")));
}

static void assert_announced(unsigned offered, bool exporter, bool end_point, const char *expected)
{
    struct buffer out;
    buffer_init(&out, 1000);
    sasl2_write_announced(&out, offered, exporter, end_point);
    if (!str_is(buffer_str(&out), expected))
        fail_msg("%.*s", STR_ARG(buffer_str(&out)));
    buffer_finish(&out);
}

/* XEP-0474 sections 6.1 and 6.3. */
static void test_announced(void **state)
{
    (void)state;
    assert_announced(SASL_SCRAM_SHA_1_PLUS | SASL_SCRAM_SHA_1, true, true,
                     "SCRAM-SHA-1\x1eSCRAM-SHA-1-PLUS\x1ftls-exporter\x1etls-server-end-point");
    assert_announced(SASL_SCRAM_SHA_1_PLUS | SASL_SCRAM_SHA_1, false, true,
                     "SCRAM-SHA-1\x1eSCRAM-SHA-1-PLUS\x1ftls-server-end-point");
    assert_announced(SASL_SCRAM_SHA_512 | SASL_PLAIN | SASL_SCRAM_SHA_256, false, false,
                     "PLAIN\x1eSCRAM-SHA-256\x1eSCRAM-SHA-512");
}

/* The example of XEP-0474 section 6.3: its h, in our challenge. */
static void test_downgrade_attribute(void **state)
{
    (void)state;
    static const unsigned char secret[32] = "a secret";
    struct random *random = random_create_seeded(5);
    struct scram_keys keys;
    struct buffer out;
    buffer_init(&out, 8192);
    assert_true(scram_derive(SCRAM_SHA_1, STR("pencil"), (const unsigned char *)"0123456789abcdef",
                             16, 16, &keys));
    for (int announced = 0; announced < 2; announced++) {
        struct sasl *s = sasl_create(SASL_SCRAM_SHA_1, SASL_SCRAM_SHA_1, STR("example.org"), NULL,
                                     secret, random);
        if (announced)
            sasl_announced(s, STR("SCRAM-SHA-1\x1eSCRAM-SHA-1-PLUS\x1f"
                                  "tls-exporter\x1etls-server-end-point"));
        buffer_clear(&out);
        assert_int_equal(sasl_step(s, STR("n,,n=user,r=12C4CD5C"), &out), SASL_LOOKUP);
        assert_int_equal(sasl_account(s, &keys, false, &out), SASL_CHALLENGE);
        struct str text = buffer_str(&out), end = STR(",h=G6k/rBLDqgOhRRaCuuatSDFkJ08=");
        bool has = text.len > end.len &&
                   str_eq((struct str){text.data + text.len - end.len, end.len}, end);
        assert_int_equal(has, announced);
        sasl_destroy(s);
    }
    buffer_finish(&out);
    random_destroy(random);
}

/* --- HT-SHA-256 --- */

struct ht {
    struct random *random;
    struct sasl *s;
    struct buffer out;
};

static int setup(void **state)
{
    struct ht *x = calloc(1, sizeof *x);
    x->random = random_create_seeded(3);
    buffer_init(&x->out, 1000);
    *state = x;
    return 0;
}

static int teardown(void **state)
{
    struct ht *x = *state;
    sasl_destroy(x->s);
    buffer_finish(&x->out);
    random_destroy(x->random);
    free(x);
    return 0;
}

static void start(struct ht *x, enum sasl_mechanism m)
{
    static const unsigned char secret[32] = "a secret of this installation";
    struct sasl_channel channel = {EXPORTER, STR("hash of the certificate"), STR_NULL};
    sasl_destroy(x->s);
    x->s = sasl_create(m, SASL_BY_TOKEN, STR("example.com"), &channel, secret, x->random);
    buffer_clear(&x->out);
}

static void mac_of(const char *token, const char *who, struct str binding, unsigned char out[32])
{
    struct buffer text;
    buffer_init(&text, 1000);
    buffer_add_str(&text, str_of(who));
    buffer_add_str(&text, binding);
    HMAC(EVP_sha256(), token, (int)strlen(token), (const unsigned char *)buffer_str(&text).data,
         buffer_len(&text), out, NULL);
    buffer_finish(&text);
}

/* The client's message. */
static enum sasl_action say(struct ht *x, const char *name, const char *token, struct str binding)
{
    char message[1100];
    size_t len = strlen(name) + 1;
    memcpy(message, name, len);
    mac_of(token, "Initiator", binding, (unsigned char *)message + len);
    return sasl_step(x->s, (struct str){message, len + 32}, &x->out);
}

static void test_ht(void **state)
{
    struct ht *x = *state;
    static const struct {
        enum sasl_mechanism m;
        struct str binding;
    } rows[] = {{SASL_HT_SHA_256_NONE, {"", 0}},
                {SASL_HT_SHA_256_EXPR, {"0123456789abcdef0123456789abcdef", 32}},
                {SASL_HT_SHA_256_ENDP, {"hash of the certificate", 23}}};
    const struct str tokens[] = {STR("the new one"), STR("the old one")};
    unsigned char expected[32];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t t = 0; t < 2; t++) {
            size_t which = 7;
            start(x, rows[i].m);
            assert_int_equal(say(x, "Romeo", tokens[t].data, rows[i].binding), SASL_LOOKUP);
            assert_true(sasl_by_token(x->s));
            assert_true(str_is(sasl_username(x->s), "romeo"));
            assert_int_equal(sasl_tokens(x->s, tokens, 2, &which, &x->out), SASL_SUCCESS);
            assert_int_equal(which, t);
            mac_of(tokens[t].data, "Responder", rows[i].binding, expected);
            assert_int_equal(buffer_len(&x->out), 32);
            assert_memory_equal(buffer_str(&x->out).data, expected, 32);
            /* once */
            assert_int_equal(sasl_tokens(x->s, tokens, 2, &which, &x->out), SASL_FAILURE);
        }
}

static void test_ht_wrong(void **state)
{
    struct ht *x = *state;
    const struct str tokens[] = {STR("the new one"), STR("the old one")};
    size_t which;
    /* another token, another channel, no token at all, nobody */
    start(x, SASL_HT_SHA_256_NONE);
    say(x, "romeo", "the other one", STR(""));
    assert_int_equal(sasl_tokens(x->s, tokens, 2, &which, &x->out), SASL_FAILURE);
    assert_int_equal(sasl_failure(x->s), SASL_FAIL_NOT_AUTHORIZED);
    start(x, SASL_HT_SHA_256_EXPR);
    say(x, "romeo", "the new one", STR(""));
    assert_int_equal(sasl_tokens(x->s, tokens, 2, &which, &x->out), SASL_FAILURE);
    assert_int_equal(sasl_failure(x->s), SASL_FAIL_NOT_AUTHORIZED);
    start(x, SASL_HT_SHA_256_NONE);
    say(x, "romeo", "the old one", STR(""));
    assert_int_equal(sasl_tokens(x->s, tokens, 1, &which, &x->out), SASL_FAILURE);
    start(x, SASL_HT_SHA_256_NONE);
    say(x, "romeo", "a secret of this installation", STR(""));
    assert_int_equal(sasl_tokens(x->s, NULL, 0, &which, &x->out), SASL_FAILURE);
    assert_int_equal(buffer_len(&x->out), 0);
    /* a channel binding that the stream has not */
    start(x, SASL_HT_SHA_256_UNIQ);
    assert_int_equal(say(x, "romeo", "the new one", STR("")), SASL_FAILURE);
    assert_int_equal(sasl_failure(x->s), SASL_FAIL_NOT_AUTHORIZED);
    /* the store fails; the steps of other mechanisms */
    start(x, SASL_HT_SHA_256_NONE);
    say(x, "romeo", "the new one", STR(""));
    assert_int_equal(sasl_account(x->s, NULL, true, &x->out), SASL_FAILURE);
    assert_int_equal(sasl_failure(x->s), SASL_FAIL_TEMPORARY_AUTH_FAILURE);
    start(x, SASL_HT_SHA_256_NONE);
    say(x, "romeo", "the new one", STR(""));
    assert_int_equal(sasl_checked(x->s, true, false), SASL_FAILURE);
}

static void test_ht_malformed(void **state)
{
    struct ht *x = *state;
    static const struct str rows[] = {{"", 0},
                                      {"romeo", 5},
                                      {"romeo\0", 6},
                                      {"romeo\0"
                                       "0123456789abcdef0123456789abcde",
                                       37},
                                      {"romeo\0"
                                       "0123456789abcdef0123456789abcdef0",
                                       39},
                                      {"\0"
                                       "0123456789abcdef0123456789abcdef",
                                       33},
                                      {"\xff\0"
                                       "0123456789abcdef0123456789abcdef",
                                       34}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        start(x, SASL_HT_SHA_256_NONE);
        assert_int_equal(sasl_step(x->s, rows[i], &x->out), SASL_FAILURE);
        assert_int_equal(sasl_failure(x->s), SASL_FAIL_MALFORMED_REQUEST);
    }
    /* the NUL may be followed by others: the hash is bytes */
    start(x, SASL_HT_SHA_256_NONE);
    assert_int_equal(
        sasl_step(x->s,
                  (struct str){"romeo\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                               "\0\0\0\0\0\0\0\0",
                               38},
                  &x->out),
        SASL_LOOKUP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agent),
        cmocka_unit_test(test_long_name),
        cmocka_unit_test(test_failure),
        cmocka_unit_test(test_announced),
        cmocka_unit_test(test_downgrade_attribute),
        cmocka_unit_test_setup_teardown(test_ht, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ht_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ht_malformed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
