/* Escape: how the canonical form writes characters that cannot stand for themselves.
 *
 * Text: & < > and CR. Single-quoted attributes: those and ' TAB LF (an attribute's raw white space
 * would be normalised away by the next parser, XML 1.0 section 3.3.3). Nothing else is ever
 * escaped, so that equal content gives equal bytes. Internal to xml/.
 */
#ifndef JACKDAW_XML_ESCAPE_H
#define JACKDAW_XML_ESCAPE_H

#include <stddef.h>
#include "base/str.h"

enum escape_kind { ESCAPE_TEXT, ESCAPE_ATTR };

/* How many bytes at the start of `s` need no escaping (s.len when none does). */
size_t escape_clean(enum escape_kind kind, struct str s);
/* Bytes of the escaped form. */
size_t escape_size(enum escape_kind kind, struct str s);
/* Writes the escaped form, escape_size bytes, and returns one past the last. */
char *escape_put(enum escape_kind kind, struct str s, char *out);
/* The reverse, for what escape_put wrote and nothing else; returns one past the last byte (never
 * more than s.len). */
char *escape_undo(struct str s, char *out);

#endif
