/* Data forms (XEP-0004): what a submitted form must be, and what a built one looks like. */
#include "parsing.h"

#include "xmpp/data_form.h"
#include "xmpp/namespaces.h"

static const struct data_option colours[] = {{"Red", "red"}, {"Green", "green"}, {NULL, NULL}};
static const struct data_field fields[] = {
    {.type = DATA_JID_SINGLE, .required = true, .var = "who", .label = "Who"},
    {.type = DATA_JID_MULTI, .var = "others"},
    {.type = DATA_BOOLEAN, .var = "sure"},
    {.type = DATA_LIST_SINGLE, .var = "colour", .options = colours},
    {.type = DATA_TEXT_MULTI, .var = "text"},
    {.var = NULL}};

static struct stanza *parse(const char *inner)
{
    struct buffer xml;
    buffer_init(&xml, 1 << 20);
    buffer_printf(
        &xml, "<q xmlns='jabber:client'><x xmlns='jabber:x:data' type='submit'>%s</x></q>", inner);
    struct stanza *s = parsing_read(buffer_str(&xml));
    buffer_finish(&xml);
    return s;
}

/* NULL when it is accepted. */
static const char *verdict(const char *inner)
{
    static char why[256];
    struct stanza *s = parse(inner);
    struct data_form form;
    assert_true(data_form_find(s, STANZA_ROOT, &form));
    const char *said = data_form_check(&form, fields, NS_ADMIN, why, sizeof why);
    stanza_unref(s);
    return said;
}

#define FIELD(var, values) "<field var='" var "'>" values "</field>"
#define VALUE(text)        "<value>" text "</value>"
#define WHO                FIELD("who", VALUE("a@b"))

static void test_accepted(void **state)
{
    assert_null(verdict(WHO));
    assert_null(verdict(WHO FIELD("others", VALUE("c@d") VALUE("e@f"))));
    assert_null(verdict(WHO FIELD("others", VALUE(""))));
    assert_null(verdict(WHO FIELD("sure", VALUE("true")) FIELD("colour", VALUE("green"))));
    assert_null(verdict(WHO FIELD("unknown", VALUE("x"))));
    assert_null(verdict(WHO "<other xmlns='y'/><field type='fixed'/><field type='fixed'/>"));
    assert_null(verdict(WHO FIELD("FORM_TYPE", VALUE("http://jabber.org/protocol/admin"))));
}

static void test_refused(void **state)
{
    assert_string_equal(verdict(""), "the field 'who' is needed");
    assert_string_equal(verdict(FIELD("who", "")), "the field 'who' is needed");
    assert_string_equal(verdict(FIELD("who", VALUE(""))), "the field 'who' is needed");
    assert_string_equal(verdict(FIELD("who", VALUE("a@b") VALUE("c@d"))),
                        "the field 'who' takes one value");
    assert_string_equal(verdict(FIELD("who", VALUE("@"))),
                        "the field 'who' has a value that is no jid-single");
    assert_non_null(verdict(WHO FIELD("others", VALUE("c@d") VALUE("@"))));
    assert_non_null(verdict(WHO FIELD("sure", VALUE("perhaps"))));
    assert_non_null(verdict(WHO FIELD("colour", VALUE("blue"))));
    assert_string_equal(verdict(WHO WHO), "a field stands twice in the form");
    assert_string_equal(verdict(WHO FIELD("FORM_TYPE", VALUE("other"))),
                        "the form is of another FORM_TYPE");
}

static void test_bounds(void **state)
{
    struct buffer many;
    buffer_init(&many, 1 << 20);
    buffer_add_str(&many, STR(WHO));
    for (unsigned i = 0; i < DATA_FORM_MAX_FIELDS; i++)
        buffer_printf(&many, "<field var='f%u'/>", i);
    buffer_add_char(&many, '\0');
    assert_string_equal(verdict(buffer_str(&many).data), "the form has more than 100 fields");
    buffer_clear(&many);
    buffer_add_str(&many, STR(WHO "<field var='text'>"));
    for (unsigned i = 0; i <= DATA_FORM_MAX_VALUES; i++)
        buffer_add_str(&many, STR("<value/>"));
    buffer_add_str(&many, STR("</field>\0"));
    assert_string_equal(verdict(buffer_str(&many).data),
                        "the field 'text' takes at most 1000 values");
    buffer_finish(&many);
}

static void test_values(void **state)
{
    struct stanza *s = parse(WHO FIELD("text", VALUE("one") VALUE("two")) FIELD("none", "")
                                 FIELD("sure", VALUE("1")));
    struct data_form form;
    assert_true(data_form_find(s, STANZA_ROOT, &form));
    assert_true(str_is(data_form_type(&form), "submit"));
    assert_true(str_is(data_form_value(&form, "who"), "a@b"));
    assert_null(data_form_value(&form, "none").data);
    assert_null(data_form_value(&form, "absent").data);
    assert_int_equal(data_form_count(&form, "text"), 2);
    assert_true(str_is(data_form_value_at(&form, "text", 1), "two"));
    assert_null(data_form_value_at(&form, "text", 2).data);
    assert_true(data_form_true(&form, "sure"));
    assert_false(data_form_true(&form, "who"));
    char *text = data_form_text(&form, "text");
    assert_string_equal(text, "one\ntwo");
    free(text);
    assert_null(data_form_text(&form, "none"));
    stanza_unref(s);
}

static void test_no_form(void **state)
{
    struct builder *b = builder_create(STR("q"), NS_CLIENT);
    builder_leaf(b, STR("x"), STR_NULL, STR("")); /* of another namespace */
    struct stanza *s = builder_finish(b);
    struct data_form form;
    assert_false(data_form_find(s, STANZA_ROOT, &form));
    stanza_unref(s);
}

static void test_built(void **state)
{
    struct builder *b = builder_create(STR("q"), NS_CLIENT);
    struct str lines = STR("one\ntwo");
    struct buffer out;
    data_form_open(b, "form", "Title", "Fill in", STR("t"));
    data_form_add(b, &fields[0], false, NULL, 0);
    data_form_add(b, &fields[3], false, NULL, 0);
    data_form_add(b, &fields[4], true, &lines, 1);
    data_form_add_number(b, &fields[2], 7);
    data_form_close(b);
    struct stanza *s = builder_finish(b);
    buffer_init(&out, 65536);
    assert_true(stanza_write(s, NULL, &out));
    buffer_add_char(&out, '\0');
    assert_string_equal(
        buffer_str(&out).data,
        "<q><x xmlns='jabber:x:data' type='form'><title>Title</title><instructions>Fill in"
        "</instructions><field var='FORM_TYPE' type='hidden'><value>t</value></field>"
        "<field var='who' type='jid-single' label='Who'><required/></field>"
        "<field var='colour' type='list-single'><option label='Red'><value>red</value></option>"
        "<option label='Green'><value>green</value></option></field>"
        "<field var='text' type='text-multi'><value>one</value><value>two</value></field>"
        "<field var='sure' type='boolean'><value>7</value></field></x></q>");
    buffer_finish(&out);
    stanza_unref(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bounds),   cmocka_unit_test(test_values),
        cmocka_unit_test(test_no_form),  cmocka_unit_test(test_built),
    };
    return cmocka_run_group_tests(tests, parsing_set_up, parsing_tear_down);
}
