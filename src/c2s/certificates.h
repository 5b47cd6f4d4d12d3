/* Certificates: one per served domain, for STARTTLS and for direct TLS; made at first start when
 * the operator has none, replaced as a whole on reload, warned about before they expire.
 */
#ifndef JACKDAW_C2S_CERTIFICATES_H
#define JACKDAW_C2S_CERTIFICATES_H

#include "c2s/c2s.h"

struct certificates;

struct certificates *certificates_create(struct c2s *s); /* none yet */
void certificates_destroy(struct certificates *c);       /* NULL is fine */
/* Loads those of the domains that encrypt; an error after a log line that says what to do. Then
 * one of the others follows. */
enum error certificates_prepare(struct certificates *c, const struct domains *domains);
bool certificates_prepared(const struct certificates *c); /* there are some */
void certificates_commit(struct certificates *c);
void certificates_revert(struct certificates *c);
/* Each is NULL when no domain encrypts. Borrowed. */
struct tls_server *certificates_starttls(const struct certificates *c);
struct tls_server *certificates_direct(const struct certificates *c);

#endif
