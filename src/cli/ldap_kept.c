/* A file that is replaced as a whole. See ldap_kept.h. */
#include "cli/ldap_kept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

enum { CHUNK = 65536 };

void ldap_kept_read(const char *path, struct buffer *into)
{
    FILE *file = fopen(path, "re");
    char chunk[CHUNK];
    size_t len;
    bool fits = true;

    while (file && fits && (len = fread(chunk, 1, sizeof chunk, file)) > 0)
        fits = buffer_add(into, chunk, len);
    if (!fits || (file && ferror(file)))
        buffer_clear(into);
    if (file)
        (void)fclose(file);
}

static bool write_all(int fd, struct str text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.data, text.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text.data += n;
        text.len -= (size_t)n;
    }
    return true;
}

void ldap_kept_write(const char *path, struct str text)
{
    char partial[CLI_PATH_MAX];
    int len = snprintf(partial, sizeof partial, "%s.new", path);
    int fd = len > 0 && (size_t)len < sizeof partial
                 ? open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)
                 : -1;
    if (len < 0 || (size_t)len >= sizeof partial)
        errno = ENAMETOOLONG;
    bool written = fd >= 0 && write_all(fd, text) && fsync(fd) == 0;

    if (!written || rename(partial, path) != 0)
        cli_error("cannot keep the shared groups of the directory in %s: %s", path,
                  strerror(errno));
    if (fd >= 0)
        (void)close(fd);
}
