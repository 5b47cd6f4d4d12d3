/* `jackdaw export FILE [JID]`: accounts with all they have as XEP-0227, for any server that reads
 * it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli_user.h"
#include "cli/progress.h"
#include "cli/user_store.h"
#include "move/export.h"

enum { HEX = 16 };

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
    progress_show(arg, "exporting", done, total);
}

static void print_result(const struct export_result *r)
{
    for (int i = 0; i < PERSON_KINDS; i++) {
        char hash[2 * ROW_HASH];
        str_hex(r->kinds[i].hash, ROW_HASH, hash);
        if (r->kinds[i].rows)
            printf("  %-26s %8llu %.*s\n", person_kind_names[i],
                   (unsigned long long)r->kinds[i].rows, HEX, hash);
    }
    printf("%llu accounts\n", (unsigned long long)r->persons);
}

/* There are keys in it: for nobody else to read (section "Security Considerations"). */
static FILE *make_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!file)
        cli_error("cannot make %s: %s", path, strerror(errno));
    return file;
}

static int run(struct user_store *store, const struct config *config, const char *path,
               const struct jid *only)
{
    struct person_stores stores = {.loop = store->loop,
                                   .random = store->random,
                                   .accounts = store->accounts,
                                   .users = store->users};
    struct progress progress;
    struct export_result result = {0};
    char why[1024] = "";
    FILE *file = make_file(path);
    if (!file)
        return 1;
    progress_init(&progress);
    stores.parsers = parser_pool_create(store->random);
    struct export_options o = {.stores = &stores,
                               .to = file,
                               .only = only,
                               .domains = (const char *const *)config->server_domains.items,
                               .domain_count = config->server_domains.count,
                               .progress = on_progress,
                               .arg = &progress};
    enum error e = export_run(&o, &result, (struct move_why){why, sizeof why});
    progress_clear(&progress);
    if (e == ERR_OK && (fflush(file) != 0 || fsync(fileno(file)) != 0)) {
        snprintf(why, sizeof why, "cannot write %s: %s", path, strerror(errno));
        e = ERR_IO;
    }
    (void)fclose(file);
    parser_pool_destroy(stores.parsers);
    if (e == ERR_OK) {
        print_result(&result);
        return 0;
    }
    (void)unlink(path); /* half of it would look like all */
    cli_error("export: %s", why);
    return 1;
}

int cli_export(struct cli_options *o)
{
    struct user_store store;
    int code = 1;
    if (o->argc < 1 || o->argc > 2) {
        cli_error("write: jackdaw export FILE [JID]");
        return 2;
    }
    struct jid *only = o->argc > 1 ? cli_user_account(o->argv[1]) : NULL;
    struct config *config = o->argc > 1 && !only ? NULL : cli_config(o);
    if (config && user_store_open(&store, config)) {
        code = run(&store, config, o->argv[0], only);
        user_store_close(&store);
    }
    config_destroy(config);
    jid_unref(only);
    return code;
}
