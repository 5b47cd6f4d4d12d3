/* Services: other components under one of our domains (conference.example.net), for the domain's
 * disco#items. */
#ifndef JACKDAW_SM_SERVICES_H
#define JACKDAW_SM_SERVICES_H

#include "sm/sm.h"

/* A name came or went behind the router. */
void services_peer(struct sm *sm, struct str name, bool up);
/* Adds an <item/> for each service below `domain`. */
void services_write(const struct sm *sm, struct str domain, struct builder *b);
void services_reload(struct sm *sm); /* other domains are ours than before */
void services_finish(struct sm *sm);

#endif
