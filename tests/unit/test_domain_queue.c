/* The queue of a pair of domains: order, bound, age, and what comes back to its place. */
#include "unit.h"

#include "s2s/domain_queue.h"
#include "xml/builder.h"

static struct packet *packet(const char *id, uint64_t born)
{
    struct builder *b = builder_create(STR("message"), STR("jabber:client"));
    struct packet *p = packet_create(PACKET_STANZA, STR("b.example"), STR("a.example"));

    builder_attr(b, STR("id"), str_of(id));
    p->stanza = builder_finish(b);
    p->born = born;
    return p;
}

static void is(struct packet *p, const char *id)
{
    assert_non_null(p);
    assert_true(str_is(stanza_attr(p->stanza, STANZA_ROOT, STR("id")), id));
    packet_destroy(p);
}

static void in_order(void **state)
{
    struct domain_queue q;

    (void)state;
    domain_queue_init(&q);
    assert_null(domain_queue_pop(&q));
    assert_null(domain_queue_first(&q));
    for (int i = 0; i < 3; i++)
        assert_true(domain_queue_push(&q, packet((const char *[]){"1", "2", "3"}[i], 0), 100000));
    assert_int_equal(q.count, 3);
    is(domain_queue_pop(&q), "1");
    is(domain_queue_pop(&q), "2");
    is(domain_queue_pop(&q), "3");
    assert_true(domain_queue_empty(&q));
    assert_int_equal(q.bytes, 0);
}

static void bounded_by_bytes(void **state)
{
    struct domain_queue q;
    struct packet *p = packet("x", 0);
    size_t one = packet_size(p);

    (void)state;
    domain_queue_init(&q);
    assert_true(domain_queue_push(&q, p, 2 * one));
    assert_true(domain_queue_push(&q, packet("y", 0), 2 * one));
    p = packet("z", 0);
    assert_false(domain_queue_push(&q, p, 2 * one)); /* still ours */
    packet_destroy(p);
    is(domain_queue_pop(&q), "x");
    p = packet("z", 0);
    assert_true(domain_queue_push(&q, p, 2 * one));
    is(domain_queue_pop(&q), "y");
    is(domain_queue_pop(&q), "z");
}

/* What was written and not acknowledged goes back, the last one first, before what never left. */
static void returned_to_their_place(void **state)
{
    struct domain_queue q, sent;

    (void)state;
    domain_queue_init(&q);
    domain_queue_init(&sent);
    for (int i = 0; i < 4; i++)
        assert_true(
            domain_queue_push(&q, packet((const char *[]){"1", "2", "3", "4"}[i], 0), 9999));
    assert_true(domain_queue_push(&sent, domain_queue_pop(&q), SIZE_MAX));
    assert_true(domain_queue_push(&sent, domain_queue_pop(&q), SIZE_MAX));
    for (struct packet *p; (p = domain_queue_pop_last(&sent)) != NULL;)
        domain_queue_return(&q, p);
    assert_true(domain_queue_empty(&sent));
    for (int i = 0; i < 4; i++)
        is(domain_queue_pop(&q), (const char *[]){"1", "2", "3", "4"}[i]);
}

static void the_oldest_expire(void **state)
{
    struct domain_queue q;

    (void)state;
    domain_queue_init(&q);
    assert_true(domain_queue_push(&q, packet("old", 100), 9999));
    assert_true(domain_queue_push(&q, packet("new", 200), 9999));
    assert_null(domain_queue_expired(&q, 99));
    is(domain_queue_expired(&q, 100), "old");
    assert_null(domain_queue_expired(&q, 199));
    is(domain_queue_pop(&q), "new");
    assert_null(domain_queue_expired(&q, 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order),
        cmocka_unit_test(bounded_by_bytes),
        cmocka_unit_test(returned_to_their_place),
        cmocka_unit_test(the_oldest_expire),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
