/* Stored: stanzas read back from the users' data. */
#ifndef JACKDAW_SM_STORED_H
#define JACKDAW_SM_STORED_H

#include "xml/parser.h"

/* NULL when the text is not a whole stanza (any more). */
struct stanza *stored_parse(struct parser_pool *pool, struct str xml);

#endif
