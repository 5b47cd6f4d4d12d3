/* The audit log's file: whole lines, rotation by size and by time, a file that is moved away or
 * cannot be written. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "sm/audit_file.h"

struct folder {
    struct audit_file file;
    char dir[64], path[128];
};

static int make(void **state)
{
    struct folder *f = calloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/jackdaw-audit-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/log", f->dir);
    audit_file_init(&f->file);
    *state = f;
    return 0;
}

static const char *numbered(const struct folder *f, unsigned n)
{
    static char path[160];
    if (n)
        snprintf(path, sizeof path, "%s.%u", f->path, n);
    else
        snprintf(path, sizeof path, "%s", f->path);
    return path;
}

static int removes(void **state)
{
    struct folder *f = *state;
    audit_file_close(&f->file);
    for (unsigned n = 0; n < 10; n++)
        unlink(numbered(f, n));
    assert_int_equal(rmdir(f->dir), 0);
    free(f);
    return 0;
}

/* The whole of one of the files; "-" when it is not there. */
static const char *content(const struct folder *f, unsigned n)
{
    static char text[4096];
    FILE *file = fopen(numbered(f, n), "r");
    if (!file)
        return "-";
    size_t len = fread(text, 1, sizeof text - 1, file);
    text[len] = '\0';
    fclose(file);
    return text;
}

static size_t write_lines(struct folder *f, const char *text, int64_t now, uint64_t max_size,
                          unsigned keep)
{
    const struct audit_limits limits = {.max_size = max_size, .max_age = 86400, .keep = keep};
    return audit_file_write(&f->file, f->path, text, strlen(text), now, &limits);
}

static int64_t file_time(const struct folder *f)
{
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);
    return st.st_mtime;
}

static void by_size(void **state)
{
    struct folder *f = *state;
    struct stat st;
    assert_int_equal(write_lines(f, "one\ntwo\n", 0, 10, 2), 8);
    assert_string_equal(content(f, 0), "one\ntwo\n");
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    /* several files of one call, each of whole lines */
    assert_int_equal(write_lines(f, "three\nfour\nfive\nsix\n", 0, 10, 2), 20);
    assert_string_equal(content(f, 0), "six\n");
    assert_string_equal(content(f, 1), "four\nfive\n");
    assert_string_equal(content(f, 2), "three\n");
    assert_string_equal(content(f, 3), "-"); /* the oldest has gone */
    /* a line that is longer than any file has one of its own */
    assert_int_equal(write_lines(f, "seven eight nine ten\nx\n", 0, 10, 2), 23);
    assert_string_equal(content(f, 0), "x\n");
    assert_string_equal(content(f, 1), "seven eight nine ten\n");
    assert_string_equal(content(f, 2), "six\n");
}

static void by_time(void **state)
{
    struct folder *f = *state;
    assert_int_equal(write_lines(f, "a\n", 0, 1000, 5), 2);
    int64_t midnight = (file_time(f) / 86400 + 1) * 86400;
    assert_int_equal(write_lines(f, "b\n", midnight - 1, 1000, 5), 2);
    assert_string_equal(content(f, 0), "a\nb\n");
    assert_int_equal(write_lines(f, "c\n", midnight, 1000, 5), 2);
    assert_string_equal(content(f, 0), "c\n");
    assert_string_equal(content(f, 1), "a\nb\n");
    /* also for who has just been started */
    audit_file_close(&f->file);
    assert_int_equal(write_lines(f, "d\n", midnight + 86400, 1000, 5), 2);
    assert_string_equal(content(f, 0), "d\n");
    assert_string_equal(content(f, 1), "c\n");
    assert_string_equal(content(f, 2), "a\nb\n");
}

/* A second writer, as another loop or process is one, rotates under the first. */
static void two_writers(void **state)
{
    struct folder *f = *state;
    struct folder other = *f;
    audit_file_init(&other.file);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(write_lines(f, "1234\n", 0, 10, 8), 5);
        assert_int_equal(write_lines(&other, "abcd\n", 0, 10, 8), 5);
    }
    for (unsigned n = 0; n < 4; n++)
        assert_string_equal(content(f, n), "1234\nabcd\n");
    assert_string_equal(content(f, 4), "-");
    audit_file_close(&other.file);
}

static void moved_away(void **state)
{
    struct folder *f = *state;
    assert_int_equal(write_lines(f, "a\n", 0, 1000, 5), 2);
    assert_int_equal(rename(f->path, numbered(f, 7)), 0);
    assert_int_equal(write_lines(f, "b\n", 0, 1000, 5), 2);
    assert_string_equal(content(f, 0), "b\n");
    assert_string_equal(content(f, 7), "a\n");
}

static void cannot_be_written(void **state)
{
    struct folder *f = *state;
    const struct audit_limits limits = {.max_size = 1000, .keep = 3};
    assert_int_equal(audit_file_write(&f->file, "/dev/full", "a\n", 2, 0, &limits), 0);
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(audit_file_write(&f->file, "/nowhere/at/all", "a\n", 2, 0, &limits), 0);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(write_lines(f, "b\n", 0, 1000, 5), 2);
    assert_string_equal(content(f, 0), "b\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(by_size, make, removes),
        cmocka_unit_test_setup_teardown(by_time, make, removes),
        cmocka_unit_test_setup_teardown(two_writers, make, removes),
        cmocka_unit_test_setup_teardown(moved_away, make, removes),
        cmocka_unit_test_setup_teardown(cannot_be_written, make, removes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
