/* Builder: makes a stanza from code, in the same canonical form the parser makes. */
#ifndef JACKDAW_XML_BUILDER_H
#define JACKDAW_XML_BUILDER_H

#include "xml/stanza.h"

struct builder;

struct builder *builder_create(struct str name, struct str ns);
/* Begins with a copy of another stanza's root: its name, namespace and attributes. */
struct builder *builder_create_like(const struct stanza *s);
void builder_destroy(struct builder *b); /* gives up without a stanza; NULL is fine */
/* Opens a child of the open element; ns.data == NULL takes the parent's namespace. */
void builder_start(struct builder *b, struct str name, struct str ns);
/* On the element just opened, before its text or children. A value with data == NULL adds nothing.
 */
void builder_attr(struct builder *b, struct str name, struct str value);
void builder_attr_u64(struct builder *b, struct str name, uint64_t value);
void builder_lang(struct builder *b, struct str value); /* xml:lang */
void builder_attr_ns(struct builder *b, struct str name, struct str ns, struct str value);
void builder_text(struct builder *b,
                  struct str text); /* must be XML characters in UTF-8: see builder_char_ok */
void builder_end(struct builder *b);
/* start + text + end in one. */
void builder_leaf(struct builder *b, struct str name, struct str ns, struct str text);
/* Copies an element with all below it from a stanza; its namespaces stay what they are. */
void builder_copy(struct builder *b, const struct stanza *from, stanza_el el);
/* Copies all children (and text) of an element. */
void builder_copy_inner(struct builder *b, const struct stanza *from, stanza_el el);
/* Ends what is open, frees the builder and hands over the stanza. */
struct stanza *builder_finish(struct builder *b);
/* True when every character may stand in XML 1.0 (section 2.2) and the UTF-8 is well-formed. */
bool builder_text_ok(struct str text);

/* Escapes for text and for single-quoted attributes as the canonical form does. */
bool builder_escape_text(struct buffer *out, struct str text);
bool builder_escape_attr(struct buffer *out, struct str value);
/* " name='value'", escaped; nothing when the value is absent. */
void builder_write_attr(struct buffer *out, const char *name, struct str value);

#endif
