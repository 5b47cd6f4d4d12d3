/* Server dialback (XEP-0220): keys and elements, pure. Who asks whom, and what is believed, is for
 * s2s. */
#ifndef JACKDAW_XMPP_DIALBACK_H
#define JACKDAW_XMPP_DIALBACK_H

#include <stdbool.h>
#include "base/buffer.h"
#include "xml/stanza.h"
#include "xmpp/stanza_error.h"

#define DIALBACK_KEY 64 /* hex digits of ours */

enum dialback_type {
    DIALBACK_REQUEST, /* no type: a key to be verified */
    DIALBACK_VALID,
    DIALBACK_INVALID,
    DIALBACK_ERROR,
    DIALBACK_UNKNOWN /* a type that XEP-0220 does not know */
};

struct dialback {
    bool verify; /* db:verify, else db:result */
    enum dialback_type type;
    struct str from, to; /* prepared domains, in the buffers below */
    struct str id;       /* db:verify: the stream the key was made for; into the stanza */
    struct str key;      /* of a request; into the stanza, white space around it taken off */
    enum stanza_condition condition; /* of an error */
    char from_buffer[1024], to_buffer[1024];
};

/* The key of XEP-0185: HMAC-SHA256 over "receiving originating stream-id" with the hash of the
 * secret. */
void dialback_key(struct str secret, struct str receiving, struct str originating,
                  struct str stream_id, char out[DIALBACK_KEY]);
/* False when from, to or (db:verify) id is missing or malformed: improper-addressing. */
bool dialback_parse(const struct stanza *s, struct dialback *ret);

/* Each appends one element. `id` with data == NULL: a db:result, else a db:verify. */
bool dialback_write_request(struct buffer *out, struct str from, struct str to, struct str id,
                            struct str key);
/* `type` is VALID, INVALID or ERROR with a condition (XEP-0220 section 2.4). */
bool dialback_write_answer(struct buffer *out, struct str from, struct str to, struct str id,
                           enum dialback_type type, enum stanza_condition condition);

#endif
