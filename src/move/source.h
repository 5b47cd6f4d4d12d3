/* Source: where persons come from, one after the other: a reader of another server's data. */
#ifndef JACKDAW_MOVE_SOURCE_H
#define JACKDAW_MOVE_SOURCE_H

#include "base/error.h"
#include "move/person.h"

/* What could not be carried, said once each, for the operator. */
struct move_notes {
    void (*say)(void *arg, const char *text);
    void *arg;
    uint64_t left_out; /* how often move_leave_out was called */
};
/* Something is not imported: "OWNER: text". `owner` may be NULL. */
void move_leave_out(struct move_notes *notes, const char *owner, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Something worth knowing that loses nothing. */
void move_remark(struct move_notes *notes, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

struct move_why {
    char *text;
    size_t size;
};
enum error move_fail(struct move_why why, enum error e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

struct move_source {
    const struct move_source_ops *ops;
    struct move_notes *notes;
    struct move_why why;  /* a failure puts a sentence here */
    uint64_t done, total; /* of some unit, for a progress bar; total 0: not known */
};

struct move_source_ops {
    /* The next person, the caller's; NULL at the end. */
    enum error (*next)(struct move_source *s, struct person **ret);
    void (*close)(struct move_source *s);
};
void move_close(struct move_source *s); /* NULL is fine */

#endif
