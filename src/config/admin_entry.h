/* Admin entry: how an administrator stands in server.admins, "JID" or "JID=domain+domain". */
#ifndef JACKDAW_CONFIG_ADMIN_ENTRY_H
#define JACKDAW_CONFIG_ADMIN_ENTRY_H

#include "base/str.h"
#include "xmpp/jid.h"

/* The administrator (a reference of the caller's), NULL when it is malformed, and the domains with
 * + between them, data == NULL for all. */
struct jid *admin_entry_read(struct str entry, struct str *ret_domains);

#endif
