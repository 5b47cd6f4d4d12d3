/* What the directory said last, in a file: for a helper that starts while the directory is away. */
#ifndef JACKDAW_CLI_LDAP_KEPT_H
#define JACKDAW_CLI_LDAP_KEPT_H

#include "base/buffer.h"

/* Appends what the file has; nothing when there is none or it cannot be read. */
void ldap_kept_read(const char *path, struct buffer *into);
/* Makes the file anew (mode 0600): all of it, or it stays as it was and stderr says why. */
void ldap_kept_write(const char *path, struct str text);

#endif
