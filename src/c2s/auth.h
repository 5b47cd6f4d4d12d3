/* Auth: who may log in, behind one interface. Two drivers: the accounts store of our own (keys for
 * SCRAM), and a program of somebody else's that is told names and passwords (`auth.driver` program,
 * ldap, pam; PLAIN alone can serve it). Every answer comes on the loop, once, never inside the
 * call; auth_close makes what is still due come with CANCELLED.
 */
#ifndef JACKDAW_C2S_AUTH_H
#define JACKDAW_C2S_AUTH_H

#include "component/component.h"
#include "store/accounts.h"
#include "xmpp/sasl.h"

struct auth;

/* OK: yes, or done. NOT_FOUND: no such account, or a wrong password. EXISTS, INVALID (a password
 * that cannot be used), PERMISSION (the driver cannot do this). Anything else: it failed, try again
 * later. */
typedef void (*auth_fn)(void *arg, enum error e);

struct auth_driver {
    unsigned mechanisms; /* of enum sasl_mechanism, that it can serve */
    /* Either keys or check is there. */
    void (*keys)(struct auth *a, struct str user, struct str realm, enum scram_hash hash,
                 account_fn fn, void *arg);
    void (*check)(struct auth *a, struct str user, struct str realm, struct str password,
                  auth_fn fn, void *arg);
    /* Beside keys; NULL: there is nothing old. Of an account without keys for the hash that PLAIN
     * is checked with: is the password that of what it has instead (xmpp/old_password.h, or keys
     * for another hash)? If so, keys for every hash are stored and the old is erased before the
     * answer. */
    void (*upgrade)(struct auth *a, struct str user, struct str realm, struct str password,
                    auth_fn fn, void *arg);
    void (*create)(struct auth *a, struct jid *account, struct str password, auth_fn fn, void *arg);
    void (*set_password)(struct auth *a, struct jid *account, struct str password, auth_fn fn,
                         void *arg);
    void (*remove)(struct auth *a, struct jid *account, auth_fn fn, void *arg);
    void (*close)(struct auth *a);
};

struct auth {
    const struct auth_driver *driver;
};

/* Our own accounts, where they are kept there; NULL: somebody else's program has them. */
struct store *auth_accounts(const struct auth *a);

/* As the configuration of the component says. NULL after a log line that says what to do. */
struct auth *auth_open(const struct component *c);
struct auth *auth_store_open(const struct component *c);
struct auth *auth_program_open(const struct component *c);
void auth_close(struct auth *a); /* NULL is fine */

#endif
