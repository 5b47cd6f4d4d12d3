/* `jackdaw trace JID`: what happens to the messages of an address, shown as it happens. */
#ifndef JACKDAW_CLI_TRACE_LIVE_H
#define JACKDAW_CLI_TRACE_LIVE_H

#include "cli/trace_rings.h"

struct trace_wish {
    const char *data_dir;
    struct str jid;   /* whose; lives as long as the call */
    uint64_t count;   /* lines after which it ends */
    uint64_t seconds; /* after which it ends; 0: never */
    bool json;
    bool bodies; /* the processes are asked to note what is said, too */
};

/* Until the wish is fulfilled, or a signal ends it. */
void trace_live(struct trace_rings *rings, const struct trace_wish *wish);

#endif
