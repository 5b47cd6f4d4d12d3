/* `jackdaw trace`: where a message has been. With an id, or for the last messages of an address,
 * from what the ledger still has, whether or not the server runs; with an address alone live, until
 * Ctrl-C. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/trace_rings.h"
#include "xmpp/jid.h"

#define LAST_MAX  10000u
#define WATCH_MAX 100000u /* messages that are followed at a time */
#define POLL_MS   100u
#define SETTLE_US 300000 /* what another process noted before has come by then */
#define LOOK_MS   2000u  /* how often new processes are looked for, and bodies asked for */
#define TIME_TEXT 40

/* --- printing --- */

/* What strangers wrote does nothing to a terminal. */
static void print_safe(struct str s)
{
    while (s.len) {
        size_t len = str_printable(s);
        if (len)
            printf("%.*s", (int)len, s.data);
        else
            printf("\\x%02x", (unsigned char)*s.data);
        len += len == 0;
        s.data += len;
        s.len -= len;
    }
}

static void write_time(int64_t us, char out[TIME_TEXT])
{
    time_t seconds = (time_t)(us / 1000000);
    char date[32] = "";
    struct tm tm;

    if (gmtime_r(&seconds, &tm))
        (void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(out, TIME_TEXT, "%s.%06dZ", date, (int)(us % 1000000));
}

static json_t *text_or_null(struct str s)
{
    return s.len ? json_stringn(s.data, s.len) : NULL;
}

static void print_json(const struct trace_rings *t, const struct trace_step *step)
{
    const struct ledger_record *r = &step->record;
    char id[LEDGER_ID + 1], when[TIME_TEXT];
    json_t *o;

    write_time(r->time, when);
    o = json_pack("{s:s, s:s, s:s, s:o*, s:s, s:o*, s:o*, s:o*}", "id", ledger_id_text(r->id, id),
                  "time", when, "process", trace_process(t, step->ring), "component",
                  text_or_null(r->component), "event", ledger_word(r->event), "from",
                  text_or_null(r->from), "to", text_or_null(r->to), "detail",
                  text_or_null(r->detail));
    if (r->cut)
        json_object_set_new(o, "cut", json_true());
    json_dumpf(o, stdout, JSON_COMPACT);
    puts("");
    json_decref(o);
}

/* "delivered to juliet@example.net/balcony: which sleeps" */
static void print_what(const struct ledger_record *r)
{
    fputs(ledger_text(r->event), stdout);
    if (r->from.len) {
        fputs(" from ", stdout);
        print_safe(r->from);
        fputs(" to", stdout);
    }
    if (r->to.len) {
        putchar(' ');
        print_safe(r->to);
    }
    if (r->detail.len) {
        fputs(r->to.len ? " (" : " ", stdout);
        print_safe(r->detail);
        fputs(r->to.len ? ")" : "", stdout);
    }
    puts(r->cut ? " ..." : "");
}

static void print_line(const struct trace_step *step)
{
    const struct ledger_record *r = &step->record;
    char id[LEDGER_ID + 1], when[TIME_TEXT];

    write_time(r->time, when);
    printf("%s %s %-8.*s ", when, ledger_id_text(r->id, id), STR_ARG(r->component));
    print_what(r);
}

/* One message's way: a line with its id and the time it began, the others with what passed since.
 */
static void print_way(struct trace_step *const *steps, size_t count)
{
    char id[LEDGER_ID + 1], when[TIME_TEXT];
    int64_t began = steps[0]->record.time;

    write_time(began, when);
    printf("%s  %s\n", ledger_id_text(steps[0]->record.id, id), when);
    for (size_t i = 0; i < count; i++) {
        const struct ledger_record *r = &steps[i]->record;
        printf("%12.3f ms  %-8.*s ", (double)(r->time - began) / 1000, STR_ARG(r->component));
        print_what(r);
    }
}

/* --- afterwards --- */

struct sighting {
    uint64_t id;
    int64_t time;
};

static int latest_first(const void *a, const void *b)
{
    const struct sighting *x = a, *y = b;

    if (x->time != y->time)
        return x->time > y->time ? -1 : 1;
    return x->id > y->id ? -1 : x->id < y->id;
}

static bool has(const uint64_t *ids, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

/* The messages of an address, the latest first: at most `most` of them into `ids`. */
static size_t find_last(struct trace_rings *t, struct str jid, size_t most, uint64_t *ids)
{
    struct sighting *seen = NULL;
    size_t count = 0, room = 0, found = 0;
    struct trace_step step;

    trace_rings_rewind(t, false);
    while (trace_rings_next(t, &step)) {
        if (!trace_concerns(&step.record, jid))
            continue;
        if (count == room) {
            room = room ? 2 * room : 1024;
            seen = mem_realloc(seen, room * sizeof(*seen));
        }
        seen[count++] = (struct sighting){step.record.id, step.record.time};
    }
    if (count > 0)
        qsort(seen, count, sizeof(*seen), latest_first);
    for (size_t i = 0; i < count && found < most; i++)
        if (!has(ids, found, seen[i].id))
            ids[found++] = seen[i].id;
    free(seen);
    return found;
}

static void print_steps(const struct trace_rings *t, const struct trace_steps *s, bool json)
{
    if (!json && s->count > 0)
        print_way(s->items, s->count);
    for (size_t i = 0; json && i < s->count; i++)
        print_json(t, s->items[i]);
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

static int show_id(struct trace_rings *t, const struct cli_options *o)
{
    uint64_t id;

    if (!ledger_id_parse(str_of(o->trace_id), &id)) {
        cli_error("\"%s\" is no id of a message: %d characters, as the log and `jackdaw trace JID` "
                  "show them",
                  o->trace_id, LEDGER_ID);
        return 2;
    }
    if (show(t, id, o->json))
        return 0;
    cli_error("nothing is known of %s: too much has happened since (ledger.size), or it was on "
              "another machine",
              o->trace_id);
    return 1;
}

static int show_last(struct trace_rings *t, const struct cli_options *o, struct str jid,
                     uint64_t most)
{
    uint64_t *ids = mem_alloc_array(most, sizeof(*ids));
    size_t count = find_last(t, jid, most, ids);

    for (size_t i = count; i > 0; i--) {
        (void)show(t, ids[i - 1], o->json);
        if (!o->json && i > 1)
            puts("");
    }
    free(ids);
    if (count == 0)
        cli_error("the ledger has no message of %.*s", STR_ARG(jid));
    return count > 0 ? 0 : 1;
}

/* --- live --- */

struct followed {
    struct list node;
    uint64_t id;
};

struct live {
    const struct cli_options *o;
    const char *data_dir;
    struct trace_rings *rings;
    struct trace_steps steps; /* read, and not shown yet */
    struct str jid;
    struct loop *loop;
    struct loop_timer poll, look, end;
    struct hash ids; /* struct followed */
    struct list oldest;
    uint64_t left; /* lines that are still to be shown */
};

static struct str key_of(const uint64_t *id)
{
    return (struct str){(const char *)id, sizeof(*id)};
}

static void forget(struct live *l, struct followed *f)
{
    hash_del(&l->ids, key_of(&f->id));
    list_remove(&f->node);
    free(f);
}

/* Of a message that concerns the address everything is shown from there on. */
static bool follows(struct live *l, const struct ledger_record *r)
{
    struct followed *f = hash_get(&l->ids, key_of(&r->id));

    if (f)
        return true;
    if (!trace_concerns(r, l->jid))
        return false;
    if (l->ids.count == WATCH_MAX)
        forget(l, LIST_ENTRY(l->oldest.next, struct followed, node));
    f = MEM_NEW(struct followed);
    f->id = r->id;
    list_push(&l->oldest, &f->node);
    hash_put(&l->ids, key_of(&f->id), f);
    return true;
}

static void show_settled(struct live *l, int64_t until)
{
    size_t i = 0;

    trace_steps_sort(&l->steps);
    for (; i < l->steps.count && l->steps.items[i]->record.time <= until && l->left; i++) {
        if (!follows(l, &l->steps.items[i]->record))
            continue;
        if (l->o->json)
            print_json(l->rings, l->steps.items[i]);
        else
            print_line(l->steps.items[i]);
        l->left--;
    }
    trace_steps_drop(&l->steps, i);
    fflush(stdout);
}

static void on_poll(struct loop_timer *timer)
{
    struct live *l = MEM_CONTAINER(timer, struct live, poll);
    struct trace_step step;

    while (trace_rings_next(l->rings, &step))
        trace_steps_add(&l->steps, &step);
    show_settled(l, loop_wall_us(l->loop) - SETTLE_US);
    if (l->left)
        loop_timer_start(timer, POLL_MS);
    else
        loop_stop(l->loop);
}

static void ignore(void *arg, const json_t *answer)
{
}

static void on_look(struct loop_timer *timer)
{
    struct live *l = MEM_CONTAINER(timer, struct live, look);

    trace_rings_look(l->rings);
    if (l->o->bodies) {
        json_t *request = json_pack("{s:s, s:s#}", "command", "trace-bodies", "jid", l->jid.data,
                                    (int)l->jid.len);
        if (control_request_all(l->data_dir, request, ignore, NULL) == 0)
            cli_error("no server is running on %s, so nothing is written down", l->data_dir);
        json_decref(request);
    }
    loop_timer_start(timer, LOOK_MS);
}

static void on_end(struct loop_timer *timer)
{
    loop_stop(MEM_CONTAINER(timer, struct live, end)->loop);
}

static void on_signal(void *arg, int signum)
{
    loop_stop(arg);
}

static int follow(struct live *l, uint64_t seconds)
{
    struct random *random = random_create();
    uint64_t seed[2];

    random_fill(random, seed, sizeof(seed));
    random_destroy(random);
    hash_init(&l->ids, seed);
    list_init(&l->oldest);
    l->loop = loop_create();
    loop_timer_init(&l->poll, l->loop, on_poll);
    loop_timer_init(&l->look, l->loop, on_look);
    loop_timer_init(&l->end, l->loop, on_end);
    loop_on_signal(l->loop, SIGINT, on_signal, l->loop);
    loop_on_signal(l->loop, SIGTERM, on_signal, l->loop);
    trace_rings_rewind(l->rings, true);
    on_look(&l->look);
    loop_timer_start(&l->poll, 0);
    if (seconds)
        loop_timer_start(&l->end, seconds * 1000);
    fprintf(stderr, "following %.*s; Ctrl-C ends it\n", STR_ARG(l->jid));
    loop_run(l->loop);
    show_settled(l, INT64_MAX);
    loop_timer_stop(&l->poll);
    loop_timer_stop(&l->look);
    loop_timer_stop(&l->end);
    loop_destroy(l->loop);
    while (!list_empty(&l->oldest))
        forget(l, LIST_ENTRY(l->oldest.next, struct followed, node));
    hash_finish(&l->ids);
    trace_steps_drop(&l->steps, l->steps.count);
    return 0;
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
    uint64_t last = 0, count = UINT64_MAX, seconds = 0;
    struct live live = {.o = o, .data_dir = data_dir, .rings = t};

    if (!number(o->last, "last", LAST_MAX, &last) ||
        !number(o->count, "count", UINT32_MAX, &count) ||
        !number(o->seconds, "seconds", UINT32_MAX, &seconds))
        return 2;
    live.jid = o->bodies ? jid_bare(jid) : jid_full(jid);
    live.left = count;
    return last ? show_last(t, o, jid_full(jid), last) : follow(&live, seconds);
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
