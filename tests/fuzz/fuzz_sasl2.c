/* SASL2: whatever elements a stranger sends behind his stream header, what is read of them stays
 * within its bounds, and no order of them reaches a stanza without a login.
 *
 * The input is what stands behind the header. The stream is walked through its state table; a login
 * succeeds here never, so the states behind one must not be reached. */
#include <stdint.h>
#include <stdlib.h>

#include "xml/parser.h"
#include "xmpp/sasl2.h"
#include "xmpp/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEADER                                                                                     \
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "        \
    "to='example.com' version='1.0'>"

struct walk {
    enum stream_state state;
    struct parser *parser;
};

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void check_agent(const struct stanza *s)
{
    struct sasl2_agent agent;
    char text[SASL2_UUID];
    unsigned char again[16];
    bool ok = sasl2_read_agent(s, &agent);

    must(ok || !agent.has_id);
    must(agent.software.len <= SASL2_AGENT_TEXT && str_utf8_valid(agent.software));
    must(agent.device.len <= SASL2_AGENT_TEXT && str_utf8_valid(agent.device));
    if (!agent.has_id)
        return;
    sasl2_write_uuid(agent.id, text);
    must(sasl2_parse_uuid((struct str){text, sizeof(text)}, again));
    must(memcmp(again, agent.id, sizeof(again)) == 0);
}

/* As far as a stranger comes: <continue/> is for those who have shown a password. */
static enum stream_state next_state(const struct walk *w, enum stream_action action)
{
    switch (action) {
    case STREAM_DO_AUTH:
        return STREAM_SASL;
    case STREAM_DO_AUTHENTICATE:
        return STREAM_SASL2;
    case STREAM_DO_ABORT:
    case STREAM_DO_SASL_MALFORMED:
    case STREAM_DO_SASL2_MALFORMED:
        return STREAM_NEGOTIATING;
    case STREAM_DO_ERROR:
    case STREAM_DO_CLOSE:
    case STREAM_DO_TLS_FAILURE:
        return STREAM_CLOSED;
    default:
        return w->state;
    }
}

static void on_open(void *owner, const struct stanza *header)
{
    struct walk *w = owner;
    (void)header;
    w->state = STREAM_NEGOTIATING;
}

static void on_stanza(void *owner, struct stanza *s)
{
    struct walk *w = owner;
    enum stream_condition condition = STREAM_ERR_NONE;
    enum stream_action action =
        stream_next(w->state, stream_classify(s, STR("example.com")), &condition);

    must(action != STREAM_DO_STANZA && action != STREAM_DO_BIND && action != STREAM_DO_SESSION);
    must(action != STREAM_DO_NEXT && action != STREAM_DO_TASK_DATA);
    must(action != STREAM_DO_RESPONSE || w->state == STREAM_SASL || w->state == STREAM_SASL2);
    if (action == STREAM_DO_AUTHENTICATE)
        check_agent(s);
    w->state = next_state(w, action);
    stanza_unref(s);
}

static void on_close(void *owner)
{
    struct walk *w = owner;
    w->state = STREAM_CLOSED;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct parser_events events = {
        .stream_open = on_open, .stanza = on_stanza, .stream_close = on_close};
    static const struct parser_limits limits = {10240, 65536, 64, 64, 32, 64};
    struct random *random = random_create_seeded(1);
    struct parser_pool *pool = parser_pool_create(random);
    struct walk w = {.state = STREAM_WAIT_HEADER};

    w.parser = parser_create(pool, &limits, &events, &w);
    must(parser_feed(w.parser, HEADER, sizeof(HEADER) - 1) == PARSER_OK);
    (void)parser_feed(w.parser, (const char *)data, size);
    parser_destroy(w.parser);
    parser_pool_destroy(pool);
    random_destroy(random);
    return 0;
}
