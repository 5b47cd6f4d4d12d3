/* Command: what an ad-hoc command (XEP-0050) is to the features that have some. features/commands.c
 * lists them and checks who asks and what was filled in, command_sessions.c waits for what is being
 * filled in; a command is a row of a table and a function that does it.
 */
#ifndef JACKDAW_SM_COMMAND_H
#define JACKDAW_SM_COMMAND_H

#include "sm/iq.h"
#include "xmpp/data_form.h"

#define COMMAND_SESSION_ID 26u /* characters */

/* Flag: concerns all domains, for those who may administer the whole server. */
#define COMMAND_SERVER 1u

/* One execution. It ends in exactly one of the functions below, now or later. */
struct command_call {
    struct sm *sm;
    const struct command *command;
    struct iq *iq;
    struct str domain;     /* that it is about; lives as long as the call */
    struct data_form form; /* submitted and checked; stanza NULL for a command without one */
    char session[COMMAND_SESSION_ID + 1];
};

struct command {
    const char *node; /* behind NS_ADMIN_NODE */
    const char *name, *instructions;
    unsigned flags;
    const struct data_field *fields; /* of its form; ends with var == NULL. NULL: it runs at once */
    /* Adds the fields with what they hold now. NULL: empty ones. */
    void (*fill)(struct command_call *call, struct builder *b);
    void (*run)(struct command_call *call);
};

/* Who asked: a full JID. */
struct jid *command_requester(const struct command_call *call);

/* Done, with a note for the person (NULL: none). */
void command_done(struct command_call *call, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Could not be done (section 3.4: completed, with a note of type error). */
void command_fail(struct command_call *call, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Done, with a form of type result: add fields to what is returned, then send it. */
struct builder *command_result_open(struct command_call *call);
void command_result_send(struct command_call *call, struct builder *b);
/* Answered by a stanza error. */
void command_refuse(struct command_call *call, enum stanza_condition condition);
/* What all of these but the last are made of: a <command/> with that status, and its end. */
struct builder *command_answer_open(struct command_call *call, const char *status);
void command_answer_send(struct command_call *call, struct builder *b);

#endif
