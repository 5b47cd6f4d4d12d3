/* Stored: stanzas written to the users' data and read back. */
#ifndef JACKDAW_SM_STORED_H
#define JACKDAW_SM_STORED_H

#include "xml/parser.h"

/* NULL when the text is not a whole stanza (any more). */
struct stanza *stored_parse(struct parser_pool *pool, struct str xml);
/* The text to store, from which stored_parse makes the same again; free() its data. */
struct str stored_text(const struct stanza *s);

#endif
