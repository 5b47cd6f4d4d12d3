/* Helpers: processes beside the one that the components live in, for what its sandbox forbids
 * (component_ops.helper). A helper that dies is started again: by a watcher, forked early, since
 * the process itself may start nothing any more once its sandbox is closed. */
#ifndef JACKDAW_COMPONENT_HELPERS_H
#define JACKDAW_COMPONENT_HELPERS_H

#include "component/runner.h"

/* Before there are threads, descriptors or a sandbox to inherit. They end with this process. False
 * after a log line. */
bool helpers_start(const struct runner_options *o, const struct log *log);

#endif
