/* Delayed delivery (XEP-0203): the stamp on what is delivered later than it was sent. */
#ifndef JACKDAW_XMPP_DELAY_H
#define JACKDAW_XMPP_DELAY_H

#include "xml/stanza.h"

/* `from` is the domain that kept it; `wall_ms` when it came there, in milliseconds since 1970;
 * `reason` for people, may be NULL. */
struct stanza *delay_create(struct str from, int64_t wall_ms, const char *reason);

#endif
