/* Ad-hoc commands (XEP-0050) of a domain, and the same at an administrator's own account. Every
 * command here has one form at most: asked for, submitted, done. What a command does is in the file
 * of the feature that registered it; see command.h. */
#include <stdio.h>
#include "base/mem.h"
#include "sm/admin.h"
#include "sm/command_sessions.h"
#include "sm/disco.h"
#include "xmpp/namespaces.h"

static struct command_sessions *state_of(const struct sm *sm)
{
    return sm->state[FEATURE_commands];
}

/* Section 4: bad-request with one of its own conditions; session-expired is not-allowed. */
static enum stanza_condition error(struct iq *iq, const char *app, const char *text)
{
    const struct packet *p = iq->packet;
    enum stanza_condition condition =
        strcmp(app, "session-expired") == 0 ? STANZA_ERR_NOT_ALLOWED : STANZA_ERR_BAD_REQUEST;
    struct stanza *reply =
        stanza_error_reply_app(p->stanza, p->to ? jid_full(p->to) : STR_NULL, jid_full(p->from),
                               condition, text, str_of(app), NS_COMMANDS);
    if (reply)
        iq_send(iq, reply);
    return STANZA_ERR_NONE;
}

/* --- who may, and what there is --- */

static struct str domain_of(const struct iq *iq)
{
    return jid_domain(iq->user ? iq->user->jid : iq->packet->to);
}

static bool may(const struct iq *iq, const struct command *command)
{
    struct str domain = command && (command->flags & COMMAND_SERVER) ? STR_NULL : domain_of(iq);
    return (!iq->user || iq->owner) && admin_may(iq->sm, jid_bare(iq->packet->from), domain);
}

static const struct command *find_command(struct str node)
{
    if (!str_starts(node, NS_ADMIN_NODE))
        return NULL;
    struct str name = {node.data + NS_ADMIN_NODE.len, node.len - NS_ADMIN_NODE.len};
    for (int f = 0; f < FEATURES; f++)
        for (const struct command *c = path_features[f]->commands; c && c->node; c++)
            if (str_is(name, c->node))
                return c;
    return NULL;
}

/* --- disco: section 2 --- */

static struct str asked_node(const struct iq *iq)
{
    return stanza_attr(iq->packet->stanza, iq->payload, STR("node"));
}

static struct builder *disco_open(struct iq *iq, struct str ns)
{
    struct builder *b = iq_result_open(iq);
    builder_start(b, STR("query"), ns);
    builder_attr(b, STR("node"), asked_node(iq));
    return b;
}

static void add_item(const struct iq *iq, struct builder *b, const struct command *c)
{
    char node[256];
    snprintf(node, sizeof node, "%.*s%s", STR_ARG(NS_ADMIN_NODE), c->node);
    builder_start(b, STR("item"), STR_NULL);
    builder_attr(b, STR("jid"), iq->user ? jid_bare(iq->user->jid) : domain_of(iq));
    builder_attr(b, STR("node"), str_of(node));
    builder_attr(b, STR("name"), str_of(c->name));
    builder_end(b);
}

static enum stanza_condition on_list_items(struct iq *iq)
{
    struct builder *b = disco_open(iq, NS_DISCO_ITEMS);
    for (int f = 0; f < FEATURES; f++)
        for (const struct command *c = path_features[f]->commands; c && c->node; c++)
            if (may(iq, c))
                add_item(iq, b, c);
    builder_end(b);
    iq_result_send(iq, b);
    return STANZA_ERR_NONE;
}

static void answer_info(struct iq *iq, const char *type, const char *name)
{
    struct builder *b = disco_open(iq, NS_DISCO_INFO);
    disco_add_identity(b, "automation", type, name);
    disco_add_feature(b, NS_COMMANDS);
    disco_add_feature(b, NS_DATA);
    builder_end(b);
    iq_result_send(iq, b);
}

static enum stanza_condition on_list_info(struct iq *iq)
{
    if (!may(iq, NULL))
        return STANZA_ERR_FORBIDDEN;
    answer_info(iq, "command-list", "Ad-hoc commands");
    return STANZA_ERR_NONE;
}

/* Section 2.3 */
static enum stanza_condition on_node_info(struct iq *iq)
{
    const struct command *command = find_command(asked_node(iq));
    if (!command)
        return STANZA_ERR_ITEM_NOT_FOUND;
    if (!may(iq, command))
        return STANZA_ERR_FORBIDDEN;
    answer_info(iq, "command-node", command->name);
    return STANZA_ERR_NONE;
}

static enum stanza_condition on_node_items(struct iq *iq)
{
    const struct command *command = find_command(asked_node(iq));
    if (!command)
        return STANZA_ERR_ITEM_NOT_FOUND;
    if (!may(iq, command))
        return STANZA_ERR_FORBIDDEN;
    struct builder *b = disco_open(iq, NS_DISCO_ITEMS);
    builder_end(b);
    iq_result_send(iq, b);
    return STANZA_ERR_NONE;
}

/* An administrator's own account can do what the domain can. */
static void extend_account(struct iq *iq, struct builder *b)
{
    if (may(iq, NULL))
        disco_add_feature(b, NS_COMMANDS);
}

/* --- execution --- */

/* A client may leave out its own account's address. */
static struct jid *responder_of(const struct iq *iq)
{
    return iq->packet->to || !iq->user ? iq->packet->to : iq->user->jid;
}

static struct command_call *call_create(struct iq *iq, const struct command *command)
{
    struct command_call *call = MEM_NEW(struct command_call);
    call->sm = iq->sm;
    call->command = command;
    call->iq = iq_take(iq);
    call->domain = domain_of(call->iq);
    return call;
}

static void send_form(struct command_call *call)
{
    const struct command *c = call->command;
    struct builder *b = command_answer_open(call, "executing");
    builder_start(b, STR("actions"), STR_NULL);
    builder_attr(b, STR("execute"), STR("complete"));
    builder_leaf(b, STR("complete"), STR_NULL, STR(""));
    builder_end(b);
    data_form_open(b, "form", c->name, c->instructions, NS_ADMIN);
    if (c->fill)
        c->fill(call, b);
    for (const struct data_field *f = c->fields; !c->fill && f->var; f++)
        data_form_add(b, f, false, NULL, 0);
    data_form_close(b);
    command_answer_send(call, b);
}

static enum stanza_condition start(struct iq *iq, const struct command *command)
{
    struct command_sessions *cs = state_of(iq->sm);
    struct jid *to = responder_of(iq);
    struct command_call *call = call_create(iq, command);
    random_token(call->sm->c->env->random, call->session, COMMAND_SESSION_ID);
    if (command->fields) {
        command_session_begin(cs, call, to);
        send_form(call);
    } else {
        command->run(call);
    }
    return STANZA_ERR_NONE;
}

static enum stanza_condition cancel(struct iq *iq, const struct command *command,
                                    struct command_session *e)
{
    struct command_call *call = call_create(iq, command);
    memcpy(call->session, e->id, sizeof e->id);
    command_session_end(state_of(call->sm), e);
    command_answer_send(call, command_answer_open(call, "canceled"));
    return STANZA_ERR_NONE;
}

/* The form comes back. One that cannot be accepted leaves the session open, to be mended. */
static enum stanza_condition submit(struct iq *iq, const struct command *command,
                                    struct command_session *e)
{
    struct data_form form;
    char why[256];
    if (!data_form_find(iq->packet->stanza, iq->payload, &form))
        return error(iq, "bad-payload", "the form is missing");
    if (data_form_check(&form, command->fields, NS_ADMIN, why, sizeof why))
        return error(iq, "bad-payload", why);
    struct command_call *call = call_create(iq, command);
    call->form = form;
    memcpy(call->session, e->id, sizeof e->id);
    command_session_end(state_of(call->sm), e);
    command->run(call);
    return STANZA_ERR_NONE;
}

/* Section 4.3.1: the values of action. */
static bool known_action(struct str action)
{
    static const char *const actions[] = {"execute", "cancel", "prev", "next", "complete"};
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (str_is(action, actions[i]))
            return true;
    return false;
}

static enum stanza_condition go_on(struct iq *iq, const struct command *command, struct str id,
                                   struct str action)
{
    struct command_sessions *cs = state_of(iq->sm);
    struct jid *to = responder_of(iq);
    struct command_session *e = command_session_find(cs, id, iq->packet->from, to);
    if (!e && command_session_has_ended(cs, id))
        return error(iq, "session-expired", NULL);
    if (!e || e->command != command)
        return error(iq, "bad-sessionid", NULL);
    if (str_is(action, "cancel"))
        return cancel(iq, command, e);
    if (str_is(action, "prev") || str_is(action, "next")) /* there is one stage */
        return error(iq, "bad-action", NULL);
    return submit(iq, command, e);
}

static enum stanza_condition on_command(struct iq *iq)
{
    const struct stanza *s = iq->packet->stanza;
    struct str id = stanza_attr(s, iq->payload, STR("sessionid"));
    struct str action = stanza_attr(s, iq->payload, STR("action"));
    struct str node = asked_node(iq);
    if (iq->user && !iq->owner)
        return STANZA_ERR_FORBIDDEN; /* whether the account exists or not: reliability.md B 31 */
    if (!node.len)
        return STANZA_ERR_BAD_REQUEST;
    const struct command *command = find_command(node);
    if (!command)
        return STANZA_ERR_ITEM_NOT_FOUND;
    if (!may(iq, command))
        return STANZA_ERR_FORBIDDEN;
    if (action.data && !known_action(action))
        return error(iq, "malformed-action", NULL);
    if (id.data)
        return go_on(iq, command, id, action);
    if (action.data && !str_is(action, "execute"))
        return error(iq, "bad-action", "a command begins with execute");
    return start(iq, command);
}

/* --- life --- */

static enum path_result at_start(struct path_event *e)
{
    e->sm->state[FEATURE_commands] = command_sessions_create(e->sm->loop);
    return PATH_PASS;
}

static enum path_result at_stop(struct path_event *e)
{
    command_sessions_destroy(state_of(e->sm));
    e->sm->state[FEATURE_commands] = NULL;
    return PATH_PASS;
}

static const struct iq_handler iqs[] = {
    {&NS_COMMANDS, "command", IQ_TO_SERVER | IQ_TO_ACCOUNT | IQ_SET, on_command},
    {NULL, NULL, 0, NULL}};
static const struct feature_node nodes[] = {
    {&NS_COMMANDS, IQ_TO_SERVER | IQ_TO_ACCOUNT, on_list_info, on_list_items},
    {&NS_ADMIN_NODE, IQ_TO_SERVER | IQ_TO_ACCOUNT | NODE_PREFIX, on_node_info, on_node_items},
    {NULL, 0, NULL, NULL}};
static const struct str *const features[] = {&NS_COMMANDS, NULL};

const struct feature commands_feature = {
    .name = "commands",
    .at = {[PATH_START] = at_start, [PATH_STOP] = at_stop},
    .iqs = iqs,
    .nodes = nodes,
    .server_features = features,
    .extend_account = extend_account,
};
