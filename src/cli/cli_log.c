/* `jackdaw log level [LEVEL]`: of every process of the running server. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static void take_answer(void *arg, const json_t *answer)
{
    const char *error = json_string_value(json_object_get(answer, "error"));
    const char *level = json_string_value(json_object_get(answer, "level"));
    bool *ok = arg;

    *ok = *ok && level;
    if (level)
        puts(level);
    else
        cli_error("%s", error ? error : "the server is older than this command");
}

int cli_log(struct cli_options *o)
{
    char data_dir[CLI_PATH_MAX];
    bool ok = true;

    if (o->argc < 1 || o->argc > 2 || strcmp(o->argv[0], "level") != 0) {
        cli_error("write `log level` or `log level error|warning|info|debug`");
        return 2;
    }
    if (!cli_find_data_dir(o, data_dir))
        return 1;
    json_t *request =
        json_pack("{s:s, s:s*}", "command", "log-level", "level", o->argc > 1 ? o->argv[1] : NULL);
    if (control_request_all(data_dir, request, take_answer, &ok) == 0) {
        cli_error("no server is running on %s; name its directory with --data", data_dir);
        ok = false;
    }
    json_decref(request);
    return ok ? 0 : 1;
}
