/* Host name: a domain of a JID as DNS wants it. */
#ifndef JACKDAW_RESOLVER_HOST_NAME_H
#define JACKDAW_RESOLVER_HOST_NAME_H

#include <stdbool.h>
#include "base/str.h"
#include "resolver/dns.h"

/* Room that the longest service prefix needs in front: "_xmpps-server._tcp." */
#define HOST_NAME_PREFIX_MAX 19

/* Lower case, without the dot at the end; what is not ASCII becomes A-labels (RFC 5890, by UTS 46).
 * False when it is no name of a host: wrong characters, labels over 63 bytes, too long for the
 * services' names to be asked. */
bool host_name(struct str domain, char ret[DNS_NAME_MAX]);

#endif
