/* Domains: those that this installation serves (server.domains and the sections `domain`), in the
 * form in which addresses are compared. A reload adds and removes some; a name that was served
 * stays in memory, so that whoever holds it may still look at it. */
#ifndef JACKDAW_COMPONENT_DOMAINS_H
#define JACKDAW_COMPONENT_DOMAINS_H

#include "base/hash.h"
#include "component/component.h"

struct domains {
    char **names; /* in the order of the configuration */
    size_t count; /* at least 1 once read */
    char **gone;  /* served earlier */
    size_t gone_count;
    struct hash index; /* of `names` */
};

/* Zeroed before. Logs what is wrong and returns CONFIG; domains_finish is due even then. */
enum error domains_read(struct domains *d, const struct component *c);
const char *domains_find(const struct domains *d, struct str name); /* NULL: not ours */
bool domains_was_served(const struct domains *d, struct str name);  /* and is no more */
void domains_finish(struct domains *d);

/* Makes `d` what `fresh` is, and `fresh` empty; names in both stay where they are. `changed` hears
 * first what is gone, then what is new, when `d` is so already. */
typedef void (*domains_changed_fn)(void *arg, const char *name, bool served);
void domains_replace(struct domains *d, struct domains *fresh, domains_changed_fn changed,
                     void *arg);

/* Whether router.components has a component of that (prepared) name. */
bool domains_is_component(const struct config *config, struct str name);
/* Whether others could reach it: "localhost" and names without a dot are nobody's but this
 * machine's, and addresses are no names. */
bool domains_public(struct str name);
/* Whether an installation has s2s and resolver: by default only where a domain is public. */
bool domains_federate(const struct config *config);

#endif
