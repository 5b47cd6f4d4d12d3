/* Streams that broke and may be resumed (XEP-0198): they end with the login, too, when there is no
 * session manager to end them - in the users' database, and on the boards of those that were killed
 * (component/slot_record.h). */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_user.h"
#include "component/slot_record.h"

/* One that a running session manager writes is locked, and that has been told. */
static void clean_board(const char *path, const struct jid *jid, struct str mark)
{
    char boot[BOARD_BOOT];
    struct board *b;

    if (board_open(path, board_boot(boot), SLOT_MOST, &b) != ERR_OK)
        return;
    slot_record_revoke(b, jid_bare(jid), mark);
    board_close(b);
}

static int is_board(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return len > 6 && strcmp(entry->d_name + len - 6, ".board") == 0;
}

void cli_user_end_asleep(struct user_store *s, const struct jid *jid, struct str mark)
{
    char path[CLI_PATH_MAX + 512];
    struct dirent **names = NULL;

    (void)snprintf(path, sizeof path, "%s/run", s->data_dir);
    int count = scandir(path, &names, is_board, alphasort);
    for (int i = 0; i < count; i++) {
        (void)snprintf(path, sizeof path, "%s/run/%s", s->data_dir, names[i]->d_name);
        clean_board(path, jid, mark);
        free(names[i]);
    }
    free(names);
    enum error e =
        user_store_commit(s, sessions_revoke(store_begin(s->users), jid_bare(jid), mark));
    if (e != ERR_OK)
        cli_error("cannot end the streams of %s that may be resumed: %s", jid->text, error_text(e));
}
