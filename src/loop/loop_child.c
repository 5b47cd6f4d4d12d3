/* Child processes over libuv. */
#include "loop/loop_child.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/mem.h"

#define CHILD_READ 4096

struct loop_child {
    uv_process_t process;
    uv_pipe_t in, out;
    struct loop_timer failed;               /* could not be started: on_end comes in a later turn */
    const struct loop_child_events *events; /* NULL: released */
    void *arg;
    struct buffer line;
    size_t max_line;
    unsigned open; /* handles that libuv still has */
    bool exited;
    char why[160];
};

struct child_write {
    uv_write_t request;
    char bytes[];
};

static void on_handle_closed(uv_handle_t *handle)
{
    struct loop_child *child = handle->data;

    if (--child->open > 0)
        return;
    buffer_finish(&child->line);
    free(child);
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_handle_closed);
}

static void close_pipes(struct loop_child *child)
{
    close_handle((uv_handle_t *)&child->in);
    close_handle((uv_handle_t *)&child->out);
}

/* What was read before it ended has been told: pipes are read before the end is. */
static void end(struct loop_child *child)
{
    const struct loop_child_events *events = child->events;

    child->events = NULL;
    close_pipes(child);
    if (events)
        events->on_end(child->arg, child->why);
}

static void on_exited(uv_process_t *process, int64_t status, int signal)
{
    struct loop_child *child = process->data;

    child->exited = true;
    if (!child->why[0] && signal)
        (void)snprintf(child->why, sizeof(child->why), "ended by signal %d", signal);
    else if (!child->why[0])
        (void)snprintf(child->why, sizeof(child->why), "ended with exit code %d", (int)status);
    close_handle((uv_handle_t *)process);
    end(child);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct loop_child *child = handle->data;
    char *room = buffer_reserve(&child->line, CHILD_READ);

    (void)suggested;
    *ret = uv_buf_init(room, room ? CHILD_READ : 0);
}

static void tell_lines(struct loop_child *child)
{
    for (;;) {
        struct str text = buffer_str(&child->line);
        const char *newline = memchr(text.data, '\n', text.len);
        size_t len = newline ? (size_t)(newline - text.data) : 0;

        if (!newline || !child->events)
            return;
        child->events->on_line(child->arg, (struct str){text.data, len});
        buffer_consume(&child->line, len + 1);
    }
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct loop_child *child = stream->data;

    (void)buf;
    if (got > 0) {
        buffer_commit(&child->line, (size_t)got);
        tell_lines(child);
        if (buffer_len(&child->line) <= child->max_line || !child->events)
            return;
        (void)snprintf(child->why, sizeof(child->why), "wrote a line of more than %zu bytes",
                       child->max_line);
    }
    if (got != 0) {
        (void)uv_read_stop(stream);
        loop_child_kill(child);
    }
}

static void on_written(uv_write_t *request, int status)
{
    (void)status; /* its end tells */
    free(request->data);
}

static void on_start_failed(struct loop_timer *timer)
{
    end(MEM_CONTAINER(timer, struct loop_child, failed));
}

static void open_pipe(struct loop_child *child, uv_loop_t *uv, uv_pipe_t *pipe)
{
    if (uv_pipe_init(uv, pipe, 0) < 0)
        abort();
    pipe->data = child;
    child->open++;
}

struct loop_child *loop_child_start(struct loop *l, const char *const *argv, size_t max_line,
                                    const struct loop_child_events *events, void *arg)
{
    struct loop_child *child = MEM_NEW(struct loop_child);
    uv_loop_t *uv = loop_driver_handle(l);
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&child->in},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&child->out},
        {.flags = UV_INHERIT_FD, .data.fd = 2}};
    uv_process_options_t options = {.file = argv[0],
                                    .args = (char **)argv,
                                    .exit_cb = on_exited,
                                    .stdio = stdio,
                                    .stdio_count = 3};
    int e;

    child->events = events;
    child->arg = arg;
    child->max_line = max_line;
    buffer_init(&child->line, max_line + 2 * (size_t)CHILD_READ);
    loop_timer_init(&child->failed, l, on_start_failed);
    open_pipe(child, uv, &child->in);
    open_pipe(child, uv, &child->out);
    child->process.data = child;
    e = uv_spawn(uv, &child->process, &options);
    child->open++; /* initialised even when it failed */
    if (e < 0) {
        child->exited = true;
        (void)snprintf(child->why, sizeof(child->why), "cannot be started: %s", uv_strerror(e));
        close_handle((uv_handle_t *)&child->process);
        loop_timer_start(&child->failed, 0);
    } else {
        (void)uv_read_start((uv_stream_t *)&child->out, on_alloc, on_read);
    }
    return child;
}

void loop_child_write(struct loop_child *child, struct str bytes)
{
    struct child_write *w;
    uv_buf_t buf;

    if (child->exited)
        return;
    w = mem_alloc(sizeof(*w) + bytes.len);
    memcpy(w->bytes, bytes.data, bytes.len);
    w->request.data = w;
    buf = uv_buf_init(w->bytes, (unsigned)bytes.len);
    if (uv_write(&w->request, (uv_stream_t *)&child->in, &buf, 1, on_written) < 0)
        free(w);
}

void loop_child_kill(struct loop_child *child)
{
    if (!child->exited)
        (void)uv_process_kill(&child->process, SIGKILL);
}

void loop_child_release(struct loop_child *child)
{
    if (!child)
        return;
    child->events = NULL;
    loop_timer_stop(&child->failed);
    close_pipes(child); /* it reads the end of its input; on_exited collects it */
}
