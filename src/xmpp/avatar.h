/* Avatar: the hash by which a picture in a vCard is known (XEP-0153). */
#ifndef JACKDAW_XMPP_AVATAR_H
#define JACKDAW_XMPP_AVATAR_H

#include <stdbool.h>
#include "base/str.h"

#define AVATAR_HASH_LEN 40

/* Lower-case hex of the SHA-1 of what a BINVAL holds in base64; white space is ignored (section
 * 4.5). False when it is empty or not base64. */
bool avatar_hash(struct str base64, char out[AVATAR_HASH_LEN]);

#endif
