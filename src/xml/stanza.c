/* Stanza: look-ups in a finished block. The index is small arrays; a stanza has few elements and
 * few attributes, so walking them is faster than any table. */
#include "xml/stanza.h"
#include <stdlib.h>
#include "xml/block.h"

struct stanza *stanza_ref(struct stanza *s)
{
    __atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
    return s;
}

void stanza_unref(struct stanza *s)
{
    if (s && __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) == 0)
        free(s);
}

struct str stanza_name(const struct stanza *s, stanza_el el)
{
    return block_view(s, s->elements[el].name);
}

struct str stanza_ns(const struct stanza *s, stanza_el el)
{
    return block_view(s, s->elements[el].ns);
}

bool stanza_is(const struct stanza *s, stanza_el el, struct str name, struct str ns)
{
    return (name.data == NULL || str_eq(stanza_name(s, el), name)) &&
           (ns.data == NULL || str_eq(stanza_ns(s, el), ns));
}

stanza_el stanza_parent(const struct stanza *s, stanza_el el)
{
    return s->elements[el].parent;
}

stanza_el stanza_first(const struct stanza *s, stanza_el el)
{
    return s->elements[el].children > 0 ? el + 1 : STANZA_NONE;
}

stanza_el stanza_next(const struct stanza *s, stanza_el el)
{
    return s->elements[el].next;
}

stanza_el stanza_child(const struct stanza *s, stanza_el el, struct str name, struct str ns)
{
    stanza_el child = stanza_first(s, el);
    while (child != STANZA_NONE && !stanza_is(s, child, name, ns))
        child = stanza_next(s, child);
    return child;
}

uint32_t stanza_count(const struct stanza *s)
{
    return s->element_count;
}

uint32_t stanza_children(const struct stanza *s, stanza_el el)
{
    return s->elements[el].children;
}

struct str stanza_attr_ns(const struct stanza *s, stanza_el el, struct str name, struct str ns)
{
    const struct block_element *e = &s->elements[el];
    const struct block_attr *a = s->attrs + e->attrs, *end = a + e->attr_count;
    for (; a < end; a++) {
        if (a->ns.len == ns.len && str_eq(block_view(s, a->name), name) &&
            str_eq(block_view(s, a->ns), ns))
            return block_view(s, a->value);
    }
    return STR_NULL;
}

struct str stanza_attr(const struct stanza *s, stanza_el el, struct str name)
{
    /* The plain ones come first. Most names differ in length or in the first character: no call is
     * needed to see that. */
    const struct block_element *e = &s->elements[el];
    const struct block_attr *a = s->attrs + e->attrs, *end = a + e->attr_count;
    for (; a < end && a->ns.len == 0; a++) {
        if (a->name.len != name.len)
            continue;
        const char *own = block_view(s, a->name).data;
        if (*own == *name.data && memcmp(own, name.data, name.len) == 0)
            return block_view(s, a->value);
    }
    return STR_NULL;
}

struct str stanza_lang(const struct stanza *s, stanza_el el)
{
    return stanza_attr_ns(s, el, STR("lang"), STR(BLOCK_NS_XML));
}

uint32_t stanza_attr_count(const struct stanza *s, stanza_el el)
{
    return s->elements[el].attr_count;
}

void stanza_attr_at(const struct stanza *s, stanza_el el, uint32_t i, struct str *ret_name,
                    struct str *ret_ns, struct str *ret_value)
{
    const struct block_attr *a = &s->attrs[s->elements[el].attrs + i];
    *ret_name = block_view(s, a->name);
    *ret_ns = block_view(s, a->ns);
    *ret_value = block_view(s, a->value);
}

struct str stanza_text(const struct stanza *s, stanza_el el)
{
    return block_view(s, s->elements[el].text);
}

struct str stanza_inner(const struct stanza *s, stanza_el el)
{
    const struct block_element *e = &s->elements[el];
    return (struct str){s->bytes + e->inner, e->inner_end - e->inner};
}

size_t stanza_size(const struct stanza *s)
{
    return s->len;
}

struct stanza *stanza_extract(const struct stanza *s, stanza_el el)
{
    char memory[2048] __attribute__((aligned(16)));
    struct block_writer w;
    block_writer_init_with(&w, memory, sizeof memory);
    block_copy(&w, s, el);
    struct stanza *extracted = block_take(&w);
    block_writer_finish(&w);
    return extracted;
}

struct stanza *stanza_with_ns(struct stanza *s, struct str ns)
{
    char memory[2048] __attribute__((aligned(16)));
    struct block_writer w;
    if (str_eq(stanza_ns(s, STANZA_ROOT), ns))
        return stanza_ref(s);
    block_writer_init_with(&w, memory, sizeof memory);
    block_copy_into_ns(&w, s, STANZA_ROOT, ns);
    struct stanza *changed = block_take(&w);
    block_writer_finish(&w);
    return changed;
}

struct stanza *stanza_with_lang(const struct stanza *s, struct str lang)
{
    char memory[2048] __attribute__((aligned(16)));
    struct block_writer w;
    block_writer_init_with(&w, memory, sizeof memory);
    block_copy_with_lang(&w, s, STANZA_ROOT, lang);
    struct stanza *changed = block_take(&w);
    block_writer_finish(&w);
    return changed;
}
