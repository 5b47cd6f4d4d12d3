/* auth pam: passwords checked by PAM (auth.driver=pam). Runs as whoever started jackdaw: modules
 * that read /etc/shadow ask unix_chkpwd, which lets a user other than root check their own password
 * only. */
#include <security/pam_appl.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/auth_answer.h"
#include "cli/cli.h"

/* PAM frees the answers with free(). */
static int converse(int count, const struct pam_message **messages, struct pam_response **ret,
                    void *password)
{
    struct pam_response *answers;

    if (count <= 0 || count > PAM_MAX_NUM_MSG)
        return PAM_CONV_ERR;
    answers = mem_alloc_array((size_t)count, sizeof(*answers));
    for (int i = 0; i < count; i++)
        if (messages[i]->msg_style == PAM_PROMPT_ECHO_OFF)
            answers[i].resp = mem_strdup(password);
    *ret = answers;
    return PAM_SUCCESS;
}

static enum auth_verdict check(void *arg, const char *user, const char *realm, const char *password)
{
    const struct config *config = arg;
    const struct pam_conv conversation = {.conv = converse, .appdata_ptr = (char *)password};
    pam_handle_t *pam = NULL;
    int e =
        pam_start_confdir(config->pam_service, user, &conversation, config->pam_directory, &pam);

    (void)realm; /* PAM knows one set of users */
    if (e == PAM_SUCCESS)
        e = pam_authenticate(pam, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
    if (e == PAM_SUCCESS)
        e = pam_acct_mgmt(pam, PAM_SILENT);
    if (e == PAM_SYSTEM_ERR || e == PAM_BUF_ERR || e == PAM_AUTHINFO_UNAVAIL || e == PAM_ABORT)
        cli_error("PAM service %s: %s; look at %s/%s", config->pam_service, pam_strerror(pam, e),
                  config->pam_directory, config->pam_service);
    (void)pam_end(pam, e);
    switch (e) {
    case PAM_SUCCESS:
        return VERDICT_YES;
    case PAM_BUF_ERR:
    case PAM_AUTHINFO_UNAVAIL:
    case PAM_ABORT:
        return VERDICT_BROKEN;
    default: /* SYSTEM_ERR too: pam_exec says so of every wrong password */
        return VERDICT_NO;
    }
}

int auth_answer_pam(struct cli_options *o)
{
    struct config *config = cli_config(o);
    const struct auth_answer answer = {.check = check, .arg = config};
    int code = config ? auth_answer_run(&answer) : 1;

    config_destroy(config);
    return code;
}
