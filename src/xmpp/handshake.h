/* The handshake of external components (XEP-0114 section 3): proof of a secret that both sides
 * know, bound to the stream by its id. Pure. */
#ifndef JACKDAW_XMPP_HANDSHAKE_H
#define JACKDAW_XMPP_HANDSHAKE_H

#include <stdbool.h>
#include "base/str.h"

#define HANDSHAKE_LEN 40 /* hex digits of SHA-1 */

/* False when the library has no SHA-1 (a FIPS provider): then nobody gets in. */
bool handshake_make(struct str stream_id, struct str secret, char out[HANDSHAKE_LEN]);
/* Takes the same time wherever the difference is. */
bool handshake_check(struct str stream_id, struct str secret, struct str text);

#endif
