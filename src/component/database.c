/* Where each of the two stores is. */
#include "component/database.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "store/sqlite_move.h"

static const struct {
    const char *folder, *file;
} places[] = {
    [STORE_ACCOUNTS] = {"accounts", "accounts.db"},
    [STORE_USERS] = {"sm", "jackdaw.db"},
};

/* "" when the settings leave it to us. */
static const char *configured(const struct config *config, enum store_kind kind)
{
    const char *users = config->store_url;
    const char *url = kind == STORE_USERS ? users : config->store_accounts_url;

    return !*url && str_starts(str_of(users), STR("postgresql:")) ? users : url;
}

static bool own_path(const char *data_dir, enum store_kind kind, char ret[PATH_MAX])
{
    int len = snprintf(ret, PATH_MAX, "%s/%s/%s", data_dir, places[kind].folder, places[kind].file);

    return len < PATH_MAX;
}

/* Where it was before each had a folder. */
static bool old_path(const char *data_dir, enum store_kind kind, char ret[PATH_MAX])
{
    return snprintf(ret, PATH_MAX, "%s/%s", data_dir, places[kind].file) < PATH_MAX;
}

void database_url(const struct config *config, const char *data_dir, enum store_kind kind,
                  char *out, size_t size)
{
    const char *url = configured(config, kind);
    char own[PATH_MAX], old[PATH_MAX];

    if (*url)
        (void)snprintf(out, size, "%s", url);
    else if (!*data_dir || !own_path(data_dir, kind, own) || !old_path(data_dir, kind, old))
        (void)snprintf(out, size, "memory:");
    else
        (void)snprintf(out, size, "sqlite:%s",
                       access(own, F_OK) != 0 && access(old, F_OK) == 0 ? old : own);
}

enum error database_place(const struct config *config, const char *data_dir, enum store_kind kind,
                          char *why, size_t why_size)
{
    char own[PATH_MAX], old[PATH_MAX], folder[PATH_MAX];

    if (*configured(config, kind) || !*data_dir)
        return ERR_OK;
    if (!own_path(data_dir, kind, own) || !old_path(data_dir, kind, old)) {
        (void)snprintf(why, why_size, "the data directory's path is too long");
        return ERR_TOO_BIG;
    }
    (void)snprintf(folder, sizeof folder, "%s", own);
    *strrchr(folder, '/') = '\0';
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        (void)snprintf(why, why_size, "cannot make the directory %s: %s", folder, strerror(errno));
        return error_from_errno(errno);
    }
    return sqlite_move(old, own, why, why_size);
}

bool database_folder(const struct config *config, const char *data_dir, enum store_kind kind,
                     char *out, size_t size)
{
    static const char scheme[] = "sqlite:";
    char url[PATH_MAX + sizeof scheme];
    const char *path = url + sizeof scheme - 1, *slash;

    database_url(config, data_dir, kind, url, sizeof url);
    if (strncmp(url, scheme, sizeof scheme - 1) != 0)
        return false;
    slash = strrchr(path, '/');
    (void)snprintf(out, size, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    return true;
}

bool database_in_memory(const struct config *config)
{
    return str_starts(str_of(configured(config, STORE_USERS)), STR("memory:")) ||
           str_starts(str_of(configured(config, STORE_ACCOUNTS)), STR("memory:"));
}
