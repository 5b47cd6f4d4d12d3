/* Persons in our own store: read whole, and written fact by fact. */
#ifndef JACKDAW_MOVE_PERSON_STORE_H
#define JACKDAW_MOVE_PERSON_STORE_H

#include "move/facts.h"
#include "xml/parser.h"

struct person_stores {
    struct loop *loop;
    struct random *random;
    struct store *accounts, *users;
    struct parser_pool *parsers;
};

/* Reads of persons that are under way; the loop is stopped when none is left. */
struct person_reads {
    const struct person_stores *stores;
    size_t due;
    enum error error; /* of the first that failed */
};

/* What the store has of `p->jid` is added to `p`, which lives until all reads are done. */
void person_load(struct person_reads *reads, struct person *p);
/* Runs the loop until all reads are done, and sorts nothing. */
enum error person_loaded(struct person_reads *reads);

/* Adds the writes of one fact. Those of a contact (ROSTER, REQUEST) are one row, so both are looked
 * up in `have` and then in `p`; a fact of ACCOUNT takes its STORED_PASSWORD from there, too. Kinds
 * of the accounts database go into a transaction of that one. `version` of the roster: larger than
 * any before; a client with another one is given the whole roster (XEP-0237). */
void person_write(struct store_txn *t, const struct person *p, const struct person *have,
                  const struct fact *fact, uint64_t version);
/* Whether facts of this kind stand in the accounts database. */
static inline bool person_kind_of_account(enum person_kind kind)
{
    return kind == PERSON_ACCOUNT || kind == PERSON_STORED_PASSWORD || kind == PERSON_SCRAM;
}

/* Text that we or others stored, within wide bounds; NULL when it is not one whole element. */
struct stanza *person_parse(struct parser_pool *parsers, struct str xml);

#endif
