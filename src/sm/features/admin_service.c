/* Restart and shutdown of the whole server: XEP-0133 sections 4.30 and 4.31. Everybody online hears
 * of it at once, on every domain; after the delay all processes end in an orderly way. What starts
 * them again after a restart is whoever supervises them: see component_halt. A later order takes
 * the place of an earlier one. */
#include <stdlib.h>
#include "base/mem.h"
#include "sm/announcing.h"
#include "xmpp/announcement.h"

struct service_state {
    struct sm *sm;
    struct loop_timer timer;
    bool restart;
};

static struct service_state *state_of(const struct sm *sm)
{
    return sm->state[FEATURE_admin_service];
}

static void on_timer(struct loop_timer *timer)
{
    const struct service_state *ss = MEM_CONTAINER(timer, struct service_state, timer);
    component_halt(ss->sm->c, ss->restart);
}

static void announce(struct sm *sm, const char *text)
{
    for (size_t i = 0; text && *text && i < sm->domains.count; i++) {
        struct jid *domain = sm_domain(sm, str_of(sm->domains.names[i]));
        struct stanza *message = announcement_create(jid_domain(domain), NULL, text);
        (void)announce_online(sm, domain, message);
        stanza_unref(message);
    }
}

static void order(struct command_call *call, bool restart)
{
    struct service_state *ss = state_of(call->sm);
    char *text = data_form_text(&call->form, "announcement");
    uint64_t seconds = 0;
    (void)str_to_u64(data_form_value(&call->form, "delay"), 300, &seconds);
    log_info(&call->sm->c->log, "%s has this server %s in %u s", command_requester(call)->text,
             restart ? "restart" : "shut down", (unsigned)seconds);
    announce(call->sm, text);
    free(text);
    ss->restart = restart;
    loop_timer_start(&ss->timer, seconds * 1000);
    command_done(call,
                 restart ? "The server restarts in %u seconds."
                         : "The server shuts down in %u seconds.",
                 (unsigned)seconds);
}

/* Section 4.30 */
static void run_restart(struct command_call *call)
{
    order(call, true);
}

/* Section 4.31 */
static void run_shutdown(struct command_call *call)
{
    order(call, false);
}

/* --- the table --- */

static const struct data_option delays[] = {
    {"at once", "0"},     {"30 seconds", "30"}, {"60 seconds", "60"},
    {"90 seconds", "90"}, {"2 minutes", "120"}, {"3 minutes", "180"},
    {"4 minutes", "240"}, {"5 minutes", "300"}, {NULL, NULL}};
static const struct data_field restart_fields[] = {
    {.type = DATA_LIST_SINGLE,
     .required = true,
     .var = "delay",
     .label = "Time delay before restarting",
     .options = delays},
    {.type = DATA_TEXT_MULTI, .var = "announcement", .label = "Announcement"},
    {.var = NULL}};
static const struct data_field shutdown_fields[] = {
    {.type = DATA_LIST_SINGLE,
     .required = true,
     .var = "delay",
     .label = "Time delay before shutting down",
     .options = delays},
    {.type = DATA_TEXT_MULTI, .var = "announcement", .label = "Announcement"},
    {.var = NULL}};

static const struct command commands[] = {
    {.node = "restart",
     .name = "Restart Service",
     .instructions = "It comes back if something supervises it, as systemd does.",
     .flags = COMMAND_SERVER,
     .fields = restart_fields,
     .run = run_restart},
    {.node = "shutdown",
     .name = "Shut Down Service",
     .instructions = "Only from its own machine can it be started again.",
     .flags = COMMAND_SERVER,
     .fields = shutdown_fields,
     .run = run_shutdown},
    {.node = NULL}};

static enum path_result at_start(struct path_event *e)
{
    struct service_state *ss = MEM_NEW(struct service_state);
    ss->sm = e->sm;
    loop_timer_init(&ss->timer, e->sm->loop, on_timer);
    e->sm->state[FEATURE_admin_service] = ss;
    return PATH_PASS;
}

static enum path_result at_stop(struct path_event *e)
{
    struct service_state *ss = state_of(e->sm);
    if (ss)
        loop_timer_stop(&ss->timer);
    free(ss);
    e->sm->state[FEATURE_admin_service] = NULL;
    return PATH_PASS;
}

const struct feature admin_service_feature = {
    .name = "admin_service",
    .at = {[PATH_START] = at_start, [PATH_STOP] = at_stop},
    .commands = commands,
};
