/* Reload in two steps: see reload.h. */
#include "component/reload.h"

#include <stdlib.h>

#include "base/mem.h"

#define RELOAD_WAIT_MS    30000u
#define RELOAD_ERRORS_MAX 100

struct reload {
    struct reload_options o;
    struct config *prepared;
    struct loop_timer timer;
};

static const struct log *log_of(const struct reload *r)
{
    return &seats_env(r->o.seats, 0)->log;
}

static void on_error(void *arg, const char *message)
{
    if (json_array_size(arg) < RELOAD_ERRORS_MAX)
        json_array_append_new(arg, json_string(message));
}

static void report_to_log(void *arg, const char *message)
{
    log_error(arg, "%s", message);
}

static void report_restart(void *arg, const char *message)
{
    log_warn(arg, "%s changed; it takes effect at the next start", message);
}

static const struct config *config_of(const struct reload *r)
{
    return seats_env(r->o.seats, 0)->config;
}

static void revert(struct reload *r)
{
    if (!r->prepared)
        return;
    loop_timer_stop(&r->timer);
    seats_hold(r->o.seats);
    for (size_t i = 0; i < *r->o.count; i++)
        component_revert(r->o.components[i]);
    seats_release(r->o.seats);
    config_destroy(r->prepared);
    r->prepared = NULL;
}

static void on_timer(struct loop_timer *timer)
{
    struct reload *r = MEM_CONTAINER(timer, struct reload, timer);

    log_warn(log_of(r), "reload: nobody said to go on; nothing was changed");
    revert(r);
}

static bool prepare_all(struct reload *r, struct config *fresh)
{
    const struct config *old = config_of(r);
    size_t ready = 0;

    seats_set_config(r->o.seats, fresh);
    while (ready < *r->o.count && component_prepare(r->o.components[ready]) == ERR_OK)
        ready++;
    seats_set_config(r->o.seats, old);
    if (ready == *r->o.count)
        return true;
    for (size_t i = 0; i < ready; i++)
        component_revert(r->o.components[i]);
    return false;
}

static bool prepare(struct reload *r)
{
    struct config *fresh;

    revert(r);
    fresh = r->o.load(r->o.load_arg, report_to_log, (void *)log_of(r));
    if (fresh && prepare_all(r, fresh)) {
        r->prepared = fresh;
        loop_timer_start(&r->timer, RELOAD_WAIT_MS);
        return true;
    }
    config_destroy(fresh);
    return false;
}

static bool commit(struct reload *r)
{
    struct config *fresh = r->prepared;
    const struct config *old = config_of(r);

    if (!fresh) {
        log_error(log_of(r), "reload: nothing was prepared, or too long ago");
        return false;
    }
    loop_timer_stop(&r->timer);
    r->prepared = NULL;
    (void)config_diff_restart(old, fresh, report_restart, (void *)log_of(r));
    seats_set_config(r->o.seats, fresh);
    for (size_t i = 0; i < *r->o.count; i++)
        component_commit(r->o.components[i]);
    r->o.done(r->o.arg, fresh);
    log_info(log_of(r), "reloaded configuration and certificates");
    return true;
}

static bool run(struct reload *r, enum reload_step step)
{
    switch (step) {
    case RELOAD_PREPARE:
        return prepare(r);
    case RELOAD_COMMIT:
        return commit(r);
    case RELOAD_REVERT:
        revert(r);
        return true;
    case RELOAD_ALL:
        return prepare(r) && commit(r);
    }
    return false;
}

json_t *reload_run(struct reload *r, enum reload_step step)
{
    json_t *errors = json_array();
    bool ok;

    log_sink_listen(log_of(r)->sink, on_error, errors);
    seats_hold(r->o.seats);
    ok = run(r, step);
    seats_release(r->o.seats);
    log_sink_listen(log_of(r)->sink, NULL, NULL);
    if (!ok)
        log_error(log_of(r), "reload: nothing was changed, because of the errors above");
    return json_pack("{s:b, s:o}", "ok", ok, "errors", errors);
}

json_t *reload_request(struct reload *r, const json_t *request)
{
    static const char *const names[] = {"prepare", "commit", "revert", "all"};
    const char *step = json_string_value(json_object_get(request, "step"));

    for (int i = 0; i <= RELOAD_ALL; i++)
        if (strcmp(step ? step : "all", names[i]) == 0)
            return reload_run(r, (enum reload_step)i);
    return json_pack("{s:b, s:[s]}", "ok", 0, "errors", "step is prepare, commit or revert");
}

struct reload *reload_create(const struct reload_options *options)
{
    struct reload *r = MEM_NEW(struct reload);

    r->o = *options;
    loop_timer_init(&r->timer, seats_env(options->seats, 0)->loop, on_timer);
    return r;
}

void reload_destroy(struct reload *r)
{
    if (!r)
        return;
    revert(r);
    loop_timer_stop(&r->timer);
    free(r);
}
