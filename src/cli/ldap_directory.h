/* LDAP directory: connections to the one that the settings ldap.* name. For the helper programs of
 * our own (auth ldap, auth groups): everything blocks, within auth.timeout seconds. */
#ifndef JACKDAW_CLI_LDAP_DIRECTORY_H
#define JACKDAW_CLI_LDAP_DIRECTORY_H

#include <ldap.h>
#include "config/config.h"

struct ldap_directory {
    const struct config *config;
    char bind_password[256];
};

/* Reads ldap.bind_password_file; false after a message. Wipe it with mem_wipe. */
bool ldap_directory_init(struct ldap_directory *d, const struct config *config);
/* Encrypted as the settings say, nobody logged in; NULL after a message. */
LDAP *ldap_directory_open(const struct config *config);
int ldap_directory_bind_as(LDAP *ldap, const char *dn, const char *password);
/* As ldap.bind_dn; false after a message. */
bool ldap_directory_bind(const struct ldap_directory *d, LDAP *ldap);
/* False after a message, unless it is LDAP_SUCCESS. */
bool ldap_directory_told(int e, const char *what, const struct config *config);

#endif
