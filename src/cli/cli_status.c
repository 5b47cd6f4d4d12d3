/* `jackdaw status`: asks every process of the data directory and shows one picture of all
 * components. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

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

/* "peer sm, up yes, names sm localhost" */
static void print_inline(const json_t *value)
{
    json_t *v = (json_t *)(uintptr_t)value, *item;
    const char *key;
    size_t i, n = 0;

    if (json_is_string(value))
        fputs(json_string_value(value), stdout);
    else if (json_is_integer(value))
        printf("%lld", (long long)json_integer_value(value));
    else if (json_is_boolean(value))
        fputs(json_is_true(value) ? "yes" : "no", stdout);
    else if (json_object_size(value) == 0 && json_array_size(value) == 0)
        fputs("none", stdout);
    json_object_foreach(v, key, item)
    {
        printf("%s%s ", n++ ? ", " : "", key);
        print_inline(item);
    }
    json_array_foreach(v, i, item)
    {
        fputs(i ? " " : "", stdout);
        print_inline(item);
    }
}

static void print_line(int indent, const char *key, const json_t *value)
{
    printf("%*s%-*s ", indent, "", 30 - indent, key);
    print_inline(value);
    puts("");
}

/* What has parts gets a line for each. */
static void print_value(const char *key, json_t *value)
{
    const char *part;
    json_t *item;
    size_t i;

    if (!json_object_size(value) && !json_is_object(json_array_get(value, 0))) {
        print_line(2, key, value);
        return;
    }
    printf("  %s\n", key);
    json_object_foreach(value, part, item) print_line(4, part, item);
    json_array_foreach(value, i, item)
    {
        fputs("    ", stdout);
        print_inline(item);
        puts("");
    }
}

/* --- the balance: docs/decisions/0082-balance.md --- */

static const char *const fates[] = {"delivered", "stored",  "sent_on",
                                    "bounced",   "dropped", "in_flight"};
static const char *const fate_texts[] = {"delivered", "stored",  "sent on",
                                         "bounced",   "dropped", "in flight"};
#define FATES (sizeof(fates) / sizeof(fates[0]))

static long long member(const json_t *o, const char *name)
{
    return (long long)json_integer_value(json_object_get(o, name));
}

static void print_balance(const json_t *balance)
{
    long long accepted = member(balance, "accepted"), rest = accepted;

    printf("  %-28s accepted %lld", "balance", accepted);
    for (size_t i = 0; i < FATES; i++) {
        printf(" %c %s %lld", i ? '+' : '=', fate_texts[i], member(balance, fates[i]));
        rest -= member(balance, fates[i]);
    }
    if (rest)
        printf("  WRONG BY %lld: a defect, please report it", rest);
    puts("");
}

/* Of all session managers, when there is more than one. */
static void print_sum(json_t *components)
{
    json_t *sum = json_object(), *component;
    const char *name;
    size_t count = 0;

    json_object_foreach(components, name, component)
    {
        const json_t *balance = json_object_get(component, "balance");
        const char *key;
        json_t *value;
        count += balance != NULL;
        json_object_foreach((json_t *)(uintptr_t)balance, key, value) if (json_is_integer(value))
            json_object_set_new(sum, key, json_integer(member(sum, key) + member(balance, key)));
    }
    if (count > 1) {
        puts("\nall session managers");
        print_balance(sum);
    }
    json_decref(sum);
}

static void print_status(json_t *all)
{
    const char *name, *key;
    json_t *component, *value;

    printf("jackdaw %s\n", json_string_value(json_object_get(all, "version")));
    json_object_foreach(json_object_get(all, "components"), name, component)
    {
        printf("\n%s\n", name);
        json_object_foreach(component, key, value)
        {
            if (strcmp(key, "balance") == 0)
                print_balance(value);
            else
                print_value(key, value);
        }
    }
    print_sum(json_object_get(all, "components"));
}

int cli_status(struct cli_options *o)
{
    char data_dir[CLI_PATH_MAX];
    json_t *request, *all;
    int code = 0;

    if (!cli_find_data_dir(o, data_dir))
        return 1;
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
