/* How the steps of messages are shown: see trace_print.h. */
#include "cli/trace_print.h"

#include <jansson.h>
#include <stdio.h>
#include <time.h>

#define TIME_TEXT 40

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

void trace_print_json(const struct trace_rings *t, const struct trace_step *step)
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

void trace_print_line(const struct trace_step *step)
{
    const struct ledger_record *r = &step->record;
    char id[LEDGER_ID + 1], when[TIME_TEXT];

    write_time(r->time, when);
    printf("%s %s %-8.*s ", when, ledger_id_text(r->id, id), STR_ARG(r->component));
    print_what(r);
}

void trace_print_way(struct trace_step *const *steps, size_t count)
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
