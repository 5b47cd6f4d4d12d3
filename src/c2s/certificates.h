/* Certificates: one per served domain, for STARTTLS and for direct TLS; made at first start when
 * the operator has none, replaced as a whole on reload, warned about before they expire.
 */
#ifndef JACKDAW_C2S_CERTIFICATES_H
#define JACKDAW_C2S_CERTIFICATES_H

#include "c2s/c2s.h"

struct certificates;

/* Loads them; NULL after a log line that says what to do. With c2s.tls off nothing is loaded. */
struct certificates *certificates_create(struct c2s *s);
void certificates_destroy(struct certificates *c); /* NULL is fine */
/* Loads them again; on failure the old ones stay and the error is returned. */
enum error certificates_reload(struct certificates *c);
/* Each is NULL when c2s.tls is off. Borrowed. */
struct tls_server *certificates_starttls(const struct certificates *c);
struct tls_server *certificates_direct(const struct certificates *c);

#endif
