/* SASL2 (XEP-0388): the elements of the exchange, pure. What may come when is the table of
 * stream.c; the mechanisms themselves are those of sasl.h.
 */
#ifndef JACKDAW_XMPP_SASL2_H
#define JACKDAW_XMPP_SASL2_H

#include "xml/stanza.h"
#include "xmpp/sasl.h"

#define SASL2_AGENT_TEXT 256 /* bytes kept of the name of a software or device */
#define SASL2_UUID       36  /* characters */

/* <user-agent/> of an <authenticate/> (section 2.3). The texts point into the stanza, cut at
 * SASL2_AGENT_TEXT; data == NULL: not given. */
struct sasl2_agent {
    bool has_id;
    unsigned char id[16];
    struct str software, device;
};

/* False when the id is no UUID. Without a <user-agent/> all is empty. */
bool sasl2_read_agent(const struct stanza *authenticate, struct sasl2_agent *ret);
bool sasl2_parse_uuid(struct str text, unsigned char ret[16]);
void sasl2_write_uuid(const unsigned char id[16],
                      char out[SASL2_UUID]); /* lower case; no NUL is written */
/* xs:boolean: an attribute that is there and says yes. */
bool sasl2_true(struct str value);

/* Section 2.6.2; `text` for people, may be NULL. */
void sasl2_write_failure(struct buffer *out, enum sasl_failure failure, const char *text);
/* The string S of XEP-0474 section 6.1: the mechanisms in `offered`, and the channel bindings that
 * were announced with them. */
void sasl2_write_announced(struct buffer *out, unsigned offered, bool exporter, bool end_point);
/* <NAME>base64</NAME>; of nothing <NAME/>. */
void sasl2_write_data(struct buffer *out, struct str name, struct str raw);

#endif
