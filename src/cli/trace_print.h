/* How `jackdaw trace` shows the steps of messages on stdout: for people, or as JSON a line. */
#ifndef JACKDAW_CLI_TRACE_PRINT_H
#define JACKDAW_CLI_TRACE_PRINT_H

#include "cli/trace_rings.h"

/* An object in a line of its own. */
void trace_print_json(const struct trace_rings *t, const struct trace_step *step);
/* One step among those of other messages: with its time and the message's id. */
void trace_print_line(const struct trace_step *step);
/* One message's way: a line with its id and the time it began, the others with what passed since.
 * `count` is not 0. */
void trace_print_way(struct trace_step *const *steps, size_t count);

#endif
