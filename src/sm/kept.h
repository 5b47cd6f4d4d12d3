/* Kept: the rows of a small table that a feature has in memory for all domains, as a list in its
 * state, and the word to the other session managers that they are to read theirs again. */
#ifndef JACKDAW_SM_KEPT_H
#define JACKDAW_SM_KEPT_H

#include "sm/command.h"

/* For PATH_START and PATH_STOP. `feature` is FEATURE_<id>, whose state is the list. */
struct list *kept_start(struct sm *sm, int feature);
void kept_stop(struct sm *sm, int feature, void (*drop)(struct list *node));
static inline struct list *kept_list(const struct sm *sm, int feature)
{
    return sm->state[feature];
}
/* Empties it; `drop` takes the node out and frees it. */
void kept_clear(struct list *list, void (*drop)(struct list *node));

/* A word in NS_INTERNAL to every other component; takes the builder. */
void kept_tell(struct sm *sm, struct builder *b);
/* Whether this is such a word, with that root. */
bool kept_told(const struct packet *p, const char *name);
/* True when the rows could be read; else it has been logged. */
bool kept_read(const struct sm *sm, enum error e, const char *what);
/* Commits a command's change of such a table; takes t. Then `reload` reads the rows again, the
 * other session managers are told by `word`, and the command is done with the text `done`; when the
 * commit fails it is refused with what send_condition makes of the error. `word` and `done` are
 * literals. */
void kept_commit(struct command_call *call, struct store_txn *t, void (*reload)(struct sm *sm),
                 const char *word, const char *done);

#endif
