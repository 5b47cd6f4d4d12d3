/* Block: the inside of a stanza, and the writer that makes one. Internal to xml/: parser and
 * builder write blocks, stanza.c reads them.
 *
 * One allocation holds: the struct, the elements in document order, their attributes, the canonical
 * bytes, and a side area for what the canonical bytes do not show as such (the root's namespace,
 * values that needed escaping, text in pieces).
 */
#ifndef JACKDAW_XML_BLOCK_H
#define JACKDAW_XML_BLOCK_H

#include "xml/stanza.h"
#include "xml/escape.h"

#define BLOCK_NS_XML "http://www.w3.org/XML/1998/namespace"
#define BLOCK_SIDE   0x80000000u /* in block_ref.at: an offset into the side area */
#define BLOCK_MAX    0x40000000u /* bytes; limits of those who write are far below */

struct block_ref {
    uint32_t at, len;
};

struct block_attr {
    struct block_ref name, ns, value; /* ns.len 0: a plain attribute */
    uint32_t raw,
        raw_len; /* in the canonical bytes, from the space before it to its closing quote */
};

struct block_element {
    struct block_ref name, ns;
    struct block_ref
        text; /* while open: BLOCK_SIDE means that it must be put together at the end */
    uint32_t parent;
    uint32_t next; /* next sibling; while open: the last child so far */
    uint32_t children;
    uint32_t attrs, attr_count;
    uint32_t start;            /* of '<' */
    uint32_t inner, inner_end; /* equal when empty, then at "/>" */
};

struct stanza {
    uint32_t refs;
    uint32_t element_count, attr_count;
    uint32_t len; /* canonical bytes */
    const struct block_element *elements;
    const struct block_attr *attrs;
    const char *bytes; /* the side area follows them */
};

static inline struct str block_view(const struct stanza *s, struct block_ref ref)
{
    size_t at = ref.at & ~BLOCK_SIDE;
    return (struct str){s->bytes + at + (ref.at & BLOCK_SIDE ? s->len : 0), ref.len};
}
/* One past the last byte of an element's canonical form. */
static inline uint32_t block_end(const struct block_element *e)
{
    return e->inner_end + (e->inner == e->inner_end ? 2 : e->name.len + 3);
}

struct block_area {
    char *data;
    uint32_t len, cap;
    bool borrowed; /* `data` is part of somebody's struct: not to be freed */
};

struct block_writer {
    struct block_area bytes, side, elements, attrs; /* the latter two hold arrays of structs */
    uint32_t element_count, attr_count;
    uint32_t open;     /* innermost open element or STANZA_NONE */
    uint32_t prefixes; /* nsN declared in the start tag being written */
    bool in_tag;       /* the start tag of `open` lacks its '>' */
};

void block_writer_init(struct block_writer *w); /* allocates nothing */
/* Uses `memory` (aligned for any type, not freed) first. */
void block_writer_init_with(struct block_writer *w, char *memory, size_t size);
void block_writer_finish(struct block_writer *w);
void block_writer_reset(
    struct block_writer *w); /* forgets what was written; keeps memory up to a few KB */

/* `ns` with data == NULL is the parent's. */
void block_open(struct block_writer *w, struct str name, struct str ns);
/* In the start tag just opened. A namespaced attribute may come before a plain one: the order is
 * put right. */
void block_attr(struct block_writer *w, struct str name, struct str value);
void block_attr_ns(struct block_writer *w, struct str name, struct str ns, struct str value);
void block_text(struct block_writer *w, struct str text);
/* The same for what needs no escaping. */
void block_attr_clean(struct block_writer *w, struct str name, struct str value);
void block_text_clean(struct block_writer *w, struct str text);
void block_text_raw(struct block_writer *w, struct str canonical); /* already escaped */
void block_close(struct block_writer *w);
struct str block_open_name(const struct block_writer *w); /* of the innermost open element */
/* An element of a finished block with all below it; or what is in it. Namespaces stay what they
 * are. */
void block_copy(struct block_writer *w, const struct stanza *from, stanza_el el);
/* The same with the element's own namespace replaced, and with it that of what inherits it. */
void block_copy_into_ns(struct block_writer *w, const struct stanza *from, stanza_el el,
                        struct str ns);
/* An element with this xml:lang, which it does not have yet. */
void block_copy_with_lang(struct block_writer *w, const struct stanza *from, stanza_el el,
                          struct str lang);
void block_copy_inner(struct block_writer *w, const struct stanza *from, stanza_el el);
/* The block, when everything is closed; the writer is reset. */
struct stanza *block_take(struct block_writer *w);

/* For block_copy.c. */
void block_grow(struct block_area *area, size_t len);
/* Room for `len` more bytes at the end of an area. */
static inline char *block_reserve(struct block_area *area, size_t len)
{
    if (area->cap - area->len < len)
        block_grow(area, len);
    return area->data + area->len;
}
struct block_element *block_new_element(struct block_writer *w);
struct block_attr *block_new_attr(struct block_writer *w);
struct block_ref block_side_put(struct block_writer *w, struct str s);
/* Where a view lies at this moment; until the next write. */
struct str block_writer_view(const struct block_writer *w, struct block_ref ref);
void block_end_tag(struct block_writer *w); /* writes the '>' that is due, if any */

#endif
