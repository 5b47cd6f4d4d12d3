/* Queries to an archive (XEP-0313 section 4), pages (XEP-0059): what is read, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "xml/parser.h"
#include "xmpp/mam_query.h"
#include "xmpp/namespaces.h"

struct world {
    struct random *random;
    struct parser_pool *pool;
    struct stanza *stanza;
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->random = random_create_seeded(4);
    w->pool = parser_pool_create(w->random);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    stanza_unref(w->stanza);
    parser_pool_destroy(w->pool);
    random_destroy(w->random);
    free(w);
    return 0;
}

/* Reads a query with that inside. */
static enum stanza_condition query(struct world *w, const char *inner, struct mam_query *ret)
{
    static const struct parser_limits limits = {1 << 20, 0, 1000, 1000, 1000, 100000};
    enum parser_status status;
    char text[16384];
    int len =
        snprintf(text, sizeof text, "<query xmlns='urn:xmpp:mam:2' queryid='q'>%s</query>", inner);
    assert_true((size_t)len < sizeof text);
    stanza_unref(w->stanza);
    w->stanza = parser_document(w->pool, (struct str){text, (size_t)len}, &limits, &status);
    assert_non_null(w->stanza);
    return mam_query_read(w->stanza, STANZA_ROOT, ret);
}

static enum stanza_condition form(struct world *w, const char *fields, struct mam_query *ret)
{
    char text[8192];
    snprintf(text, sizeof text,
             "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
             "<value>urn:xmpp:mam:2</value></field>%s</x>",
             fields);
    return query(w, text, ret);
}

static enum stanza_condition set(struct world *w, const char *inner, struct mam_query *ret)
{
    char text[1024];
    snprintf(text, sizeof text, "<set xmlns='http://jabber.org/protocol/rsm'>%s</set>", inner);
    return query(w, text, ret);
}

static void nothing_asks_for_everything(void **state)
{
    struct mam_query q;
    assert_int_equal(query(*state, "", &q), STANZA_ERR_NONE);
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
    assert_int_equal(set(*state, "<max>10</max><after>x</after>", &q), STANZA_ERR_NONE);
    assert_int_equal(q.rsm.max, 10);
    assert_true(str_is(q.rsm.after, "x"));
    assert_int_equal(set(*state, "<before/>", &q), STANZA_ERR_NONE);
    assert_true(q.rsm.before.data && !q.rsm.before.len);
    assert_int_equal(set(*state, "<after/>", &q), STANZA_ERR_NONE);
    assert_null(q.rsm.after.data);
    assert_int_equal(set(*state, "<max>0</max>", &q), STANZA_ERR_NONE);
    assert_int_equal(q.rsm.max, 0);
    assert_int_equal(set(*state, "<max>-1</max>", &q), STANZA_ERR_BAD_REQUEST);
    assert_int_equal(set(*state, "<max>ten</max>", &q), STANZA_ERR_BAD_REQUEST);
    assert_int_equal(set(*state, "<max>4294967296</max>", &q), STANZA_ERR_BAD_REQUEST);
    assert_int_equal(set(*state, "<index>x</index>", &q), STANZA_ERR_BAD_REQUEST);
    assert_int_equal(set(*state, "<index>3</index>", &q), STANZA_ERR_FEATURE_NOT_IMPLEMENTED);
    assert_int_equal(set(*state, "<before/><after>x</after>", &q), STANZA_ERR_BAD_REQUEST);
}

static void filters(void **state)
{
    struct mam_query q;
    assert_int_equal(
        form(*state,
             "<field var='with'><value>Romeo@example.net</value></field>"
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
    assert_int_equal(
        form(*state, "<field var='start'><value>1970-01-01T00:01:00.5Z</value></field>", &q),
        STANZA_ERR_NONE);
    assert_int_equal(q.start, 61);
    assert_int_equal(form(*state, "<field var='with'><value/></field>", &q), STANZA_ERR_NONE);
    assert_null(q.with);
}

static void refused(void **state)
{
    struct mam_query q;
    assert_int_equal(form(*state, "<field var='mood'><value>x</value></field>", &q),
                     STANZA_ERR_FEATURE_NOT_IMPLEMENTED);
    assert_int_equal(form(*state, "<field var='with'><value>@</value></field>", &q),
                     STANZA_ERR_BAD_REQUEST);
    assert_int_equal(form(*state, "<field var='end'><value>now</value></field>", &q),
                     STANZA_ERR_BAD_REQUEST);
    assert_int_equal(
        form(*state, "<field var='with'><value>a@b</value><value>c@d</value></field>", &q),
        STANZA_ERR_BAD_REQUEST);
    assert_int_equal(form(*state, "<field var='ids'/><field var='ids'/>", &q),
                     STANZA_ERR_BAD_REQUEST);
    assert_int_equal(query(*state, "<x xmlns='jabber:x:data' type='submit'/>", &q),
                     STANZA_ERR_BAD_REQUEST);
    assert_int_equal(query(*state, "<x xmlns='jabber:x:data' type='cancel'/>", &q),
                     STANZA_ERR_BAD_REQUEST);
    assert_int_equal(query(*state,
                           "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
                           "<value>other</value></field></x>",
                           &q),
                     STANZA_ERR_BAD_REQUEST);
    char many[MAM_QUERY_MAX_IDS * 20 + 100] = "<field var='ids'>";
    for (unsigned i = 0; i <= MAM_QUERY_MAX_IDS; i++)
        memcpy(many + strlen(many), "<value>x</value>", sizeof "<value>x</value>");
    memcpy(many + strlen(many), "</field>", sizeof "</field>");
    assert_int_equal(form(*state, many, &q), STANZA_ERR_RESOURCE_CONSTRAINT);
}

static void order(void **state)
{
    struct mam_query q;
    assert_int_equal(query(*state,
                           "<order xmlns='urn:xmpp:order-by:1' by='modification' desc='1'/>"
                           "<order xmlns='urn:xmpp:order-by:1' by='creation'/><flip-page/>",
                           &q),
                     STANZA_ERR_NONE);
    assert_true(q.desc && q.flip);
    assert_int_equal(query(*state, "<order xmlns='urn:xmpp:order-by:1' by='creation'/>", &q),
                     STANZA_ERR_NONE);
    assert_false(q.desc);
    assert_int_equal(query(*state, "<order xmlns='urn:xmpp:order-by:1'/>", &q),
                     STANZA_ERR_BAD_REQUEST);
    assert_int_equal(query(*state, "<order xmlns='urn:xmpp:order-by:1' by='length'/>", &q),
                     STANZA_ERR_FEATURE_NOT_IMPLEMENTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_asks_for_everything, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(filters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(order, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
