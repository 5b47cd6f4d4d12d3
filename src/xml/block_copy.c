/* Block copies: elements of a finished stanza into one being written. Start tags are written anew
 * (whether xmlns is due depends on the new parent); what lies inside an element is copied as bytes,
 * and its index with offsets moved. */
#include "xml/block.h"

static void copy_attrs(struct block_writer *w, const struct stanza *from, stanza_el el)
{
    const struct block_element *e = &from->elements[el];
    for (uint32_t i = e->attrs; i < e->attrs + e->attr_count; i++) {
        const struct block_attr *a = &from->attrs[i];
        if (a->ns.len > 0)
            block_attr_ns(w, block_view(from, a->name), block_view(from, a->ns),
                          block_view(from, a->value));
        else
            block_attr(w, block_view(from, a->name), block_view(from, a->value));
    }
}

static struct block_element *target(const struct block_writer *w, uint32_t i)
{
    return (struct block_element *)(void *)w->elements.data + i;
}

/* One past the last descendant of `el`. */
static uint32_t subtree_end(const struct stanza *from, stanza_el el)
{
    for (; el != STANZA_NONE; el = from->elements[el].parent) {
        if (from->elements[el].next != STANZA_NONE)
            return from->elements[el].next;
    }
    return from->element_count;
}

struct move {
    struct block_writer *w;
    const struct stanza *from;
    uint32_t shift; /* of canonical offsets, modulo 2^32 */
};

/* A view within the bytes that were copied, or in the old side area, becomes one of the new block.
 */
static struct block_ref moved(const struct move *m, struct block_ref ref)
{
    if (ref.at & BLOCK_SIDE)
        return block_side_put(m->w, block_view(m->from, ref));
    return (struct block_ref){ref.at + m->shift, ref.len};
}

static void move_attrs(const struct move *m, const struct block_element *e)
{
    for (uint32_t i = e->attrs; i < e->attrs + e->attr_count; i++) {
        const struct block_attr *old = &m->from->attrs[i];
        struct block_attr *a = block_new_attr(m->w);
        *a = (struct block_attr){.name = moved(m, old->name),
                                 .ns = moved(m, old->ns),
                                 .value = moved(m, old->value),
                                 .raw = old->raw + m->shift,
                                 .raw_len = old->raw_len};
    }
}

/* Element `el` below `top`, whose copy is the open element `into`; `first` is where top's first
 * child went. */
static void move_element(const struct move *m, stanza_el top, stanza_el el, uint32_t into,
                         uint32_t first)
{
    const struct block_element *old = &m->from->elements[el];
    const struct block_element *old_parent = &m->from->elements[old->parent];
    uint32_t offset = first - (top + 1);
    uint32_t parent = old->parent == top ? into : old->parent + offset;
    bool inherits = old->ns.at == old_parent->ns.at && old->ns.len == old_parent->ns.len;
    uint32_t attrs = m->w->attr_count;
    move_attrs(m, old);
    struct block_element *e = block_new_element(m->w);
    *e = *old;
    e->name = moved(m, old->name);
    e->ns = inherits ? target(m->w, parent)->ns : moved(m, old->ns);
    e->text = moved(m, old->text);
    e->parent = parent;
    e->next = old->next == STANZA_NONE ? STANZA_NONE : old->next + offset;
    e->attrs = attrs;
    e->start += m->shift;
    e->inner += m->shift;
    e->inner_end += m->shift;
}

/* The text of the open element after bytes of `el` were copied into it: block_close joins it unless
 * it is in one piece. */
static void move_text(const struct move *m, stanza_el el)
{
    struct block_ref old = m->from->elements[el].text;
    struct block_ref *text = &target(m->w, m->w->open)->text;
    if (old.len == 0)
        return;
    if (text->len > 0 || (old.at & BLOCK_SIDE))
        *text = (struct block_ref){BLOCK_SIDE, 0};
    else
        *text = (struct block_ref){old.at + m->shift, old.len};
    if (text->at & BLOCK_SIDE) /* an upper bound is what block_close needs */
        text->len = m->w->bytes.len - target(m->w, m->w->open)->inner;
}

/* For an open element in the namespace of `el`. */
static void copy_bytes(struct block_writer *w, const struct stanza *from, stanza_el el)
{
    const struct block_element *e = &from->elements[el];
    uint32_t len = e->inner_end - e->inner;
    if (len == 0)
        return;
    block_end_tag(w);
    struct move m = {w, from, w->bytes.len - e->inner};
    memcpy(block_reserve(&w->bytes, len), from->bytes + e->inner, len);
    w->bytes.len += len;
    move_text(&m, el);

    uint32_t first = w->element_count, last = STANZA_NONE;
    uint32_t end = subtree_end(from, el);
    for (uint32_t i = el + 1; i < end; i++) {
        if (from->elements[i].parent == el)
            last = w->element_count;
        move_element(&m, el, i, w->open, first);
    }
    if (last != STANZA_NONE) {
        struct block_element *open = target(w, w->open);
        if (open->next != STANZA_NONE)
            target(w, open->next)->next = first;
        open->next = last;
        open->children += e->children;
    }
}

void block_copy_into_ns(struct block_writer *w, const struct stanza *from, stanza_el el,
                        struct str ns)
{
    block_open(w, block_view(from, from->elements[el].name), ns);
    copy_attrs(w, from, el);
    copy_bytes(w, from, el);
    block_close(w);
}

void block_copy_with_lang(struct block_writer *w, const struct stanza *from, stanza_el el,
                          struct str lang)
{
    const struct block_element *e = &from->elements[el];
    block_open(w, block_view(from, e->name), block_view(from, e->ns));
    copy_attrs(w, from, el);
    block_attr_ns(w, STR("lang"), STR(BLOCK_NS_XML), lang);
    copy_bytes(w, from, el);
    block_close(w);
}

void block_copy(struct block_writer *w, const struct stanza *from, stanza_el el)
{
    block_copy_into_ns(w, from, el, block_view(from, from->elements[el].ns));
}

void block_copy_inner(struct block_writer *w, const struct stanza *from, stanza_el el)
{
    const struct block_element *e = &from->elements[el];
    if (str_eq(block_writer_view(w, target(w, w->open)->ns), block_view(from, e->ns))) {
        copy_bytes(w, from, el);
        return;
    }
    uint32_t at = e->inner;
    uint32_t child = e->children > 0 ? el + 1 : STANZA_NONE;
    for (; child != STANZA_NONE; child = from->elements[child].next) {
        const struct block_element *c = &from->elements[child];
        block_text_raw(w, (struct str){from->bytes + at, c->start - at});
        block_copy(w, from, child);
        at = block_end(c);
    }
    block_text_raw(w, (struct str){from->bytes + at, e->inner_end - at});
}
