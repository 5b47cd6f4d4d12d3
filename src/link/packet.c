/* Packet: allocation, sharing and writing of what travels between components. One allocation holds
 * the packet and its strings; stanza and JIDs are references. */
#include "link/packet.h"

#include <stdlib.h>

#include "base/mem.h"

#define PACKET_DELAY_STACK 512 /* a <delay/> with a reason fits; longer ones take the heap */

static const char *const action_names[] = {
    [SESSION_CREATE] = "create",   [SESSION_CREATED] = "created", [SESSION_DELETE] = "delete",
    [SESSION_DELETED] = "deleted", [SESSION_START] = "start",     [SESSION_STARTED] = "started",
    [SESSION_END] = "end",         [SESSION_ENDED] = "ended",     [SESSION_REPLACED] = "replaced",
    [SESSION_ENABLE] = "enable",   [SESSION_ENABLED] = "enabled", [SESSION_RESUME] = "resume",
    [SESSION_RESUMED] = "resumed", [SESSION_STATE] = "state",
};

const char *session_action_name(enum session_action a)
{
    return action_names[a];
}

void session_id_make(struct session_id *id, struct random *random)
{
    unsigned char bytes[16];

    random_fill(random, bytes, sizeof(bytes));
    str_hex(bytes, sizeof(bytes), id->text);
    id->text[32] = '\0';
    id->len = 32;
}

bool session_id_set(struct session_id *id, struct str text)
{
    if (text.len >= sizeof(id->text))
        return false;
    if (text.len)
        memcpy(id->text, text.data, text.len);
    id->text[text.len] = '\0';
    id->len = (uint8_t)text.len;
    return true;
}

/* --- making --- */

static struct str keep(char **at, struct str s)
{
    struct str kept = STR_NULL;

    if (s.data) {
        kept = (struct str){*at, s.len};
        if (s.len)
            memcpy(*at, s.data, s.len);
        *at += s.len;
    }
    return kept;
}

static bool has_nodes(enum packet_kind kind)
{
    return kind == PACKET_PRESENCE || kind == PACKET_BIND;
}

/* Absent strings have length 0. `more` is the nodes of a name, else the reason. */
static struct packet *make(enum packet_kind kind, struct str to, struct str from, struct str name,
                           struct str more)
{
    /* Not mem_alloc: the strings need no zeroing, and this is on every stanza's path. */
    struct packet *p = mem_realloc(NULL, sizeof(*p) + to.len + from.len + name.len + more.len + 1);
    char *at = p->text;

    memset(p, 0, sizeof(*p));
    list_init(&p->node);
    p->kind = kind;
    p->route_to = keep(&at, to);
    p->route_from = keep(&at, from);
    p->name = keep(&at, name);
    if (has_nodes(kind))
        p->nodes = keep(&at, more);
    else
        p->reason = keep(&at, more);
    return p;
}

struct packet *packet_create(enum packet_kind kind, struct str route_to, struct str route_from)
{
    return make(kind, route_to, route_from, STR_NULL, STR_NULL);
}

struct packet *packet_create_control(enum packet_kind kind, struct str name, unsigned bind_flags)
{
    struct packet *p = make(kind, STR_NULL, STR_NULL, name, STR_NULL);

    p->bind_flags = bind_flags;
    return p;
}

struct packet *packet_create_bind(struct str name, unsigned flags, struct str nodes)
{
    struct packet *p = make(PACKET_BIND, STR_NULL, STR_NULL, name, nodes);

    p->bind_flags = flags;
    return p;
}

struct packet *packet_create_presence(struct str name, bool up, struct str nodes)
{
    struct packet *p = make(PACKET_PRESENCE, STR_NULL, STR_NULL, name, nodes);

    p->up = up;
    return p;
}

struct packet *packet_create_session(struct str route_to, struct str route_from,
                                     enum session_action action, struct jid *target,
                                     struct str reason)
{
    struct packet *p = make(PACKET_SESSION, route_to, route_from, STR_NULL, reason);

    p->action = action;
    p->target = target ? jid_ref(target) : NULL;
    return p;
}

struct packet *packet_create_sealed(enum packet_kind kind, struct str frame)
{
    struct packet *p = make(kind, STR_NULL, STR_NULL, frame, STR_NULL);

    p->sealed = p->name;
    p->name = STR_NULL;
    return p;
}

void packet_destroy(struct packet *p)
{
    if (!p)
        return;
    stanza_unref(p->stanza);
    stanza_unref(p->delay);
    jid_unref(p->from);
    jid_unref(p->to);
    jid_unref(p->target);
    jid_unref(p->receipt.origin);
    promise_unref(p->promise);
    free(p);
}

struct packet *packet_copy(const struct packet *p)
{
    struct packet *copy = make(p->kind, p->route_to, p->route_from, p->name,
                               has_nodes(p->kind) ? p->nodes : p->reason);

    copy->error = p->error;
    copy->bind_flags = p->bind_flags;
    copy->up = p->up;
    copy->stanza = p->stanza ? stanza_ref(p->stanza) : NULL;
    copy->delay = p->delay ? stanza_ref(p->delay) : NULL;
    copy->from = p->from ? jid_ref(p->from) : NULL;
    copy->to = p->to ? jid_ref(p->to) : NULL;
    copy->target = p->target ? jid_ref(p->target) : NULL;
    copy->c2s = p->c2s;
    copy->sm = p->sm;
    copy->request = p->request;
    copy->action = p->action;
    copy->failed = p->failed;
    copy->born = p->born;
    copy->trace = p->trace;
    copy->promise = p->promise ? promise_ref(p->promise) : NULL;
    return copy;
}

void packet_bounce(struct packet *p, int error)
{
    struct str was_to = p->route_to;

    p->route_to = p->route_from;
    p->route_from = was_to;
    p->error = error;
}

size_t packet_size(const struct packet *p)
{
    size_t size = sizeof(*p) + p->route_to.len + p->route_from.len + p->name.len + p->reason.len +
                  p->nodes.len + p->sealed.len;

    if (p->stanza)
        size += stanza_size(p->stanza);
    if (p->delay)
        size += stanza_size(p->delay);
    return size;
}

/* --- writing the payload --- */

static void stamp_addresses(const struct packet *p, struct stanza_stamp *stamp)
{
    if (p->from)
        stamp->from = jid_full(p->from);
    if (p->to)
        stamp->to = jid_full(p->to);
}

/* The namespace the added child must declare: none when it is the stanza's own. */
static struct str delay_xmlns(const struct packet *p)
{
    struct str ns = stanza_ns(p->delay, STANZA_ROOT);

    return str_eq(ns, stanza_ns(p->stanza, STANZA_ROOT)) ? STR_NULL : ns;
}

size_t packet_payload_size(const struct packet *p, const struct stanza_stamp *base)
{
    struct stanza_stamp stamp = *base;
    size_t delay = 0;

    stamp_addresses(p, &stamp);
    if (p->delay) {
        struct stanza_stamp inner = {.xmlns = delay_xmlns(p)};
        /* The end tag that an empty element then needs, too. */
        delay = stanza_write_size(p->delay, &inner) + stanza_name(p->stanza, STANZA_ROOT).len + 3;
    }
    return stanza_write_size(p->stanza, &stamp) + delay;
}

size_t packet_payload_write(const struct packet *p, const struct stanza_stamp *base, char *out)
{
    struct stanza_stamp stamp = *base;
    char stack[PACKET_DELAY_STACK], *delay = NULL;
    size_t written;

    stamp_addresses(p, &stamp);
    if (p->delay) {
        struct stanza_stamp inner = {.xmlns = delay_xmlns(p)};
        size_t size = stanza_write_size(p->delay, &inner);
        delay = size <= sizeof(stack) ? stack : mem_alloc(size);
        stamp.extra_inner = (struct str){delay, stanza_write_to(p->delay, &inner, delay)};
    }
    written = stanza_write_to(p->stanza, &stamp, out);
    if (delay != stack)
        free(delay);
    return written;
}

static const struct stanza_stamp plain_stamp;

size_t packet_write_size(const struct packet *p)
{
    return packet_payload_size(p, &plain_stamp);
}

size_t packet_write_to(const struct packet *p, char *out)
{
    return packet_payload_write(p, &plain_stamp, out);
}
