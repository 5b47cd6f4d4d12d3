/* Wire: writing and reading the component protocol and the session protocol inside it. */
#include "link/wire.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "xml/builder.h"
#include "xmpp/namespaces.h"

#define WIRE_FIXED 640 /* more than all tags, attribute names and namespaces of one element */
#define WIRE_WORST 6   /* bytes one character may take when escaped: &apos; */

/* --- writing --- */

static void put(char **at, struct str s)
{
    memcpy(*at, s.data, s.len);
    *at += s.len;
}

static void put_escaped(char **at, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        switch (s.data[i]) {
        case '&':
            put(at, STR("&amp;"));
            break;
        case '<':
            put(at, STR("&lt;"));
            break;
        case '>':
            put(at, STR("&gt;"));
            break;
        case '\'':
            put(at, STR("&apos;"));
            break;
        default:
            *(*at)++ = s.data[i];
        }
    }
}

/* `lead` is the text in front of the value: " to='". An absent value writes nothing. */
static void put_attr(char **at, struct str lead, struct str value)
{
    if (!value.data)
        return;
    put(at, lead);
    put_escaped(at, value);
    put(at, STR("'"));
}

static struct str id_or_null(const struct session_id *id)
{
    return id->len ? session_id_str(id) : STR_NULL;
}

static void put_error(char **at, int error)
{
    char text[24];
    int len = snprintf(text, sizeof(text), " error='%d'", error);

    if (error)
        put(at, (struct str){text, (size_t)len});
}

static void put_session_ids(char **at, const struct packet *p)
{
    put_attr(at, STR(" sc:c2s='"), id_or_null(&p->c2s));
    put_attr(at, STR(" sc:sm='"), id_or_null(&p->sm));
}

/* A refusal is the request itself come back (jabberd2.md 1.3), whichever of the pair the sender
 * named. */
static enum session_action wire_action(const struct packet *p)
{
    if (!p->failed)
        return p->action;
    switch (p->action) {
    case SESSION_CREATED:
        return SESSION_CREATE;
    case SESSION_DELETED:
        return SESSION_DELETE;
    case SESSION_STARTED:
        return SESSION_START;
    case SESSION_ENDED:
        return SESSION_END;
    case SESSION_RESUMED:
        return SESSION_RESUME;
    default:
        return p->action;
    }
}

/* With a prefix, as jabberd2 writes it: its parser tells namespaces apart by declaration, not by
 * name. */
static void put_session(char **at, const struct packet *p)
{
    put(at, STR("<sc:session xmlns:sc='http://jabberd.jabberstudio.org/ns/session/1.0'"));
    put_session_ids(at, p);
    put_attr(at, STR(" action='"), str_of(session_action_name(wire_action(p))));
    put_attr(at, STR(" target='"), p->target ? jid_full(p->target) : STR_NULL);
    put_attr(at, STR(" id='"), id_or_null(&p->request));
    if (p->failed)
        put(at, STR(" sc:failed='1'"));
    put_attr(at, STR(" reason='"), p->reason);
    put(at, STR("/>"));
}

/* The session attributes for a stanza's start tag, in `space`. */
static struct str session_attributes(const struct packet *p, char *space)
{
    char *at = space;

    if (!p->c2s.len && !p->sm.len)
        return STR_NULL;
    put(&at, STR(" xmlns:sc='http://jabberd.jabberstudio.org/ns/session/1.0'"));
    put_session_ids(&at, p);
    if (p->failed)
        put(&at, STR(" sc:failed='1'"));
    return (struct str){space, (size_t)(at - space)};
}

static void put_stanza(char **at, const struct packet *p)
{
    char space[2 * sizeof(p->c2s.text) * WIRE_WORST + 128];
    struct stanza_stamp stamp = {.xmlns = stanza_ns(p->stanza, STANZA_ROOT),
                                 .extra = session_attributes(p, space)};

    *at += packet_payload_write(p, &stamp, *at);
}

static void put_number(char **at, struct str lead, uint64_t number)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%" PRIu64, number);

    if (number)
        put_attr(at, lead, (struct str){text, (size_t)len});
}

/* Attributes of ours, which jabberd2's processes do not look at. */
static void put_receipt(char **at, const struct receipt *r)
{
    put_number(at, STR(" answers='"), r->answers);
    if (!r->number)
        return;
    put_number(at, STR(" receipt='"), r->number);
    put_attr(at, STR(" origin='"), jid_full(r->origin));
    put_number(at, STR(" place='"), r->place);
    put_number(at, STR(" since='"), (uint64_t)r->since);
}

static void put_route(char **at, const struct packet *p)
{
    put(at, STR("<route xmlns='http://jabberd.jabberstudio.org/ns/component/1.0'"));
    put_attr(at, STR(" to='"), p->error ? p->route_from : p->route_to);
    put_attr(at, STR(" from='"), p->error ? p->route_to : p->route_from);
    if (p->kind == PACKET_BROADCAST)
        put(at, STR(" type='broadcast'"));
    else if (p->kind == PACKET_LOG)
        put(at, STR(" type='log'"));
    put_error(at, p->error);
    put_receipt(at, &p->receipt);
    put_number(at, STR(" trace='"), p->trace);
    put(at, STR(">"));
    if (p->stanza)
        put_stanza(at, p);
    else
        put_session(at, p);
    put(at, STR("</route>"));
}

static void put_bind(char **at, const struct packet *p)
{
    put(at, STR("<bind xmlns='http://jabberd.jabberstudio.org/ns/component/1.0'"));
    put_attr(at, STR(" name='"), p->name);
    if (p->bind_flags & PACKET_BIND_MULTI)
        put(at, STR(" multi='to'"));
    else if (p->bind_flags & PACKET_BIND_MULTI_FROM)
        put(at, STR(" multi='from'"));
    if (p->bind_flags & PACKET_BIND_RECEIPTS)
        put(at, STR(" receipts='1'"));
    put_attr(at, STR(" nodes='"), p->nodes);
    put_error(at, p->error);
    if (!(p->bind_flags & (PACKET_BIND_DEFAULT | PACKET_BIND_LOG))) {
        put(at, STR("/>"));
        return;
    }
    put(at, STR(">"));
    if (p->bind_flags & PACKET_BIND_DEFAULT)
        put(at, STR("<default/>"));
    if (p->bind_flags & PACKET_BIND_LOG)
        put(at, STR("<log/>"));
    put(at, STR("</bind>"));
}

/* How long it is once escaped. */
static size_t escaped(struct str s)
{
    size_t len = s.len;

    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] == '&' || s.data[i] == '<' || s.data[i] == '>' || s.data[i] == '\'')
            len += WIRE_WORST - 1;
    return len;
}

size_t wire_size(const struct packet *p)
{
    size_t size = WIRE_FIXED + escaped(p->route_to) + escaped(p->route_from) + escaped(p->name) +
                  escaped(p->reason) + escaped(p->nodes) + escaped(session_id_str(&p->c2s)) +
                  escaped(session_id_str(&p->sm)) + escaped(session_id_str(&p->request));

    if (p->target)
        size += escaped(jid_full(p->target));
    if (p->receipt.origin)
        size += escaped(jid_full(p->receipt.origin));
    if (p->stanza) {
        struct stanza_stamp stamp = {.xmlns = stanza_ns(p->stanza, STANZA_ROOT)};
        size += packet_payload_size(p, &stamp);
    }
    return size;
}

size_t wire_write(const struct packet *p, char *out)
{
    char *at = out;

    switch (p->kind) {
    case PACKET_STANZA:
    case PACKET_SESSION:
    case PACKET_BROADCAST:
    case PACKET_LOG:
        put_route(&at, p);
        break;
    case PACKET_BIND:
        put_bind(&at, p);
        break;
    case PACKET_UNBIND:
        put(&at, STR("<unbind xmlns='http://jabberd.jabberstudio.org/ns/component/1.0'"));
        put_attr(&at, STR(" name='"), p->name);
        put_error(&at, p->error);
        put(&at, STR("/>"));
        break;
    case PACKET_PRESENCE:
        put(&at, STR("<presence xmlns='http://jabberd.jabberstudio.org/ns/component/1.0'"));
        put_attr(&at, STR(" from='"), p->name);
        put_attr(&at, STR(" nodes='"), p->nodes);
        put(&at, p->up ? STR("/>") : STR(" type='unavailable'/>"));
        break;
    case PACKET_THROTTLE:
        put(&at, STR("<throttle xmlns='http://jabberd.jabberstudio.org/ns/component/1.0'/>"));
        break;
    }
    return (size_t)(at - out);
}

/* --- reading --- */

static struct str attr(const struct stanza *s, stanza_el el, struct str name)
{
    return stanza_attr(s, el, name);
}

static struct str session_attr(const struct stanza *s, stanza_el el, struct str name)
{
    return stanza_attr_ns(s, el, name, NS_ROUTER_SESSION);
}

/* 0 without the attribute; one that makes no sense still is an error (loop guard). */
static int parse_error(const struct stanza *s)
{
    struct str text = attr(s, STANZA_ROOT, STR("error"));
    uint64_t code;

    if (!text.data)
        return 0;
    return str_to_u64(text, 999, &code) && code > 0 ? (int)code : 500;
}

static bool parse_ids(struct packet *p, const struct stanza *s, stanza_el el)
{
    return session_id_set(&p->c2s, session_attr(s, el, STR("c2s"))) &&
           session_id_set(&p->sm, session_attr(s, el, STR("sm")));
}

static bool parse_action(struct str text, enum session_action *ret)
{
    for (int a = SESSION_CREATE; a <= (int)SESSION_LAST; a++) {
        if (str_is(text, session_action_name((enum session_action)a))) {
            *ret = (enum session_action)a;
            return true;
        }
    }
    return false;
}

static const char *parse_session(struct packet *p, const struct stanza *s, stanza_el el)
{
    struct str target = attr(s, el, STR("target"));

    if (!parse_action(attr(s, el, STR("action")), &p->action))
        return "session element without an action we know";
    if (target.data && (p->target = jid_parse(target)) == NULL)
        return "session element with a malformed target";
    if (!parse_ids(p, s, el) || !session_id_set(&p->request, attr(s, el, STR("id"))))
        return "session element with an id that is too long";
    p->failed = session_attr(s, el, STR("failed")).data != NULL;
    return NULL;
}

/* The payload as a stanza of its own, without the envelope's attributes. */
static struct stanza *take_stanza(const struct stanza *s, stanza_el el, bool has_ids)
{
    struct builder *b;

    if (!has_ids)
        return stanza_extract(s, el);
    b = builder_create(stanza_name(s, el), stanza_ns(s, el));
    for (uint32_t i = 0; i < stanza_attr_count(s, el); i++) {
        struct str name, ns, value;
        stanza_attr_at(s, el, i, &name, &ns, &value);
        if (!ns.len)
            builder_attr(b, name, value);
        else if (str_eq(ns, NS_XML))
            builder_lang(b, value);
        else if (!str_eq(ns, NS_ROUTER_SESSION))
            builder_attr_ns(b, name, ns, value);
    }
    builder_copy_inner(b, s, el);
    return builder_finish(b);
}

static struct jid *address(const struct stanza *s, struct str name)
{
    struct str text = attr(s, STANZA_ROOT, name);

    return text.len ? jid_parse(text) : NULL;
}

static const char *parse_stanza(struct packet *p, const struct stanza *s, stanza_el el)
{
    bool failed = session_attr(s, el, STR("failed")).data != NULL;

    if (!parse_ids(p, s, el))
        return "stanza with a session id that is too long";
    p->failed = failed;
    p->stanza = take_stanza(s, el, p->c2s.len || p->sm.len || failed);
    p->from = address(p->stanza, STR("from"));
    p->to = address(p->stanza, STR("to"));
    return NULL;
}

static uint64_t number(const struct stanza *s, struct str name, uint64_t most)
{
    uint64_t value = 0;

    (void)str_to_u64(attr(s, STANZA_ROOT, name), most, &value);
    return value;
}

static void parse_receipt(struct packet *p, const struct stanza *s)
{
    struct receipt *r = &p->receipt;
    struct str origin = attr(s, STANZA_ROOT, STR("origin"));

    r->answers = number(s, STR("answers"), UINT64_MAX);
    if (!origin.len || (r->origin = jid_parse(origin)) == NULL)
        return;
    r->number = number(s, STR("receipt"), UINT64_MAX);
    r->place = (uint32_t)number(s, STR("place"), UINT32_MAX);
    r->since = (int64_t)number(s, STR("since"), INT64_MAX);
}

static bool route_kind(struct str type, bool session, enum packet_kind *ret)
{
    if (!type.data)
        *ret = session ? PACKET_SESSION : PACKET_STANZA;
    else if (str_eq(type, STR("broadcast")))
        *ret = PACKET_BROADCAST;
    else if (str_eq(type, STR("log")))
        *ret = PACKET_LOG;
    else
        return false;
    return true;
}

static struct packet *parse_route(const struct stanza *s, const char **ret_why)
{
    stanza_el payload = stanza_first(s, STANZA_ROOT);
    struct str reason = STR_NULL;
    struct packet *p;
    enum packet_kind kind;
    bool session;

    *ret_why = "route that has not exactly one payload";
    if (payload == STANZA_NONE || stanza_next(s, payload) != STANZA_NONE)
        return NULL;
    session = stanza_is(s, payload, STR("session"), NS_ROUTER_SESSION);
    *ret_why = "route of an unknown type";
    if (!route_kind(attr(s, STANZA_ROOT, STR("type")), session, &kind))
        return NULL;
    if (session)
        reason = attr(s, payload, STR("reason"));
    p = packet_create_session(attr(s, STANZA_ROOT, STR("to")), attr(s, STANZA_ROOT, STR("from")),
                              SESSION_CREATE, NULL, reason);
    p->kind = kind;
    *ret_why = session ? parse_session(p, s, payload) : parse_stanza(p, s, payload);
    if (*ret_why) {
        packet_destroy(p);
        return NULL;
    }
    parse_receipt(p, s);
    p->trace = number(s, STR("trace"), UINT64_MAX);
    if (parse_error(s))
        packet_bounce(p, parse_error(s));
    return p;
}

static struct packet *parse_bind(const struct stanza *s)
{
    struct str multi = attr(s, STANZA_ROOT, STR("multi"));
    unsigned flags = 0;

    /* jabberd2 takes any value for `to`. */
    if (multi.data)
        flags |= str_eq(multi, STR("from")) ? PACKET_BIND_MULTI_FROM : PACKET_BIND_MULTI;
    if (attr(s, STANZA_ROOT, STR("receipts")).data)
        flags |= PACKET_BIND_RECEIPTS;
    if (stanza_child(s, STANZA_ROOT, STR("default"), NS_COMPONENT) != STANZA_NONE)
        flags |= PACKET_BIND_DEFAULT;
    if (stanza_child(s, STANZA_ROOT, STR("log"), NS_COMPONENT) != STANZA_NONE)
        flags |= PACKET_BIND_LOG;
    return packet_create_bind(attr(s, STANZA_ROOT, STR("name")), flags,
                              attr(s, STANZA_ROOT, STR("nodes")));
}

static struct packet *parse_presence(const struct stanza *s, const char **ret_why)
{
    struct str from = attr(s, STANZA_ROOT, STR("from"));

    if (!from.len) {
        *ret_why = "presence of a component without from";
        return NULL;
    }
    return packet_create_presence(from,
                                  !str_eq(attr(s, STANZA_ROOT, STR("type")), STR("unavailable")),
                                  attr(s, STANZA_ROOT, STR("nodes")));
}

struct packet *wire_parse(const struct stanza *s, const char **ret_why)
{
    struct str name = stanza_name(s, STANZA_ROOT);
    struct packet *p = NULL;

    *ret_why = "element that the component protocol does not know";
    if (!str_eq(stanza_ns(s, STANZA_ROOT), NS_COMPONENT))
        return NULL;
    if (str_eq(name, STR("route")))
        return parse_route(s, ret_why);
    if (str_eq(name, STR("presence")))
        return parse_presence(s, ret_why);
    if (str_eq(name, STR("bind")))
        p = parse_bind(s);
    else if (str_eq(name, STR("unbind")))
        p = packet_create_control(PACKET_UNBIND, attr(s, STANZA_ROOT, STR("name")), 0);
    else if (str_eq(name, STR("throttle")))
        p = packet_create_control(PACKET_THROTTLE, STR_NULL, 0);
    if (p)
        p->error = parse_error(s);
    return p;
}
