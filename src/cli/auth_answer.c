/* Questions in, answers out; blocking, in a process of its own. */
#include "cli/auth_answer.h"

#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/mem.h"
#include "xmpp/sasl.h"

#define LINE_MAX_BYTES 4096
#define PASSWORD_MAX   2048

static enum auth_verdict check(const struct auth_answer *a, char *user, char *encoded, char *realm)
{
    struct buffer password;
    enum auth_verdict verdict = VERDICT_NO;

    buffer_init(&password, PASSWORD_MAX);
    if (sasl_base64_decode(str_of(encoded), &password) && buffer_add_char(&password, '\0') &&
        strlen(buffer_str(&password).data) + 1 == buffer_len(&password))
        verdict = a->check(a->arg, user, realm, buffer_str(&password).data);
    if (buffer_len(&password) > 0)
        mem_wipe(password.data, buffer_len(&password));
    buffer_finish(&password);
    return verdict;
}

static enum auth_verdict answer(const struct auth_answer *a, char *line)
{
    char *save = NULL, *command = strtok_r(line, " \r\n", &save),
         *user = strtok_r(NULL, " \r\n", &save), *encoded = strtok_r(NULL, " \r\n", &save),
         *realm = strtok_r(NULL, " \r\n", &save);

    if (!command || !realm || strcmp(command, "CHECK-PASSWORD") != 0)
        return VERDICT_NO;
    return check(a, user, encoded, realm);
}

int auth_answer_run(const struct auth_answer *a)
{
    char line[LINE_MAX_BYTES];

    printf("OK CHECK-PASSWORD FREE\n");
    (void)fflush(stdout);
    while (fgets(line, sizeof(line), stdin) && strncmp(line, "FREE", 4) != 0) {
        enum auth_verdict verdict = answer(a, line);
        mem_wipe(line, sizeof(line));
        if (verdict == VERDICT_BROKEN)
            return 1;
        printf(verdict == VERDICT_YES ? "OK\n" : "NO\n");
        (void)fflush(stdout);
    }
    return 0;
}

int cli_auth(struct cli_options *o)
{
    const char *what = o->argc == 1 ? o->argv[0] : "";

    if (strcmp(what, "ldap") == 0)
        return auth_answer_ldap(o);
    if (strcmp(what, "pam") == 0)
        return auth_answer_pam(o);
    if (strcmp(what, "groups") == 0)
        return ldap_groups(o);
    if (strcmp(what, "group-server") == 0)
        return ldap_groups_serve(o);
    cli_error("say `jackdaw auth ldap`, `jackdaw auth pam` or `jackdaw auth groups`");
    return 2;
}
