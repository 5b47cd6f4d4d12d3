/* Admin lists: what others ask of features/admin_lists.c. */
#ifndef JACKDAW_SM_ADMIN_LISTS_H
#define JACKDAW_SM_ADMIN_LISTS_H

#include "sm/sm.h"

/* How many users of the domain have sessions at this sm; all other sm answer the same to a question
 * <online action='list' domain=/> (ask_all) as count=. */
uint64_t admin_lists_online(const struct sm *sm, struct str domain);

#endif
