/* Admin: who may administer a domain. They stand in server.admins, "JID" for every domain or
 * "JID=domain+domain" for these alone, or were named by one who does; default deny, and this is the
 * one place that decides (reliability.md A.2, B 32). */
#ifndef JACKDAW_SM_ADMIN_H
#define JACKDAW_SM_ADMIN_H

#include "sm/sm.h"

/* Reads one entry of server.admins: the administrator (a reference of the caller's), NULL when it
 * is malformed, and the domains with + between them, data == NULL for all. */
struct jid *admin_entry(struct str entry, struct str *ret_domains);

/* May the bare JID administer that domain? domain.data == NULL: the whole server. */
bool admin_may(const struct sm *sm, struct str bare, struct str domain);
/* By the configuration alone. */
bool admin_configured(const struct sm *sm, struct str bare, struct str domain);
/* Named by another administrator: features/admin_grants.c. */
bool admin_granted(const struct sm *sm, struct str bare, struct str domain);

#endif
