/* Real sockets. uv_poll tells when they are ready; reading goes into one buffer shared by the loop,
 * writing straight to the kernel at the end of the turn. A socket is watched for room to write only
 * after the kernel has refused bytes, and a pause is noticed only when input comes, so that the
 * usual turn costs one recv, one send and no epoll_ctl. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "base/mem.h"
#include "net/net_impl.h"
#include "net/socket_address.h"

enum {
    BACKLOG = 1024,
    ACCEPTS_PER_TURN = 64,
    ACCEPT_PAUSE_MS = 100,    /* after running out of file descriptors */
    USER_TIMEOUT_MS = 120000, /* a peer that acknowledges nothing for so long is gone (RFC 5482) */
};

struct net_uv {
    struct net base;
    uv_loop_t *uv;
    int reserve_fd; /* given up for a moment to turn away a client when there are no others */
};

struct listener_uv {
    struct net_listener base;
    uv_poll_t poll;
    int fd;
    bool closed;
    struct loop_timer pause;
    struct log_limit log_limit;
    struct net_address at;
};

struct conn_uv {
    struct conn base;
    int fd;      /* -1: there was none to be had, and `poll` is unused */
    int watched; /* what `poll` was last started with */
    uv_poll_t poll;
};

static struct net_uv *net_of(struct net *n)
{
    return MEM_CONTAINER(n, struct net_uv, base);
}

static struct conn_uv *conn_of(struct conn *c)
{
    return MEM_CONTAINER(c, struct conn_uv, base);
}

/* --- connections --- */

static void on_ready(uv_poll_t *poll, int status, int events);

static void real_interest(struct conn *c)
{
    struct conn_uv *u = conn_of(c);
    if (u->fd < 0)
        return;
    bool waits = conn_impl_waits(c) || !c->connected;
    int wanted = (conn_impl_reads(c) ? UV_READABLE : 0) | (waits ? UV_WRITABLE : 0);
    /* Watching too much for reading is mended when input comes; watching for writing would spin. */
    if ((u->watched | UV_READABLE) == (wanted | UV_READABLE) && (u->watched & wanted) == wanted)
        return;
    u->watched = wanted;
    uv_poll_start(&u->poll, wanted, on_ready); /* nothing wanted: stops */
}

static void read_some(struct conn *c)
{
    struct conn_uv *u = conn_of(c);
    ssize_t got = recv(u->fd, c->net->read_buffer, NET_BUFFER, 0);
    if (got > 0) {
        conn_impl_input(c, c->net->read_buffer, (size_t)got);
    } else if (got == 0) {
        conn_impl_end(c, ERR_OK, "the peer closed the connection");
    } else if (errno != EAGAIN && errno != EINTR) {
        conn_impl_end(c, error_from_errno(errno), error_errno_text(errno));
    }
}

static void connect_finished(struct conn *c)
{
    int errnum = 0;
    socklen_t size = sizeof errnum;
    if (getsockopt(conn_of(c)->fd, SOL_SOCKET, SO_ERROR, &errnum, &size) < 0)
        errnum = errno;
    if (errnum)
        conn_impl_end(c, error_from_errno(errnum), error_errno_text(errnum));
    else
        conn_impl_connected(c);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct conn_uv *u = MEM_CONTAINER(poll, struct conn_uv, poll);
    struct conn *c = &u->base;
    if (status < 0) { /* an error waits on the socket: libuv has stopped watching, and the calls
                         below will meet it */
        u->watched = 0;
        events = UV_READABLE | UV_WRITABLE;
    }
    if (!c->connected) {
        connect_finished(c);
        return;
    }
    if ((events & UV_WRITABLE) && conn_impl_waits(c))
        conn_impl_writable(c);
    if ((events & UV_READABLE) && conn_impl_reads(c)) {
        read_some(c);
    } else if (events & UV_READABLE) {
        u->watched &= ~UV_READABLE;
        uv_poll_start(&u->poll, u->watched, on_ready);
        return;
    }
    if (status < 0)
        real_interest(c);
}

static ssize_t real_send(struct conn *c, struct iovec *pieces, int count)
{
    int fd = conn_of(c)->fd;
    ssize_t sent;
    if (count == 1) {
        sent = send(fd, pieces->iov_base, pieces->iov_len, MSG_NOSIGNAL);
    } else {
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = (size_t)count};
        sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    }
    if (sent >= 0)
        return sent;
    return errno == EINTR || errno == EWOULDBLOCK || errno == ENOBUFS ? -EAGAIN : -errno;
}

static void real_shut(struct conn *c)
{
    shutdown(conn_of(c)->fd, SHUT_WR);
}

static void on_conn_closed(uv_handle_t *handle)
{
    free(MEM_CONTAINER(handle, struct conn_uv, poll));
}

static void real_release(struct conn *c)
{
    struct conn_uv *u = conn_of(c);
    if (u->fd < 0) {
        free(u);
        return;
    }
    uv_close((uv_handle_t *)&u->poll, on_conn_closed);
    close(u->fd);
}

/* Takes the fd over. */
static struct conn_uv *conn_make(struct net_uv *n, int fd, const struct net_address *peer)
{
    struct conn_uv *u = MEM_NEW(struct conn_uv);
    u->fd = fd;
    if (fd >= 0 && uv_poll_init(n->uv, &u->poll, fd) < 0) {
        close(fd);
        u->fd = -1;
    }
    conn_impl_init(&u->base, &n->base, peer);
    return u;
}

/* Accepted sockets inherit these from the listener on Linux. */
static void tcp_options(int fd)
{
    int on = 1, timeout = USER_TIMEOUT_MS;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
}

static struct conn *real_connect(struct net *net, const struct net_address *at,
                                 enum error *ret_error)
{
    union socket_address to;
    socklen_t len;
    int fd = -1;
    if (!socket_address_parse(at, &to, &len)) {
        *ret_error = ERR_INVALID;
        return &conn_make(net_of(net), -1, at)->base;
    }
    fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        *ret_error = error_from_errno(errno);
    } else {
        if (to.any.sa_family != AF_UNIX)
            tcp_options(fd);
        if (connect(fd, &to.any, len) < 0 && errno != EINPROGRESS)
            *ret_error = error_from_errno(errno);
    }
    struct conn_uv *u = conn_make(net_of(net), fd, at);
    if (*ret_error == ERR_OK && u->fd < 0)
        *ret_error = ERR_SYSTEM;
    if (*ret_error == ERR_OK)
        real_interest(&u->base);
    return &u->base;
}

/* --- listeners --- */

static struct listener_uv *listener_of(const struct net_listener *l)
{
    return MEM_CONTAINER(l, struct listener_uv, base);
}

static int open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* No file descriptors left: those who wait are turned away at once rather than left hanging, with
 * the one descriptor kept for this, and then nobody is accepted for a moment, so that the loop does
 * not spin. */
static void turn_away(struct listener_uv *l, int errnum)
{
    struct net_uv *n = net_of(l->base.net);
    if (log_limit_pass(&l->log_limit, loop_now(n->base.loop), &n->base.log))
        log_error(&n->base.log,
                  "cannot accept connections on %s port %d: %s; clients are being turned away. "
                  "Raise the limit of open "
                  "files (systemd: LimitNOFILE=, shell: ulimit -n)",
                  l->at.ip, l->at.port, error_errno_text(errnum));
    for (int i = 0; i < ACCEPTS_PER_TURN && n->reserve_fd >= 0; i++) {
        close(n->reserve_fd);
        int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            close(fd);
        n->reserve_fd = open_reserve();
        if (fd < 0)
            break;
    }
    uv_poll_stop(&l->poll);
    loop_timer_start(&l->pause, ACCEPT_PAUSE_MS);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    struct listener_uv *l = MEM_CONTAINER(poll, struct listener_uv, poll);
    struct net_uv *n = net_of(l->base.net);
    (void)status, (void)events; /* accept4 tells */
    for (int i = 0; i < ACCEPTS_PER_TURN && !l->closed; i++) {
        union socket_address from;
        socklen_t len = sizeof from;
        from.any.sa_family = AF_UNSPEC;
        int fd = accept4(l->fd, &from.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                turn_away(l, errno);
            return; /* anything else is the fault of one connection, or no more are waiting */
        }
        struct net_address peer = l->at;
        if (from.any.sa_family != AF_UNIX)
            socket_address_format(&from, &peer);
        struct conn_uv *u = conn_make(n, fd, &peer);
        if (u->fd < 0) {
            conn_close(&u->base, 0);
            continue;
        }
        u->base.connected = true;
        l->base.fn(l->base.arg, &u->base);
    }
}

static void on_pause_over(struct loop_timer *timer)
{
    struct listener_uv *l = MEM_CONTAINER(timer, struct listener_uv, pause);
    struct net_uv *n = net_of(l->base.net);
    if (n->reserve_fd < 0)
        n->reserve_fd = open_reserve();
    uv_poll_start(&l->poll, UV_READABLE, on_connection);
}

/* A socket file that nobody listens on is left over from a server that was killed. */
static bool stale(const union socket_address *at, socklen_t len)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool refused = connect(fd, &at->any, len) < 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

static int bind_and_listen(int fd, const union socket_address *at, socklen_t len,
                           enum net_share share)
{
    int on = 1;
    if (at->any.sa_family == AF_UNIX) {
        fchmod(fd, 0600); /* before bind: the file is never open to others */
        if (stale(at, len))
            unlink(at->local.sun_path);
    } else {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (share != NET_ALONE)
            setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
        tcp_options(fd);
    }
    if (at->any.sa_family == AF_INET6) /* so that 0.0.0.0 and :: are two listeners */
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, &at->any, len) < 0 || listen(fd, BACKLOG) < 0)
        return -errno;
    return 0;
}

/* The listening socket, or -errno. */
static int listening(const union socket_address *at, socklen_t len, enum net_share share)
{
    int fd = socket(at->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int status = bind_and_listen(fd, at, len, share);
    if (status == 0)
        return fd;
    close(fd);
    return status;
}

static enum error real_listen(struct net *net, const struct net_address *at, enum net_share share,
                              net_accept_fn fn, void *arg, struct net_listener **ret)
{
    union socket_address address;
    socklen_t len;
    struct net_uv *n = net_of(net);
    if (!socket_address_parse(at, &address, &len))
        return ERR_INVALID;
    if (share == NET_FIRST && at->port != 0) {
        /* With SO_REUSEPORT we would quietly take half of another server's connections. */
        int alone = listening(&address, len, NET_ALONE);
        if (alone < 0)
            return error_from_errno(-alone);
        close(alone);
    }
    int fd = listening(&address, len, share);
    if (fd < 0)
        return error_from_errno(-fd);
    struct listener_uv *l = MEM_NEW(struct listener_uv);
    if (uv_poll_init(n->uv, &l->poll, fd) < 0) {
        close(fd);
        free(l);
        return ERR_SYSTEM;
    }
    l->fd = fd;
    l->at = *at;
    if (address.any.sa_family != AF_UNIX && at->port == 0) {
        getsockname(fd, &address.any, &len);
        l->at.port = ntohs(address.v4.sin_port); /* at the same place in both families */
    }
    loop_timer_init(&l->pause, net->loop, on_pause_over);
    net_impl_listener_init(&l->base, net, fn, arg);
    uv_poll_start(&l->poll, UV_READABLE, on_connection);
    *ret = &l->base;
    return ERR_OK;
}

static uint16_t real_listener_port(const struct net_listener *l)
{
    return listener_of(l)->at.port;
}

static void on_listener_closed(uv_handle_t *handle)
{
    free(MEM_CONTAINER(handle, struct listener_uv, poll));
}

static void real_listener_close(struct net_listener *base)
{
    struct listener_uv *l = listener_of(base);
    l->closed = true;
    list_remove(&base->node);
    loop_timer_stop(&l->pause);
    uv_close((uv_handle_t *)&l->poll, on_listener_closed);
    close(l->fd);
    if (strncmp(l->at.ip, NET_UNIX_PREFIX, strlen(NET_UNIX_PREFIX)) == 0)
        unlink(l->at.ip + strlen(NET_UNIX_PREFIX));
}

static void real_net_destroy(struct net *net)
{
    struct net_uv *n = net_of(net);
    net_impl_finish(net);
    if (n->reserve_fd >= 0)
        close(n->reserve_fd);
    free(n);
}

static const struct net_ops real_ops = {
    .destroy = real_net_destroy,
    .listen = real_listen,
    .listener_port = real_listener_port,
    .listener_close = real_listener_close,
    .connect = real_connect,
    .interest = real_interest,
    .send = real_send,
    .shut = real_shut,
    .release = real_release,
};

struct net *net_create(struct loop *l, struct log log)
{
    struct net_uv *n = MEM_NEW(struct net_uv);
    net_impl_init(&n->base, &real_ops, l, log);
    n->uv = loop_driver_handle(l);
    n->reserve_fd = open_reserve();
    return &n->base;
}
