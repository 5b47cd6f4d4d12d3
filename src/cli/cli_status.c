/* `jackdaw status`: asks every process of the data directory and shows one picture of all
 * components. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>

/* Puts one process's components beside those of the others. */
static void merge(void *arg, const json_t *answer)
{
    json_t *all = arg;
    json_t *components = json_object_get(answer, "components");

    if (json_is_object(components))
        (void)json_object_update(json_object_get(all, "components"), components);
    if (!json_object_get(all, "version") && json_object_get(answer, "version"))
        (void)json_object_set(all, "version", json_object_get(answer, "version"));
}

static void print_value(const char *key, const json_t *value)
{
    if (json_is_string(value))
        printf("  %-28s %s\n", key, json_string_value(value));
    else if (json_is_integer(value))
        printf("  %-28s %lld\n", key, (long long)json_integer_value(value));
    else if (json_is_boolean(value))
        printf("  %-28s %s\n", key, json_is_true(value) ? "yes" : "no");
    else {
        char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        printf("  %-28s %s\n", key, text ? text : "");
        free(text);
    }
}

static void print_status(json_t *all)
{
    const char *name, *key;
    json_t *component, *value;

    printf("jackdaw %s\n", json_string_value(json_object_get(all, "version")));
    json_object_foreach(json_object_get(all, "components"), name, component)
    {
        printf("\n%s\n", name);
        json_object_foreach(component, key, value) print_value(key, value);
    }
}

int cli_status(struct cli_options *o)
{
    struct config *config = cli_config(o);
    char data_dir[CLI_PATH_MAX];
    json_t *request, *all;
    int code = 0;

    if (!config)
        return 1;
    if (!cli_data_dir(config, data_dir)) {
        config_destroy(config);
        return 1;
    }
    config_destroy(config);
    request = json_pack("{s:s}", "command", "status");
    all = json_pack("{s:{}}", "components");
    if (control_request_all(data_dir, request, merge, all) == 0) {
        cli_error("no server is running on %s; start one with `jackdaw serve`, or name its "
                  "directory with --data",
                  data_dir);
        code = 1;
    } else if (o->json) {
        json_dumpf(all, stdout, JSON_INDENT(2));
        puts("");
    } else {
        print_status(all);
    }
    json_decref(request);
    json_decref(all);
    return code;
}
