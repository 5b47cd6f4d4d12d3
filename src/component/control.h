/* Control socket: how `jackdaw status` and `jackdaw user` talk with a running process. A unix
 * socket, mode 0600, DATA/run/NAME.sock; one JSON object a line, answered by one JSON object a
 * line. */
#ifndef JACKDAW_COMPONENT_CONTROL_H
#define JACKDAW_COMPONENT_CONTROL_H

#include <jansson.h>
#include "base/log.h"
#include "net/net.h"

struct control;

/* Answers one request; new reference, or NULL for a command that is not known. */
typedef json_t *(*control_fn)(void *arg, const json_t *request);

/* Replaces a stale socket file; the caller holds the locks that make it stale. */
enum error control_open(struct net *net, struct log log, const char *path, control_fn fn, void *arg,
                        struct control **ret);
void control_close(struct control *c); /* removes the file; NULL is fine */

#endif
