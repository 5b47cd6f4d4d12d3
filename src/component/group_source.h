/* Group source: how a session manager hears of the shared groups in a directory. A helper process
 * (`jackdaw auth group-server`) listens on a unix socket; asked by the line "GROUPS", it answers
 *
 *   group NAME
 *   member JID        as often as the group has members; and the next group
 *   end               or, when it could not read them now: error. Then the groups before that line
 *                     are those that it read last, perhaps in an earlier life
 */
#ifndef JACKDAW_COMPONENT_GROUP_SOURCE_H
#define JACKDAW_COMPONENT_GROUP_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#define GROUP_SOURCE_BYTES (8u << 20) /* of one answer */

/* Where the helper of the sm with this id listens, "unix:...". False when that is too long. */
bool group_source_path(const char *data_dir, const char *sm_id, char *ret, size_t size);

#endif
