/* The announcement of domains and ports: see lan.h. */
#include "c2s/lan.h"

#include <stdio.h>

#include "c2s/certificates.h"
#include "net/announce.h"

static size_t add(struct announcement *list, size_t count, const char *domain, const char *type,
                  int64_t port)
{
    if (port == 0 || count == ANNOUNCE_MAX)
        return count;
    (void)snprintf(list[count].name, sizeof(list[count].name), "%.63s", domain);
    list[count].type = type;
    list[count].port = (uint16_t)port;
    return count + 1;
}

void lan_update(struct c2s *s)
{
    const struct env *env = s->component->env;
    const struct config *config = env->config;
    struct announcement list[ANNOUNCE_MAX];
    size_t count = 0;

    /* One of the instances of a process speaks for all. */
    if (!config->lan_announce || loop_is_sim(env->loop) || env->seat > 0) {
        lan_stop(s);
        return;
    }
    if (!s->announce)
        s->announce = announce_create(s->component->log);
    for (size_t i = 0; i < s->domains.count; i++) {
        const char *domain = s->domains.names[i];
        count = add(list, count, domain, "_xmpp-client._tcp", config->c2s_port);
        if (certificates_direct(s->certificates)) /* XEP-0368 section 2 */
            count = add(list, count, domain, "_xmpps-client._tcp", config->c2s_tls_port);
    }
    if (s->announce)
        announce_set(s->announce, list, count);
}

void lan_stop(struct c2s *s)
{
    announce_destroy(s->announce);
    s->announce = NULL;
}
