/* The loop of an authentication program of our own: reads the questions of jabberd2's pipe protocol
 * (c2s/auth_pool.h) from stdin, asks `check`, answers on stdout. Runs until its input ends. */
#ifndef JACKDAW_CLI_AUTH_ANSWER_H
#define JACKDAW_CLI_AUTH_ANSWER_H

#include <stdbool.h>

enum auth_verdict { VERDICT_YES, VERDICT_NO, VERDICT_BROKEN };

struct auth_answer {
    /* May block. BROKEN: it cannot be told now; the program then ends, so that the question counts
     * as failed and a fresh copy begins anew. Says why on stderr itself. */
    enum auth_verdict (*check)(void *arg, const char *user, const char *realm,
                               const char *password);
    void *arg;
};

int auth_answer_run(const struct auth_answer *a);

/* The programs there are: `jackdaw auth ldap`, `jackdaw auth pam`, and ldap_groups.c's. */
struct cli_options;
int auth_answer_ldap(struct cli_options *o);
int auth_answer_pam(struct cli_options *o);
/* `jackdaw auth groups` prints them; `group-server` answers a session manager on a socket. */
int ldap_groups(struct cli_options *o);
int ldap_groups_serve(struct cli_options *o);

#endif
