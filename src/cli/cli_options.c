/* The options that every subcommand takes, turned into settings, and what follows from them. */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define CLI_MAX_SETS 1024

/* Options that set a field of struct cli_options: to true, or to what stands behind them. */
#define FLAGS(X)                                                                                   \
    X("bodies", bodies)                                                                            \
    X("dry-run", dry_run)                                                                          \
    X("force", force)                                                                              \
    X("help", help)                                                                                \
    X("json", json)                                                                                \
    X("online", online)                                                                            \
    X("password-stdin", password_stdin)                                                            \
    X("reference", reference)
#define TEXTS(X)                                                                                   \
    X("config", config_file)                                                                       \
    X("count", count)                                                                              \
    X("id", trace_id)                                                                              \
    X("last", last)                                                                                \
    X("passwords", passwords)                                                                      \
    X("postgres", postgres)                                                                        \
    X("revoke", revoke)                                                                            \
    X("seconds", seconds)                                                                          \
    X("sqlite", sqlite)                                                                            \
    X("tables", tables)

enum {
    OPT_DATA = 256,
    OPT_DOMAIN,
    OPT_SET,
#define X(name, field) OPT_##field,
    FLAGS(X) TEXTS(X)
#undef X
};

static const struct option long_options[] = {
    {"data", required_argument, NULL, OPT_DATA},
    {"domain", required_argument, NULL, OPT_DOMAIN},
    {"set", required_argument, NULL, OPT_SET},
#define X(name, field) {name, no_argument, NULL, OPT_##field},
    FLAGS(X)
#undef X
#define X(name, field) {name, required_argument, NULL, OPT_##field},
        TEXTS(X)
#undef X
            {NULL, 0, NULL, 0},
};

/* "prefix" + "value", or "old,value" when there is an old text already. */
static char *joined(char *old, const char *prefix, const char *value)
{
    size_t size = strlen(old ? old : prefix) + strlen(value) + 2;
    char *text = mem_alloc(size);

    (void)snprintf(text, size, "%s%s%s", old ? old : prefix, old ? "," : "", value);
    free(old);
    return text;
}

static bool take_option(struct cli_options *o, int option)
{
    switch (option) {
    case OPT_DATA:
        free(o->data);
        o->data = joined(NULL, "server.data=", optarg);
        return true;
    case OPT_DOMAIN:
        o->domains = joined(o->domains, "server.domains=", optarg);
        return true;
    case OPT_SET:
        if (o->set_count >= CLI_MAX_SETS) {
            cli_error("more than %d --set options; put them into a file and use --config",
                      CLI_MAX_SETS);
            return false;
        }
        o->sets[o->set_count++] = optarg;
        return true;
#define X(name, field)                                                                             \
    case OPT_##field:                                                                              \
        o->field = true;                                                                           \
        return true;
        FLAGS(X)
#undef X
#define X(name, field)                                                                             \
    case OPT_##field:                                                                              \
        o->field = optarg;                                                                         \
        return true;
        TEXTS(X)
#undef X
    default: /* getopt_long has said what is wrong */
        fprintf(stderr, "`jackdaw %s --help` tells what it takes\n", o->command);
        return false;
    }
}

bool cli_options_parse(struct cli_options *o, int argc, char **argv)
{
    int option;
    size_t n = 0;

    o->sets = mem_alloc_array(CLI_MAX_SETS + 2, sizeof(*o->sets));
    o->all = mem_alloc_array((size_t)argc + 1, sizeof(*o->all));
    for (int i = 1; i < argc; i++)
        o->all[n++] = argv[i];
    if (o->id)
        o->sets[o->set_count++] = o->id;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        if (!take_option(o, option))
            return false;
    /* last, so that they win */
    if (o->data)
        o->sets[o->set_count++] = o->data;
    if (o->domains)
        o->sets[o->set_count++] = o->domains;
    o->argc = argc - optind;
    o->argv = argv + optind;
    return true;
}

void cli_options_finish(struct cli_options *o)
{
    free(o->sets);
    free(o->all);
    free(o->domains);
    free(o->data);
    free(o->id);
}

static void report(void *arg, const char *message)
{
    cli_error("%s", message);
}

struct config *cli_config(const struct cli_options *o)
{
    return config_load(o->config_file, o->sets, o->set_count, report, NULL);
}

/* Makes the directory and, once each, those above it. */
static bool make_path(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0755);
        *slash = '/';
    }
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return true;
    cli_error(
        "cannot make the data directory %s: %s; make it yourself or choose another with --data",
        path, strerror(errno));
    return false;
}

static bool name_data_dir(const struct config *config, char out[CLI_PATH_MAX])
{
    const char *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");

    if (config->server_data[0])
        (void)snprintf(out, CLI_PATH_MAX, "%s", config->server_data);
    else if (geteuid() == 0)
        (void)snprintf(out, CLI_PATH_MAX, "/var/lib/jackdaw");
    else if (xdg && xdg[0] == '/')
        (void)snprintf(out, CLI_PATH_MAX, "%s/jackdaw", xdg);
    else if (home && home[0] == '/')
        (void)snprintf(out, CLI_PATH_MAX, "%s/.local/share/jackdaw", home);
    else {
        cli_error(
            "there is neither HOME nor XDG_DATA_HOME; say where to keep data with --data DIR");
        return false;
    }
    return true;
}

bool cli_data_dir(const struct config *config, char out[CLI_PATH_MAX])
{
    return name_data_dir(config, out) && make_path(out);
}

bool cli_find_data_dir(const struct cli_options *o, char out[CLI_PATH_MAX])
{
    struct config *config = cli_config(o);
    bool found = config && name_data_dir(config, out);

    config_destroy(config);
    return found;
}
