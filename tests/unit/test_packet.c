/* Packets: what is copied, what is shared, how they turn around, what leaves towards a client. */
#include "parsing.h"

#include "base/mem.h"
#include "link/packet.h"
#include "xml/builder.h"
#include "xmpp/namespaces.h"

static struct stanza *message(const char *body)
{
    struct builder *b = builder_create(STR("message"), NS_CLIENT);
    builder_attr(b, STR("to"), STR("b@x.test"));
    builder_attr(b, STR("id"), STR("1"));
    if (body)
        builder_leaf(b, STR("body"), STR_NULL, str_of(body));
    return builder_finish(b);
}

static struct stanza *delay(const char *reason)
{
    struct builder *b = builder_create(STR("delay"), NS_DELAY);
    builder_attr(b, STR("stamp"), STR("2026-01-01T00:00:00Z"));
    builder_text(b, str_of(reason));
    return builder_finish(b);
}

static void strings_are_copied(void **state)
{
    char to[] = "sm", from[] = "c2s";
    struct packet *p = packet_create(PACKET_STANZA, str_of(to), str_of(from));
    to[0] = from[0] = '!';
    assert_str(p->route_to, "sm");
    assert_str(p->route_from, "c2s");
    assert_null(p->name.data);
    packet_destroy(p);
    p = packet_create(PACKET_BROADCAST, STR_NULL, STR("c2s"));
    assert_null(p->route_to.data);
    packet_destroy(p);
    packet_destroy(NULL);
}

static void bounce_turns_the_same_object(void **state)
{
    struct packet *p = packet_create(PACKET_STANZA, STR("sm"), STR("c2s"));
    p->stanza = message("hi");
    packet_bounce(p, 404);
    assert_str(p->route_to, "c2s");
    assert_str(p->route_from, "sm");
    assert_int_equal(p->error, 404);
    assert_str(stanza_attr(p->stanza, STANZA_ROOT, STR("to")), "b@x.test");
    packet_destroy(p);
}

static void copy_shares_and_outlives(void **state)
{
    struct jid *target = jid_parse(STR("a@x.test/r"));
    struct packet *p =
        packet_create_session(STR("sm"), STR("c2s"), SESSION_START, target, STR("conflict"));
    struct packet *copy;

    jid_unref(target);
    assert_true(session_id_set(&p->request, STR("req")));
    p->failed = true;
    copy = packet_copy(p);
    assert_ptr_equal(copy->target, p->target);
    packet_destroy(p);
    assert_str(copy->reason, "conflict");
    assert_str(copy->route_to, "sm");
    assert_str(session_id_str(&copy->request), "req");
    assert_str(jid_full(copy->target), "a@x.test/r");
    assert_true(copy->failed);
    packet_destroy(copy);
}

static void size_counts_the_stanza(void **state)
{
    struct packet *p = packet_create(PACKET_STANZA, STR("sm"), STR("c2s"));
    size_t empty = packet_size(p);
    char *body = mem_alloc(10001);
    memset(body, 'x', 10000);
    p->stanza = message(body);
    assert_true(packet_size(p) >= empty + 10000);
    free(body);
    packet_destroy(p);
}

static void check_written(struct packet *p, const char *expected)
{
    size_t size = packet_write_size(p);
    char *out = mem_alloc(size + 1);
    size_t len = packet_write_to(p, out);
    assert_true(len <= size);
    assert_str((struct str){out, len}, expected);
    free(out);
}

static void writes_addresses_and_delay(void **state)
{
    struct packet *p = packet_create(PACKET_STANZA, STR("c2s"), STR("sm"));
    p->stanza = message("hi");
    check_written(p, "<message to='b@x.test' id='1'><body>hi</body></message>");
    p->from = jid_parse(STR("a@x.test/r"));
    p->to = jid_parse(STR("b@x.test/home"));
    p->delay = delay("late");
    check_written(
        p, "<message to='b@x.test/home' id='1' from='a@x.test/r'><body>hi</body>"
           "<delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'>late</delay></message>");
    packet_destroy(p);
}

static void writes_delay_into_an_empty_stanza(void **state)
{
    struct packet *p = packet_create(PACKET_STANZA, STR("c2s"), STR("sm"));
    char reason[2001];
    char expected[2300];

    memset(reason, 'r', sizeof(reason) - 1);
    reason[sizeof(reason) - 1] = '\0';
    p->stanza = message(NULL);
    p->delay = delay(reason); /* longer than the stack's room */
    (void)snprintf(expected, sizeof(expected),
                   "<message to='b@x.test' id='1'><delay xmlns='urn:xmpp:delay' "
                   "stamp='2026-01-01T00:00:00Z'>%s"
                   "</delay></message>",
                   reason);
    check_written(p, expected);
    packet_destroy(p);
}

static void session_ids(void **state)
{
    struct random *random = random_create_seeded(1);
    struct session_id a, b;
    char longest[49];

    session_id_make(&a, random);
    session_id_make(&b, random);
    assert_int_equal(a.len, 32);
    assert_false(str_eq(session_id_str(&a), session_id_str(&b)));
    memset(longest, 'x', sizeof(longest));
    assert_true(session_id_set(&a, (struct str){longest, 46}));
    assert_int_equal(a.len, 46);
    assert_false(session_id_set(&b, (struct str){longest, 47}));
    assert_int_equal(b.len, 32); /* untouched */
    assert_true(session_id_set(&b, STR_NULL));
    assert_int_equal(b.len, 0);
    random_destroy(random);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_copied),
        cmocka_unit_test(bounce_turns_the_same_object),
        cmocka_unit_test(copy_shares_and_outlives),
        cmocka_unit_test(size_counts_the_stanza),
        cmocka_unit_test(writes_addresses_and_delay),
        cmocka_unit_test(writes_delay_into_an_empty_stanza),
        cmocka_unit_test(session_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
