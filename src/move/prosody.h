/* Prosody's data directory (storage "internal": a Lua table in a file for each user and store) as
 * persons. */
#ifndef JACKDAW_MOVE_PROSODY_H
#define JACKDAW_MOVE_PROSODY_H

#include "move/facts.h"
#include "move/lua_table.h"
#include "move/source.h"

enum { PROSODY_FILE_MAX = 256 << 20, PROSODY_USERS_MAX = 10000000 };

/* NULL after a sentence in `why`. */
struct move_source *prosody_open(const char *dir, struct move_notes *notes, struct move_why why);

/* What stands in a file of each store; false: nothing that can be read. */
struct prosody_store {
    const char *name;
    bool list; /* USER.list, not USER.dat */
    void (*take)(struct person *p, const struct lua_value *data, struct move_notes *notes);
};
extern const struct prosody_store prosody_stores[]; /* ends with name == NULL */
/* An element as Prosody keeps it: { name =, attr = { }, child, "text" ... }. NULL when it is none.
 * Where it names no namespace it is in `ns`. */
struct stanza *prosody_stanza(const struct lua_value *v, struct str ns);

#endif
