/* Survivors: what a process has in memory that survives kill -9, since it is a file's that is
 * mapped: the ledger's ring, components' notes, and boards. Opened before the sandbox, so that
 * nobody need know the folders later. What cannot be opened is missing, and the log says what does
 * not work without it. */
#ifndef JACKDAW_COMPONENT_SURVIVORS_H
#define JACKDAW_COMPONENT_SURVIVORS_H

#include "component/runner.h"

/* DATA/ledger/NAME.ring (link/ledger.h). Never NULL: without its ring messages get ids all the
 * same, and nothing is written down. */
struct ledger *survivors_ledger(const struct runner_options *o, const struct log *log);
/* DATA/run/NAME.notes, for all components that want some: env->notes. NULL: none. */
struct ring *survivors_notes(const struct runner_options *o, const struct log *log);
/* DATA/run/ID.board of one component that wants one: env->board. NULL: none. */
struct board *survivors_board(const struct runner_options *o, const struct component_ops *ops,
                              const char *id, const struct log *log);

#endif
