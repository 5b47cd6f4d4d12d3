/* `jackdaw trace`: where a message has been. With an id, or for the last messages of an address,
 * from what the ledger still has, whether or not the server runs; with an address alone live, until
 * Ctrl-C. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/trace_live.h"
#include "cli/trace_print.h"
#include "xmpp/jid.h"

#define LAST_MAX  10000u
#define STANZA_ID 32 /* characters of an id in an archive (sm/mam.h) */

/* --- one message --- */

static void print_steps(const struct trace_rings *t, const struct trace_steps *s, bool json)
{
    if (!json && s->count > 0)
        trace_print_way(s->items, s->count);
    for (size_t i = 0; json && i < s->count; i++)
        trace_print_json(t, s->items[i]);
}

/* False: nothing is known of it. */
static bool show(struct trace_rings *t, uint64_t id, bool json)
{
    struct trace_steps steps = {.items = NULL};
    struct trace_step step;
    bool any;

    trace_rings_rewind(t, false);
    while (trace_rings_next(t, &step))
        if (step.record.id == id)
            trace_steps_add(&steps, &step);
    trace_steps_sort(&steps);
    print_steps(t, &steps, json);
    any = steps.count > 0;
    trace_steps_drop(&steps, steps.count);
    return any;
}

/* The message that an archive has under that stanza-id (XEP-0359), as its clients see it; 0: not
 * known. The detail of its step begins with it. */
static uint64_t archived_as(struct trace_rings *t, struct str stanza_id)
{
    struct trace_step step;
    uint64_t id = 0;

    trace_rings_rewind(t, false);
    while (trace_rings_next(t, &step))
        if (step.record.event == LEDGER_ARCHIVED && step.record.detail.len >= stanza_id.len &&
            memcmp(step.record.detail.data, stanza_id.data, stanza_id.len) == 0)
            id = step.record.id;
    return id;
}

static int show_id(struct trace_rings *t, const struct cli_options *o)
{
    struct str text = str_of(o->trace_id);
    uint64_t id = 0;

    if (text.len == STANZA_ID) {
        id = archived_as(t, text);
    } else if (!ledger_id_parse(text, &id)) {
        cli_error("\"%s\" is no id of a message: %d characters, as the log and `jackdaw trace JID` "
                  "show them, or the %d of a stanza-id (XEP-0359) that a client has seen",
                  o->trace_id, LEDGER_ID, STANZA_ID);
        return 2;
    }
    if (id && show(t, id, o->json))
        return 0;
    cli_error("nothing is known of %s: too much has happened since (ledger.size), or it was on "
              "another machine",
              o->trace_id);
    return 1;
}

/* --- the last ones of an address --- */

struct way {
    uint64_t id;
    int64_t seen; /* when it last concerned the address */
    struct trace_steps steps;
};

struct ways {
    struct hash by_id;
    struct way **items;
    size_t count, room;
};

static void ways_add(struct ways *w, const struct ledger_record *r)
{
    struct way *way = hash_get(&w->by_id, trace_key(&r->id));

    if (!way) {
        way = MEM_NEW(struct way);
        way->id = r->id;
        way->seen = r->time;
        hash_put(&w->by_id, trace_key(&way->id), way);
        if (w->count == w->room) {
            w->room = w->room ? 2 * w->room : 1024;
            w->items = mem_realloc(w->items, w->room * sizeof(struct way *));
        }
        w->items[w->count++] = way;
    } else if (r->time > way->seen) {
        way->seen = r->time;
    }
}

static int latest_first(const void *a, const void *b)
{
    const struct way *x = *(struct way *const *)a, *y = *(struct way *const *)b;

    if (x->seen != y->seen)
        return x->seen > y->seen ? -1 : 1;
    return x->id > y->id ? -1 : x->id < y->id;
}

/* All but the latest ones are forgotten. */
static void ways_cut(struct ways *w, size_t most)
{
    if (w->count > 0)
        qsort(w->items, w->count, sizeof(struct way *), latest_first);
    while (w->count > most) {
        struct way *way = w->items[--w->count];
        hash_del(&w->by_id, trace_key(&way->id));
        trace_steps_drop(&way->steps, way->steps.count);
        free(way);
    }
}

static int show_last(struct trace_rings *t, const struct cli_options *o, struct str jid,
                     uint64_t most)
{
    struct ways w = {.items = NULL};
    struct trace_step step;
    struct way *way;
    bool any;

    trace_ids_init(&w.by_id);
    trace_rings_rewind(t, false);
    while (trace_rings_next(t, &step))
        if (trace_concerns(&step.record, jid))
            ways_add(&w, &step.record);
    ways_cut(&w, most);
    any = w.count > 0;
    trace_rings_rewind(t, false);
    while (any && trace_rings_next(t, &step))
        if ((way = hash_get(&w.by_id, trace_key(&step.record.id))))
            trace_steps_add(&way->steps, &step);
    for (size_t i = w.count; i > 0; i--) {
        trace_steps_sort(&w.items[i - 1]->steps);
        print_steps(t, &w.items[i - 1]->steps, o->json);
        if (!o->json && i > 1)
            puts("");
    }
    ways_cut(&w, 0);
    hash_finish(&w.by_id);
    free(w.items);
    if (!any)
        cli_error("the ledger has no message of %.*s", STR_ARG(jid));
    return any ? 0 : 1;
}

/* --- the command --- */

static bool number(const char *text, const char *option, uint64_t most, uint64_t *ret)
{
    if (!text || (str_to_u64(str_of(text), most, ret) && *ret > 0))
        return true;
    cli_error("--%s wants a number from 1 to %" PRIu64, option, most);
    return false;
}

static int of_address(struct trace_rings *t, const struct cli_options *o, const char *data_dir,
                      struct jid *jid)
{
    uint64_t last = 0;
    struct trace_wish wish = {.data_dir = data_dir,
                              .jid = o->bodies ? jid_bare(jid) : jid_full(jid),
                              .count = UINT64_MAX,
                              .json = o->json,
                              .bodies = o->bodies};

    if (!number(o->last, "last", LAST_MAX, &last) ||
        !number(o->count, "count", UINT32_MAX, &wish.count) ||
        !number(o->seconds, "seconds", UINT32_MAX, &wish.seconds))
        return 2;
    if (last)
        return show_last(t, o, jid_full(jid), last);
    trace_live(t, &wish);
    return 0;
}

int cli_trace(struct cli_options *o)
{
    struct trace_rings *rings;
    char data_dir[CLI_PATH_MAX];
    struct jid *jid = o->argc == 1 ? jid_parse(str_of(o->argv[0])) : NULL;
    int code = 2;

    if (o->trace_id ? o->argc != 0 : !jid) {
        cli_error("write `trace JID`, `trace JID --last N` or `trace --id ID`");
        jid_unref(jid);
        return 2;
    }
    if (!cli_find_data_dir(o, data_dir)) {
        jid_unref(jid);
        return 1;
    }
    rings = trace_rings_open(data_dir);
    if (trace_rings_count(rings) == 0) {
        cli_error("there is no ledger in %s that you may read; name the server's directory with "
                  "--data",
                  data_dir);
        code = 1;
    } else {
        code = o->trace_id ? show_id(rings, o) : of_address(rings, o, data_dir, jid);
    }
    trace_rings_close(rings);
    jid_unref(jid);
    return code;
}
