/* Asking the helper process for the directory's groups. See shared_directory.h. */
#include "sm/shared_directory.h"

#include <stdlib.h>
#include <unistd.h>
#include "base/mem.h"
#include "component/group_source.h"

#define RETRY_MS      1000u /* until a helper that is not there yet is tried again; doubles */
#define RETRY_MAX_MS  30000u
#define ANSWER_MS     120000u /* for all groups of a slow directory */
#define ARGUMENTS_MAX 255

struct shared_directory {
    struct sm *sm;
    struct conn *conn; /* while an answer is due */
    struct net_address at;
    struct loop_timer timer; /* the next question; or the answer is late */
    struct buffer now, next; /* what holds; what is being read */
    uint64_t retry;          /* ms */
    bool failing;            /* said so */
    void (*changed)(void *arg);
    void *arg;
};

/* --- the helper --- */

bool shared_directory_wanted(const struct config *config)
{
    return config->ldap_group_base[0] != '\0';
}

/* It becomes another program, since LDAP's library is no part of a session manager. */
int shared_directory_helper(const struct config *config, const char *data_dir,
                            char *const *arguments)
{
    char *argv[ARGUMENTS_MAX + 4] = {"jackdaw", "auth", "group-server"};
    for (size_t i = 0; arguments[i] && i < ARGUMENTS_MAX; i++)
        argv[i + 3] = arguments[i];
    execv("/proc/self/exe", argv);
    return 127;
}

/* --- questions --- */

static void ask_after(struct shared_directory *d, uint64_t ms)
{
    conn_close(d->conn, 0);
    d->conn = NULL;
    loop_timer_start(&d->timer, ms);
}

static void failed(struct shared_directory *d, const char *why)
{
    if (!d->failing && d->retry >= 2 * RETRY_MS) /* the helper begins after we do */
        log_error(&d->sm->c->log,
                  "cannot read the shared groups of the directory: %s; those known before stay",
                  why);
    d->failing = d->failing || d->retry >= 2 * RETRY_MS;
    d->retry = d->retry ? 2 * d->retry : RETRY_MS;
    if (d->retry > RETRY_MAX_MS)
        d->retry = RETRY_MAX_MS;
    ask_after(d, d->retry);
}

static void adopt(struct shared_directory *d)
{
    struct buffer old = d->now;
    if (str_eq(buffer_str(&d->now), buffer_str(&d->next)))
        return;
    d->now = d->next;
    d->next = old;
    d->changed(d->arg);
}

static void take(struct shared_directory *d)
{
    if (d->failing)
        log_info(&d->sm->c->log, "the directory tells its shared groups again");
    d->failing = false;
    d->retry = 0;
    ask_after(d, (uint64_t)d->sm->c->env->config->ldap_group_refresh * 1000);
    adopt(d);
}

/* Cuts off the last line when it is this one. */
static bool take_line(struct buffer *b, struct str line)
{
    struct str text = buffer_str(b);
    bool whole =
        text.len == line.len || (text.len > line.len && text.data[text.len - line.len - 1] == '\n');
    if (!whole || memcmp(text.data + text.len - line.len, line.data, line.len) != 0)
        return false;
    b->end -= line.len;
    return true;
}

/* The last line says how it went. */
static void on_data(void *owner, const char *bytes, size_t len)
{
    struct shared_directory *d = owner;
    if (!buffer_add(&d->next, bytes, len)) {
        failed(d, "there is too much");
    } else if (take_line(&d->next, STR("end\n"))) {
        take(d);
    } else if (take_line(&d->next, STR("error\n"))) {
        if (!buffer_len(&d->now)) /* we have just started */
            adopt(d);
        failed(d, "its helper says so; see the line above");
    }
}

static void on_close(void *owner, enum error e, const char *why)
{
    failed(owner, why);
}

static const struct conn_events events = {.on_data = on_data, .on_close = on_close};

static void ask(struct shared_directory *d)
{
    buffer_clear(&d->next);
    d->conn = conn_connect(d->sm->c->env->net, &d->at, &events, d);
    (void)conn_write(d->conn, "GROUPS\n", 7);
    loop_timer_start(&d->timer, ANSWER_MS);
}

static void on_timer(struct loop_timer *timer)
{
    struct shared_directory *d = MEM_CONTAINER(timer, struct shared_directory, timer);
    if (d->conn)
        failed(d, "it does not answer");
    else
        ask(d);
}

/* --- life --- */

struct shared_directory *shared_directory_create(struct sm *sm, void (*changed)(void *arg),
                                                 void *arg)
{
    const struct env *env = sm->c->env;
    struct shared_directory *d = MEM_NEW(struct shared_directory);
    d->sm = sm;
    d->changed = changed;
    d->arg = arg;
    buffer_init(&d->now, GROUP_SOURCE_BYTES);
    buffer_init(&d->next, GROUP_SOURCE_BYTES);
    loop_timer_init(&d->timer, sm->loop, on_timer);
    if (!shared_directory_wanted(env->config))
        return d;
    if (group_source_path(env->data_dir, env->config->sm_id, d->at.ip, sizeof d->at.ip))
        ask(d);
    else
        log_error(&sm->c->log, "no shared groups of a directory: the path of the data directory "
                               "is too long for a socket in it; choose a shorter one with --data");
    return d;
}

void shared_directory_destroy(struct shared_directory *d)
{
    if (!d)
        return;
    conn_close(d->conn, 0);
    loop_timer_stop(&d->timer);
    buffer_finish(&d->now);
    buffer_finish(&d->next);
    free(d);
}

/* One that is being answered may be older than what the person has changed. */
void shared_directory_refresh(struct shared_directory *d)
{
    if (!d->at.ip[0])
        return;
    conn_close(d->conn, 0);
    ask(d);
}

struct str shared_directory_text(const struct shared_directory *d)
{
    return buffer_str(&d->now);
}
