/* The attribute syntax of SCRAM messages, shared by both sides (RFC 5802 sections 5.1 and 7). */
#ifndef JACKDAW_XMPP_SCRAM_ATTR_H
#define JACKDAW_XMPP_SCRAM_ATTR_H

#include <stdbool.h>
#include "base/buffer.h"
#include "base/str.h"

/* The value of the next attribute, which must be `key`; views into *rest. */
bool scram_attr_take(struct str *rest, char key, struct str *ret);
/* True when all that is left are well-formed extensions, which may be ignored. A mandatory one (m=)
 * or a second proof (p=) is none of them. */
bool scram_attr_skip(struct str rest);
/* saslname, both ways: ',' is =2C and '=' is =3D; any other use of '=', and the empty name, are
 * refused. */
void scram_attr_encode_name(struct buffer *out, struct str name);
bool scram_attr_decode_name(struct buffer *out, struct str text);

#endif
