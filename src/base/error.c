/* Errors: texts for the one enum, and what errno means in it. */
#include "base/error.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const char *const texts[] = {
#define X(name, text) [ERR_##name] = (text),
#include "base/errors.def"
#undef X
};

const char *error_text(enum error e)
{
    if ((size_t)e >= sizeof texts / sizeof *texts)
        return "unknown error";
    return texts[e];
}

static const struct {
    int errnum;
    enum error error;
} from_errno[] = {
    {0, ERR_OK},
    {EINVAL, ERR_INVALID},
    {EAFNOSUPPORT, ERR_INVALID},
    {EADDRNOTAVAIL, ERR_INVALID},
    {ENOENT, ERR_NOT_FOUND},
    {EEXIST, ERR_EXISTS},
    {EFBIG, ERR_TOO_BIG},
    {EMSGSIZE, ERR_TOO_BIG},
    {ENAMETOOLONG, ERR_TOO_BIG},
    {EBUSY, ERR_BUSY},
    {EAGAIN, ERR_BUSY},
    {EMFILE, ERR_FULL},
    {ENFILE, ERR_FULL},
    {ENOBUFS, ERR_FULL},
    {EPIPE, ERR_CLOSED},
    {ECONNRESET, ERR_CLOSED},
    {ECONNABORTED, ERR_CLOSED},
    {ENOTCONN, ERR_CLOSED},
    {ECONNREFUSED, ERR_REFUSED},
    {EHOSTUNREACH, ERR_REFUSED},
    {ENETUNREACH, ERR_REFUSED},
    {ETIMEDOUT, ERR_TIMEOUT},
    {EADDRINUSE, ERR_ADDRESS_IN_USE},
    {EACCES, ERR_PERMISSION},
    {EPERM, ERR_PERMISSION},
    {EIO, ERR_IO},
    {EROFS, ERR_IO},
    {ENOSPC, ERR_STORE_FULL},
    {EDQUOT, ERR_STORE_FULL},
    {ECANCELED, ERR_CANCELLED},
};

enum error error_from_errno(int errnum)
{
    for (size_t i = 0; i < sizeof from_errno / sizeof *from_errno; i++)
        if (from_errno[i].errnum == errnum)
            return from_errno[i].error;
    return ERR_SYSTEM;
}

const char *error_errno_text(int errnum)
{
    const char *text = strerrordesc_np(errnum);
    return text ? text : "unknown system error";
}
