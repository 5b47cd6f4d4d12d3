/* Opening the databases as the server would, and waiting for each step: SQLite lets several
 * processes in. */
#include "cli/user_store.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "component/database.h"

/* Files made by root would shut the server out. */
bool user_store_become_owner(const char *dir)
{
    struct stat st;
    if (geteuid() != 0 || stat(dir, &st) != 0 || st.st_uid == 0)
        return true;
    if (setgroups(0, NULL) == 0 && setgid(st.st_gid) == 0 && setuid(st.st_uid) == 0)
        return true;
    cli_error("cannot act as the owner of %s: %s; run this command as that user", dir,
              strerror(errno));
    return false;
}

/* Where an older server has a database open it stays in its place. */
bool user_store_place(const struct config *config, const char *dir)
{
    char why[1024];

    for (unsigned kind = STORE_ACCOUNTS; kind <= STORE_USERS; kind++) {
        enum error e = database_place(config, dir, (enum store_kind)kind, why, sizeof why);
        if (e != ERR_OK && e != ERR_BUSY)
            cli_error("%s", why);
        if (e != ERR_OK && e != ERR_BUSY && e != ERR_EXISTS)
            return false;
    }
    return true;
}

static bool open_one(struct user_store *s, const struct config *config, enum store_kind kind,
                     struct store **ret)
{
    char url[CLI_PATH_MAX + 64], why[512];
    struct log log = {.sink = s->sink};
    database_url(config, s->data_dir, kind, url, sizeof url);
    enum error e = store_open(s->loop, log, kind, url, ret, why, sizeof why);
    if (e != ERR_OK)
        cli_error("%s", why);
    return e == ERR_OK;
}

bool user_store_open(struct user_store *s, const struct config *config)
{
    *s = (struct user_store){0};
    if (!cli_data_dir(config, s->data_dir) || !user_store_become_owner(s->data_dir) ||
        !user_store_place(config, s->data_dir))
        return false;
    s->loop = loop_create();
    s->random = random_create();
    s->sink = log_sink_create(stderr, LOG_WARNING, LOG_TEXT);
    if (open_one(s, config, STORE_ACCOUNTS, &s->accounts) &&
        open_one(s, config, STORE_USERS, &s->users))
        return true;
    user_store_close(s);
    return false;
}

void user_store_close(struct user_store *s)
{
    store_close(s->accounts);
    store_close(s->users);
    log_sink_destroy(s->sink);
    random_destroy(s->random);
    loop_destroy(s->loop);
    *s = (struct user_store){0};
}

void user_store_on_rows(void *arg, enum error e, const struct store_rows *rows)
{
    struct user_store_read *r = arg;
    r->result = e;
    if (e == ERR_OK && r->fn)
        r->fn(r->arg, rows);
    loop_stop(r->store->loop);
}

enum error user_store_wait(struct user_store_read *r)
{
    loop_run(r->store->loop);
    return r->result;
}

enum error user_store_commit(struct user_store *s, struct store_txn *t)
{
    struct user_store_read r = {.store = s};
    store_commit(t, user_store_on_rows, &r);
    return user_store_wait(&r);
}
