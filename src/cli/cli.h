/* The jackdaw command: subcommands of commands.def over common options. Exit codes: 0 done, 1
 * failed (said on stderr), 2 wrong usage. */
#ifndef JACKDAW_CLI_CLI_H
#define JACKDAW_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "component/component.h"
#include "config/config.h"

#define CLI_PATH_MAX 4096

struct cli_options {
    const char *command;     /* the subcommand */
    const char *config_file; /* --config, or NULL */
    const char **sets;       /* SECTION.KEY=VALUE; --data and --domain become such, too */
    size_t set_count;
    char *domains; /* storage of the --domain set */
    char *data;    /* storage of the --data set */
    char *id;      /* "sm.id=sm-2": the subcommand is an instance of a component */
    const char *sqlite, *postgres, *tables, *passwords; /* of import; NULL: not given */
    const char *revoke;                                 /* --revoke, or NULL */
    const char *trace_id, *last, *count, *seconds;      /* of trace; NULL: not given */
    bool force, password_stdin, json, reference, help, online, dry_run, bodies;
    int argc; /* what is left: positional arguments */
    char **argv;
    char **all; /* every option as given, NULL-terminated: for child processes */
};

int cli_main(int argc, char **argv);

/* Parses the options behind the subcommand; false after a message on stderr. */
bool cli_options_parse(struct cli_options *o, int argc, char **argv);
void cli_options_finish(struct cli_options *o);
/* Loads the configuration with every message on stderr; NULL when there was any. The caller
 * destroys it. */
struct config *cli_config(const struct cli_options *o);
/* Where databases, keys and secrets live: --data, else server.data, else /var/lib/jackdaw for root,
 * else $XDG_DATA_HOME/jackdaw or ~/.local/share/jackdaw. Made when missing, with mode 0700; false
 * after a message. */
bool cli_data_dir(const struct config *config, char out[CLI_PATH_MAX]);
/* "jackdaw: ..." and a newline on stderr. */
void cli_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* --- control_client.c: blocking --- */
/* Asks the process behind one control socket. Errors: NOT_FOUND (nobody listens), TIMEOUT,
 * MALFORMED, SYSTEM. */
enum error control_request(const char *socket_path, const json_t *request, int seconds,
                           json_t **ret);
/* Asks every process of the data directory in turn; `fn` gets each answer, or why there was none
 * (NULL then). A process that is not there is passed over. */
void control_request_each(const char *data_dir, const json_t *request, int seconds,
                          void (*fn)(void *arg, const char *process, enum error e,
                                     const json_t *answer),
                          void *arg);
/* The same within 2 s each; `fn` gets the answers that came (borrowed). Returns how many. */
size_t control_request_all(const char *data_dir, const json_t *request,
                           void (*fn)(void *arg, const json_t *answer), void *arg);

/* Whether anything answers there. */
bool control_server_runs(const char *data_dir);

/* One component as a process of its own; cli_serve.c. */
int cli_run_one(struct cli_options *o, const struct component_ops *ops);

/* The data directory of a server that runs or has run, which is not made; false after a message. */
bool cli_find_data_dir(const struct cli_options *o, char out[CLI_PATH_MAX]);

/* commands.def as a table; ends with name == NULL. */
struct cli_command {
    const char *name;
    int (*run)(struct cli_options *o);
    const char *arguments, *help;
};
extern const struct cli_command cli_commands[];
/* The options of every command, "  --data DIR   meaning\n"... */
extern const char cli_common_options[];

/* The subcommands. */
#define X(name, function, arguments, help) int function(struct cli_options *o);
#include "cli/commands.def"
#undef X

#endif
