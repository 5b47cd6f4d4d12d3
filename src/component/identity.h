/* Identity: the files of a domain's certificate and key - those that its section names, else
 * DOMAIN.pem and DOMAIN-key.pem in a directory. Where the operator names none, they are made in the
 * data directory, and renewed before they end. */
#ifndef JACKDAW_COMPONENT_IDENTITY_H
#define JACKDAW_COMPONENT_IDENTITY_H

#include "component/component.h"

struct identity_files {
    char cert[4096], key[4096];
};

/* `directory`: of the settings `section`.certificates; empty: that of the data directory. Logs what
 * to do on failure. */
enum error identity_files(const struct component *c, const char *section, const char *directory,
                          const char *domain, struct identity_files *ret);

/* The router's own (router.tls), for the links of components: router.certificate, or one made in
 * DATA/router-certificates with an authority of its own. `why` takes what is wrong. */
enum error identity_router(const struct env *env, struct identity_files *ret, char *why,
                           size_t why_size);
/* Whom the other end of such a link trusts; NULL after writing to `why`. */
struct tls_client *identity_router_trust(const struct env *env, char *why, size_t why_size);

#endif
