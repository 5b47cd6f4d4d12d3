/* Slot record: what the slot of a session holds on a session manager's board (sm/slot.h), as bytes
 * and back. For that, and for commands that revoke logins while there is none.
 */
#ifndef JACKDAW_COMPONENT_SLOT_RECORD_H
#define JACKDAW_COMPONENT_SLOT_RECORD_H

#include "base/board.h"

#define SLOT_MOST 524288u /* sessions of one session manager: half a gibibyte of board */

struct slot_record {
    int64_t until; /* seconds since 1970 when it can not be resumed any more; 0: it is awake */
    uint32_t max;  /* seconds it may sleep */
    struct str owner, resource, id;
    struct str traits, presence; /* words of link/traits.h; data == NULL: not available */
};

/* Bytes written; 0: it does not fit. */
size_t slot_record_write(const struct slot_record *r, char out[BOARD_BYTES]);
/* False: this is none. What it says points into the bytes. */
bool slot_record_read(struct slot_record *ret, struct str bytes);
/* It is the owner's, and its SM-ID begins with that. */
bool slot_record_marked(const struct slot_record *r, struct str owner, struct str mark);
/* Frees all such of a board that nobody else writes. */
void slot_record_revoke(struct board *b, struct str owner, struct str mark);

#endif
