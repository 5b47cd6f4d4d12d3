/* Store: typed, asynchronous storage. The loop never waits for a disk; callbacks come on the loop,
 * always in a later turn than the call, in the order of the calls of one store.
 *
 * Two databases, two stores: accounts (opened by c2s alone) and the users' data (opened by sm
 * alone). Both are made of statements (statements.def) that a driver runs: store_sqlite.c (one
 * writer thread with group commit, readers on their own connections), store_postgres.c, and
 * store_memory.c (SQLite in memory on the loop, for tests). A write's callback comes after its
 * commit is durable; a read sees every write submitted before it. Writes submitted in one
 * transaction happen together or not at all.
 *
 * Keys are prepared bare JIDs as text ("collection-owner"). Every string passed in is copied.
 */
#ifndef JACKDAW_STORE_STORE_H
#define JACKDAW_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/log.h"
#include "base/shared.h"
#include "base/str.h"
#include "loop/loop.h"

struct store;

enum store_kind { STORE_ACCOUNTS, STORE_USERS };

/* url: "sqlite:PATH", "postgresql://...", "memory:", "memory:NAME" (shared by all who open that
 * name in the process), or "memory:NAME?vfs=VFS" (on a disk that a test simulates). Creates the
 * file (mode 0600) and applies migrations (with a backup first); blocks, so at start only. `why`
 * takes a sentence for the operator. Errors: STORE, PERMISSION, INVALID, BUSY.
 */
enum error store_open(struct loop *l, struct log log, enum store_kind kind, const char *url,
                      struct store **ret, char *why, size_t why_size);
/* Whether the database is a server that does not answer, or does not take anybody yet: one to wait
 * for, since nothing is known to be wrong. `shown` gets the url without its password. Blocks, for
 * some seconds at most. */
bool store_away(const char *url, char *shown, size_t size);
/* The same for one of several loops of a process: what a database needs once (threads, connections)
 * its stores in `shared` have in common. Each store is used on its own loop alone. */
enum error store_open_shared(struct shared *shared, struct loop *l, struct log log,
                             enum store_kind kind, const char *url, struct store **ret, char *why,
                             size_t why_size);
/* Finishes what was submitted, then closes; blocks; not from within a callback. NULL is fine.
 * Callbacks not yet made come with CANCELLED (their writes may well have been committed). */
void store_close(struct store *s);
/* Writes submitted and not yet committed: what back-pressure and `status` look at. */
size_t store_pending(const struct store *s);
/* A number larger than any before, also across restarts: microseconds of the wall clock, made
 * monotonic. */
uint64_t store_sequence(struct store *s);

/* --- results --- */
struct store_rows; /* borrowed during a callback */
size_t store_rows_count(const struct store_rows *r);
struct str store_text(const struct store_rows *r, size_t row,
                      unsigned column); /* data == NULL for SQL NULL */
int64_t store_int(const struct store_rows *r, size_t row, unsigned column);

/* e: OK, STORE (failed; nothing was changed), STORE_FULL (disk or quota), TOO_BIG (more than 32 MiB
 * in one transaction), CANCELLED (closing), and what the typed functions name. */
typedef void (*store_fn)(void *arg, enum error e, const struct store_rows *rows);
/* For writes whose outcome nobody waits for, pass fn == NULL: failures are then logged by the
 * store. */

/* --- transactions: collect writes, then submit --- */
struct store_txn;
struct store_txn *store_begin(struct store *s);
void store_commit(struct store_txn *t, store_fn fn, void *arg); /* frees t; rows are NULL */
/* The same for what may be together with others: the more changes one commit has in common, the
 * less each costs. It is on its way after `within` milliseconds at the latest, and before whatever
 * is submitted in the other two ways, so that a read sees it; among themselves only those whose
 * first value (the owner) is the same keep their order. What is not committed when the machine
 * loses its power, or the process is killed, is lost.
 * Gives the request back while it is held, which is as long as store_round stays the same, or
 * NULL: what has its place in it may be added (mam_join). */
struct store_txn *store_commit_later(struct store_txn *t, uint32_t within, store_fn fn, void *arg);
uint64_t store_round(const struct store *s); /* never 0 */
void store_discard(struct store_txn *t);
/* Every write below takes a transaction. A quick one: store_commit(write(store_begin(s)...), fn,
 * arg). */

#endif
