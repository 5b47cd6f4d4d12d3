/* Escape: see escape.h. Eight bytes are looked at in one go; stanzas rarely hold a character that
 * needs more. */
#include "xml/escape.h"

#define ONES           0x0101010101010101ull
#define HIGHS          0x8080808080808080ull
#define EACH(c)        (ONES * (c))
#define HAS_ZERO(v)    (((v)-ONES) & ~(v)&HIGHS)
#define HAS_LESS(v, n) (((v)-ONES * (n)) & ~(v)&HIGHS)
#define HAS_BYTE(v, c) HAS_ZERO((v) ^ EACH(c))

/* Of a character that `special` marks. */
static struct str entity_of(char c)
{
    switch (c) {
    case '&':
        return STR("&amp;");
    case '<':
        return STR("&lt;");
    case '>':
        return STR("&gt;");
    case '\r':
        return STR("&#xD;");
    case '\'':
        return STR("&apos;");
    case '\t':
        return STR("&#x9;");
    default: /* LF */
        return STR("&#xA;");
    }
}

/* True when one of the eight bytes may need escaping. `<` and `>` differ in bit 1 only, `&` and `'`
 * in bit 0 only. */
static bool word_special(enum escape_kind kind, uint64_t v)
{
    uint64_t angle = HAS_BYTE(v | EACH(2), '>');
    if (kind == ESCAPE_TEXT)
        return (angle | HAS_BYTE(v, '&') | HAS_BYTE(v, '\r')) != 0;
    return (angle | HAS_BYTE(v | EACH(1), '\'') | HAS_LESS(v, 0x20)) != 0;
}

/* 1: escaped in text; 2: in attributes. */
static const uint8_t special[256] = {
    ['&'] = 3, ['<'] = 3, ['>'] = 3, ['\r'] = 3, ['\''] = 2, ['\t'] = 2, ['\n'] = 2};

/* From `i` on, past words without anything special; s.len when that is all. */
static size_t skip_words(enum escape_kind kind, struct str s, size_t i)
{
    uint64_t v;
    for (; s.len - i >= sizeof v; i += sizeof v) {
        memcpy(&v, s.data + i, sizeof v);
        if (word_special(kind, v))
            return i;
    }
    if (s.len >= sizeof v) { /* the rest, together with bytes that are known to be clean */
        memcpy(&v, s.data + s.len - sizeof v, sizeof v);
        if (!word_special(kind, v))
            return s.len;
    }
    return i;
}

size_t escape_clean(enum escape_kind kind, struct str s)
{
    uint8_t bit = kind == ESCAPE_TEXT ? 1 : 2;
    size_t i = 0;
    while ((i = skip_words(kind, s, i)) < s.len) {
        size_t stop = s.len - i > sizeof(uint64_t) ? i + sizeof(uint64_t) : s.len;
        for (; i < stop; i++) {
            if (special[(uint8_t)s.data[i]] & bit)
                return i;
        }
    }
    return s.len;
}

size_t escape_size(enum escape_kind kind, struct str s)
{
    size_t size = 0;
    while (s.len > 0) {
        size_t clean = escape_clean(kind, s);
        size += clean;
        if (clean == s.len)
            break;
        size += entity_of(s.data[clean]).len;
        s.data += clean + 1;
        s.len -= clean + 1;
    }
    return size;
}

char *escape_put(enum escape_kind kind, struct str s, char *out)
{
    while (s.len > 0) {
        size_t clean = escape_clean(kind, s);
        memcpy(out, s.data, clean);
        out += clean;
        if (clean == s.len)
            break;
        struct str entity = entity_of(s.data[clean]);
        memcpy(out, entity.data, entity.len);
        out += entity.len;
        s.data += clean + 1;
        s.len -= clean + 1;
    }
    return out;
}

/* The character that the entity at `p` stands for; its length goes to *ret_len. */
static char entity_char(const char *p, size_t *ret_len)
{
    static const struct {
        const char *text;
        size_t len;
        char c;
    } entities[] = {{"&amp;", 5, '&'},   {"&lt;", 4, '<'},   {"&gt;", 4, '>'},  {"&#xD;", 5, '\r'},
                    {"&apos;", 6, '\''}, {"&#x9;", 5, '\t'}, {"&#xA;", 5, '\n'}};
    for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++) {
        if (strncmp(p, entities[i].text, entities[i].len) == 0) {
            *ret_len = entities[i].len;
            return entities[i].c;
        }
    }
    *ret_len = 1;
    return *p;
}

char *escape_undo(struct str s, char *out)
{
    const char *end = s.data + s.len;
    for (const char *p = s.data; p < end;) {
        const char *amp = memchr(p, '&', (size_t)(end - p));
        size_t plain = (size_t)((amp ? amp : end) - p);
        memcpy(out, p, plain);
        out += plain;
        p += plain;
        if (amp) {
            size_t len;
            *out++ = entity_char(p, &len);
            p += len;
        }
    }
    return out;
}
