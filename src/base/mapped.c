/* Mapped: see mapped.h. */
#include "base/mapped.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

int mapped_open(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}
