/* Progress: a bar on a terminal's stderr; else a line for every tenth. */
#ifndef JACKDAW_CLI_PROGRESS_H
#define JACKDAW_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool tty;
    int shown; /* percent */
};

void progress_init(struct progress *p);
void progress_show(struct progress *p, const char *doing, uint64_t done, uint64_t total);
/* Before anything else is written to the terminal. */
void progress_clear(const struct progress *p);

#endif
