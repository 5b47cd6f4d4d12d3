/* PBKDF2: RFC 6070 vectors, and equality with OpenSSL's own for every hash and awkward lengths. */
#include "unit.h"

#include <openssl/evp.h>

#include "xmpp/pbkdf2.h"

static void test_rfc_6070(void **state)
{
    static const unsigned char once[20] = {0x0c, 0x60, 0xc8, 0x0f, 0x96, 0x1f, 0x0e,
                                           0x71, 0xf3, 0xa9, 0xb5, 0x24, 0xaf, 0x60,
                                           0x12, 0x06, 0x2f, 0xe0, 0x37, 0xa6};
    static const unsigned char more[20] = {0x4b, 0x00, 0x79, 0x01, 0xb7, 0x65, 0x48,
                                           0x9a, 0xbe, 0xad, 0x49, 0xd9, 0x26, 0xf7,
                                           0x21, 0xd0, 0x65, 0xa4, 0x29, 0xc1};
    unsigned char out[64];
    (void)state;
    pbkdf2_derive(SCRAM_SHA_1, STR("password"), STR("salt"), 1, out);
    assert_memory_equal(out, once, sizeof once);
    pbkdf2_derive(SCRAM_SHA_1, STR("password"), STR("salt"), 4096, out);
    assert_memory_equal(out, more, sizeof more);
}

static void test_same_as_openssl(void **state)
{
    static const size_t lengths[] = {1, 20, 63, 64, 65, 127, 128, 129, 300};
    const EVP_MD *const digests[] = {EVP_sha1(), EVP_sha256(), EVP_sha512()};
    char password[300];
    (void)state;
    for (size_t i = 0; i < sizeof password; i++)
        password[i] = (char)(i * 7 + 1);
    for (int h = 0; h < SCRAM_HASHES; h++) {
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            unsigned char ours[64], theirs[64];
            size_t size = scram_hash_size((enum scram_hash)h);
            pbkdf2_derive((enum scram_hash)h, (struct str){password, lengths[i]},
                          STR("0123456789abcdef"), 17, ours);
            assert_int_equal(PKCS5_PBKDF2_HMAC(password, (int)lengths[i],
                                               (const unsigned char *)"0123456789abcdef", 16, 17,
                                               digests[h], (int)size, theirs),
                             1);
            assert_memory_equal(ours, theirs, size);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc_6070),
        cmocka_unit_test(test_same_as_openssl),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
