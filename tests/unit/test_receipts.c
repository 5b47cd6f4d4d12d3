/* Receipts: asked and answered between two components at the real router; what came before is
 * known; what came on a stream and is not handled yet (XEP-0198). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "component/unhandled.h"
#include "link/handled.h"
#include "link/wire.h"
#include "xml/builder.h"
#include "xmpp/namespaces.h"

struct world {
    struct env env;
    struct config config;
    struct component *router, *a, *b;
    struct receipts *asks, *answers; /* of a, of b */
    struct packet *last;             /* what b got */
    char told[512];                  /* numbers that came back to a, less the first given */
    uint64_t base;
};

static void on_handled(void *owner, uint64_t number)
{
    struct world *w = owner;
    size_t len = strlen(w->told);

    (void)snprintf(w->told + len, sizeof(w->told) - len, "%llu ",
                   (unsigned long long)(number - w->base));
}

static enum error start(struct component *c)
{
    return ERR_OK;
}

static void on_packet(struct component *c, struct packet *p)
{
    struct world *w = MEM_CONTAINER(c->env, struct world, env);

    if (receipts_take(c == w->a ? w->asks : w->answers, p))
        return;
    packet_destroy(w->last);
    w->last = p;
}

static const struct component_ops ops = {.name = "x", .start = start, .packet = on_packet};

static void settle(struct world *w)
{
    while (loop_sim_turn(w->env.loop))
        continue;
}

static int setup(void **state)
{
    struct world *w = MEM_NEW(struct world);

    w->config.router_address = "127.0.0.1";
    w->config.router_user = "jackdaw";
    w->config.router_max_queue = 1 << 20;
    w->env.loop = loop_create_sim(1000);
    w->env.net = net_create_sim(w->env.loop, 1);
    w->env.random = random_create_seeded(1);
    w->env.parsers = parser_pool_create(w->env.random);
    w->env.config = &w->config;
    w->env.data_dir = "";
    w->router = component_create(&router_component, &w->env, NULL);
    assert_int_equal(component_start(w->router), ERR_OK);
    w->a = component_create(&ops, &w->env, "a");
    w->b = component_create(&ops, &w->env, "b");
    component_attach_local(w->a, w->router);
    component_attach_local(w->b, w->router);
    (void)component_start(w->a);
    (void)component_start(w->b);
    settle(w);
    w->asks = receipts_create(w->a, on_handled, w);
    w->answers = receipts_create(w->b, on_handled, w);
    w->base = receipts_number(w->asks);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    packet_destroy(w->last);
    receipts_destroy(w->asks);
    receipts_destroy(w->answers);
    component_destroy(w->a);
    component_destroy(w->b);
    component_destroy(w->router);
    net_destroy(w->env.net);
    loop_destroy(w->env.loop);
    parser_pool_destroy(w->env.parsers);
    random_destroy(w->env.random);
    free(w);
    return 0;
}

static void expect(struct world *w, const char *told)
{
    settle(w);
    assert_string_equal(w->told, told);
    w->told[0] = '\0';
}

static struct packet *message(const char *body)
{
    struct packet *p = packet_create(PACKET_STANZA, STR("b"), STR("a"));
    struct builder *b = builder_create(STR("message"), NS_CLIENT);

    builder_leaf(b, STR("body"), STR_NULL, str_of(body));
    p->stanza = builder_finish(b);
    return p;
}

/* Sent, and looked at by b: is it new? */
static bool arrives(struct world *w, uint64_t number)
{
    struct packet *p = message("x");

    receipts_ask(w->asks, p, number);
    component_send(w->a, p);
    settle(w);
    assert_non_null(w->last);
    assert_int_equal(w->last->receipt.number, number);
    return receipts_admit(w->answers, w->last);
}

static void handled(struct world *w, uint64_t number)
{
    receipts_handled(w->answers, w->last->receipt.origin, number);
}

static void asked_and_answered(void **state)
{
    struct world *w = *state;
    uint64_t first = receipts_number(w->asks);

    for (uint64_t n = first; n < first + 5; n++)
        assert_true(arrives(w, n));
    expect(w, "");
    handled(w, first + 1);
    handled(w, first + 2);
    handled(w, first + 4);
    expect(w, "2 3 5 ");
    handled(w, first);
    expect(w, "1 ");
}

static void what_came_before_is_known(void **state)
{
    struct world *w = *state;
    uint64_t n = w->base + 10;

    assert_true(arrives(w, n));
    assert_false(arrives(w, n)); /* under way: answered once it is handled */
    expect(w, "");
    handled(w, n);
    expect(w, "10 ");
    assert_false(arrives(w, n)); /* the answer was lost: it comes again */
    expect(w, "10 ");
    assert_true(arrives(w, n - 5)); /* later, but new */
    receipts_forget(w->answers, w->last->receipt.origin, n);
    assert_true(arrives(w, n));
}

static void another_incarnation_is_not_taken_for_the_first(void **state)
{
    struct world *w = *state;
    uint64_t n = w->base + 10;

    assert_true(arrives(w, n));
    assert_true(arrives(w, n + 65535)); /* the window moves on */
    assert_false(arrives(w, n));
    assert_true(arrives(w, n + 65536));
    assert_true(arrives(w, n)); /* forgotten: the window begins anew there */
    assert_true(arrives(w, n + 65536));
    assert_true(arrives(w, n + (1ull << 40)));
    assert_true(arrives(w, n));
}

static void ones_own_are_answered_at_home(void **state)
{
    struct world *w = *state;
    struct packet *p = message("x");

    receipts_ask(w->asks, p, w->base + 3);
    assert_true(receipts_admit(w->asks, p));
    receipts_handled(w->asks, p->receipt.origin, w->base + 3);
    packet_destroy(p);
    expect(w, "3 ");
}

static void collect(void *arg, uint64_t number)
{
    char *text = arg;

    (void)snprintf(text + strlen(text), 256 - strlen(text), "%llu,", (unsigned long long)number);
}

static void numbers_as_text(void **state)
{
    static const uint64_t numbers[] = {5, 6, 7, 9, 12, 13};
    struct packet *p = handled_create(STR("a"), STR("b"), numbers, 6);
    char text[256] = "";

    assert_true(str_is(stanza_text(p->stanza, STANZA_ROOT), "5-7 9 12-13"));
    handled_each(p, collect, text);
    assert_string_equal(text, "5,6,7,9,12,13,");
    packet_destroy(p);
    p = message("x");
    assert_false(handled_is(p));
    packet_destroy(p);
}

/* What others write into it stops the reading, and is bounded. */
static void count(void *arg, uint64_t number)
{
    ++*(uint64_t *)arg;
}

static void numbers_that_are_none(void **state)
{
    static const struct {
        const char *text;
        uint64_t count;
    } cases[] = {{"", 0},
                 {"x", 0},
                 {"1 x 3", 1},
                 {"3-1", 0},
                 {"1-x", 0},
                 {"-5", 0},
                 {"5- 7", 0},
                 {"99999999999999999999", 0},
                 {"1 2  3", 2},
                 {"7-7", 1},
                 {"0-18446744073709551614", 1000000}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct packet *p = packet_create(PACKET_STANZA, STR("a"), STR("b"));
        struct builder *b = builder_create(STR("handled"), NS_RECEIPTS);
        uint64_t got = 0;
        builder_text(b, str_of(cases[i].text));
        p->stanza = builder_finish(b);
        assert_true(handled_is(p));
        handled_each(p, count, &got);
        if (got != cases[i].count)
            fail_msg("'%s': %llu numbers", cases[i].text, (unsigned long long)got);
        packet_destroy(p);
    }
}

/* --- unhandled --- */

static uint64_t send(struct unhandled *u, const char *body)
{
    struct unhandled_stanza *s = unhandled_open(u);
    struct packet *p = message(body);
    uint64_t number;

    unhandled_send(s, p);
    unhandled_close(s);
    number = p->receipt.number;
    packet_destroy(p);
    return number;
}

static void again(void *arg, struct packet *p)
{
    char *text = arg;
    stanza_el body = stanza_child(p->stanza, STANZA_ROOT, STR("body"), STR_NULL);

    (void)snprintf(text + strlen(text), 256 - strlen(text), "%.*s(%u) ",
                   STR_ARG(stanza_text(p->stanza, body)), p->receipt.place);
    assert_true(p->receipt.number != 0 && p->receipt.since == 1000);
    packet_destroy(p);
}

static void h_is_up_to_where_all_are_handled(void **state)
{
    struct world *w = *state;
    struct unhandled_table t;
    struct unhandled u;
    uint64_t one, two, three;
    char text[256] = "";

    unhandled_table_init(&t, w->a, w->asks);
    unhandled_init(&u, &t, UINT32_MAX - 1);
    one = send(&u, "one");
    unhandled_close(unhandled_open(&u)); /* handled on the spot */
    two = send(&u, "two");
    three = send(&u, "three");
    assert_int_equal(unhandled_h(&u), UINT32_MAX - 1);
    assert_ptr_equal(unhandled_receipt(&t, two), &u);
    assert_int_equal(unhandled_h(&u), UINT32_MAX - 1);
    unhandled_repeat(&u, again, text);
    assert_string_equal(text, "one(4294967295) three(2) ");
    assert_ptr_equal(unhandled_receipt(&t, one), &u);
    assert_int_equal(unhandled_h(&u), 1); /* modulo 2^32 */
    assert_null(unhandled_receipt(&t, one));
    assert_ptr_equal(unhandled_receipt(&t, three), &u);
    assert_int_equal(unhandled_h(&u), 2);
    assert_int_equal(u.count, 0);
    assert_int_equal(u.bytes, 0);
    one = send(&u, "four");
    unhandled_finish(&u);
    assert_null(unhandled_receipt(&t, one));
    unhandled_table_finish(&t);
}

static void on_the_wire(void **state)
{
    struct world *w = *state;
    struct packet *p = message("x"), *got;
    const struct parser_limits limits = {1 << 20, 0, 64, 64, 64, 1000};
    enum parser_status status;
    const char *why;
    char out[2048];

    receipts_ask(w->asks, p, UINT64_MAX - 1);
    p->receipt.place = UINT32_MAX;
    p->receipt.since = 1700000000000;
    p->receipt.answers = 77;
    assert_true(wire_size(p) <= sizeof(out));
    struct stanza *s =
        parser_document(w->env.parsers, (struct str){out, wire_write(p, out)}, &limits, &status);
    got = wire_parse(s, &why);
    assert_true(got->receipt.number == UINT64_MAX - 1 && got->receipt.answers == 77);
    assert_true(got->receipt.place == UINT32_MAX && got->receipt.since == 1700000000000);
    assert_true(str_is(jid_full(got->receipt.origin), "a"));
    stanza_unref(s);
    packet_destroy(p);
    packet_destroy(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(asked_and_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(what_came_before_is_known, setup, teardown),
        cmocka_unit_test_setup_teardown(another_incarnation_is_not_taken_for_the_first, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(ones_own_are_answered_at_home, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers_as_text, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers_that_are_none, setup, teardown),
        cmocka_unit_test_setup_teardown(h_is_up_to_where_all_are_handled, setup, teardown),
        cmocka_unit_test_setup_teardown(on_the_wire, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
