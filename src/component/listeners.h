/* Listeners: where a component of the edge lets strangers in - every address of a setting, on a
 * port for STARTTLS and one for direct TLS. Used by c2s and s2s, whose settings have the same
 * names. */
#ifndef JACKDAW_COMPONENT_LISTENERS_H
#define JACKDAW_COMPONENT_LISTENERS_H

#include "component/component.h"

struct listeners;

struct listeners_config {
    const char *section; /* of the settings, "c2s": for messages */
    const char *whom;    /* "clients" */
    const struct config_list *addresses;
    int64_t port, tls_port; /* 0: none */
    bool shared;            /* by an instance on each of the process's loops */
    bool optional;          /* nobody has asked for it: a port that is taken is no failure */
    /* The connection is paused and the callee's, as net_accept_fn. */
    void (*accept)(void *owner, struct conn *conn, bool direct_tls);
    void *owner;
};

/* NULL after a log line that says what to do. Everything off is no failure: none are open then.
 * `old` (may be NULL) is the set that this one is to replace: what is open there already is shared,
 * and what cannot be opened beside it - the same port, another address - waits until it is closed.
 */
struct listeners *listeners_open(const struct component *c, const struct listeners_config *config,
                                 const struct listeners *old);
/* The new set alone counts: closes the old one (may be NULL), then opens what waited for that. */
void listeners_replace(struct listeners *l, struct listeners *old);
size_t listeners_count(const struct listeners *l);
void listeners_close(struct listeners *l); /* accepts no more; NULL is fine */

#endif
