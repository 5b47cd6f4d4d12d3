/* The ledger: ids, what is noted of a message and what is not, addresses that are too long, bodies
 * only where they are asked for, and records that are none. */
#include "unit.h"

#include "base/ring.h"
#include "link/ledger.h"
#include "xml/builder.h"
#include "xmpp/namespaces.h"

#define START 1767225600000 /* 2026-01-01T00:00:00Z */

struct book {
    struct loop *loop;
    struct ring *ring; /* the ledger's */
    struct ledger_pen pen;
    char bytes[RING_RECORD];
};

static int setup(void **state)
{
    struct book *b = calloc(1, sizeof(*b));

    b->loop = loop_create_sim(START);
    b->ring = ring_create(65536, RING_RECORD);
    b->pen = (struct ledger_pen){ledger_create(b->ring, UINT64_MAX - 1), b->loop, STR("sm-1")};
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct book *b = *state;

    ledger_destroy(b->pen.ledger);
    loop_destroy(b->loop);
    free(b);
    return 0;
}

static struct packet *packet(const char *name, const char *from, const char *to)
{
    struct packet *p = packet_create(PACKET_STANZA, STR("sm"), STR("c2s"));
    struct builder *b = builder_create(str_of(name), NS_CLIENT);

    builder_attr(b, STR("type"), STR("chat"));
    builder_attr(b, STR("id"), STR("4711"));
    builder_leaf(b, STR("body"), STR_NULL, STR("meet me at the pond"));
    p->stanza = builder_finish(b);
    p->from = jid_parse(str_of(from));
    p->to = jid_parse(str_of(to));
    return p;
}

static struct ledger_record read_one(struct book *b, uint64_t number)
{
    struct ledger_record r = {0};
    size_t len = ring_get(b->ring, number, b->bytes);

    assert_true(len > 0);
    assert_true(ledger_record_read((struct str){b->bytes, len}, &r));
    return r;
}

static void is(struct str got, const char *expected)
{
    if (!str_is(got, expected))
        fail_msg("got \"%.*s\", expected \"%s\"", STR_ARG(got), expected);
}

static void ids(void **state)
{
    char text[LEDGER_ID + 1];
    uint64_t id;

    (void)state;
    assert_string_equal(ledger_id_text(1, text), "0000000000001");
    assert_string_equal(ledger_id_text(UINT64_MAX, text), "fzzzzzzzzzzzz");
    for (uint64_t i = 1; i; i <<= 1) {
        assert_true(ledger_id_parse(str_of(ledger_id_text(i, text)), &id));
        assert_true(id == i);
    }
    assert_false(ledger_id_parse(STR("0000000000000"), &id));
    assert_false(ledger_id_parse(STR("g000000000000"), &id)); /* more than 64 bits */
    assert_false(ledger_id_parse(STR("00000000000il"), &id));
    assert_false(ledger_id_parse(STR("1"), &id));
    assert_false(ledger_id_parse((struct str){"00000000\0000001", 13}, &id));
    assert_false(ledger_id_parse(STR_NULL, &id));
}

/* No message has the id 0, not even when the numbers begin anew. */
static void comes_in(void **state)
{
    struct book *b = *state;
    struct packet *p = packet("message", "a@x.test/r", "b@x.test");
    struct ledger_record r;
    uint64_t id;

    ledger_enter(&b->pen, p);
    assert_true(p->trace == UINT64_MAX);
    r = read_one(b, 1);
    assert_true(r.id == p->trace);
    assert_int_equal(r.event, LEDGER_ENTERED);
    assert_true(r.time == START * 1000);
    is(r.component, "sm-1");
    is(r.from, "a@x.test/r");
    is(r.to, "b@x.test");
    is(r.detail, "chat, id 4711");
    assert_false(r.cut);
    ledger_enter(&b->pen, p); /* it is in already */
    assert_int_equal(ring_next(b->ring), 2);
    packet_destroy(p);
    p = packet("message", "a@x.test/r", "b@x.test");
    ledger_enter(&b->pen, p);
    id = p->trace;
    assert_int_equal(id, 1);
    loop_sim_advance(b->loop, 3);
    ledger_note(&b->pen, LEDGER_BOUNCED, id, STR("b@x.test"), STR("gone"));
    r = read_one(b, 3);
    assert_int_equal(r.event, LEDGER_BOUNCED);
    assert_true(r.time == START * 1000 + 3000);
    is(r.to, "b@x.test");
    is(r.detail, "gone");
    packet_destroy(p);
}

static void only_messages(void **state)
{
    struct book *b = *state;
    struct packet *p = packet("presence", "a@x.test/r", "b@x.test");
    struct ledger_pen none = {NULL, b->loop, STR("sm")};

    ledger_enter(&b->pen, p);
    assert_int_equal(p->trace, 0);
    ledger_note(&b->pen, LEDGER_DROPPED, p->trace, STR_NULL, STR("whatever"));
    packet_destroy(p);
    p = packet("message", "a@x.test/r", "b@x.test");
    ledger_enter(&none, p);
    assert_int_equal(p->trace, 0);
    packet_destroy(p);
    assert_int_equal(ring_next(b->ring), 1);
}

static void what_is_too_long_is_cut(void **state)
{
    struct book *b = *state;
    char address[600];
    struct ledger_record r;

    memset(address, 'a', sizeof(address));
    ledger_write(&b->pen, LEDGER_ENTERED, 7, (struct str){address, 600}, STR("b@x.test"),
                 STR("chat"));
    r = read_one(b, 1);
    assert_true(r.cut);
    is(r.to, "b@x.test");
    is(r.detail, "chat");
    assert_true(r.from.len > 150);
    ledger_write(&b->pen, LEDGER_ENTERED, 7, (struct str){address, 600}, (struct str){address, 600},
                 (struct str){address, 600});
    r = read_one(b, 2);
    assert_true(r.cut && r.from.len > 50 && r.to.len > 50 && r.detail.len == 80);
    /* Not in the middle of a character. */
    for (size_t i = 0; i < 600; i++)
        address[i] = i % 2 ? '\xA9' : '\xC3';
    for (size_t skip = 0; skip < 2; skip++) {
        address[0] = 'x';
        ledger_write(&b->pen, LEDGER_BODY, 7, STR_NULL, STR_NULL,
                     (struct str){address + 1 - skip, 599});
        r = read_one(b, 3 + skip);
        assert_true(r.cut);
        assert_int_equal((unsigned char)r.detail.data[r.detail.len - 1] & 0xC0, 0x80);
    }
}

static unsigned bodies_among(struct book *b, uint64_t from)
{
    unsigned count = 0;

    for (uint64_t n = from; n < ring_next(b->ring); n++) {
        struct ledger_record r = read_one(b, n);
        if (r.event == LEDGER_BODY) {
            is(r.detail, "meet me at the pond");
            count++;
        }
    }
    return count;
}

static unsigned bodies_of(struct book *b, const char *from, const char *to)
{
    struct packet *p = packet("message", from, to);
    uint64_t before = ring_next(b->ring);

    ledger_enter(&b->pen, p);
    packet_destroy(p);
    return bodies_among(b, before);
}

static void bodies_where_they_are_asked_for(void **state)
{
    struct book *b = *state;

    assert_int_equal(bodies_of(b, "a@x.test/r", "b@x.test"), 0);
    ledger_watch_bodies(b->pen.ledger, "b@x.test", (START + 10000) * 1000);
    assert_int_equal(bodies_of(b, "a@x.test/r", "b@x.test"), 1);
    assert_int_equal(bodies_of(b, "b@x.test/r", "c@x.test"), 1);
    assert_int_equal(bodies_of(b, "a@x.test/r", "c@x.test"), 0);
    loop_sim_advance(b->loop, 10000); /* whoever asked has gone */
    assert_int_equal(bodies_of(b, "a@x.test/r", "b@x.test"), 0);
    ledger_set_bodies(b->pen.ledger, true);
    assert_int_equal(bodies_of(b, "a@x.test/r", "c@x.test"), 1);
    ledger_set_bodies(b->pen.ledger, false);
    assert_int_equal(bodies_of(b, "a@x.test/r", "c@x.test"), 0);
}

static void what_is_no_record(void **state)
{
    struct book *b = *state;
    struct ledger_record r;
    char bytes[RING_RECORD];
    size_t len;

    ledger_write(&b->pen, LEDGER_ENTERED, 7, STR("a@x.test"), STR("b@x.test"), STR("chat"));
    len = ring_get(b->ring, 1, bytes);
    for (size_t i = 0; i < len; i++)
        assert_false(ledger_record_read((struct str){bytes, i}, &r));
    assert_true(ledger_record_read((struct str){bytes, len}, &r));
    bytes[16] = (char)LEDGER_EVENTS;
    assert_false(ledger_record_read((struct str){bytes, len}, &r));
    bytes[16] = 0;
    memset(bytes, 0, 8);
    assert_false(ledger_record_read((struct str){bytes, len}, &r)); /* no id */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids),
        cmocka_unit_test_setup_teardown(comes_in, setup, teardown),
        cmocka_unit_test_setup_teardown(only_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_too_long_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(bodies_where_they_are_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_record, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
