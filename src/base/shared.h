/* Shared: what the instances of a component on several loops of one process have in common - a
 * database's threads, a book of addresses. Things are found by name, made by the first who asks and
 * ended by the last who lets go; each sees to its own locking. */
#ifndef JACKDAW_BASE_SHARED_H
#define JACKDAW_BASE_SHARED_H

struct shared;

struct shared *shared_create(void);
void shared_destroy(struct shared *s); /* everything has been released before; NULL is fine */
/* The thing of that name. Made by `create` when there is none yet: NULL from it, and nothing is
 * kept. With a NULL `s` everybody gets one of his own. From any thread. */
void *shared_take(struct shared *s, const char *name, void *(*create)(void *arg), void *arg);
/* As often as it was taken; the last time calls `destroy`. */
void shared_release(struct shared *s, void *thing, void (*destroy)(void *thing));

#endif
