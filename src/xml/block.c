/* Block writer: canonical bytes and index grow side by side in four areas that are reused from
 * stanza to stanza; block_take copies them into one allocation of the exact size.
 */
#include "xml/block.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"

enum { AREA_FIRST = 512, AREA_KEEP = 16 * 1024 };

static struct block_element *element_at(const struct block_writer *w, uint32_t i)
{
    return (struct block_element *)(void *)w->elements.data + i;
}

static struct block_attr *attr_at(const struct block_writer *w, uint32_t i)
{
    return (struct block_attr *)(void *)w->attrs.data + i;
}

/* A wrong sequence of calls is a bug of ours, never of a peer. */
static void require(bool right, const char *what)
{
    if (!right) {
        fprintf(stderr, "jackdaw: bug in the caller of xml/builder: %s\n", what);
        abort();
    }
}

void block_grow(struct block_area *area, size_t len)
{
    require(len < BLOCK_MAX - area->len, "a stanza of more than 1 GB");
    size_t cap = area->cap ? area->cap : AREA_FIRST;
    while (cap - area->len < len)
        cap *= 2;
    char *old = area->borrowed ? NULL : area->data;
    char *grown = mem_realloc(old, cap);
    if (area->borrowed)
        memcpy(grown, area->data, area->len);
    *area = (struct block_area){grown, area->len, (uint32_t)cap, false};
}

static void area_add(struct block_area *area, const char *bytes, size_t len)
{
    memcpy(block_reserve(area, len), bytes, len);
    area->len += (uint32_t)len;
}

static void area_reset(struct block_area *area)
{
    area->len = 0;
    if (area->cap > AREA_KEEP) {
        free(area->data);
        *area = (struct block_area){0};
    }
}

void block_writer_init(struct block_writer *w)
{
    *w = (struct block_writer){.open = STANZA_NONE};
}

void block_writer_init_with(struct block_writer *w, char *memory, size_t size)
{
    block_writer_init(w);
    /* Typical stanzas: a third is text, and an attribute takes half the room of an element. */
    uint32_t part = (uint32_t)(size / 16) & ~15u;
    uint32_t attrs = part * 4, side = part, elements = part * 5;
    w->attrs = (struct block_area){memory, 0, attrs, true};
    w->elements = (struct block_area){memory + attrs, 0, elements, true};
    w->side = (struct block_area){memory + attrs + elements, 0, side, true};
    w->bytes =
        (struct block_area){w->side.data + side, 0, (uint32_t)size - attrs - elements - side, true};
}

static void area_finish(struct block_area *area)
{
    if (!area->borrowed)
        free(area->data);
    *area = (struct block_area){0};
}

void block_writer_finish(struct block_writer *w)
{
    area_finish(&w->bytes);
    area_finish(&w->side);
    area_finish(&w->elements);
    area_finish(&w->attrs);
}

void block_writer_reset(struct block_writer *w)
{
    area_reset(&w->bytes);
    area_reset(&w->side);
    area_reset(&w->elements);
    area_reset(&w->attrs);
    w->element_count = w->attr_count = 0;
    w->open = STANZA_NONE;
    w->in_tag = false;
}

struct block_element *block_new_element(struct block_writer *w)
{
    struct block_element *e = (void *)block_reserve(&w->elements, sizeof *e);
    w->elements.len += (uint32_t)sizeof *e;
    w->element_count++;
    return e;
}

struct block_attr *block_new_attr(struct block_writer *w)
{
    struct block_attr *a = (void *)block_reserve(&w->attrs, sizeof *a);
    w->attrs.len += (uint32_t)sizeof *a;
    w->attr_count++;
    return a;
}

struct block_ref block_side_put(struct block_writer *w, struct str s)
{
    struct block_ref ref = {w->side.len | BLOCK_SIDE, (uint32_t)s.len};
    if (s.len > 0)
        area_add(&w->side, s.data, s.len);
    return ref;
}

struct str block_writer_view(const struct block_writer *w, struct block_ref ref)
{
    const char *base = ref.at & BLOCK_SIDE ? w->side.data : w->bytes.data;
    return ref.len > 0 ? (struct str){base + (ref.at & ~BLOCK_SIDE), ref.len} : STR("");
}

/* What an attribute's value takes escaped. */
static size_t value_size(struct str s)
{
    return escape_clean(ESCAPE_ATTR, s) < s.len ? escape_size(ESCAPE_ATTR, s) : s.len;
}

/* Appends escaped to `size` bytes, for which there is room; the view is of the canonical bytes when
 * they are the same, else of a copy in the side area. */
static struct block_ref append_value(struct block_writer *w, struct str s, size_t size)
{
    char *out = w->bytes.data + w->bytes.len;
    struct block_ref ref = {w->bytes.len, (uint32_t)s.len};
    w->bytes.len += (uint32_t)size;
    if (size == s.len) {
        if (s.len > 0)
            memcpy(out, s.data, s.len);
        return ref;
    }
    escape_put(ESCAPE_ATTR, s, out);
    return block_side_put(w, s);
}

static struct block_ref put_value(struct block_writer *w, struct str s)
{
    size_t size = value_size(s);
    block_reserve(&w->bytes, size);
    return append_value(w, s, size);
}

static struct block_ref put_plain(struct block_writer *w, struct str s)
{
    struct block_ref ref = {w->bytes.len, (uint32_t)s.len};
    area_add(&w->bytes, s.data, s.len);
    return ref;
}

#define PUT_LITERAL(w, literal) area_add(&(w)->bytes, literal, sizeof(literal) - 1)

void block_end_tag(struct block_writer *w)
{
    if (w->in_tag) {
        PUT_LITERAL(w, ">");
        element_at(w, w->open)->inner = w->bytes.len;
        w->in_tag = false;
    }
}

/* The parent keeps its last child in `next` until it is closed itself. */
static void link_child(struct block_writer *w, uint32_t child)
{
    struct block_element *parent = element_at(w, w->open);
    if (parent->next != STANZA_NONE)
        element_at(w, parent->next)->next = child;
    parent->next = child;
    parent->children++;
}

void block_open(struct block_writer *w, struct str name, struct str ns)
{
    require(w->open != STANZA_NONE || w->element_count == 0, "a second root element");
    block_end_tag(w);
    uint32_t index = w->element_count;
    struct block_element *e = block_new_element(w);
    *e = (struct block_element){
        .parent = w->open, .next = STANZA_NONE, .attrs = w->attr_count, .start = w->bytes.len};
    PUT_LITERAL(w, "<");
    e->name = put_plain(w, name);
    if (w->open == STANZA_NONE) {
        e->ns = block_side_put(w, ns);
    } else {
        link_child(w, index);
        struct block_ref inherited = element_at(w, w->open)->ns;
        if (ns.data == NULL || str_eq(ns, block_writer_view(w, inherited))) {
            e->ns = inherited;
        } else {
            PUT_LITERAL(w, " xmlns='");
            e->ns = put_value(w, ns);
            PUT_LITERAL(w, "'");
        }
    }
    w->open = index;
    w->in_tag = true;
    w->prefixes = 0;
}

struct str block_open_name(const struct block_writer *w)
{
    return block_writer_view(w, element_at(w, w->open)->name);
}

static struct block_attr *start_attr(struct block_writer *w)
{
    require(w->in_tag, "an attribute after text or children");
    struct block_attr *a = block_new_attr(w);
    *a = (struct block_attr){.raw = w->bytes.len};
    element_at(w, w->open)->attr_count++;
    return a;
}

/* `size` is what the value takes escaped. */
static void put_attr_value(struct block_writer *w, struct block_attr *a, struct str name,
                           struct str value, size_t size)
{
    char *out = block_reserve(&w->bytes, name.len + size + 3);
    a->name = (struct block_ref){w->bytes.len, (uint32_t)name.len};
    memcpy(out, name.data, name.len);
    out[name.len] = '=';
    out[name.len + 1] = '\'';
    w->bytes.len += (uint32_t)name.len + 2;
    a->value = append_value(w, value, size);
    w->bytes.data[w->bytes.len++] = '\'';
    a->raw_len = w->bytes.len - a->raw;
}

static void reverse(char *from, char *to)
{
    while (from < to) {
        char c = *from;
        *from++ = *--to;
        *to = c;
    }
}

static void shift(struct block_ref *ref, uint32_t by)
{
    if (!(ref->at & BLOCK_SIDE))
        ref->at += by; /* modulo 2^32: also backwards */
}

static void shift_attr(struct block_attr *a, uint32_t by)
{
    shift(&a->name, by);
    shift(&a->ns, by);
    shift(&a->value, by);
    a->raw += by;
}

/* Moves the plain attribute just written in front of the namespaced ones. */
static void sort_attr(struct block_writer *w)
{
    uint32_t last = w->attr_count - 1, first = last;
    uint32_t lowest = element_at(w, w->open)->attrs;
    while (first > lowest && attr_at(w, first - 1)->ns.len > 0)
        first--;
    if (first == last)
        return;
    struct block_attr moved = *attr_at(w, last);
    uint32_t begin = attr_at(w, first)->raw;
    char *bytes = w->bytes.data;
    reverse(bytes + begin, bytes + moved.raw);
    reverse(bytes + moved.raw, bytes + w->bytes.len);
    reverse(bytes + begin, bytes + w->bytes.len);
    for (uint32_t i = last; i > first; i--) {
        *attr_at(w, i) = *attr_at(w, i - 1);
        shift_attr(attr_at(w, i), moved.raw_len);
    }
    shift_attr(&moved, begin - moved.raw);
    *attr_at(w, first) = moved;
}

static void put_attr(struct block_writer *w, struct str name, struct str value, size_t size)
{
    struct block_attr *a = start_attr(w);
    PUT_LITERAL(w, " ");
    put_attr_value(w, a, name, value, size);
    sort_attr(w);
}

void block_attr(struct block_writer *w, struct str name, struct str value)
{
    put_attr(w, name, value, value_size(value));
}

void block_attr_clean(struct block_writer *w, struct str name, struct str value)
{
    put_attr(w, name, value, value.len);
}

/* An attribute of the open element in this namespace, or NULL. */
static const struct block_attr *same_ns(const struct block_writer *w, struct str ns)
{
    const struct block_element *e = element_at(w, w->open);
    for (uint32_t i = e->attrs; i + 1 < w->attr_count; i++) {
        if (attr_at(w, i)->ns.len > 0 && str_eq(block_writer_view(w, attr_at(w, i)->ns), ns))
            return attr_at(w, i);
    }
    return NULL;
}

/* Writes " nsN:" with the N of an attribute that has the namespace already. */
static void put_prefix_of(struct block_writer *w, const struct block_attr *a)
{
    uint32_t from = a->name.at;
    while (w->bytes.data[from] != ' ')
        from--;
    uint32_t len = a->name.at - from;
    char *out = block_reserve(&w->bytes, len);
    memcpy(out, w->bytes.data + from, len);
    w->bytes.len += len;
}

void block_attr_ns(struct block_writer *w, struct str name, struct str ns, struct str value)
{
    struct block_attr *a = start_attr(w);
    const struct block_attr *other = same_ns(w, ns);
    if (other) {
        a->ns = other->ns;
        put_prefix_of(w, other);
    } else if (str_eq(ns, STR(BLOCK_NS_XML))) {
        a->ns = block_side_put(w, ns);
        PUT_LITERAL(w, " xml:");
    } else {
        char prefix[16];
        int len = snprintf(prefix, sizeof prefix, "ns%u", w->prefixes++);
        PUT_LITERAL(w, " xmlns:");
        area_add(&w->bytes, prefix, (size_t)len);
        PUT_LITERAL(w, "='");
        a->ns = put_value(w, ns);
        PUT_LITERAL(w, "' ");
        area_add(&w->bytes, prefix, (size_t)len);
        PUT_LITERAL(w, ":");
    }
    put_attr_value(w, a, name, value, value_size(value));
}

/* Notes that canonical text lies at [at, end of bytes). */
static void index_text(struct block_writer *w, uint32_t at, bool escaped)
{
    struct block_ref *text = &element_at(w, w->open)->text;
    if (text->len == 0)
        text->at = at;
    else if (text->at + text->len != at)
        text->at |= BLOCK_SIDE;
    if (escaped)
        text->at |= BLOCK_SIDE;
    text->len += w->bytes.len - at;
}

void block_text_clean(struct block_writer *w, struct str text)
{
    require(w->open != STANZA_NONE, "text outside an element");
    if (text.len == 0)
        return;
    block_end_tag(w);
    uint32_t at = w->bytes.len;
    area_add(&w->bytes, text.data, text.len);
    index_text(w, at, false);
}

void block_text(struct block_writer *w, struct str text)
{
    if (escape_clean(ESCAPE_TEXT, text) == text.len) {
        block_text_clean(w, text);
        return;
    }
    require(w->open != STANZA_NONE, "text outside an element");
    block_end_tag(w);
    uint32_t at = w->bytes.len;
    size_t size = escape_size(ESCAPE_TEXT, text);
    escape_put(ESCAPE_TEXT, text, block_reserve(&w->bytes, size));
    w->bytes.len += (uint32_t)size;
    index_text(w, at, true);
}

void block_text_raw(struct block_writer *w, struct str canonical)
{
    if (canonical.len == 0)
        return;
    block_end_tag(w);
    uint32_t at = w->bytes.len;
    area_add(&w->bytes, canonical.data, canonical.len);
    index_text(w, at, memchr(canonical.data, '&', canonical.len) != NULL);
}

/* Joins the text between the children of a closed element in the side area. */
static struct block_ref collect_text(struct block_writer *w, uint32_t index)
{
    const struct block_element *e = element_at(w, index);
    char *begin = block_reserve(&w->side, e->text.len), *out = begin;
    uint32_t at = e->inner;
    uint32_t child = e->children > 0 ? index + 1 : STANZA_NONE;
    for (; child != STANZA_NONE; child = element_at(w, child)->next) {
        const struct block_element *c = element_at(w, child);
        out = escape_undo((struct str){w->bytes.data + at, c->start - at}, out);
        at = block_end(c);
    }
    out = escape_undo((struct str){w->bytes.data + at, e->inner_end - at}, out);
    struct block_ref ref = {w->side.len | BLOCK_SIDE, (uint32_t)(out - begin)};
    w->side.len += ref.len;
    return ref;
}

void block_close(struct block_writer *w)
{
    require(w->open != STANZA_NONE, "an end without a start");
    uint32_t index = w->open;
    struct block_element *e = element_at(w, index);
    e->next = STANZA_NONE;
    if (w->in_tag) {
        e->inner = e->inner_end = w->bytes.len;
        PUT_LITERAL(w, "/>");
        w->in_tag = false;
    } else {
        e->inner_end = w->bytes.len;
        uint32_t name = e->name.len;
        char *out = block_reserve(&w->bytes, name + 3);
        out[0] = '<';
        out[1] = '/';
        memcpy(out + 2, w->bytes.data + e->name.at, name);
        out[name + 2] = '>';
        w->bytes.len += name + 3;
    }
    if (e->text.at & BLOCK_SIDE)
        e->text = collect_text(w, index);
    w->open = e->parent;
}

struct stanza *block_take(struct block_writer *w)
{
    require(w->open == STANZA_NONE && w->element_count > 0, "an unfinished stanza");
    struct stanza *s =
        mem_realloc(NULL, sizeof *s + w->elements.len + w->attrs.len + w->bytes.len + w->side.len);
    char *elements = (char *)(s + 1);
    char *attrs = elements + w->elements.len;
    char *bytes = attrs + w->attrs.len;
    *s = (struct stanza){.refs = 1,
                         .element_count = w->element_count,
                         .attr_count = w->attr_count,
                         .len = w->bytes.len,
                         .elements = (void *)elements,
                         .attrs = (void *)attrs,
                         .bytes = bytes};
    memcpy(elements, w->elements.data, w->elements.len);
    if (w->attrs.len > 0)
        memcpy(attrs, w->attrs.data, w->attrs.len);
    memcpy(bytes, w->bytes.data, w->bytes.len);
    if (w->side.len > 0)
        memcpy(bytes + w->bytes.len, w->side.data, w->side.len);
    block_writer_reset(w);
    return s;
}
