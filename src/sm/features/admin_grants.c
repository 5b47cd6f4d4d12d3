/* Administrators that other administrators named: XEP-0133 section 4.29. They stand in the table
 * admins, each for one domain, and in the memory of every session manager; those of server.admins
 * stand there alone and cannot be taken away by a command. A removed account loses its rights, so
 * that nobody inherits them with the name. */
#include <stdlib.h>
#include "base/mem.h"
#include "config/admin_entry.h"
#include "sm/admin.h"
#include "sm/command.h"
#include "sm/kept.h"
#include "sm/send.h"
#include "xmpp/namespaces.h"

#define GRANTS_MAX 1000u /* of one domain */

struct grant {
    struct list node;
    struct jid *admin;
    size_t domain_len;
    char domain[];
};

static struct list *grants_of(const struct sm *sm)
{
    return kept_list(sm, FEATURE_admin_grants);
}

static struct str grant_domain(const struct grant *g)
{
    return (struct str){g->domain, g->domain_len};
}

static void drop(struct list *node)
{
    struct grant *g = LIST_ENTRY(node, struct grant, node);
    list_remove(node);
    jid_unref(g->admin);
    free(g);
}

static void add(struct sm *sm, struct jid *admin, struct str domain)
{
    struct grant *g = mem_alloc(sizeof *g + domain.len + 1);
    g->admin = jid_ref(admin);
    g->domain_len = domain.len;
    memcpy(g->domain, domain.data, domain.len);
    list_push(grants_of(sm), &g->node);
}

bool admin_granted(const struct sm *sm, struct str bare, struct str domain)
{
    if (!domain.data)
        return false;
    LIST_EACH (it, grants_of(sm)) {
        const struct grant *g = LIST_ENTRY(it, struct grant, node);
        if (str_eq(jid_full(g->admin), bare) && str_eq(grant_domain(g), domain))
            return true;
    }
    return false;
}

/* --- the store, and the other session managers --- */

static void on_loaded(void *arg, enum error e, const struct store_rows *rows)
{
    struct sm *sm = arg;
    if (!kept_read(sm, e, "administrators"))
        return;
    kept_clear(grants_of(sm), drop);
    for (size_t i = 0; i < store_rows_count(rows); i++) {
        struct jid *admin = jid_parse(store_text(rows, i, 0));
        if (admin)
            add(sm, admin, store_text(rows, i, 1));
        jid_unref(admin);
    }
}

static void reload(struct sm *sm)
{
    admins_list(sm->store, on_loaded, sm);
}

/* The word by which all is read again, but with the account whose rights end. */
static void tell_gone(struct sm *sm, const struct jid *gone)
{
    struct builder *b = builder_create(STR("admins"), NS_INTERNAL);
    builder_attr(b, STR("gone"), jid_full(gone));
    kept_tell(sm, b);
}

static bool forget(struct sm *sm, struct str bare)
{
    bool any = false;
    LIST_EACH_SAFE (it, grants_of(sm)) {
        struct grant *g = LIST_ENTRY(it, struct grant, node);
        if (!str_eq(jid_full(g->admin), bare))
            continue;
        drop(it);
        any = true;
    }
    return any;
}

static enum path_result at_internal(struct path_event *e)
{
    if (!kept_told(e->packet, "admins"))
        return PATH_PASS;
    struct str gone = stanza_attr(e->packet->stanza, STANZA_ROOT, STR("gone"));
    if (gone.data)
        (void)forget(e->sm, gone);
    else
        reload(e->sm);
    packet_destroy(e->packet);
    return PATH_DONE;
}

static enum path_result at_user_delete(struct path_event *e)
{
    if (forget(e->sm, jid_full(e->user->jid)))
        tell_gone(e->sm, e->user->jid);
    return PATH_PASS;
}

/* --- the command --- */

static const struct data_field fields[] = {
    {.type = DATA_JID_MULTI, .var = "adminjids", .label = "Administrators of this domain"},
    {.var = NULL}};

static void add_value(struct str *values, size_t *count, struct str value)
{
    if (*count < 2 * GRANTS_MAX)
        values[(*count)++] = value;
}

/* Those of the configuration first: they are shown, and stay whatever becomes of the form. */
static void fill(struct command_call *call, struct builder *b)
{
    const struct config_list *config = &call->sm->c->env->config->server_admins;
    struct str *values = mem_alloc_array(2 * GRANTS_MAX, sizeof *values);
    struct jid **jids = mem_alloc_array(config->count + 1, sizeof(void *));
    size_t count = 0;
    for (size_t i = 0; i < config->count; i++) {
        struct str domains;
        jids[i] = admin_entry_read(str_of(config->items[i]), &domains);
        if (jids[i] && admin_may(call->sm, jid_full(jids[i]), call->domain))
            add_value(values, &count, jid_full(jids[i]));
    }
    LIST_EACH (it, grants_of(call->sm)) {
        const struct grant *g = LIST_ENTRY(it, struct grant, node);
        if (str_eq(grant_domain(g), call->domain))
            add_value(values, &count, jid_full(g->admin));
    }
    data_form_add(b, fields, false, values, count);
    for (size_t i = 0; i < config->count; i++)
        jid_unref(jids[i]);
    free(jids);
    free(values);
}

/* What the configuration says already is not written a second time. */
static struct store_txn *add_row(struct store_txn *t, const struct command_call *call,
                                 struct str value)
{
    struct jid *jid = jid_parse(value), *bare = jid ? jid_to_bare(jid) : NULL;
    if (bare && bare->local_len && !admin_configured(call->sm, jid_full(bare), call->domain)) {
        t = admins_add(t, jid_full(bare), call->domain);
        log_info(&call->sm->c->log, "%s makes %s an administrator of %.*s",
                 command_requester(call)->text, bare->text, STR_ARG(call->domain));
    }
    jid_unref(jid);
    jid_unref(bare);
    return t;
}

static void run(struct command_call *call)
{
    size_t count = data_form_count(&call->form, "adminjids");
    struct store_txn *t = store_begin(call->sm->store);
    t = admins_clear(t, call->domain);
    for (size_t i = 0; i < count; i++)
        t = add_row(t, call, data_form_value_at(&call->form, "adminjids", i));
    kept_commit(call, t, reload, "admins", "The list is changed.");
}

static const struct command commands[] = {
    {.node = "edit-admin",
     .name = "Edit Admin List",
     .instructions =
         "Those of the configuration file stay administrators, whatever you write here.",
     .fields = fields,
     .fill = fill,
     .run = run},
    {.node = NULL}};

/* --- life --- */

static enum path_result at_start(struct path_event *e)
{
    (void)kept_start(e->sm, FEATURE_admin_grants);
    reload(e->sm);
    return PATH_PASS;
}

static enum path_result at_stop(struct path_event *e)
{
    kept_stop(e->sm, FEATURE_admin_grants, drop);
    return PATH_PASS;
}

const struct feature admin_grants_feature = {
    .name = "admin_grants",
    .at = {[PATH_START] = at_start,
           [PATH_STOP] = at_stop,
           [PATH_INTERNAL] = at_internal,
           [PATH_USER_DELETE] = at_user_delete},
    .commands = commands,
};
