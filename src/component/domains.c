/* Domains: see domains.h. */
#include "component/domains.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "xmpp/jid.h"

enum error domains_read(struct domains *d, const struct component *c)
{
    const struct config_list *names = &c->env->config->server_domains;
    char prepared[1024];
    size_t len;

    d->names = mem_alloc_array(names->count + 1, sizeof(char *));
    for (size_t i = 0; i < names->count; i++) {
        if (!jid_prepare_domain(str_of(names->items[i]), prepared, &len)) {
            log_error(&c->log,
                      "server.domains: '%s' is not a domain name; write one like example.com",
                      names->items[i]);
            return ERR_CONFIG;
        }
        d->names[d->count++] = mem_strndup(prepared, len);
    }
    if (d->count > 0)
        return ERR_OK;
    log_error(&c->log, "server.domains is empty: name at least one domain");
    return ERR_CONFIG;
}

const char *domains_find(const struct domains *d, struct str name)
{
    for (size_t i = 0; i < d->count; i++)
        if (str_is(name, d->names[i]))
            return d->names[i];
    return NULL;
}

void domains_finish(struct domains *d)
{
    for (size_t i = 0; i < d->count; i++)
        free(d->names[i]);
    free(d->names);
    memset(d, 0, sizeof(*d));
}
