/* Disco: what the features that answer disco#info (XEP-0030) write alike. */
#ifndef JACKDAW_SM_DISCO_H
#define JACKDAW_SM_DISCO_H

#include "xml/builder.h"

/* Add <identity/> (section 3.1; `name` may be NULL) and <feature/>. */
void disco_add_identity(struct builder *b, const char *category, const char *type,
                        const char *name);
void disco_add_feature(struct builder *b, struct str var);

#endif
