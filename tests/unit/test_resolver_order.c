/* What the resolver does without asking anybody: records read from their bytes, SRV in order,
 * families in turn, addresses and names as they are given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "resolver/host_name.h"
#include "resolver/order.h"

#define BYTES(literal) ((struct str){("" literal), sizeof(literal) - 1})

/* --- records --- */

static void reads_srv(void **state)
{
    struct rdata_srv srv;

    (void)state;
    assert_true(rdata_srv(BYTES("\0\1\0\2\x14\x95\4XmPp\7example\3com\0"), &srv));
    assert_int_equal(srv.priority, 1);
    assert_int_equal(srv.weight, 2);
    assert_int_equal(srv.port, 5269);
    assert_string_equal(srv.target, "xmpp.example.com");
    assert_true(rdata_srv(BYTES("\0\0\0\0\0\0\0"), &srv));
    assert_string_equal(srv.target, "");
}

static void refuses_broken_srv(void **state)
{
    static const struct {
        struct str bytes;
    } broken[] = {
        {BYTES("")},
        {BYTES("\0\0\0\0\0\0")},          /* no target */
        {BYTES("\0\0\0\0\0\0\4xmpp")},    /* no end */
        {BYTES("\0\0\0\0\0\0\11xmpp\0")}, /* a label longer than the rest */
        {BYTES("\0\0\0\0\0\0\4xmpp\0x")}, /* more behind the end */
        {BYTES("\0\0\0\0\0\0\300\14")},   /* a pointer */
        {BYTES("\0\0\0\0\0\0\4x pp\0")},  /* no name of a host */
        {BYTES("\0\0\0\0\0\0\4x.pp\0")},  /* a dot inside a label */
        {BYTES("\0\0\0\0\0\0\4x\0pp\0")},
        {BYTES("\0\0\0\0\0\0\4x<pp\0")},
    };
    struct rdata_srv srv = {.port = 7};

    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
        assert_false(rdata_srv(broken[i].bytes, &srv));
    assert_int_equal(srv.port, 7);
}

/* 4 labels of 63 make 256 with their dots: more than a name may have. */
static void refuses_names_that_are_too_long(void **state)
{
    char bytes[6 + 4 * 64 + 1] = {0};
    struct rdata_srv srv;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        bytes[6 + i * 64] = 63;
        memset(bytes + 6 + i * 64 + 1, 'a', 63);
    }
    assert_false(rdata_srv((struct str){bytes, sizeof(bytes)}, &srv));
    bytes[6 + 3 * 64] = 0; /* three are well */
    assert_true(rdata_srv((struct str){bytes, 6 + 3 * 64 + 1}, &srv));
    assert_int_equal(strlen(srv.target), 3 * 64 - 1);
}

static void reads_tlsa(void **state)
{
    struct rdata_tlsa t;

    (void)state;
    assert_true(rdata_tlsa(BYTES("\3\1\2xyz"), &t));
    assert_int_equal(t.usage, 3);
    assert_int_equal(t.selector, 1);
    assert_int_equal(t.matching, 2);
    assert_true(str_is(t.data, "xyz"));
    assert_false(rdata_tlsa(BYTES("\3\1\2"), &t));
}

static void reads_addresses_of_hosts_only(void **state)
{
    char ip[RDATA_IP_MAX] = "untouched";

    (void)state;
    assert_false(rdata_address(BYTES("\0\0\0\0"), ip));
    assert_false(rdata_address(BYTES("\340\0\0\1"), ip));
    assert_false(rdata_address(BYTES("\377\377\377\377"), ip));
    assert_false(rdata_address(BYTES("\300\0\2"), ip));
    assert_false(rdata_address(BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), ip));
    assert_false(rdata_address(BYTES("\377\2\0\0\0\0\0\0\0\0\0\0\0\0\0\1"), ip));
    assert_string_equal(ip, "untouched");
    assert_true(rdata_address(BYTES("\300\0\2\1"), ip));
    assert_string_equal(ip, "192.0.2.1");
    assert_true(rdata_address(BYTES("\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1"), ip));
    assert_string_equal(ip, "2001:db8::1");
}

/* --- order --- */

static struct target target(const char *host, uint16_t priority, uint16_t weight, bool direct)
{
    struct target t = {.srv = {.priority = priority, .weight = weight, .port = 5269},
                       .direct = direct};

    (void)snprintf(t.srv.target, sizeof(t.srv.target), "%s", host);
    return t;
}

static void merges_by_priority(void **state)
{
    struct random *random = random_create_seeded(1);
    struct target t[] = {target("plain30", 30, 0, false), target("plain10", 10, 9, false),
                         target("direct20", 20, 0, true), target("direct5", 5, 0, true)};

    (void)state;
    for (int i = 0; i < 50; i++) {
        order_targets(t, 4, random);
        assert_string_equal(t[0].srv.target, "direct5");
        assert_string_equal(t[1].srv.target, "plain10");
        assert_string_equal(t[2].srv.target, "direct20");
        assert_string_equal(t[3].srv.target, "plain30");
    }
    order_targets(t, 0, random);
    random_destroy(random);
}

/* Weights 10, 30 and 60 of 100: how often each is first, over 20,000 draws from one seed. The exact
 * chance of RFC 2782's draw (0 to the sum, both included) is (w + 1)/101 for the first in the list
 * and w/101 for the others, so w/100 within one in a hundred; five standard deviations are 0.018.
 */
static void draws_by_weight(void **state)
{
    static const char *const names[] = {"a", "b", "c"};
    static const double expected[] = {0.1, 0.3, 0.6};
    struct random *random = random_create_seeded(7);
    int first[3] = {0}, second_after_c[2] = {0};
    enum { ROUNDS = 20000 };

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        struct target t[] = {target("a", 1, 10, false), target("b", 1, 30, true),
                             target("c", 1, 60, false)};
        order_targets(t, 3, random);
        for (int k = 0; k < 3; k++)
            first[k] += strcmp(t[0].srv.target, names[k]) == 0;
        if (t[0].srv.target[0] == 'c')
            second_after_c[t[1].srv.target[0] == 'b']++;
        assert_int_equal(t[0].srv.target[0] + t[1].srv.target[0] + t[2].srv.target[0],
                         'a' + 'b' + 'c');
    }
    for (int k = 0; k < 3; k++)
        assert_true(first[k] > (expected[k] - 0.03) * ROUNDS &&
                    first[k] < (expected[k] + 0.03) * ROUNDS);
    /* the rest is drawn again, 10 against 30 */
    assert_true(second_after_c[1] > 2 * second_after_c[0] &&
                second_after_c[1] < 4 * second_after_c[0]);
    random_destroy(random);
}

static void weightless_targets_share_the_load(void **state)
{
    struct random *random = random_create_seeded(9);
    int first[4] = {0}, zero_first = 0;

    (void)state;
    for (int i = 0; i < 4000; i++) {
        struct target t[] = {target("0", 1, 0, false), target("1", 1, 0, false),
                             target("2", 1, 0, false), target("3", 1, 0, false)};
        order_targets(t, 4, random);
        first[t[0].srv.target[0] - '0']++;
        struct target unequal[] = {target("zero", 1, 0, false), target("all", 1, 1000, false)};
        order_targets(unequal, 2, random);
        zero_first += unequal[0].srv.weight == 0;
    }
    for (int k = 0; k < 4; k++)
        assert_in_range(first[k], 800, 1200);
    assert_in_range(zero_first, 1, 20); /* 1 in 1001: "a very small chance" (RFC 2782) */
    random_destroy(random);
}

static void one_seed_gives_one_order(void **state)
{
    char order[2][64] = {"", ""};

    (void)state;
    for (int run = 0; run < 2; run++) {
        struct random *random = random_create_seeded(42);
        struct target t[12];
        for (int i = 0; i < 12; i++) {
            char name[2] = {(char)('a' + i), '\0'};
            t[i] = target(name, (uint16_t)(i / 6), (uint16_t)(i * 7), i % 2);
        }
        order_targets(t, 12, random);
        for (int i = 0; i < 12; i++)
            (void)strncat(order[run], t[i].srv.target, 1);
        random_destroy(random);
    }
    assert_string_equal(order[0], order[1]);
}

static void adds_what_is_a_target(void **state)
{
    struct target t[ORDER_MAX_RECORDS];
    size_t count = 0;
    bool none = false;
    struct dns_answer answer = {.status = DNS_FOUND,
                                .secure = true,
                                .ttl = 60,
                                .count = 4,
                                .records = {BYTES("\0\1\0\0\0\1\1a\0"), BYTES("broken"),
                                            BYTES("\0\1\0\0\0\0\1b\0"),   /* port 0 */
                                            BYTES("\0\2\0\0\0\1\1A\0")}}; /* there already */

    (void)state;
    order_add(t, &count, &answer, false, &none);
    assert_int_equal(count, 1);
    assert_true(t[0].secure && !t[0].direct && t[0].ttl == 60 && !none);
    order_add(t, &count, &answer, true, &none);
    assert_int_equal(count, 2); /* the same for direct TLS is another */
    answer.records[0] = BYTES("\0\0\0\0\0\0\0");
    order_add(t, &count, &answer, true, &none);
    assert_true(count == 2 && none);
    answer.status = DNS_BOGUS;
    count = 0;
    order_add(t, &count, &answer, true, &none);
    assert_int_equal(count, 0);
}

static void families_take_turns(void **state)
{
    static const struct {
        size_t v6, v4;
        const char *expected; /* a-: IPv6, A-: IPv4 */
    } cases[] = {{0, 0, ""},       {1, 0, "a"},    {0, 3, "ABC"},
                 {3, 3, "aAbBcC"}, {1, 3, "aABC"}, {4, 2, "aAbBcd"}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char got[16] = "";
        for (size_t k = 0; k < cases[i].v6 + cases[i].v4; k++) {
            bool v6;
            size_t at = order_family(cases[i].v6, cases[i].v4, k, &v6);
            got[k] = (char)((v6 ? 'a' : 'A') + at);
        }
        assert_string_equal(got, cases[i].expected);
    }
}

/* --- names and addresses as given --- */

static void knows_literals(void **state)
{
    static const struct {
        const char *text, *ip;
    } cases[] = {{"192.0.2.1", "192.0.2.1"},
                 {"2001:DB8:0:0::1", "2001:db8::1"},
                 {"[2001:db8::1]", "2001:db8::1"},
                 {"[192.0.2.1]", NULL},
                 {"192.0.2", NULL},
                 {"192.0.2.256", NULL},
                 {"0.0.0.0", NULL},
                 {"[::]", NULL},
                 {"ff02::1", NULL},
                 {"example.com", NULL},
                 {"[2001:db8::1", NULL},
                 {"[]", NULL},
                 {"", NULL},
                 {"1:2:3:4:5:6:7:8:9:1:2:3:4:5:6:7:8:9:1:2:3:4:5:6:7:8", NULL}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char ip[RDATA_IP_MAX] = "";
        assert_int_equal(order_literal(str_of(cases[i].text), ip), cases[i].ip != NULL);
        if (cases[i].ip)
            assert_string_equal(ip, cases[i].ip);
    }
    char ip[RDATA_IP_MAX];
    assert_false(order_literal(BYTES("192.0.2.1\0x"), ip));
}

static void makes_names_ascii(void **state)
{
    static const struct {
        const char *text, *name;
    } cases[] = {{"Example.COM", "example.com"},
                 {"example.com.", "example.com"},
                 {"b\xc3\xbc"
                  "cher.example",
                  "xn--bcher-kva.example"},
                 {"\xe4\xbe\x8b\xe3\x81\x88.jp", "xn--r8jz45g.jp"},
                 {"_x.a-b", "_x.a-b"},
                 {"localhost", "localhost"},
                 {"", NULL},
                 {".", NULL},
                 {"a..b", NULL},
                 {".a", NULL},
                 {"a b", NULL},
                 {"a\\.b", NULL},
                 {"a@b", NULL},
                 {"\xff", NULL}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char name[DNS_NAME_MAX] = "";
        assert_int_equal(host_name(str_of(cases[i].text), name), cases[i].name != NULL);
        if (cases[i].name)
            assert_string_equal(name, cases[i].name);
    }
}

/* 234 bytes leave room for "_xmpps-server._tcp."; 63 bytes a label. */
static void bounds_names(void **state)
{
    char text[DNS_NAME_MAX * 2], name[DNS_NAME_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = i % 64 == 63 ? '.' : 'a';
    assert_true(host_name((struct str){text, 234}, name));
    assert_false(host_name((struct str){text, 235}, name));
    assert_false(host_name((struct str){text, sizeof(text)}, name));
    assert_true(host_name((struct str){text, 63}, name));
    text[63] = 'a';
    assert_false(host_name((struct str){text, 64}, name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_srv),
        cmocka_unit_test(refuses_broken_srv),
        cmocka_unit_test(refuses_names_that_are_too_long),
        cmocka_unit_test(reads_tlsa),
        cmocka_unit_test(reads_addresses_of_hosts_only),
        cmocka_unit_test(merges_by_priority),
        cmocka_unit_test(draws_by_weight),
        cmocka_unit_test(weightless_targets_share_the_load),
        cmocka_unit_test(one_seed_gives_one_order),
        cmocka_unit_test(adds_what_is_a_target),
        cmocka_unit_test(families_take_turns),
        cmocka_unit_test(knows_literals),
        cmocka_unit_test(makes_names_ascii),
        cmocka_unit_test(bounds_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
