/* Announcement: a message of type headline from a domain to its users (RFC 6121 section 5.2.2). */
#ifndef JACKDAW_XMPP_ANNOUNCEMENT_H
#define JACKDAW_XMPP_ANNOUNCEMENT_H

#include "xml/builder.h"

/* `subject` may be NULL. */
struct stanza *announcement_create(struct str domain, const char *subject, const char *body);

#endif
