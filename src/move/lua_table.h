/* Lua tables as Prosody stores them: a file that says `return { ... };` or is a list of
 * `item({ ... });`. A reader of these constants, not of Lua: nothing is run. Strangers' bytes:
 * nesting, memory and time are bounded, and what is wrong is named with its line.
 */
#ifndef JACKDAW_MOVE_LUA_TABLE_H
#define JACKDAW_MOVE_LUA_TABLE_H

#include "base/arena.h"

enum { LUA_DEPTH_MAX = 130 /* Prosody writes 127 */ };

enum lua_type { LUA_NIL, LUA_BOOLEAN, LUA_NUMBER, LUA_STRING, LUA_TABLE };

struct lua_pair;
struct lua_value {
    enum lua_type type;
    bool boolean;
    double number;
    struct str text;        /* of a string; may hold any bytes */
    struct lua_pair *first; /* of a table: in the order of the file */
};
struct lua_pair {
    struct lua_value key, value; /* what has no key has 1, 2, ... */
    struct lua_pair *next;
};

struct lua_error {
    unsigned line;
    const char *what;
};

/* The value of `return VALUE`; everything lives in the arena. False: *ret_error says why. */
bool lua_parse(struct arena *arena, struct str text, struct lua_value *ret,
               struct lua_error *ret_error);
/* A table of the values of all `item(VALUE)`, under 1, 2, ... */
bool lua_parse_list(struct arena *arena, struct str text, struct lua_value *ret,
                    struct lua_error *ret_error);

/* NULL when there is no such key, or `table` is NULL or no table. */
const struct lua_value *lua_get(const struct lua_value *table, const char *key);
const struct lua_value *lua_get_false(const struct lua_value *table); /* under the key `false` */
/* The text of a string under that key; data == NULL for anything else. */
struct str lua_text(const struct lua_value *table, const char *key);
bool lua_true(const struct lua_value *v); /* neither nil nor false */
double lua_number(const struct lua_value *table, const char *key, double otherwise);

#endif
