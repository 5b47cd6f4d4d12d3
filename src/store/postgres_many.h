/* Many rows in one statement: what PostgreSQL spends on a row is mostly spent on the statement
 * around it. Requests of one INSERT each, of the same kind and one behind the other, go as arrays,
 * one for each column (docs/decisions/0086-company.md). */
#ifndef JACKDAW_STORE_POSTGRES_MANY_H
#define JACKDAW_STORE_POSTGRES_MANY_H

#include "base/buffer.h"
#include "store/driver.h"

enum { POSTGRES_MANY_COLUMNS = 11 };

/* The columns' arrays in PostgreSQL's binary format. */
struct postgres_many {
    enum store_statement statement;
    struct buffer columns[POSTGRES_MANY_COLUMNS];
};

/* How many requests from `t` on (by `next`) can go as one; 0: it goes alone. `m` is then filled and
 * the caller finishes it. */
size_t postgres_many_take(struct postgres_many *m, const struct store_txn *t);
void postgres_many_finish(struct postgres_many *m);

#endif
