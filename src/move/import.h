/* Import: persons of a source into our store. What is stored is read again and compared, fact by
 * fact. Running it again changes nothing that is there already: where the store has something else
 * under the same key it stays, unless `force` says that the source is right.
 *
 * For one-shot commands on the databases of a server that is stopped: a running one has users in
 * memory. Persons go in batches, each person's users' data before the account.
 */
#ifndef JACKDAW_MOVE_IMPORT_H
#define JACKDAW_MOVE_IMPORT_H

#include "move/person_store.h"
#include "move/source.h"

struct import_options {
    const struct person_stores *stores;
    struct move_source *source;
    const struct jid *only; /* one person alone; NULL: all */
    uint64_t kinds;         /* bits of enum person_kind */
    bool dry_run, force;
    uint32_t iterations; /* of keys made from plain passwords */
    void (*progress)(void *arg, uint64_t done, uint64_t total);
    void *arg;
};

struct import_kind {
    struct tally read, stored;  /* equal when nothing was kept */
    uint64_t added, same, kept; /* kept: the store had something else */
};

struct import_result {
    struct import_kind kinds[PERSON_KINDS];
    uint64_t persons;
};

/* STORE: what was stored is not what was read, or the database failed. Others: the source's. */
enum error import_run(const struct import_options *o, struct import_result *ret,
                      struct move_why why);

#endif
