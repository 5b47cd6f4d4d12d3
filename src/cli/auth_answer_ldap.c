/* auth ldap: passwords checked by an LDAP directory (auth.driver=ldap): the user's DN is written
 * from ldap.dn, or found by a search, and a bind as that DN with the password tells. RFC 4513
 * section 5.1.2: a bind with an empty password is an anonymous one and always succeeds, so it is
 * never made.
 */
#include <ldap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/mem.h"
#include "cli/auth_answer.h"
#include "cli/cli.h"

#define LDAP_TEXT_MAX 4096

struct directory {
    const struct config *config;
    char bind_password[256];
};

static bool told(int e, const char *what, const struct config *config)
{
    if (e == LDAP_SUCCESS)
        return true;
    cli_error("LDAP %s: cannot %s: %s", config->ldap_url, what, ldap_err2string(e));
    return false;
}

/* --- writing DNs and filters: what a name has of their syntax is escaped --- */

/* RFC 4515 section 3 for filters, RFC 4514 section 2.4 for DNs (any character may be escaped so).
 */
static void add_escaped(struct buffer *out, const char *text, char escape)
{
    for (; *text; text++) {
        if (strchr("*()\\,+\"<>;=#/ &|!~", *text) || (unsigned char)*text < 32)
            buffer_printf(out, "%c%02x", escape, (unsigned char)*text);
        else
            buffer_add_char(out, *text);
    }
}

/* `pattern` with %u and %d replaced; NULL when it becomes too long. The caller frees it. */
static char *fill(const char *pattern, const char *user, const char *realm)
{
    struct buffer out;
    char *text = NULL;

    buffer_init(&out, LDAP_TEXT_MAX);
    for (const char *p = pattern; *p; p++) {
        if (p[0] == '%' && (p[1] == 'u' || p[1] == 'd')) {
            add_escaped(&out, p[1] == 'u' ? user : realm, '\\');
            p++;
        } else {
            buffer_add_char(&out, *p);
        }
    }
    if (!out.overflowed)
        text = mem_strndup(buffer_str(&out).data, buffer_len(&out));
    buffer_finish(&out);
    return text;
}

/* --- the directory --- */

static int bind_as(LDAP *ldap, const char *dn, const char *password)
{
    struct berval credentials = {.bv_len = strlen(password), .bv_val = (char *)password};

    return ldap_sasl_bind_s(ldap, dn, LDAP_SASL_SIMPLE, &credentials, NULL, NULL, NULL);
}

static LDAP *open_connection(const struct config *config)
{
    const struct timeval limit = {.tv_sec = config->auth_timeout};
    int version = LDAP_VERSION3, demand = LDAP_OPT_X_TLS_DEMAND;
    LDAP *ldap = NULL;

    if (!told(ldap_initialize(&ldap, config->ldap_url), "use this URL", config))
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
        !told(ldap_start_tls_s(ldap, NULL, NULL), "start TLS", config)) {
        (void)ldap_unbind_ext_s(ldap, NULL, NULL);
        return NULL;
    }
    return ldap;
}

/* The DN of the one entry that the filter finds; *ret stays NULL when there is none or several. */
static bool search(const struct directory *d, LDAP *ldap, const char *filter, char **ret)
{
    char *attributes[] = {LDAP_NO_ATTRS, NULL};
    LDAPMessage *found = NULL;
    int e = ldap_search_ext_s(ldap, d->config->ldap_base, LDAP_SCOPE_SUBTREE, filter, attributes, 1,
                              NULL, NULL, NULL, 2, &found);
    int count = ldap_count_entries(ldap, found);

    if (e == LDAP_SIZELIMIT_EXCEEDED)
        count = 2;
    else if (!told(e, "search", d->config))
        count = -1;
    if (count == 1)
        *ret = ldap_get_dn(ldap, ldap_first_entry(ldap, found));
    if (count > 1)
        cli_error("LDAP: several entries match %s; make ldap.filter sharper", filter);
    (void)ldap_msgfree(found);
    return count >= 0;
}

static bool find_dn(const struct directory *d, LDAP *ldap, const char *user, const char *realm,
                    char **ret)
{
    const struct config *config = d->config;
    char *filter;
    bool ok;

    if (config->ldap_dn[0]) {
        char *dn = fill(config->ldap_dn, user, realm);
        *ret = dn ? ber_strdup(dn) : NULL;
        free(dn);
        return true;
    }
    if (!told(bind_as(ldap, config->ldap_bind_dn, d->bind_password), "bind as ldap.bind_dn",
              config))
        return false;
    filter = fill(config->ldap_filter, user, realm);
    ok = !filter || search(d, ldap, filter, ret);
    free(filter);
    return ok;
}

static enum auth_verdict check_dn(const struct config *config, LDAP *ldap, const char *dn,
                                  const char *password)
{
    int e = bind_as(ldap, dn, password);

    switch (e) {
    case LDAP_SUCCESS:
        return VERDICT_YES;
    case LDAP_INVALID_CREDENTIALS:
    case LDAP_NO_SUCH_OBJECT:
    case LDAP_INVALID_DN_SYNTAX:
    case LDAP_INAPPROPRIATE_AUTH:
        return VERDICT_NO;
    default:
        (void)told(e, "bind as a user", config);
        return VERDICT_BROKEN;
    }
}

static enum auth_verdict check(void *arg, const char *user, const char *realm, const char *password)
{
    const struct directory *d = arg;
    enum auth_verdict verdict = VERDICT_BROKEN;
    char *dn = NULL;
    LDAP *ldap;

    if (!password[0])
        return VERDICT_NO;
    ldap = open_connection(d->config);
    if (!ldap)
        return VERDICT_BROKEN;
    if (find_dn(d, ldap, user, realm, &dn))
        verdict = dn ? check_dn(d->config, ldap, dn, password) : VERDICT_NO;
    ldap_memfree(dn);
    (void)ldap_unbind_ext_s(ldap, NULL, NULL);
    return verdict;
}

static bool read_password(struct directory *d)
{
    const char *path = d->config->ldap_bind_password_file;
    FILE *file = path[0] ? fopen(path, "re") : NULL;

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

int auth_answer_ldap(struct cli_options *o)
{
    struct config *config = cli_config(o);
    struct directory d = {.config = config};
    const struct auth_answer answer = {.check = check, .arg = &d};
    int code = 1;

    if (config && !config->ldap_dn[0] && !config->ldap_base[0])
        cli_error("auth.driver=ldap needs ldap.dn (how a user's DN is written) or ldap.base (where "
                  "to search)");
    else if (config && read_password(&d))
        code = auth_answer_run(&answer);
    mem_wipe(d.bind_password, sizeof(d.bind_password));
    config_destroy(config);
    return code;
}
