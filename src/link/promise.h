/* Promise: somebody waits until a stanza has been handled - wherever it went, and whatever was made
 * of it. Every packet, write or timer that still has something to do about the stanza holds a
 * reference; when the last one lets go, the promise is kept. So no way through the server can
 * forget to tell: what destroys the packet tells. One component's own, never in a packet on a link.
 */
#ifndef JACKDAW_LINK_PROMISE_H
#define JACKDAW_LINK_PROMISE_H

#include <stddef.h>
#include <stdint.h>

struct promise {
    uint32_t refs;                   /* 1 when made */
    void (*kept)(struct promise *p); /* nobody holds it any more: tells who waits, and frees it */
};

static inline struct promise *promise_ref(struct promise *p)
{
    p->refs++;
    return p;
}
/* NULL is fine. */
static inline void promise_unref(struct promise *p)
{
    if (p && --p->refs == 0)
        p->kept(p);
}

#endif
