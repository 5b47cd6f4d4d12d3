/* DIGEST-MD5 (RFC 2831), only because jabberd2's processes speak nothing else to a router
 * (jabberd2.md 1.2). Never offered to clients. */
#ifndef JACKDAW_XMPP_DIGEST_MD5_H
#define JACKDAW_XMPP_DIGEST_MD5_H

#include <stdbool.h>
#include "base/buffer.h"
#include "base/random.h"
#include "base/str.h"

struct digest_md5;
/* realm "jabberd-router", service "jabberd-router". `secret_of` finds the secret of a user name
 * (NULL: unknown). */
struct digest_md5 *digest_md5_server(struct str realm, struct str service, struct random *random);
struct digest_md5 *digest_md5_client(struct str user, struct str secret, struct str service,
                                     struct str host, struct random *random);
void digest_md5_destroy(struct digest_md5 *d);
void digest_md5_challenge(struct digest_md5 *d, struct buffer *out); /* server, first */
/* Server: parses the response; *ret_user is who claims to speak. Then check with the secret, which
 * appends rspauth. */
bool digest_md5_response(struct digest_md5 *d, struct str in, struct str *ret_user);
bool digest_md5_check(struct digest_md5 *d, struct str secret, struct buffer *out_rspauth);
/* Client: challenge in, response out; then verifies rspauth. */
bool digest_md5_answer(struct digest_md5 *d, struct str challenge, struct buffer *out);
bool digest_md5_verify(struct digest_md5 *d, struct str rspauth);

#endif
