/* Dispatch of `jackdaw SUBCOMMAND`, usage, and the texts every subcommand shares. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

const struct cli_command cli_commands[] = {
#define X(name, function, arguments, help) {#name, function, arguments, help},
#include "cli/commands.def"
#undef X
    {NULL, NULL, NULL, NULL},
};

const char cli_common_options[] =
    "  --config FILE              settings from FILE (see `jackdaw check --reference`); none "
    "is needed\n"
    "  --data DIR                 where databases, keys and secrets live\n"
    "  --domain NAME              a domain to serve; may be repeated (default: localhost)\n"
    "  --set SECTION.KEY=VALUE    one setting; wins over the file; may be repeated\n";

void cli_error(const char *fmt, ...)
{
    va_list args;

    fputs("jackdaw: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
}

static void print_command(FILE *to, const struct cli_command *c)
{
    fprintf(to, "  jackdaw %s %s\n        %s\n", c->name, c->arguments, c->help);
}

static void print_usage(FILE *to)
{
    fputs("jackdaw " JACKDAW_VERSION ", an XMPP server\n\n", to);
    for (size_t i = 0; cli_commands[i].name; i++)
        print_command(to, &cli_commands[i]);
    fputs("\nOptions of each:\n", to);
    fputs(cli_common_options, to);
}

/* `jackdaw sm-2` is `jackdaw sm --set sm.id=sm-2`: one of several on a data directory. */
static bool is_instance(const char *text, const char *component)
{
    static const char *const several[] = {"sm", "c2s", "s2s", "resolver"};
    size_t len = strlen(component);

    for (size_t i = 0; i < sizeof(several) / sizeof(several[0]); i++)
        if (strcmp(component, several[i]) == 0)
            return strncmp(text, component, len) == 0 && text[len] == '-' && text[len + 1];
    return false;
}

static char *id_setting(const char *component, const char *id)
{
    size_t size = strlen(component) + strlen(id) + sizeof(".id=");
    char *set = mem_alloc(size);

    (void)snprintf(set, size, "%s.id=%s", component, id);
    return set;
}

int cli_main(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("jackdaw " JACKDAW_VERSION);
        return 0;
    }
    for (size_t i = 0; cli_commands[i].name; i++) {
        struct cli_options o = {.command = argv[1]};
        int code = 2;
        if (is_instance(argv[1], cli_commands[i].name))
            o.id = id_setting(cli_commands[i].name, argv[1]);
        else if (strcmp(argv[1], cli_commands[i].name) != 0)
            continue;
        if (cli_options_parse(&o, argc - 1, argv + 1)) {
            code = 0;
            if (o.help)
                print_command(stdout, &cli_commands[i]);
            else
                code = cli_commands[i].run(&o);
        }
        cli_options_finish(&o);
        return code;
    }
    cli_error("there is no command '%s'; `jackdaw --help` lists them", argv[1]);
    return 2;
}
