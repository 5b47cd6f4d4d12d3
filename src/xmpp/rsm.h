/* Result set management (XEP-0059): reading the page that somebody asks for, and telling which page
 * it got. What an item's UID is, is the caller's business. */
#ifndef JACKDAW_XMPP_RSM_H
#define JACKDAW_XMPP_RSM_H

#include "xml/builder.h"
#include "xml/stanza.h"

/* Views into the stanza. */
struct rsm_request {
    struct str after, before; /* data == NULL: absent; an empty `before` asks for the last page */
    uint32_t max;             /* UINT32_MAX: as many as there are */
    bool index; /* asks for a page by its number (section 2.6), not 0: nobody here supports that */
};

/* The <set/> below an element; without one everything is asked for. False when it is malformed: a
 * `max` or `index` that is no number, or both ends given (section 2.3). */
bool rsm_read(const struct stanza *s, stanza_el parent, struct rsm_request *ret);

#define RSM_NO_COUNT UINT64_MAX
/* Adds the <set/> of an answer: UIDs of its first and last item (data == NULL: an empty page),
 * whether the first is the first of all, and how many items there are in all, or RSM_NO_COUNT. */
void rsm_write(struct builder *b, struct str first, struct str last, bool from_start,
               uint64_t count);

#endif
