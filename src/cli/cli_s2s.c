/* s2s: runs the component as a process of its own, or lists what the running one knows of other
 * servers. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static void merge(void *arg, const json_t *answer)
{
    static const char *const lists[] = {"domains", "incoming"};
    json_t *all = arg;

    if (!json_is_true(json_object_get(answer, "ok")))
        return;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        json_t *list = json_object_get(all, lists[i]);
        if (!list)
            json_object_set_new(all, lists[i], list = json_array());
        (void)json_array_extend(list, json_object_get(answer, lists[i]));
    }
}

static const char *text(const json_t *o, const char *name)
{
    const char *value = json_string_value(json_object_get(o, name));

    return value ? value : "-";
}

static const char *flag(const json_t *o, const char *name, const char *word)
{
    return json_is_true(json_object_get(o, name)) ? word : "";
}

static void print_domain(const json_t *d)
{
    size_t i;
    json_t *pair;

    printf("%-30s %s%s%s\n", text(d, "domain"), text(d, "state"),
           json_integer_value(json_object_get(d, "failures")) ? ": " : "",
           json_integer_value(json_object_get(d, "failures")) ? text(d, "why") : "");
    json_array_foreach(json_object_get(d, "pairs"), i, pair) printf(
        "  from %-24s %s by %s over %s stream%s%s%s, %lld waiting\n", text(pair, "from"),
        text(pair, "state"), text(pair, "by"), text(pair, "stream"), flag(pair, "tls", ", TLS"),
        flag(pair, "acks", ", acknowledged"), flag(pair, "pings", ", acknowledged by pings"),
        (long long)json_integer_value(json_object_get(pair, "queued")));
}

static void print_incoming(const json_t *c)
{
    size_t i;
    json_t *pair;

    printf("%-30s from %s, %s%s%s%s%s%s%s\n", text(c, "domain"), text(c, "address"),
           text(c, "state"), flag(c, "tls", ", TLS"), flag(c, "certificate", ", by certificate"),
           flag(c, "dane", " that its DNS names"), flag(c, "bidi", ", both ways"),
           flag(c, "slowed", ", sends too fast"), flag(c, "waiting", ", waits for us"));
    json_array_foreach(json_object_get(c, "pairs"), i, pair)
        printf("  %s may send to %s\n", text(pair, "from"), text(pair, "to"));
}

static void print_all(const json_t *all)
{
    size_t i;
    json_t *item;

    puts("domains");
    json_array_foreach(json_object_get(all, "domains"), i, item) print_domain(item);
    puts("\nincoming streams");
    json_array_foreach(json_object_get(all, "incoming"), i, item) print_incoming(item);
}

static int list(struct cli_options *o)
{
    char data_dir[CLI_PATH_MAX];
    json_t *request, *all;
    bool found;

    if (!cli_find_data_dir(o, data_dir))
        return 1;
    request = json_pack("{s:s}", "command", "s2s-list");
    all = json_object();
    (void)control_request_all(data_dir, request, merge, all);
    found = json_object_get(all, "domains") != NULL;
    if (!found)
        cli_error("no s2s is running on %s; start the server with s2s.enabled=true, or name its "
                  "directory with --data",
                  data_dir);
    else if (o->json)
        json_dumpf(all, stdout, JSON_INDENT(2));
    else
        print_all(all);
    json_decref(request);
    json_decref(all);
    return found ? 0 : 1;
}

int cli_s2s(struct cli_options *o)
{
    if (o->argc == 1 && strcmp(o->argv[0], "list") == 0)
        return list(o);
    return cli_run_one(o, &s2s_component);
}
