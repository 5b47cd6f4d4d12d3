/* Owners are met in order in every table at once; what one owner has in a table is given to that
 * table's function as rows of text. */
#include "move/jabberd2_impl.h"

#include <stdlib.h>

#include "base/mem.h"

#define OWNER "\"collection-owner\""

static const struct jabberd2_spec specs[JABBERD2_TABLES] = {
    [JABBERD2_ACTIVE] = {{"active", {"time"}, 1, OWNER}, jabberd2_take_active},
    [JABBERD2_AUTHREG] =
        {{"authreg", {"username", "realm", "password"}, 3, "\"username\" || '@' || \"realm\""},
         jabberd2_take_authreg},
    [JABBERD2_LOGOUT] = {{"logout", {"time"}, 1, OWNER}, jabberd2_take_logout},
    [JABBERD2_GROUPS] = {{"roster-groups", {"jid", "group"}, 2, OWNER}, jabberd2_take_groups},
    [JABBERD2_ITEMS] = {{"roster-items", {"jid", "name", "to", "from", "ask"}, 5, OWNER},
                        jabberd2_take_items},
    [JABBERD2_VCARD] = {{"vcard",
                         {
#define X(id, column, element, inner) column,
#include "store/vcard.def"
#undef X
                         },
                         VCARD_COLUMNS,
                         OWNER},
                        jabberd2_take_vcard},
    [JABBERD2_PRIVATE] = {{"private", {"ns", "xml"}, 2, OWNER}, jabberd2_take_private},
    [JABBERD2_PRIVACY_ITEMS] =
        {{"privacy-items", {"list", "type", "value", "deny", "order", "block"}, 6, OWNER},
         jabberd2_take_privacy},
    [JABBERD2_PRIVACY_DEFAULT] = {{"privacy-default", {"default"}, 1, OWNER},
                                  jabberd2_take_privacy_default},
    [JABBERD2_VACATION] = {{"vacation-settings", {"start", "end", "message"}, 3, OWNER},
                           jabberd2_take_vacation},
    [JABBERD2_DISCO] = {{"disco-items", {"jid", "name", "node"}, 3, OWNER}, jabberd2_take_disco},
    [JABBERD2_STATUS] =
        {{"status", {"status", "show", "last-login", "last-logout", "xml"}, 5, OWNER},
         jabberd2_take_status},
    [JABBERD2_VERIFY] = {{"verify", {"email", "code", "state"}, 3, OWNER}, jabberd2_take_verify},
    [JABBERD2_PUBLISHED] =
        {{"published-roster", {"jid", "group", "name", "to", "from", "ask"}, 6, OWNER},
         jabberd2_take_published},
    [JABBERD2_PUBLISHED_GROUPS] = {{"published-roster-groups", {"groupname"}, 1, OWNER},
                                   jabberd2_take_published_groups},
    [JABBERD2_MOTD] = {{"motd-message", {"xml"}, 1, OWNER}, jabberd2_take_motd},
    [JABBERD2_MOTD_TIMES] = {{"motd-times", {"time"}, 1, OWNER}, jabberd2_take_motd_times},
    [JABBERD2_QUEUE] = {{"queue", {"xml"}, 1, OWNER}, jabberd2_take_queue},
};

/* One table's rows, the next one read already. */
struct cursor {
    struct foreign_rows *rows; /* NULL: no such table, or at its end */
    struct str values[FOREIGN_COLUMNS_MAX + 1];
};

struct source {
    struct jabberd2 base; /* what the functions of the tables see */
    struct move_source source;
    struct foreign_db *db;
    struct cursor cursors[JABBERD2_TABLES];
    struct jabberd2_table tables[JABBERD2_TABLES + 1];
    struct buffer owner;
};

static struct source *of(const struct move_source *s)
{
    return MEM_CONTAINER((struct move_source *)(uintptr_t)s, struct source, source);
}

const struct jabberd2_table *jabberd2_tables(const struct move_source *s)
{
    return of(s)->tables;
}

const uint64_t *jabberd2_passwords(const struct move_source *s)
{
    return of(s)->base.passwords;
}

static enum error advance(struct cursor *c)
{
    bool more;
    enum error e = foreign_rows_next(c->rows, c->values, &more);
    if (e == ERR_OK && !more) {
        foreign_rows_close(c->rows);
        c->rows = NULL;
    }
    return e;
}

static struct str key_of(const struct source *s, size_t table)
{
    struct str key = s->cursors[table].values[specs[table].query.count];
    return key.data ? key : STR("");
}

/* The first owner in any table, into s->owner; false when no table has any row left. */
static bool first_owner(struct source *s)
{
    struct str first = STR_NULL;
    for (size_t i = 0; i < JABBERD2_TABLES; i++)
        if (s->cursors[i].rows && (!first.data || str_cmp(key_of(s, i), first) < 0))
            first = key_of(s, i);
    buffer_clear(&s->owner);
    return first.data && buffer_add_str(&s->owner, first);
}

/* The rows of s->owner in one table, copied into the arena. */
static enum error collect(struct source *s, size_t table, struct jabberd2_rows *ret)
{
    struct cursor *c = &s->cursors[table];
    size_t columns = specs[table].query.count, cap = 0;
    enum error e = ERR_OK;
    *ret = (struct jabberd2_rows){.columns = columns};
    while (e == ERR_OK && c->rows && str_eq(key_of(s, table), buffer_str(&s->owner))) {
        if (ret->count == cap) {
            cap = cap ? 2 * cap : 4;
            ret->values = mem_realloc(ret->values, cap * columns * sizeof *ret->values);
        }
        for (size_t i = 0; i < columns; i++) {
            struct str v = c->values[i];
            const char *copy = v.data ? arena_strndup(s->base.arena, v) : NULL;
            if (v.data && !copy)
                return move_fail(s->source.why, ERR_TOO_BIG, "%.*s has too much in table %s",
                                 STR_ARG(buffer_str(&s->owner)), specs[table].query.table);
            ret->values[ret->count * columns + i] = (struct str){copy, v.len};
        }
        ret->count++;
        s->tables[table].rows++;
        s->source.done++;
        e = advance(c);
    }
    return e;
}

/* A realm may be empty: then there is one domain. */
static struct jid *owner_jid(const struct source *s)
{
    struct str owner = buffer_str(&s->owner);
    char text[2200];
    if (owner.len && owner.data[owner.len - 1] == '@' && s->base.o.domain) {
        snprintf(text, sizeof text, "%.*s%s", STR_ARG(owner), s->base.o.domain);
        owner = str_of(text);
    }
    struct jid *jid = jid_parse(owner);
    if (jid && jid_is_bare(jid))
        return jid;
    jid_unref(jid);
    return NULL;
}

static enum error take_tables(struct source *s, struct person *p)
{
    enum error e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < JABBERD2_TABLES; i++) {
        struct jabberd2_rows rows;
        s->base.table = &s->tables[i];
        e = collect(s, i, &rows);
        if (e == ERR_OK && rows.count && p)
            specs[i].take(&s->base, p, &rows);
        if (e == ERR_OK && rows.count && !p) {
            s->tables[i].left_out += rows.count;
            move_leave_out(s->source.notes, NULL,
                           "table %s: the owner \"%.*s\" is no address; %zu row%s left out",
                           specs[i].query.table, STR_ARG(buffer_str(&s->owner)), rows.count,
                           rows.count == 1 ? "" : "s");
        }
        free(rows.values);
    }
    return e;
}

static enum error jabberd2_next(struct move_source *source, struct person **ret)
{
    struct source *s = of(source);
    enum error e = ERR_OK;
    *ret = NULL;
    while (e == ERR_OK && !*ret && first_owner(s)) {
        struct jid *jid = owner_jid(s);
        struct person *p = jid ? person_create(jid) : NULL;
        e = take_tables(s, p);
        if (e == ERR_OK && p)
            jabberd2_settle(&s->base, p);
        s->tables[JABBERD2_GROUPS].left_out = s->base.groups_left_out;
        arena_reset(s->base.arena);
        if (e == ERR_OK)
            *ret = p;
        else
            person_destroy(p);
    }
    return e;
}

static void jabberd2_close(struct move_source *source)
{
    struct source *s = of(source);
    for (size_t i = 0; i < JABBERD2_TABLES; i++)
        foreign_rows_close(s->cursors[i].rows);
    foreign_db_close(s->db);
    arena_destroy(s->base.arena);
    buffer_finish(&s->owner);
    free(s);
}

static const struct move_source_ops ops = {jabberd2_next, jabberd2_close};

static enum error open_tables(struct source *s)
{
    size_t there = 0;
    enum error e = ERR_OK;
    for (size_t i = 0; i < JABBERD2_TABLES && (e == ERR_OK || e == ERR_NOT_FOUND); i++) {
        uint64_t rows = 0;
        s->tables[i].name = specs[i].query.table;
        e = foreign_rows_open(s->db, &specs[i].query, &s->cursors[i].rows, &rows);
        if (e != ERR_OK)
            continue;
        s->tables[i].there = true;
        s->source.total += rows;
        there++;
        e = advance(&s->cursors[i]);
    }
    if ((e == ERR_OK || e == ERR_NOT_FOUND) && !there)
        return move_fail(s->source.why, ERR_NOT_FOUND,
                         "there is none of jabberd2's tables (authreg, active, roster-items ...): "
                         "is this its database?");
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

struct move_source *jabberd2_open(const struct jabberd2_options *o, struct move_notes *notes,
                                  struct move_why why)
{
    struct source *s = MEM_NEW(struct source);
    s->source = (struct move_source){.ops = &ops, .notes = notes, .why = why};
    s->base = (struct jabberd2){.o = *o, .notes = notes};
    s->base.arena = arena_create(PERSON_BYTES_MAX);
    buffer_init(&s->owner, 4096);
    s->db = o->sqlite ? foreign_db_open_sqlite(o->sqlite, why)
                      : foreign_db_open_postgres(o->postgres, why);
    if (s->db && open_tables(s) == ERR_OK)
        return &s->source;
    jabberd2_close(&s->source);
    return NULL;
}
