/* What all processes of a data directory have noted of messages: the rings of the ledger
 * (link/ledger.h), read while they are written, or after the server has ended. */
#ifndef JACKDAW_CLI_TRACE_RINGS_H
#define JACKDAW_CLI_TRACE_RINGS_H

#include "base/hash.h"
#include "base/ring.h"
#include "link/ledger.h"

/* One thing that happened. Its texts lie in `bytes`, so it is copied by trace_steps_add alone.
 */
struct trace_step {
    struct ledger_record record;
    size_t ring; /* whose: trace_process */
    uint64_t number;
    char bytes[RING_RECORD];
};

struct trace_rings;

/* Looks for rings in DATA/ledger. Never NULL. */
struct trace_rings *trace_rings_open(const char *data_dir);
void trace_rings_close(struct trace_rings *t);
size_t trace_rings_count(const struct trace_rings *t);
const char *trace_process(const struct trace_rings *t, size_t ring); /* "sm" */
/* Looks again: processes may have been started meanwhile. */
void trace_rings_look(struct trace_rings *t);

/* From the oldest record on, or with `end` from what comes from now on. */
void trace_rings_rewind(struct trace_rings *t, bool end);
/* The next record of any of them, in the order of each ring; false: there is none at the moment. */
bool trace_rings_next(struct trace_rings *t, struct trace_step *ret);

/* Does the record name that address? A bare JID is for its resources, too, a domain for all in it.
 */
bool trace_concerns(const struct ledger_record *r, struct str jid);

/* A hash by the ids of messages: keys lie in its values. */
void trace_ids_init(struct hash *h);
struct str trace_key(const uint64_t *id);

/* Steps in the order of time. */
struct trace_steps {
    struct trace_step **items;
    size_t count, room;
};
void trace_steps_add(struct trace_steps *s, const struct trace_step *step); /* copies */
void trace_steps_sort(struct trace_steps *s);
/* The first ones, `count` of them, are gone. */
void trace_steps_drop(struct trace_steps *s, size_t count);

#endif
