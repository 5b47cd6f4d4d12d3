/* Secrets of an installation: made at first start, kept in a file of mode 0600, the same for every
 * process on the data directory whichever comes first. There is no default secret anywhere. */
#ifndef JACKDAW_COMPONENT_SECRET_H
#define JACKDAW_COMPONENT_SECRET_H

#include <stddef.h>
#include "base/log.h"
#include "base/random.h"
#include "component/component.h"

#define SECRET_CHARS 48 /* of [a-z0-9]: 248 bits */

/* Reads the secret into `out` (NUL-terminated, without the newline), making the file when it is
 * missing: data_dir/name, or `path` when that is not empty. With an empty env->data_dir
 * (simulation) the secret lives nowhere but in `out`. Logs what to do and returns PERMISSION,
 * INVALID (empty, too long, readable by others) or SYSTEM. */
enum error secret_load(const struct env *env, const char *name, const char *path, char *out,
                       size_t size);

#endif
