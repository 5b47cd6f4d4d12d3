/* serve, router, sm, c2s, resolver, s2s: which components run in this process. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "component/database.h"
#include "component/domains.h"
#include "component/runner.h"
#include "component/seats.h"
#include "component/supervisor.h"

static const struct component_ops *const all_components[] = {&router_component, &sm_component,
                                                             &c2s_component};
/* Those that only speak with other servers. */
static const struct component_ops *const federation[] = {&resolver_component, &s2s_component};
#define COMPONENTS                                                                                 \
    (sizeof(all_components) / sizeof(all_components[0]) +                                          \
     sizeof(federation) / sizeof(federation[0]))

/* The components of this server, in the order of starting; returns how many. */
static size_t choose(const struct config *config, const struct component_ops *ret[COMPONENTS])
{
    size_t count = 0;

    for (size_t i = 0; i < sizeof(all_components) / sizeof(all_components[0]); i++)
        ret[count++] = all_components[i];
    for (size_t i = 0; domains_federate(config) && i < sizeof(federation) / sizeof(federation[0]);
         i++)
        ret[count++] = federation[i];
    return count;
}

static struct config *load_again(void *arg, config_report_fn report, void *report_arg)
{
    const struct cli_options *o = arg;
    return config_load(o->config_file, o->sets, o->set_count, report, report_arg);
}

static int run(struct cli_options *o, struct config *config, const char *name,
               const struct component_ops *const *components, size_t count, unsigned loops)
{
    char data_dir[CLI_PATH_MAX];
    struct runner_options options = {
        .name = name,
        .data_dir = data_dir,
        .config = config,
        .config_file = o->config_file,
        .load = load_again,
        .load_arg = o,
        .components = components,
        .component_count = count,
        .arguments = o->all,
        .loops = loops,
    };

    if (!cli_data_dir(config, data_dir)) {
        config_destroy(config);
        return 1;
    }
    return runner_run(&options);
}

static int supervise(struct cli_options *o, struct config *config)
{
    const struct component_ops *components[COMPONENTS];
    size_t count = choose(config, components);
    const char *names[COMPONENTS];
    struct log_sink *sink = log_sink_create(
        stderr, LOG_INFO, strcmp(config->log_format, "json") == 0 ? LOG_JSON : LOG_TEXT);
    struct supervisor_options options = {.names = names,
                                         .count = count,
                                         .arguments = o->all,
                                         .log = {.sink = sink, .component = "supervisor"}};
    int code;

    for (size_t i = 0; i < count; i++)
        names[i] = components[i]->name;
    config_destroy(config);
    code = supervisor_run(&options);
    log_sink_destroy(sink);
    return code;
}

static unsigned loops(const struct config *config)
{
    if (strcmp(config->server_placement, "threads") != 0)
        return 1;
    if (config->server_threads > 0)
        return (unsigned)config->server_threads;
    return loop_cores() < SEATS_MAX ? loop_cores() : SEATS_MAX;
}

static bool no_arguments(const struct cli_options *o)
{
    if (o->argc > 0)
        cli_error("'%s' takes no argument '%s'; `jackdaw %s --help` tells what it takes",
                  o->command, o->argv[0], o->command);
    return o->argc == 0;
}

/* What one loop has stored the others would not find. */
static bool can_share(const struct config *config, unsigned loops)
{
    if (loops < 2 || !database_in_memory(config))
        return true;
    cli_error(
        "store.url=memory: is a database for each of the %u loops of server.placement=threads; "
        "write sqlite:PATH or nothing, or choose server.placement=inline",
        loops);
    return false;
}

int cli_serve(struct cli_options *o)
{
    const struct component_ops *components[COMPONENTS];
    struct config *config;

    if (!no_arguments(o))
        return 2;
    config = cli_config(o);
    if (!config)
        return 1;
    if (strcmp(config->server_placement, "processes") == 0)
        return supervise(o, config);
    if (!can_share(config, loops(config))) {
        config_destroy(config);
        return 1;
    }
    return run(o, config, "jackdaw", components, choose(config, components), loops(config));
}

int cli_run_one(struct cli_options *o, const struct component_ops *ops)
{
    struct config *config;
    char *name;
    int code;

    if (!no_arguments(o))
        return 2;
    config = cli_config(o);
    if (!config)
        return 1;
    name = mem_strdup(runner_component_id(ops, config)); /* outlives a reload */
    code = run(o, config, name, &ops, 1, 1);
    free(name);
    return code;
}

int cli_router(struct cli_options *o)
{
    return cli_run_one(o, &router_component);
}

int cli_sm(struct cli_options *o)
{
    return cli_run_one(o, &sm_component);
}

int cli_c2s(struct cli_options *o)
{
    return cli_run_one(o, &c2s_component);
}

int cli_resolver(struct cli_options *o)
{
    return cli_run_one(o, &resolver_component);
}
