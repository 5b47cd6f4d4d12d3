/* Words: how text is cut for a search, so that every database that indexes it finds the same:
 * runs of letters, marks and digits (Unicode), in lower case and without accents.
 */
#ifndef JACKDAW_XMPP_WORDS_H
#define JACKDAW_XMPP_WORDS_H

#include "base/buffer.h"

/* Adds the text's first `max` words, with a blank between; nothing when there is none. Words for
 * which `to` has no room are left out. `text` is valid UTF-8; what is not counts as a gap. */
void words_cut(struct str text, size_t max, struct buffer *to);

#endif
