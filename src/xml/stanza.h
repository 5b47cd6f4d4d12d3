/* Stanza: one immutable, reference-counted block - an element's canonical UTF-8 bytes and an index
 * into them.
 *
 * Canonical form (the only one that ever leaves us): no prefixes on elements - an element whose
 * namespace differs from its parent's says xmlns='...'; attributes in single quotes, first xmlns,
 * then the plain ones in the order the sender wrote them, then namespaced ones (xml:lang as such;
 * any other as nsN:name with its xmlns:nsN on the same element); text with & < > and CR escaped; in
 * attributes also ' TAB LF; an element without content is <x/>. The root's own namespace is not
 * written in `inner`: whoever writes the start tag knows whether the stream around it already says
 * so. Children in the root's namespace carry no xmlns, so they follow the root from jabber:client
 * to jabber:server.
 *
 * Elements are small numbers: 0 is the root, document order. Every struct str returned is
 * unescaped, points into the block and lives as long as it. Attribute and text lookups cost no
 * allocation.
 */
#ifndef JACKDAW_XML_STANZA_H
#define JACKDAW_XML_STANZA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buffer.h"
#include "base/str.h"

struct stanza;
typedef uint32_t stanza_el;
#define STANZA_ROOT ((stanza_el)0)
#define STANZA_NONE ((stanza_el)UINT32_MAX)

struct stanza *stanza_ref(struct stanza *s); /* atomic: packets cross threads */
void stanza_unref(struct stanza *s);         /* NULL is fine */

struct str stanza_name(const struct stanza *s, stanza_el el);
struct str stanza_ns(const struct stanza *s, stanza_el el);
bool stanza_is(const struct stanza *s, stanza_el el, struct str name, struct str ns);
stanza_el stanza_parent(const struct stanza *s, stanza_el el);
stanza_el stanza_first(const struct stanza *s, stanza_el el); /* first child element */
stanza_el stanza_next(const struct stanza *s, stanza_el el);  /* next sibling element */
/* First child of that name and namespace; ns.data == NULL matches any namespace, name.data == NULL
 * any name. */
stanza_el stanza_child(const struct stanza *s, stanza_el el, struct str name, struct str ns);
uint32_t stanza_count(const struct stanza *s);                  /* elements in the block */
uint32_t stanza_children(const struct stanza *s, stanza_el el); /* child elements */

/* Attribute without namespace; data == NULL when absent (an empty value has len 0 and data !=
 * NULL). */
struct str stanza_attr(const struct stanza *s, stanza_el el, struct str name);
struct str stanza_lang(const struct stanza *s, stanza_el el); /* xml:lang of the element itself */
struct str stanza_attr_ns(const struct stanza *s, stanza_el el, struct str name, struct str ns);
uint32_t stanza_attr_count(const struct stanza *s, stanza_el el);
void stanza_attr_at(const struct stanza *s, stanza_el el, uint32_t i, struct str *ret_name,
                    struct str *ret_ns, struct str *ret_value);

/* All character data directly in the element, joined and unescaped ("" when none). */
struct str stanza_text(const struct stanza *s, stanza_el el);
/* The canonical bytes between the start tag and the end tag. */
struct str stanza_inner(const struct stanza *s, stanza_el el);
/* Bytes of the whole canonical element; what limits and quotas count. */
size_t stanza_size(const struct stanza *s);

/* A block of its own with that element as root. */
struct stanza *stanza_extract(const struct stanza *s, stanza_el el);

/* The same stanza with its root in another namespace; what was in the root's own namespace follows
 * it (RFC 6120 section 4.8.3: jabber:server to jabber:client). A reference of its own. */
struct stanza *stanza_with_ns(struct stanza *s, struct str ns);

/* The same stanza with xml:lang on its root, which has none. A reference of its own. */
struct stanza *stanza_with_lang(const struct stanza *s, struct str lang);

/* What a forwarder writes over the root's own attributes. data == NULL keeps the sender's;
 * STANZA_DROP leaves the attribute out. `xmlns` non-NULL is written as the default namespace
 * (inside a route), else none is. `extra` is raw canonical text for the end of the start tag (e.g.
 * " sc:c2s='...'"), `extra_inner` raw canonical bytes added before the end tag (e.g. a <delay/>).
 */
struct stanza_stamp {
    struct str from, to, id, type;
    struct str xmlns;
    struct str extra, extra_inner;
};
extern const struct str STANZA_DROP;
/* Appends; false (nothing added) when the buffer's maximum would be passed. NULL stamp: as it is.
 */
bool stanza_write(const struct stanza *s, const struct stanza_stamp *stamp, struct buffer *out);
/* Upper bound of what stanza_write appends; and the form that writes into memory of that size,
 * returning the length. */
size_t stanza_write_size(const struct stanza *s, const struct stanza_stamp *stamp);
size_t stanza_write_to(const struct stanza *s, const struct stanza_stamp *stamp, char *out);

#endif
