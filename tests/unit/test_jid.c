/* JID preparation: the examples of RFC 7622, RFC 8265 and RFC 5893, each rule's edge, and the fast
 * path against ICU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "xmpp/jid.h"
#include "xmpp/precis.h"

static void assert_jid(const char *in, const char *expected)
{
    struct jid *j = jid_parse(str_of(in));
    if (!expected) {
        if (j)
            fail_msg("accepted: %s as %s", in, j->text);
        return;
    }
    if (!j)
        fail_msg("refused: %s", in);
    assert_string_equal(j->text, expected);
    assert_int_equal(jid_full(j).len, strlen(expected));
    struct jid *again = jid_parse(jid_full(j));
    assert_non_null(again);
    assert_true(jid_eq(j, again));
    jid_unref(again);
    jid_unref(j);
}

/* RFC 7622 section 3.5, table 1 by number. */
static void test_rfc7622_valid(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"juliet@example.com", "juliet@example.com"},
        {"juliet@example.com/foo", "juliet@example.com/foo"},
        {"juliet@example.com/foo bar", "juliet@example.com/foo bar"},
        {"juliet@example.com/foo@bar", "juliet@example.com/foo@bar"},
        {"foo\\20bar@example.com", "foo\\20bar@example.com"},
        {"fussball@example.com", "fussball@example.com"},
        {"fu\u00DFball@example.com", "fu\u00DFball@example.com"},
        {"\u03C0@example.com", "\u03C0@example.com"},
        {"\u03A3@example.com/foo", "\u03C3@example.com/foo"},
        {"\u03C3@example.com/foo", "\u03C3@example.com/foo"},
        {"\u03C2@example.com/foo", "\u03C2@example.com/foo"},
        {"king@example.com/\u265A", "king@example.com/\u265A"},
        {"example.com", "example.com"},
        {"example.com/foobar", "example.com/foobar"},
        {"a.example.com/b@example.net", "a.example.com/b@example.net"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_jid(rows[i][0], rows[i][1]);
}

/* Table 2, without its row 18 (a leading space in the resource): no rule of RFC 8265 refuses that,
 * other servers let it pass, and refusing would lose their messages.
 * docs/decisions/0010-jid-icu.md. */
static void test_rfc7622_invalid(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "\"juliet\"@example.com",
        "foo bar@example.com",
        "@example.com/",
        "henry\u2163@example.com",
        "\u265A@example.com",
        "juliet@",
        "/foobar",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_jid(rows[i], NULL);
    assert_jid("juliet@example.com/ foo", "juliet@example.com/ foo");
}

static void test_structure(void **state)
{
    (void)state;
    assert_jid("A@B.Example/C", "a@b.example/C");
    assert_jid("a@b/c/d@e", "a@b/c/d@e");
    static const char *const bad[] = {
        "",       "@",        "/",          "a@",
        "@b",     "a@/r",     "b/",         "a@b/",
        "a@@b",   "a@b@c",    "a@b c",      "a b@c",
        "a&b@c",  "a'b@c",    "a:b@c",      "a<b@c",
        "a>b@c",  "a\"b@c",   "a@b:1",      "a@.b",
        "a@b..c", "a@..",     "a@-b",       "a@b-",
        "a@b_c",  "a\n@b",    "a@b/c\n",    "a@b\n",
        "\177@b", "a@b/\x80", "\xC0\x80@b", "a@b/\xED\xA0\x80",
        "a@\xFF",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_jid(bad[i], NULL);
    assert_null(jid_parse(STR_NULL));
    assert_null(jid_parse(STR("a\0b@c")));
    assert_null(jid_parse(STR("a@b\0c")));
    assert_null(jid_parse(STR("a@b/c\0d")));
}

static void test_domains(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"EXAMPLE.com.", "example.com"},
        {"127.0.0.1", "127.0.0.1"},
        {"[::1]", "[::1]"},
        {"[2001:DB8:0:0::1]/x", "[2001:db8::1]/x"},
        {"[::ffff:7f00:1]", "[::ffff:127.0.0.1]"},
        {"m\u00FCnchen.example", "m\u00FCnchen.example"},
        {"M\u00DCNCHEN.example", "m\u00FCnchen.example"},
        {"mu\u0308nchen.example", "m\u00FCnchen.example"},
        {"xn--mnchen-3ya.example", "m\u00FCnchen.example"},
        {"XN--MNCHEN-3ya.example", "m\u00FCnchen.example"},
        {"fa\u00DF.example", "fa\u00DF.example"}, /* not transitional: not fass */
        {"xn--fa-hia.example", "fa\u00DF.example"},
        {"\uFF45xample\u3002com\u3002", "example.com"},
        {"\u05E9\u05DC\u05D5\u05DD.example", "\u05E9\u05DC\u05D5\u05DD.example"},
        {"\u4F8B\u5B50.example", "\u4F8B\u5B50.example"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_jid(rows[i][0], rows[i][1]);
    static const char *const bad[] = {
        ".",
        "a..",
        "ab--cd.example",
        "xn--.example",
        "xn--\u00FC.example",
        "xn--example-.com",       /* decodes to plain ASCII */
        "xn--mnchen-psa.example", /* decodes to something UTS 46 would map */
        "\u2615.example",         /* a symbol: valid in UTS 46, not in IDNA2008 */
        "xn--53h.example",        /* the same, encoded */
        "a\u0378.example",        /* unassigned */
        "\u05D0a.example",        /* Bidi rule 2 */
        "a\u200Db.example",       /* CONTEXTJ */
        "a\u00B7b.example",       /* CONTEXTO */
        "\uFF0Db.example",        /* full-width hyphen in front */
        "a\uFF20b",               /* full-width @ */
        "[::1",
        "::1",
        "[1.2.3.4]",
        "[fe80::1%25eth0]",
        "[::1]a",
        "[]",
        "[::1\u00FC]",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_jid(bad[i], NULL);
}

static void test_label_lengths(void **state)
{
    (void)state;
    char text[400];
    memset(text, 'a', 64);
    text[63] = '\0';
    assert_jid(text, text);
    memset(text, 'a', 64);
    text[64] = '\0';
    assert_jid(text, NULL);
    /* A U-label whose A-label has 64 bytes (RFC 5890 section 2.3.2.1). */
    snprintf(text, sizeof(text), "%.*s\u00FC.example", 60,
             "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_jid(text, NULL);
    snprintf(text, sizeof(text), "%.*s\u00FC.example", 40,
             "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_jid(text, text);
}

typedef bool prepare_fn(struct str in, char out[1024], size_t *ret_len);

static void assert_prepared(prepare_fn *prepare, const char *in, const char *expected)
{
    char out[1024];
    size_t len = 4711;
    bool ok = prepare(str_of(in), out, &len);
    if (ok != (expected != NULL))
        fail_msg("%s: %s", ok ? "accepted" : "refused", in);
    if (!ok) {
        assert_int_equal(len, 4711);
        return;
    }
    if (!str_is((struct str){out, len}, expected))
        fail_msg("%s became %.*s, not %s", in, (int)len, out, expected);
}

/* RFC 8265 section 3.5 (usernames), plus one row for each rule. */
static void test_local(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"fussball", "fussball"},
        {"fu\u00DFball", "fu\u00DFball"},
        {"\u03C0", "\u03C0"},
        {"\u03A3", "\u03C3"},
        {"\u03C3", "\u03C3"},
        {"\u03C2", "\u03C2"},
        {"foo bar", NULL},
        {"", NULL},
        {"henry\u2163", NULL},
        {"\u221E", NULL},
        {"\u265A", NULL},
        /* width mapping, then case, then NFC */
        {"\uFF2A\uFF35\uFF2C", "jul"},
        {"\uFF76\uFF9E", "\u30AC"},
        {"A\u030A", "\u00E5"},
        {"\u212B", NULL},   /* ANGSTROM SIGN: HasCompat */
        {"a\uFF20b", NULL}, /* full-width @, one of the excluded eight after mapping */
        {"a\u3000b", NULL},
        {"\u0130x", "i\u0307x"},
        {"\u0391\u03A3", "\u03B1\u03C2"}, /* final sigma */
        /* exceptions and ignorables */
        {"\u0640\u0628", NULL},
        {"\u3007", "\u3007"},
        {"a\u00ADb", NULL},
        {"a\u034Fb", NULL},
        {"\u1100", NULL}, /* old Hangul jamo */
        {"\uAC00", "\uAC00"},
        {"a\u0378", NULL}, /* unassigned */
        {"a\uE000", NULL}, /* private use */
        {"a\uFFFD", NULL},
        {"\U0001F600", NULL},
        {"\U00020000", "\U00020000"},
        /* contextual rules, RFC 5892 appendix A */
        {"col\u00B7la", "col\u00B7la"},
        {"a\u00B7l", NULL},
        {"\u00B7", NULL},
        {"\u0375\u03B1", "\u0375\u03B1"},
        {"\u0375a", NULL},
        {"\u0375", NULL},
        {"\u05D0\u05F3", "\u05D0\u05F3"},
        {"a\u05F3", NULL},
        {"\u30A2\u30FB\u30A2", "\u30A2\u30FB\u30A2"},
        {"a\u30FBa", NULL},
        {"\u0628\u0660", "\u0628\u0660"},
        {"\u0628\u0660\u06F0", NULL},
        {"\u0628\u200C\u0628", NULL}, /* PRECIS allows it, RFC 6122 maps it to nothing */
        /* Bidi rule, RFC 5893 section 2 */
        {"\u05E9\u05DC\u05D5\u05DD", "\u05E9\u05DC\u05D5\u05DD"},
        {"\u05E9\u05DC1", "\u05E9\u05DC1"},
        {"\u05E9a", NULL},
        {"a\u05E9", NULL},
        {"1\u05E9", NULL},
        {"\u05E9!", NULL},
        {"\u0628\u0660"
         "1",
         NULL},
        {"\u05D0\u05B0", "\u05D0\u05B0"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_prepared(jid_prepare_local, rows[i][0], rows[i][1]);
}

/* RFC 8265 section 4.3 (passwords) and what a resource adds. */
static void test_opaque(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"correct horse battery staple", "correct horse battery staple"},
        {"Correct Horse Battery Staple", "Correct Horse Battery Staple"},
        {"\u03C0\u00DF\u00E5", "\u03C0\u00DF\u00E5"},
        {"Jack of \u2666s", "Jack of \u2666s"},
        {"foo\u1680bar", "foo bar"},
        {"foo\u00A0bar\u3000", "foo bar "},
        {"", NULL},
        {"my cat is a \t by", NULL},
        {"A\u030A", "\u00C5"},
        {"\uFF21", "\uFF21"},   /* no width mapping */
        {"\u05E9a", "\u05E9a"}, /* no Bidi rule */
        {"a\u0378", NULL},
        {"a\u2028", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_prepared(jid_prepare_password, rows[i][0], rows[i][1]);
        assert_prepared(jid_prepare_resource, rows[i][0], rows[i][1]);
    }
    /* Persian with a non-joiner, Devanagari with a joiner: fine for PRECIS, invisible to an RFC
     * 6122 server. */
    assert_prepared(jid_prepare_password, "\u0647\u200C\u0627", "\u0647\u200C\u0627");
    assert_prepared(jid_prepare_resource, "\u0647\u200C\u0627", NULL);
    assert_prepared(jid_prepare_password, "\u0915\u094D\u200D\u0937", "\u0915\u094D\u200D\u0937");
    assert_prepared(jid_prepare_resource, "\u0915\u094D\u200D\u0937", NULL);
    assert_prepared(jid_prepare_password, "a\u200Cb", NULL);
    assert_prepared(jid_prepare_password, "a\u200Db", NULL);
    /* RFC 3454 tables B.1 and C.7, which PRECIS lets stand in free text */
    assert_prepared(jid_prepare_password, "a\u1806", "a\u1806");
    assert_prepared(jid_prepare_resource, "a\u1806", NULL);
    assert_prepared(jid_prepare_resource, "a\u2FF0", NULL);
}

static void fill(char *text, size_t len, const char *unit)
{
    size_t unit_len = strlen(unit);
    for (size_t i = 0; i < len; i++)
        text[i] = unit[i % unit_len];
    text[len] = '\0';
}

/* RFC 7622 sections 3.2 to 3.4: 1 to 1023 bytes each, counted after preparation. */
static void test_lengths(void **state)
{
    (void)state;
    char part[4097], out[1024];
    size_t len;
    fill(part, 1023, "a");
    assert_true(jid_prepare_local((struct str){part, 1023}, out, &len));
    assert_true(jid_prepare_resource((struct str){part, 1023}, out, &len));
    fill(part, 1024, "a");
    assert_false(jid_prepare_local((struct str){part, 1024}, out, &len));
    assert_false(jid_prepare_resource((struct str){part, 1024}, out, &len));
    fill(part, 1024, "\u00E9");
    assert_false(jid_prepare_local((struct str){part, 1024}, out, &len));
    assert_true(jid_prepare_local((struct str){part, 1022}, out, &len));
    fill(part, 3069, "\uFF41"); /* full-width a: 3 bytes become 1 */
    assert_true(jid_prepare_local((struct str){part, 3069}, out, &len));
    assert_int_equal(len, 1023);
    fill(part, 3072, "\uFF41");
    assert_false(jid_prepare_local((struct str){part, 3072}, out, &len));
    fill(part, 4096, "\uFF41");
    assert_false(jid_prepare_local((struct str){part, 4096}, out, &len));
    fill(part, 1024, "a23456789b123456789c123456789d123456789e123456789f123456789g123.");
    assert_true(jid_prepare_domain((struct str){part, 1022}, out, &len));
    assert_true(jid_prepare_domain((struct str){part, 1024}, out, &len)); /* the dot goes */
    fill(part, 1025, "a23456789b123456789c123456789d123456789e123456789f123456789g123.");
    assert_false(jid_prepare_domain((struct str){part, 1025}, out, &len));
}

/* The fast path may differ from ICU in speed only. */
static void test_fast_is_slow(void **state)
{
    (void)state;
    for (int c = 1; c < 128; c++) {
        char text[4] = {'a', (char)c, 'B', '\0'}, fast[1024], slow[1024];
        struct str in = str_of(text);
        size_t fast_len = 0, slow_len = 0;
        bool excluded = strchr("\"&'/:<>@", c) != NULL;
        bool fast_ok = jid_prepare_local(in, fast, &fast_len);
        bool slow_ok = precis_local(in, slow, &slow_len) && !excluded;
        assert_int_equal(fast_ok, slow_ok);
        if (fast_ok)
            assert_true(str_eq((struct str){fast, fast_len}, (struct str){slow, slow_len}));
        fast_ok = jid_prepare_resource(in, fast, &fast_len);
        slow_ok = precis_resource(in, slow, &slow_len);
        assert_int_equal(fast_ok, slow_ok);
        if (fast_ok)
            assert_true(str_eq((struct str){fast, fast_len}, (struct str){slow, slow_len}));
        fast_ok = jid_prepare_domain(in, fast, &fast_len);
        slow_ok = precis_domain(in, slow, &slow_len);
        assert_int_equal(fast_ok, slow_ok);
        if (fast_ok)
            assert_true(str_eq((struct str){fast, fast_len}, (struct str){slow, slow_len}));
    }
}

static void test_views(void **state)
{
    (void)state;
    struct jid *full = jid_parse(STR("Juliet@Example.com/Balcony"));
    assert_non_null(full);
    assert_true(str_is(jid_full(full), "juliet@example.com/Balcony"));
    assert_true(str_is(jid_bare(full), "juliet@example.com"));
    assert_true(str_is(jid_local(full), "juliet"));
    assert_true(str_is(jid_domain(full), "example.com"));
    assert_true(str_is(jid_resource(full), "Balcony"));
    assert_false(jid_is_bare(full));
    struct jid *bare = jid_to_bare(full);
    assert_true(str_is(jid_full(bare), "juliet@example.com"));
    assert_true(jid_is_bare(bare));
    assert_null(jid_resource(bare).data);
    assert_true(jid_eq_bare(bare, full));
    assert_false(jid_eq(bare, full));
    struct jid *same = jid_to_bare(bare);
    assert_ptr_equal(same, bare);
    struct jid *domain = jid_to_domain(full);
    assert_true(str_is(jid_full(domain), "example.com"));
    assert_null(jid_local(domain).data);
    struct jid *again = jid_to_domain(domain);
    assert_ptr_equal(again, domain);
    struct jid *other = jid_with_resource(bare, STR("\u00C5"));
    assert_true(str_is(jid_full(other), "juliet@example.com/\u00C5"));
    assert_null(jid_with_resource(bare, STR("")));
    assert_null(jid_with_resource(bare, STR_NULL));
    assert_null(jid_with_resource(bare, STR("a\n")));
    jid_unref(full);
    jid_unref(bare);
    jid_unref(same);
    jid_unref(domain);
    jid_unref(again);
    jid_unref(other);
    jid_unref(NULL);
}

static void test_from_parts(void **state)
{
    (void)state;
    struct jid *j = jid_from_parts(STR("R\u00D6meo"), STR("Example.net."), STR("Garden"));
    assert_true(str_is(jid_full(j), "r\u00F6meo@example.net/Garden"));
    jid_unref(j);
    j = jid_from_parts(STR_NULL, STR("example.net"), STR_NULL);
    assert_true(str_is(jid_full(j), "example.net"));
    jid_unref(j);
    assert_null(jid_from_parts(STR(""), STR("example.net"), STR_NULL));
    assert_null(jid_from_parts(STR_NULL, STR("example.net"), STR("")));
    assert_null(jid_from_parts(STR_NULL, STR_NULL, STR("x")));
    assert_null(jid_from_parts(STR("a"), STR("."), STR_NULL));
    assert_null(jid_from_parts(STR("a@b"), STR("c"), STR_NULL));
    assert_null(jid_from_parts(STR("a"), STR("c/d"), STR_NULL));
}

static void test_unconfusable(void **state)
{
    (void)state;
    assert_true(jid_local_unconfusable(STR("juliet-2.x")));
    assert_true(jid_local_unconfusable(STR("\u043F\u0451\u0442\u0440-7")));
    assert_true(jid_local_unconfusable(STR("abc\u6F22\u5B57\u304B\u306A\u30AB\u30CA")));
    assert_true(jid_local_unconfusable(STR("abc\uD55C\uAE00\u6F22")));
    assert_true(jid_local_unconfusable(STR("abc\u6F22\u3105")));
    assert_false(jid_local_unconfusable(STR("p\u0430ypal"))); /* a Cyrillic a */
    assert_false(jid_local_unconfusable(STR("\u03B1\u0430")));
    assert_false(jid_local_unconfusable(STR("\u304B\uD55C")));
    assert_false(jid_local_unconfusable(STR("a\u304B\u0430")));
    assert_false(jid_local_unconfusable(STR("\xFF")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc7622_valid), cmocka_unit_test(test_rfc7622_invalid),
        cmocka_unit_test(test_structure),     cmocka_unit_test(test_domains),
        cmocka_unit_test(test_label_lengths), cmocka_unit_test(test_local),
        cmocka_unit_test(test_opaque),        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_fast_is_slow),  cmocka_unit_test(test_views),
        cmocka_unit_test(test_from_parts),    cmocka_unit_test(test_unconfusable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
