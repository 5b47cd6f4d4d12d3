/* Connecting to an LDAP directory. See ldap_directory.h. */
#include "cli/ldap_directory.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

bool ldap_directory_told(int e, const char *what, const struct config *config)
{
    if (e == LDAP_SUCCESS)
        return true;
    cli_error("LDAP %s: cannot %s: %s", config->ldap_url, what, ldap_err2string(e));
    return false;
}

int ldap_directory_bind_as(LDAP *ldap, const char *dn, const char *password)
{
    struct berval credentials = {.bv_len = strlen(password), .bv_val = (char *)password};

    return ldap_sasl_bind_s(ldap, dn, LDAP_SASL_SIMPLE, &credentials, NULL, NULL, NULL);
}

LDAP *ldap_directory_open(const struct config *config)
{
    const struct timeval limit = {.tv_sec = config->auth_timeout};
    int version = LDAP_VERSION3, demand = LDAP_OPT_X_TLS_DEMAND;
    LDAP *ldap = NULL;

    if (!ldap_directory_told(ldap_initialize(&ldap, config->ldap_url), "use this URL", config))
        return NULL;
    (void)ldap_set_option(ldap, LDAP_OPT_PROTOCOL_VERSION, &version);
    (void)ldap_set_option(ldap, LDAP_OPT_NETWORK_TIMEOUT, &limit);
    (void)ldap_set_option(ldap, LDAP_OPT_TIMEOUT, &limit);
    (void)ldap_set_option(ldap, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
    (void)ldap_set_option(ldap, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand);
    if (config->ldap_ca_file[0])
        (void)ldap_set_option(ldap, LDAP_OPT_X_TLS_CACERTFILE, config->ldap_ca_file);
    demand = 0;
    (void)ldap_set_option(ldap, LDAP_OPT_X_TLS_NEWCTX, &demand);
    if (config->ldap_starttls && strncmp(config->ldap_url, "ldap://", 7) == 0 &&
        !ldap_directory_told(ldap_start_tls_s(ldap, NULL, NULL), "start TLS", config)) {
        (void)ldap_unbind_ext_s(ldap, NULL, NULL);
        return NULL;
    }
    return ldap;
}

bool ldap_directory_bind(const struct ldap_directory *d, LDAP *ldap)
{
    return ldap_directory_told(
        ldap_directory_bind_as(ldap, d->config->ldap_bind_dn, d->bind_password),
        "bind as ldap.bind_dn", d->config);
}

bool ldap_directory_init(struct ldap_directory *d, const struct config *config)
{
    const char *path = config->ldap_bind_password_file;
    FILE *file = path[0] ? fopen(path, "re") : NULL;

    *d = (struct ldap_directory){.config = config};
    if (!path[0])
        return true;
    if (!file || !fgets(d->bind_password, sizeof(d->bind_password), file)) {
        cli_error("cannot read a password from ldap.bind_password_file %s", path);
        if (file)
            (void)fclose(file);
        return false;
    }
    d->bind_password[strcspn(d->bind_password, "\r\n")] = '\0';
    (void)fclose(file);
    return true;
}
