/* The physical limit: a relay that does nothing but move bytes between connections, by raw epoll.
 * What a server costs above this is the server; below is the kernel. Connections to PORT pair up in
 * the order they come: 1 with 2, 3 with 4. Of those to PORT + 1, what the first sends goes to every
 * other. relay PORT; prints "ready" and runs until it is killed. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_FD = 20000, BATCH = 256 };

struct relay {
    int epoll, listener, fan_listener, waiting;
    int partner[MAX_FD];
    int fan[MAX_FD], fan_count; /* connections to PORT + 1; the first is the sender */
    char buffer[65536];
};

static void watch(struct relay *r, int fd)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

    epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &ev);
}

static void on_connection(struct relay *r, int listener)
{
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0 || fd >= MAX_FD)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (listener == r->fan_listener) {
        r->fan[r->fan_count++] = fd;
    } else if (r->waiting) {
        r->partner[fd] = r->waiting;
        r->partner[r->waiting] = fd;
        r->waiting = 0;
    } else {
        r->waiting = fd;
    }
    watch(r, fd);
}

static void on_bytes(struct relay *r, int fd)
{
    ssize_t n = recv(fd, r->buffer, sizeof(r->buffer), 0);

    if (n <= 0) {
        if (r->waiting == fd)
            r->waiting = 0;
        if (r->fan_count && r->fan[0] == fd)
            r->fan_count = 0;
        close(fd);
    } else if (r->fan_count && r->fan[0] == fd) {
        for (int i = 1; i < r->fan_count; i++)
            (void)!send(r->fan[i], r->buffer, (size_t)n, MSG_NOSIGNAL);
    } else if (r->partner[fd]) {
        (void)!send(r->partner[fd], r->buffer, (size_t)n, MSG_NOSIGNAL);
    }
}

static int listen_on(struct relay *r, int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 1024) < 0) {
        perror("relay");
        exit(1);
    }
    watch(r, fd);
    return fd;
}

int main(int argc, char **argv)
{
    static struct relay r;
    struct epoll_event events[BATCH];
    int port = argc > 1 ? atoi(argv[1]) : 0;

    r.epoll = epoll_create1(EPOLL_CLOEXEC);
    r.listener = listen_on(&r, port);
    r.fan_listener = listen_on(&r, port + 1);
    puts("ready");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(r.epoll, events, BATCH, -1);

        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;

            if (fd == r.listener || fd == r.fan_listener)
                on_connection(&r, fd);
            else
                on_bytes(&r, fd);
        }
    }
}
