/* Inside store/ only: requests, and what a driver does with them.
 *
 * The typed functions (accounts.c, users.c, ...) put statements and their values into a request; a
 * driver runs requests in the order of submission and hands them back with store_done; store.c
 * makes the callbacks. A request is one block of memory: its values lie in it, encoded, and are
 * bound from there without a copy.
 */
#ifndef JACKDAW_STORE_DRIVER_H
#define JACKDAW_STORE_DRIVER_H

#include "store/store.h"

enum store_statement {
#define X(id, unchanged, sql) SQL_##id,
#include "store/statements.def"
#undef X
    SQL_STATEMENTS
};
extern const char *const store_statement_sql[SQL_STATEMENTS];
extern const enum error store_statement_unchanged[SQL_STATEMENTS];

enum {
    REQUEST_INLINE = 640,                /* bytes of values that need no second allocation */
    REQUEST_MAX = 32 << 20,              /* bytes of values of one transaction */
    STORE_PENDING_MAX = 262144,          /* requests in flight; more are refused */
    STORE_PENDING_BYTES_MAX = 512 << 20, /* bytes of values in flight */
    STORE_HELD_MAX = 4096,               /* requests of store_commit_later */
    STORE_SPARE_MAX = 4096,              /* blocks for requests, kept to be used again: 3 MB */
    STORE_RESULT_MAX = 512 << 20         /* bytes of one result */
};

/* A transaction being collected, then a request in flight. */
struct store_txn {
    struct store_txn *after; /* submitted after this one; the loop's thread only */
    struct store_txn *next;  /* in a driver's queue */
    struct store *store;
    store_fn fn;
    void *arg;
    struct store_rows *rows; /* of a read, made by the driver */
    char *data;              /* values, encoded; `fixed` until they outgrow it */
    uint32_t used, cap;
    uint16_t statements;
    bool read;
    bool done;
    bool inside; /* run within the batch's transaction */
    enum error result;
    uint64_t since; /* loop_now of the submission */
    char fixed[REQUEST_INLINE];
};

/* --- for the typed functions: a statement, then its values in the order ?1, ?2 ... --- */
struct store_txn *store_add(struct store_txn *t, enum store_statement statement);
struct store_txn *store_add_text(struct store_txn *t, struct str text); /* data == NULL: SQL NULL */
struct store_txn *store_add_blob(struct store_txn *t, const void *bytes, size_t len);
struct store_txn *store_add_int(struct store_txn *t, int64_t number);
/* A read is a request of one SELECT: store_read(store_add(store_begin(s), ...), fn, arg). */
void store_read(struct store_txn *t, store_fn fn, void *arg);
/* The request ends with numbers, the last of which becomes this one; or the last but `behind`. */
void store_set_int(struct store_txn *t, size_t behind, int64_t number);

/* A list of requests by their `next`. */
struct txn_list {
    struct store_txn *first, **end;
};
static inline void txn_list_init(struct txn_list *l)
{
    l->first = NULL;
    l->end = &l->first;
}
static inline void txn_list_push(struct txn_list *l, struct store_txn *t)
{
    t->next = NULL;
    *l->end = t;
    l->end = &t->next;
}
static inline void txn_list_append(struct txn_list *l, struct txn_list *from) /* empties `from` */
{
    if (!from->first)
        return;
    *l->end = from->first;
    l->end = from->end;
    txn_list_init(from);
}
static inline struct store_txn *txn_list_pop(struct txn_list *l)
{
    struct store_txn *t = l->first;
    if (t && !(l->first = t->next))
        l->end = &l->first;
    return t;
}

/* --- for drivers: walking a request --- */
enum value_type { VALUE_NULL, VALUE_INT, VALUE_TEXT, VALUE_BLOB };
struct value {
    enum value_type type;
    int64_t number;
    struct str bytes; /* lives as long as the request */
};
struct request_cursor {
    const char *at, *end;
};
void request_cursor_init(struct request_cursor *c, const struct store_txn *t);
bool request_next_statement(struct request_cursor *c,
                            enum store_statement *ret); /* after the last value: next one */
bool request_next_value(struct request_cursor *c,
                        struct value *ret); /* false before the next statement */

/* --- for drivers: results --- */
struct store_rows *store_rows_create(unsigned columns);
void store_rows_destroy(struct store_rows *r); /* NULL is fine */
/* The next cell, row by row; false when the result would be larger than STORE_RESULT_MAX. */
bool store_rows_add(struct store_rows *r, const struct value *cell);

struct store_driver {
    const char *scheme; /* "sqlite:" */
    /* Blocks; sets s->state. On failure `why` tells the operator what to do. `reserved`: see
     * SEQUENCE_RESERVE. */
    enum error (*open)(struct store *s, const char *rest_of_url, uint64_t *reserved, char *why,
                       size_t why_size);
    void (*submit)(struct store *s, struct store_txn *t);
    /* Blocks until everything submitted has been run, without handing it back: results stand in the
     * requests. */
    void (*close)(struct store *s);
    bool (*away)(const char *url, char *shown, size_t size); /* store_away; NULL: never */
};
extern const struct store_driver store_sqlite, store_memory, store_postgres;

struct store {
    struct loop *loop;
    struct log log;
    enum store_kind kind;
    struct shared *shared; /* NULL: nothing in common with other stores */
    const struct store_driver *driver;
    void *state;                       /* the driver's */
    struct store_txn *oldest, *newest; /* in flight, by submission */
    size_t in_flight;                  /* requests */
    size_t bytes_in_flight;
    size_t writes_pending; /* submitted and not yet committed */
    bool refusing;         /* the maximum was reached: said once */
    uint64_t sequence, reserved;
    struct store_txn *spare; /* by `next`: thousands at once are hard work for malloc and free */
    size_t spare_count;
    struct loop_task kick; /* hands back what was refused at submission */
    bool kicked;
    struct txn_list
        held; /* of store_commit_later, until `release` is due or somebody comes who cannot wait */
    size_t held_count;
    uint64_t round; /* of what is held: grows when that is released */
    struct loop_timer release;
    uint64_t release_due;
};

/* On the loop: these requests (a list by `next`) have their results. Makes the callbacks that are
 * due. */
void store_done(struct store *s, struct store_txn *first);

#endif
