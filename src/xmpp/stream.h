/* The client-to-server stream's state machine (RFC 6120 sections 4 to 7), pure: what may come in
 * which state, and what is then to be done. State x input is one flat table in stream.c; every
 * change of state goes through one function.
 */
#ifndef JACKDAW_XMPP_STREAM_H
#define JACKDAW_XMPP_STREAM_H

#include <stdbool.h>
#include "xml/stanza.h"
#include "xmpp/stream_error.h"

enum stream_state {
    STREAM_WAIT_HEADER,  /* nothing yet */
    STREAM_NEGOTIATING,  /* header seen, not authenticated */
    STREAM_TLS,          /* <proceed/> sent, handshake under way */
    STREAM_SASL,         /* an exchange is under way */
    STREAM_SASL2,        /* one of XEP-0388 is under way */
    STREAM_SASL2_TASKS,  /* <continue/> sent, no task chosen (XEP-0388 section 2.6.3) */
    STREAM_SASL2_TASK,   /* a task is under way */
    STREAM_WAIT_RESTART, /* authenticated, new header due (section 6.4.6) */
    STREAM_UNBOUND,      /* authenticated, features sent, no resource */
    STREAM_BINDING,      /* bind asked, the sm has not answered */
    STREAM_BOUND,        /* stanzas flow */
    STREAM_CLOSED,       /* we or the peer ended it */
    STREAM_STATES
};

enum stream_input {
    STREAM_IN_HEADER,
    STREAM_IN_STARTTLS,
    STREAM_IN_AUTH,
    STREAM_IN_RESPONSE,
    STREAM_IN_ABORT,
    STREAM_IN_AUTHENTICATE, /* XEP-0388, with the four that follow */
    STREAM_IN_RESPONSE2,
    STREAM_IN_ABORT2,
    STREAM_IN_NEXT,
    STREAM_IN_TASK_DATA,
    STREAM_IN_REGISTER, /* iq with jabber:iq:register, addressed to the server */
    STREAM_IN_BIND,
    STREAM_IN_SESSION,         /* legacy session establishment (RFC 3921 section 3) */
    STREAM_IN_STANZA,          /* any other message, presence, iq */
    STREAM_IN_OTHER_NS_STANZA, /* message/presence/iq in a wrong namespace */
    STREAM_IN_SM,              /* stream management (XEP-0198) */
    STREAM_IN_CSI,             /* client state (XEP-0352) */
    STREAM_IN_ERROR,           /* <stream:error/> from the client */
    STREAM_IN_UNKNOWN,         /* any other first-level element */
    STREAM_IN_CLOSE,
    STREAM_IN_SPACE, /* white space between stanzas */
    STREAM_INPUTS
};

enum stream_action {
    STREAM_DO_IGNORE,
    STREAM_DO_OPEN, /* answer the header, send features */
    STREAM_DO_STARTTLS,
    STREAM_DO_AUTH,
    STREAM_DO_RESPONSE,
    STREAM_DO_ABORT,
    STREAM_DO_SASL_MALFORMED, /* <failure><malformed-request/></failure> */
    STREAM_DO_AUTHENTICATE,
    STREAM_DO_NEXT,
    STREAM_DO_TASK_DATA,
    STREAM_DO_SASL2_MALFORMED, /* the same in the namespace of XEP-0388 */
    STREAM_DO_TLS_FAILURE,     /* <failure/> and close (section 5.4.2.2) */
    STREAM_DO_REGISTER,
    STREAM_DO_BIND,
    STREAM_DO_SESSION,
    STREAM_DO_STANZA,
    STREAM_DO_SM,
    STREAM_DO_CSI,
    STREAM_DO_CLOSE, /* answer </stream:stream> */
    STREAM_DO_ERROR  /* stream error *ret_condition */
};

/* What a first-level element is. `domain` is the stream's own (prepared; data == NULL while
 * unknown): a jabber:iq:register that names another address - a gateway, say - is an ordinary
 * stanza. */
enum stream_input stream_classify(const struct stanza *s, struct str domain);
enum stream_action stream_next(enum stream_state state, enum stream_input in,
                               enum stream_condition *ret_condition);
const char *stream_state_name(enum stream_state s);

/* Checks a client's stream header (section 4.7, reliability.md B 6-8): root, namespaces, version,
 * to, from, lang. Returns the condition to end with, or NONE; *ret_to is a prepared domain in
 * `to_out` (data == NULL when absent). */
enum stream_condition stream_check_header(const struct stanza *header, char to_out[1024],
                                          struct str *ret_to);
/* Appends our response header; any of to/lang may be STR_NULL. */
bool stream_write_header(struct buffer *out, struct str from, struct str to, struct str id,
                         struct str lang);

#endif
