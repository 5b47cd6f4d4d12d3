/* Frames: every kind of packet there and back, sealed packets unchanged, and what a component that
 * somebody else has taken over could send. */
#include "parsing.h"

#include "base/mem.h"
#include "link/frame.h"
#include "stanza_same.h"
#include "xml/builder.h"
#include "xmpp/namespaces.h"

/* In memory of its own size; free() it. */
static struct str written(const struct packet *p)
{
    size_t size = frame_size(p), len;
    char *room = mem_alloc(size), *exact;

    len = frame_write(p, room);
    assert_true(len <= size);
    exact = mem_alloc(len);
    memcpy(exact, room, len);
    free(room);
    assert_int_equal(frame_length(exact), len);
    return (struct str){exact, len};
}

static struct packet *received(struct str frame)
{
    const char *why = NULL;
    struct packet *p = frame_read(frame, parsing.pool, &why);

    if (!p)
        fail_msg("refused: %s", why);
    return p;
}

/* There and back, by way of a router that does not look inside. Destroys the first. */
static struct packet *again(struct packet *p)
{
    struct str first = written(p), second;
    struct packet *got = received(first);

    if (got->sealed.data) {
        second = written(got);
        assert_true(str_eq(first, second));
        free((char *)second.data);
    }
    free((char *)first.data);
    packet_destroy(p);
    assert_true(frame_open(got, parsing.pool));
    assert_null(got->sealed.data);
    return got;
}

static struct packet *chat(enum packet_kind kind)
{
    struct builder *b = builder_create(STR("message"), NS_CLIENT);
    struct packet *p = packet_create(kind, STR("sm"), STR("c2s"));

    builder_lang(b, STR("en"));
    builder_attr(b, STR("to"), STR("written@by.client"));
    builder_leaf(b, STR("body"), STR_NULL, STR("a < b & 'c' \xE6\x97\xA5"));
    p->stanza = builder_finish(b);
    p->from = jid_parse(STR("a@x.test/r'1"));
    p->to = jid_parse(STR("b@x.test"));
    assert_true(session_id_set(&p->c2s, STR("12")));
    assert_true(session_id_set(&p->sm, STR("6281'<&>")));
    return p;
}

static struct stanza *delay(void)
{
    struct builder *b = builder_create(STR("delay"), NS_DELAY);

    builder_attr(b, STR("stamp"), STR("2026-01-01T00:00:00Z"));
    return builder_finish(b);
}

static void a_stanza_there_and_back(void **state)
{
    struct packet *p = chat(PACKET_STANZA);
    struct stanza *before = stanza_ref(p->stanza);

    p->failed = true;
    p->delay = delay();
    p->trace = 0xFEDCBA9876543210u;
    p = again(p);
    assert_true(p->trace == 0xFEDCBA9876543210u);
    assert_int_equal(p->kind, PACKET_STANZA);
    assert_str(p->route_to, "sm");
    assert_str(p->route_from, "c2s");
    assert_str(session_id_str(&p->c2s), "12");
    assert_str(session_id_str(&p->sm), "6281'<&>");
    assert_str(jid_full(p->from), "a@x.test/r'1");
    assert_str(jid_full(p->to), "b@x.test");
    assert_true(p->failed);
    assert_int_equal(p->error, 0);
    assert_true(stanza_same(p->stanza, before));
    assert_true(stanza_is(p->delay, STANZA_ROOT, STR("delay"), NS_DELAY));
    assert_int_equal(p->receipt.number, 0);
    stanza_unref(before);
    packet_destroy(p);
}

static void sealed_until_it_is_opened(void **state)
{
    struct packet *p = chat(PACKET_STANZA);
    struct str frame;

    p->receipt.number = 7;
    p->receipt.origin = jid_parse(STR("c2s"));
    p->trace = 4711;
    frame = written(p);
    packet_destroy(p);
    p = received(frame);
    assert_int_equal(p->trace, 4711); /* the router notes what it bounces */
    free((char *)frame.data);
    assert_non_null(p->sealed.data);
    assert_null(p->stanza);
    assert_null(p->to);
    assert_null(p->receipt.origin);
    /* What the router goes by is there. */
    assert_str(p->route_to, "sm");
    assert_str(session_id_str(&p->c2s), "12");
    assert_int_equal(p->receipt.number, 7);
    assert_true(packet_size(p) > frame.len);
    assert_true(frame_open(p, parsing.pool));
    assert_true(frame_open(p, parsing.pool)); /* nothing more to do */
    assert_str(p->route_to, "sm");
    assert_non_null(p->stanza);
    packet_destroy(p);
}

static void receipts(void **state)
{
    struct packet *p = chat(PACKET_STANZA);

    p->receipt = (struct receipt){.number = UINT64_MAX,
                                  .origin = jid_parse(STR("c2s")),
                                  .answers = 5,
                                  .place = UINT32_MAX,
                                  .since = INT64_MAX};
    p = again(p);
    assert_true(p->receipt.number == UINT64_MAX);
    assert_str(jid_full(p->receipt.origin), "c2s");
    assert_int_equal(p->receipt.answers, 5);
    assert_true(p->receipt.place == UINT32_MAX);
    assert_true(p->receipt.since == INT64_MAX);
    p->receipt.number = 0; /* an answer that asks for none */
    p = again(p);
    assert_null(p->receipt.origin);
    assert_int_equal(p->receipt.answers, 5);
    packet_destroy(p);
}

/* Turned around in a packet, the names as they were sent on the way: as in XML. */
static void a_bounce(void **state)
{
    struct packet *p = chat(PACKET_STANZA);
    struct str frame;

    packet_bounce(p, 404);
    frame = written(p);
    packet_destroy(p);
    p = received(frame);
    free((char *)frame.data);
    assert_null(p->sealed.data); /* its frame would say something else than the packet */
    assert_int_equal(p->error, 404);
    assert_str(p->route_to, "c2s");
    assert_str(p->route_from, "sm");
    assert_non_null(p->stanza);
    packet_destroy(p);
}

static void session_actions(void **state)
{
    struct jid *target = jid_parse(STR("a@x.test/<&'>"));

    for (int a = SESSION_CREATE; a <= (int)SESSION_LAST; a++) {
        struct packet *p = packet_create_session(STR("x.test"), STR("c2s"), (enum session_action)a,
                                                 target, STR("why"));
        session_id_make(&p->request, parsing.random);
        struct session_id request = p->request;
        p = again(p);
        assert_int_equal(p->kind, PACKET_SESSION);
        assert_int_equal(p->action, a);
        assert_true(jid_eq(p->target, target));
        assert_true(str_eq(session_id_str(&p->request), session_id_str(&request)));
        assert_str(p->reason, "why");
        assert_false(p->failed);
        assert_null(p->stanza);
        packet_destroy(p);
    }
    jid_unref(target);
}

static void broadcast_log_and_control(void **state)
{
    struct packet *p = again(chat(PACKET_BROADCAST));

    assert_non_null(p->stanza);
    packet_destroy(p);
    p = packet_create_session(STR("c2s"), STR("sm"), SESSION_END, NULL, STR_NULL);
    p->kind = PACKET_LOG;
    p = again(p);
    assert_int_equal(p->kind, PACKET_LOG);
    assert_int_equal(p->action, SESSION_END);
    packet_destroy(p);
    p = again(
        packet_create_control(PACKET_BIND, STR("sm"), PACKET_BIND_MULTI | PACKET_BIND_RECEIPTS));
    assert_str(p->name, "sm");
    assert_int_equal(p->bind_flags, PACKET_BIND_MULTI | PACKET_BIND_RECEIPTS);
    packet_destroy(p);
    p = again(packet_create_bind(STR("x.test"), PACKET_BIND_MULTI, STR("sm-1 sm-2")));
    assert_str(p->nodes, "sm-1 sm-2");
    packet_destroy(p);
    p = packet_create_control(PACKET_UNBIND, STR_NULL, 0);
    p->error = 409;
    p = again(p);
    assert_int_equal(p->error, 409);
    assert_null(p->name.data);
    packet_destroy(p);
    p = again(packet_create_presence(STR("x.test"), true, STR("sm-1 sm-2")));
    assert_true(p->up);
    assert_str(p->nodes, "sm-1 sm-2");
    packet_destroy(p);
    p = again(packet_create_control(PACKET_THROTTLE, STR_NULL, 0));
    assert_int_equal(p->kind, PACKET_THROTTLE);
    packet_destroy(p);
}

static void goodbye(void **state)
{
    struct str condition = STR_NULL, text = STR_NULL, why = STR("it was malformed");
    char *room = mem_alloc(frame_goodbye_size(STR("bad-format"), why));
    size_t len = frame_write_goodbye(STR("bad-format"), why, room);

    assert_true(frame_is_goodbye((struct str){room, len}));
    assert_true(frame_read_goodbye((struct str){room, len}, &condition, &text));
    assert_str(condition, "bad-format");
    assert_str(text, "it was malformed");
    assert_false(frame_read_goodbye((struct str){room, len - 1}, &condition, &text));
    free(room);
}

/* --- what must not get through --- */

static void refused(struct str frame)
{
    const char *why = NULL;
    struct packet *p = frame_read(frame, parsing.pool, &why);

    assert_null(p);
    assert_non_null(why);
}

/* No frame cut short, whatever its own length says, and none with something behind. */
static void lengths_that_lie(void **state)
{
    struct packet *p = chat(PACKET_STANZA);
    struct str frame = written(p);

    packet_destroy(p);
    for (size_t len = FRAME_PREFIX; len < frame.len; len++) {
        char *cut = mem_alloc(len);
        uint32_t body = (uint32_t)(len - FRAME_PREFIX);
        memcpy(cut, frame.data, len);
        refused((struct str){cut, len}); /* not what its prefix says */
        for (int i = 0; i < 4; i++)
            cut[i] = (char)(body >> (24 - 8 * i));
        refused((struct str){cut, len}); /* its last field runs over the end */
        free(cut);
    }
    free((char *)frame.data);
}

/* One byte of the front of a good frame changed. */
static void fronts_that_mean_nothing(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
    } cases[] = {
        {4, PACKET_THROTTLE + 1},
        {4, 0x80},
        {5, SESSION_LAST + 1},
        {6, 4},
        {7, 1},
        {8, 4},
        {10, 1},
        {11, 0x20},
        {12, 0xC0},          /* a field that does not exist */
        {4, PACKET_SESSION}, /* with a stanza */
    };
    struct packet *p = chat(PACKET_STANZA);
    struct str frame = written(p);

    packet_destroy(p);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *changed = mem_alloc(frame.len);
        memcpy(changed, frame.data, frame.len);
        changed[cases[i].at] = (char)cases[i].value;
        refused((struct str){changed, frame.len});
        free(changed);
    }
    free((char *)frame.data);
}

static void refused_packet(struct packet *p)
{
    struct str frame = written(p);

    refused(frame);
    free((char *)frame.data);
    packet_destroy(p);
}

static void names_that_are_no_text(void **state)
{
    static const char *const names[] = {"a\n", "\x01", "\xC0\x80", "\xFF", "\xEF\xBF\xBE", "\xE6"};
    struct packet *p;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        refused_packet(packet_create_control(PACKET_BIND, str_of(names[i]), 0));
        p = chat(PACKET_STANZA);
        assert_true(session_id_set(&p->c2s, str_of(names[i])));
        refused_packet(p);
    }
    refused_packet(packet_create_presence(STR_NULL, true, STR_NULL));
    p = packet_create(PACKET_STANZA, STR("sm"), STR("c2s"));
    refused_packet(p);
    p = packet_create(PACKET_SESSION, STR("sm"), STR("c2s"));
    p->delay = delay();
    refused_packet(p);
    p = chat(PACKET_STANZA);
    p->receipt = (struct receipt){.answers = 5, .since = -1};
    refused_packet(p);
}

/* Replaces bytes that occur in the frame. */
static struct str with(struct str frame, const char *was, const char *is)
{
    char *at = memmem(frame.data, frame.len, was, strlen(was));

    assert_non_null(at);
    assert_int_equal(strlen(was), strlen(is));
    while (*is)
        *at++ = *is++;
    return frame;
}

/* The envelope is fine, so the router sends it on; who opens it finds out. */
static void malformed_inside(void **state)
{
    static const char *const changes[][2] = {
        {"</message>", "</messagf>"},  {"<body>", "<body "},       {"<message", "<mes&age"},
        {"\xE6\x97\xA5", "\xE6\x97<"}, {"a@x.test/", "a @x.test"}, {"b@x.test", "@x.test/"},
        {"<body>", "<!DOC>"},          {"</body>", "]]></b>"},
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        struct packet *p = chat(PACKET_STANZA);
        struct str frame = with(written(p), changes[i][0], changes[i][1]);
        packet_destroy(p);
        p = received(frame);
        if (frame_open(p, parsing.pool))
            fail_msg("taken: %s", changes[i][1]);
        packet_destroy(p);
        /* A broadcast is opened at once. */
        ((char *)frame.data)[4] = PACKET_BROADCAST;
        refused(frame);
        free((char *)frame.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stanza_there_and_back),
        cmocka_unit_test(sealed_until_it_is_opened),
        cmocka_unit_test(receipts),
        cmocka_unit_test(a_bounce),
        cmocka_unit_test(session_actions),
        cmocka_unit_test(broadcast_log_and_control),
        cmocka_unit_test(goodbye),
        cmocka_unit_test(lengths_that_lie),
        cmocka_unit_test(fronts_that_mean_nothing),
        cmocka_unit_test(names_that_are_no_text),
        cmocka_unit_test(malformed_inside),
    };
    return cmocka_run_group_tests(tests, parsing_set_up, parsing_tear_down);
}
