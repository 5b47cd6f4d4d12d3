/* Unhandled: the stanzas of one stream with XEP-0198 that have come in and are not handled yet, in
 * order. From it come h, the number up to which all have been handled, and what is to be sent again
 * when a session manager or a router was lost with it (docs/decisions/0050-receipts.md). For c2s
 * and s2s.
 */
#ifndef JACKDAW_COMPONENT_UNHANDLED_H
#define JACKDAW_COMPONENT_UNHANDLED_H

#include "base/hash.h"
#include "component/receipts.h"

/* Of all streams of an instance: where a receipt belongs. */
struct unhandled_table {
    struct component *component;
    struct receipts *receipts;
    struct hash numbers; /* number -> struct unhandled_stanza */
};
void unhandled_table_init(struct unhandled_table *t, struct component *c, struct receipts *r);
void unhandled_table_finish(struct unhandled_table *t); /* every stream is finished */

struct unhandled {
    struct unhandled_table *table;
    struct list stanzas;
    uint32_t count;
    size_t bytes;
    uint32_t came; /* stanzas that have come, modulo 2^32 */
};
void unhandled_init(struct unhandled *u, struct unhandled_table *t, uint32_t came);
void unhandled_finish(struct unhandled *u); /* forgets all; nobody will be told */

/* A stanza has come. It is closed with unhandled_close, having been sent to somebody or not: then
 * it has been handled here. */
struct unhandled_stanza;
struct unhandled_stanza *unhandled_open(struct unhandled *u);
/* What becomes of it goes out in `p`, which then asks for a receipt. Twice does nothing. */
void unhandled_send(struct unhandled_stanza *s, struct packet *p);
void unhandled_close(struct unhandled_stanza *s);

/* A receipt: the stream it was for, or NULL. */
struct unhandled *unhandled_receipt(struct unhandled_table *t, uint64_t number);
/* h of XEP-0198 section 4. */
uint32_t unhandled_h(const struct unhandled *u);
/* Calls `send` with a new packet for each that was sent and is not handled, in order, as it was
 * sent first but for the component names; it owns them. */
void unhandled_repeat(const struct unhandled *u, void (*send)(void *arg, struct packet *p),
                      void *arg);
/* One of the stanzas is this very block. */
bool unhandled_has(const struct unhandled *u, const struct stanza *s);

#endif
