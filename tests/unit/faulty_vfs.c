/* See faulty_vfs.h. The real VFS opens files; their method table is then replaced by a copy with
 * two methods of ours. */
#include "faulty_vfs.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stddef.h>

static sqlite3_vfs vfs;
static sqlite3_vfs *real;
/* The real VFS has several method tables, e.g. for files with and without locks. */
enum { TABLES = 8 };
static const sqlite3_io_methods *real_methods[TABLES];
static sqlite3_io_methods methods[TABLES];
static size_t tables;
static pthread_mutex_t tables_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_int write_result, sync_result;

static const sqlite3_io_methods *real_of(const sqlite3_file *file)
{
    return real_methods[file->pMethods - methods];
}

static int faulty_write(sqlite3_file *file, const void *data, int amount, sqlite3_int64 offset)
{
    int result = atomic_load(&write_result);
    return result != SQLITE_OK ? result : real_of(file)->xWrite(file, data, amount, offset);
}

static int faulty_sync(sqlite3_file *file, int flags)
{
    int result = atomic_load(&sync_result);
    return result != SQLITE_OK ? result : real_of(file)->xSync(file, flags);
}

static int faulty_open(sqlite3_vfs *v, const char *name, sqlite3_file *file, int flags, int *out)
{
    int code = real->xOpen(real, name, file, flags, out);
    (void)v;
    if (code != SQLITE_OK || !file->pMethods)
        return code;
    pthread_mutex_lock(&tables_lock);
    size_t i = 0;
    while (i < tables && real_methods[i] != file->pMethods)
        i++;
    if (i == tables && tables < TABLES) {
        real_methods[i] = file->pMethods;
        methods[i] = *file->pMethods;
        methods[i].xWrite = faulty_write;
        methods[i].xSync = faulty_sync;
        tables++;
    }
    file->pMethods = &methods[i];
    pthread_mutex_unlock(&tables_lock);
    return code;
}

void faulty_vfs_install(void)
{
    if (real)
        return;
    real = sqlite3_vfs_find(0);
    vfs = *real;
    vfs.zName = "faulty";
    vfs.xOpen = faulty_open;
    sqlite3_vfs_register(&vfs, 1);
}

void faulty_vfs_fail(int on_write, int on_sync)
{
    atomic_store(&write_result, on_write);
    atomic_store(&sync_result, on_sync);
}
