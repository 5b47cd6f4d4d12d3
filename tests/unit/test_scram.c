/* SCRAM keys against published and independently computed vectors, and the client against a server
 * made here with OpenSSL's own HMAC. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "xmpp/sasl.h"
#include "xmpp/scram.h"
#include "xmpp/scram_attr.h"
#include "xmpp/scram_crypto.h"

/* The keys follow from the examples of RFC 5802 section 5 and RFC 7677 section 3 (user "user",
 * password "pencil"); they, and the SHA-512 ones, were computed with python3: sp =
 * hashlib.pbkdf2_hmac(h, b"pencil", salt, 4096) StoredKey = H(hmac.new(sp, b"Client Key", h)),
 * ServerKey = hmac.new(sp, b"Server Key", h) and with that code the proofs of both RFCs come out.
 */
static const struct {
    enum scram_hash hash;
    const char *salt, *stored_key, *server_key;
} vectors[] = {
    {SCRAM_SHA_1, "QSXCR+Q6sek8bf92",
     "6dlGYMOdZcOPutkcNY8U2g7vK9Y=", "D+CSWLOshSulAsxiupA+qs2/fTE="},
    {SCRAM_SHA_256, "W22ZaJ0SNY7soEsUEjb6gQ==", "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
     "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="},
    {SCRAM_SHA_512, "W22ZaJ0SNY7soEsUEjb6gQ==",
     "6AAub3065EYRmyFpM2RNwqK+eGnrkYuEWbXn19LsEmBqzu8QaCXNc1FwpnX9NhH2hK/60dzj9DoO5DvVkOHbvg==",
     "jZHbYjC1aHh0/hKbxyBuGFjDrgjgKTT1esA7awWiKcRZ0o/0b1yWEebBeSVkkCFewf91nLDfKF24mvD5nmE6rA=="},
};

static size_t decode(const char *text, unsigned char *out, size_t cap)
{
    struct buffer b;
    buffer_init(&b, 1024);
    assert_true(sasl_base64_decode(str_of(text), &b));
    size_t len = buffer_len(&b);
    assert_true(len <= cap);
    memcpy(out, buffer_str(&b).data, len);
    buffer_finish(&b);
    return len;
}

static void test_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        unsigned char salt[64], stored[64], server[64];
        struct scram_keys keys;
        size_t size = scram_hash_size(vectors[i].hash);
        size_t salt_len = decode(vectors[i].salt, salt, sizeof(salt));
        assert_int_equal(decode(vectors[i].stored_key, stored, sizeof(stored)), size);
        assert_int_equal(decode(vectors[i].server_key, server, sizeof(server)), size);
        assert_true(scram_derive(vectors[i].hash, STR("pencil"), salt, salt_len, 4096, &keys));
        assert_memory_equal(keys.stored_key, stored, size);
        assert_memory_equal(keys.server_key, server, size);
        assert_int_equal(keys.salt_len, salt_len);
        assert_memory_equal(keys.salt, salt, salt_len);
        assert_int_equal(keys.iterations, 4096);
        assert_int_equal(keys.hash, vectors[i].hash);
        assert_true(scram_verify_password(&keys, STR("pencil")));
        assert_false(scram_verify_password(&keys, STR("Pencil")));
        assert_false(scram_verify_password(&keys, STR("pencil ")));
        assert_false(scram_verify_password(&keys, STR("")));
        keys.stored_key[size - 1] ^= 1; /* the last byte counts */
        assert_false(scram_verify_password(&keys, STR("pencil")));
    }
    assert_string_equal(scram_hash_name(SCRAM_SHA_1), "SCRAM-SHA-1");
    assert_string_equal(scram_hash_name(SCRAM_SHA_256), "SCRAM-SHA-256");
    assert_string_equal(scram_hash_name(SCRAM_SHA_512), "SCRAM-SHA-512");
}

static void test_derive_refuses(void **state)
{
    (void)state;
    static const unsigned char salt[65] = "0123456789abcdef";
    struct scram_keys keys = {.iterations = 7};
    assert_false(scram_derive(SCRAM_SHA_256, STR(""), salt, 16, 4096, &keys));
    assert_false(scram_derive(SCRAM_SHA_256, STR("a\tb"), salt, 16, 4096, &keys));
    assert_false(scram_derive(SCRAM_SHA_256, STR("\xFF"), salt, 16, 4096, &keys));
    assert_false(scram_derive(SCRAM_SHA_256, STR("p"), salt, 65, 4096, &keys));
    assert_false(scram_derive(SCRAM_SHA_256, STR("p"), salt, 0, 4096, &keys));
    assert_false(scram_derive(SCRAM_SHA_256, STR("p"), salt, 16, 0, &keys));
    assert_int_equal(keys.iterations, 7); /* untouched on failure */
}

/* OpaqueString: two spellings of one password are one password (RFC 8265 section 4). */
static void test_password_is_prepared(void **state)
{
    (void)state;
    struct scram_keys keys;
    assert_true(scram_derive(SCRAM_SHA_1, STR("p\u00E5 \u00A0s"), (const unsigned char *)"salt", 4,
                             1, &keys));
    assert_true(scram_verify_password(&keys, STR("pa\u030A  s")));
    assert_false(scram_verify_password(&keys, STR("pa  s")));
}

/* Our HMAC is OpenSSL's, for every length around the block sizes. */
static void test_hmac(void **state)
{
    (void)state;
    const EVP_MD *const md[] = {EVP_sha1(), EVP_sha256(), EVP_sha512()};
    unsigned char key[200], text[200], ours[64], theirs[64];
    for (size_t i = 0; i < sizeof(key); i++) {
        key[i] = (unsigned char)(i * 7);
        text[i] = (unsigned char)(i * 13);
    }
    for (enum scram_hash h = 0; h < SCRAM_HASHES; h++) {
        struct scram_crypto c;
        scram_crypto_init(&c, h);
        for (size_t len = 0; len <= sizeof(key); len += 5) {
            unsigned size = 0;
            scram_crypto_hmac(&c, key, len, (struct str){(const char *)text, len}, ours);
            HMAC(md[h], key, (int)len, text, len, theirs, &size);
            assert_int_equal(size, c.size);
            assert_memory_equal(ours, theirs, size);
            scram_crypto_hash(&c, (struct str){(const char *)text, len}, ours);
            EVP_Digest(text, len, theirs, &size, md[h], NULL);
            assert_memory_equal(ours, theirs, size);
        }
        assert_false(c.failed);
        scram_crypto_finish(&c);
    }
}

static void test_names(void **state)
{
    (void)state;
    struct buffer b, back;
    buffer_init(&b, 100);
    buffer_init(&back, 100);
    scram_attr_encode_name(&b, STR("a,b=c=2C"));
    assert_true(str_is(buffer_str(&b), "a=2Cb=3Dc=3D2C"));
    assert_true(scram_attr_decode_name(&back, buffer_str(&b)));
    assert_true(str_is(buffer_str(&back), "a,b=c=2C"));
    static const char *const bad[] = {"",    "=",   "a=",  "=2",    "=2c",
                                      "=3d", "=2D", "=3C", "a=41b", "=="};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        buffer_clear(&back);
        assert_false(scram_attr_decode_name(&back, str_of(bad[i])));
    }
    buffer_finish(&b);
    buffer_finish(&back);
}

/* The other side, made from the RFC with OpenSSL's HMAC. */
static void server_signature(const struct scram_keys *keys, struct str auth_message,
                             struct buffer *out)
{
    unsigned char mac[64];
    HMAC(EVP_sha256(), keys->server_key, 32, (const unsigned char *)auth_message.data,
         auth_message.len, mac, NULL);
    buffer_add_str(out, STR("v="));
    sasl_base64_encode((struct str){(const char *)mac, 32}, out);
}

struct client {
    struct random *random;
    struct scram_client *c;
    struct buffer first, final, server_first;
};

static void client_setup(struct client *t, const char *password)
{
    t->random = random_create_seeded(42);
    t->c = scram_client_create(STR("us,er"), str_of(password), t->random);
    buffer_init(&t->first, 1024);
    buffer_init(&t->final, 1024);
    buffer_init(&t->server_first, 1024);
    assert_true(scram_client_first(t->c, &t->first));
    assert_true(str_starts(buffer_str(&t->first), STR("n,,n=us=2Cer,r=")));
}

static void client_teardown(struct client *t)
{
    scram_client_destroy(t->c);
    random_destroy(t->random);
    buffer_finish(&t->first);
    buffer_finish(&t->final);
    buffer_finish(&t->server_first);
}

static struct str client_nonce(struct client *t)
{
    struct str first = buffer_str(&t->first);
    const char *r = memmem(first.data, first.len, ",r=", 3);
    return (struct str){r + 3, first.len - (size_t)(r + 3 - first.data)};
}

static bool client_final(struct client *t, const char *format)
{
    buffer_clear(&t->server_first);
    struct str rest = str_of(format), part;
    bool more = false;
    while (str_split(&rest, '@', &part)) { /* @ stands for the client's nonce */
        if (more)
            buffer_add_str(&t->server_first, client_nonce(t));
        buffer_add_str(&t->server_first, part);
        more = true;
    }
    return scram_client_final(t->c, buffer_str(&t->server_first), &t->final);
}

static void test_client(void **state)
{
    (void)state;
    struct client t;
    struct scram_keys keys;
    unsigned char salt[16];
    decode("W22ZaJ0SNY7soEsUEjb6gQ==", salt, sizeof(salt));
    assert_true(scram_derive(SCRAM_SHA_256, STR("pencil"), salt, 16, 4096, &keys));
    client_setup(&t, "pencil");
    assert_true(client_final(&t, "r=@server,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
    struct str final = buffer_str(&t.final);
    const char *proof_at = memmem(final.data, final.len, ",p=", 3);
    assert_non_null(proof_at);
    struct buffer auth, signature, proof;
    buffer_init(&auth, 4096);
    buffer_init(&signature, 100);
    buffer_init(&proof, 100);
    struct str first = buffer_str(&t.first);
    buffer_add(&auth, first.data + 3, first.len - 3);
    buffer_add_char(&auth, ',');
    buffer_add_str(&auth, buffer_str(&t.server_first));
    buffer_add_char(&auth, ',');
    buffer_add(&auth, final.data, (size_t)(proof_at - final.data));
    /* the proof is right: ClientKey = proof XOR HMAC(StoredKey, AuthMessage) hashes to StoredKey */
    unsigned char mac[32], key[32], hash[32];
    assert_true(sasl_base64_decode(
        (struct str){proof_at + 3, final.len - (size_t)(proof_at + 3 - final.data)}, &proof));
    assert_int_equal(buffer_len(&proof), 32);
    HMAC(EVP_sha256(), keys.stored_key, 32, (const unsigned char *)auth.data, buffer_len(&auth),
         mac, NULL);
    for (size_t i = 0; i < 32; i++)
        key[i] = mac[i] ^ (unsigned char)buffer_str(&proof).data[i];
    EVP_Digest(key, 32, hash, NULL, EVP_sha256(), NULL);
    assert_memory_equal(hash, keys.stored_key, 32);
    /* and so is the server's */
    server_signature(&keys, buffer_str(&auth), &signature);
    assert_true(scram_client_verify(t.c, buffer_str(&signature)));
    signature.data[5] ^= 1;
    assert_false(scram_client_verify(t.c, buffer_str(&signature)));
    assert_false(scram_client_verify(t.c, STR("e=other-error")));
    assert_false(scram_client_verify(t.c, STR("v=")));
    assert_false(scram_client_verify(t.c, STR("")));
    assert_false(scram_client_verify(t.c, STR_NULL));
    buffer_finish(&auth);
    buffer_finish(&signature);
    buffer_finish(&proof);
    client_teardown(&t);
}

/* RFC 5802 section 5.1: what it keeps makes the same proof, and is nothing to another salt. */
static void test_client_remembers(void **state)
{
    (void)state;
    static const char *const asked[] = {"r=@server,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                                        "r=@server,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                                        "r=@server,s=AAAAaJ0SNY7soEsUEjb6gQ==,i=4096",
                                        "r=@server,s=AAAAaJ0SNY7soEsUEjb6gQ==,i=5000"};
    struct scram_memory memory = {0}, before;
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        struct client plain, t;
        client_setup(&plain, "pencil");
        client_setup(&t, i == 1 ? "wrong" : "pencil"); /* not looked at any more */
        scram_client_remember(t.c, &memory);
        before = memory;
        assert_true(client_final(&plain, asked[i]));
        assert_true(client_final(&t, asked[i]));
        assert_int_equal(memcmp(before.salted, memory.salted, 32) == 0, i == 1);
        assert_int_equal(memory.iterations, i < 3 ? 4096 : 5000);
        struct str a = buffer_str(&plain.final), b = buffer_str(&t.final);
        assert_int_equal(a.len, b.len);
        assert_memory_equal(a.data, b.data, a.len);
        client_teardown(&plain);
        client_teardown(&t);
    }
}

static void test_client_refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "r=@server",
        "r=@,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",             /* the server added nothing */
        "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",         /* not our nonce */
        "m=x,r=@server,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",   /* mandatory extension */
        "r=@server,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4095",       /* RFC 7677 section 4 */
        "r=@server,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1000000000", /* would stop our loop */
        "r=@server,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096x",
        "r=@server,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=",
        "r=@server,s=,i=4096",
        "r=@server,s=W22Z aJ0,i=4096",
        "s=W22ZaJ0SNY7soEsUEjb6gQ==,r=@server,i=4096",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct client t;
        client_setup(&t, "pencil");
        if (client_final(&t, bad[i]))
            fail_msg("accepted %s", bad[i]);
        assert_false(
            scram_client_verify(t.c, STR("v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")));
        client_teardown(&t);
    }
    scram_client_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_derive_refuses),
        cmocka_unit_test(test_password_is_prepared),
        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_client),
        cmocka_unit_test(test_client_remembers),
        cmocka_unit_test(test_client_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
