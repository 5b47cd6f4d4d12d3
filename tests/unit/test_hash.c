/* base/hash: against the SipHash authors' construction and against a plain array as a model. */
#include "unit.h"

#include "base/hash.h"
#include "base/random.h"

static const uint64_t seed[2] = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};

/* SipHash-1-3 of 0, 1, 2 ... with the key 00..0f, as in CPython's and Rust's test vectors. */
static void siphash_vectors(void **state)
{
    unsigned char in[15];
    for (unsigned char i = 0; i < sizeof in; i++)
        in[i] = i;
    assert_true(hash_bytes(seed, in, 0) == 0xabac0158050fc4dcu);
    assert_true(hash_bytes(seed, in, 1) == 0xc9f49bf37d57ca93u);
    assert_true(hash_bytes(seed, in, 7) == 0xd3927d989bb11140u);
    assert_true(hash_bytes(seed, in, 8) == 0x369095118d299a8eu);
    assert_true(hash_bytes(seed, in, 15) == 0xd320d86d2a519956u);
    const uint64_t other[2] = {1, 2};
    assert_true(hash_bytes(other, in, 8) != hash_bytes(seed, in, 8));
}

static void put_get_delete(void **state)
{
    struct hash h;
    int a, b;
    hash_init(&h, seed);
    assert_null(hash_get(&h, STR("x")));
    assert_null(hash_del(&h, STR("x")));
    assert_null(hash_put(&h, STR("x"), &a));
    assert_ptr_equal(hash_put(&h, STR("x"), &b), &a);
    assert_int_equal(h.count, 1);
    assert_null(hash_put(&h, STR(""), &a)); /* the empty key is a key */
    assert_ptr_equal(hash_get(&h, STR("")), &a);
    assert_ptr_equal(hash_get(&h, STR("x")), &b);
    assert_ptr_equal(hash_del(&h, STR("x")), &b);
    assert_null(hash_get(&h, STR("x")));
    assert_int_equal(h.count, 1);
    hash_finish(&h);
    assert_null(hash_get(&h, STR("")));
}

enum { KEYS = 2000 };

static struct item {
    char key[12];
    bool in;
    int seen;
} items[KEYS];

static struct str key_of(size_t i)
{
    return str_of(items[i].key);
}

static void check_walk(struct hash *h, struct random *r, bool deleting)
{
    struct item *it;
    for (size_t i = 0; i < KEYS; i++)
        items[i].seen = 0;
    for (size_t at = 0; (it = hash_next(h, &at)) != NULL;) {
        it->seen++;
        if (deleting && random_below(r, 2)) {
            assert_ptr_equal(hash_del(h, str_of(it->key)), it);
            it->in = false;
            it->seen += 10;
        }
    }
    for (size_t i = 0; i < KEYS; i++)
        assert_int_equal(items[i].seen % 10, items[i].in || items[i].seen > 10);
}

static void against_a_model(void **state)
{
    struct random *r = random_create_seeded(7);
    struct hash h;
    size_t count = 0;
    hash_init(&h, seed);
    for (size_t i = 0; i < KEYS; i++)
        snprintf(items[i].key, sizeof items[i].key, "key%zu", i);
    for (int step = 0; step < 200000; step++) {
        size_t i = random_below(r, KEYS);
        /* phases of growing and of shrinking */
        if (random_below(r, 100) < (step / 20000 % 2 ? 20u : 80u)) {
            assert_ptr_equal(hash_put(&h, key_of(i), &items[i]), items[i].in ? &items[i] : NULL);
            count += !items[i].in;
            items[i].in = true;
        } else {
            assert_ptr_equal(hash_del(&h, key_of(i)), items[i].in ? &items[i] : NULL);
            count -= items[i].in;
            items[i].in = false;
        }
        assert_int_equal(h.count, count);
        size_t probe = random_below(r, KEYS);
        assert_ptr_equal(hash_get(&h, key_of(probe)), items[probe].in ? &items[probe] : NULL);
    }
    check_walk(&h, r, false);
    for (int round = 0; round < 12; round++) {
        check_walk(&h, r, true);
        for (size_t i = 0; i < KEYS; i++)
            assert_ptr_equal(hash_get(&h, key_of(i)), items[i].in ? &items[i] : NULL);
    }
    hash_finish(&h);
    random_destroy(r);
}

/* Deleting everything during a walk, at many sizes: clusters that wrap round the end included. */
static void deleting_walks_see_all(void **state)
{
    for (size_t n = 1; n < 200; n++) {
        struct hash h;
        struct item *it;
        size_t seen = 0;
        const uint64_t own_seed[2] = {n, n * 3};
        hash_init(&h, own_seed);
        for (size_t i = 0; i < n; i++)
            hash_put(&h, key_of(i), &items[i]);
        for (size_t at = 0; (it = hash_next(&h, &at)) != NULL; seen++)
            hash_del(&h, str_of(it->key));
        assert_int_equal(seen, n);
        assert_int_equal(h.count, 0);
        hash_finish(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siphash_vectors),
        cmocka_unit_test(put_get_delete),
        cmocka_unit_test(against_a_model),
        cmocka_unit_test(deleting_walks_see_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
