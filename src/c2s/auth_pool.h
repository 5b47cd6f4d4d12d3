/* Authentication programs: several running copies of one external program that speaks jabberd2's
 * pipe protocol, a line asked and a line answered:
 *
 *   (at its start)                           OK USER-EXISTS CHECK-PASSWORD ...   what it can do
 *   USER-EXISTS user realm                   OK | NO
 *   GET-PASSWORD user realm                  OK base64 | NO
 *   CHECK-PASSWORD user base64 realm         OK | NO
 *   SET-PASSWORD user base64 realm           OK | NO
 *   CREATE-USER user realm, DELETE-USER user realm   OK | NO
 *   FREE                                     it ends
 *
 * A copy that does not answer in time or ends is started again; what it was asked is an error,
 * never a yes. Lives in the helper process (auth_keeper.h), on a real loop.
 */
#ifndef JACKDAW_C2S_AUTH_POOL_H
#define JACKDAW_C2S_AUTH_POOL_H

#include "base/log.h"
#include "base/str.h"
#include "loop/loop.h"

struct auth_pool;

enum auth_answer { AUTH_OK, AUTH_NO, AUTH_ERROR };

/* `data` follows OK on the line, or says what the error is; valid during the call. */
typedef void (*auth_pool_fn)(void *arg, enum auth_answer answer, struct str data);

struct auth_pool_config {
    const char *const *argv; /* borrowed, NULL-terminated */
    size_t copies;
    uint32_t timeout_ms;         /* of one answer, and of a start */
    size_t max_waiting;          /* questions; more are errors at once */
    void (*on_known)(void *arg); /* the first copy has said what it can */
    void *arg;
};

struct auth_pool *auth_pool_create(struct loop *l, struct log log,
                                   const struct auth_pool_config *config);
/* No answer comes any more. NULL is fine. */
void auth_pool_destroy(struct auth_pool *pool);
/* Whether the program says that it knows the command; not before on_known. */
bool auth_pool_can(const struct auth_pool *pool, struct str command);
/* `line` is a command without its newline; copied. `fn` comes once, in this call only when too many
 * wait. */
void auth_pool_ask(struct auth_pool *pool, struct str line, auth_pool_fn fn, void *arg);

#endif
