/* Frame: see frame.h. Whatever comes may be from a component that somebody else has taken over:
 * every length is checked before it is believed, and every string before it is passed on. */
#include "link/frame.h"

#include <endian.h>
#include <stdlib.h>

#include "base/mem.h"
#include "xmpp/namespaces.h"

enum field {
    FIELD_TO,
    FIELD_FROM,
    FIELD_NAME,
    FIELD_NODES,
    FIELD_REASON,
    FIELD_C2S,
    FIELD_SM,
    FIELD_REQUEST,
    FIELD_NUMBERS, /* of the receipt */
    FIELD_ORIGIN,
    FIELD_TARGET,
    FIELD_SENDER, /* the packet's own from and to */
    FIELD_RECEIVER,
    FIELD_DELAY,
    FIELD_STANZA,
    FIELD_TRACE, /* written apart, as delay and stanza are */
    FIELDS       /* as many as the mask has bits */
};

enum { FIXED = FRAME_PREFIX + 10, NUMBERS = 28, LENGTH = 4 };
enum { FLAG_FAILED = 1, FLAG_UP = 2, FLAGS_ALL = 3 };
#define BIND_FLAGS_ALL                                                                             \
    (PACKET_BIND_MULTI | PACKET_BIND_DEFAULT | PACKET_BIND_LOG | PACKET_BIND_MULTI_FROM |          \
     PACKET_BIND_RECEIPTS)

/* What member_limits of link_tcp.c allows for XML, less the envelope. */
static const struct parser_limits inner_limits = {.stanza_bytes = 24u * 1024 * 1024,
                                                  .depth = 264,
                                                  .attributes = 1100,
                                                  .namespaces = UINT32_MAX,
                                                  .children = 1000000};

/* --- numbers --- */

static void put_u16(char *at, uint16_t value)
{
    value = htobe16(value);
    memcpy(at, &value, sizeof(value));
}

static void put_u32(char *at, uint32_t value)
{
    value = htobe32(value);
    memcpy(at, &value, sizeof(value));
}

static void put_u64(char *at, uint64_t value)
{
    value = htobe64(value);
    memcpy(at, &value, sizeof(value));
}

static uint16_t get_u16(const char *at)
{
    uint16_t value;

    memcpy(&value, at, sizeof(value));
    return be16toh(value);
}

static uint32_t get_u32(const char *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return be32toh(value);
}

static uint64_t get_u64(const char *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return be64toh(value);
}

/* --- writing --- */

struct fields {
    struct str value[FIELDS]; /* data == NULL: absent. Delay and stanza are written apart. */
    char numbers[NUMBERS];
};

static struct str id_or_null(const struct session_id *id)
{
    return id->len ? session_id_str(id) : STR_NULL;
}

static struct str jid_or_null(const struct jid *jid)
{
    return jid ? jid_full(jid) : STR_NULL;
}

static bool is_route(enum packet_kind kind)
{
    return kind <= PACKET_LOG;
}

static void collect(const struct packet *p, struct fields *f)
{
    const struct receipt *r = &p->receipt;
    bool bounced = p->error && is_route(p->kind);

    f->value[FIELD_TO] = bounced ? p->route_from : p->route_to;
    f->value[FIELD_FROM] = bounced ? p->route_to : p->route_from;
    f->value[FIELD_NAME] = p->name;
    f->value[FIELD_NODES] = p->nodes;
    f->value[FIELD_REASON] = p->reason;
    f->value[FIELD_C2S] = id_or_null(&p->c2s);
    f->value[FIELD_SM] = id_or_null(&p->sm);
    f->value[FIELD_REQUEST] = id_or_null(&p->request);
    f->value[FIELD_NUMBERS] = STR_NULL;
    f->value[FIELD_ORIGIN] = r->number ? jid_or_null(r->origin) : STR_NULL;
    f->value[FIELD_TARGET] = jid_or_null(p->target);
    f->value[FIELD_SENDER] = jid_or_null(p->from);
    f->value[FIELD_RECEIVER] = jid_or_null(p->to);
    f->value[FIELD_DELAY] = f->value[FIELD_STANZA] = STR_NULL;
    if (!r->number && !r->answers)
        return;
    put_u64(f->numbers, r->number);
    put_u64(f->numbers + 8, r->answers);
    put_u32(f->numbers + 16, r->place);
    put_u64(f->numbers + 20, (uint64_t)r->since);
    f->value[FIELD_NUMBERS] = (struct str){f->numbers, NUMBERS};
}

static struct stanza_stamp stamp_of(const struct stanza *s)
{
    return (struct stanza_stamp){.xmlns = stanza_ns(s, STANZA_ROOT)};
}

static size_t stanza_room(const struct stanza *s)
{
    struct stanza_stamp stamp = stamp_of(s);

    return LENGTH + stanza_write_size(s, &stamp);
}

size_t frame_size(const struct packet *p)
{
    struct fields f;
    size_t size = FIXED;

    if (p->sealed.data)
        return p->sealed.len;
    collect(p, &f);
    for (int i = 0; i < FIELD_DELAY; i++)
        size += f.value[i].data ? LENGTH + f.value[i].len : 0;
    if (p->delay)
        size += stanza_room(p->delay);
    if (p->stanza)
        size += stanza_room(p->stanza);
    return p->trace ? size + LENGTH + sizeof(p->trace) : size;
}

static char *put_field(char *at, struct str value)
{
    put_u32(at, (uint32_t)value.len);
    if (value.len)
        memcpy(at + LENGTH, value.data, value.len);
    return at + LENGTH + value.len;
}

/* Its own namespace is said, so that it can be read alone. */
static char *put_stanza(char *at, const struct stanza *s)
{
    struct stanza_stamp stamp = stamp_of(s);
    size_t len = stanza_write_to(s, &stamp, at + LENGTH);

    put_u32(at, (uint32_t)len);
    return at + LENGTH + len;
}

static char *put_fields(char *at, const struct fields *f, uint16_t *mask)
{
    for (unsigned i = 0; i < FIELD_DELAY; i++) {
        if (f->value[i].data) {
            at = put_field(at, f->value[i]);
            *mask |= (uint16_t)(1u << i);
        }
    }
    return at;
}

size_t frame_write(const struct packet *p, char *out)
{
    struct fields f;
    uint16_t mask = 0;
    char *at;

    if (p->sealed.data) {
        memcpy(out, p->sealed.data, p->sealed.len);
        return p->sealed.len;
    }
    collect(p, &f);
    at = put_fields(out + FIXED, &f, &mask);
    if (p->delay) {
        at = put_stanza(at, p->delay);
        mask |= 1u << FIELD_DELAY;
    }
    if (p->stanza) {
        at = put_stanza(at, p->stanza);
        mask |= 1u << FIELD_STANZA;
    }
    if (p->trace) {
        put_u32(at, sizeof(p->trace));
        put_u64(at + LENGTH, p->trace);
        at += LENGTH + sizeof(p->trace);
        mask |= (uint16_t)(1u << FIELD_TRACE);
    }
    put_u32(out, (uint32_t)(at - out - FRAME_PREFIX));
    out[4] = (char)p->kind;
    out[5] = (char)p->action;
    out[6] = (char)((p->failed ? FLAG_FAILED : 0) | (p->up ? FLAG_UP : 0));
    out[7] = 0;
    put_u16(out + 8, (uint16_t)p->error);
    put_u16(out + 10, (uint16_t)p->bind_flags);
    put_u16(out + 12, mask);
    return (size_t)(at - out);
}

size_t frame_goodbye_size(struct str condition, struct str text)
{
    return FIXED + 2u * LENGTH + condition.len + text.len;
}

size_t frame_write_goodbye(struct str condition, struct str text, char *out)
{
    char *at = put_field(out + FIXED, condition);

    at = put_field(at, text);
    memset(out, 0, FIXED);
    put_u32(out, (uint32_t)(at - out - FRAME_PREFIX));
    out[4] = (char)FRAME_GOODBYE;
    put_u16(out + 12, 1u << FIELD_NAME | 1u << FIELD_REASON);
    return (size_t)(at - out);
}

/* --- reading --- */

size_t frame_length(const char *prefix)
{
    return FRAME_PREFIX + (size_t)get_u32(prefix);
}

bool frame_is_goodbye(struct str frame)
{
    return frame.len >= FIXED && (uint8_t)frame.data[4] == FRAME_GOODBYE;
}

/* Splits the fields; they fill the frame to its last byte. */
static bool split(struct str frame, struct str value[FIELDS])
{
    size_t at = FIXED;
    uint16_t mask;

    if (frame.len < FIXED || frame_length(frame.data) != frame.len)
        return false;
    mask = get_u16(frame.data + 12);
    for (unsigned i = 0; i < FIELDS; i++) {
        value[i] = STR_NULL;
        if (!(mask & 1u << i))
            continue;
        if (frame.len - at < LENGTH || get_u32(frame.data + at) > frame.len - at - LENGTH)
            return false;
        value[i] = (struct str){frame.data + at + LENGTH, get_u32(frame.data + at)};
        at += LENGTH + value[i].len;
    }
    return at == frame.len;
}

/* No control characters, nor what is no character of XML. */
static bool is_text_slow(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = (uint8_t)s.data[i];
        if (c < 0x20 || (c == 0xEF && s.len - i > 2 && (uint8_t)s.data[i + 1] == 0xBF &&
                         (uint8_t)s.data[i + 2] >= 0xBE))
            return false;
    }
    return str_utf8_valid(s);
}

/* What could stand in an attribute of XML, and in a line of a log. Eight bytes at a time: a byte
 * above ASCII or below a space sets its highest bit in `odd`, or that of its neighbour. */
static bool is_text(struct str s)
{
    const uint64_t spaces = 0x2020202020202020u, high = 0x8080808080808080u;
    uint64_t odd = 0, v;
    size_t i = 0;

    for (; s.len - i >= sizeof(v); i += sizeof(v)) {
        memcpy(&v, s.data + i, sizeof(v));
        odd |= v | (v - spaces);
    }
    for (; i < s.len; i++)
        odd |= (uint8_t)s.data[i] < 0x20 ? high : (uint8_t)s.data[i];
    return !(odd & high) || is_text_slow(s);
}

bool frame_read_goodbye(struct str frame, struct str *ret_condition, struct str *ret_text)
{
    struct str value[FIELDS];

    if (!split(frame, value) || !is_text(value[FIELD_NAME]) || !is_text(value[FIELD_REASON]))
        return false;
    *ret_condition = value[FIELD_NAME];
    *ret_text = value[FIELD_REASON];
    return true;
}

/* The numbers at the front, and what each kind needs. NULL when they are right. */
static const char *check_front(struct str frame, const struct str value[FIELDS])
{
    uint8_t kind = (uint8_t)frame.data[4];

    if (kind > PACKET_THROTTLE || (uint8_t)frame.data[5] > SESSION_LAST ||
        (uint8_t)frame.data[6] > FLAGS_ALL || frame.data[7])
        return "frame of an unknown kind";
    if (get_u16(frame.data + 8) > 999 || get_u16(frame.data + 10) & ~BIND_FLAGS_ALL)
        return "frame with numbers that mean nothing";
    if ((kind == PACKET_STANZA || kind == PACKET_BROADCAST) && !value[FIELD_STANZA].data)
        return "frame of a stanza without one";
    if (kind == PACKET_SESSION && value[FIELD_STANZA].data)
        return "frame of a session action with a stanza";
    if (kind == PACKET_PRESENCE && !value[FIELD_NAME].len)
        return "presence of a component without from";
    if (value[FIELD_DELAY].data && !value[FIELD_STANZA].data)
        return "frame with an addition to nothing";
    return NULL;
}

static bool take_trace(struct packet *p, struct str value)
{
    if (value.len == sizeof(p->trace))
        p->trace = get_u64(value.data);
    return !value.data || p->trace;
}

static bool take_numbers(struct receipt *r, const struct str value[FIELDS])
{
    struct str numbers = value[FIELD_NUMBERS];

    if (!numbers.data)
        return !value[FIELD_ORIGIN].data;
    if (numbers.len != NUMBERS)
        return false;
    r->number = get_u64(numbers.data);
    r->answers = get_u64(numbers.data + 8);
    r->place = get_u32(numbers.data + 16);
    r->since = (int64_t)get_u64(numbers.data + 20);
    return r->since >= 0 && (r->number == 0) == (value[FIELD_ORIGIN].data == NULL);
}

/* Everything but what frame_open makes. `value` are views of the packet's own copy. */
static const char *take_envelope(struct packet *p, const struct str value[FIELDS])
{
    const char *front = p->sealed.data;

    for (int i = 0; i < FIELD_NUMBERS; i++)
        if (!is_text(value[i]))
            return "frame with a name that is no text";
    if (!session_id_set(&p->c2s, value[FIELD_C2S]) || !session_id_set(&p->sm, value[FIELD_SM]) ||
        !session_id_set(&p->request, value[FIELD_REQUEST]))
        return "frame with a session id that is too long";
    if (!take_numbers(&p->receipt, value))
        return "frame with a malformed receipt";
    if (!take_trace(p, value[FIELD_TRACE]))
        return "frame with a malformed id of the ledger";
    p->action = (enum session_action)front[5];
    p->failed = (front[6] & FLAG_FAILED) != 0;
    p->up = (front[6] & FLAG_UP) != 0;
    p->bind_flags = get_u16(front + 10);
    p->route_to = value[FIELD_TO];
    p->route_from = value[FIELD_FROM];
    p->name = value[FIELD_NAME];
    p->nodes = value[FIELD_NODES];
    p->reason = value[FIELD_REASON];
    return NULL;
}

struct packet *frame_read(struct str frame, struct parser_pool *pool, const char **ret_why)
{
    struct str value[FIELDS];
    struct packet *p;
    int error;

    *ret_why = "frame whose lengths do not fit";
    if (!split(frame, value) || (*ret_why = check_front(frame, value)) != NULL)
        return NULL;
    p = packet_create_sealed((enum packet_kind)frame.data[4], frame);
    for (int i = 0; i < FIELDS; i++)
        if (value[i].data)
            value[i].data += p->sealed.data - frame.data;
    *ret_why = take_envelope(p, value);
    error = get_u16(frame.data + 8);
    if (!*ret_why && (error || p->kind > PACKET_SESSION) && !frame_open(p, pool))
        *ret_why = "frame with a malformed address or stanza";
    if (*ret_why) {
        packet_destroy(p);
        return NULL;
    }
    if (error && is_route(p->kind))
        packet_bounce(p, error);
    else
        p->error = error;
    return p;
}

static bool open_jid(struct str text, struct jid **ret)
{
    return !text.data || (*ret = jid_parse(text)) != NULL;
}

static bool open_stanza(struct str bytes, struct parser_pool *pool, struct stanza **ret)
{
    enum parser_status status;

    return !bytes.data || (*ret = parser_document(pool, bytes, &inner_limits, &status)) != NULL;
}

bool frame_open(struct packet *p, struct parser_pool *pool)
{
    struct str value[FIELDS], frame = p->sealed;

    if (!frame.data)
        return true;
    p->sealed = STR_NULL; /* its bytes stay: the names lie in there */
    return split(frame, value) && open_jid(value[FIELD_ORIGIN], &p->receipt.origin) &&
           open_jid(value[FIELD_TARGET], &p->target) && open_jid(value[FIELD_SENDER], &p->from) &&
           open_jid(value[FIELD_RECEIVER], &p->to) &&
           open_stanza(value[FIELD_DELAY], pool, &p->delay) &&
           open_stanza(value[FIELD_STANZA], pool, &p->stanza);
}
