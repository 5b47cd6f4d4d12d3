/* Order: in which order to try what DNS said. Pure: the same answers and the same random numbers
 * give the same order. */
#ifndef JACKDAW_RESOLVER_ORDER_H
#define JACKDAW_RESOLVER_ORDER_H

#include <stdbool.h>
#include <stdint.h>
#include "base/random.h"
#include "resolver/dns.h"
#include "resolver/rdata.h"

/* One SRV record, of either service. */
struct target {
    struct rdata_srv srv;
    bool direct; /* of _xmpps-server: TLS from the first byte (XEP-0368) */
    bool secure; /* the record was validated */
    uint32_t ttl;
};

enum {
    ORDER_MAX_RECORDS = 2 * DNS_MAX_RECORDS, /* of both services */
};

/* Adds the records of one answer to `targets`; those that are no records, have port 0, or were
 * there already are left out. Sets *ret_none when a record says "no service" (target "."; RFC
 * 2782). */
void order_add(struct target targets[ORDER_MAX_RECORDS], size_t *count,
               const struct dns_answer *answer, bool direct, bool *ret_none);

/* By priority, within one priority in the weighted random order of RFC 2782; both services as if
 * they were one (XEP-0368 section 3). */
void order_targets(struct target *targets, size_t count, struct random *random);

/* Which of `v6` IPv6 and `v4` IPv4 addresses comes at `position`: IPv6 first, then in turn (RFC
 * 8305 section 4). Returns the index into its family, and the family in *ret_v6. */
size_t order_family(size_t v6, size_t v4, size_t position, bool *ret_v6);

/* True when the text is an IPv4 address, or an IPv6 address with or without brackets; writes it in
 * its canonical form. */
bool order_literal(struct str name, char ret[RDATA_IP_MAX]);

#endif
