/* Auth keeper: the helper process that runs authentication programs (auth_pool.h) for a c2s, which
 * may start no program itself once its sandbox is closed. They speak over a unix socket, a line a
 * question: "ID COMMAND user ...", answered in any order by "ID OK data", "ID NO", "ID ERROR why".
 */
#ifndef JACKDAW_C2S_AUTH_KEEPER_H
#define JACKDAW_C2S_AUTH_KEEPER_H

#include "config/config.h"

#define AUTH_LINE_MAX 4096

/* Where the helper of the c2s with this id listens; false when the path is too long for a socket.
 */
bool auth_keeper_path(const char *data_dir, const char *c2s_id, char *ret, size_t size);
/* component_ops.helper of c2s. */
bool auth_keeper_wanted(const struct config *config);
/* `arguments`: the options that jackdaw was given, NULL-terminated; our own programs get them too.
 */
int auth_keeper_run(const struct config *config, const char *data_dir, char *const *arguments);

#endif
