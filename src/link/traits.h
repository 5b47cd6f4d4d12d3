/* Traits: what a client has asked of its session and what therefore has to go on when another
 * session manager or another c2s takes the session over. They travel as words in the `reason` of
 * session packets:
 *
 *   START    [resumed] [TRAIT ...] [MAX ID IN OUT]    the session begins with them
 *   RESUMED  H MAX [TRAIT ...]                        the resumed session has them
 *
 * So whoever starts a session with something switched on (Bind 2: XEP-0386 section 4) sets the bits
 * in client->traits before client_session_start; nothing else is to be sent. While a session lives,
 * carbons are switched by their iq and the client's state by SESSION_STATE.
 */
#ifndef JACKDAW_LINK_TRAITS_H
#define JACKDAW_LINK_TRAITS_H

#include "base/str.h"

#define TRAIT_CARBONS  1u /* "carbons": copies of messages (XEP-0280) */
#define TRAIT_INACTIVE 2u /* "inactive": nobody looks at the client (XEP-0352) */

/* "bind2": the server made the resource for this very client (XEP-0386), so that another session
 * with it is an earlier one of the same client, and ends. */
#define TRAIT_BIND2 4u
/* What such a resource ends with: characters, of 6 bits each, that tell the client, whatever it
 * calls itself this time. */
#define BIND2_ID 12

#define TRAITS_TEXT 24 /* bytes that traits_write needs at most */

/* The words, with spaces between them; into `out`. */
struct str traits_write(unsigned traits, char out[TRAITS_TEXT]);
/* Takes the words that *rest begins with; what is behind them stays there (data == NULL: nothing).
 */
unsigned traits_take(struct str *rest);

#endif
