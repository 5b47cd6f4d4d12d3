/* Child processes that speak in lines: what we write is their stdin, each line of their stdout is
 * an event, their stderr is ours. Real loops only; whoever uses them is not part of a simulation.
 */
#ifndef JACKDAW_LOOP_LOOP_CHILD_H
#define JACKDAW_LOOP_LOOP_CHILD_H

#include "base/buffer.h"
#include "base/str.h"
#include "loop/loop.h"

struct loop_child;

struct loop_child_events {
    /* Without its newline; valid during the call. */
    void (*on_line)(void *arg, struct str line);
    /* It has ended, or could not be started, or wrote a line over the maximum: `why` is text for a
     * log line. The child is gone when this returns; comes once, never inside a call of yours. */
    void (*on_end)(void *arg, const char *why);
};

/* Starts argv[0] (found by PATH) with these arguments, NULL-terminated. */
struct loop_child *loop_child_start(struct loop *l, const char *const *argv, size_t max_line,
                                    const struct loop_child_events *events, void *arg);
/* Writes all of it; what cannot be written ends in on_end. */
void loop_child_write(struct loop_child *child, struct str bytes);
/* SIGKILL; on_end follows. */
void loop_child_kill(struct loop_child *child);
/* Closes its stdin and forgets it: no event comes any more. NULL is fine. */
void loop_child_release(struct loop_child *child);

#endif
