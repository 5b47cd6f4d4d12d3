/* Answer: what goes back over the router: jabberd2.md section 1.4, with what that cannot say added.
 *
 *   <resolve xmlns='http://jabberd.jabberstudio.org/ns/resolver/1.0' type='result' name= id= ttl=
 *            [secure='1'] [error='not-found|no-service|timeout|bogus']>
 *     <ip port= ttl= [tls='direct'] host= [secure='1']>192.0.2.1</ip> ...      in the order to try
 *     <tlsa host= port= usage= selector= type= data='hex'/> ...
 *   </resolve>
 */
#ifndef JACKDAW_RESOLVER_ANSWER_H
#define JACKDAW_RESOLVER_ANSWER_H

#include "resolver/lookup.h"
#include "xml/stanza.h"

/* To a question without id, as jabberd2's s2s asks, addresses for direct TLS are left out: it would
 * talk plainly to them. */
struct stanza *answer_build(const struct stanza *query, const struct lookup *l);
/* The name was an address already. */
struct stanza *answer_literal(const struct stanza *query, const char *ip);
struct stanza *answer_error(const struct stanza *query, enum lookup_error error, uint32_t ttl);
const char *answer_error_name(enum lookup_error error); /* NULL for LOOKUP_OK */

#endif
