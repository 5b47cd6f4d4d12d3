/* Secret files. Two processes may start at once: each writes a file of its own and link(2)s it into
 * place, so that exactly one wins and both read the winner's. */
#include "component/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define SECRET_PATH_MAX 4096

static bool write_secret(int fd, const char *secret, size_t len)
{
    return write(fd, secret, len) == (ssize_t)len && fsync(fd) == 0;
}

static enum error make_secret(const struct env *env, const char *path)
{
    char temporary[SECRET_PATH_MAX + 16], secret[SECRET_CHARS + 1];
    enum error e = ERR_OK;
    int fd;

    (void)snprintf(temporary, sizeof(temporary), "%s.%ld", path, (long)getpid());
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_from_errno(errno);
    random_token(env->random, secret, SECRET_CHARS);
    secret[SECRET_CHARS] = '\n';
    if (!write_secret(fd, secret, sizeof(secret)))
        e = error_from_errno(errno);
    mem_wipe(secret, sizeof(secret));
    close(fd);
    if (e == ERR_OK && link(temporary, path) != 0 && errno != EEXIST)
        e = error_from_errno(errno);
    (void)unlink(temporary);
    return e;
}

static enum error read_secret(const struct env *env, const char *path, char *out, size_t size)
{
    struct stat st;
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : error_from_errno(errno);
    if (fstat(fd, &st) == 0 && (st.st_mode & 077) != 0) {
        log_error(&env->log, "%s can be read by others; run: chmod 600 %s", path, path);
        close(fd);
        return ERR_INVALID;
    }
    got = read(fd, out, size);
    close(fd);
    if (got < 0)
        return error_from_errno(errno);
    while (got > 0 && (out[got - 1] == '\n' || out[got - 1] == '\r'))
        got--;
    if (got == 0 || (size_t)got >= size) {
        log_error(&env->log,
                  "%s must hold one line of 1 to %zu characters; remove it to have a new one made",
                  path, size - 1);
        return ERR_INVALID;
    }
    out[got] = '\0';
    return ERR_OK;
}

enum error secret_load(const struct env *env, const char *name, const char *path, char *out,
                       size_t size)
{
    char full[SECRET_PATH_MAX];
    enum error e;

    if (!path[0] && loop_is_sim(env->loop)) { /* no disk, but the same at every start */
        for (size_t i = 0; i < size - 1; i++)
            out[i] = name[i % strlen(name)];
        out[SECRET_CHARS < size - 1 ? SECRET_CHARS : size - 1] = '\0';
        return ERR_OK;
    }
    if (!path[0] && !env->data_dir[0]) {
        random_token(env->random, out, SECRET_CHARS < size - 1 ? SECRET_CHARS : size - 1);
        out[SECRET_CHARS < size - 1 ? SECRET_CHARS : size - 1] = '\0';
        return ERR_OK;
    }
    if (path[0])
        (void)snprintf(full, sizeof(full), "%s", path);
    else
        (void)snprintf(full, sizeof(full), "%s/%s", env->data_dir, name);
    e = read_secret(env, full, out, size);
    if (e == ERR_NOT_FOUND) {
        e = make_secret(env, full);
        if (e == ERR_OK)
            e = read_secret(env, full, out, size);
    }
    if (e != ERR_OK && e != ERR_INVALID)
        log_error(&env->log,
                  "cannot read or make the secret file %s: %s; check the directory and who owns it",
                  full, error_text(e));
    return e;
}
