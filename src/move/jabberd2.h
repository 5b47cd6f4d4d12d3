/* jabberd2's database, any subset of its tables, as persons. A table is read once, in the order of
 * its owners, beside all others. */
#ifndef JACKDAW_MOVE_JABBERD2_H
#define JACKDAW_MOVE_JABBERD2_H

#include "move/foreign_db.h"
#include "xml/parser.h"
#include "xmpp/old_password.h"

struct jabberd2_options {
    const char *sqlite, *postgres; /* one of them */
    const char *domain;            /* of accounts whose realm is empty; NULL: they are left out */
    int passwords;                 /* enum old_password that all are; -1: guess each */
    struct parser_pool *parsers;
};

struct jabberd2_table {
    const char *name;
    bool there;
    uint64_t rows, left_out; /* read so far */
};

/* NULL after a sentence in `why`. Remarks say which tables are missing. */
struct move_source *jabberd2_open(const struct jabberd2_options *o, struct move_notes *notes,
                                  struct move_why why);
/* How many rows each table had, for a report; ends with name == NULL; lives as long as the source.
 */
const struct jabberd2_table *jabberd2_tables(const struct move_source *s);
/* The passwords found, by enum old_password. */
const uint64_t *jabberd2_passwords(const struct move_source *s);

#endif
