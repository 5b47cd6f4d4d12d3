/* What the components say (reliability.md C.1, G9): every fault is to leave a clear line within a
 * bounded time, and where nothing is broken nobody warns of anything. */
#include "sim.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
    SAID_MS = 2500
}; /* so soon what died is missed: longer than anybody waits to connect again */

/* --- lines --- */

static enum log_level level_of(struct str word)
{
    return str_is(word, "error")     ? LOG_ERROR
           : str_is(word, "warning") ? LOG_WARNING
           : str_is(word, "info")    ? LOG_INFO
                                     : LOG_DEBUG;
}

/* Somebody who reads nothing is cut, and said so: no fault of the server's. */
static bool of_a_client(const char *text)
{
    return strstr(text, "cut: it does not read");
}

/* A line that warns where nothing is broken, or a moment ago was. */
static void check_calm(struct sim_server *v, const struct sim_line *line)
{
    struct sim *s = v->sim;
    if (line->level > LOG_WARNING || of_a_client(line->text) || sim_disk_halted(v->disk))
        return; /* the last: its writer is dead */
    for (int i = 0; i < s->fault_count; i++) {
        const struct sim_fault *f = &s->faults[i];
        if (f->client == SIM_NOBODY && f->over >= line->at &&
            (!f->server || f->server == v || strcmp(line->component, "s2s") == 0))
            return;
    }
    sim_complain(s, "nothing is broken, and %s of %s says: %s", line->component, v->domain,
                 line->text);
}

static void keep(struct sim_server *v, const struct sim_line *line)
{
    struct sim_log *log = &v->log;
    if (log->count == log->room) {
        log->room = log->room ? 2 * log->room : 256;
        log->lines = mem_realloc(log->lines, log->room * sizeof(*log->lines));
    }
    log->lines[log->count++] = *line;
}

/* "LEVEL COMPONENT [session=...] [peer=...]: TEXT" */
static void take(struct sim_server *v, struct str text)
{
    struct sim_line line = {.at = sim_now(v->sim)};
    struct str level, component;
    if (!str_split(&text, ' ', &level) || (line.level = level_of(level)) > LOG_INFO)
        return;
    size_t len = 0;
    while (len < text.len && !strchr(" :\n", text.data[len]))
        len++;
    component = (struct str){text.data, len};
    (void)snprintf(line.component, sizeof(line.component), "%.*s", STR_ARG(component));
    text.len -= text.len && text.data[text.len - 1] == '\n';
    (void)snprintf(line.text, sizeof(line.text), "%.*s", STR_ARG(text));
    keep(v, &line);
    check_calm(v, &line);
}

static ssize_t on_line(void *cookie, const char *text, size_t len)
{
    struct sim_server *v = cookie;
    struct sim *s = v->sim;
    /* "TIME LEVEL ...": the time is this machine's */
    const char *from = memchr(text, ' ', len);
    size_t rest = from ? len - (size_t)(from + 1 - text) : 0;
    if (!rest)
        return (ssize_t)len;
    if (s->trace)
        fprintf(s->trace, "%7" PRIu64 "    | %s%s%.*s", sim_now(s),
                s->server_count > 1 ? v->domain : "", s->server_count > 1 ? " " : "", (int)rest,
                from + 1);
    take(v, (struct str){from + 1, rest});
    return (ssize_t)len;
}

FILE *sim_log_open(struct sim_server *v)
{
    FILE *f = fopencookie(v, "w", (cookie_io_functions_t){.write = on_line});
    if (f)
        setvbuf(f, NULL, _IOLBF, 4096);
    v->log.file = f;
    return f;
}

void sim_log_finish(struct sim_server *v)
{
    if (v->log.file)
        fclose(v->log.file);
    free(v->log.lines);
    free(v->log.due);
}

/* --- what is to be said --- */

static bool says(const struct sim_line *line, const struct sim_due *due)
{
    return line->at >= due->from && line->at <= due->until && line->level <= due->level &&
           (!due->component[0] || strcmp(line->component, due->component) == 0) &&
           strstr(line->text, due->word);
}

void sim_log_expect(struct sim_server *v, const char *component, enum log_level level,
                    const char *word)
{
    struct sim_log *log = &v->log;
    uint64_t now = sim_now(v->sim);
    struct sim_due due = {.from = now, .until = now + SAID_MS, .level = level};
    (void)snprintf(due.component, sizeof(due.component), "%s", component);
    (void)snprintf(due.word, sizeof(due.word), "%s", word);
    if (log->due_count == log->due_room) {
        log->due_room = log->due_room ? 2 * log->due_room : 64;
        log->due = mem_realloc(log->due, log->due_room * sizeof(*log->due));
    }
    log->due[log->due_count++] = due;
}

void sim_log_died(struct sim_server *v, const char *component)
{
    uint64_t now = sim_now(v->sim);
    for (size_t i = 0; i < v->log.due_count; i++) {
        struct sim_due *due = &v->log.due[i];
        due->excused = due->excused || (due->until > now && strcmp(due->component, component) == 0);
    }
}

bool sim_log_disk_failed(const struct sim_server *v, uint64_t from)
{
    for (size_t i = v->log.count; i-- > 0;) {
        const struct sim_line *line = &v->log.lines[i];
        if (!strstr(line->text, ": the database "))
            continue;
        if (line->level == LOG_ERROR)
            return true;
        if (line->at < from) /* it worked again */
            return false;
    }
    return false;
}

void sim_log_check(struct sim_server *v)
{
    const struct sim_log *log = &v->log;
    for (size_t i = 0; i < log->due_count; i++) {
        const struct sim_due *due = &log->due[i];
        bool said = due->excused;
        for (size_t j = 0; j < log->count && !said; j++)
            said = says(&log->lines[j], due);
        if (!said)
            sim_complain(v->sim, "%s of %s did not say after %" PRIu64 ": \"%s\"",
                         due->component[0] ? due->component : "nobody", v->domain, due->from,
                         due->word);
    }
}
