/* Appending to a file that others may append to and move. See audit_file.h. */
#include "sm/audit_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_MAX_BYTES (PATH_MAX + 16)

void audit_file_init(struct audit_file *f)
{
    f->fd = -1;
    f->path[0] = '\0';
}

void audit_file_close(struct audit_file *f)
{
    if (f->fd >= 0)
        close(f->fd); /* and with it the lock */
    f->fd = -1;
}

/* --- opening, until what is locked is what stands there --- */

static bool same_file(const struct audit_file *f, struct stat *ret)
{
    struct stat there;
    return fstat(f->fd, ret) == 0 && stat(f->path, &there) == 0 && there.st_ino == ret->st_ino &&
           there.st_dev == ret->st_dev;
}

static bool open_locked(struct audit_file *f, struct stat *ret)
{
    for (int tries = 0; tries < 100; tries++) {
        if (f->fd < 0)
            f->fd = open(f->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
        if (f->fd < 0 || flock(f->fd, LOCK_EX) != 0)
            return false;
        if (same_file(f, ret))
            return true;
        audit_file_close(f); /* moved meanwhile */
    }
    errno = EBUSY;
    return false;
}

/* --- rotation --- */

static const char *numbered(const struct audit_file *f, unsigned number, char room[NAME_MAX_BYTES])
{
    (void)snprintf(room, NAME_MAX_BYTES, "%s.%u", f->path, number);
    return room;
}

/* PATH.1 becomes PATH.2 and so on, up to the first gap or the oldest, which goes. */
static bool put_by(struct audit_file *f, unsigned keep)
{
    char from[NAME_MAX_BYTES], to[NAME_MAX_BYTES];
    unsigned free_number = 1;
    while (free_number < keep && access(numbered(f, free_number, from), F_OK) == 0)
        free_number++;
    for (unsigned n = free_number; n > 1; n--)
        if (rename(numbered(f, n - 1, from), numbered(f, n, to)) != 0)
            return false;
    if (rename(f->path, numbered(f, 1, to)) != 0)
        return false;
    audit_file_close(f);
    return true;
}

static bool is_old(const struct stat *st, int64_t now, const struct audit_limits *limits)
{
    int64_t age = (int64_t)limits->max_age;
    return age > 0 && now / age > (int64_t)st->st_mtime / age;
}

/* --- writing --- */

/* Bytes of whole lines that a file of this size may take; one line at least. */
static size_t portion(const char *bytes, size_t len, uint64_t size, uint64_t max_size)
{
    size_t taken = 0;
    while (taken < len) {
        const char *end = memchr(bytes + taken, '\n', len - taken);
        size_t line = end ? (size_t)(end - bytes) + 1 - taken : len - taken;
        if (taken > 0 && size + taken + line > max_size)
            break;
        taken += line;
    }
    return taken;
}

/* All of it or nothing: half a line would spoil the next one. */
static bool write_all(struct audit_file *f, const char *bytes, size_t len,
                      const struct stat *before)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = write(f->fd, bytes + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int why = n < 0 ? errno : ENOSPC;
            if (S_ISREG(before->st_mode))
                (void)!ftruncate(f->fd, before->st_size);
            errno = why;
            return false;
        }
        done += (size_t)n;
    }
    return true;
}

/* Closes it, so that nobody waits for the lock; errno stays. */
static size_t give_up(struct audit_file *f)
{
    int why = errno;
    audit_file_close(f);
    errno = why;
    return 0;
}

static size_t append(struct audit_file *f, const char *bytes, size_t len, int64_t now,
                     const struct audit_limits *limits)
{
    struct stat st;
    if (!open_locked(f, &st))
        return give_up(f);
    size_t take = len;
    if (S_ISREG(st.st_mode)) {
        uint64_t size = (uint64_t)st.st_size;
        take = portion(bytes, len, size, limits->max_size);
        if (size > 0 && (size + take > limits->max_size || is_old(&st, now, limits))) {
            if (!put_by(f, limits->keep) || !open_locked(f, &st))
                return give_up(f);
            take = portion(bytes, len, 0, limits->max_size);
        }
    }
    if (!write_all(f, bytes, take, &st))
        return give_up(f);
    (void)flock(f->fd, LOCK_UN);
    return take;
}

size_t audit_file_write(struct audit_file *f, const char *path, const char *bytes, size_t len,
                        int64_t now, const struct audit_limits *limits)
{
    size_t done = 0, n;
    if (strcmp(path, f->path) != 0) {
        audit_file_close(f);
        (void)snprintf(f->path, sizeof f->path, "%s", path);
    }
    while (done < len && (n = append(f, bytes + done, len - done, now, limits)) > 0)
        done += n;
    return done;
}
