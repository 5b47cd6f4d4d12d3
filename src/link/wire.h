/* Wire: a packet as an element of the component protocol and back (jabberd2.md 1.2 and 1.3), so
 * that processes of jabberd2 and ours can be attached to each other. Pure: no sockets, no state. */
#ifndef JACKDAW_LINK_WIRE_H
#define JACKDAW_LINK_WIRE_H

#include "link/packet.h"

/* Upper bound of what wire_write puts out for the packet. */
size_t wire_size(const struct packet *p);
/* Writes it into `out` (wire_size bytes); returns the length. A bounced route leaves with the names
 * it had when it was sent, as jabberd2's router does it. */
size_t wire_write(const struct packet *p, char *out);

/* A first-level element of a component stream -> a new packet; NULL with *ret_why for the log when
 * it is none. Missing names of a route or bind stay absent: their error (400) is the router's to
 * answer. A bounced route is turned around (see packet_bounce), so it looks the same whether it
 * came by a wire or not. */
struct packet *wire_parse(const struct stanza *el, const char **ret_why);

#endif
