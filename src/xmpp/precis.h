/* PRECIS (RFC 8264) and IDNA by ICU: the slow path of jid.c, for parts that are not plain ASCII.
 *
 * Derived properties are computed from ICU's Unicode properties as RFC 8264 section 8 writes them,
 * so an update of ICU is an update of Unicode. Nothing is cached; no call keeps state.
 */
#ifndef JACKDAW_XMPP_PRECIS_H
#define JACKDAW_XMPP_PRECIS_H

#include <stdbool.h>
#include <stddef.h>
#include "base/str.h"

#define JID_PART_MAX     1023 /* bytes of a prepared part: RFC 7622 sections 3.2 to 3.4 */
#define PRECIS_INPUT_MAX 3072 /* bytes before preparation: full-width letters shrink to a third */

/* Each prepares `in` into `out`; false when a rule refuses it, when the result is empty or over
 * JID_PART_MAX bytes, when a second preparation would change it, or when it holds what RFC 6122
 * forbids (passwords excepted). */
bool precis_local(struct str in, char out[1024],
                  size_t *ret_len); /* UsernameCaseMapped: RFC 8265 3.3 */
bool precis_resource(struct str in, char out[1024],
                     size_t *ret_len); /* OpaqueString: RFC 8265 4.2 */
bool precis_password(struct str in, char out[1024], size_t *ret_len); /* OpaqueString */
/* UTS 46, non-transitional, to lower-case U-labels whose code points IDNA2008 (RFC 5892) allows; no
 * trailing dot. */
bool precis_domain(struct str in, char out[1024], size_t *ret_len);

/* For comparing words that people wrote: NFKC_Casefold (Unicode 3.13). False when empty or too
 * long. */
bool precis_fold(struct str in, char out[1024], size_t *ret_len);

/* True when all letters are of one script, or of Latin with one of the sets of UTS 39 section 5.2
 * (highly restrictive). */
bool precis_one_script(struct str text);

#endif
