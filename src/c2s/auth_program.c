/* Programs of others: every question goes to the helper process (auth_keeper.h) by its socket. When
 * the helper is away, or silent for twice the time that a program has, the answer is a failure that
 * the client hears as temporary; never a yes, and never a no that would count against it.
 */
#include "c2s/auth.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/mem.h"
#include "c2s/auth_keeper.h"

#define PROGRAM_RETRY_MS 200u
#define PROGRAM_MAX      2000 /* questions under way */
#define PROGRAM_QUEUE    (4u << 20)

struct auth_program {
    struct auth base;
    const struct component *component;
    struct conn *conn; /* NULL while the helper is away */
    bool met;          /* it has been there once; until then it is starting, and questions wait */
    struct net_address at;
    struct loop_timer timer; /* connect again; look for questions that are too old */
    struct buffer line;
    struct list questions; /* oldest first */
    size_t count;
    uint64_t last_id;
    struct log_limit limit;
};

enum program_step { STEP_CHECK, STEP_EXISTS, STEP_CREATE, STEP_SET, STEP_DELETE };

struct program_question {
    struct list node;
    struct auth_program *program;
    uint64_t id, asked;
    enum program_step step; /* a new account takes three */
    bool sent;              /* else it leaves when the helper is there */
    bool refused;           /* the next tick answers it */
    struct jid *account;
    auth_fn fn;
    void *arg;
    size_t password_len;
    char password[];
};

static struct auth_program *program_of(struct auth *a)
{
    return MEM_CONTAINER(a, struct auth_program, base);
}

static void finish(struct program_question *q, enum error e)
{
    auth_fn fn = q->fn;
    void *arg = q->arg;

    list_remove(&q->node);
    q->program->count--;
    jid_unref(q->account);
    mem_wipe(q->password, q->password_len);
    free(q);
    fn(arg, e);
}

/* --- the helper's socket --- */

static void fail_all(struct auth_program *p, enum error e)
{
    while (!list_empty(&p->questions))
        finish(LIST_ENTRY(p->questions.next, struct program_question, node), e);
}

static void drop(struct auth_program *p)
{
    conn_close(p->conn, 0);
    p->conn = NULL;
    buffer_clear(&p->line);
    if (p->met)
        fail_all(p, ERR_CLOSED);
}

static bool ask(struct program_question *q)
{
    static const char *const commands[] = {"CHECK-PASSWORD", "USER-EXISTS", "CREATE-USER",
                                           "SET-PASSWORD", "DELETE-USER"};
    struct auth_program *p = q->program;
    struct buffer out;
    bool ok;

    buffer_init(&out, AUTH_LINE_MAX);
    q->id = ++p->last_id;
    buffer_printf(&out, "%" PRIu64 " %s %.*s ", q->id, commands[q->step],
                  STR_ARG(jid_local(q->account)));
    if (q->step == STEP_CHECK || q->step == STEP_SET) {
        sasl_base64_encode((struct str){q->password, q->password_len}, &out);
        buffer_add_char(&out, ' ');
    }
    buffer_add_str(&out, jid_domain(q->account));
    buffer_add_char(&out, '\n');
    ok = !out.overflowed && conn_write(p->conn, buffer_str(&out).data, buffer_len(&out)) == ERR_OK;
    if (buffer_len(&out) > 0)
        mem_wipe(out.data, buffer_len(&out));
    buffer_finish(&out);
    return ok;
}

/* False: it cannot be sent at all. */
static bool ask_when_met(struct program_question *q)
{
    struct auth_program *p = q->program;

    q->asked = loop_now(p->component->env->loop);
    if (p->met && !p->conn)
        return false;
    q->sent = p->met;
    return !q->sent || ask(q);
}

static void step_to(struct program_question *q, enum program_step step)
{
    q->step = step;
    list_remove(&q->node);
    list_push(&q->program->questions, &q->node);
    if (!ask_when_met(q))
        finish(q, ERR_CLOSED);
}

/* XEP-0077 wants a conflict told: a new account is asked for, made, and given its password. */
static void answered(struct program_question *q, bool yes)
{
    if (q->step == STEP_EXISTS && yes)
        finish(q, ERR_EXISTS);
    else if (q->step == STEP_EXISTS)
        step_to(q, STEP_CREATE);
    else if (q->step == STEP_CREATE && yes)
        step_to(q, STEP_SET);
    else if (q->step == STEP_CREATE)
        finish(q, ERR_PERMISSION);
    else if (q->step == STEP_SET && !yes)
        finish(q, ERR_INVALID);
    else
        finish(q, yes ? ERR_OK : ERR_NOT_FOUND);
}

static void on_line(struct auth_program *p, struct str line)
{
    struct str id, word, rest = line;
    uint64_t number = 0;

    if (!str_split(&rest, ' ', &id) || !str_split(&rest, ' ', &word) ||
        !str_to_u64(id, UINT64_MAX, &number))
        return;
    LIST_EACH (node, &p->questions) {
        struct program_question *q = LIST_ENTRY(node, struct program_question, node);
        if (q->id != number)
            continue;
        if (str_is(word, "OK") || str_is(word, "NO")) {
            answered(q, str_is(word, "OK"));
            return;
        }
        if (log_limit_pass(&p->limit, loop_now(p->component->env->loop), &p->component->log))
            log_error(&p->component->log, "auth.driver: %.*s", STR_ARG(rest));
        finish(q, str_starts(rest, STR("the authentication program cannot")) ? ERR_PERMISSION
                                                                             : ERR_IO);
        return;
    }
}

static void on_data(void *owner, const char *bytes, size_t len)
{
    struct auth_program *p = owner;
    const char *newline;

    if (!buffer_add(&p->line, bytes, len)) {
        drop(p);
        return;
    }
    while ((newline = memchr(buffer_str(&p->line).data, '\n', buffer_len(&p->line)))) {
        struct str line = buffer_str(&p->line);
        line.len = (size_t)(newline - line.data);
        on_line(p, line);
        buffer_consume(&p->line, (size_t)(newline - buffer_str(&p->line).data) + 1);
    }
}

static void on_close(void *owner, enum error e, const char *why)
{
    struct auth_program *p = owner;

    (void)e;
    if (p->met && log_limit_pass(&p->limit, loop_now(p->component->env->loop), &p->component->log))
        log_error(&p->component->log,
                  "the helper that runs the authentication program is away: %s; logins fail until "
                  "it is back",
                  why);
    drop(p);
}

static void on_ready(void *owner)
{
    struct auth_program *p = owner;

    p->met = true;
    LIST_EACH (node, &p->questions) {
        struct program_question *q = LIST_ENTRY(node, struct program_question, node);
        if (!q->sent && !q->refused)
            q->refused = !(q->sent = ask(q));
    }
}

static const struct conn_events conn_events = {
    .on_data = on_data, .on_ready = on_ready, .on_close = on_close};

static void connect_helper(struct auth_program *p)
{
    p->conn = conn_connect(p->component->env->net, &p->at, &conn_events, p);
    conn_set_max_queue(p->conn, PROGRAM_QUEUE);
}

static void on_timer(struct loop_timer *timer)
{
    struct auth_program *p = MEM_CONTAINER(timer, struct auth_program, timer);
    uint64_t now = loop_now(timer->loop),
             limit = (uint64_t)p->component->env->config->auth_timeout * 2000;

    LIST_EACH_SAFE (node, &p->questions) {
        struct program_question *q = LIST_ENTRY(node, struct program_question, node);
        if (q->refused || now - q->asked >= limit)
            finish(q, ERR_TIMEOUT);
    }
    if (!p->conn)
        connect_helper(p);
    loop_timer_start(timer, PROGRAM_RETRY_MS);
}

/* --- questions --- */

static void question(struct auth *a, enum program_step step, struct jid *account,
                     struct str password, auth_fn fn, void *arg)
{
    struct auth_program *p = program_of(a);
    struct program_question *q = mem_alloc(sizeof(*q) + password.len);

    q->program = p;
    q->step = step;
    q->account = jid_to_bare(account);
    q->fn = fn;
    q->arg = arg;
    q->password_len = password.len;
    if (password.len > 0)
        memcpy(q->password, password.data, password.len);
    list_push(&p->questions, &q->node);
    p->count++;
    /* What cannot be asked is found by the next tick: its answer may not come inside the call. */
    q->refused = p->count > PROGRAM_MAX || !ask_when_met(q);
}

static void check(struct auth *a, struct str user, struct str realm, struct str password,
                  auth_fn fn, void *arg)
{
    struct jid *account = jid_from_parts(user, realm, STR_NULL); /* both are prepared */

    question(a, STEP_CHECK, account, password, fn, arg);
    jid_unref(account);
}

static void create(struct auth *a, struct jid *account, struct str password, auth_fn fn, void *arg)
{
    question(a, STEP_EXISTS, account, password, fn, arg);
}

static void set_password(struct auth *a, struct jid *account, struct str password, auth_fn fn,
                         void *arg)
{
    question(a, STEP_SET, account, password, fn, arg);
}

static void remove_account(struct auth *a, struct jid *account, auth_fn fn, void *arg)
{
    question(a, STEP_DELETE, account, STR(""), fn, arg);
}

static void close_program(struct auth *a)
{
    struct auth_program *p = program_of(a);

    loop_timer_stop(&p->timer);
    conn_close(p->conn, 0);
    fail_all(p, ERR_CANCELLED);
    buffer_finish(&p->line);
    free(p);
}

static const struct auth_driver driver = {
    .mechanisms = SASL_PLAIN,
    .check = check,
    .create = create,
    .set_password = set_password,
    .remove = remove_account,
    .close = close_program,
};

struct auth *auth_program_open(const struct component *c)
{
    struct auth_program *p;

    if (loop_is_sim(c->env->loop)) {
        log_error(&c->log, "auth.driver: a simulation has no processes; use store");
        return NULL;
    }
    p = MEM_NEW(struct auth_program);
    p->base.driver = &driver;
    p->component = c;
    list_init(&p->questions);
    buffer_init(&p->line, 1u << 20);
    loop_timer_init(&p->timer, c->env->loop, on_timer);
    if (!auth_keeper_path(c->env->data_dir, c->id, p->at.ip, sizeof(p->at.ip))) {
        log_error(&c->log,
                  "the path of the data directory %s is too long for a socket in it: choose a "
                  "shorter one with --data",
                  c->env->data_dir);
        free(p);
        return NULL;
    }
    on_timer(&p->timer);
    return &p->base;
}
