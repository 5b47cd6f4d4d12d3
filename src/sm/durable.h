/* Durable: whether what we have read from the store is on the disk. After a failed sync the
 * database has what a former life of ours wrote, and was told of as a failure, and the next power
 * loss takes it away (docs/decisions/0090-ids-that-survive.md): only a commit of this life says
 * that it stays. Whoever takes something for done because it was read asks here first. */
#ifndef JACKDAW_SM_DURABLE_H
#define JACKDAW_SM_DURABLE_H

#include "sm/sm.h"

/* Asks for the first time: before anything else is read. */
void durable_init(struct sm *sm);
/* False: not known yet. */
bool durable(struct sm *sm);

#endif
