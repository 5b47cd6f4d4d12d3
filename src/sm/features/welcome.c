/* What follows when an account is made: the welcome message of its domain (XEP-0133 sections 4.27,
 * 4.28) into its box, and a word to those of register.watchers, who also hear of an account that is
 * removed. The messages of all domains are in memory; several session managers tell each other. */
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "sm/command.h"
#include "sm/kept.h"
#include "sm/send.h"
#include "sm/stored.h"
#include "xmpp/namespaces.h"

struct welcome {
    struct list node;
    struct jid *domain;
    struct stanza *message;
};

static struct list *welcomes_of(const struct sm *sm)
{
    return kept_list(sm, FEATURE_welcome);
}

static struct welcome *find(const struct sm *sm, struct str domain)
{
    LIST_EACH (it, welcomes_of(sm)) {
        struct welcome *w = LIST_ENTRY(it, struct welcome, node);
        if (str_eq(jid_domain(w->domain), domain))
            return w;
    }
    return NULL;
}

static void drop(struct list *node)
{
    struct welcome *w = LIST_ENTRY(node, struct welcome, node);
    list_remove(node);
    jid_unref(w->domain);
    stanza_unref(w->message);
    free(w);
}

static void on_loaded(void *arg, enum error e, const struct store_rows *rows)
{
    struct sm *sm = arg;
    if (!kept_read(sm, e, "welcome messages"))
        return;
    kept_clear(welcomes_of(sm), drop);
    for (size_t i = 0; i < store_rows_count(rows); i++) {
        struct jid *domain = jid_parse(store_text(rows, i, 0));
        struct stanza *message = stored_parse(sm->c->env->parsers, store_text(rows, i, 1));
        struct welcome *w = domain && message ? MEM_NEW(struct welcome) : NULL;
        if (w) {
            *w = (struct welcome){.domain = jid_ref(domain), .message = stanza_ref(message)};
            list_push(welcomes_of(sm), &w->node);
        }
        jid_unref(domain);
        stanza_unref(message);
    }
}

static void reload(struct sm *sm)
{
    welcome_list(sm->store, on_loaded, sm);
}

static enum path_result at_internal(struct path_event *e)
{
    if (!kept_told(e->packet, "welcome"))
        return PATH_PASS;
    reload(e->sm);
    packet_destroy(e->packet);
    return PATH_DONE;
}

/* --- an account is made, or goes --- */

static struct stanza *text_message(const char *subject, const char *body)
{
    struct builder *b = builder_create(STR("message"), NS_CLIENT);
    builder_attr(b, STR("type"), STR("normal"));
    if (subject)
        builder_leaf(b, STR("subject"), STR_NULL, str_of(subject));
    builder_leaf(b, STR("body"), STR_NULL, str_of(body));
    return builder_finish(b);
}

static void tell_watchers(struct sm *sm, const struct user *user, const char *what)
{
    const struct config_list *watchers = &sm->c->env->config->register_watchers;
    struct jid *domain = watchers->count ? sm_domain(sm, jid_domain(user->jid)) : NULL;
    char body[3200];
    if (!domain)
        return;
    snprintf(body, sizeof body, "The account %s was %s.", user->jid->text, what);
    struct stanza *message = text_message(NULL, body);
    for (size_t i = 0; i < watchers->count; i++) {
        struct jid *to = jid_parse(str_of(watchers->items[i]));
        if (to)
            send_route(sm, message, domain, to);
        jid_unref(to);
    }
    stanza_unref(message);
}

static enum path_result at_new(struct path_event *e)
{
    const struct welcome *w = find(e->sm, jid_domain(e->user->jid));
    if (w)
        send_route(e->sm, w->message, w->domain, e->user->jid);
    return PATH_PASS;
}

static enum path_result at_created(struct path_event *e)
{
    tell_watchers(e->sm, e->user, "made");
    return PATH_PASS;
}

static enum path_result at_delete(struct path_event *e)
{
    if (e->user->active || str_is(e->user->deletion->reason, USER_EXISTED))
        tell_watchers(e->sm, e->user, "removed");
    return PATH_PASS;
}

/* --- commands --- */

static const struct data_field fields[] = {
    {.type = DATA_TEXT_SINGLE, .var = "subject", .label = "Subject"},
    {.type = DATA_TEXT_MULTI, .required = true, .var = "welcome", .label = "Welcome message"},
    {.var = NULL}};

static void commit(struct command_call *call, struct store_txn *t)
{
    kept_commit(call, t, reload, "welcome", "The welcome message is changed.");
}

static void run_set(struct command_call *call)
{
    char *subject = data_form_text(&call->form, "subject");
    char *body = data_form_text(&call->form, "welcome");
    struct stanza *message = text_message(subject && *subject ? subject : NULL, body);
    struct str xml = stored_text(message);
    commit(call, welcome_set(store_begin(call->sm->store), call->domain, xml));
    free((char *)(uintptr_t)xml.data);
    stanza_unref(message);
    free(subject);
    free(body);
}

static void add_text(const struct welcome *w, struct builder *b, const struct data_field *field,
                     struct str element)
{
    stanza_el el = w ? stanza_child(w->message, STANZA_ROOT, element, NS_CLIENT) : STANZA_NONE;
    struct str text = el == STANZA_NONE ? STR_NULL : stanza_text(w->message, el);
    data_form_add(b, field, false, &text, 1);
}

static void fill(struct command_call *call, struct builder *b)
{
    const struct welcome *w = find(call->sm, call->domain);
    add_text(w, b, &fields[0], STR("subject"));
    add_text(w, b, &fields[1], STR("body"));
}

static void run_delete(struct command_call *call)
{
    if (find(call->sm, call->domain))
        commit(call, welcome_delete(store_begin(call->sm->store), call->domain));
    else
        command_fail(call, "There is no welcome message.");
}

static const struct command commands[] = {
    {.node = "set-welcome",
     .name = "Set Welcome Message",
     .instructions = "Every new account finds it at its first login.",
     .fields = fields,
     .fill = fill,
     .run = run_set},
    {.node = "delete-welcome", .name = "Delete Welcome Message", .run = run_delete},
    {.node = NULL}};

/* --- life --- */

static enum path_result at_start(struct path_event *e)
{
    (void)kept_start(e->sm, FEATURE_welcome);
    reload(e->sm);
    return PATH_PASS;
}

static enum path_result at_stop(struct path_event *e)
{
    kept_stop(e->sm, FEATURE_welcome, drop);
    return PATH_PASS;
}

const struct feature welcome_feature = {
    .name = "welcome",
    .at = {[PATH_START] = at_start,
           [PATH_STOP] = at_stop,
           [PATH_INTERNAL] = at_internal,
           [PATH_USER_CREATED] = at_created,
           [PATH_USER_NEW] = at_new,
           [PATH_USER_DELETE] = at_delete},
    .commands = commands,
};
