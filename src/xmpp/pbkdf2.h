/* PBKDF2 (RFC 8018 section 5.2) for SCRAM's Hi(): the first block only, which is as long as the
 * hash. */
#ifndef JACKDAW_XMPP_PBKDF2_H
#define JACKDAW_XMPP_PBKDF2_H

#include <stddef.h>
#include <stdint.h>
#include "base/str.h"
#include "xmpp/scram.h"

/* `iterations` at least 1. Writes scram_hash_size(h) bytes. Any thread. */
void pbkdf2_derive(enum scram_hash h, struct str password, struct str salt, uint32_t iterations,
                   unsigned char *out);

#endif
