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

#endif
