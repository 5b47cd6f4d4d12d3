/* Sandbox: what a process gives up for good, because no component needs it - so that whoever takes
 * it over by a stanza gets little. Two parts: files, by Landlock, before there are threads; system
 * calls, by seccomp, once everything is open. docs/decisions/0056-sandbox.md says what and why. */
#ifndef JACKDAW_COMPONENT_SANDBOX_H
#define JACKDAW_COMPONENT_SANDBOX_H

#include "component/component.h"

struct sandbox {
    struct log log;
    const struct config *config;
    const char *data_dir;
    const char *config_file; /* NULL: none */
    const struct component_ops *const *components;
    size_t count;
};

/* Nothing but what these components read and write by their configuration stays reachable: of the
 * databases their own. A process that has both, or PostgreSQL, is left as it is. What is to be
 * reachable has to be there already. With a log line where the kernel cannot. */
void sandbox_files(const struct sandbox *s);
bool sandbox_has_files(const struct sandbox *s); /* that concerns these components */
/* No new program, no look into another process, no sockets but of IP and unix; for every thread.
 * With a log line where that cannot be had. */
void sandbox_calls(const struct sandbox *s);

#endif
