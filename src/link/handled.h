/* Handled: the control packet that answers receipts - the numbers of stanzas that were handled, for
 * the component that gave them. A route whose payload is <handled/> of our own namespace with the
 * numbers as text: "5-9 12". Pure.
 */
#ifndef JACKDAW_LINK_HANDLED_H
#define JACKDAW_LINK_HANDLED_H

#include "link/packet.h"

/* From `from` to the component `to`. In the order given; runs of numbers become ranges. */
struct packet *handled_create(struct str to, struct str from, const uint64_t *numbers,
                              size_t count);
/* True for such a packet. */
bool handled_is(const struct packet *p);
/* Calls `fn` for each number; at most a million in all, and stops at what is none. */
void handled_each(const struct packet *p, void (*fn)(void *arg, uint64_t number), void *arg);

#endif
