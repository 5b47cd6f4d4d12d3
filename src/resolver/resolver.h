/* Resolver: the component. Questions come as <resolve type='query' name= id=/> over the router;
 * answers: answer.h. */
#ifndef JACKDAW_RESOLVER_RESOLVER_H
#define JACKDAW_RESOLVER_RESOLVER_H

#include "component/component.h"
#include "resolver/dns.h"

/* In simulation: the table it answers from (dns_sim_add). */
struct dns *resolver_dns(const struct component *c);

#endif
