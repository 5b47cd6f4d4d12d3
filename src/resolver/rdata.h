/* RDATA: the records the resolver looks at, from their form on the wire. Strangers wrote the bytes.
 */
#ifndef JACKDAW_RESOLVER_RDATA_H
#define JACKDAW_RESOLVER_RDATA_H

#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"
#include "resolver/dns.h"

struct rdata_srv {
    uint16_t priority, weight, port;
    char target[DNS_NAME_MAX]; /* lower case, no dot at the end; "" for the root: no service */
};
/* RFC 2782. False when it is cut short, or the target is not the name of a host (letters, digits,
 * '-' and '_'). */
bool rdata_srv(struct str rdata, struct rdata_srv *ret);

struct rdata_tlsa {
    uint8_t usage, selector, matching;
    struct str data; /* points into the RDATA */
};
bool rdata_tlsa(struct str rdata, struct rdata_tlsa *ret); /* RFC 6698 section 2.1 */

#define RDATA_IP_MAX 46
/* A or AAAA as text. False when it has the wrong length, or is no address of one host (unspecified,
 * multicast, broadcast): nobody is to be sent there. */
bool rdata_address(struct str rdata, char ret[RDATA_IP_MAX]);

#endif
