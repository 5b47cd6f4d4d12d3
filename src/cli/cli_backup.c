/* `jackdaw backup FILE` and `jackdaw restore FILE`: both databases in one file, and back. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "cli/progress.h"
#include "cli/user_store.h"
#include "component/database.h"
#include "store/archive.h"

enum { HEX = 16 /* bytes of a hash that are shown */ };

struct report {
    const char *verb;
    struct progress progress;
    uint64_t rows;
    size_t tables;
};

static void on_progress(void *arg, const char *doing, uint64_t done, uint64_t total)
{
    struct report *r = arg;
    progress_show(&r->progress, doing, done, total);
}

static void on_table(void *arg, const struct archive_table *table)
{
    struct report *r = arg;
    char hash[2 * ARCHIVE_HASH + 1];
    str_hex(table->hash, ARCHIVE_HASH, hash);
    progress_clear(&r->progress);
    printf("%-32s %10llu rows  %.*s\n", table->name, (unsigned long long)table->rows, HEX, hash);
    r->rows += table->rows;
    r->tables++;
}

static bool file_argument(const struct cli_options *o)
{
    if (o->argc == 1)
        return true;
    cli_error("write: jackdaw %s FILE", o->command);
    return false;
}

/* The file is made and read as the user whom the data directory belongs to. */
static int run(struct cli_options *o, const struct config *config,
               enum error (*work)(const struct archive_options *, char *, size_t))
{
    char dir[CLI_PATH_MAX], urls[2][CLI_PATH_MAX + 64], why[1024] = "";
    struct report report = {.verb = o->command};
    progress_init(&report.progress);
    if (!cli_data_dir(config, dir))
        return 1;
    if (work == archive_restore && control_server_runs(dir)) {
        cli_error("the server of %s is running: stop it first", dir);
        return 1;
    }
    if (!user_store_become_owner(dir) || !user_store_place(config, dir))
        return 1;
    for (int kind = 0; kind < 2; kind++)
        database_url(config, dir, (enum store_kind)kind, urls[kind], sizeof urls[kind]);
    struct archive_options a = {.urls = {urls[0], urls[1]},
                                .file = o->argv[0],
                                .force = o->force,
                                .time = (int64_t)time(NULL),
                                .progress = on_progress,
                                .table = on_table,
                                .arg = &report};
    enum error e = work(&a, why, sizeof why);
    mem_wipe(urls, sizeof urls); /* there may be a password in it */
    progress_clear(&report.progress);
    if (e == ERR_OK)
        printf("%zu tables, %llu rows; every copy was read again and is the same\n", report.tables,
               (unsigned long long)report.rows);
    else
        cli_error("%s: %s", o->command, why[0] ? why : error_text(e));
    return e == ERR_OK ? 0 : 1;
}

static int run_with_config(struct cli_options *o,
                           enum error (*work)(const struct archive_options *, char *, size_t))
{
    if (!file_argument(o))
        return 2;
    struct config *config = cli_config(o);
    if (!config)
        return 1;
    int code = run(o, config, work);
    config_destroy(config);
    return code;
}

int cli_backup(struct cli_options *o)
{
    return run_with_config(o, archive_write);
}

int cli_restore(struct cli_options *o)
{
    return run_with_config(o, archive_restore);
}
