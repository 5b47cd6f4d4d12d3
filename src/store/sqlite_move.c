/* Moving a database: see sqlite_move.h. */
#include "store/sqlite_move.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define MOVE_WAIT_MS 1000 /* for another process that looks into it for a moment */

static bool there(const char *path, const char *suffix)
{
    char full[PATH_MAX];

    return snprintf(full, sizeof full, "%s%s", path, suffix) < (int)sizeof full &&
           access(full, F_OK) == 0;
}

/* The folder of a file, opened; -1 with errno. */
static int open_folder(const char *file)
{
    char folder[PATH_MAX];
    char *slash;

    (void)snprintf(folder, sizeof folder, "%s", file);
    slash = strrchr(folder, '/');
    if (slash)
        *slash = '\0';
    return open(slash ? (folder[0] ? folder : "/") : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The log goes into the file and is removed, which SQLite does for its only user alone. */
static enum error close_log(const char *path, char *why, size_t why_size)
{
    sqlite3 *db = NULL;
    int code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL);

    sqlite3_busy_timeout(db, MOVE_WAIT_MS);
    if (code == SQLITE_OK) /* reading plays back what a power cut has left */
        code = sqlite3_exec(db, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_exec(db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    if (code != SQLITE_OK)
        (void)snprintf(why, why_size, "%s: %s", path, sqlite3_errmsg(db));
    sqlite3_close(db);
    if ((code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED ||
        (code == SQLITE_OK && (there(path, "-wal") || there(path, "-journal")))) {
        (void)snprintf(why, why_size, "%s is in use: stop the server that has it open first", path);
        return ERR_BUSY;
    }
    return code == SQLITE_OK ? ERR_OK : ERR_STORE;
}

/* Both folders are on the disk with it, the new name first. */
static enum error rename_safely(const char *from, const char *to, int old_folder, char *why,
                                size_t why_size)
{
    int new_folder = open_folder(to);
    bool moved = new_folder >= 0 && rename(from, to) == 0;

    if (!moved)
        (void)snprintf(why, why_size, "cannot move %s to %s: %s", from, to, strerror(errno));
    if (moved && (fsync(new_folder) != 0 || fsync(old_folder) != 0)) {
        (void)snprintf(why, why_size, "cannot write the folder of %s: %s", to, strerror(errno));
        moved = false;
    }
    if (new_folder >= 0)
        close(new_folder);
    return moved ? ERR_OK : ERR_IO;
}

enum error sqlite_move(const char *from, const char *to, char *why, size_t why_size)
{
    enum error e = ERR_OK;
    int folder;

    if (!there(from, ""))
        return ERR_OK;
    folder = open_folder(from);
    if (folder < 0 || flock(folder, LOCK_EX) != 0) {
        (void)snprintf(why, why_size, "cannot lock the folder of %s: %s", from, strerror(errno));
        e = ERR_IO;
    } else if (there(from, "") && there(to, "")) {
        (void)snprintf(why, why_size,
                       "there are two databases, %s and %s; only the second is used: move the "
                       "other away",
                       from, to);
        e = ERR_EXISTS;
    } else if (there(from, "")) { /* nobody was faster */
        e = close_log(from, why, why_size);
        if (e == ERR_OK)
            e = rename_safely(from, to, folder, why, why_size);
    }
    if (folder >= 0)
        close(folder);
    return e;
}
