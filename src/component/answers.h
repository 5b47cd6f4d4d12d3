/* Answers: what the components of a process say to the control socket. The instances of one kind on
 * several loops answer as if they were one: their numbers add up, their lists follow each other. */
#ifndef JACKDAW_COMPONENT_ANSWERS_H
#define JACKDAW_COMPONENT_ANSWERS_H

#include "component/component.h"

struct answers_source {
    struct component *const *components; /* instances of one kind follow each other */
    size_t count;
};

/* An object of the components by name: one of each kind under its id, or, where there are several
 * instances ("sm-1", "sm-2"), one for all under what their ids have in common, with each one's own
 * under `instances`. New reference. */
json_t *answers_status(const struct answers_source *source);
/* Each hears the command; answered by the first kind that knows it, NULL when none does. New
 * reference. */
json_t *answers_command(const struct answers_source *source, const json_t *request);

#endif
