/* Logging: one event, one line, with fields from a context. Control characters of strangers are
 * escaped. No credentials, no message bodies, ever (reliability.md B 54). */
#ifndef JACKDAW_BASE_LOG_H
#define JACKDAW_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

struct log_sink; /* where lines go; thread-safe; one per process */

/* A context: copy it and add fields. Strings are borrowed and must outlive the context. */
struct log {
    struct log_sink *sink;
    const char *component; /* "c2s" or NULL */
    const char *session;   /* a session id or JID, or NULL */
    const char *peer;      /* address of the peer, or NULL */
};

struct log_sink *log_sink_create(FILE *to, enum log_level level, enum log_format format);
void log_sink_destroy(struct log_sink *sink);
void log_sink_set(struct log_sink *sink, enum log_level level, enum log_format format);
void log_sink_set_level(struct log_sink *sink, enum log_level level);
const char *log_sink_level(struct log_sink *sink); /* "info" */
/* From now on `fn` (NULL: nobody) also hears each error, as its text alone. Not to log itself. */
void log_sink_listen(struct log_sink *sink, void (*fn)(void *arg, const char *message), void *arg);
bool log_level_parse(const char *name, enum log_level *ret);

bool log_wants(const struct log *log, enum log_level level);
/* `fmt` says what happened, why, and what to do. A NULL sink drops the line. */
void log_write(const struct log *log, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* For events that a stranger can trigger: at most 10 a minute, then one line that counts the rest.
 */
struct log_limit {
    uint64_t window; /* start, in loop milliseconds */
    uint32_t count, dropped;
};
bool log_limit_pass(struct log_limit *limit, uint64_t now, const struct log *log);

#define log_error(log, ...) log_write(log, LOG_ERROR, __VA_ARGS__)
#define log_warn(log, ...)  log_write(log, LOG_WARNING, __VA_ARGS__)
#define log_info(log, ...)  log_write(log, LOG_INFO, __VA_ARGS__)
#define log_debug(log, ...)                                                                        \
    do {                                                                                           \
        if (log_wants(log, LOG_DEBUG))                                                             \
            log_write(log, LOG_DEBUG, __VA_ARGS__);                                                \
    } while (0)

#endif
