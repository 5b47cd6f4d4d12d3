/* Supervisor: placement `processes` - one process a component, each started again when it dies. The
 * children are this very program with the component's name as subcommand and the same options. */
#ifndef JACKDAW_COMPONENT_SUPERVISOR_H
#define JACKDAW_COMPONENT_SUPERVISOR_H

#include "base/log.h"

struct supervisor_options {
    const char *const
        *names; /* subcommands to run: "router", "sm", "c2s"; stopped in reverse order */
    size_t count;
    char *const
        *arguments; /* NULL-terminated options handed to each, without program and subcommand */
    struct log log;
};

/* Starts the children, prints "ready ..." on stdout when all have said so, has them reload together
 * on SIGHUP, and on SIGTERM or SIGINT ends them. Returns the exit code: 0 after an orderly stop,
 * RUNNER_EXIT_RESTART when a child said so, 1 when a child could not start at all. */
int supervisor_run(const struct supervisor_options *options);
/* For a child: the whole server is to end, or to start anew. False when nobody supervises it. */
bool supervisor_tell(bool restart);

#endif
