/* What an sm has delivered and not yet written to the archive when it is killed comes again with
 * the id that it had, and is archived under it (reliability.md G3). The linker lets every row of
 * an archive be lost while the test says so (--wrap). */
#include "sm_world.h"

#include "base/mem.h"
#include "base/ring.h"
#include "store/driver.h"
#include "store/users.h"

#define URL    "memory:former"
#define ROMEO  "romeo@example.net"
#define JULIET "juliet@example.net"
#define ID_LEN 32u

struct fixture {
    struct sm_world *w;
    struct store *keep; /* the database outlives the sm */
    struct client *romeo, *juliet;
};

static bool losing;
static unsigned written; /* rows given to the store */
static bool failing;     /* all other writes */

struct store_txn *__real_store_commit_later(struct store_txn *t, uint32_t within, store_fn fn,
                                            void *arg);
struct store_txn *__wrap_store_commit_later(struct store_txn *t, uint32_t within, store_fn fn,
                                            void *arg);

struct store_txn *__wrap_store_commit_later(struct store_txn *t, uint32_t within, store_fn fn,
                                            void *arg)
{
    written++;
    if (!losing)
        return __real_store_commit_later(t, within, fn, arg);
    assert_null(fn); /* nobody waits for it here */
    store_discard(t);
    return NULL;
}

void __real_store_commit(struct store_txn *t, store_fn fn, void *arg);
void __wrap_store_commit(struct store_txn *t, store_fn fn, void *arg);

void __wrap_store_commit(struct store_txn *t, store_fn fn, void *arg)
{
    if (failing)
        t->result = ERR_STORE;
    __real_store_commit(t, fn, arg);
}

static void start_sm(struct sm_world *w)
{
    w->sm = component_create(&sm_component, &w->env, "sm");
    component_attach_local(w->sm, w->router);
    assert_int_equal(component_start(w->sm), ERR_OK);
    loop_sim_advance(w->env.loop, 1000);
    world_settle(w);
}

static void come(struct fixture *f)
{
    f->romeo = client_online(f->w, ROMEO "/orchard");
    f->juliet = client_online(f->w, JULIET "/balcony");
}

/* kill -9, and its next life. */
static void kill_sm(struct fixture *f)
{
    component_destroy(f->w->sm);
    world_settle(f->w);
    losing = false;
    start_sm(f->w);
}

static int setup(void **state)
{
    struct fixture *f = MEM_NEW(struct fixture);
    char why[256];
    losing = false;
    world_setup(state);
    f->w = *state;
    component_destroy(f->w->sm);
    world_settle(f->w);
    f->w->config.store_url = URL;
    f->w->config.archive_enabled = true;
    f->w->config.archive_default = "always";
    f->w->config.archive_max_page = 100;
    f->w->env.notes = ring_create(1024 * COMPONENT_NOTE_PLACE, COMPONENT_NOTE);
    assert_int_equal(
        store_open(f->w->env.loop, f->w->env.log, STORE_USERS, URL, &f->keep, why, sizeof why),
        ERR_OK);
    start_sm(f->w);
    come(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct ring *notes = f->w->env.notes;
    *state = f->w;
    store_close(f->keep); /* before the loop that it runs on */
    world_teardown(state);
    ring_close(notes);
    free(f);
    return 0;
}

/* --- what they write and get --- */

static void say(struct client *c, const char *id)
{
    char xml[256];
    snprintf(xml, sizeof xml,
             "<message to='" JULIET "' type='chat'%s%s%s><body>ok</body></message>",
             id ? " id='" : "", id ? id : "", id ? "'" : "");
    client_send(c, xml);
}

/* The next message's stanza-id. */
static const char *next_id(struct client *c)
{
    for (; c->in.taken < c->in.count; c->in.taken++) {
        const char *text = c->in.texts[c->in.taken];
        const char *at = strncmp(text, "<message", 8) == 0 ? strstr(text, "<stanza-id") : NULL;
        if (!at)
            continue;
        c->in.taken++;
        return strstr(at, " id='") + 5;
    }
    fail_msg("%s got no message", c->jid->text);
    return "";
}

/* Did the message that next_id has just seen say that it is late (XEP-0203)? */
static void marked(const struct client *c, bool wanted)
{
    const char *text = c->in.texts[c->in.taken - 1];
    if ((strstr(text, "<delay ") != NULL) != wanted)
        fail_msg("%s delay in %s", wanted ? "no" : "a", text);
}

static void same(const char *a, const char *b, bool wanted)
{
    if ((strncmp(a, b, ID_LEN) == 0) != wanted)
        fail_msg("%.32s and %.32s", a, b);
}

static void query(struct client *c, const char *inside)
{
    char xml[512];
    client_forget(c);
    snprintf(xml, sizeof xml,
             "<iq type='set' id='archive'><query xmlns='urn:xmpp:mam:2'>%s</query></iq>", inside);
    client_send(c, xml);
    loop_sim_advance(c->world->env.loop, 1000);
    world_settle(c->world);
}

/* Behind the answer nothing is left. */
static bool answered(struct client *c, const char *with)
{
    return strstr(c->in.texts[c->in.count - 1], with) != NULL;
}

/* The archive has these, in that order; NULL-terminated. */
static void archive_is(struct client *c, const char *const *ids)
{
    query(c, "");
    for (; *ids; ids++) {
        const char *at = strstr(c->in.texts[c->in.taken], "<result");
        assert_non_null(at);
        same(strstr(at, " id='") + 5, *ids, true);
        c->in.taken++;
    }
    assert_int_equal(c->in.taken, c->in.count - 1);
    client_forget(c);
}

/* --- tests --- */

static void bears_its_id_again(void **state)
{
    struct fixture *f = *state;
    losing = true;
    say(f->romeo, "message-1");
    say(f->romeo, "message-2");
    const char *one = next_id(f->juliet), *two = next_id(f->juliet);
    same(one, two, false);
    kill_sm(f);
    come(f);
    say(f->romeo, "message-1");
    say(f->romeo, "message-2");
    say(f->romeo, "message-3");
    same(next_id(f->juliet), one, true);
    marked(f->juliet, true); /* reliability.md G3 */
    same(next_id(f->juliet), two, true);
    marked(f->juliet, true);
    const char *three = next_id(f->juliet);
    same(three, two, false);
    marked(f->juliet, false);
    say(f->romeo, "message-2"); /* from its c2s, too */
    same(next_id(f->juliet), two, true);
    archive_is(f->juliet, (const char *const[]){one, two, three, NULL});
    query(f->romeo, "");
    assert_int_equal(f->romeo->in.count - f->romeo->in.taken, 3 + 1);
}

/* Those of the database and those of the ring are the same ones. */
static void written_or_not(void **state)
{
    struct fixture *f = *state;
    say(f->romeo, "message-1");
    loop_sim_advance(f->w->env.loop, 1000);
    losing = true;
    say(f->romeo, "message-2");
    const char *one = next_id(f->juliet), *two = next_id(f->juliet);
    kill_sm(f);
    come(f);
    say(f->romeo, "message-2");
    say(f->romeo, "message-1");
    same(next_id(f->juliet), two, true);
    same(next_id(f->juliet), one, true);
    kill_sm(f); /* and once more */
    come(f);
    say(f->romeo, "message-2");
    same(next_id(f->juliet), two, true);
    archive_is(f->juliet, (const char *const[]){one, two, NULL});
}

/* An id may be a counter that has begun anew; another text, another address, another message. */
static void another_message(void **state)
{
    struct fixture *f = *state;
    losing = true;
    say(f->romeo, "1");
    client_send(f->romeo,
                "<message to='" JULIET "' type='chat' id='message-2'><body>no</body></message>");
    client_send(
        f->romeo,
        "<message to='nurse@example.net' type='chat' id='message-3'><body>ok</body></message>");
    const char *one = next_id(f->juliet), *two = next_id(f->juliet);
    kill_sm(f);
    come(f);
    say(f->romeo, "1");
    say(f->romeo, "message-2");
    say(f->romeo, "message-3");
    const char *a = next_id(f->juliet), *b = next_id(f->juliet), *c = next_id(f->juliet);
    same(a, one, false);
    same(b, two, false);
    archive_is(f->juliet, (const char *const[]){a, b, c, NULL});
    query(f->romeo, "");
    assert_int_equal(f->romeo->in.count - f->romeo->in.taken, 3 + 1);
}

/* It may come back from a client that had it, with its id. */
static void comes_with_its_id(void **state)
{
    struct fixture *f = *state;
    char xml[512];
    losing = true;
    say(f->romeo, "message-1");
    const char *one = next_id(f->juliet);
    kill_sm(f);
    come(f);
    snprintf(xml, sizeof xml,
             "<message to='" JULIET "' type='chat' id='message-1'><body>ok</body><stanza-id "
             "xmlns='urn:xmpp:sid:0' by='" JULIET "' id='%.32s'/></message>",
             one);
    client_send(f->romeo, xml);
    same(next_id(f->juliet), one, true);
    archive_is(f->juliet, (const char *const[]){one, NULL});
}

/* XEP-0313 section 4.3.2 */
static void a_page_begins_behind_it(void **state)
{
    struct fixture *f = *state;
    char after[256], ids[256];
    losing = true;
    say(f->romeo, "message-1");
    const char *one = next_id(f->juliet);
    snprintf(after, sizeof after,
             "<set xmlns='http://jabber.org/protocol/rsm'><after>%.32s</after></set>", one);
    snprintf(
        ids, sizeof ids,
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
        "<value>urn:xmpp:mam:2</value></field><field var='ids'><value>%.32s</value></field></x>",
        one);
    kill_sm(f);
    come(f);
    say(f->romeo, "message-2");
    query(f->juliet, after);
    assert_int_equal(f->juliet->in.count - f->juliet->in.taken, 1 + 1);
    assert_true(answered(f->juliet, "type='result'"));
    query(f->juliet, ids);
    assert_true(answered(f->juliet, "item-not-found"));
    loop_sim_advance(f->w->env.loop, 300000);
    query(f->juliet, after);
    assert_true(answered(f->juliet, "item-not-found"));
}

/* XEP-0313 section 5.1.1: who has been shown what is around it gets it from the queue. */
static void stored_behind_what_was_shown(void **state)
{
    struct fixture *f = *state;
    say(f->romeo, "message-1");
    losing = true;
    say(f->romeo, "message-2");
    next_id(f->juliet);
    const char *two = next_id(f->juliet);
    kill_sm(f);
    f->romeo = client_online(f->w, ROMEO "/orchard");
    say(f->romeo, "message-3");
    struct client *crypt = client_start(f->w, JULIET "/crypt", NULL);
    query(crypt, "");
    client_forget(crypt);
    say(f->romeo, "message-2");
    client_send(crypt, "<presence/>");
    same(next_id(crypt), two, true);
    for (; crypt->in.taken < crypt->in.count; crypt->in.taken++)
        assert_null(strstr(crypt->in.texts[crypt->in.taken], "message-3"));
}

/* The index by correspondents (XEP-0313 section 4.1.1) is brought back behind a row that comes
 * late, also by the first row of a life. */
static void found_by_whom_it_was_with(void **state)
{
    static const char with[] =
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
        "<value>urn:xmpp:mam:2</value></field><field var='with'><value>" ROMEO
        "</value></field></x>";
    struct fixture *f = *state;
    losing = true;
    say(f->romeo, "message-1");
    losing = false;
    say(f->romeo, "message-2");
    loop_sim_advance(f->w->env.loop, 1000);
    query(f->juliet, with);
    assert_int_equal(f->juliet->in.count - f->juliet->in.taken, 1 + 1);
    kill_sm(f);
    come(f);
    say(f->romeo, "message-1");
    loop_sim_advance(f->w->env.loop, 1000);
    query(f->juliet, with);
    assert_int_equal(f->juliet->in.count - f->juliet->in.taken, 2 + 1);
}

/* The power was lost, or the file could not be had. */
static void without_notes(void **state)
{
    struct fixture *f = *state;
    losing = true;
    say(f->romeo, "message-1");
    const char *one = next_id(f->juliet);
    ring_clear(f->w->env.notes);
    kill_sm(f);
    come(f);
    say(f->romeo, "message-1");
    const char *again = next_id(f->juliet);
    same(again, one, false);
    archive_is(f->juliet, (const char *const[]){again, NULL});
}

/* What a former life wrote may be there and not on the disk: it is written again, and waited for,
 * until a commit of this life says that it is. */
static void not_taken_for_written(void **state)
{
    struct fixture *f = *state;
    say(f->romeo, "message-1");
    const char *one = next_id(f->juliet);
    loop_sim_advance(f->w->env.loop, 1000);
    failing = true;
    kill_sm(f);
    come(f);
    failing = false;
    written = 0;
    say(f->romeo, "message-1");
    assert_int_equal(written, 2);
    same(next_id(f->juliet), one, true);
    say(f->romeo, "message-1");
    assert_int_equal(written, 2);
    same(next_id(f->juliet), one, true);
    archive_is(f->juliet, (const char *const[]){one, NULL});
}

/* Both archives have it, and the store one row. */
static void one_row_for_both(void **state)
{
    struct fixture *f = *state;
    written = 0;
    say(f->romeo, "message-1");
    say(f->romeo, NULL);
    say(f->romeo, NULL);
    assert_int_equal(written, 3);
    client_send(f->juliet, "<message to='" JULIET "' type='chat'><body>to myself</body></message>");
    client_send(f->romeo, "<message to='nurse@example.net' type='chat'><body>ok</body></message>");
    assert_int_equal(written, 5);
    const char *one = next_id(f->juliet), *two = next_id(f->juliet), *three = next_id(f->juliet);
    archive_is(f->juliet, (const char *const[]){one, two, three, next_id(f->juliet), NULL});
    query(f->romeo, "");
    assert_int_equal(f->romeo->in.count - f->romeo->in.taken, 4 + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bears_its_id_again, setup, teardown),
        cmocka_unit_test_setup_teardown(written_or_not, setup, teardown),
        cmocka_unit_test_setup_teardown(another_message, setup, teardown),
        cmocka_unit_test_setup_teardown(comes_with_its_id, setup, teardown),
        cmocka_unit_test_setup_teardown(a_page_begins_behind_it, setup, teardown),
        cmocka_unit_test_setup_teardown(stored_behind_what_was_shown, setup, teardown),
        cmocka_unit_test_setup_teardown(found_by_whom_it_was_with, setup, teardown),
        cmocka_unit_test_setup_teardown(without_notes, setup, teardown),
        cmocka_unit_test_setup_teardown(not_taken_for_written, setup, teardown),
        cmocka_unit_test_setup_teardown(one_row_for_both, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
