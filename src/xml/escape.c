/* Escape: see escape.h. Sixteen bytes are looked at in one go; stanzas rarely hold a
 * character that needs more. */
#include "xml/escape.h"

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

/* 1: escaped in text; 2: in attributes. */
static const uint8_t special[256] = {
    ['&'] = 3, ['<'] = 3, ['>'] = 3, ['\r'] = 3, ['\''] = 2, ['\t'] = 2, ['\n'] = 2};

/* Sixteen bytes; the compiler makes of it what the processor has. */
typedef uint8_t block16 __attribute__((vector_size(16)));

/* True when one of the sixteen may be special of any kind. `<` and `>` differ in bit 1 only, `&`
 * and
 * `'` in bit 0 only. */
static inline bool block_special(const char *at)
{
    block16 v;
    uint64_t halves[2];
    memcpy(&v, at, sizeof v);
    block16 found = (block16)((v | 2) == '>') | (block16)((v | 1) == '\'') | (block16)(v < 0x20);
    memcpy(halves, &found, sizeof halves);
    return (halves[0] | halves[1]) != 0;
}

size_t escape_clean(enum escape_kind kind, struct str s)
{
    uint8_t bit = kind == ESCAPE_TEXT ? 1 : 2;
    size_t i = 0;
    while (i < s.len) {
        size_t stop = s.len;
        if (s.len - i >= sizeof(block16)) {
            stop = i + sizeof(block16);
            if (!block_special(s.data + i)) {
                i = stop;
                continue;
            }
        }
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
