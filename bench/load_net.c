/* Sessions as sockets: epoll, TLS, output that is written once per turn, and the scanner that finds
 * whole stanzas. */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void grow(struct bytes *b, size_t more)
{
    if (b->len + more <= b->cap)
        return;
    b->cap = (b->len + more) * 2;
    b->data = realloc(b->data, b->cap);
    if (!b->data)
        abort();
}

void session_fail(struct session *s, const char *fmt, ...)
{
    va_list args;

    if (!s->load->failed++) {
        va_start(args, fmt);
        (void)vsnprintf(s->load->error, sizeof(s->load->error), fmt, args);
        va_end(args);
    }
    session_close(s);
}

static void watch(struct session *s, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = s};

    epoll_ctl(s->load->epoll, EPOLL_CTL_MOD, s->fd, &ev);
}

static bool is_far(const struct options *o, int user)
{
    return o->far_port && user % 2;
}

const char *session_domain(const struct session *s)
{
    const struct options *o = &s->load->options;

    return is_far(o, s->who.user) ? o->far_domain : o->domain;
}

void session_open(struct load *l, struct session *s)
{
    const struct options *o = &l->options;
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(is_far(o, s->who.user) ? o->far_port : o->port)};
    struct epoll_event ev = {.events = EPOLLOUT, .data.ptr = s};
    int one = 1;
    struct bytes in = s->in, out = s->out;
    struct identity who = s->who;

    memset(s, 0, sizeof(*s));
    s->in = in;
    s->out = out;
    s->in.len = s->out.len = 0;
    s->load = l;
    s->who = who;
    inet_pton(AF_INET, o->host, &at.sin_addr);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(s->fd, (struct sockaddr *)&at, sizeof(at)) < 0 && errno != EINPROGRESS) {
        session_fail(s, "connect: %s", strerror(errno));
        return;
    }
    epoll_ctl(l->epoll, EPOLL_CTL_ADD, s->fd, &ev);
}

void session_close(struct session *s)
{
    if (s->stage == STAGE_CLOSED || !s->load)
        return;
    if (s->stage == STAGE_READY)
        s->load->ready--;
    s->stage = STAGE_CLOSED;
    SSL_free(s->ssl);
    s->ssl = NULL;
    close(s->fd);
    s->fd = -1;
}

void session_write(struct session *s, const char *data, size_t len)
{
    grow(&s->out, len);
    memcpy(s->out.data + s->out.len, data, len);
    s->out.len += len;
}

void session_printf(struct session *s, const char *fmt, ...)
{
    char text[4096];
    va_list args;
    int len;

    va_start(args, fmt);
    len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    session_write(s, text, (size_t)len);
}

/* Bytes taken, 0 when it would block, -1 after a failure. */
static ssize_t put(struct session *s)
{
    ssize_t n;

    if (s->ssl) {
        n = SSL_write(s->ssl, s->out.data, (int)s->out.len);
        if (n > 0)
            return n;
        switch (SSL_get_error(s->ssl, (int)n)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
            return 0;
        default:
            return -1;
        }
    }
    n = send(s->fd, s->out.data, s->out.len, MSG_NOSIGNAL);
    return n < 0 ? (errno == EAGAIN ? 0 : -1) : n;
}

void session_flush(struct session *s)
{
    bool blocked = false;

    while (s->stage != STAGE_CLOSED && s->out.len > 0 && !blocked) {
        ssize_t n = put(s);

        if (n < 0) {
            session_fail(s, "write: %s", strerror(errno));
            return;
        }
        memmove(s->out.data, s->out.data + n, s->out.len - (size_t)n);
        s->out.len -= (size_t)n;
        blocked = n == 0;
    }
    if (blocked != s->want_write) {
        s->want_write = blocked;
        watch(s, EPOLLIN | (blocked ? (uint32_t)EPOLLOUT : 0u));
    }
}

void session_header(struct session *s)
{
    s->at = s->start = s->in.len = 0;
    s->depth = 0;
    s->in_tag = s->closing = s->special = false;
    s->quote = s->last = 0;
    s->stage = STAGE_FEATURES;
    session_printf(s,
                   "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
                   "xmlns:stream='http://etherx.jabber.org/streams' to='%s' version='1.0'>",
                   session_domain(s));
}

static void handshake(struct session *s)
{
    int n = SSL_do_handshake(s->ssl);

    if (n == 1) {
        s->secure = true;
        watch(s, EPOLLIN);
        session_header(s);
        return;
    }
    switch (SSL_get_error(s->ssl, n)) {
    case SSL_ERROR_WANT_READ:
        watch(s, EPOLLIN);
        return;
    case SSL_ERROR_WANT_WRITE:
        watch(s, EPOLLIN | EPOLLOUT);
        return;
    default:
        session_fail(s, "TLS handshake failed");
    }
}

void session_start_tls(struct session *s)
{
    s->stage = STAGE_HANDSHAKE;
    s->ssl = SSL_new(s->load->tls);
    SSL_set_fd(s->ssl, s->fd);
    SSL_set_connect_state(s->ssl);
    SSL_set_tlsext_host_name(s->ssl, session_domain(s));
    handshake(s);
}

/* A tag has ended at s->at: counts depth; true when that completes a first-level element or the
 * header. */
static bool tag_ended(struct session *s)
{
    bool empty = s->last == '/';

    s->in_tag = false;
    if (s->special)
        return false;
    if (s->closing)
        return --s->depth == 1;
    if (empty)
        return s->depth == 1;
    return ++s->depth == 1; /* the stream header */
}

/* Finds whole stanzas in what has come and hands them over. */
static void scan(struct session *s)
{
    while (s->stage != STAGE_CLOSED && s->stage != STAGE_HANDSHAKE && s->at < s->in.len) {
        char c = s->in.data[s->at++];

        if (!s->in_tag) {
            if (c != '<')
                continue;
            s->in_tag = true;
            s->closing = s->special = false;
            s->quote = s->last = 0;
            if (s->depth <= 1)
                s->start = s->at - 1;
        } else if (s->quote) {
            if (c == s->quote)
                s->quote = 0;
        } else if (c == '>') {
            if (tag_ended(s)) {
                if (s->depth == 1 && !s->closing && s->last != '/')
                    continue; /* our header's answer */
                s->on_stanza ? s->on_stanza(s, s->in.data + s->start, s->at - s->start)
                             : login_on_stanza(s, s->in.data + s->start, s->at - s->start);
            }
        } else {
            if (c == '"' || c == '\'')
                s->quote = c;
            if (s->last == 0 && c == '/')
                s->closing = true;
            if (s->last == 0 && (c == '?' || c == '!'))
                s->special = true;
            s->last = c;
        }
    }
}

static void compact(struct session *s)
{
    size_t keep = s->in_tag || s->depth > 1 ? s->start : s->at;

    if (keep == 0 || keep > s->in.len)
        return;
    memmove(s->in.data, s->in.data + keep, s->in.len - keep);
    s->in.len -= keep;
    s->at -= keep;
    s->start = 0;
}

static void count_raw(struct session *s, size_t len)
{
    s->received += len;
    s->on_stanza(s, NULL, len);
}

static bool read_once(struct session *s)
{
    ssize_t n;

    grow(&s->in, 16384);
    if (s->ssl) {
        n = SSL_read(s->ssl, s->in.data + s->in.len, 16384);
        if (n <= 0) {
            int e = SSL_get_error(s->ssl, (int)n);

            if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
                session_fail(s, "TLS read failed: the server closed the connection");
            return false;
        }
    } else {
        n = recv(s->fd, s->in.data + s->in.len, 16384, 0);
        if (n <= 0) {
            if (n == 0 || errno != EAGAIN)
                session_fail(s, "the server closed the connection");
            return false;
        }
    }
    if (s->load->options.raw) {
        count_raw(s, (size_t)n);
        return false;
    }
    s->in.len += (size_t)n;
    scan(s);
    if (s->stage != STAGE_CLOSED)
        compact(s);
    return s->ssl != NULL && s->stage != STAGE_CLOSED && s->stage != STAGE_HANDSHAKE;
}

static void on_event(struct session *s, uint32_t events)
{
    if (s->stage == STAGE_CLOSED)
        return;
    if (s->stage == STAGE_CONNECT) {
        int error = 0;
        socklen_t len = sizeof(error);

        getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error) {
            session_fail(s, "connect: %s", strerror(error));
            return;
        }
        watch(s, EPOLLIN);
        if (s->load->options.raw) {
            s->stage = STAGE_READY;
            s->load->ready++;
        } else {
            session_header(s);
        }
    } else if (s->stage == STAGE_HANDSHAKE) {
        handshake(s);
    } else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        while (read_once(s))
            ;
    }
    if (s->stage != STAGE_CLOSED && s->stage != STAGE_HANDSHAKE)
        session_flush(s);
}

void load_pump(struct load *l, int ms)
{
    struct epoll_event events[LOAD_BATCH];
    int n = epoll_wait(l->epoll, events, LOAD_BATCH, ms);

    for (int i = 0; i < n; i++)
        on_event(events[i].data.ptr, events[i].events);
    if (l->failed) {
        fprintf(stderr, "load: %s\n", l->error);
        exit(1);
    }
}
