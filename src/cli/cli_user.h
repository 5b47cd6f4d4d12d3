/* Inside cli/: the subcommands of `jackdaw user`. */
#ifndef JACKDAW_CLI_CLI_USER_H
#define JACKDAW_CLI_CLI_USER_H

#include "cli/user_store.h"
#include "xmpp/jid.h"

/* A bare JID, the caller's; NULL after a message. */
struct jid *cli_user_account(const char *text);
/* Tells every process of the server that runs on these data, if any does. */
void cli_user_tell(const struct user_store *s, const char *command, const struct jid *jid);

/* cli_user_asleep.c: streams that broke, whose SM-ID begins with that, may not be resumed. For when
 * no server runs that could be told, or not all of it. */
void cli_user_end_asleep(struct user_store *s, const struct jid *jid, struct str mark);

/* cli_user_admin.c */
typedef int cli_user_fn(struct cli_options *o, struct user_store *s, const struct config *config);
cli_user_fn cli_user_disable, cli_user_enable, cli_user_sessions, cli_user_kick, cli_user_roster,
    cli_user_vcard, cli_user_last;
/* cli_user_devices.c */
cli_user_fn cli_user_devices;

#endif
