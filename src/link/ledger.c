/* Ledger: see ledger.h. A record is a head of fixed size and its texts one behind the other; where
 * they do not fit, the addresses are cut at their ends. */
#include "link/ledger.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/ring.h"

#define NAME_MOST   31u /* bytes of a component's name */
#define DETAIL_MOST 80u /* where there are addresses beside it */
#define BODIES_MOST 256u

struct ledger {
    struct ring *ring;
    _Atomic uint64_t last;
    bool bodies;               /* of everybody */
    int64_t watched_until;     /* us */
    char watched[BODIES_MOST]; /* a bare JID, or empty */
};

struct head {
    uint64_t id;
    int64_t time;
    uint8_t event, cut, name, from, to, detail; /* the latter four: lengths */
    uint8_t zero[2];
};

#define TEXT_MOST (RING_RECORD - sizeof(struct head))

static const char *const words[] = {
#define X(id, word, text) word,
#include "link/ledger.def"
#undef X
};

static const char *const texts[] = {
#define X(id, word, text) text,
#include "link/ledger.def"
#undef X
};

const char *ledger_word(enum ledger_event e)
{
    return words[e];
}

const char *ledger_text(enum ledger_event e)
{
    return texts[e];
}

struct ledger *ledger_create(struct ring *ring, uint64_t first)
{
    struct ledger *l = MEM_NEW(struct ledger);

    l->ring = ring;
    atomic_store(&l->last, first);
    return l;
}

void ledger_destroy(struct ledger *l)
{
    if (!l)
        return;
    ring_close(l->ring);
    free(l);
}

/* --- writing --- */

/* How much of a text of that length there is room for: an address is not cut within a character. */
static uint8_t fit(struct str s, size_t most)
{
    size_t len = s.len;

    if (len <= most)
        return (uint8_t)len;
    for (len = most; len > 0 && ((unsigned char)s.data[len] & 0xC0) == 0x80;)
        len--;
    return (uint8_t)len;
}

static char *put(char *at, struct str s, uint8_t len)
{
    if (len)
        memcpy(at, s.data, len);
    return at + len;
}

/* What is left when one of two texts has taken as much as it may of the room for both. */
static void share(struct head *h, struct str from, struct str to, size_t room)
{
    size_t half = room / 2;

    if (from.len + to.len <= room) {
        h->from = (uint8_t)from.len;
        h->to = (uint8_t)to.len;
        return;
    }
    h->from = fit(from, to.len < half ? room - to.len : half);
    h->to = fit(to, room - h->from);
    h->cut = 1;
}

void ledger_write(const struct ledger_pen *pen, enum ledger_event e, uint64_t id, struct str from,
                  struct str to, struct str detail)
{
    struct ring *ring = pen->ledger ? pen->ledger->ring : NULL;
    struct head h = {.id = id, .event = (uint8_t)e};
    uint64_t number;
    char *room = ring ? ring_begin(ring, &number) : NULL, *at;

    if (!room)
        return;
    h.time = loop_wall_us(pen->loop);
    h.name = fit(pen->name, NAME_MOST);
    h.detail = fit(detail, from.len || to.len ? DETAIL_MOST : TEXT_MOST - NAME_MOST);
    h.cut = h.detail < detail.len;
    share(&h, from, to, TEXT_MOST - h.name - h.detail);
    memcpy(room, &h, sizeof(h));
    at = put(room + sizeof(h), pen->name, h.name);
    at = put(at, from, h.from);
    at = put(at, to, h.to);
    at = put(at, detail, h.detail);
    ring_end(ring, number, (size_t)(at - room));
}

void ledger_set_bodies(struct ledger *l, bool all)
{
    if (l)
        l->bodies = all;
}

void ledger_watch_bodies(struct ledger *l, const char *jid, int64_t until_us)
{
    if (!l)
        return;
    (void)snprintf(l->watched, sizeof(l->watched), "%s", jid);
    l->watched_until = until_us;
}

/* Somebody asked to see what this account writes and reads. */
static bool wants_body(const struct ledger_pen *pen, const struct packet *p)
{
    const struct ledger *l = pen->ledger;

    if (l->bodies)
        return true;
    return loop_wall_us(pen->loop) < l->watched_until &&
           ((p->from && str_is(jid_bare(p->from), l->watched)) ||
            (p->to && str_is(jid_bare(p->to), l->watched)));
}

static void note_body(const struct ledger_pen *pen, const struct packet *p)
{
    stanza_el body = stanza_child(p->stanza, STANZA_ROOT, STR("body"), stanza_ns(p->stanza, 0));

    if (body != STANZA_NONE && wants_body(pen, p))
        ledger_write(pen, LEDGER_BODY, p->trace, STR_NULL, STR_NULL, stanza_text(p->stanza, body));
}

/* "chat, id 4711" */
static struct str describe(const struct stanza *s, char *out, size_t size)
{
    struct str type = stanza_attr(s, STANZA_ROOT, STR("type")),
               id = stanza_attr(s, STANZA_ROOT, STR("id")), between = STR(", id ");
    char *at;

    if (!type.len)
        type = STR("normal");
    at = put(out, type, fit(type, size / 2));
    if (id.len) {
        at = put(at, between, (uint8_t)between.len);
        at = put(at, id, fit(id, size - (size_t)(at - out)));
    }
    return (struct str){out, (size_t)(at - out)};
}

void ledger_enter(const struct ledger_pen *pen, struct packet *p)
{
    char detail[DETAIL_MOST];
    const struct stanza *s = p->stanza;
    struct str from, to;

    if (p->trace || !pen->ledger || !s || !str_eq(stanza_name(s, STANZA_ROOT), STR("message")))
        return;
    p->trace = atomic_fetch_add_explicit(&pen->ledger->last, 1, memory_order_relaxed) + 1;
    if (!p->trace)
        p->trace = 1;
    if (!pen->ledger->ring)
        return;
    from = p->from ? jid_full(p->from) : stanza_attr(s, STANZA_ROOT, STR("from"));
    to = p->to ? jid_full(p->to) : stanza_attr(s, STANZA_ROOT, STR("to"));
    ledger_write(pen, LEDGER_ENTERED, p->trace, from, to, describe(s, detail, sizeof(detail)));
    if (pen->ledger->bodies || pen->ledger->watched[0])
        note_body(pen, p);
}

/* --- ids: Crockford's base32 --- */

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

const char *ledger_id_text(uint64_t id, char out[LEDGER_ID + 1])
{
    for (int i = LEDGER_ID - 1; i >= 0; i--, id >>= 5)
        out[i] = digits[id & 31];
    out[LEDGER_ID] = '\0';
    return out;
}

bool ledger_id_parse(struct str text, uint64_t *ret)
{
    uint64_t id = 0;

    if (text.len != LEDGER_ID || text.data[0] > 'f')
        return false;
    for (size_t i = 0; i < text.len; i++) {
        const char *at = text.data[i] ? strchr(digits, text.data[i]) : NULL;
        if (!at)
            return false;
        id = id << 5 | (uint64_t)(at - digits);
    }
    *ret = id;
    return id > 0;
}

/* --- reading --- */

static struct str take(const char **at, uint8_t len)
{
    struct str s = {*at, len};

    *at += len;
    return s;
}

bool ledger_record_read(struct str bytes, struct ledger_record *ret)
{
    struct head h;
    const char *at;

    if (bytes.len < sizeof(h))
        return false;
    memcpy(&h, bytes.data, sizeof(h));
    if (h.event >= LEDGER_EVENTS || !h.id ||
        bytes.len != sizeof(h) + h.name + h.from + h.to + (size_t)h.detail)
        return false;
    *ret = (struct ledger_record){
        .id = h.id, .time = h.time, .event = (enum ledger_event)h.event, .cut = h.cut};
    at = bytes.data + sizeof(h);
    ret->component = take(&at, h.name);
    ret->from = take(&at, h.from);
    ret->to = take(&at, h.to);
    ret->detail = take(&at, h.detail);
    return true;
}
