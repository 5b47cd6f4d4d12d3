/* How many users there are and who: XEP-0133 sections 4.13 to 4.22. Registered users stand in the
 * store, disabled ones are a c2s' to know; who is online is asked of every session manager of the
 * domain. Active is who is available and neither away nor extended away; the others online are
 * idle.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "sm/admin_lists.h"
#include "sm/ask.h"
#include "sm/command.h"
#include "sm/send.h"
#include "sm/user_request.h"
#include "xmpp/namespaces.h"

#define LIST_MAX 1000u /* JIDs in one answer, whatever was asked for */

/* --- one answer being collected --- */

struct listing {
    struct sm *sm;
    struct command_call *call;
    uint64_t count;
    size_t limit; /* of JIDs; 0: only the number is wanted */
    struct jid **jids;
    size_t jid_count;
    const char *state; /* of those online: "active", "idle"; NULL: all */
};

static const struct data_field *result_field(const struct command *command);

static size_t limit_of(const struct command_call *call)
{
    uint64_t limit = LIST_MAX;
    if (!call->command->fields)
        return 0;
    (void)str_to_u64(data_form_value(&call->form, "max_items"), LIST_MAX, &limit);
    return (size_t)limit; /* "none", or nothing said: as many as there may be */
}

static struct listing *listing_begin(struct command_call *call)
{
    struct listing *l = MEM_NEW(struct listing);
    l->sm = call->sm;
    l->call = call;
    l->limit = limit_of(call);
    l->jids = mem_alloc_array(l->limit + 1, sizeof(void *));
    return l;
}

static void listing_add(struct listing *l, struct jid *jid)
{
    if (jid && l->jid_count < l->limit)
        l->jids[l->jid_count++] = jid_ref(jid);
}

static void listing_free(struct listing *l)
{
    for (size_t i = 0; i < l->jid_count; i++)
        jid_unref(l->jids[i]);
    free(l->jids);
    free(l);
}

static int compare(const void *a, const void *b)
{
    return str_cmp(jid_full(*(struct jid *const *)a), jid_full(*(struct jid *const *)b));
}

static void listing_send(struct listing *l)
{
    const struct data_field *field = result_field(l->call->command);
    struct builder *b = command_result_open(l->call);
    if (l->limit) {
        struct str *values = mem_alloc_array(l->jid_count + 1, sizeof *values);
        qsort(l->jids, l->jid_count, sizeof(void *), compare);
        for (size_t i = 0; i < l->jid_count; i++)
            values[i] = jid_full(l->jids[i]);
        data_form_add(b, field, true, values, l->jid_count);
        free(values);
    } else {
        data_form_add_number(b, field, l->count);
    }
    command_result_send(l->call, b);
    listing_free(l);
}

static void listing_fail(struct listing *l, enum stanza_condition condition)
{
    command_refuse(l->call, condition);
    listing_free(l);
}

/* --- registered: 4.13, 4.18 --- */

static void on_registered(void *arg, enum error e, const struct store_rows *rows)
{
    struct listing *l = arg;
    if (e) {
        listing_fail(l, send_condition(e));
        return;
    }
    if (!l->limit)
        l->count = (uint64_t)store_int(rows, 0, 0);
    for (size_t i = 0; l->limit && i < store_rows_count(rows); i++) {
        struct jid *jid = jid_parse(store_text(rows, i, 0));
        listing_add(l, jid);
        jid_unref(jid);
    }
    listing_send(l);
}

static void run_registered(struct command_call *call)
{
    struct listing *l = listing_begin(call);
    if (l->limit)
        users_page(call->sm->store, call->domain, (uint32_t)l->limit, on_registered, l);
    else
        users_count(call->sm->store, call->domain, on_registered, l);
}

/* --- what others answer: count=, and an element with jid= for each --- */

static void take(struct listing *l, const struct stanza *answer)
{
    uint64_t count = 0;
    (void)str_to_u64(stanza_attr(answer, STANZA_ROOT, STR("count")), UINT32_MAX, &count);
    l->count += count;
    for (stanza_el el = stanza_first(answer, STANZA_ROOT); el != STANZA_NONE;
         el = stanza_next(answer, el)) {
        struct jid *jid = jid_parse(stanza_attr(answer, el, STR("jid")));
        listing_add(l, jid);
        jid_unref(jid);
    }
}

/* --- disabled: 4.14, 4.19 --- */

static void on_disabled(void *arg, const struct stanza *answer)
{
    struct listing *l = arg;
    if (ask_condition(answer)) {
        listing_fail(l, ask_condition(answer));
        return;
    }
    take(l, answer);
    listing_send(l);
}

static void run_disabled(struct command_call *call)
{
    struct listing *l = listing_begin(call);
    struct question *q = ask_begin(call->sm, on_disabled, l);
    struct builder *b = ask_open(q, "account", "disabled");
    builder_attr(b, STR("domain"), call->domain);
    builder_attr_u64(b, STR("limit"), l->limit);
    ask_c2s(q, NULL, b);
}

/* --- online, active, idle: 4.15 to 4.17, 4.20 to 4.22 --- */

static bool is_active(const struct user *user)
{
    for (const struct session *s = user->sessions; s; s = s->next)
        if (!user_request_away(s))
            return true;
    return false;
}

static bool counts(const struct user *user, struct str domain, struct str state)
{
    if (!user->sessions || !str_eq(jid_domain(user->jid), domain))
        return false;
    return !state.data || is_active(user) == str_is(state, "active");
}

/* Those of this sm: counted, and up to the limit added as <user jid=/>. */
static uint64_t online_here(const struct sm *sm, struct str domain, struct str state, size_t limit,
                            struct builder *b, struct listing *l)
{
    uint64_t count = 0;
    struct user *user;
    for (size_t i = 0; (user = hash_next(&sm->users, &i));) {
        if (!counts(user, domain, state))
            continue;
        count++;
        if (l) {
            listing_add(l, user->jid);
        } else if (count <= limit) {
            builder_start(b, STR("user"), STR_NULL);
            builder_attr(b, STR("jid"), jid_full(user->jid));
            builder_end(b);
        }
    }
    return count;
}

uint64_t admin_lists_online(const struct sm *sm, struct str domain)
{
    return online_here(sm, domain, STR_NULL, 0, NULL, NULL);
}

static void on_online(void *arg, const struct stanza *answer)
{
    struct listing *l = arg;
    if (answer)
        take(l, answer);
    else
        listing_send(l);
}

static void list_online(struct command_call *call, const char *state)
{
    struct listing *l = listing_begin(call);
    l->count = online_here(call->sm, call->domain, str_of(state), l->limit, NULL, l);
    struct question *q = ask_begin(call->sm, on_online, l);
    struct builder *b = ask_open(q, "online", "list");
    builder_attr(b, STR("domain"), call->domain);
    builder_attr(b, STR("state"), str_of(state));
    builder_attr_u64(b, STR("limit"), l->limit);
    ask_all(q, call->domain, b);
}

static void run_online(struct command_call *call)
{
    list_online(call, NULL);
}

static void run_active(struct command_call *call)
{
    list_online(call, "active");
}

static void run_idle(struct command_call *call)
{
    list_online(call, "idle");
}

/* The count is known when all are counted, but is an attribute of the root: they are walked twice.
 */
static enum path_result at_internal(struct path_event *e)
{
    const struct packet *p = e->packet;
    if (p->error || !stanza_is(p->stanza, STANZA_ROOT, STR("online"), NS_INTERNAL))
        return PATH_PASS;
    struct str domain = stanza_attr(p->stanza, STANZA_ROOT, STR("domain")),
               state = stanza_attr(p->stanza, STANZA_ROOT, STR("state"));
    uint64_t limit = 0;
    (void)str_to_u64(stanza_attr(p->stanza, STANZA_ROOT, STR("limit")), LIST_MAX, &limit);
    if (sm_domain(e->sm, domain)) {
        struct builder *b = ask_answer_open(p, NULL);
        builder_attr_u64(b, STR("count"), online_here(e->sm, domain, state, 0, NULL, NULL));
        if (limit)
            (void)online_here(e->sm, domain, state, (size_t)limit, b, NULL);
        ask_answer_send(e->sm, p, b);
    }
    packet_destroy(e->packet);
    return PATH_DONE;
}

/* --- the table --- */

static const struct data_option maxima[] = {{"25", "25"},     {"50", "50"},   {"75", "75"},
                                            {"100", "100"},   {"150", "150"}, {"200", "200"},
                                            {"None", "none"}, {NULL, NULL}};
static const struct data_field list_fields[] = {{.type = DATA_LIST_SINGLE,
                                                 .var = "max_items",
                                                 .label = "Maximum number of users to show",
                                                 .options = maxima},
                                                {.var = NULL}};

#define NUMBER(node_, name_, run_)                                                                 \
    {                                                                                              \
        .node = node_, .name = "Get Number of " name_, .run = run_                                 \
    }
#define LIST(node_, name_, run_)                                                                   \
    {                                                                                              \
        .node = node_, .name = "Get List of " name_, .fields = list_fields, .run = run_            \
    }

/* A command, and below it in the same order the field of its result. */
static const struct command commands[] = {
    NUMBER("get-registered-users-num", "Registered Users", run_registered),
    NUMBER("get-disabled-users-num", "Disabled Users", run_disabled),
    NUMBER("get-online-users-num", "Online Users", run_online),
    NUMBER("get-active-users-num", "Active Users", run_active),
    NUMBER("get-idle-users-num", "Idle Users", run_idle),
    LIST("get-registered-users-list", "Registered Users", run_registered),
    LIST("get-disabled-users-list", "Disabled Users", run_disabled),
    LIST("get-online-users-list", "Online Users", run_online),
    LIST("get-active-users", "Active Users", run_active),
    LIST("get-idle-users", "Idle Users", run_idle),
    {.node = NULL}};

static const struct data_field results[] = {
    {.type = DATA_TEXT_SINGLE, .var = "registeredusersnum"},
    {.type = DATA_TEXT_SINGLE, .var = "disabledusersnum"},
    {.type = DATA_TEXT_SINGLE, .var = "onlineusersnum"},
    {.type = DATA_TEXT_SINGLE, .var = "activeusersnum"},
    {.type = DATA_TEXT_SINGLE, .var = "idleusersnum"},
    {.type = DATA_JID_MULTI, .var = "registereduserjids"},
    {.type = DATA_JID_MULTI, .var = "disableduserjids"},
    {.type = DATA_JID_MULTI, .var = "onlineuserjids"},
    {.type = DATA_JID_MULTI, .var = "activeuserjids"},
    {.type = DATA_JID_MULTI, .var = "idleuserjids"},
};

static const struct data_field *result_field(const struct command *command)
{
    return &results[command - commands];
}

const struct feature admin_lists_feature = {
    .name = "admin_lists",
    .at = {[PATH_INTERNAL] = at_internal},
    .commands = commands,
};
