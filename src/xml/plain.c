/* Plain: see plain.h. One pass, no look ahead: each function below takes one thing off the front
 * and says false where expat must decide. */
#include "xml/plain.h"

#include <endian.h>

#include "xml/utf8.h"

enum {
    NAME_FIRST = 1,
    NAME_NEXT = 2,
    SPACE = 4,
};

/* Of names only the ASCII ones without a colon. */
static const uint8_t classes[256] = {
    ['A' ... 'Z'] = NAME_FIRST | NAME_NEXT,
    ['a' ... 'z'] = NAME_FIRST | NAME_NEXT,
    ['_'] = NAME_FIRST | NAME_NEXT,
    ['0' ... '9'] = NAME_NEXT,
    ['-'] = NAME_NEXT,
    ['.'] = NAME_NEXT,
    [' '] = SPACE,
    ['\t'] = SPACE,
    ['\r'] = SPACE,
    ['\n'] = SPACE,
};

/* More attributes than this are compared for duplicates by expat. */
enum { ATTRIBUTES_MAX = 16 };

struct reader {
    struct block_writer *w;
    const char *at, *end;
    const struct parser_limits *limits;
    uint32_t depth; /* open elements */
};

static bool is_class(char c, uint8_t class)
{
    return classes[(uint8_t)c] & class;
}

static bool take(struct reader *r, char c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static bool skip_space(struct reader *r)
{
    const char *from = r->at;
    while (r->at < r->end && is_class(*r->at, SPACE))
        r->at++;
    return r->at > from;
}

static bool take_name(struct reader *r, struct str *ret)
{
    const char *from = r->at;
    if (from == r->end || !is_class(*from, NAME_FIRST))
        return false;
    while (r->at < r->end && is_class(*r->at, NAME_NEXT))
        r->at++;
    *ret = (struct str){from, (size_t)(r->at - from)};
    return r->at < r->end && *r->at != ':';
}

/* --- runs of characters that stand for themselves --- */

typedef int8_t block16 __attribute__((vector_size(16)));

/* The index of the first byte that is set in sixteen, which are 0 or -1; 16 when none is. */
static inline size_t first_set(block16 found)
{
    uint64_t halves[2];
    memcpy(halves, &found, sizeof halves);
    if (halves[0])
        return (size_t)__builtin_ctzll(le64toh(halves[0])) / 8;
    return halves[1] ? 8 + (size_t)__builtin_ctzll(le64toh(halves[1])) / 8 : 16;
}

/* Where a run may end: control characters, everything above ASCII (both are "less than a space"),
 * & < > and these two. `<` and `>` differ in bit 1 only. */
static inline bool may_end(char c, char quote, char other)
{
    return (int8_t)c < 0x20 || (c | 2) == '>' || c == '&' || c == quote || c == other;
}

static inline const char *run_end(const char *at, const char *end, char quote, char other)
{
    for (; end - at >= 16; at += 16) {
        block16 v;
        memcpy(&v, at, sizeof v);
        block16 found = (block16)(v < 0x20) | (block16)((v | 2) == '>') | (block16)(v == '&') |
                        (block16)(v == quote) | (block16)(v == other);
        size_t first = first_set(found);
        if (first < 16)
            return at + first;
    }
    while (at < end && !may_end(*at, quote, other))
        at++;
    return at;
}

/* Characters above ASCII, all that follow each other. U+FFFE and U+FFFF are no characters of XML
 * (XML 1.0 section 2.2). */
static bool skip_wide(struct reader *r)
{
    const char *from = r->at;
    struct utf8 state = {0};
    while (r->at < r->end && (uint8_t)*r->at >= 0x80)
        r->at++;
    size_t len = (size_t)(r->at - from);
    if (utf8_check(&state, from, len) < len || state.missing)
        return false;
    while ((from = memchr(from, 0xEF, (size_t)(r->at - from))) != NULL) {
        if ((uint8_t)from[1] == 0xBF && (uint8_t)from[2] >= 0xBE)
            return false;
        from += 3;
    }
    return true;
}

/* --- start tags --- */

/* In quotes, and such that it stands the same way in single quotes. */
static bool take_value(struct reader *r, struct str *ret)
{
    char quote = r->at < r->end ? *r->at : '\0';
    if (quote != '\'' && quote != '"')
        return false;
    const char *from = ++r->at;
    for (;;) {
        r->at = run_end(r->at, r->end, quote, '\'');
        if (r->at == r->end)
            return false;
        if (*r->at == quote)
            break;
        if ((uint8_t)*r->at < 0x80 || !skip_wide(r))
            return false;
    }
    *ret = (struct str){from, (size_t)(r->at++ - from)};
    return true;
}

/* What expat refuses, or the stream's parser looks at more closely. */
static bool is_usual_ns(struct str ns)
{
    for (size_t i = 0; i < ns.len; i++) {
        if ((uint8_t)ns.data[i] >= 0x80)
            return false;
    }
    return !str_starts(ns, STR("http://www.w3.org/XML/")) &&
           !str_starts(ns, STR("http://www.w3.org/2000/xmlns")) &&
           !str_eq(ns, STR(PLAIN_NS_STREAMS));
}

static bool is_declaration(struct str name)
{
    return str_eq(name, STR("xmlns"));
}

static bool is_new(const struct str *names, uint32_t count, struct str name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (str_eq(names[i], name))
            return false;
    }
    return true;
}

/* One attribute behind its white space; the declaration of a namespace is one only at the front. */
static bool take_attr(struct reader *r, struct str *names, uint32_t *count)
{
    struct str name, value;
    bool lang = r->end - r->at > 8 && memcmp(r->at, "xml:lang", 8) == 0;
    if (lang) {
        name = (struct str){r->at, 8};
        r->at += 8;
    } else if (!take_name(r, &name)) {
        return false;
    }
    if (!take(r, '=') || !take_value(r, &value) || is_declaration(name) ||
        *count == r->limits->attributes || *count == ATTRIBUTES_MAX || !is_new(names, *count, name))
        return false;
    names[(*count)++] = name;
    if (lang)
        block_attr_ns(r->w, STR("lang"), STR(BLOCK_NS_XML), value);
    else
        block_attr_clean(r->w, name, value);
    return true;
}

/* "xmlns=..." behind white space; STR_NULL when something else comes. */
static bool take_ns(struct reader *r, struct str *ret)
{
    *ret = STR_NULL;
    if (r->end - r->at < 6 || memcmp(r->at, "xmlns=", 6) != 0)
        return true;
    r->at += 6;
    return r->limits->namespaces > 0 && take_value(r, ret) && is_usual_ns(*ret);
}

static bool take_start(struct reader *r, struct str ns)
{
    struct str names[ATTRIBUTES_MAX], name;
    uint32_t count = 0;
    if (r->depth + 1 > r->limits->depth || r->w->element_count > r->limits->children ||
        !take_name(r, &name))
        return false;
    bool space = skip_space(r);
    struct str declared;
    if (space && !take_ns(r, &declared))
        return false;
    if (space && declared.data) {
        ns = declared;
        space = skip_space(r);
    }
    block_open(r->w, name, ns);
    r->depth++;
    while (r->at < r->end && *r->at != '>' && *r->at != '/') {
        if (!space || !take_attr(r, names, &count))
            return false;
        space = skip_space(r);
    }
    if (take(r, '/')) {
        block_close(r->w);
        r->depth--;
    }
    return take(r, '>');
}

/* --- what is in an element --- */

static bool take_end(struct reader *r)
{
    struct str name = block_open_name(r->w);
    if ((size_t)(r->end - r->at) < name.len || memcmp(r->at, name.data, name.len) != 0)
        return false;
    r->at += name.len;
    skip_space(r);
    block_close(r->w);
    r->depth--;
    return take(r, '>');
}

static bool take_reference(struct reader *r)
{
    static const struct {
        struct str text;
        const char *c;
    } known[] = {
        {{"&amp;", 5}, "&"},  {{"&lt;", 4}, "<"},    {{"&gt;", 4}, ">"},
        {{"&apos;", 6}, "'"}, {{"&quot;", 6}, "\""},
    };
    struct str rest = {r->at, (size_t)(r->end - r->at)};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (str_starts(rest, known[i].text)) {
            r->at += known[i].text.len;
            block_text(r->w, (struct str){known[i].c, 1});
            return true;
        }
    }
    return false;
}

/* Up to the next tag. A bare '>' could end "]]>", and CR would become LF. */
static bool take_text(struct reader *r)
{
    const char *from = r->at;
    for (;;) {
        r->at = run_end(r->at, r->end, '&', '&');
        if (r->at == r->end)
            return false;
        char c = *r->at;
        if (c == '<' || c == '&') {
            block_text_clean(r->w, (struct str){from, (size_t)(r->at - from)});
            if (c == '<')
                return true;
            if (!take_reference(r))
                return false;
            from = r->at;
        } else if ((uint8_t)c >= 0x80) {
            if (!skip_wide(r))
                return false;
        } else if (c == '\t' || c == '\n') {
            r->at++;
        } else {
            return false;
        }
    }
}

size_t plain_read(struct block_writer *w, struct str bytes, struct str ns,
                  const struct parser_limits *limits)
{
    struct reader r = {w, bytes.data, bytes.data + bytes.len, limits, 0};
    bool good = is_usual_ns(ns) && take(&r, '<') && take_start(&r, ns);
    while (good && r.depth > 0) {
        if (!take(&r, '<'))
            good = take_text(&r);
        else if (take(&r, '/'))
            good = take_end(&r);
        else
            good = take_start(&r, STR_NULL);
    }
    if (good)
        return (size_t)(r.at - bytes.data);
    block_writer_reset(w);
    return 0;
}
