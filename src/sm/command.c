/* How an execution of an ad-hoc command is answered (XEP-0050 section 3). See command.h. */
#include "sm/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "xmpp/namespaces.h"

struct jid *command_requester(const struct command_call *call)
{
    return call->iq->packet->from;
}

static void finish(struct command_call *call, enum stanza_condition condition)
{
    iq_finish(call->iq, condition);
    free(call);
}

struct builder *command_answer_open(struct command_call *call, const char *status)
{
    struct builder *b = iq_result_open(call->iq);
    builder_start(b, STR("command"), NS_COMMANDS);
    builder_attr(b, STR("node"),
                 stanza_attr(call->iq->packet->stanza, call->iq->payload, STR("node")));
    builder_attr(b, STR("sessionid"), str_of(call->session));
    builder_attr(b, STR("status"), str_of(status));
    return b;
}

void command_answer_send(struct command_call *call, struct builder *b)
{
    builder_end(b);
    iq_result_send(call->iq, b);
    finish(call, STANZA_ERR_NONE);
}

static void note(struct command_call *call, const char *type, const char *fmt, va_list args)
{
    struct builder *b = command_answer_open(call, "completed");
    char text[4096];
    if (fmt) {
        vsnprintf(text, sizeof text, fmt, args);
        builder_start(b, STR("note"), STR_NULL);
        builder_attr(b, STR("type"), str_of(type));
        builder_text(b, builder_text_ok(str_of(text)) ? str_of(text) : STR("done"));
        builder_end(b);
    }
    command_answer_send(call, b);
}

void command_done(struct command_call *call, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    note(call, "info", fmt, args);
    va_end(args);
}

void command_fail(struct command_call *call, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    note(call, "error", fmt, args);
    va_end(args);
}

void command_refuse(struct command_call *call, enum stanza_condition condition)
{
    finish(call, condition);
}

struct builder *command_result_open(struct command_call *call)
{
    struct builder *b = command_answer_open(call, "completed");
    data_form_open(b, "result", call->command->name, NULL, NS_ADMIN);
    return b;
}

void command_result_send(struct command_call *call, struct builder *b)
{
    data_form_close(b);
    command_answer_send(call, b);
}
