/* The control socket's client side: blocking, because a one-shot command has nothing else to do. */
#include "cli/cli.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buffer.h"

#define CONTROL_TIMEOUT_S  2
#define CONTROL_ANSWER_MAX (64u << 20)

static enum error open_socket(const char *path, int seconds, int *ret)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct timeval timeout = {.tv_sec = seconds};
    int fd;

    if (strlen(path) >= sizeof(at.sun_path))
        return ERR_TOO_BIG;
    memcpy(at.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_from_errno(errno);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0) {
        int why = errno;
        close(fd);
        return why == ECONNREFUSED || why == ENOENT ? ERR_NOT_FOUND : error_from_errno(why);
    }
    *ret = fd;
    return ERR_OK;
}

static enum error send_line(int fd, const json_t *request)
{
    char *text = json_dumps(request, JSON_COMPACT);
    struct buffer line;
    enum error e = ERR_OK;

    buffer_init(&line, CONTROL_ANSWER_MAX);
    (void)buffer_printf(&line, "%s\n", text);
    while (e == ERR_OK && buffer_len(&line) > 0) {
        ssize_t sent = send(fd, buffer_str(&line).data, buffer_len(&line), MSG_NOSIGNAL);
        if (sent < 0)
            e = errno == EAGAIN ? ERR_TIMEOUT : error_from_errno(errno);
        else
            buffer_consume(&line, (size_t)sent);
    }
    buffer_finish(&line);
    free(text);
    return e;
}

static enum error read_line(int fd, json_t **ret)
{
    struct buffer line;
    enum error e = ERR_OK;
    json_t *answer = NULL;

    buffer_init(&line, CONTROL_ANSWER_MAX);
    while (e == ERR_OK && !memchr(buffer_str(&line).data, '\n', buffer_len(&line))) {
        char *room = buffer_reserve(&line, 65536);
        ssize_t got = room ? read(fd, room, 65536) : 0;
        if (got > 0)
            buffer_commit(&line, (size_t)got);
        else
            e = got == 0 ? ERR_CLOSED : errno == EAGAIN ? ERR_TIMEOUT : error_from_errno(errno);
    }
    if (e == ERR_OK) {
        answer = json_loadb(buffer_str(&line).data, buffer_len(&line), 0, NULL);
        e = json_is_object(answer) ? ERR_OK : ERR_MALFORMED;
    }
    buffer_finish(&line);
    if (e == ERR_OK)
        *ret = answer;
    else
        json_decref(answer);
    return e;
}

enum error control_request(const char *socket_path, const json_t *request, int seconds,
                           json_t **ret)
{
    int fd = -1;
    enum error e = open_socket(socket_path, seconds, &fd);

    if (e != ERR_OK)
        return e;
    e = send_line(fd, request);
    if (e == ERR_OK)
        e = read_line(fd, ret);
    close(fd);
    return e;
}

void control_request_each(const char *data_dir, const json_t *request, int seconds,
                          void (*fn)(void *arg, const char *process, enum error e,
                                     const json_t *answer),
                          void *arg)
{
    char path[CLI_PATH_MAX];
    struct dirent **names = NULL;
    int count;

    (void)snprintf(path, sizeof(path), "%s/run", data_dir);
    count = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        size_t len = strlen(names[i]->d_name);
        json_t *answer = NULL;
        if (len > 5 && strcmp(names[i]->d_name + len - 5, ".sock") == 0) {
            enum error e;
            (void)snprintf(path, sizeof(path), "%s/run/%s", data_dir, names[i]->d_name);
            e = control_request(path, request, seconds, &answer);
            if (e != ERR_NOT_FOUND)
                fn(arg, names[i]->d_name, e, answer);
            json_decref(answer);
        }
        free(names[i]);
    }
    free(names);
}

struct all {
    void (*fn)(void *arg, const json_t *answer);
    void *arg;
    size_t answered;
};

static void on_one(void *arg, const char *process, enum error e, const json_t *answer)
{
    struct all *all = arg;

    if (e != ERR_OK)
        return;
    all->answered++;
    all->fn(all->arg, answer);
}

size_t control_request_all(const char *data_dir, const json_t *request,
                           void (*fn)(void *arg, const json_t *answer), void *arg)
{
    struct all all = {.fn = fn, .arg = arg};

    control_request_each(data_dir, request, CONTROL_TIMEOUT_S, on_one, &all);
    return all.answered;
}

static void on_answer(void *arg, const json_t *answer)
{
    *(bool *)arg = true;
}

bool control_server_runs(const char *data_dir)
{
    bool running = false;
    json_t *request = json_pack("{s:s}", "command", "status");
    control_request_all(data_dir, request, on_answer, &running);
    json_decref(request);
    return running;
}
