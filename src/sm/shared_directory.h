/* Shared directory: the shared groups that an LDAP directory has (ldap.group_base), as its helper
 * process tells them (component/group_source.h); read when the session manager starts, at a reload,
 * and every ldap.group_refresh seconds. While the directory is away what was known holds. */
#ifndef JACKDAW_SM_SHARED_DIRECTORY_H
#define JACKDAW_SM_SHARED_DIRECTORY_H

#include "sm/sm.h"

struct shared_directory;

/* `changed` is called when the groups are others than before. */
struct shared_directory *shared_directory_create(struct sm *sm, void (*changed)(void *arg),
                                                 void *arg);
void shared_directory_destroy(struct shared_directory *d); /* NULL is fine */
void shared_directory_refresh(struct shared_directory *d); /* reads them now */
/* Lines "group NAME", and behind each "member JID"; valid until `changed`. */
struct str shared_directory_text(const struct shared_directory *d);

/* component_ops.helper of sm. */
bool shared_directory_wanted(const struct config *config);
int shared_directory_helper(const struct config *config, const char *data_dir,
                            char *const *arguments);

#endif
