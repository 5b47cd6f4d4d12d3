/* Old passwords: what other servers stored instead of SCRAM keys, kept in the column
 * authreg.password of an imported account until its first login by PLAIN:
 *
 *   {a1hash}HEX:USER:REALM   HEX the MD5 of USER:REALM:PASSWORD (RFC 2831 section 2.1.2.1),
 * jabberd2's a1hash {crypt}$6$...            crypt(3), every kind that libcrypt knows: MD5, SHA-2,
 * bcrypt, yescrypt
 */
#ifndef JACKDAW_XMPP_OLD_PASSWORD_H
#define JACKDAW_XMPP_OLD_PASSWORD_H

#include "base/buffer.h"
#include "base/str.h"

enum old_password {
    OLD_PASSWORD_PLAIN,
    OLD_PASSWORD_A1HASH,
    OLD_PASSWORD_CRYPT,
    OLD_PASSWORD_KINDS
};
extern const char *const old_password_names[OLD_PASSWORD_KINDS]; /* "plain" ... */

/* What the value of a row looks like: 32 digits of hex, or what crypt(3) makes, or plain. */
enum old_password old_password_guess(struct str value);
/* The text to store for a value that is not plain, of a user in the old server's realm. False when
 * it does not fit. */
bool old_password_write(enum old_password kind, struct str value, struct str user, struct str realm,
                        struct buffer *out);
/* Whether this is the password. CPU-heavy for crypt: a pool thread. Anything that is not as above
 * is never the password. */
bool old_password_check(struct str stored, struct str password);

#endif
