/* Silence: any byte of a client, white space included (RFC 6120 section 4.6.1), shows that it
 * lives. After c2s.ping_after seconds without one it is pinged (XEP-0199); when c2s.ping_timeout
 * more have passed it is taken for dead.
 */
#include "c2s/client_acks.h"

#include "base/mem.h"
#include "xmpp/namespaces.h"

#define KEEPALIVE_ID "jackdaw-keepalive"

static uint64_t after_ms(const struct client *c)
{
    return (uint64_t)c2s_config(c->c2s)->c2s_ping_after * 1000;
}

void client_keepalive_start(struct client *c)
{
    uint64_t after = after_ms(c);

    c->pinged = false;
    if (after == 0)
        loop_timer_stop(&c->timer);
    else
        loop_timer_start(&c->timer, after);
}

static void ping(struct client *c)
{
    struct builder *b;

    c->pinged = true;
    loop_timer_start(&c->timer, (uint64_t)c2s_config(c->c2s)->c2s_ping_timeout * 1000);
    if (client_acks_on(c)) { /* XEP-0198 section 8.2: in lieu of a ping */
        client_acks_ping(c);
        return;
    }
    b = builder_create(STR("iq"), NS_CLIENT);
    builder_attr(b, STR("type"), STR("get"));
    builder_attr(b, STR("id"), STR(KEEPALIVE_ID));
    builder_attr(b, STR("from"), str_of(c->domain));
    builder_attr(b, STR("to"), jid_full(c->jid));
    builder_leaf(b, STR("ping"), NS_PING, STR(""));
    client_reply(c, builder_finish(b));
}

void client_keepalive_timer(struct client *c)
{
    uint64_t after = after_ms(c), silent = c2s_now(c->c2s) - c->last_input;

    if (after == 0)
        return; /* switched off meanwhile */
    if (c->paused) {
        /* It is we who do not listen. */
        c->last_input = c2s_now(c->c2s);
        client_keepalive_start(c);
    } else if (c->pinged) {
        client_error(c, STREAM_ERR_CONNECTION_TIMEOUT, "no answer to a ping");
    } else if (silent >= after) {
        ping(c);
    } else {
        loop_timer_start(&c->timer, after - silent);
    }
}

bool client_keepalive_answer(struct client *c, const struct stanza *s)
{
    struct str to, type;

    if (!str_is(stanza_name(s, STANZA_ROOT), "iq")) /* every message comes by here */
        return false;
    to = stanza_attr(s, STANZA_ROOT, STR("to"));
    type = stanza_attr(s, STANZA_ROOT, STR("type"));
    return str_is(stanza_attr(s, STANZA_ROOT, STR("id")), KEEPALIVE_ID) &&
           (str_is(type, "result") || str_is(type, "error")) && (!to.data || str_is(to, c->domain));
}
