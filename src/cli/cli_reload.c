/* `jackdaw reload`: every process of the data directory prepares the new configuration; when all
 * could, all take it over, else none does. */
#include <stdio.h>

#include "cli/cli.h"

#define RELOAD_TIMEOUT_S 20 /* certificates may have to be made */

struct outcome {
    size_t processes, failed;
};

static void take_answer(void *arg, const char *process, enum error e, const json_t *answer)
{
    struct outcome *o = arg;
    size_t i;
    json_t *error;

    o->processes++;
    if (e == ERR_OK && json_is_true(json_object_get(answer, "ok")))
        return;
    o->failed++;
    if (e != ERR_OK)
        cli_error("%s does not answer: %s", process, error_text(e));
    json_array_foreach(json_object_get(answer, "errors"), i, error)
        cli_error("%s", json_string_value(error));
}

static struct outcome ask(const char *data_dir, const char *step)
{
    struct outcome o = {0, 0};
    json_t *request = json_pack("{s:s, s:s}", "command", "reload", "step", step);

    control_request_each(data_dir, request, RELOAD_TIMEOUT_S, take_answer, &o);
    json_decref(request);
    return o;
}

static bool run(const char *data_dir)
{
    struct outcome prepared = ask(data_dir, "prepare");

    if (prepared.processes == 0) {
        cli_error("no server is running on %s; name its directory with --data", data_dir);
        return false;
    }
    if (prepared.failed > 0) {
        (void)ask(data_dir, "revert");
        cli_error("nothing was changed");
        return false;
    }
    return ask(data_dir, "commit").failed == 0;
}

int cli_reload(struct cli_options *o)
{
    char data_dir[CLI_PATH_MAX];

    return cli_find_data_dir(o, data_dir) && run(data_dir) ? 0 : 1;
}
