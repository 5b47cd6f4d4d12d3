/* Admin: who may administer a domain. They stand in server.admins, "JID" for every domain or
 * "JID=domain+domain" for these alone, or were named by one who does; default deny, and this is the
 * one place that decides (reliability.md A.2, B 32). */
#ifndef JACKDAW_SM_ADMIN_H
#define JACKDAW_SM_ADMIN_H

#include "sm/sm.h"

/* May the bare JID administer that domain? domain.data == NULL: the whole server. */
bool admin_may(const struct sm *sm, struct str bare, struct str domain);
/* By the configuration alone. */
bool admin_configured(const struct sm *sm, struct str bare, struct str domain);
/* Named by another administrator: features/admin_grants.c. */
bool admin_granted(const struct sm *sm, struct str bare, struct str domain);

#endif
