/* Lua tables as Prosody writes them: no input may crash the reader, be refused without a word, or
 * make an element that is not one: what becomes a stanza is parsed again by our own parser. */
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "move/person_store.h"
#include "move/prosody.h"

static void ignore(void *arg, const char *text)
{
    (void)arg;
    if (!text[0])
        abort();
}

/* As our store would keep it. */
static void must_parse(struct parser_pool *parsers, struct stanza *s)
{
    struct str text = facts_whole(s);
    struct stanza *again = person_parse(parsers, text);
    if (!again)
        abort();
    stanza_unref(again);
    free((char *)(uintptr_t)text.data);
}

static void take_all(struct parser_pool *parsers, const struct lua_value *data, bool list)
{
    struct move_notes notes = {.say = ignore};
    for (const struct prosody_store *s = prosody_stores; s->name; s++) {
        if (s->list != list)
            continue;
        struct person *p = person_create(jid_parse(STR("juliet@capulet.example")));
        s->take(p, data, &notes);
        (void)person_sort(p);
        for (size_t i = 0; i < p->count; i++)
            must_parse(parsers, p->facts[i].xml);
        person_destroy(p);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct random *random = random_create_seeded(1);
    struct parser_pool *parsers = parser_pool_create(random);
    struct arena *arena = arena_create(1 << 24);
    struct str text = {size ? (const char *)data : "", size};
    for (int list = 0; list < 2; list++) {
        struct lua_value value;
        struct lua_error error = {0, NULL};
        bool ok = (list ? lua_parse_list : lua_parse)(arena, text, &value, &error);
        if (ok == (error.what != NULL)) /* refused exactly when something was said */
            abort();
        if (ok && value.type == LUA_TABLE)
            take_all(parsers, &value, list != 0);
        arena_reset(arena);
    }
    arena_destroy(arena);
    parser_pool_destroy(parsers);
    random_destroy(random);
    return 0;
}
