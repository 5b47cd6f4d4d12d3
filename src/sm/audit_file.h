/* Audit file: the file that the audit log is appended to, and its rotation. Everything here blocks
 * and belongs to a pool thread; several loops and processes may append to one file, since each
 * write and each rotation happens under a lock of the file. */
#ifndef JACKDAW_SM_AUDIT_FILE_H
#define JACKDAW_SM_AUDIT_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct audit_limits {
    uint64_t max_size; /* bytes of one file */
    uint64_t max_age;  /* seconds of one file, counted from 1970; 0: no matter */
    unsigned keep;     /* older files: PATH.1 is the youngest */
};

struct audit_file {
    int fd; /* -1: closed */
    char path[PATH_MAX];
};

void audit_file_init(struct audit_file *f);
void audit_file_close(struct audit_file *f);
/* Appends whole lines, beginning new files where the limits say so; opens what is not open, and
 * opens it again when it has been moved. `now` is in seconds since 1970. How many bytes were
 * written, whole lines always; when that is not all, errno says why. */
size_t audit_file_write(struct audit_file *f, const char *path, const char *bytes, size_t len,
                        int64_t now, const struct audit_limits *limits);

#endif
