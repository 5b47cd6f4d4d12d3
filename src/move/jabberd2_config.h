/* jabberd2's configuration (router.xml, sm.xml, c2s.xml, s2s.xml in one folder) as ours. */
#ifndef JACKDAW_MOVE_JABBERD2_CONFIG_H
#define JACKDAW_MOVE_JABBERD2_CONFIG_H

#include "base/buffer.h"
#include "move/source.h"

/* Appends the text of a configuration file. What could not be carried over is said by
 * move_leave_out, what became different by move_remark. NOT_FOUND: the folder has none of the
 * files; MALFORMED: one of them is not well-formed. */
enum error jabberd2_config(const char *dir, struct buffer *out, struct move_notes *notes,
                           struct move_why why);

#endif
