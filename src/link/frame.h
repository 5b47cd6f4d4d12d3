/* Frame: a packet as bytes between two processes of ours, where both have said that they know it
 * (docs/decisions/0076-frames.md); all others get XML (wire.h). It says what the XML says, but the
 * envelope is not XML: a length, a few numbers, and fields with lengths of their own. The stanza
 * comes behind them, as its canonical bytes, and last the message's id in the ledger. So the router
 * finds a packet's end and its envelope without looking at the stanza, and sends it on as it came:
 * sealed. Pure: no sockets, no state.
 *
 *     u32 length of what follows; 0 is a keepalive
 *     u8 kind, action, flags, 0
 *     u16 error, bind flags, mask of the fields that are there
 *     each of them: u32 length, bytes
 *
 * Numbers are in network order. The kind GOODBYE ends the stream, its fields say why.
 */
#ifndef JACKDAW_LINK_FRAME_H
#define JACKDAW_LINK_FRAME_H

#include "link/packet.h"
#include "xml/parser.h"

#define FRAME_PREFIX  4u /* the length itself */
#define FRAME_GOODBYE 0xFF

/* Upper bound of what frame_write puts out. A sealed packet leaves as it came. */
size_t frame_size(const struct packet *p);
size_t frame_write(const struct packet *p, char *out);
/* The end of a stream: a stream error's element name (len 0: none) and a text. Needs
 * frame_goodbye_size bytes. */
size_t frame_goodbye_size(struct str condition, struct str text);
size_t frame_write_goodbye(struct str condition, struct str text, char *out);

/* Bytes of the whole frame by its first FRAME_PREFIX bytes. */
size_t frame_length(const char *prefix);
bool frame_is_goodbye(struct str frame);
/* Its condition and text, as views; false when it is malformed. */
bool frame_read_goodbye(struct str frame, struct str *ret_condition, struct str *ret_text);
/* The packet in a whole frame: a route to one target sealed, all else opened; NULL and why when it
 * is malformed. */
struct packet *frame_read(struct str frame, struct parser_pool *pool, const char **ret_why);
/* Makes stanza, delay and the JIDs of a sealed packet; nothing to do for another. False when they
 * are malformed: then the packet is good for packet_destroy alone. */
bool frame_open(struct packet *p, struct parser_pool *pool);

#endif
