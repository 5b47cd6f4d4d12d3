/* Mam index: what finds messages in an archive by their words (XEP-0431) or by whom they were
 * exchanged with (XEP-0313 section 4.1.1). Who never asks so pays nothing: an archive is indexed
 * when it is first asked, and what came since before each further answer. */
#ifndef JACKDAW_SM_MAM_INDEX_H
#define JACKDAW_SM_MAM_INDEX_H

#include "sm/user.h"
#include "store/users.h"

#define MAM_INDEX_MAX_WORDS 20u /* of one query; what stands behind them is not looked at */

/* Brings an index of the user's archive up to date, then calls back, in a later turn; the user is
 * held. */
typedef void (*mam_indexed_fn)(void *arg, enum error e);
void mam_index_update(struct user *user, enum mam_index index, mam_indexed_fn fn, void *arg);

#endif
