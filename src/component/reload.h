/* Reload: a new configuration for the components of a process, all or nothing. In two steps, so
 * that the processes of an installation can agree, too: `jackdaw reload` has all of them prepare,
 * then all commit - or, when one cannot, all revert. SIGHUP does both steps at once. */
#ifndef JACKDAW_COMPONENT_RELOAD_H
#define JACKDAW_COMPONENT_RELOAD_H

#include "component/seats.h"

enum reload_step { RELOAD_PREPARE, RELOAD_COMMIT, RELOAD_REVERT, RELOAD_ALL };

struct reload;

struct reload_options {
    struct seats *seats; /* their config becomes the new one; held meanwhile */
    /* Loads the configuration afresh; NULL after telling `report` why. */
    struct config *(*load)(void *arg, config_report_fn report, void *report_arg);
    void *load_arg;
    struct component *const *components;
    const size_t *count;
    /* The new one is active everywhere and the callee's, who destroys the old one. */
    void (*done)(void *arg, struct config *config);
    void *arg;
};

struct reload *reload_create(const struct reload_options *options); /* copies them */
void reload_destroy(struct reload *r); /* drops what was prepared; NULL is fine */

/* {"ok":true}, or {"ok":false,"errors":[...]} when nothing was changed; a new reference. What was
 * prepared and not committed within 30 s is reverted. */
json_t *reload_run(struct reload *r, enum reload_step step);
/* The same by a control request: {"command":"reload"}, with "step":"prepare", "commit" or
 * "revert"; without it both. */
json_t *reload_request(struct reload *r, const json_t *request);

#endif
