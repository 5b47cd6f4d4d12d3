/* The helper process: one loop, one listener, one pool. It ends with the process that it helps. */
#include "c2s/auth_keeper.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/buffer.h"
#include "base/list.h"
#include "base/mem.h"
#include "c2s/auth_pool.h"
#include "net/net.h"

#define KEEPER_WAITING 2000
#define KEEPER_QUEUE   (4u << 20)

struct keeper {
    struct log log;
    struct loop *loop;
    struct auth_pool *pool;
    struct list peers; /* c2s instances of the process: one each */
    bool known;        /* what the program can; what was asked before waits unread */
};

struct peer {
    struct list node;
    struct keeper *keeper; /* NULL: gone, answers are still due */
    struct conn *conn;
    struct buffer line;
    size_t due;
};

struct asked {
    struct peer *peer;
    char *password; /* base64: compared with what GET-PASSWORD answers; NULL: not that */
    char id[32];
};

static void peer_forget(struct peer *p)
{
    if (p->keeper || p->due > 0)
        return;
    buffer_finish(&p->line);
    free(p);
}

static void answer(struct peer *p, const char *id, enum auth_answer answer, struct str data)
{
    static const char *const words[] = {"OK", "NO", "ERROR"};
    struct buffer out;

    if (!p->conn)
        return;
    buffer_init(&out, AUTH_LINE_MAX + 64);
    buffer_printf(&out, "%s %s %.*s\n", id, words[answer], STR_ARG(data));
    (void)conn_write(p->conn, buffer_str(&out).data, buffer_len(&out));
    if (buffer_len(&out) > 0)
        mem_wipe(out.data, buffer_len(&out));
    buffer_finish(&out);
}

static bool equal(const char *wanted, struct str given)
{
    return strlen(wanted) == given.len && CRYPTO_memcmp(wanted, given.data, given.len) == 0;
}

static void on_answer(void *arg, enum auth_answer said, struct str data)
{
    struct asked *a = arg;
    struct peer *p = a->peer;

    if (a->password && said == AUTH_OK)
        said = equal(a->password, data) ? AUTH_OK : AUTH_NO;
    if (a->password) {
        data = said == AUTH_ERROR ? data : STR("");
        mem_wipe(a->password, strlen(a->password));
    }
    answer(p, a->id, said, data);
    free(a->password);
    free(a);
    p->due--;
    peer_forget(p);
}

/* A program that only tells passwords is asked for it, and we compare. */
static void check_by_password(struct peer *p, struct asked *a, struct str rest)
{
    struct str user, password;
    struct buffer line;

    if (!str_split(&rest, ' ', &user) || !str_split(&rest, ' ', &password)) {
        on_answer(a, AUTH_ERROR, STR("malformed"));
        return;
    }
    a->password = mem_strndup(password.data, password.len);
    buffer_init(&line, AUTH_LINE_MAX);
    buffer_printf(&line, "GET-PASSWORD %.*s %.*s", STR_ARG(user), STR_ARG(rest));
    auth_pool_ask(p->keeper->pool, buffer_str(&line), on_answer, a);
    buffer_finish(&line);
}

static void question(struct peer *p, struct str line)
{
    struct auth_pool *pool = p->keeper->pool;
    struct str id, command, rest = line, text;
    struct asked *a;

    if (!str_split(&rest, ' ', &id) || id.len >= sizeof(a->id))
        return;
    a = MEM_NEW(struct asked);
    a->peer = p;
    p->due++;
    memcpy(a->id, id.data, id.len);
    text = rest;
    if (!str_split(&rest, ' ', &command))
        on_answer(a, AUTH_ERROR, STR("malformed"));
    else if (str_is(command, "CHECK-PASSWORD") && !auth_pool_can(pool, command) &&
             auth_pool_can(pool, STR("GET-PASSWORD")))
        check_by_password(p, a, rest);
    else if (str_is(command, "CHECK-PASSWORD") || auth_pool_can(pool, command))
        auth_pool_ask(pool, text, on_answer, a);
    else
        on_answer(a, AUTH_ERROR, STR("the authentication program cannot do that"));
}

static void peer_close(struct peer *p)
{
    list_remove(&p->node);
    conn_close(p->conn, 0);
    p->conn = NULL;
    p->keeper = NULL;
    peer_forget(p);
}

static void work(struct peer *p)
{
    const char *newline;

    while (p->keeper->known &&
           (newline = memchr(buffer_str(&p->line).data, '\n', buffer_len(&p->line)))) {
        struct str line = buffer_str(&p->line);
        line.len = (size_t)(newline - line.data);
        question(p, line);
        mem_wipe((char *)line.data, line.len);
        buffer_consume(&p->line, line.len + 1);
    }
}

static void on_data(void *owner, const char *bytes, size_t len)
{
    struct peer *p = owner;

    if (buffer_add(&p->line, bytes, len))
        work(p);
    else
        peer_close(p);
}

static void on_known(void *arg)
{
    struct keeper *k = arg;

    k->known = true;
    LIST_EACH (node, &k->peers)
        work(LIST_ENTRY(node, struct peer, node));
}

static void on_close(void *owner, enum error e, const char *why)
{
    (void)e, (void)why;
    peer_close(owner);
}

static const struct conn_events peer_events = {.on_data = on_data, .on_close = on_close};

static void on_accept(void *arg, struct conn *conn)
{
    struct keeper *k = arg;
    struct peer *p = MEM_NEW(struct peer);

    p->keeper = k;
    p->conn = conn;
    buffer_init(&p->line, 1u << 20);
    list_push(&k->peers, &p->node);
    conn_start(conn, &peer_events, p, KEEPER_QUEUE);
}

static void on_signal(void *arg, int signum)
{
    (void)signum;
    loop_stop(((struct keeper *)arg)->loop);
}

bool auth_keeper_path(const char *data_dir, const char *c2s_id, char *ret, size_t size)
{
    int len = snprintf(ret, size, "unix:%s/run/auth-%s.helper", data_dir, c2s_id);

    return len > 0 && (size_t)len < size;
}

bool auth_keeper_wanted(const struct config *config)
{
    return strcmp(config->auth_driver, "store") != 0;
}

/* The program and its arguments: the administrator's own, or one of ours. */
static void choose_program(const struct config *config, char *const *arguments, const char **argv,
                           size_t max)
{
    size_t n = 0;

    if (strcmp(config->auth_driver, "program") != 0) {
        argv[n++] = "/proc/self/exe";
        argv[n++] = "auth";
        argv[n++] = strcmp(config->auth_driver, "ldap") == 0 ? "ldap" : "pam";
        for (size_t i = 0; arguments[i] && n < max; i++)
            argv[n++] = arguments[i];
    } else {
        for (size_t i = 0; i < config->auth_program.count && n < max; i++)
            argv[n++] = config->auth_program.items[i];
    }
    argv[n] = NULL;
}

int auth_keeper_run(const struct config *config, const char *data_dir, char *const *arguments)
{
    enum { ARGUMENTS = 255 };
    const char *argv[ARGUMENTS + 1];
    struct auth_pool_config pool = {.argv = argv,
                                    .copies = (size_t)config->auth_copies,
                                    .timeout_ms = (uint32_t)config->auth_timeout * 1000,
                                    .max_waiting = KEEPER_WAITING,
                                    .on_known = on_known};
    struct log_sink *sink = log_sink_create(stderr, LOG_INFO, LOG_TEXT);
    struct keeper k = {.log = {.sink = sink, .component = "auth"}, .loop = loop_create()};
    struct net *net = net_create(k.loop, k.log);
    struct net_address at = {.port = 0};
    struct net_listener *listener = NULL;
    bool ok;

    pool.arg = &k;
    list_init(&k.peers);
    choose_program(config, arguments, argv, ARGUMENTS);
    ok = auth_keeper_path(data_dir, config->c2s_id, at.ip, sizeof(at.ip));
    if (ok)
        (void)unlink(at.ip + strlen("unix:"));
    ok = ok && net_listen(net, &at, on_accept, &k, &listener) == ERR_OK;
    if (ok) {
        k.pool = auth_pool_create(k.loop, k.log, &pool);
        loop_on_signal(k.loop, SIGTERM, on_signal, &k);
        loop_on_signal(k.loop, SIGINT, on_signal, &k);
        loop_run(k.loop);
    } else {
        log_error(&k.log, "cannot open the socket %s: is the path longer than 100 characters?",
                  at.ip);
    }
    auth_pool_destroy(k.pool);
    while (!list_empty(&k.peers))
        peer_close(LIST_ENTRY(k.peers.next, struct peer, node));
    net_listener_close(listener);
    (void)unlink(at.ip + strlen("unix:"));
    net_destroy(net);
    loop_destroy(k.loop);
    log_sink_destroy(sink);
    return ok ? 0 : 1;
}
