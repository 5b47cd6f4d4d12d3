/* Queries to an archive (XEP-0313 section 4), pages (XEP-0059): what is read, what is refused. */
#include "parsing.h"

#include "xmpp/mam_query.h"
#include "xmpp/namespaces.h"

static struct stanza *asked; /* what the last query points into */

static int forget(void **state)
{
    stanza_unref(asked);
    asked = NULL;
    return 0;
}

/* Reads a query with that inside. */
static enum stanza_condition query(const char *inner, struct mam_query *ret)
{
    char text[16384];
    int len =
        snprintf(text, sizeof text, "<query xmlns='urn:xmpp:mam:2' queryid='q'>%s</query>", inner);
    assert_true((size_t)len < sizeof text);
    stanza_unref(asked);
    asked = parsing_read((struct str){text, (size_t)len});
    return mam_query_read(asked, STANZA_ROOT, ret);
}

static enum stanza_condition form(const char *fields, struct mam_query *ret)
{
    char text[8192];
    snprintf(text, sizeof text,
             "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
             "<value>urn:xmpp:mam:2</value></field>%s</x>",
             fields);
    return query(text, ret);
}

static enum stanza_condition set(const char *inner, struct mam_query *ret)
{
    char text[1024];
    snprintf(text, sizeof text, "<set xmlns='http://jabber.org/protocol/rsm'>%s</set>", inner);
    return query(text, ret);
}

static void nothing_asks_for_everything(void **state)
{
    struct mam_query q;
    assert_int_equal(query("", &q), STANZA_ERR_NONE);
    assert_true(str_is(q.queryid, "q"));
    assert_null(q.with);
    assert_true(q.start == INT64_MIN && q.end == INT64_MAX);
    assert_int_equal(q.rsm.max, UINT32_MAX);
    assert_null(q.rsm.before.data);
    assert_null(q.rsm.after.data);
    assert_false(q.has_ids || q.flip || q.desc);
    mam_query_finish(&q);
}

static void pages(void **state)
{
    struct mam_query q;
    assert_int_equal(set("<max>10</max><after>x</after>", &q), STANZA_ERR_NONE);
    assert_int_equal(q.rsm.max, 10);
    assert_true(str_is(q.rsm.after, "x"));
    assert_int_equal(set("<before/>", &q), STANZA_ERR_NONE);
    assert_true(q.rsm.before.data && !q.rsm.before.len);
    assert_int_equal(set("<after/>", &q), STANZA_ERR_NONE);
    assert_null(q.rsm.after.data);
    assert_int_equal(set("<max>0</max>", &q), STANZA_ERR_NONE);
    assert_int_equal(q.rsm.max, 0);
    assert_int_equal(set("<max>-1</max>", &q), STANZA_ERR_BAD_REQUEST);
    assert_int_equal(set("<max>ten</max>", &q), STANZA_ERR_BAD_REQUEST);
    assert_int_equal(set("<max>4294967296</max>", &q), STANZA_ERR_BAD_REQUEST);
    assert_int_equal(set("<index>x</index>", &q), STANZA_ERR_BAD_REQUEST);
    assert_int_equal(set("<index>3</index>", &q), STANZA_ERR_FEATURE_NOT_IMPLEMENTED);
    assert_int_equal(set("<before/><after>x</after>", &q), STANZA_ERR_BAD_REQUEST);
}

static void filters(void **state)
{
    struct mam_query q;
    assert_int_equal(
        form("<field var='with'><value>Romeo@example.net</value></field>"
             "<field var='start'><value>1970-01-01T00:01:00.000Z</value></field>"
             "<field var='end'><value>1970-01-01T00:02:00.9Z</value></field>"
             "<field var='after-id'><value>a</value></field>"
             "<field var='before-id'><value>b</value></field>"
             "<field var='ids'><value>1</value><value>2</value></field>"
             "<field var='include-groupchat'><value>true</value></field>"
             "<field var='{urn:xmpp:fulltext:0}fulltext'><value>rose name</value></field>",
             &q),
        STANZA_ERR_NONE);
    assert_string_equal(q.with->text, "romeo@example.net");
    assert_int_equal(q.start, 60);
    assert_int_equal(q.end, 120);
    assert_true(str_is(q.after_id, "a") && str_is(q.before_id, "b"));
    assert_true(q.has_ids && q.id_count == 2);
    assert_true(str_is(mam_query_id(&q, 1), "2"));
    assert_null(mam_query_id(&q, 2).data);
    assert_true(str_is(q.words, "rose name"));
    mam_query_finish(&q);
    /* The times we give are whole seconds: half a second past is the next one. */
    assert_int_equal(form("<field var='start'><value>1970-01-01T00:01:00.5Z</value></field>", &q),
                     STANZA_ERR_NONE);
    assert_int_equal(q.start, 61);
    assert_int_equal(form("<field var='with'><value/></field>", &q), STANZA_ERR_NONE);
    assert_null(q.with);
}

static void refused(void **state)
{
    struct mam_query q;
    assert_int_equal(form("<field var='mood'><value>x</value></field>", &q),
                     STANZA_ERR_FEATURE_NOT_IMPLEMENTED);
    assert_int_equal(form("<field var='with'><value>@</value></field>", &q),
                     STANZA_ERR_BAD_REQUEST);
    assert_int_equal(form("<field var='end'><value>now</value></field>", &q),
                     STANZA_ERR_BAD_REQUEST);
    assert_int_equal(form("<field var='with'><value>a@b</value><value>c@d</value></field>", &q),
                     STANZA_ERR_BAD_REQUEST);
    assert_int_equal(form("<field var='ids'/><field var='ids'/>", &q), STANZA_ERR_BAD_REQUEST);
    assert_int_equal(query("<x xmlns='jabber:x:data' type='submit'/>", &q), STANZA_ERR_BAD_REQUEST);
    assert_int_equal(query("<x xmlns='jabber:x:data' type='cancel'/>", &q), STANZA_ERR_BAD_REQUEST);
    assert_int_equal(query("<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
                           "<value>other</value></field></x>",
                           &q),
                     STANZA_ERR_BAD_REQUEST);
    char many[MAM_QUERY_MAX_IDS * 20 + 100] = "<field var='ids'>";
    for (unsigned i = 0; i <= MAM_QUERY_MAX_IDS; i++)
        memcpy(many + strlen(many), "<value>x</value>", sizeof "<value>x</value>");
    memcpy(many + strlen(many), "</field>", sizeof "</field>");
    assert_int_equal(form(many, &q), STANZA_ERR_RESOURCE_CONSTRAINT);
}

static void order(void **state)
{
    struct mam_query q;
    assert_int_equal(query("<order xmlns='urn:xmpp:order-by:1' by='modification' desc='1'/>"
                           "<order xmlns='urn:xmpp:order-by:1' by='creation'/><flip-page/>",
                           &q),
                     STANZA_ERR_NONE);
    assert_true(q.desc && q.flip);
    assert_int_equal(query("<order xmlns='urn:xmpp:order-by:1' by='creation'/>", &q),
                     STANZA_ERR_NONE);
    assert_false(q.desc);
    assert_int_equal(query("<order xmlns='urn:xmpp:order-by:1'/>", &q), STANZA_ERR_BAD_REQUEST);
    assert_int_equal(query("<order xmlns='urn:xmpp:order-by:1' by='length'/>", &q),
                     STANZA_ERR_FEATURE_NOT_IMPLEMENTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(nothing_asks_for_everything, forget),
        cmocka_unit_test_teardown(pages, forget),
        cmocka_unit_test_teardown(filters, forget),
        cmocka_unit_test_teardown(refused, forget),
        cmocka_unit_test_teardown(order, forget),
    };
    return cmocka_run_group_tests(tests, parsing_set_up, parsing_tear_down);
}
