/* `jackdaw top`: a live view of the running server. One keypress each: q ends, s sorts by what
 * users send or by what they get, p holds the picture. Written to a file or a pipe it is one
 * picture with totals instead of rates. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cli.h"

#define NAME_MAX_LEN 48
#define USERS_MAX    10000

/* What is known of one session. */
struct row {
    char jid[NAME_MAX_LEN];
    long long sent, got;        /* totals: stanzas, bytes */
    double sent_rate, got_rate; /* a second; in a single picture the totals */
};

struct picture {
    json_t *status;
    struct row *rows;
    size_t count;
    double at; /* seconds */
};

struct view {
    char data_dir[CLI_PATH_MAX];
    struct picture now, before;
    bool by_received, held, live;
    int lines;
};

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static long long number(const json_t *o, const char *name)
{
    return (long long)json_integer_value(json_object_get(o, name));
}

/* --- asking --- */

static void merge_status(void *arg, const json_t *answer)
{
    json_t *components = json_object_get(answer, "components");

    if (json_is_object(components))
        (void)json_object_update(arg, components);
}

static void add_sessions(void *arg, const json_t *answer)
{
    struct picture *p = arg;
    size_t i;
    json_t *session;

    json_array_foreach(json_object_get(answer, "sessions"), i, session)
    {
        if (p->count == USERS_MAX)
            return;
        struct row *row = &p->rows[p->count++];
        const char *jid = json_string_value(json_object_get(session, "jid"));
        (void)snprintf(row->jid, sizeof(row->jid), "%s", jid ? jid : "?");
        row->sent = number(session, "stanzas_in");
        row->got = number(session, "bytes_out");
    }
}

static bool take_picture(struct view *v)
{
    json_t *ask_status = json_pack("{s:s}", "command", "status");
    json_t *ask_sessions = json_pack("{s:s}", "command", "sessions");

    v->now = (struct picture){.status = json_object(), .at = seconds()};
    v->now.rows = mem_alloc_array(USERS_MAX, sizeof(*v->now.rows));
    size_t answered = control_request_all(v->data_dir, ask_status, merge_status, v->now.status);
    (void)control_request_all(v->data_dir, ask_sessions, add_sessions, &v->now);
    json_decref(ask_status);
    json_decref(ask_sessions);
    return answered > 0;
}

static void picture_free(struct picture *p)
{
    json_decref(p->status);
    free(p->rows);
    *p = (struct picture){.status = NULL};
}

/* --- rates --- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->jid, ((const struct row *)b)->jid);
}

static int by_sent(const void *a, const void *b)
{
    double x = ((const struct row *)a)->sent_rate, y = ((const struct row *)b)->sent_rate;

    return x > y ? -1 : x < y ? 1 : by_name(a, b);
}

static int by_received(const void *a, const void *b)
{
    double x = ((const struct row *)a)->got_rate, y = ((const struct row *)b)->got_rate;

    return x > y ? -1 : x < y ? 1 : by_name(a, b);
}

/* A counter's growth a second; its value when there is no picture before. */
static double rate(const struct view *v, long long now, long long before)
{
    double time = v->now.at - v->before.at;

    if (!v->before.status)
        return (double)now;
    return now >= before && time > 0 ? (double)(now - before) / time : 0;
}

/* Both lists sorted by name: walked side by side. */
static void find_rates(struct view *v)
{
    size_t k = 0;

    if (v->now.count == 0)
        return;
    qsort(v->now.rows, v->now.count, sizeof(*v->now.rows), by_name);
    if (v->before.count > 0) /* the first round has none to compare with */
        qsort(v->before.rows, v->before.count, sizeof(*v->before.rows), by_name);
    for (size_t i = 0; i < v->now.count; i++) {
        struct row *row = &v->now.rows[i];
        while (k < v->before.count && strcmp(v->before.rows[k].jid, row->jid) < 0)
            k++;
        bool known = k < v->before.count && strcmp(v->before.rows[k].jid, row->jid) == 0;
        row->sent_rate = rate(v, row->sent, known ? v->before.rows[k].sent : 0);
        row->got_rate = rate(v, row->got, known ? v->before.rows[k].got : 0);
    }
    qsort(v->now.rows, v->now.count, sizeof(*v->now.rows), v->by_received ? by_received : by_sent);
}

/* --- drawing --- */

/* On a screen what stood there before is wiped out. */
static const char *eol(const struct view *v)
{
    return v->live ? "\033[K\n" : "\n";
}

/* Packets that wait to go on: of a router on all its links, of others on their own. */
static long long queued(const json_t *component)
{
    long long sum = number(json_object_get(component, "link"), "queued");
    size_t i;
    json_t *link;

    json_array_foreach(json_object_get(component, "links"), i, link) sum += number(link, "queued");
    return sum;
}

/* What only grows is shown as how fast: a component's own counters, and those among its numbers. */
static bool is_counter(const char *name, bool nested)
{
    static const char *const names[] = {"received",    "sent",          "bounced",   "stanzas_in",
                                        "stanzas_out", "bytes_in",      "bytes_out", "logins",
                                        "stored",      "login_failures"};

    if (nested)
        return strcmp(name, "queued") != 0; /* the one that goes down, too */
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static void draw_rates(const struct view *v, const json_t *now, const json_t *before, bool nested)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)now, key, value)
    {
        double r = rate(v, number(now, key), number(before, key));
        if (json_is_integer(value) && is_counter(key, nested) && (r > 0 || !nested))
            printf("  %s %.0f%s", key, r, v->before.status ? "/s" : "");
    }
}

static void draw_component(struct view *v, const char *name, const json_t *now)
{
    static const char *const shown[] = {"sessions", "users_loaded", "store_pending", "held_bytes"};
    const json_t *before = json_object_get(v->before.status, name);

    printf("%-10s pid %-7lld up %llds  queued %lld", name, number(now, "pid"),
           number(now, "uptime"), queued(now));
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
        if (json_is_integer(json_object_get(now, shown[i])))
            printf("  %s %lld", shown[i], number(now, shown[i]));
    printf("%s%10s ", eol(v), "");
    draw_rates(v, now, before, false);
    draw_rates(v, json_object_get(now, "counters"), json_object_get(before, "counters"), true);
    fputs(eol(v), stdout);
    v->lines += 2;
}

static int screen_rows(void)
{
    struct winsize size;

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 10 ? size.ws_row : 24;
}

static void draw_users(const struct view *v, int rows)
{
    printf("%-*s %14s %16s%s", NAME_MAX_LEN, "busiest", v->before.status ? "stanzas/s" : "stanzas",
           v->before.status ? "bytes out/s" : "bytes out", eol(v));
    for (size_t i = 0; i < v->now.count && (int)i < rows; i++) {
        const struct row *row = &v->now.rows[i];
        printf("%-*s %14.1f %16.0f%s", NAME_MAX_LEN, row->jid, row->sent_rate, row->got_rate,
               eol(v));
    }
}

static void draw(struct view *v)
{
    const char *name;
    json_t *component;

    v->lines = 4;
    if (v->live)
        printf("\033[H");
    printf("jackdaw " JACKDAW_VERSION "   %zu sessions%s%s%s", v->now.count,
           v->live ? "   q end   s sort   p hold" : "", eol(v), eol(v));
    json_object_foreach(v->now.status, name, component) draw_component(v, name, component);
    fputs(eol(v), stdout);
    draw_users(v, v->live ? screen_rows() - v->lines - 1 : 20);
    if (v->live)
        printf("\033[J");
    fflush(stdout);
}

/* --- the loop --- */

/* Waits a second at most for a key; 0: none. */
static char key_pressed(void)
{
    char key = 0;

    return read(STDIN_FILENO, &key, 1) == 1 ? key : 0;
}

static bool round_of(struct view *v)
{
    if (v->held)
        return true;
    if (!take_picture(v)) {
        picture_free(&v->now);
        return false;
    }
    find_rates(v);
    draw(v);
    picture_free(&v->before);
    v->before = v->now;
    return true;
}

static bool watch(struct view *v)
{
    struct termios old, raw;
    bool there;
    char key = 0;

    if (tcgetattr(STDIN_FILENO, &old) != 0)
        return false;
    raw = old;
    raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 10; /* tenths of a second */
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    printf("\033[?1049h\033[2J");
    while ((there = round_of(v)) && key != 'q') {
        key = key_pressed();
        if (key == 's')
            v->by_received = !v->by_received;
        else if (key == 'p')
            v->held = !v->held;
    }
    printf("\033[?1049l");
    fflush(stdout);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &old);
    return there;
}

int cli_top(struct cli_options *o)
{
    struct view v = {.live = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)};
    bool there;

    if (!cli_find_data_dir(o, v.data_dir))
        return 1;
    there = v.live ? watch(&v) : round_of(&v);
    if (!there)
        cli_error("no server is running on %s; name its directory with --data", v.data_dir);
    picture_free(&v.before);
    return there ? 0 : 1;
}
