/* The audit log (audit.file): a line of JSON for every message that our users send, and that others
 * send to them, when it comes in and before anything is made of it:
 *
 *   {"time":"2026-01-01T00:00:00.000Z","from":"romeo@example.net/orchard","to":"juliet@example.net",
 *    "type":"chat","id":"m1","body":"..."}
 *
 * The addresses are true ones - `from` is the session's, not what the client wrote -, and nothing
 * that is written into a message can look like another record. Messages among our own users stand
 * in it once, where they are sent.
 *
 * Lines are collected here and written on a pool thread (audit_file.h), one batch at a time, so
 * that no disk ever delays a message. What cannot be written waits within a bound and is then
 * left out; the log says so once, and a record in the file says how many are missing. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "sm/audit_file.h"
#include "sm/send.h"
#include "xmpp/datetime.h"
#include "xmpp/namespaces.h"

#define QUEUE_MAX  (4u << 20) /* bytes that wait, and as many that are being written */
#define RETRY_MS   1000u
#define STAMP_SIZE 32

struct audit {
    struct sm *sm; /* NULL: the session manager is gone, the last lines are being written */
    struct buffer pending;
    uint64_t left_out; /* records since the last one that was taken */
    bool failing;      /* said so */
    bool busy, reopen;
    struct loop_timer retry;
    struct loop_work work;
    /* The pool thread's while busy. */
    struct {
        struct buffer bytes;
        struct audit_file file;
        struct audit_limits limits;
        char path[PATH_MAX];
        int64_t now;
        bool reopen;
        int error; /* errno */
    } job;
};

static struct audit *state_of(const struct sm *sm)
{
    return sm->state[FEATURE_audit];
}

static bool wanted(const struct sm *sm)
{
    return sm->c->env->config->audit_file[0] != '\0';
}

/* --- writing --- */

static void run(struct loop_work *work)
{
    struct audit *a = MEM_CONTAINER(work, struct audit, work);
    struct str bytes = buffer_str(&a->job.bytes);
    if (a->job.reopen)
        audit_file_close(&a->job.file);
    size_t done = audit_file_write(&a->job.file, a->job.path, bytes.data, bytes.len, a->job.now,
                                   &a->job.limits);
    a->job.error = done < bytes.len ? errno : 0;
    buffer_consume(&a->job.bytes, done);
}

static void destroy(struct audit *a)
{
    audit_file_close(&a->job.file);
    buffer_finish(&a->job.bytes);
    buffer_finish(&a->pending);
    free(a);
}

static void swap(struct audit *a)
{
    struct buffer empty = a->job.bytes;
    a->job.bytes = a->pending;
    a->pending = empty;
}

/* What is left of the former batch goes first. */
static void kick(struct audit *a)
{
    const struct config *config = a->sm->c->env->config;
    if (a->busy || loop_timer_running(&a->retry))
        return;
    if (!buffer_len(&a->job.bytes))
        swap(a);
    if (!buffer_len(&a->job.bytes) && !a->reopen)
        return;
    if (wanted(a->sm))
        (void)snprintf(a->job.path, sizeof a->job.path, "%s", config->audit_file);
    a->job.limits = (struct audit_limits){.max_size = (uint64_t)config->audit_max_size,
                                          .max_age = (uint64_t)config->audit_max_age,
                                          .keep = (unsigned)config->audit_keep};
    a->job.now = loop_wall(a->sm->loop) / 1000;
    a->job.reopen = a->reopen;
    a->reopen = false;
    a->busy = true;
    loop_work(a->sm->loop, &a->work);
}

static void tell(struct audit *a)
{
    const struct log *log = &a->sm->c->log;
    bool failed = a->job.error != 0;
    if (failed && !a->failing)
        log_error(log, "cannot write to the audit log %s: %s; messages go on without it",
                  a->job.path, strerror(a->job.error));
    else if (!failed && a->failing)
        log_info(log, "the audit log %s is written again", a->job.path);
    a->failing = failed;
}

static void done(struct loop_work *work)
{
    struct audit *a = MEM_CONTAINER(work, struct audit, work);
    a->busy = false;
    if (!a->sm) { /* the rest, and the end */
        if (!a->job.error) {
            swap(a);
            run(work);
        }
        destroy(a);
        return;
    }
    tell(a);
    if (a->job.error)
        loop_timer_start(&a->retry, RETRY_MS);
    else
        kick(a);
}

static void on_retry(struct loop_timer *timer)
{
    kick(MEM_CONTAINER(timer, struct audit, retry));
}

/* --- records --- */

static void stamp(const struct sm *sm, char out[STAMP_SIZE])
{
    int64_t now = loop_wall(sm->loop);
    datetime_write(now / 1000, out);
    (void)snprintf(out + DATETIME_LEN - 1, STAMP_SIZE - DATETIME_LEN + 1, ".%03dZ",
                   (int)(now % 1000));
}

static bool add_member(struct buffer *b, const char *name, struct str value)
{
    return !value.data || (buffer_printf(b, ",\"%s\":", name) && buffer_add_json(b, value));
}

static bool add_text(struct buffer *b, const struct stanza *s, const char *name)
{
    stanza_el el = stanza_child(s, STANZA_ROOT, str_of(name), stanza_ns(s, STANZA_ROOT));
    return el == STANZA_NONE || add_member(b, name, stanza_text(s, el));
}

static bool add_record(const struct audit *a, struct buffer *b, const struct packet *p,
                       const struct jid *to)
{
    const struct stanza *s = p->stanza;
    char time[STAMP_SIZE];
    stamp(a->sm, time);
    bool ok = buffer_printf(b, "{\"time\":\"%s\"", time) &&
              add_member(b, "from", jid_full(p->from)) && add_member(b, "to", jid_full(to)) &&
              add_member(b, "type", send_type(s)) &&
              add_member(b, "id", stanza_attr(s, STANZA_ROOT, STR("id")));
    if (ok && a->sm->c->env->config->audit_bodies)
        ok = add_text(b, s, "subject") && add_text(b, s, "body");
    return ok && buffer_add_str(b, STR("}\n"));
}

/* How many are missing before the record that follows. */
static bool add_gap(const struct audit *a, struct buffer *b)
{
    char time[STAMP_SIZE];
    stamp(a->sm, time);
    return buffer_printf(b, "{\"time\":\"%s\",\"left_out\":%" PRIu64 "}\n", time, a->left_out);
}

static void record(struct audit *a, const struct packet *p, const struct jid *to)
{
    struct buffer *b = &a->pending;
    size_t before = buffer_len(b);
    if ((!a->left_out || add_gap(a, b)) && add_record(a, b, p, to)) {
        a->left_out = 0;
        kick(a);
        return;
    }
    b->end = b->start + before;
    b->overflowed = false;
    a->left_out++;
}

/* --- on the way of messages; not called at all where there is no audit log --- */

static enum path_result at_client(struct path_event *e)
{
    const struct packet *p = e->packet;
    if (send_kind_of(p->stanza) == SEND_MESSAGE)
        record(state_of(e->sm), p, p->to ? p->to : e->user->jid);
    return PATH_PASS;
}

/* What one of our users sent stands in it already. */
static enum path_result at_router(struct path_event *e)
{
    const struct packet *p = e->packet;
    if (send_kind_of(p->stanza) == SEND_MESSAGE &&
        !(p->from->local_len && sm_domain(e->sm, jid_domain(p->from))))
        record(state_of(e->sm), p, p->to);
    return PATH_PASS;
}

/* --- life --- */

static enum path_result at_start(struct path_event *e)
{
    struct audit *a = MEM_NEW(struct audit);
    a->sm = e->sm;
    buffer_init(&a->pending, QUEUE_MAX);
    buffer_init(&a->job.bytes, QUEUE_MAX);
    audit_file_init(&a->job.file);
    loop_timer_init(&a->retry, e->sm->loop, on_retry);
    a->work = (struct loop_work){.run = run, .done = done};
    e->sm->state[FEATURE_audit] = a;
    return PATH_PASS;
}

/* SIGHUP: who has moved the file gets a new one. */
static enum path_result at_reload(struct path_event *e)
{
    struct audit *a = state_of(e->sm);
    a->reopen = a->job.path[0] != '\0';
    loop_timer_stop(&a->retry); /* what was wrong may have been mended */
    kick(a);
    return PATH_PASS;
}

static enum path_result at_stop(struct path_event *e)
{
    struct audit *a = state_of(e->sm);
    e->sm->state[FEATURE_audit] = NULL;
    if (!a)
        return PATH_PASS;
    loop_timer_stop(&a->retry);
    a->sm = NULL;
    if (!a->busy)
        done(&a->work);
    return PATH_PASS;
}

const struct feature audit_feature = {
    .name = "audit",
    .wanted = wanted,
    .at = {[PATH_START] = at_start,
           [PATH_STOP] = at_stop,
           [PATH_RELOAD] = at_reload,
           [PATH_FROM_CLIENT] = at_client,
           [PATH_FROM_ROUTER] = at_router},
};
