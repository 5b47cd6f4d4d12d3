/* Domains: those that this installation serves (server.domains), in the form in which addresses are
 * compared. Constant while an instance lives. */
#ifndef JACKDAW_COMPONENT_DOMAINS_H
#define JACKDAW_COMPONENT_DOMAINS_H

#include "component/component.h"

struct domains {
    char **names;
    size_t count; /* at least 1 once read */
};

/* Zeroed before. Logs what is wrong and returns CONFIG; domains_finish is due even then. */
enum error domains_read(struct domains *d, const struct component *c);
const char *domains_find(const struct domains *d, struct str name); /* NULL: not ours */
void domains_finish(struct domains *d);

#endif
