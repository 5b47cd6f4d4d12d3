/* Who may administer what. See admin.h. The list is short and asked rarely: it is read as it
 * stands, so that a reload needs nothing here. */
#include "sm/admin.h"

#include "config/admin_entry.h"

/* "domain+domain" has it. */
static bool names_domain(struct str list, struct str domain)
{
    struct str one;
    char prepared[1024];
    size_t len;
    while (str_split(&list, '+', &one))
        if (jid_prepare_domain(one, prepared, &len) && str_eq((struct str){prepared, len}, domain))
            return true;
    return false;
}

static bool entry_allows(struct str entry, struct str bare, struct str domain)
{
    struct str domains;
    struct jid *jid = admin_entry_read(entry, &domains);
    bool same = jid && str_eq(jid_full(jid), bare);
    jid_unref(jid);
    return same && (!domains.data || (domain.data && names_domain(domains, domain)));
}

bool admin_configured(const struct sm *sm, struct str bare, struct str domain)
{
    const struct config_list *admins = &sm->c->env->config->server_admins;
    for (size_t i = 0; i < admins->count; i++)
        if (entry_allows(str_of(admins->items[i]), bare, domain))
            return true;
    return false;
}

bool admin_may(const struct sm *sm, struct str bare, struct str domain)
{
    return admin_configured(sm, bare, domain) || admin_granted(sm, bare, domain);
}
