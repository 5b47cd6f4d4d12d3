/* A message is in the store once: after every single transaction it has one row, in the outbox or
 * in the offline queue, so that an sm that dies at whatever moment sends it once (reliability.md
 * G3). The linker puts a look at the tables behind every commit (--wrap). */
#include "sm_world.h"

#include "sm/flight.h"
#include "sm/sm.h"
#include "store/driver.h"
#include "store/users.h"

#define JULIET "juliet@example.net"

void __real_store_commit(struct store_txn *t, store_fn fn, void *arg);
void __wrap_store_commit(struct store_txn *t, store_fn fn, void *arg);

static size_t outbox_rows, rows_now, rows_most;

static void on_outbox(void *arg, enum error e, const struct store_rows *rows)
{
    (void)arg;
    outbox_rows = e ? 0 : store_rows_count(rows);
}

static void on_queue(void *arg, enum error e, const struct store_rows *rows)
{
    (void)arg;
    if (e)
        return;
    rows_now = outbox_rows + store_rows_count(rows);
    rows_most = rows_now > rows_most ? rows_now : rows_most;
}

/* Reads see what was submitted before them, and nothing is submitted between them. */
void __wrap_store_commit(struct store_txn *t, store_fn fn, void *arg)
{
    struct store *s = t->store;
    __real_store_commit(t, fn, arg);
    if (s->kind != STORE_USERS)
        return;
    outbox_load(s, STR("sm"), 0, INT64_MAX, 100, on_outbox, NULL);
    queue_load(s, STR(JULIET), 0, 100, on_queue, NULL);
}

static int setup(void **state)
{
    rows_now = rows_most = 0;
    world_setup(state);
    struct sm_world *w = *state;
    w->config.sm_max_unacked = 1000;
    w->config.sm_max_unacked_bytes = 1000000;
    w->config.sm_max_outbox = 1000;
    w->config.sm_max_sleeping = 10;
    w->config.sm_outbox_after = 2000;
    /* Another name of the c2s, to say that it answers receipts. */
    link_send(w->c2s, packet_create_control(PACKET_BIND, STR("acks"), PACKET_BIND_RECEIPTS));
    world_settle(w);
    return 0;
}

static void session_action(struct client *c, enum session_action action, const char *reason)
{
    struct packet *p = packet_create_session(STR("sm"), STR("c2s"), action, c->jid, str_of(reason));
    p->c2s = c->c2s;
    p->sm = c->sm;
    link_send(c->world->c2s, p);
    world_settle(c->world);
}

static struct stanza *parsed(struct sm_world *w, const char *xml)
{
    enum parser_status status;
    struct parser_limits limits = {
        .stanza_bytes = 10000, .depth = 10, .attributes = 10, .namespaces = 10, .children = 10};
    struct stanza *s = parser_document(w->env.parsers, str_of(xml), &limits, &status);
    assert_non_null(s);
    return s;
}

/* As c2s sends it for a client with XEP-0198. */
static void send_asking(struct client *c, const char *xml)
{
    struct packet *p = packet_create(PACKET_STANZA, STR("sm"), STR("c2s"));
    p->stanza = parsed(c->world, xml);
    p->from = jid_ref(c->jid);
    p->c2s = c->c2s;
    p->sm = c->sm;
    p->receipt.number = 1000;
    p->receipt.origin = jid_parse(STR("c2s"));
    link_send(c->world->c2s, p);
    world_settle(c->world);
}

static struct client *acking(struct sm_world *w, const char *jid)
{
    struct client *c = client_start(w, jid, NULL);
    session_action(c, SESSION_ENABLE, "600 id-of-the-session 0 0");
    client_send(c, "<presence/>");
    return c;
}

static void pass(struct sm_world *w, uint64_t ms)
{
    loop_sim_advance(w->env.loop, ms);
    world_settle(w);
}

static const char message[] = "<message xmlns='jabber:client' to='" JULIET "' type='chat' id='1'>"
                              "<body>hi</body></message>";

/* She does not say that she has it: it is written for him, then for her. */
static void written_for_the_recipient(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    acking(w, JULIET "/balcony");
    send_asking(romeo, message);
    pass(w, 6000);
    assert_int_equal(rows_now, 1);
    assert_int_equal(rows_most, 1);
}

/* So it is for several sessions of hers, and when these go, it is stored. */
static void for_several_sessions(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    struct client *balcony = acking(w, JULIET "/balcony"), *crypt = acking(w, JULIET "/crypt");
    send_asking(romeo, message);
    pass(w, 6000);
    assert_int_equal(rows_now, 1);
    session_action(balcony, SESSION_END, "");
    pass(w, 6000);
    assert_int_equal(rows_now, 1);
    session_action(crypt, SESSION_END, "");
    pass(w, 6000);
    assert_int_equal(rows_now, 1);
    assert_int_equal(outbox_rows, 0);
    assert_int_equal(rows_most, 1);
}

/* Her stream breaks before it was written for him: it is written for her at once, and never for
 * him. */
static void written_for_a_sleeper(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    struct client *juliet = acking(w, JULIET "/balcony");
    send_asking(romeo, message);
    session_action(juliet, SESSION_END, "lost");
    assert_int_equal(rows_now, 1);
    pass(w, 6000);
    assert_int_equal(rows_now, 1);
    assert_int_equal(rows_most, 1);
}

static bool got(const struct client *c, const char *part)
{
    for (size_t i = c->in.taken; i < c->in.count; i++)
        if (strstr(c->in.texts[i], part))
            return true;
    return false;
}

/* What nobody waits for, and comes while the outbox is read, does not go before what is in there.
 */
static void behind_the_outbox(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    struct client *juliet = client_online(w, JULIET "/balcony");
    struct sm *sm = w->sm->state;
    sm->flights.load_upto = 1;
    sm->flights.held[FLIGHT_LOCAL] = true;
    client_send(romeo, "<message to='" JULIET "' type='chat' id='1'><body>hi</body></message>");
    client_nothing(juliet);
    sm->flights.load_upto = 0;
    flight_restored(sm);
    flight_go(sm);
    world_settle(w);
    assert_true(got(juliet, "<body>hi</body>"));
}

/* A session that was among several has gone: who gets its copy may have had it (XEP-0203). */
static void returned_is_late(void **state)
{
    struct sm_world *w = *state;
    struct client *juliet = client_online(w, JULIET "/balcony");
    struct packet *p = packet_create(PACKET_STANZA, STR("sm"), STR("c2s"));
    p->stanza = parsed(w, "<message xmlns='jabber:client' to='" JULIET "/gone' type='chat' id='1' "
                          "from='romeo@example.net/orchard'><body>hi</body></message>");
    link_send(w->c2s, p);
    world_settle(w);
    assert_true(got(juliet, "urn:xmpp:delay"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(written_for_the_recipient, setup, world_teardown),
        cmocka_unit_test_setup_teardown(for_several_sessions, setup, world_teardown),
        cmocka_unit_test_setup_teardown(written_for_a_sleeper, setup, world_teardown),
        cmocka_unit_test_setup_teardown(behind_the_outbox, setup, world_teardown),
        cmocka_unit_test_setup_teardown(returned_is_late, setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
