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
#include "cli/ldap_directory.h"

#define LDAP_TEXT_MAX 4096

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

/* The DN of the one entry that the filter finds; *ret stays NULL when there is none or several. */
static bool search(const struct ldap_directory *d, LDAP *ldap, const char *filter, char **ret)
{
    char *attributes[] = {LDAP_NO_ATTRS, NULL};
    LDAPMessage *found = NULL;
    int e = ldap_search_ext_s(ldap, d->config->ldap_base, LDAP_SCOPE_SUBTREE, filter, attributes, 1,
                              NULL, NULL, NULL, 2, &found);
    int count = ldap_count_entries(ldap, found);

    if (e == LDAP_SIZELIMIT_EXCEEDED)
        count = 2;
    else if (!ldap_directory_told(e, "search", d->config))
        count = -1;
    if (count == 1)
        *ret = ldap_get_dn(ldap, ldap_first_entry(ldap, found));
    if (count > 1)
        cli_error("LDAP: several entries match %s; make ldap.filter sharper", filter);
    (void)ldap_msgfree(found);
    return count >= 0;
}

static bool find_dn(const struct ldap_directory *d, LDAP *ldap, const char *user, const char *realm,
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
    if (!ldap_directory_bind(d, ldap))
        return false;
    filter = fill(config->ldap_filter, user, realm);
    ok = !filter || search(d, ldap, filter, ret);
    free(filter);
    return ok;
}

static enum auth_verdict check_dn(const struct config *config, LDAP *ldap, const char *dn,
                                  const char *password)
{
    int e = ldap_directory_bind_as(ldap, dn, password);

    switch (e) {
    case LDAP_SUCCESS:
        return VERDICT_YES;
    case LDAP_INVALID_CREDENTIALS:
    case LDAP_NO_SUCH_OBJECT:
    case LDAP_INVALID_DN_SYNTAX:
    case LDAP_INAPPROPRIATE_AUTH:
        return VERDICT_NO;
    default:
        (void)ldap_directory_told(e, "bind as a user", config);
        return VERDICT_BROKEN;
    }
}

static enum auth_verdict check(void *arg, const char *user, const char *realm, const char *password)
{
    const struct ldap_directory *d = arg;
    enum auth_verdict verdict = VERDICT_BROKEN;
    char *dn = NULL;
    LDAP *ldap;

    if (!password[0])
        return VERDICT_NO;
    ldap = ldap_directory_open(d->config);
    if (!ldap)
        return VERDICT_BROKEN;
    if (find_dn(d, ldap, user, realm, &dn))
        verdict = dn ? check_dn(d->config, ldap, dn, password) : VERDICT_NO;
    ldap_memfree(dn);
    (void)ldap_unbind_ext_s(ldap, NULL, NULL);
    return verdict;
}

int auth_answer_ldap(struct cli_options *o)
{
    struct config *config = cli_config(o);
    struct ldap_directory d = {.config = NULL};
    const struct auth_answer answer = {.check = check, .arg = &d};
    int code = 1;

    if (config && !config->ldap_dn[0] && !config->ldap_base[0])
        cli_error("auth.driver=ldap needs ldap.dn (how a user's DN is written) or ldap.base (where "
                  "to search)");
    else if (config && ldap_directory_init(&d, config))
        code = auth_answer_run(&answer);
    mem_wipe(d.bind_password, sizeof(d.bind_password));
    config_destroy(config);
    return code;
}
