/* The protocol of sd_notify(3): see service_manager.h. */
#include "net/service_manager.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"

#define TEXT_MAX 1024

void service_manager_tell(const char *fmt, ...)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char text[TEXT_MAX];
    size_t len = path ? strlen(path) : 0;
    va_list args;
    int fd, n;

    if (len < 2 || len >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(to.sun_path, path, len);
    if (path[0] == '@')
        to.sun_path[0] = '\0'; /* Linux's abstract names */
    va_start(args, fmt);
    n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    if (n > 0)
        (void)sendto(fd, text, strnlen(text, sizeof(text)), MSG_NOSIGNAL, (struct sockaddr *)&to,
                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    close(fd);
}

uint64_t service_manager_watchdog_ms(void)
{
    const char *pid = getenv("WATCHDOG_PID"), *every = getenv("WATCHDOG_USEC");
    uint64_t number;

    if (pid && (!str_to_u64(str_of(pid), INT64_MAX, &number) || number != (uint64_t)getpid()))
        return 0;
    return every && str_to_u64(str_of(every), INT64_MAX, &number) ? number / 1000 : 0;
}

void service_manager_forget(void)
{
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
}
