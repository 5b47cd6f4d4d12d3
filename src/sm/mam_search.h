/* Mam search: words in the archive (XEP-0431). Who never searches pays nothing: an archive is
 * indexed when it is first searched, and what came since before each further search. */
#ifndef JACKDAW_SM_MAM_SEARCH_H
#define JACKDAW_SM_MAM_SEARCH_H

#include "sm/user.h"

#define MAM_SEARCH_MAX_WORDS 20u /* of one query; what stands behind them is not looked at */

/* Brings the index of the user's archive up to date, then calls back; the user is held. */
typedef void (*mam_indexed_fn)(void *arg, enum error e);
void mam_search_index(struct user *user, mam_indexed_fn fn, void *arg);

#endif
