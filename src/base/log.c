/* Logging: builds one line on the stack, escapes what strangers may have put in it, and writes it
 * with one call under the sink's lock, so that lines of several threads do not mix. */
#include "base/log.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"

enum { LINE_MAX_BYTES = 4096, MESSAGE_MAX = 2048, LIMIT_LINES = 10, LIMIT_WINDOW_MS = 60000 };

struct log_sink {
    pthread_mutex_t lock;
    FILE *to;
    _Atomic int level;
    enum log_format format;
    void (*listener)(void *arg, const char *message);
    void *listener_arg;
};

static const char *const level_names[] = {"error", "warning", "info", "debug"};

struct log_sink *log_sink_create(FILE *to, enum log_level level, enum log_format format)
{
    struct log_sink *sink = MEM_NEW(struct log_sink);
    pthread_mutex_init(&sink->lock, NULL);
    sink->to = to;
    sink->level = (int)level;
    sink->format = format;
    return sink;
}

void log_sink_destroy(struct log_sink *sink)
{
    if (!sink)
        return;
    pthread_mutex_destroy(&sink->lock);
    free(sink);
}

void log_sink_set(struct log_sink *sink, enum log_level level, enum log_format format)
{
    pthread_mutex_lock(&sink->lock);
    sink->level = (int)level;
    sink->format = format;
    pthread_mutex_unlock(&sink->lock);
}

void log_sink_set_level(struct log_sink *sink, enum log_level level)
{
    pthread_mutex_lock(&sink->lock);
    sink->level = (int)level;
    pthread_mutex_unlock(&sink->lock);
}

const char *log_sink_level(struct log_sink *sink)
{
    return level_names[atomic_load_explicit(&sink->level, memory_order_relaxed)];
}

void log_sink_listen(struct log_sink *sink, void (*fn)(void *arg, const char *message), void *arg)
{
    pthread_mutex_lock(&sink->lock);
    sink->listener = fn;
    sink->listener_arg = arg;
    pthread_mutex_unlock(&sink->lock);
}

bool log_level_parse(const char *name, enum log_level *ret)
{
    for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *ret = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_wants(const struct log *log, enum log_level level)
{
    return log && log->sink &&
           (int)level <= atomic_load_explicit(&log->sink->level, memory_order_relaxed);
}

/* A line under construction; always leaves room for what closes it. */
struct line {
    size_t len;
    char text[LINE_MAX_BYTES];
};

static void put(struct line *line, const char *bytes, size_t len)
{
    size_t room = sizeof line->text - 8 - line->len; /* 8: closing quote, brace, newline */
    if (len > room)
        len = room;
    memcpy(line->text + line->len, bytes, len);
    line->len += len;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

static void put_escaped(struct line *line, const char *text, bool json)
{
    size_t left = strlen(text);
    while (left) {
        size_t len = str_printable((struct str){text, left});
        char escape[8];
        if (len == 0) { /* JSON has no \x; U+00NN names the byte as well */
            int n =
                snprintf(escape, sizeof escape, json ? "\\u%04x" : "\\x%02x", (unsigned char)*text);
            put(line, escape, (size_t)n);
            len = 1;
        } else if (*text == '\\' || (json && *text == '"')) {
            escape[0] = '\\';
            escape[1] = *text;
            put(line, escape, 2);
        } else {
            put(line, text, len);
        }
        text += len;
        left -= len;
    }
}

static void put_time(struct line *line)
{
    struct timespec now;
    struct tm utc;
    char text[40];
    clock_gettime(CLOCK_REALTIME, &now); /* for people only; nothing is decided by it */
    gmtime_r(&now.tv_sec, &utc);
    size_t len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    int more = snprintf(text + len, sizeof text - len, ".%03dZ", (int)(now.tv_nsec / 1000000));
    put(line, text, len + (size_t)more);
}

static void put_member(struct line *line, const char *name, const char *value)
{
    if (!value)
        return;
    put_text(line, ",\"");
    put_text(line, name);
    put_text(line, "\":\"");
    put_escaped(line, value, true);
    put_text(line, "\"");
}

static void format_json(struct line *line, const struct log *log, enum log_level level,
                        const char *message)
{
    put_text(line, "{\"time\":\"");
    put_time(line);
    put_text(line, "\"");
    put_member(line, "level", level_names[level]);
    put_member(line, "component", log->component);
    put_member(line, "session", log->session);
    put_member(line, "peer", log->peer);
    put_text(line, ",\"message\":\"");
    put_escaped(line, message, true);
    memcpy(line->text + line->len, "\"}", 2);
    line->len += 2;
}

static void format_text(struct line *line, const struct log *log, enum log_level level,
                        const char *message)
{
    put_time(line);
    put_text(line, " ");
    put_text(line, level_names[level]);
    if (log->component) {
        put_text(line, " ");
        put_escaped(line, log->component, false);
    }
    if (log->session) {
        put_text(line, " session=");
        put_escaped(line, log->session, false);
    }
    if (log->peer) {
        put_text(line, " peer=");
        put_escaped(line, log->peer, false);
    }
    put_text(line, ": ");
    put_escaped(line, message, false);
}

void log_write(const struct log *log, enum log_level level, const char *fmt, ...)
{
    if (!log_wants(log, level))
        return;
    char message[MESSAGE_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);

    struct line line;
    line.len = 0;
    struct log_sink *sink = log->sink;
    pthread_mutex_lock(&sink->lock);
    if (sink->format == LOG_JSON)
        format_json(&line, log, level, message);
    else
        format_text(&line, log, level, message);
    line.text[line.len++] = '\n';
    (void)fwrite(line.text, 1, line.len, sink->to); /* nowhere to complain to */
    (void)fflush(sink->to);
    if (level == LOG_ERROR && sink->listener)
        sink->listener(sink->listener_arg, message);
    pthread_mutex_unlock(&sink->lock);
}

bool log_limit_pass(struct log_limit *limit, uint64_t now, const struct log *log)
{
    if (now - limit->window >= LIMIT_WINDOW_MS || limit->window > now) {
        if (limit->dropped)
            log_warn(log, "%" PRIu32 " more like the last were not logged within one minute",
                     limit->dropped);
        *limit = (struct log_limit){.window = now};
    }
    if (limit->count < LIMIT_LINES) {
        limit->count++;
        return true;
    }
    limit->dropped++;
    return false;
}
