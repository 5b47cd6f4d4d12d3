/* Administration of accounts by ad-hoc commands: XEP-0133 sections 4.1 to 4.10, for the accounts of
 * the domain that the command is addressed to. The accounts are a c2s' alone, the users may be
 * other session managers': each step is a question to the one who knows (ask.h), one account after
 * the other.
 *
 * Who administers single domains may not touch an account that administers the server.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "base/mem.h"
#include "sm/admin.h"
#include "sm/ask.h"
#include "sm/command.h"
#include "xmpp/namespaces.h"

#define ACCOUNTS_MAX 100u /* of one command */
#define STATS_MAX    64u  /* sessions and addresses that are shown */

/* One command at work. */
struct job {
    struct sm *sm;
    struct command_call *call;
    struct jid *accounts[ACCOUNTS_MAX];
    size_t count, at;
    struct builder *result; /* NULL: none */
    struct buffer failures; /* one a line */
    size_t failed;
    enum stanza_condition condition; /* of the last failure */
    void (*step)(struct job *job);   /* asks about accounts[at] */
    const char *done;                /* what to say at the end */
};

static void job_end(struct job *job)
{
    for (size_t i = 0; i < job->count; i++)
        jid_unref(job->accounts[i]);
    builder_destroy(job->result);
    buffer_finish(&job->failures);
    free(job);
}

/* One account that failed is answered by that error (section 5); of several a note says which. */
static void job_finish(struct job *job)
{
    if (job->failed == 0 && job->result) {
        command_result_send(job->call, job->result);
        job->result = NULL;
    } else if (job->failed == 0) {
        command_done(job->call, "%s", job->done);
    } else if (job->count == 1) {
        command_refuse(job->call, job->condition);
    } else {
        command_fail(job->call, "%zu of %zu failed:%.*s", job->failed, job->count,
                     STR_ARG(buffer_str(&job->failures)));
    }
    job_end(job);
}

static void job_next(struct job *job, enum stanza_condition condition)
{
    if (condition) {
        job->failed++;
        job->condition = condition;
        (void)buffer_printf(&job->failures, "\n%s: %.*s", job->accounts[job->at]->text,
                            STR_ARG(stanza_error_element(condition)));
    }
    if (++job->at < job->count)
        job->step(job);
    else
        job_finish(job);
}

/* --- which accounts --- */

static enum stanza_condition check_account(const struct command_call *call, const struct jid *jid)
{
    struct jid *from = command_requester(call);
    if (!jid)
        return STANZA_ERR_JID_MALFORMED;
    if (!jid->local_len || !str_eq(jid_domain(jid), call->domain))
        return STANZA_ERR_NOT_ALLOWED;
    if (admin_may(call->sm, jid_bare(jid), STR_NULL) &&
        !admin_may(call->sm, jid_bare(from), STR_NULL))
        return STANZA_ERR_FORBIDDEN;
    return STANZA_ERR_NONE;
}

/* Reads the accounts out of the form. `full`: resources count. NULL: the call has been answered. */
static struct job *job_begin(struct command_call *call, const char *var, bool full,
                             void (*step)(struct job *job), const char *done)
{
    size_t count = data_form_count(&call->form, var);
    enum stanza_condition wrong =
        count > ACCOUNTS_MAX ? STANZA_ERR_RESOURCE_CONSTRAINT : STANZA_ERR_NONE;
    struct job *job = MEM_NEW(struct job);
    job->sm = call->sm;
    job->call = call;
    job->step = step;
    job->done = done;
    buffer_init(&job->failures, 3000);
    for (size_t i = 0; i < count && !wrong; i++) {
        struct jid *jid = jid_parse(data_form_value_at(&call->form, var, i));
        wrong = check_account(call, jid);
        if (jid)
            job->accounts[job->count++] = full ? jid_ref(jid) : jid_to_bare(jid);
        jid_unref(jid);
    }
    if (!wrong)
        return job;
    command_refuse(call, wrong);
    job_end(job);
    return NULL;
}

/* What was done to whom, once it is begun: no password ever. */
static void job_start(struct job *job)
{
    for (size_t i = 0; i < job->count; i++)
        log_info(&job->sm->c->log, "%s asks for %s: %s", command_requester(job->call)->text,
                 job->call->command->node, job->accounts[i]->text);
    job->step(job);
}

static void run_job(struct command_call *call, const char *var, bool full,
                    void (*step)(struct job *job), const char *done)
{
    struct job *job = job_begin(call, var, full, step, done);
    if (job)
        job_start(job);
}

/* --- asking --- */

static void on_step(void *arg, const struct stanza *answer)
{
    job_next(arg, ask_condition(answer));
}

/* `password` data == NULL: none. */
static void ask_account(struct job *job, const char *action, struct str password, ask_fn fn)
{
    struct question *q = ask_begin(job->sm, fn, job);
    struct builder *b = ask_open(q, "account", action);
    builder_attr(b, STR("jid"), jid_full(job->accounts[job->at]));
    if (password.data)
        builder_text(b, password);
    ask_c2s(q, NULL, b);
}

static void ask_about(struct job *job, const char *action, ask_fn fn)
{
    struct question *q = ask_begin(job->sm, fn, job);
    struct builder *b = ask_open(q, "user", action);
    builder_attr(b, STR("resource"), jid_resource(job->accounts[job->at]));
    ask_user(q, job->accounts[job->at], b);
}

/* --- 4.1 add, 4.8 password --- */

static void step_add(struct job *job)
{
    ask_account(job, "create", data_form_value(&job->call->form, "password"), on_step);
}

static void run_add(struct command_call *call)
{
    struct str password = data_form_value(&call->form, "password"),
               verify = data_form_value(&call->form, "password-verify");
    struct jid *jid = jid_parse(data_form_value(&call->form, "accountjid"));
    if (!str_eq(password, verify))
        command_fail(call, "The passwords differ.");
    else if (jid && jid->local_len && !jid_local_unconfusable(jid_local(jid)))
        command_fail(call, "The name mixes letters of different scripts that look alike.");
    else
        run_job(call, "accountjid", false, step_add, "The account is made.");
    jid_unref(jid);
}

static void step_password(struct job *job)
{
    ask_account(job, "password", data_form_value(&job->call->form, "password"), on_step);
}

static void run_password(struct command_call *call)
{
    run_job(call, "accountjid", false, step_password, "The password is changed.");
}

/* --- 4.2 delete: nobody can log in any more before the data goes --- */

static void on_disabled_first(void *arg, const struct stanza *answer)
{
    struct job *job = arg;
    if (ask_condition(answer))
        job_next(job, ask_condition(answer));
    else
        ask_account(job, "delete", STR_NULL, on_step);
}

static void step_delete(struct job *job)
{
    ask_account(job, "disable", STR_NULL, on_disabled_first);
}

static void run_delete(struct command_call *call)
{
    run_job(call, "accountjids", false, step_delete, "The accounts are deleted.");
}

/* --- 4.3 disable, 4.4 re-enable, 4.5 end sessions --- */

static void step_disable(struct job *job)
{
    ask_account(job, "disable", STR_NULL, on_step);
}

static void run_disable(struct command_call *call)
{
    run_job(call, "accountjids", false, step_disable, "The accounts are disabled.");
}

static void step_enable(struct job *job)
{
    ask_account(job, "enable", STR_NULL, on_step);
}

static void run_enable(struct command_call *call)
{
    run_job(call, "accountjids", false, step_enable, "The accounts are enabled.");
}

static void step_end(struct job *job)
{
    ask_about(job, "end", on_step);
}

static void run_end(struct command_call *call)
{
    run_job(call, "accountjids", true, step_end, "The sessions are ended.");
}

/* --- 4.7 roster --- */

static const struct data_field accounts_field = {
    .type = DATA_JID_MULTI, .required = true, .var = "accountjids", .label = "Accounts"};

static void on_roster(void *arg, const struct stanza *answer)
{
    struct job *job = arg;
    enum stanza_condition condition = ask_condition(answer);
    stanza_el query =
        condition ? STANZA_NONE : stanza_child(answer, STANZA_ROOT, STR("query"), NS_ROSTER);
    if (query != STANZA_NONE) {
        struct str jid = jid_full(job->accounts[job->at]);
        data_form_add(job->result, &accounts_field, true, &jid, 1);
        builder_copy(job->result, answer, query);
    }
    job_next(job, condition);
}

static void step_roster(struct job *job)
{
    ask_about(job, "roster", on_roster);
}

/* A field may stand once in a form, so there is one account to an answer. */
static void run_for_one(struct command_call *call, void (*step)(struct job *job))
{
    struct job *job = job_begin(call, "accountjids", false, step, NULL);
    if (job && job->count > 1) {
        command_fail(call, "One account at a time.");
        job_end(job);
    } else if (job) {
        job->result = command_result_open(call);
        job_start(job);
    }
}

static void run_roster(struct command_call *call)
{
    run_for_one(call, step_roster);
}

/* --- 4.8 last login --- */

static const struct data_field lastlogin_field = {
    .type = DATA_TEXT_SINGLE, .var = "lastlogin", .label = "Last seen"};

static void add_time(struct builder *b, const struct stanza *answer)
{
    struct str text = stanza_attr(answer, STANZA_ROOT, STR("logout"));
    uint64_t seconds = 0;
    char stamp[32];
    struct tm tm;
    if (stanza_child(answer, STANZA_ROOT, STR("session"), NS_INTERNAL) != STANZA_NONE) {
        data_form_add_text(b, &lastlogin_field, STR("online"));
    } else if (str_to_u64(text, INT64_MAX, &seconds) && gmtime_r(&(time_t){(time_t)seconds}, &tm)) {
        size_t len = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &tm);
        data_form_add_text(b, &lastlogin_field, (struct str){stamp, len});
    } else {
        data_form_add_text(b, &lastlogin_field, STR("never"));
    }
}

static void on_last(void *arg, const struct stanza *answer)
{
    struct job *job = arg;
    enum stanza_condition condition = ask_condition(answer);
    if (!condition) {
        struct str jid = jid_full(job->accounts[job->at]);
        data_form_add(job->result, &accounts_field, true, &jid, 1);
        add_time(job->result, answer);
    }
    job_next(job, condition);
}

static void step_last(struct job *job)
{
    ask_about(job, "info", on_last);
}

static void run_last(struct command_call *call)
{
    run_for_one(call, step_last);
}

/* --- 4.10 statistics: the user's own sm, then the c2s of its sessions --- */

static const struct data_field stats_fields[] = {
    {.type = DATA_TEXT_MULTI, .var = "ipaddresses", .label = "IP addresses"},
    {.type = DATA_TEXT_SINGLE, .var = "rostersize", .label = "Contacts"},
    {.type = DATA_TEXT_MULTI, .var = "onlineresources", .label = "Resources online"},
    {.type = DATA_TEXT_SINGLE, .var = "stanzaspersecond", .label = "Stanzas per second"},
    {.type = DATA_TEXT_SINGLE, .var = "loginsperminute", .label = "Logins per minute"},
};

/* The c2s that have sessions of the account, asked one after the other. */
struct stats {
    struct job *job;
    char *c2s[STATS_MAX], *ips[STATS_MAX];
    size_t c2s_count, at, ip_count;
};

static void stats_ask(struct stats *st);

static void add_once(char **list, size_t *count, struct str text)
{
    for (size_t i = 0; i < *count; i++)
        if (str_is(text, list[i]))
            return;
    if (text.len && *count < STATS_MAX)
        list[(*count)++] = str_dup(text);
}

static void stats_end(struct stats *st)
{
    struct str ips[STATS_MAX];
    for (size_t i = 0; i < st->ip_count; i++)
        ips[i] = str_of(st->ips[i]);
    data_form_add(st->job->result, &stats_fields[0], true, ips, st->ip_count);
    job_next(st->job, STANZA_ERR_NONE);
    for (size_t i = 0; i < st->ip_count; i++)
        free(st->ips[i]);
    for (size_t i = 0; i < st->c2s_count; i++)
        free(st->c2s[i]);
    free(st);
}

static void on_addresses(void *arg, const struct stanza *answer)
{
    struct stats *st = arg;
    for (stanza_el el = answer ? stanza_first(answer, STANZA_ROOT) : STANZA_NONE; el != STANZA_NONE;
         el = stanza_next(answer, el))
        add_once(st->ips, &st->ip_count, stanza_attr(answer, el, STR("ip")));
    st->at++;
    stats_ask(st);
}

static void stats_ask(struct stats *st)
{
    struct job *job = st->job;
    if (st->at == st->c2s_count) {
        stats_end(st);
        return;
    }
    struct question *q = ask_begin(job->sm, on_addresses, st);
    struct builder *b = ask_open(q, "account", "address");
    builder_attr(b, STR("jid"), jid_full(job->accounts[job->at]));
    ask_component(q, str_of(st->c2s[st->at]), b);
}

static void add_rates(struct builder *b, const struct stanza *answer)
{
    char text[32];
    uint64_t stanzas = 0;
    (void)str_to_u64(stanza_attr(answer, STANZA_ROOT, STR("stanzas")), UINT32_MAX, &stanzas);
    int len = snprintf(text, sizeof text, "%.2f", (double)stanzas / 60);
    data_form_add_text(b, &stats_fields[3], (struct str){text, (size_t)len});
    data_form_add_text(b, &stats_fields[4], stanza_attr(answer, STANZA_ROOT, STR("logins")));
}

static void on_stats(void *arg, const struct stanza *answer)
{
    struct job *job = arg;
    struct str resources[STATS_MAX];
    size_t count = 0;
    if (ask_condition(answer)) {
        job_next(job, ask_condition(answer));
        return;
    }
    data_form_add_text(job->result, &stats_fields[1],
                       stanza_attr(answer, STANZA_ROOT, STR("roster")));
    struct str bare = jid_full(job->accounts[job->at]);
    struct stats *st = MEM_NEW(struct stats);
    st->job = job;
    for (stanza_el el = stanza_first(answer, STANZA_ROOT); el != STANZA_NONE && count < STATS_MAX;
         el = stanza_next(answer, el)) {
        struct str jid = stanza_attr(answer, el, STR("jid"));
        resources[count++] = (struct str){jid.data + bare.len + 1, jid.len - bare.len - 1};
        add_once(st->c2s, &st->c2s_count, stanza_attr(answer, el, STR("c2s")));
    }
    data_form_add(job->result, &stats_fields[2], true, resources, count);
    add_rates(job->result, answer);
    stats_ask(st);
}

static void step_stats(struct job *job)
{
    ask_about(job, "info", on_stats);
}

static void run_stats(struct command_call *call)
{
    struct job *job = job_begin(call, "accountjid", false, step_stats, NULL);
    if (!job)
        return;
    job->result = command_result_open(call);
    job_start(job);
}

/* --- the table --- */

static const struct data_field add_fields[] = {
    {.type = DATA_JID_SINGLE, .required = true, .var = "accountjid", .label = "Account"},
    {.type = DATA_TEXT_PRIVATE, .required = true, .var = "password", .label = "Password"},
    {.type = DATA_TEXT_PRIVATE,
     .required = true,
     .var = "password-verify",
     .label = "The password again"},
    {.var = NULL}};
static const struct data_field password_fields[] = {
    {.type = DATA_JID_SINGLE, .required = true, .var = "accountjid", .label = "Account"},
    {.type = DATA_TEXT_PRIVATE, .required = true, .var = "password", .label = "New password"},
    {.var = NULL}};
static const struct data_field accounts_fields[] = {
    {.type = DATA_JID_MULTI, .required = true, .var = "accountjids", .label = "Accounts"},
    {.var = NULL}};
static const struct data_field one_account[] = {
    {.type = DATA_JID_SINGLE, .required = true, .var = "accountjid", .label = "Account"},
    {.var = NULL}};

static const struct command commands[] = {
    {.node = "add-user", .name = "Add User", .fields = add_fields, .run = run_add},
    {.node = "delete-user",
     .name = "Delete User",
     .instructions = "The accounts and everything they have go for good.",
     .fields = accounts_fields,
     .run = run_delete},
    {.node = "disable-user",
     .name = "Disable User",
     .instructions = "The accounts stay, but nobody can log in to them.",
     .fields = accounts_fields,
     .run = run_disable},
    {.node = "reenable-user",
     .name = "Re-Enable User",
     .fields = accounts_fields,
     .run = run_enable},
    {.node = "end-user-session",
     .name = "End User Session",
     .instructions = "Of an account all sessions, of an address with a resource that one.",
     .fields = accounts_fields,
     .run = run_end},
    {.node = "change-user-password",
     .name = "Change User Password",
     .fields = password_fields,
     .run = run_password},
    {.node = "get-user-roster",
     .name = "Get User Roster",
     .fields = accounts_fields,
     .run = run_roster},
    {.node = "get-user-lastlogin",
     .name = "Get User Last Login Time",
     .fields = accounts_fields,
     .run = run_last},
    {.node = "user-stats", .name = "Get User Statistics", .fields = one_account, .run = run_stats},
    {.node = NULL}};

const struct feature admin_accounts_feature = {
    .name = "admin_accounts",
    .commands = commands,
};
