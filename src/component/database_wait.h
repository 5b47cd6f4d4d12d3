/* Waiting, at start, for a database server that is away (reliability.md C.2). */
#ifndef JACKDAW_COMPONENT_DATABASE_WAIT_H
#define JACKDAW_COMPONENT_DATABASE_WAIT_H

#include "component/component.h"

/* Returns when each database that is somewhere else (`stores`: 1u << enum store_kind for each)
 * answers, whatever it then says; false when it was told to stop meanwhile (SIGTERM, SIGINT). The
 * pauses grow to 5 s; the log and the service manager hear why it takes so long. */
bool database_wait(const struct config *config, const char *data_dir, unsigned stores,
                   const struct log *log);

#endif
