/* Each copy has one question at a time, so that an answer can only be to that. */
#include "c2s/auth_pool.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "loop/loop_child.h"

#define POOL_LINE_MAX  4096
#define POOL_DELAY_MIN 200u /* ms before a copy that ended is started again; doubles */
#define POOL_DELAY_MAX 30000u
#define POOL_CAN_MAX   512

struct question {
    struct list node;
    auth_pool_fn fn;
    void *arg;
    size_t len;
    char line[]; /* with its newline */
};

enum copy_state { COPY_DOWN, COPY_STARTING, COPY_IDLE, COPY_BUSY };

struct copy {
    struct auth_pool *pool;
    struct loop_child *child;
    struct question *question; /* BUSY */
    struct loop_timer timer;   /* STARTING, BUSY: the answer is late; DOWN: start again */
    enum copy_state state;
    uint32_t delay;
};

struct auth_pool {
    struct loop *loop;
    struct log log;
    struct auth_pool_config config;
    struct list waiting; /* questions */
    size_t waiting_count;
    char can[POOL_CAN_MAX]; /* " A B C " as the program said */
    struct copy copies[];
};

static void answered(struct question *q, enum auth_answer answer, struct str data)
{
    q->fn(q->arg, answer, data);
    mem_wipe(q->line, q->len); /* a password, perhaps */
    free(q);
}

static void serve(struct copy *c)
{
    struct auth_pool *pool = c->pool;
    struct list *node = list_pop(&pool->waiting);

    if (!node)
        return;
    pool->waiting_count--;
    c->question = LIST_ENTRY(node, struct question, node);
    c->state = COPY_BUSY;
    loop_timer_start(&c->timer, pool->config.timeout_ms);
    loop_child_write(c->child, (struct str){c->question->line, c->question->len});
}

static void idle(struct copy *c)
{
    c->state = COPY_IDLE;
    loop_timer_stop(&c->timer);
    serve(c);
}

static bool first_word(struct str *rest, const char *word)
{
    size_t len = strlen(word);

    if (rest->len < len || memcmp(rest->data, word, len) != 0 ||
        (rest->len > len && rest->data[len] != ' '))
        return false;
    rest->data += len;
    rest->len -= len;
    while (rest->len > 0 && rest->data[0] == ' ')
        rest->data++, rest->len--;
    return true;
}

static void started(struct copy *c, struct str commands)
{
    struct auth_pool *pool = c->pool;
    bool first = !pool->can[0];

    (void)snprintf(pool->can, sizeof(pool->can), " %.*s ", STR_ARG(commands));
    c->delay = POOL_DELAY_MIN;
    idle(c);
    if (first)
        pool->config.on_known(pool->config.arg);
}

static void on_line(void *arg, struct str line)
{
    struct copy *c = arg;
    struct question *q = c->question;
    struct str rest;

    while (line.len > 0 && strchr(" \r\t", line.data[line.len - 1]))
        line.len--;
    rest = line;
    if (line.len == 0) /* base64 of many libraries ends in a newline of its own */
        return;
    if (c->state == COPY_STARTING && first_word(&rest, "OK")) {
        started(c, rest);
    } else if (c->state == COPY_BUSY && (first_word(&rest, "OK") || first_word(&rest, "NO"))) {
        c->question = NULL;
        answered(q, line.data[0] == 'O' ? AUTH_OK : AUTH_NO, rest);
        idle(c);
    } else {
        log_error(&c->pool->log,
                  "%s: wrote a line that is neither OK nor NO, or that nobody had asked for: it is "
                  "started again",
                  c->pool->config.argv[0]);
        loop_child_kill(c->child);
    }
}

static void on_end(void *arg, const char *why)
{
    struct copy *c = arg;
    struct question *q = c->question;

    log_error(&c->pool->log, "the authentication program %s %s; it is started again in %u ms",
              c->pool->config.argv[0], why, c->delay);
    c->child = NULL;
    c->question = NULL;
    c->state = COPY_DOWN;
    loop_timer_start(&c->timer, c->delay);
    c->delay = c->delay * 2 > POOL_DELAY_MAX ? POOL_DELAY_MAX : c->delay * 2;
    if (q)
        answered(q, AUTH_ERROR, str_of(why));
}

static const struct loop_child_events child_events = {.on_line = on_line, .on_end = on_end};

static void start(struct copy *c)
{
    struct auth_pool *pool = c->pool;

    c->state = COPY_STARTING;
    c->child = loop_child_start(pool->loop, pool->config.argv, POOL_LINE_MAX, &child_events, c);
    loop_timer_start(&c->timer, pool->config.timeout_ms);
}

static void on_timer(struct loop_timer *timer)
{
    struct copy *c = MEM_CONTAINER(timer, struct copy, timer);

    if (c->state == COPY_DOWN) {
        start(c);
        return;
    }
    log_error(&c->pool->log, "%s: %s within %u ms: it is started again", c->pool->config.argv[0],
              c->state == COPY_STARTING ? "did not say what it can" : "did not answer",
              c->pool->config.timeout_ms);
    loop_child_kill(c->child);
}

struct auth_pool *auth_pool_create(struct loop *l, struct log log,
                                   const struct auth_pool_config *config)
{
    struct auth_pool *pool =
        mem_alloc(sizeof(*pool) + config->copies * sizeof(struct copy)); /* zeroed */

    pool->loop = l;
    pool->log = log;
    pool->config = *config;
    list_init(&pool->waiting);
    for (size_t i = 0; i < config->copies; i++) {
        pool->copies[i].pool = pool;
        pool->copies[i].delay = POOL_DELAY_MIN;
        loop_timer_init(&pool->copies[i].timer, l, on_timer);
        start(&pool->copies[i]);
    }
    return pool;
}

void auth_pool_destroy(struct auth_pool *pool)
{
    if (!pool)
        return;
    for (size_t i = 0; i < pool->config.copies; i++) {
        struct copy *c = &pool->copies[i];
        loop_timer_stop(&c->timer);
        if (c->child && c->state == COPY_IDLE)
            loop_child_write(c->child, STR("FREE\n"));
        loop_child_release(c->child);
        free(c->question);
    }
    for (struct list *node; (node = list_pop(&pool->waiting));)
        free(LIST_ENTRY(node, struct question, node));
    free(pool);
}

bool auth_pool_can(const struct auth_pool *pool, struct str command)
{
    char word[64];

    (void)snprintf(word, sizeof(word), " %.*s ", STR_ARG(command));
    return strstr(pool->can, word) != NULL;
}

void auth_pool_ask(struct auth_pool *pool, struct str line, auth_pool_fn fn, void *arg)
{
    struct question *q;

    if (pool->waiting_count >= pool->config.max_waiting) {
        fn(arg, AUTH_ERROR, STR("too many questions wait"));
        return;
    }
    q = mem_alloc(sizeof(*q) + line.len + 1);
    q->fn = fn;
    q->arg = arg;
    memcpy(q->line, line.data, line.len);
    q->line[line.len] = '\n';
    q->len = line.len + 1;
    list_push(&pool->waiting, &q->node);
    pool->waiting_count++;
    for (size_t i = 0; i < pool->config.copies; i++)
        if (pool->copies[i].state == COPY_IDLE) {
            serve(&pool->copies[i]);
            return;
        }
}
