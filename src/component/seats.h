/* Seats: the loops of one process. The first is the caller's own; the others run on threads of
 * their own (server.placement=threads). A component sits on one of them and uses what that seat's
 * env names - loop, network, random numbers, parsers - on that loop's thread alone. */
#ifndef JACKDAW_COMPONENT_SEATS_H
#define JACKDAW_COMPONENT_SEATS_H

#include "component/component.h"

#define SEATS_MAX 64

struct seats;

/* `common` gives config, log and data_dir; the rest of each env is made here. */
struct seats *seats_create(unsigned count, const struct env *common);
void seats_destroy(struct seats *s); /* after all components; NULL is fine */
unsigned seats_count(const struct seats *s);
struct env *seats_env(struct seats *s, unsigned seat);
void seats_set_config(struct seats *s, const struct config *config); /* held, or before the start */

/* Begins the threads; what was done to their loops before, they see. False when the system refuses
 * one. */
bool seats_start(struct seats *s);
/* Ends their loops and waits for the threads: from here on the caller may touch everything again.
 */
void seats_stop(struct seats *s);

/* Between the two no loop but the caller's runs: each waits at the end of what it was doing, so
 * that the caller may look at and change components on all of them as if he were on their loop. For
 * what people ask for - status, reload, stop - never for traffic. May be nested. */
void seats_hold(struct seats *s);
void seats_release(struct seats *s);

#endif
