/* The state machine of a stream between servers (RFC 6120 sections 4 to 6, XEP-0220, 0288, 0198),
 * pure: what may come in which state, and what is then to be done. One flat table for the end that
 * accepted the connection, one for the end that made it; both in s2s_stream.c.
 */
#ifndef JACKDAW_XMPP_S2S_STREAM_H
#define JACKDAW_XMPP_S2S_STREAM_H

#include <stdbool.h>
#include "xml/stanza.h"
#include "xmpp/stream_error.h"

enum s2s_role { S2S_ACCEPTED, S2S_MADE, S2S_ROLES };

/* clang-format off */
/* X(id, text) */
#define S2S_STATES_X(X)                                                     \
    X(WAIT_HEADER, "wait-header")     /* the peer's stream header is due */ \
    X(WAIT_FEATURES, "wait-features") /* made: features are due */          \
    X(NEGOTIATING, "negotiating")     /* accepted: nobody proven */         \
    X(WAIT_PROCEED, "wait-proceed")   /* made: <starttls/> sent */          \
    X(TLS, "tls")                     /* handshake under way */             \
    X(SASL, "sasl")                   /* made: EXTERNAL sent */             \
    X(OPEN, "open")                   /* stanzas flow for proven pairs */   \
    X(CLOSED, "closed")

/* X(id): what a first-level element is. */
#define S2S_INPUTS_X(X)                                              \
    X(HEADER) X(FEATURES) X(STARTTLS) X(PROCEED) X(TLS_FAILURE)      \
    X(AUTH) X(SUCCESS) X(FAILURE) X(CHALLENGE)                       \
    X(RESULT) X(RESULT_ANSWER) X(VERIFY) X(VERIFY_ANSWER)            \
    X(BIDI) X(SM) X(STANZA) X(OTHER_NS_STANZA) X(ERROR) X(UNKNOWN)   \
    X(CLOSE)
/* clang-format on */

enum s2s_state {
#define X(id, text) S2S_##id,
    S2S_STATES_X(X)
#undef X
        S2S_STATES
};

enum s2s_input {
#define X(id) S2S_IN_##id,
    S2S_INPUTS_X(X)
#undef X
        S2S_INPUTS
};

enum s2s_action {
    S2S_DO_OTHERS, /* inside the tables alone: what the row says of all it does not name */
    S2S_DO_IGNORE,
    S2S_DO_OPEN,     /* accepted: answer the header; made: read what the header says */
    S2S_DO_FEATURES, /* made: choose the next step */
    S2S_DO_STARTTLS,
    S2S_DO_PROCEED,
    S2S_DO_NO_TLS, /* accepted: <failure/> and close (section 5.4.2.2); made: the peer cannot */
    S2S_DO_AUTH,
    S2S_DO_SASL_MALFORMED, /* a step of an exchange that EXTERNAL does not have */
    S2S_DO_SUCCESS,
    S2S_DO_FAILURE, /* made: EXTERNAL was refused, dialback may follow */
    S2S_DO_RESULT,
    S2S_DO_RESULT_ANSWER,
    S2S_DO_VERIFY,
    S2S_DO_VERIFY_ANSWER,
    S2S_DO_BIDI,
    S2S_DO_SM,
    S2S_DO_STANZA,
    S2S_DO_PEER_ERROR, /* the peer's stream error: close */
    S2S_DO_CLOSE,      /* answer </stream:stream> */
    S2S_DO_ERROR       /* stream error *ret_condition */
};

enum s2s_input s2s_stream_classify(const struct stanza *s);
enum s2s_action s2s_stream_next(enum s2s_role role, enum s2s_state state, enum s2s_input in,
                                enum stream_condition *ret_condition);
const char *s2s_state_name(enum s2s_state s);

/* What a header between servers says. */
struct s2s_header {
    struct str from, to; /* prepared; data == NULL when absent */
    struct str id;       /* into the header */
    bool version;        /* 1.0 or later: features follow (section 4.7.5) */
    char from_buffer[1024], to_buffer[1024];
};
/* The condition to end the stream with, or NONE (sections 4.7, 4.8). */
enum stream_condition s2s_stream_check_header(const struct stanza *header, struct s2s_header *ret);
/* Appends a header; from, to and id may be STR_NULL. */
bool s2s_stream_write_header(struct buffer *out, struct str from, struct str to, struct str id);

#endif
