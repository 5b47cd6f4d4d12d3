/* Runner: one process that runs one or more components - the whole server on one loop or several,
 * or a single one. It owns the environment (loop, net, random, parsers, log), the locks, the
 * control socket, and the signals: SIGTERM and SIGINT drain and end with exit code 0, SIGHUP
 * reloads. An administrator's order (component_halt) does what SIGTERM does; to be started again is
 * for whoever supervises: the supervisor gets a signal, anybody else an exit code. */
#ifndef JACKDAW_COMPONENT_RUNNER_H
#define JACKDAW_COMPONENT_RUNNER_H

#include "component/component.h"

#define RUNNER_EXIT_RESTART 75 /* EX_TEMPFAIL: systemd's Restart=on-failure starts it again */

struct runner_options {
    const char *name;        /* of the process: its control socket is DATA/run/NAME.sock */
    const char *data_dir;    /* made when missing, mode 0700 */
    struct config *config;   /* the runner owns it from here */
    const char *config_file; /* where it came from; NULL: no file */
    /* For SIGHUP: loads the configuration afresh; NULL after telling `report` why. */
    struct config *(*load)(void *arg, config_report_fn report, void *report_arg);
    void *load_arg;
    const struct component_ops *const
        *components; /* in the order of starting; the router, if any, first */
    size_t component_count;
    char *const *arguments; /* the options of the command, NULL-terminated */
    unsigned loops;         /* with more than one the router must be among the components */
};

/* Runs until told to stop; prints "ready ..." on stdout when every listener is open. Returns the
 * exit code: 0 after an orderly stop, RUNNER_EXIT_RESTART when it is to be started again, 1 when
 * something could not start (said on stderr). */
int runner_run(const struct runner_options *options);

/* The name an instance has on the router: the `id` setting of its section, else the component's own
 * name. */
const char *runner_component_id(const struct component_ops *ops, const struct config *config);

#endif
