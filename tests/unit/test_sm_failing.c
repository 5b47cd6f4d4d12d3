/* The session manager when its store fails: an error to the one who asked, nothing half done, and
 * life goes on (design.md section 9, reliability.md C.2 "disk full", "database down"). The linker
 * puts failing stand-ins before the store's commit and read (--wrap). */
#include "sm_world.h"

#include "base/mem.h"
#include "store/users.h"

void __real_store_commit(struct store_txn *t, store_fn fn, void *arg);
void __wrap_store_commit(struct store_txn *t, store_fn fn, void *arg);
struct store_txn *__real_store_commit_later(struct store_txn *t, uint32_t within, store_fn fn,
                                            void *arg);
struct store_txn *__wrap_store_commit_later(struct store_txn *t, uint32_t within, store_fn fn,
                                            void *arg);
void __real_users_get(struct store *s, struct str owner, store_fn fn, void *arg);
void __wrap_users_get(struct store *s, struct str owner, store_fn fn, void *arg);
void __real_queue_load(struct store *s, struct str owner, uint64_t after, uint32_t limit,
                       store_fn fn, void *arg);
void __wrap_queue_load(struct store *s, struct str owner, uint64_t after, uint32_t limit,
                       store_fn fn, void *arg);

static enum error failing; /* what every commit and every read of a user gives; OK: the real ones */
static enum error failing_queue; /* what every read of a queue gives */
static struct loop *loop;

struct later {
    struct loop_task task;
    store_fn fn;
    void *arg;
};

static void on_later(struct loop_task *task)
{
    struct later *later = MEM_CONTAINER(task, struct later, task);
    later->fn(later->arg, failing ? failing : failing_queue, NULL);
    free(later);
}

/* Callbacks never come inside the call. */
static void fail_later(store_fn fn, void *arg)
{
    if (!fn)
        return;
    struct later *later = MEM_NEW(struct later);
    loop_task_init(&later->task, on_later);
    later->fn = fn;
    later->arg = arg;
    loop_defer(loop, &later->task, LOOP_FLUSH);
}

void __wrap_store_commit(struct store_txn *t, store_fn fn, void *arg)
{
    if (!failing) {
        __real_store_commit(t, fn, arg);
        return;
    }
    store_discard(t);
    fail_later(fn, arg);
}

/* A disk that takes its time: nothing is written before it is told to. */
static struct {
    bool on;
    struct {
        struct store_txn *t;
        store_fn fn;
        void *arg;
    } waiting[8];
    size_t count;
} slow;

struct store_txn *__wrap_store_commit_later(struct store_txn *t, uint32_t within, store_fn fn,
                                            void *arg)
{
    if (slow.on) {
        assert_true(slow.count < sizeof slow.waiting / sizeof *slow.waiting);
        slow.waiting[slow.count].t = t;
        slow.waiting[slow.count].fn = fn;
        slow.waiting[slow.count++].arg = arg;
        return NULL;
    }
    if (!failing)
        return __real_store_commit_later(t, within, fn, arg);
    store_discard(t);
    fail_later(fn, arg);
    return NULL;
}

static void slow_end(void)
{
    slow.on = false;
    for (size_t i = 0; i < slow.count; i++)
        __real_store_commit_later(slow.waiting[i].t, 0, slow.waiting[i].fn, slow.waiting[i].arg);
    slow.count = 0;
}

void __wrap_users_get(struct store *s, struct str owner, store_fn fn, void *arg)
{
    if (failing)
        fail_later(fn, arg);
    else
        __real_users_get(s, owner, fn, arg);
}

void __wrap_queue_load(struct store *s, struct str owner, uint64_t after, uint32_t limit,
                       store_fn fn, void *arg)
{
    if (failing_queue)
        fail_later(fn, arg);
    else
        __real_queue_load(s, owner, after, limit, fn, arg);
}

static int setup(void **state)
{
    failing = failing_queue = ERR_OK;
    world_setup(state);
    loop = ((struct sm_world *)*state)->env.loop;
    return 0;
}

static int teardown(void **state)
{
    failing = failing_queue = ERR_OK;
    return world_teardown(state);
}

static void next_has(struct client *c, const char *what)
{
    if (c->in.taken == c->in.count || !strstr(c->in.texts[c->in.taken], what))
        fail_msg("no %s but %s", what,
                 c->in.taken < c->in.count ? c->in.texts[c->in.taken] : "nothing");
    c->in.taken++;
}

static void check_roster(struct client *c, const char *items)
{
    client_send(c, "<iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq>");
    const char *text = c->in.texts[c->in.taken];
    const char *got = strstr(text, "<query");
    got = got ? strchr(got, '>') + 1 : text;
    if (strncmp(got, items, strlen(items)) != 0)
        fail_msg("%s\n instead of %s", got, items);
    c->in.taken++;
}

static void setting_items(void **state)
{
    struct sm_world *w = *state;
    struct client *c = client_online(w, "juliet@example.net/balcony");
    client_send(c, "<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='a@b' "
                   "name='A'/></query></iq>");
    client_forget(c);
    failing = ERR_STORE_FULL;
    client_send(c, "<iq type='set' id='2'><query xmlns='jabber:iq:roster'><item jid='a@b' "
                   "name='B'/></query></iq>");
    next_has(c, "<resource-constraint");
    failing = ERR_STORE;
    client_send(
        c, "<iq type='set' id='3'><query xmlns='jabber:iq:roster'><item jid='c@d'/></query></iq>");
    next_has(c, "<internal-server-error");
    client_send(c, "<iq type='set' id='4'><query xmlns='jabber:iq:roster'>"
                   "<item jid='a@b' subscription='remove'/></query></iq>");
    next_has(c, "<internal-server-error");
    client_nothing(c); /* no pushes */
    check_roster(c, "<item jid='a@b' name='A' subscription='none'/></query>");
    failing = ERR_OK;
    client_send(c, "<iq type='set' id='5'><query xmlns='jabber:iq:roster'><item jid='a@b' "
                   "name='C'/></query></iq>");
    next_has(c, "type='set'");
    next_has(c, "type='result'");
}

static void subscription(void **state)
{
    struct sm_world *w = *state;
    struct client *c = client_online(w, "juliet@example.net/balcony");
    failing = ERR_STORE;
    client_send(c, "<presence type='subscribe' to='romeo@remote.example' id='1'/>");
    next_has(c, "<internal-server-error");
    client_nothing(c);
    check_roster(c, "");
    remote_send(w, "<presence type='subscribe' from='x@remote.example' to='juliet@example.net'/>");
    next_has(c, "type='subscribe'"); /* delivered, but not kept */
    failing = ERR_OK;
    remote_send(w, "<presence type='subscribe' from='x@remote.example' to='juliet@example.net'/>");
    next_has(c, "type='subscribe'"); /* not known yet, so not the second of A.3.1 */
}

static void offline_message(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    account_action(w, SESSION_CREATE, "juliet@example.net");
    failing = ERR_STORE;
    client_send(romeo, "<message to='juliet@example.net' id='1'><body>hi</body></message>");
    next_has(romeo, "<service-unavailable");
    failing = ERR_OK;
    client_send(romeo, "<message to='juliet@example.net' id='2'><body>hi</body></message>");
    client_nothing(romeo);
    assert_int_equal(world_status(w, "offline_stored"), 1);
}

/* From another server, which waits for an acknowledgement. */
static void send_waiting(struct sm_world *w, struct str xml)
{
    static const struct parser_limits limits = {
        .stanza_bytes = 65536, .depth = 9, .attributes = 9, .namespaces = 9, .children = 9};
    enum parser_status status;
    struct packet *p = packet_create(PACKET_STANZA, STR("example.net"), STR("remote.example"));
    p->stanza = parser_document(w->env.parsers, xml, &limits, &status);
    assert_non_null(p->stanza);
    p->receipt.number = 7;
    p->receipt.origin = jid_parse(STR("remote.example"));
    link_send(w->remote, p);
    world_settle(w);
}

/* Who waits may have been told already, by an outbox, and have gone since: no error, but once more
 * in a while. */
static void offline_message_that_is_waited_for(void **state)
{
    struct sm_world *w = *state;
    account_action(w, SESSION_CREATE, "juliet@example.net");
    failing = ERR_STORE_FULL;
    send_waiting(w, STR("<message xmlns='jabber:client' from='x@remote.example' "
                        "to='juliet@example.net'><body>hi</body></message>"));
    remote_nothing(w);
    loop_sim_advance(w->env.loop, 5000);
    remote_nothing(w);
    failing = ERR_OK;
    loop_sim_advance(w->env.loop, 5000);
    assert_int_equal(world_status(w, "offline_stored"), 1);
}

static void remote_has(struct sm_world *w, const char *what)
{
    assert_true(w->from_sm.taken < w->from_sm.count);
    assert_non_null(strstr(w->from_sm.texts[w->from_sm.taken++], what));
}

static void with_archive(struct sm_world *w)
{
    w->config.archive_enabled = true;
    w->config.archive_max_page = 10;
    w->config.archive_default = "always";
    /* Who waits hears of it. */
    link_send(w->remote,
              packet_create_control(PACKET_BIND, STR("remote.example"), PACKET_BIND_RECEIPTS));
    world_settle(w);
}

/* However long the disk takes: the message is there at once, and only whoever waits for the
 * acknowledgement waits (reliability.md C.1 a). */
static void archive_delays_nobody(void **state)
{
    struct sm_world *w = *state;
    with_archive(w);
    struct client *c = client_online(w, "juliet@example.net/balcony");
    slow.on = true;
    send_waiting(w, STR("<message xmlns='jabber:client' from='x@remote.example' type='chat' "
                        "to='juliet@example.net'><body>hi</body></message>"));
    next_has(c, "<body>hi</body>");
    assert_int_equal(slow.count, 1);
    loop_sim_advance(w->env.loop, 60000);
    remote_nothing(w);
    slow_end();
    loop_sim_advance(w->env.loop, 100);
    remote_has(w, ">7</handled>");
}

/* It is delivered at once, and archived when that can be done (reliability.md G2). */
static void archived_later(void **state)
{
    struct sm_world *w = *state;
    with_archive(w);
    struct client *c = client_online(w, "juliet@example.net/balcony");
    failing = ERR_STORE_FULL;
    send_waiting(w, STR("<message xmlns='jabber:client' from='x@remote.example' type='chat' "
                        "to='juliet@example.net'><body>hi</body></message>"));
    next_has(c, "<body>hi</body>");
    loop_sim_advance(w->env.loop, 5000);
    client_send(c, "<iq type='set' id='0'><query xmlns='urn:xmpp:mam:2'/></iq>");
    next_has(c, "<count>0</count>");
    remote_nothing(w);
    failing = ERR_OK;
    loop_sim_advance(w->env.loop, 5000);
    remote_has(w, ">7</handled>");
    client_send(c, "<iq type='set' id='1'><query xmlns='urn:xmpp:mam:2'/></iq>");
    next_has(c, "<body>hi</body>");
    next_has(c, "<fin");
}

static void loading(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    account_action(w, SESSION_CREATE, "juliet@example.net");
    loop_sim_advance(w->env.loop, 120000);
    failing = ERR_STORE;
    struct client *juliet = client_start(w, "juliet@example.net/balcony", NULL);
    assert_true(juliet->failed);
    assert_string_equal(juliet->reason, "internal-server-error");
    client_send(romeo, "<message to='juliet@example.net' id='1'><body>hi</body></message>");
    next_has(romeo, "<internal-server-error");
    client_send(
        romeo,
        "<message to='romeo@example.net' id='2'><body>hi</body></message>"); /* live ones go on */
    next_has(romeo, "<body>hi</body>");
    assert_int_equal(world_status(w, "users_loaded"), 1);
    failing = ERR_OK;
    juliet = client_start(w, "juliet@example.net/balcony", NULL);
    assert_true(juliet->up);
}

static void accounts(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    client_send(
        romeo,
        "<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='a@b'/></query></iq>");
    client_forget(romeo);
    failing = ERR_STORE;
    account_action(w, SESSION_DELETE, "romeo@example.net");
    assert_true(w->answered);
    assert_true(w->answer_failed);
    assert_int_equal(romeo->last, SESSION_STARTED);
    check_roster(romeo, "<item jid='a@b' subscription='none'/></query>");
    failing = ERR_OK;
    account_action(w, SESSION_DELETE, "romeo@example.net");
    assert_false(w->answer_failed);
    assert_int_equal(romeo->last, SESSION_ENDED);
}

/* An account whose messages cannot be read stays: they would be gone, and nobody told. */
static void account_with_messages(void **state)
{
    struct sm_world *w = *state;
    struct client *romeo = client_online(w, "romeo@example.net/orchard");
    account_action(w, SESSION_CREATE, "juliet@example.net");
    client_send(romeo, "<message to='juliet@example.net' id='1'><body>hi</body></message>");
    failing_queue = ERR_STORE;
    account_action(w, SESSION_DELETE, "juliet@example.net");
    assert_true(w->answer_failed);
    client_nothing(romeo);
    failing_queue = ERR_OK;
    account_action(w, SESSION_DELETE, "juliet@example.net");
    assert_false(w->answer_failed);
    next_has(romeo, "<service-unavailable");
}

/* The end of the instance at any moment of everything that waits for the store. */
static void stopping_in_the_middle(void **state)
{
    static const char *const stanzas[] = {
        "<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='a@b'/></query></iq>",
        "<iq type='get' id='2'><query xmlns='jabber:iq:roster' ver='0'/></iq>",
        "<message to='nurse@example.net'><body>hi</body></message>",
        "<message to='juliet@example.net'><body>hi</body></message>",
        "<presence type='subscribe' to='juliet@example.net'/>",
        "<message to='unknown@example.net'><body>hi</body></message>"};
    for (int turns = 0; turns < 40; turns++) {
        void *inner;
        setup(&inner);
        struct sm_world *w = inner;
        struct client *romeo = client_online(w, "romeo@example.net/orchard");
        account_action(w, SESSION_CREATE, "nurse@example.net");
        account_action(w, SESSION_CREATE, "juliet@example.net");
        client_send(romeo, "<message to='juliet@example.net'><body>old</body></message>");
        struct client *juliet = client_start(w, "juliet@example.net/balcony", NULL);
        for (size_t i = 0; i < sizeof stanzas / sizeof *stanzas; i++)
            client_post(romeo, stanzas[i]);
        client_post(juliet, "<presence/>");
        if (turns % 2)
            account_post(w, SESSION_DELETE, "nurse@example.net");
        if (turns % 4 > 1)
            account_post(w, SESSION_DELETE, "juliet@example.net");
        for (int i = 0; i < turns / 2; i++)
            loop_sim_turn(w->env.loop);
        teardown(&inner);
    }
}

int main(void)
{
#define FAILING_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        FAILING_TEST(setting_items),
        FAILING_TEST(subscription),
        FAILING_TEST(offline_message),
        FAILING_TEST(offline_message_that_is_waited_for),
        FAILING_TEST(archived_later),
        FAILING_TEST(archive_delays_nobody),
        cmocka_unit_test(stopping_in_the_middle),
        FAILING_TEST(loading),
        FAILING_TEST(accounts),
        FAILING_TEST(account_with_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
