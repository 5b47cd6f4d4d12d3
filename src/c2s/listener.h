/* Listener: where clients come in - every address of c2s.address, on the port for STARTTLS and the
 * one for direct TLS. */
#ifndef JACKDAW_C2S_LISTENER_H
#define JACKDAW_C2S_LISTENER_H

#include "c2s/c2s.h"

struct listeners;

/* NULL after a log line that says what to do. */
struct listeners *listeners_open(struct c2s *s);
void listeners_close(struct listeners *l); /* accepts no more; NULL is fine */

#endif
