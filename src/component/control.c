/* The control socket's server side: line in, line out. A line over 64 KB ends the connection, one
 * that is no JSON object is answered with an error; only the owner of the data directory can
 * connect at all. */
#include "component/control.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/list.h"

#define CONTROL_LINE_MAX    65536
#define CONTROL_ANSWER_MAX  (64u << 20)
#define CONTROL_CLIENTS_MAX 32

struct control {
    struct net_listener *listener;
    struct log log;
    char *path;
    control_fn fn;
    void *arg;
    struct list clients;
    size_t client_count;
};

struct control_client {
    struct list node;
    struct control *control;
    struct conn *conn;
    struct buffer line;
};

static void client_close(struct control_client *client)
{
    list_remove(&client->node);
    client->control->client_count--;
    conn_close(client->conn, 1000);
    buffer_finish(&client->line);
    free(client);
}

static void client_answer(struct control_client *client, json_t *answer)
{
    char *text = json_dumps(answer, JSON_COMPACT);

    if (text && conn_write(client->conn, text, strlen(text)) == ERR_OK)
        (void)conn_write(client->conn, "\n", 1);
    else
        log_error(&client->control->log,
                  "control socket: the answer is too large for the connection; "
                  "ask for less at a time");
    free(text);
}

static void client_request(struct control_client *client, struct str line)
{
    json_error_t error;
    json_t *request = json_loadb(line.data, line.len, JSON_REJECT_DUPLICATES, &error);
    json_t *answer = NULL;

    if (!json_is_object(request))
        answer = json_pack("{s:s}", "error", "the request is not one JSON object on one line");
    else
        answer = client->control->fn(client->control->arg, request);
    if (!answer)
        answer = json_pack("{s:s}", "error", "unknown command");
    client_answer(client, answer);
    json_decref(answer);
    json_decref(request);
}

static void on_data(void *owner, const char *bytes, size_t len)
{
    struct control_client *client = owner;
    const char *end;

    if (!buffer_add(&client->line, bytes, len)) {
        client_close(client);
        return;
    }
    while ((end = memchr(buffer_str(&client->line).data, '\n', buffer_len(&client->line)))) {
        struct str line = {buffer_str(&client->line).data,
                           (size_t)(end - buffer_str(&client->line).data)};
        client_request(client, line);
        buffer_consume(&client->line, line.len + 1);
    }
}

static void on_close(void *owner, enum error e, const char *why)
{
    client_close(owner);
}

static const struct conn_events client_events = {.on_data = on_data, .on_close = on_close};

static void on_accept(void *arg, struct conn *conn)
{
    struct control *control = arg;
    struct control_client *client;

    if (control->client_count >= CONTROL_CLIENTS_MAX) {
        conn_close(conn, 0);
        return;
    }
    client = MEM_NEW(struct control_client);
    client->control = control;
    client->conn = conn;
    buffer_init(&client->line, CONTROL_LINE_MAX);
    list_push(&control->clients, &client->node);
    control->client_count++;
    conn_start(conn, &client_events, client, CONTROL_ANSWER_MAX);
}

enum error control_open(struct net *net, struct log log, const char *path, control_fn fn, void *arg,
                        struct control **ret)
{
    struct control *c = MEM_NEW(struct control);
    struct net_address at = {.port = 0};
    int len = snprintf(at.ip, sizeof(at.ip), "unix:%s", path);
    enum error e = len > 0 && (size_t)len < sizeof(at.ip) ? ERR_OK : ERR_TOO_BIG;

    c->log = log;
    c->fn = fn;
    c->arg = arg;
    list_init(&c->clients);
    (void)unlink(path);
    if (e == ERR_OK)
        e = net_listen(net, &at, on_accept, c, &c->listener);
    if (e != ERR_OK) {
        free(c);
        return e;
    }
    c->path = mem_strdup(path);
    *ret = c;
    return ERR_OK;
}

void control_close(struct control *c)
{
    if (!c)
        return;
    LIST_EACH_SAFE (node, &c->clients)
        client_close(LIST_ENTRY(node, struct control_client, node));
    net_listener_close(c->listener);
    (void)unlink(c->path);
    free(c->path);
    free(c);
}
