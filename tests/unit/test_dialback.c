/* Dialback keys against the values of XEP-0185, and dialback elements read and written. */
#include "unit.h"

#include "xml/parser.h"
#include "xmpp/dialback.h"
#include "xmpp/namespaces.h"

/* XEP-0185 section 3. */
static void the_key_of_the_specification(void **state)
{
    char key[DIALBACK_KEY];

    (void)state;
    dialback_key(STR("s3cr3tf0rd14lb4ck"), STR("xmpp.example.com"), STR("example.org"),
                 STR("D60000229F"), key);
    assert_memory_equal(key, "37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643",
                        sizeof(key));
}

static void every_part_counts(void **state)
{
    static const char *const inputs[][4] = {
        {"secreu", "b.example", "a.example", "id"}, {"secret", "c.example", "a.example", "id"},
        {"secret", "b.example", "d.example", "id"}, {"secret", "b.example", "a.example", "ie"},
        {"secret", "a.example", "b.example", "id"}, /* the roles are not interchangeable */
        {"secret", "b.exampl", "ea.example", "id"},
    };
    char key[DIALBACK_KEY], other[DIALBACK_KEY];

    (void)state;
    dialback_key(STR("secret"), STR("b.example"), STR("a.example"), STR("id"), key);
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
        dialback_key(str_of(inputs[i][0]), str_of(inputs[i][1]), str_of(inputs[i][2]),
                     str_of(inputs[i][3]), other);
        assert_memory_not_equal(key, other, sizeof(key));
    }
}

static struct stanza *element(const char *xml)
{
    static const struct parser_limits limits = {.stanza_bytes = 10000,
                                                .total_bytes = 0,
                                                .depth = 10,
                                                .attributes = 10,
                                                .namespaces = 10,
                                                .children = 10};
    struct random *random = random_create_seeded(1);
    struct parser_pool *pool = parser_pool_create(random);
    enum parser_status status;
    struct stanza *s = parser_document(pool, str_of(xml), &limits, &status);

    assert_non_null(s);
    parser_pool_destroy(pool);
    random_destroy(random);
    return s;
}

#define DB " xmlns='jabber:server:dialback'"

static void requests_are_read(void **state)
{
    struct stanza *s =
        element("<verify" DB " from='A.Example' to='b.example' id='x'>\n  key\t</verify>");
    struct dialback d;

    (void)state;
    assert_true(dialback_parse(s, &d));
    assert_true(d.verify);
    assert_int_equal(d.type, DIALBACK_REQUEST);
    assert_true(str_is(d.from, "a.example")); /* prepared */
    assert_true(str_is(d.to, "b.example"));
    assert_true(str_is(d.id, "x"));
    assert_true(str_is(d.key, "key"));
    stanza_unref(s);
}

static void what_is_missing_or_malformed(void **state)
{
    static const char *const bad[] = {
        "<result" DB " to='b.example'>k</result>",
        "<result" DB " from='a.example'>k</result>",
        "<result" DB " from='a b' to='b.example'>k</result>",
        "<result" DB " from='' to='b.example'>k</result>",
        "<verify" DB " from='a.example' to='b.example'>k</verify>",
    };
    struct dialback d;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct stanza *s = element(bad[i]);
        assert_false(dialback_parse(s, &d));
        stanza_unref(s);
    }
}

static void written(char *out, size_t size, struct buffer *b)
{
    assert_true(buffer_len(b) < size);
    memcpy(out, buffer_str(b).data, buffer_len(b));
    out[buffer_len(b)] = '\0';
    buffer_finish(b);
}

static void elements_are_written(void **state)
{
    struct buffer out;
    char text[1024];

    (void)state;
    buffer_init(&out, 4096);
    assert_true(
        dialback_write_request(&out, STR("a.example"), STR("b.example"), STR_NULL, STR("k")));
    written(text, sizeof(text), &out);
    assert_string_equal(text, "<db:result from='a.example' to='b.example'>k</db:result>");
    assert_true(
        dialback_write_request(&out, STR("a.example"), STR("b.example"), STR("<'>"), STR("&")));
    written(text, sizeof(text), &out);
    assert_string_equal(text, "<db:verify from='a.example' to='b.example' "
                              "id='&lt;&apos;&gt;'>&amp;</db:verify>");
    assert_true(dialback_write_answer(&out, STR("a.example"), STR("b.example"), STR("i"),
                                      DIALBACK_INVALID, STANZA_ERR_NONE));
    written(text, sizeof(text), &out);
    assert_string_equal(text, "<db:verify from='a.example' to='b.example' id='i' type='invalid'/>");
    assert_true(dialback_write_answer(&out, STR("a.example"), STR("b.example"), STR_NULL,
                                      DIALBACK_ERROR, STANZA_ERR_ITEM_NOT_FOUND));
    written(text, sizeof(text), &out);
    assert_string_equal(text, "<db:result from='a.example' to='b.example' type='error'>"
                              "<error type='cancel'><item-not-found "
                              "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_of_the_specification),
        cmocka_unit_test(every_part_counts),
        cmocka_unit_test(requests_are_read),
        cmocka_unit_test(what_is_missing_or_malformed),
        cmocka_unit_test(elements_are_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
