/* The two databases for one-shot commands: opened without a server, used one blocking step after
 * the other. */
#ifndef JACKDAW_CLI_USER_STORE_H
#define JACKDAW_CLI_USER_STORE_H

#include "base/random.h"
#include "cli/cli.h"
#include "store/accounts.h"
#include "store/users.h"

struct user_store {
    struct loop *loop;
    struct random *random;
    struct log_sink *sink;
    struct store *accounts, *users;
    char data_dir[CLI_PATH_MAX];
};

/* False after a message on stderr. As root it takes on the identity of the data directory's owner,
 * so that the files it makes belong to the server. */
bool user_store_open(struct user_store *s, const struct config *config);
/* The latter alone. */
bool user_store_become_owner(const char *dir);
/* Moves databases to where they are today (component/database.h); false after a message. */
bool user_store_place(const struct config *config, const char *dir);
void user_store_close(struct user_store *s);
/* Commits and waits. */
enum error user_store_commit(struct user_store *s, struct store_txn *t);
/* For reads: call once the request is under way with user_store_on_rows; runs the loop until the
 * answer was given to `fn`. */
struct user_store_read {
    struct user_store *store;
    void (*fn)(void *arg, const struct store_rows *rows);
    void *arg;
    enum error result;
};
void user_store_on_rows(void *arg, enum error e,
                        const struct store_rows *rows); /* a store_fn; arg: user_store_read */
enum error user_store_wait(struct user_store_read *r);

#endif
