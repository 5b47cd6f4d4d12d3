/* A client of the simulation: it comes back to its session (sim_login.c), acknowledges and asks for
 * acknowledgements (XEP-0198), and tells the account what it sent and what it got. */
#include "sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "xmpp/namespaces.h"

#define SM       "urn:xmpp:sm:3"
#define RETRY_MS 200u

static const struct parser_limits limits = {
    .stanza_bytes = 1 << 20, .depth = 100, .attributes = 100, .namespaces = 100, .children = 10000};

static void on_header(void *owner, const struct stanza *header)
{
    (void)header;
    ((struct sim_client *)owner)->header_seen = true;
}

/* --- writing --- */

void sim_client_send(struct sim_client *c, struct str bytes)
{
    if (c->conn)
        (void)conn_write(c->conn, bytes.data, bytes.len);
}

void sim_client_printf(struct sim_client *c, const char *fmt, ...)
{
    char text[2048];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    sim_client_send(c, (struct str){text, (size_t)len});
}

/* A stanza, which counts. `message`, `iq`: its place in the account, or -1. */
static void send_stanza(struct sim_client *c, int message, int iq, const char *xml)
{
    sim_client_send(c, str_of(xml));
    if (!c->acks)
        return;
    size_t len = strlen(xml);
    struct sim_sent *sent = mem_alloc(sizeof(*sent) + len + 1);
    sent->message = message;
    sent->iq = iq;
    sent->len = len;
    memcpy(sent->xml, xml, len + 1);
    list_push(&c->unacked, &sent->node);
}

void sim_client_write(struct sim_client *c, int to, bool full)
{
    char xml[256];
    const struct sim_client *other = &c->sim->clients[to];
    int message = sim_account_sent(c->sim, c->index, other->user, full);
    if (message < 0)
        return;
    if (full)
        sim_trace(c->sim, "... at %s", other->name);
    (void)snprintf(xml, sizeof(xml),
                   "<message to='%s@%s%s%s' type='chat' id='m%07d'><body>%d</body></message>",
                   other->local, other->home->domain, full ? "/" : "", full ? other->resource : "",
                   message, message);
    send_stanza(c, message, -1, xml);
}

void sim_client_add(struct sim_client *c)
{
    char xml[256];
    int iq = sim_kept_set(c->sim, c->index);
    if (iq < 0)
        return;
    (void)snprintf(xml, sizeof(xml),
                   "<iq type='set' id='c%d'><query xmlns='jabber:iq:roster'>"
                   "<item jid='c%d@example.net'/></query></iq>",
                   iq, iq);
    send_stanza(c, -1, iq, xml);
}

static void ask_archive(struct sim_client *c, struct str after)
{
    char xml[512];
    c->asking = SIM_ASKS_ARCHIVE;
    (void)snprintf(xml, sizeof(xml),
                   "<iq type='set' id='archive'><query xmlns='urn:xmpp:mam:2'>"
                   "<set xmlns='http://jabber.org/protocol/rsm'><max>100</max>%s%.*s%s</set>"
                   "</query></iq>",
                   after.data ? "<after>" : "", STR_ARG(after), after.data ? "</after>" : "");
    send_stanza(c, -1, -1, xml);
}

void sim_client_ask(struct sim_client *c)
{
    if (c->state != SIM_ON || !c->acks || c->asked || list_empty(&c->unacked))
        return;
    c->asked = true;
    sim_client_send(c, STR("<r xmlns='" SM "'/>"));
}

/* --- the account of what it sent --- */

static void acknowledged(struct sim_client *c, uint32_t h)
{
    struct sim *s = c->sim;
    while (c->told != h) {
        struct list *node = list_pop(&c->unacked);
        if (!node) {
            sim_complain(s, "%s: h=%" PRIu32 " is more than it has sent", c->name, h);
            c->told = h;
            return;
        }
        struct sim_sent *sent = LIST_ENTRY(node, struct sim_sent, node);
        c->told++;
        if (sent->message >= 0) {
            s->messages[sent->message].acked = sim_now(s);
            sim_trace(s, "%s: m%d is acknowledged", c->name, sent->message);
        } else if (sent->iq >= 0) {
            s->iqs[sent->iq].acked = sim_now(s);
        }
        free(sent);
    }
}

void sim_client_give_up(struct sim_client *c)
{
    struct list *node;
    while ((node = list_pop(&c->unacked))) {
        struct sim_sent *sent = LIST_ENTRY(node, struct sim_sent, node);
        if (sent->message >= 0)
            c->sim->messages[sent->message].given_up = true;
        free(sent);
    }
}

static void disconnect(struct sim_client *c)
{
    if (c->conn && c->paused)
        conn_resume(c->conn);
    c->paused = false;
    conn_close(c->conn, 0);
    c->conn = NULL;
    if (c->state == SIM_ON && !c->lost)
        c->lost = sim_now(c->sim);
    c->state = SIM_OFF;
    c->next_try = sim_now(c->sim) + RETRY_MS + sim_dice(c->sim, 800);
}

static void enter(struct sim_client *c)
{
    c->inactive = false;
    c->state = SIM_ON;
    c->asked = false;
    c->lost = 0;
    sim_trace(c->sim, "%s is there", c->name);
    sim_login_done(c);
}

/* What it says that it has heard (XEP-0198 section 4): perhaps a little less than the truth, never
 * less than before. */
uint32_t sim_client_heard(struct sim_client *c)
{
    uint32_t less = c->lie == SIM_BEHIND ? sim_dice(c->sim, 4) : 0;
    if (c->heard - c->said > less)
        c->said = c->heard - less;
    return c->said;
}

/* Not of the account: nothing breaks any more. Who never acknowledges would lose its session over a
 * whole archive (sm.max_unacked). */
void sim_client_read_all(struct sim_client *c)
{
    if (c->lie == SIM_SILENT) {
        c->lie = SIM_HONEST;
        if (c->acks)
            sim_client_printf(c, "<a xmlns='" SM "' h='%" PRIu32 "'/>", sim_client_heard(c));
    }
    c->asking = SIM_ASKS_ROSTER;
    send_stanza(c, -1, -1, "<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>");
}

/* XEP-0198 section 5 */
void sim_client_resumed(struct sim_client *c, const struct stanza *s, stanza_el el)
{
    uint64_t h = 0;
    (void)str_to_u64(stanza_attr(s, el, STR("h")), UINT32_MAX, &h);
    sim_trace(c->sim, "%s resumes, h=%" PRIu64, c->name, h);
    c->sim->resumed++;
    c->heard = c->said; /* the server goes on from there */
    acknowledged(c, (uint32_t)h);
    LIST_EACH (it, &c->unacked) {
        const struct sim_sent *sent = LIST_ENTRY(it, const struct sim_sent, node);
        sim_client_send(c, (struct str){sent->xml, sent->len});
        if (sent->message >= 0)
            c->sim->messages[sent->message].sent_again = true;
    }
    enter(c);
}

/* What a client does first of all with a session. */
void sim_client_begin(struct sim_client *c, bool carbons)
{
    enter(c);
    c->inactive = c->sasl2 && c->inactive_from;
    c->bound = sim_now(c->sim);
    if (!carbons)
        send_stanza(c, -1, -1,
                    "<iq type='set' id='carbons'><enable xmlns='urn:xmpp:carbons:2'/></iq>");
    send_stanza(c, -1, -1, "<presence/>");
}

/* --- what comes --- */

static bool is(const struct stanza *s, const char *name)
{
    return str_is(stanza_name(s, STANZA_ROOT), name);
}

static void manage(struct sim_client *c, const struct stanza *s)
{
    uint64_t h = 0;
    if (is(s, "r")) {
        if (c->lie != SIM_SILENT)
            sim_client_printf(c, "<a xmlns='" SM "' h='%" PRIu32 "'/>", sim_client_heard(c));
    } else if (is(s, "a")) {
        (void)str_to_u64(stanza_attr(s, STANZA_ROOT, STR("h")), UINT32_MAX, &h);
        c->asked = false;
        acknowledged(c, (uint32_t)h);
    }
}

/* The roster, then the archive page by page. */
static void read_on(struct sim_client *c, const struct stanza *s)
{
    stanza_el fin = stanza_child(s, STANZA_ROOT, STR("fin"), NS_MAM), set, last;
    struct str id = stanza_attr(s, STANZA_ROOT, STR("id"));
    if (!str_is(stanza_attr(s, STANZA_ROOT, STR("type")), "result")) {
        sim_complain(c->sim, "%s cannot read what is kept", c->name);
        c->asking = SIM_ASKS_NOTHING;
    } else if (str_is(id, "roster") && c->asking == SIM_ASKS_ROSTER) {
        sim_kept_roster(c->sim, c->user, s);
        ask_archive(c, STR_NULL);
    } else if (fin != STANZA_NONE && c->asking == SIM_ASKS_ARCHIVE) {
        set = stanza_child(s, fin, STR("set"), NS_RSM);
        last = set == STANZA_NONE ? set : stanza_child(s, set, STR("last"), NS_RSM);
        if (last == STANZA_NONE || stanza_attr(s, fin, STR("complete")).data)
            c->asking = SIM_ASKS_NOTHING;
        else
            ask_archive(c, stanza_text(s, last));
    }
}

static void on_iq(struct sim_client *c, const struct stanza *s)
{
    struct str id = stanza_attr(s, STANZA_ROOT, STR("id"));
    if (str_is(id, "roster") || str_is(id, "archive"))
        read_on(c, s);
    else if (!str_is(stanza_attr(s, STANZA_ROOT, STR("type")), "set"))
        sim_kept_answered(c->sim, c->index, s);
}

static void on_stanza(void *owner, struct stanza *s)
{
    struct sim_client *c = owner;
    if (is(s, "error")) {
        struct str why = stanza_name(s, stanza_first(s, STANZA_ROOT));
        if (stanza_child(s, STANZA_ROOT, STR("handled-count-too-high"), NS_SM) != STANZA_NONE)
            sim_complain(c->sim, "%s is told that it counts wrong", c->name);
        sim_trace(c->sim, "%s: stream error %.*s", c->name, STR_ARG(why));
    } else if (is(s, "message") && (c->state == SIM_BINDING || c->state == SIM_ENABLING)) {
        sim_account_came(c->sim, c->index, s); /* it has a resource already */
    } else if (c->state < SIM_ON) {
        if (!sim_login_step(c, s)) {
            sim_trace(c->sim, "%s does not get in: %.*s", c->name,
                      STR_ARG(stanza_name(s, STANZA_ROOT)));
            parser_stop(c->parser);
            disconnect(c);
        }
    } else if (str_eq(stanza_ns(s, STANZA_ROOT), NS_SM)) {
        manage(c, s);
    } else {
        c->heard++;
        if (is(s, "iq"))
            on_iq(c, s);
        else if (is(s, "message") && !sim_kept_archived(c->sim, c->user, s))
            sim_account_came(c->sim, c->index, s);
    }
    stanza_unref(s);
}

static void on_stream_close(void *owner)
{
    struct sim_client *c = owner;
    if (c->state != SIM_LEAVING)
        sim_trace(c->sim, "%s: the server ends the stream", c->name);
    else
        c->session[0] = '\0';
    parser_stop(c->parser);
    disconnect(c);
}

static const struct parser_events parser_events = {
    .stream_open = on_header, .stanza = on_stanza, .stream_close = on_stream_close};

static void on_data(void *owner, const char *bytes, size_t len)
{
    struct sim_client *c = owner;
    if (parser_feed(c->parser, bytes, len) != PARSER_OK && c->conn) {
        sim_complain(c->sim, "%s got what is no XML: %s", c->name, parser_why(c->parser));
        disconnect(c);
    }
}

static void on_close(void *owner, enum error e, const char *why)
{
    struct sim_client *c = owner;
    (void)e;
    sim_trace(c->sim, "%s is disconnected: %s", c->name, why);
    disconnect(c);
}

static void on_ready(void *owner)
{
    sim_login_start(owner);
}

static const struct conn_events conn_events = {
    .on_data = on_data, .on_ready = on_ready, .on_close = on_close};

/* --- life --- */

void sim_client_init(struct sim_client *c, struct sim *sim, int index, int user, bool acks)
{
    memset(c, 0, sizeof(*c));
    c->sim = sim;
    c->index = index;
    c->user = user;
    c->acks = acks;
    c->wanted = true;
    (void)snprintf(c->local, sizeof(c->local), "user%d", user);
    (void)snprintf(c->name, sizeof(c->name), "%s%d", acks ? "acking" : "plain", index);
    (void)snprintf(c->resource, sizeof(c->resource), "%s", c->name);
    list_init(&c->unacked);
}

void sim_client_finish(struct sim_client *c)
{
    conn_close(c->conn, 0);
    c->conn = NULL;
    sim_client_give_up(c);
    parser_destroy(c->parser);
    scram_client_destroy(c->scram);
}

void sim_client_connect(struct sim_client *c)
{
    struct net_address at = {.port = 5222};
    char own[32];
    (void)snprintf(at.ip, sizeof(at.ip), "%s", c->home->world->ip);
    parser_destroy(c->parser);
    c->parser = parser_create(c->sim->world.parsers, &limits, &parser_events, c);
    c->header_seen = false;
    c->state = SIM_CONNECTING;
    c->since = sim_now(c->sim);
    (void)snprintf(own, sizeof(own), "10.0.0.%d",
                   c->index + 1); /* failed logins slow nobody else */
    net_sim_set_client(c->sim->world.net, own);
    c->conn = conn_connect(c->sim->world.net, &at, &conn_events, c);
    net_sim_set_client(c->sim->world.net, "127.0.0.1");
}

void sim_client_vanish(struct sim_client *c)
{
    sim_trace(c->sim, "%s vanishes", c->name);
    disconnect(c);
}

void sim_client_leave(struct sim_client *c)
{
    sim_trace(c->sim, "%s leaves", c->name);
    c->state = SIM_LEAVING;
    c->since = sim_now(c->sim);
    sim_client_send(c, STR("</stream:stream>"));
}

void sim_client_look_away(struct sim_client *c)
{
    c->inactive = !c->inactive;
    sim_client_send(c, c->inactive ? STR("<inactive xmlns='urn:xmpp:csi:0'/>")
                                   : STR("<active xmlns='urn:xmpp:csi:0'/>"));
}

void sim_client_pause(struct sim_client *c, bool on)
{
    if (!c->conn || c->paused == on)
        return;
    sim_trace(c->sim, "%s %s", c->name, on ? "stops reading" : "reads again");
    c->paused = on;
    if (on)
        conn_pause(c->conn);
    else
        conn_resume(c->conn);
}
