/* Parser: how a stream's bytes get to expat - in slices, so that limits hold to the byte and memory
 * stays small, checked to be UTF-8 before, and held back while they cannot finish a long token.
 * What comes out is in parser_events.c.
 */
#include "xml/parser.h"
#include <stdlib.h>
#include "base/mem.h"
#include "xml/parser_impl.h"

enum {
    SLICE = 4096,     /* bytes for expat at a time; its buffer grows to twice that */
    HOLD_FROM = 1024, /* an unfinished token of this size makes us hold back */
    LANE_EXTRA =
        64 * 1024, /* expat's memory may be this and LANE_FACTOR times the largest stanza */
    LANE_FACTOR = 4,
    PLAIN_BYTES = 16 * 1024, /* larger stanzas of streams are left to expat, which counts memory */
    PLAIN_ELEMENTS = 256,
};

struct parser *parser_create(struct parser_pool *pool, const struct parser_limits *limits,
                             const struct parser_events *events, void *owner)
{
    struct parser *p = MEM_NEW(struct parser);
    p->pool = pool;
    p->limits = *limits;
    p->events = events;
    p->owner = owner;
    return p;
}

static void drop_lane(struct parser *p)
{
    lane_destroy(p->lane);
    p->lane = NULL;
}

static void drop_held(struct parser *p)
{
    free(p->held);
    p->held = NULL;
    p->held_len = p->held_cap = 0;
}

/* Everything but the struct itself. */
static void finish(struct parser *p)
{
    drop_lane(p);
    drop_held(p);
    parser_pool_unref_key(p->pool, p->key);
    p->key = NULL;
}

void parser_destroy(struct parser *p)
{
    if (!p)
        return;
    if (p->feeding) {
        parser_stop(p);
        p->destroyed = true;
        return;
    }
    finish(p);
    free(p);
}

void parser_stop(struct parser *p)
{
    parser_fail(p, PARSER_STOPPED, "stopped");
}

void parser_set_limits(struct parser *p, const struct parser_limits *limits)
{
    p->limits = *limits;
}

const char *parser_why(const struct parser *p)
{
    return p->why ? p->why : "";
}

size_t parser_rest(const struct parser *p)
{
    size_t in_lane = p->lane ? (size_t)(p->lane->fed - p->lane->mark) : 0;
    return p->in_event ? in_lane + p->behind : 0;
}

/* Back to the start of a stream. The old one's lane is good for others when nothing lies behind the
 * event in it. */
static void begin_again(struct parser *p)
{
    struct lane *lane = p->lane;
    if (lane && p->status == PARSER_OK && lane->depth == 1 && lane->fed == lane->mark) {
        parser_pool_return(p->pool, lane);
        p->lane = NULL;
    }
    finish(p);
    p->phase = PARSER_HEADER;
    p->seen = 0;
    p->markup = false;
    p->token = TOKEN_NONE;
    p->utf8 = (struct utf8){0};
    p->unfinished = p->pending = 0;
    p->restart = false;
    p->skip_space = true;
}

void parser_restart(struct parser *p)
{
    if (!p->in_event) {
        begin_again(p);
        return;
    }
    p->restart = true;
    if (!p->lane)
        return;
    p->stop_at = p->lane->mark;
    if (p->lane->fed > p->stop_at)
        XML_StopParser(p->lane->expat, XML_FALSE);
}

static void fail_expat(struct parser *p, enum XML_Error error)
{
    switch (error) {
    case XML_ERROR_NO_MEMORY:
        parser_fail(p, PARSER_POLICY_VIOLATION, "stanza needs too much memory");
        break;
    case XML_ERROR_AMPLIFICATION_LIMIT_BREACH:
        parser_fail(p, PARSER_POLICY_VIOLATION, "input amplification");
        break;
    case XML_ERROR_UNKNOWN_ENCODING:
    case XML_ERROR_INCORRECT_ENCODING:
        parser_fail(p, PARSER_UNSUPPORTED_ENCODING, "encoding other than UTF-8");
        break;
    case XML_ERROR_UNBOUND_PREFIX:
    case XML_ERROR_RESERVED_PREFIX_XML:
    case XML_ERROR_RESERVED_PREFIX_XMLNS:
    case XML_ERROR_RESERVED_NAMESPACE_URI:
        parser_fail(p, PARSER_BAD_NAMESPACE_PREFIX, XML_ErrorString(error));
        break;
    default:
        parser_fail(p, PARSER_NOT_WELL_FORMED, XML_ErrorString(error));
        break;
    }
}

/* How much of `len` bytes to take in one go: at most one byte over a limit, so that it is noticed
 * there. A long token is given to expat in growing pieces, since each makes it scan the token anew.
 */
static size_t slice_size(const struct parser *p, size_t len)
{
    size_t n = p->unfinished > SLICE ? p->unfinished : SLICE;
    if (n > len)
        n = len;
    if (p->seen == 0 && n > 1)
        n = 1; /* expat's word on it comes before check_start's on the second */
    size_t stanza = p->limits.stanza_bytes;
    size_t left = p->pending < stanza ? stanza - p->pending : 0;
    if (n > left)
        n = left + 1;
    if (p->limits.total_bytes > 0) {
        uint64_t budget = p->limits.total_bytes;
        budget = p->total < budget ? budget - p->total : 0;
        if (n > budget)
            n = (size_t)budget;
    }
    return n;
}

/* Gives expat what was held back and these bytes. Returns how many of them were used (fewer only at
 * a restart). */
static size_t feed_lane(struct parser *p, const char *bytes, size_t len)
{
    if (!p->lane)
        p->lane = parser_pool_borrow(p->pool, p->key, p);
    struct lane *lane = p->lane;
    lane->account.max = p->limits.stanza_bytes > SIZE_MAX / 8
                            ? SIZE_MAX
                            : p->limits.stanza_bytes * LANE_FACTOR + LANE_EXTRA;
    enum XML_Error error;
    if (p->held_len > 0) {
        p->held = mem_realloc(p->held, p->held_len + len);
        memcpy(p->held + p->held_len, bytes, len);
        error = lane_feed(lane, p->held, p->held_len + len);
        drop_held(p);
    } else {
        error = lane_feed(lane, bytes, len);
    }
    if (p->restart && p->status == PARSER_OK) {
        size_t left = (size_t)(lane->fed - p->stop_at);
        begin_again(p);
        return left < len ? len - left : 0;
    }
    if (p->status == PARSER_OK && p->phase != PARSER_ENDED) {
        if (error != XML_ERROR_NONE)
            fail_expat(p, error);
        p->unfinished = lane_unfinished(lane);
        p->pending = (size_t)(lane->fed - lane->mark);
        if (p->pending > p->limits.stanza_bytes)
            parser_fail(p, PARSER_POLICY_VIOLATION,
                        p->phase == PARSER_HEADER ? "stream header too large" : "stanza too large");
    }
    return len;
}

/* UTF-16 and UTF-32, with or without a byte order mark, show in the first two bytes; expat would
 * follow them there although it was told UTF-8. */
static void check_start(struct parser *p, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len && p->seen < 2; i++, p->seen++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c == 0 || (p->seen == 0 && c >= 0xFE)) {
            parser_fail(p, PARSER_UNSUPPORTED_ENCODING, "encoding other than UTF-8");
            return;
        }
    }
    if (!p->markup)
        p->markup = memchr(bytes, '<', len) != NULL;
}

/* Keeps the bytes for later when they cannot finish the long token that expat has; all that is held
 * stays shorter than what expat has, so that scanning anew stays linear. */
static bool hold(struct parser *p, const char *bytes, size_t len)
{
    int fresh;
    p->token = token_scan(p->token, bytes, len, &fresh);
    if (p->token == TOKEN_NONE || fresh || p->unfinished < HOLD_FROM ||
        p->held_len + len >= p->unfinished || p->pending + len > p->limits.stanza_bytes)
        return false;
    if (p->held_cap - p->held_len < len) {
        p->held_cap = (uint32_t)p->unfinished;
        p->held = mem_realloc(p->held, p->held_cap);
    }
    memcpy(p->held + p->held_len, bytes, len);
    p->held_len += (uint32_t)len;
    p->pending += len;
    return true;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static size_t skip_space(struct parser *p, const char *bytes, size_t len)
{
    size_t n = 0;
    while (n < len && is_space(bytes[n]))
        n++;
    p->skip_space = n == len;
    return n;
}

/* One slice. Returns how many bytes were used. */
static size_t step(struct parser *p, const char *bytes, size_t len)
{
    size_t n = slice_size(p, len);
    if (n == 0) {
        if (p->held_len > 0) /* a syntax error in there came first */
            feed_lane(p, bytes, 0);
        parser_fail(p, PARSER_POLICY_VIOLATION, "too many bytes");
        return 0;
    }
    size_t used = p->skip_space ? skip_space(p, bytes, n) : 0;
    if (used == 0) {
        size_t good = utf8_check(&p->utf8, bytes, n);
        check_start(p, bytes, good < n ? good + 1 : n);
        if (p->status != PARSER_OK)
            return 0;
        p->behind = len - good;
        used = good;
        if (good < n || !hold(p, bytes, n))
            used = feed_lane(p, bytes, good);
        if (good < n && !p->skip_space && p->phase != PARSER_ENDED)
            parser_fail(p, p->markup ? PARSER_UNSUPPORTED_ENCODING : PARSER_NOT_WELL_FORMED,
                        "malformed UTF-8");
    }
    p->total += used;
    return used;
}

/* Whole stanzas do without a lane where they can (plain.h); so does the white space between them.
 * Returns how many bytes were used. */
static size_t feed_plain(struct parser *p, const char *bytes, size_t len)
{
    struct parser_limits limits = p->limits;
    if (p->phase != PARSER_STREAM || p->lane)
        return 0;
    size_t most = PLAIN_BYTES < limits.stanza_bytes ? PLAIN_BYTES : limits.stanza_bytes;
    if (limits.total_bytes > 0 && most > limits.total_bytes - p->total)
        return 0; /* so near to the end, expat counts */
    size_t used = 0;
    while (used < len && used < most && is_space(bytes[used]))
        used++;
    if (used > 0 && p->events->space)
        p->events->space(p->owner);
    if (p->status != PARSER_OK)
        return used;
    if (limits.children > PLAIN_ELEMENTS)
        limits.children = PLAIN_ELEMENTS;
    struct str rest = {bytes + used, len - used < most - used ? len - used : most - used};
    size_t n = plain_read(&p->pool->plain, rest, p->key->ns, &limits);
    p->total += used + n;
    if (n > 0) {
        p->behind = len - used - n;
        p->in_event = true;
        p->events->stanza(p->owner, block_take(&p->pool->plain));
        p->in_event = false;
        if (p->restart && p->status == PARSER_OK)
            begin_again(p);
    }
    return used + n;
}

static enum parser_status feed_all(struct parser *p, const char *bytes, size_t len)
{
    p->feeding = true;
    while (len > 0 && p->status == PARSER_OK && p->phase != PARSER_ENDED) {
        size_t n = feed_plain(p, bytes, len);
        if (n == 0)
            n = step(p, bytes, len);
        bytes += n;
        len -= n;
        if (p->lane && p->pending == 0 && p->status == PARSER_OK && p->phase != PARSER_ENDED) {
            parser_pool_return(p->pool, p->lane);
            p->lane = NULL;
        }
    }
    p->feeding = false;
    if (p->status != PARSER_OK || p->phase == PARSER_ENDED) {
        drop_lane(p);
        drop_held(p);
    }
    return p->status;
}

enum parser_status parser_feed(struct parser *p, const char *bytes, size_t len)
{
    enum parser_status status = feed_all(p, bytes, len);
    if (p->destroyed)
        parser_destroy(p);
    return status;
}

struct document {
    struct parser *parser;
    struct stanza *stanza;
};

static void document_stanza(void *owner, struct stanza *s)
{
    struct document *d = owner;
    if (!d->stanza) {
        d->stanza = s;
        return;
    }
    stanza_unref(s);
    parser_fail(d->parser, PARSER_BAD_FORMAT, "a second element");
}

static struct stanza *document_plain(struct parser_pool *pool, struct str xml,
                                     const struct parser_limits *limits)
{
    size_t n = xml.len <= limits->stanza_bytes ? plain_read(&pool->plain, xml, STR(""), limits) : 0;
    if (n == xml.len && n > 0)
        return block_take(&pool->plain);
    block_writer_reset(&pool->plain);
    return NULL;
}

struct stanza *parser_document(struct parser_pool *pool, struct str xml,
                               const struct parser_limits *limits, enum parser_status *ret_status)
{
    /* A document is one stanza of a stream of ours that is never closed. */
    static const struct parser_events events = {.stanza = document_stanza};
    struct document d = {0};
    struct parser p = {.pool = pool,
                       .events = &events,
                       .owner = &d,
                       .limits = *limits,
                       .key = pool->document,
                       .phase = PARSER_DOCUMENT,
                       .seen = 2,
                       .markup = true};
    while (xml.len > 0 && is_space(xml.data[xml.len - 1]))
        xml.len--;
    d.stanza = document_plain(pool, xml, limits);
    if (d.stanza)
        return d.stanza;
    d.parser = &p;
    pool->document->refs++;
    enum parser_status status = feed_all(&p, xml.data, xml.len);
    if (status == PARSER_OK && (!d.stanza || p.lane))
        status = PARSER_NOT_WELL_FORMED;
    finish(&p);
    if (status == PARSER_OK)
        return d.stanza;
    stanza_unref(d.stanza);
    *ret_status = status;
    return NULL;
}
