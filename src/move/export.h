/* Export: accounts of our store as XEP-0227, sorted, so that the same accounts give the same bytes.
 * Beside a running server: each account as it is when it is read. */
#ifndef JACKDAW_MOVE_EXPORT_H
#define JACKDAW_MOVE_EXPORT_H

#include <stdio.h>
#include "move/person_store.h"
#include "move/source.h"

struct export_options {
    const struct person_stores *stores;
    FILE *to;
    const struct jid *only;     /* one account alone; NULL: all, and what domains have */
    const char *const *domains; /* that may have something without having accounts */
    size_t domain_count;
    void (*progress)(void *arg, uint64_t done, uint64_t total);
    void *arg;
};

struct export_result {
    struct tally kinds[PERSON_KINDS];
    uint64_t persons;
};

/* NOT_FOUND: there is no such account. IO: the file could not be written. */
enum error export_run(const struct export_options *o, struct export_result *ret,
                      struct move_why why);

#endif
