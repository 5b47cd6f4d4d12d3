/* Builder: the block writer for code that makes stanzas. Texts from outside the XML world (a
 * database, a form) may hold what XML cannot; such bytes become U+FFFD here, so that no stanza of
 * ours ever breaks its receiver's stream. */
#include "xml/builder.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "xml/block.h"
#include "xml/utf8.h"

/* One malloc'ed piece of about 1 KB serves most stanzas. */
struct builder {
    struct block_writer writer;
    char memory[912] __attribute__((aligned(16)));
};

struct builder *builder_create(struct str name, struct str ns)
{
    struct builder *b = mem_realloc(NULL, sizeof *b);
    block_writer_init_with(&b->writer, b->memory, sizeof b->memory);
    block_open(&b->writer, name, ns);
    return b;
}

struct builder *builder_create_like(const struct stanza *s)
{
    struct builder *b = builder_create(stanza_name(s, STANZA_ROOT), stanza_ns(s, STANZA_ROOT));
    uint32_t count = stanza_attr_count(s, STANZA_ROOT);
    for (uint32_t i = 0; i < count; i++) {
        struct str name, ns, value;
        stanza_attr_at(s, STANZA_ROOT, i, &name, &ns, &value);
        if (ns.len)
            block_attr_ns(&b->writer, name, ns, value);
        else
            block_attr(&b->writer, name, value);
    }
    return b;
}

void builder_destroy(struct builder *b)
{
    if (b) {
        block_writer_finish(&b->writer);
        free(b);
    }
}

/* Eight bytes of ASCII without control characters. */
static bool printable_word(const char *bytes)
{
    uint64_t v;
    memcpy(&v, bytes, sizeof v);
    return ((v | (v - 0x2020202020202020ull)) & 0x8080808080808080ull) == 0;
}

/* Bytes at the start of `s` that are XML characters; whole characters only. XML 1.0 section 2.2. */
static size_t good_chars(struct str s)
{
    struct utf8 u = {0};
    size_t start = 0; /* of the character under way */
    for (size_t i = 0; i < s.len; i++) {
        while (u.missing == 0 && s.len - i > 8 && printable_word(s.data + i))
            i += 8;
        unsigned char c = (unsigned char)s.data[i];
        if (u.missing == 0)
            start = i;
        if (c < 0x20 && c != '\t' && c != '\n' && c != '\r')
            return start;
        if (c >= 0x80 || u.missing > 0) {
            if (utf8_check(&u, s.data + i, 1) == 0)
                return start;
            if (i == start + 2 && u.missing == 0 && memcmp(s.data + start, "\xEF\xBF", 2) == 0 &&
                c >= 0xBE)
                return start; /* U+FFFE and U+FFFF */
        }
    }
    return u.missing > 0 ? start : s.len;
}

bool builder_text_ok(struct str text)
{
    return good_chars(text) == text.len;
}

/* A copy of `s` in `out` with U+FFFD for every byte that is not (part of) an XML character. */
static void mend(struct buffer *out, struct str s)
{
    buffer_init(out, 3 * s.len);
    while (s.len > 0) {
        size_t good = good_chars(s);
        buffer_add(out, s.data, good);
        if (good == s.len)
            break;
        buffer_add_str(out, STR("\xEF\xBF\xBD"));
        s.data += good + 1;
        s.len -= good + 1;
    }
}

void builder_start(struct builder *b, struct str name, struct str ns)
{
    block_open(&b->writer, name, ns);
}

/* Whether the start tag being written has that attribute already: twice would not be well-formed.
 */
static bool has_attr(const struct block_writer *w, struct str name, struct str ns)
{
    const struct block_element *e = (const void *)w->elements.data;
    const struct block_attr *attrs = (const void *)w->attrs.data;
    for (uint32_t i = e[w->open].attrs; i < w->attr_count; i++) {
        if (str_eq(block_writer_view(w, attrs[i].name), name) &&
            str_eq(block_writer_view(w, attrs[i].ns), ns))
            return true;
    }
    return false;
}

static void add_attr(struct builder *b, struct str name, struct str ns, struct str value)
{
    if (b->writer.in_tag && has_attr(&b->writer, name, ns))
        return;
    if (ns.len > 0)
        block_attr_ns(&b->writer, name, ns, value);
    else
        block_attr(&b->writer, name, value);
}

void builder_attr_ns(struct builder *b, struct str name, struct str ns, struct str value)
{
    if (value.data == NULL)
        return;
    if (builder_text_ok(value)) {
        add_attr(b, name, ns, value);
        return;
    }
    struct buffer mended;
    mend(&mended, value);
    add_attr(b, name, ns, buffer_str(&mended));
    buffer_finish(&mended);
}

void builder_attr(struct builder *b, struct str name, struct str value)
{
    builder_attr_ns(b, name, STR(""), value);
}

void builder_attr_u64(struct builder *b, struct str name, uint64_t value)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    add_attr(b, name, STR(""), (struct str){digits, (size_t)len});
}

void builder_lang(struct builder *b, struct str value)
{
    builder_attr_ns(b, STR("lang"), STR(BLOCK_NS_XML), value);
}

void builder_text(struct builder *b, struct str text)
{
    if (builder_text_ok(text)) {
        block_text(&b->writer, text);
        return;
    }
    struct buffer mended;
    mend(&mended, text);
    block_text(&b->writer, buffer_str(&mended));
    buffer_finish(&mended);
}

void builder_end(struct builder *b)
{
    block_close(&b->writer);
}

void builder_leaf(struct builder *b, struct str name, struct str ns, struct str text)
{
    builder_start(b, name, ns);
    builder_text(b, text);
    builder_end(b);
}

void builder_copy(struct builder *b, const struct stanza *from, stanza_el el)
{
    block_copy(&b->writer, from, el);
}

void builder_copy_inner(struct builder *b, const struct stanza *from, stanza_el el)
{
    block_copy_inner(&b->writer, from, el);
}

struct stanza *builder_finish(struct builder *b)
{
    while (b->writer.open != STANZA_NONE)
        block_close(&b->writer);
    struct stanza *s = block_take(&b->writer);
    builder_destroy(b);
    return s;
}

static bool add_escaped(struct buffer *out, enum escape_kind kind, struct str s)
{
    size_t size = escape_size(kind, s);
    char *to = buffer_reserve(out, size);
    if (!to)
        return false;
    escape_put(kind, s, to);
    buffer_commit(out, size);
    return true;
}

bool builder_escape_text(struct buffer *out, struct str text)
{
    return add_escaped(out, ESCAPE_TEXT, text);
}

bool builder_escape_attr(struct buffer *out, struct str value)
{
    return add_escaped(out, ESCAPE_ATTR, value);
}

void builder_write_attr(struct buffer *out, const char *name, struct str value)
{
    if (!value.data)
        return;
    buffer_add_char(out, ' ');
    buffer_add_str(out, str_of(name));
    buffer_add_str(out, STR("='"));
    builder_escape_attr(out, value);
    buffer_add_char(out, '\'');
}
