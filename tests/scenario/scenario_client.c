/* A client of a scenario: a connection, a parser, and an inbox of what came. It knows how to log
 * in. */
#include "scenario.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "xml/builder.h"
#include "xmpp/sasl.h"

#define NS_DECLARATIONS " xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
#define SETTLE_MS       20
#define ANSWER_MS       5000

static const struct parser_limits limits = {.stanza_bytes = 1 << 24,
                                            .depth = 1000,
                                            .attributes = 1000,
                                            .namespaces = 1000,
                                            .children = 1000000};

__attribute__((format(printf, 2, 3))) static bool fail(struct client *c, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(c->error, sizeof(c->error), fmt, args);
    va_end(args);
    return false;
}

static void add_item(struct client *c, enum item_kind kind, struct stanza *s)
{
    struct item *item = MEM_NEW(struct item);

    item->kind = kind;
    item->stanza = s;
    list_push(&c->inbox, &item->node);
    if (!c->verbose)
        return;
    printf("    %s received ", c->name);
    if (s)
        match_print(stdout, s);
    else
        printf("%s", kind == ITEM_END ? "</stream:stream>" : "bytes that are no XML stream");
    printf("\n");
}

static void on_header(void *owner, const struct stanza *header)
{
    struct client *c = owner;

    c->header_seen = true;
    add_item(c, ITEM_HEADER, stanza_extract(header, STANZA_ROOT));
}

static void on_stanza(void *owner, struct stanza *s)
{
    add_item(owner, ITEM_STANZA, s);
}

static void on_stream_close(void *owner)
{
    add_item(owner, ITEM_END, NULL);
}

static const struct parser_events parser_events = {
    .stream_open = on_header, .stanza = on_stanza, .stream_close = on_stream_close};

static void on_data(void *owner, const char *bytes, size_t len)
{
    struct client *c = owner;

    if (parser_feed(c->parser, bytes, len) != PARSER_OK) {
        add_item(c, ITEM_BAD, NULL);
        LIST_ENTRY(c->inbox.prev, struct item, node)->why = parser_why(c->parser);
    }
}

static void on_close(void *owner, enum error e, const char *why)
{
    struct client *c = owner;

    (void)snprintf(c->why, sizeof(c->why), "%s", why);
    conn_close(c->conn, 0);
    c->conn = NULL;
    if (c->verbose)
        printf("    %s closed: %s\n", c->name, why);
}

static const struct conn_events conn_events = {.on_data = on_data, .on_close = on_close};

struct client *actor_create(struct world *w, struct str name, bool verbose)
{
    struct client *c = MEM_NEW(struct client);

    (void)snprintf(c->name, sizeof(c->name), "%.*s", STR_ARG(name));
    c->world = w;
    c->verbose = verbose;
    list_init(&c->inbox);
    return c;
}

void actor_destroy(struct client *c)
{
    if (!c)
        return;
    actor_forget(c);
    conn_close(c->conn, 0);
    parser_destroy(c->parser);
    free(c->lang);
    free(c);
}

bool actor_open(struct client *c)
{
    struct net_address at = {.port = 5222};

    (void)snprintf(at.ip, sizeof(at.ip), "%s", c->world->ip);
    if (c->conn)
        return fail(c, "%s is connected already", c->name);
    actor_forget(c);
    parser_destroy(c->parser);
    c->parser = parser_create(c->world->parsers, &limits, &parser_events, c);
    c->header_seen = false;
    c->why[0] = '\0';
    c->conn = conn_connect(c->world->net, &at, &conn_events, c);
    world_run(c->world, SETTLE_MS);
    return c->conn || fail(c, "%s cannot connect: %s", c->name, c->why);
}

bool actor_send(struct client *c, struct str bytes)
{
    bool sent;

    if (!c->conn)
        return fail(c, "%s has no connection: %s", c->name,
                    c->why[0] ? c->why : "`open` or `connect` comes first");
    /* a new stream on the same connection: what comes from now on belongs to it */
    if (c->header_seen && memmem(bytes.data, bytes.len, "<stream:stream", 14)) {
        parser_restart(c->parser);
        c->header_seen = false;
    }
    sent = conn_write(c->conn, bytes.data, bytes.len) == ERR_OK;
    world_run(c->world, SETTLE_MS);
    return sent || fail(c, "%s cannot send: its queue is full", c->name);
}

__attribute__((format(printf, 2, 3))) static bool send_fmt(struct client *c, const char *fmt, ...)
{
    char text[65536];
    va_list args;
    int len;

    va_start(args, fmt);
    len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return actor_send(c, (struct str){text, (size_t)len});
}

struct item *actor_next(struct client *c, uint64_t ms)
{
    for (uint64_t waited = 0; list_empty(&c->inbox) && waited < ms; waited += SETTLE_MS)
        world_run(c->world, SETTLE_MS);
    return list_empty(&c->inbox) ? NULL : LIST_ENTRY(c->inbox.next, struct item, node);
}

void actor_take(struct client *c, struct item *item)
{
    list_remove(&item->node);
    stanza_unref(item->stanza);
    free(item);
}

void actor_forget(struct client *c)
{
    while (!list_empty(&c->inbox))
        actor_take(c, LIST_ENTRY(c->inbox.next, struct item, node));
}

/* The next item when it is what is due; else a failure that says what came instead. */
static struct item *expect(struct client *c, enum item_kind kind, const char *name)
{
    struct item *item = actor_next(c, ANSWER_MS);

    if (item && item->kind == kind &&
        (kind != ITEM_STANZA || !name || str_is(stanza_name(item->stanza, STANZA_ROOT), name)))
        return item;
    if (!item) {
        fail(c, "%s waits for %s, but nothing comes%s%s", c->name, name,
             c->conn ? "" : "; connection closed: ", c->why);
    } else if (item->stanza) {
        struct buffer text;

        buffer_init(&text, 1 << 20);
        stanza_write(item->stanza, NULL, &text);
        fail(c, "%s waits for %s, but receives %.*s", c->name, name, STR_ARG(buffer_str(&text)));
        buffer_finish(&text);
    } else {
        fail(c, "%s waits for %s, but the stream ends%s%s", c->name, name, item->why ? ": " : "",
             item->why ? item->why : "");
    }
    return NULL;
}

static bool skip(struct client *c, enum item_kind kind, const char *name)
{
    struct item *item = expect(c, kind, name);

    if (item)
        actor_take(c, item);
    return item != NULL;
}

bool actor_header(struct client *c, struct str domain)
{
    const char *lang = c->lang ? c->lang : "";
    const char *before = c->lang ? " xml:lang='" : "", *after = c->lang ? "'" : "";
    return send_fmt(c,
                    "<?xml version='1.0'?><stream:stream" NS_DECLARATIONS
                    " to='%.*s' version='1.0'%s%s%s>",
                    STR_ARG(domain), before, lang, after) &&
           skip(c, ITEM_HEADER, "a stream header") && skip(c, ITEM_STANZA, "features");
}

static bool send_base64(struct client *c, const char *before, const struct buffer *raw,
                        const char *after)
{
    struct buffer text;
    bool ok;

    buffer_init(&text, 65536);
    buffer_add_str(&text, str_of(before));
    sasl_base64_encode(buffer_str(raw), &text);
    buffer_add_str(&text, str_of(after));
    ok = actor_send(c, buffer_str(&text));
    buffer_finish(&text);
    return ok;
}

/* Text of the next element, decoded. */
static bool receive_base64(struct client *c, const char *name, struct buffer *out)
{
    struct item *item = expect(c, ITEM_STANZA, name);

    if (!item)
        return false;
    buffer_clear(out);
    if (!sasl_base64_decode(stanza_text(item->stanza, STANZA_ROOT), out))
        return fail(c, "%s receives <%s/> with broken base64", c->name, name);
    actor_take(c, item);
    return true;
}

/* Up to the proof: what the server says to it is the script's to look at. */
static bool scram2(struct client *c, struct scram_client *s, const char *more, struct buffer *out,
                   struct buffer *in)
{
    char after[16384];

    (void)snprintf(after, sizeof(after), "</initial-response>%s</authenticate>", more);
    return scram_client_first(s, out) &&
           send_base64(c,
                       "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='SCRAM-SHA-256'>"
                       "<initial-response>",
                       out, after) &&
           receive_base64(c, "challenge", in) && (buffer_clear(out), true) &&
           (scram_client_final(s, buffer_str(in), out) ||
            fail(c, "%s refuses the server's challenge", c->name)) &&
           send_base64(c, "<response xmlns='urn:xmpp:sasl:2'>", out, "</response>");
}

bool actor_auth2(struct client *c, struct str local, struct str password, const char *more)
{
    struct scram_client *s = scram_client_create(local, password, c->world->random);
    struct buffer out, in;
    bool ok;

    buffer_init(&out, 8192);
    buffer_init(&in, 8192);
    ok = scram2(c, s, more, &out, &in);
    buffer_finish(&out);
    buffer_finish(&in);
    scram_client_destroy(s);
    return ok;
}

static bool scram(struct client *c, struct scram_client *s, struct buffer *out, struct buffer *in)
{
    return scram_client_first(s, out) &&
           send_base64(c,
                       "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>",
                       out, "</auth>") &&
           receive_base64(c, "challenge", in) && (buffer_clear(out), true) &&
           (scram_client_final(s, buffer_str(in), out) ||
            fail(c, "%s refuses the server's challenge", c->name)) &&
           send_base64(c, "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>", out,
                       "</response>") &&
           receive_base64(c, "success", in) &&
           (scram_client_verify(s, buffer_str(in)) ||
            fail(c, "%s: the server does not know the password", c->name));
}

bool actor_auth(struct client *c, struct str local, struct str domain, struct str password)
{
    struct scram_client *s = scram_client_create(local, password, c->world->random);
    struct buffer out, in;
    bool ok;

    buffer_init(&out, 8192);
    buffer_init(&in, 8192);
    ok = scram(c, s, &out, &in);
    buffer_finish(&out);
    buffer_finish(&in);
    scram_client_destroy(s);
    return ok && actor_header(c, domain);
}

bool actor_bind(struct client *c, struct str resource, struct buffer *full)
{
    struct item *item;
    stanza_el bind, jid;

    if (!(resource.data ? send_fmt(c,
                                   "<iq type='set' id='scenario-bind'><bind "
                                   "xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                                   "<resource>%.*s</resource></bind></iq>",
                                   STR_ARG(resource))
                        : send_fmt(c, "<iq type='set' id='scenario-bind'><bind "
                                      "xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")))
        return false;
    item = expect(c, ITEM_STANZA, "iq");
    if (!item)
        return false;
    bind = stanza_child(item->stanza, STANZA_ROOT, STR("bind"), STR_NULL);
    jid =
        bind == STANZA_NONE ? STANZA_NONE : stanza_child(item->stanza, bind, STR("jid"), STR_NULL);
    if (jid == STANZA_NONE ||
        !str_is(stanza_attr(item->stanza, STANZA_ROOT, STR("type")), "result"))
        return fail(c, "%s is refused the resource '%.*s'", c->name, STR_ARG(resource));
    buffer_add_str(full, stanza_text(item->stanza, jid));
    actor_take(c, item);
    return true;
}

bool actor_register(struct client *c, struct str local, struct str domain, struct str password)
{
    struct item *item;

    if (!actor_open(c) || !actor_header(c, domain) ||
        !send_fmt(c,
                  "<iq type='set' id='scenario-register'><query "
                  "xmlns='jabber:iq:register'><username>%.*s</username>"
                  "<password>%.*s</password></query></iq>",
                  STR_ARG(local), STR_ARG(password)))
        return false;
    item = expect(c, ITEM_STANZA, "iq");
    if (!item)
        return false;
    if (!str_is(stanza_attr(item->stanza, STANZA_ROOT, STR("type")), "result"))
        return fail(c, "registration of %.*s@%.*s is refused", STR_ARG(local), STR_ARG(domain));
    actor_take(c, item);
    return actor_close(c);
}

bool actor_close(struct client *c)
{
    if (!actor_send(c, STR("</stream:stream>")))
        return false;
    for (struct item *item; (item = actor_next(c, ANSWER_MS)) != NULL;) {
        bool end = item->kind == ITEM_END;

        actor_take(c, item);
        if (end) {
            for (int i = 0; i < 50 && c->conn; i++)
                world_run(c->world, SETTLE_MS);
            return !c->conn ||
                   fail(c, "%s: the server answers </stream:stream>, but keeps the connection",
                        c->name);
        }
    }
    return fail(c, "%s: the server does not answer </stream:stream>", c->name);
}

void actor_complete_header(struct str xml, struct buffer *out)
{
    const char *at = memmem(xml.data, xml.len, "<stream:stream", 14);
    size_t before = at ? (size_t)(at - xml.data) + 14 : 0;

    buffer_add(out, xml.data, before);
    if (at && !memmem(xml.data, xml.len, "xmlns:stream", 12))
        buffer_add_str(out, str_of(memmem(xml.data, xml.len, "xmlns=", 6)
                                       ? " xmlns:stream='http://etherx.jabber.org/streams'"
                                       : NS_DECLARATIONS));
    buffer_add(out, xml.data + before, xml.len - before);
}

/* ---- a fragment of a script ---- */

struct fragment {
    struct stanza *header, *stanza;
    int stanzas;
};

static void fragment_header(void *owner, const struct stanza *header)
{
    struct fragment *f = owner;

    f->header = stanza_extract(header, STANZA_ROOT);
}

static void fragment_stanza(void *owner, struct stanza *s)
{
    struct fragment *f = owner;

    stanza_unref(f->stanza);
    f->stanza = s;
    f->stanzas++;
}

static void fragment_close(void *owner)
{
}

static const struct parser_events fragment_events = {
    .stream_open = fragment_header, .stanza = fragment_stanza, .stream_close = fragment_close};

struct stanza *actor_parse(struct parser_pool *pool, struct str xml, bool *ret_header, char *why,
                           size_t why_size)
{
    struct fragment f = {NULL, NULL, 0};
    struct parser *p = parser_create(pool, &limits, &fragment_events, &f);
    struct buffer text;
    struct stanza *result = NULL;
    enum parser_status status;

    *ret_header = str_starts(xml, STR("<stream:stream"));
    buffer_init(&text, 1 << 24);
    if (*ret_header) {
        actor_complete_header(xml, &text);
    } else {
        actor_complete_header(STR("<stream:stream version='1.0'>"), &text);
        buffer_add_str(&text, xml);
    }
    status = parser_feed(p, buffer_str(&text).data, buffer_len(&text));
    if (status != PARSER_OK)
        (void)snprintf(why, why_size, "the script's XML is wrong: %s", parser_why(p));
    else if (*ret_header ? !f.header : f.stanzas != 1)
        (void)snprintf(why, why_size, "the script's XML is not one whole element");
    else
        result = stanza_ref(*ret_header ? f.header : f.stanza);
    buffer_finish(&text);
    stanza_unref(f.header);
    stanza_unref(f.stanza);
    parser_destroy(p);
    return result;
}
