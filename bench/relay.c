/* The physical limit: a relay that does nothing but move bytes between two connections, by raw
 * epoll. What a server costs above this is the server; below is the kernel. Connections pair up in
 * the order they come: 1 with 2, 3 with 4. relay PORT; prints "ready" and runs until it is killed.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_FD = 20000, BATCH = 256 };

struct relay {
    int epoll, listener, waiting;
    int partner[MAX_FD];
    char buffer[65536];
};

static void watch(struct relay *r, int fd)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

    epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &ev);
}

static void on_connection(struct relay *r)
{
    int one = 1, fd = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0 || fd >= MAX_FD)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (r->waiting) {
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
        close(fd);
    } else if (r->partner[fd]) {
        (void)!send(r->partner[fd], r->buffer, (size_t)n, MSG_NOSIGNAL);
    }
}

int main(int argc, char **argv)
{
    static struct relay r;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event events[BATCH];
    int one = 1;

    at.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 0));
    r.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    r.epoll = epoll_create1(EPOLL_CLOEXEC);
    setsockopt(r.listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(r.listener, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(r.listener, 1024) < 0) {
        perror("relay");
        return 1;
    }
    watch(&r, r.listener);
    puts("ready");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(r.epoll, events, BATCH, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == r.listener)
                on_connection(&r);
            else
                on_bytes(&r, events[i].data.fd);
        }
    }
}
