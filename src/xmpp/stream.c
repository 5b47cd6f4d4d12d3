/* The client stream's state machine (RFC 6120 sections 4 to 7, XEP-0388): one row per state, one
 * cell per input.
 *
 * The table says only what may come when. What depends on more than the state - whether TLS is on,
 * which mechanism was offered, whether registration is open - is for the caller of the action. */
#include "xmpp/stream.h"

#include "xml/builder.h"
#include "xmpp/jid.h"
#include "xmpp/namespaces.h"

struct cell {
    enum stream_action action;
    enum stream_condition condition;
};

#define DO(name)                                                                                   \
    {                                                                                              \
        STREAM_DO_##name, STREAM_ERR_NONE                                                          \
    }
#define FAIL(name)                                                                                 \
    {                                                                                              \
        STREAM_DO_ERROR, STREAM_ERR_##name                                                         \
    }

/* clang-format off */
static const struct cell table[STREAM_STATES][STREAM_INPUTS] = {
    /* Nothing may precede the stream header (RFC 6120 sections 4.2 and 4.9.3.1). */
    [STREAM_WAIT_HEADER] = {
        [STREAM_IN_HEADER]          = DO(OPEN),                       /* 4.3.1 */
        [STREAM_IN_STARTTLS]        = FAIL(BAD_FORMAT),
        [STREAM_IN_AUTH]            = FAIL(BAD_FORMAT),
        [STREAM_IN_RESPONSE]        = FAIL(BAD_FORMAT),
        [STREAM_IN_ABORT]           = FAIL(BAD_FORMAT),
        [STREAM_IN_AUTHENTICATE]    = FAIL(BAD_FORMAT),
        [STREAM_IN_RESPONSE2]       = FAIL(BAD_FORMAT),
        [STREAM_IN_ABORT2]          = FAIL(BAD_FORMAT),
        [STREAM_IN_NEXT]            = FAIL(BAD_FORMAT),
        [STREAM_IN_TASK_DATA]       = FAIL(BAD_FORMAT),
        [STREAM_IN_REGISTER]        = FAIL(BAD_FORMAT),
        [STREAM_IN_BIND]            = FAIL(BAD_FORMAT),
        [STREAM_IN_SESSION]         = FAIL(BAD_FORMAT),
        [STREAM_IN_STANZA]          = FAIL(BAD_FORMAT),
        [STREAM_IN_OTHER_NS_STANZA] = FAIL(BAD_FORMAT),
        [STREAM_IN_SM]              = FAIL(BAD_FORMAT),
        [STREAM_IN_CSI]             = FAIL(BAD_FORMAT),
        [STREAM_IN_ERROR]           = FAIL(BAD_FORMAT),
        [STREAM_IN_UNKNOWN]         = FAIL(BAD_FORMAT),
        [STREAM_IN_CLOSE]           = DO(CLOSE),                      /* 4.4 */
        [STREAM_IN_SPACE]           = DO(IGNORE),
    },
    [STREAM_NEGOTIATING] = {
        [STREAM_IN_HEADER]          = FAIL(BAD_FORMAT),               /* 4.3.3: restart only after TLS or SASL; B 11 */
        [STREAM_IN_STARTTLS]        = DO(STARTTLS),                   /* 5.4.2.1 */
        [STREAM_IN_AUTH]            = DO(AUTH),                       /* 6.4.2 */
        [STREAM_IN_RESPONSE]        = DO(SASL_MALFORMED),             /* 6.5.8; B 21 */
        [STREAM_IN_ABORT]           = DO(SASL_MALFORMED),             /* 6.5.8; B 21 */
        [STREAM_IN_AUTHENTICATE]    = DO(AUTHENTICATE),               /* XEP-0388 2.3 */
        [STREAM_IN_RESPONSE2]       = DO(SASL2_MALFORMED),            /* B 21: no exchange is under way */
        [STREAM_IN_ABORT2]          = DO(SASL2_MALFORMED),            /* B 21: no exchange is under way */
        [STREAM_IN_NEXT]            = DO(SASL2_MALFORMED),            /* B 21: no exchange is under way */
        [STREAM_IN_TASK_DATA]       = DO(SASL2_MALFORMED),            /* B 21: no exchange is under way */
        [STREAM_IN_REGISTER]        = DO(REGISTER),                   /* XEP-0077 section 3.1 */
        [STREAM_IN_BIND]            = FAIL(NOT_AUTHORIZED),           /* 7.1, 4.9.3.12; B 16 */
        [STREAM_IN_SESSION]         = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_STANZA]          = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12; B 16 */
        [STREAM_IN_OTHER_NS_STANZA] = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_SM]              = DO(SM),                         /* XEP-0198 section 3: <failed/> */
        [STREAM_IN_CSI]             = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_ERROR]           = DO(CLOSE),                      /* 4.9.1.1; B 11 */
        [STREAM_IN_UNKNOWN]         = FAIL(UNSUPPORTED_STANZA_TYPE),  /* 4.9.3.24; B 11, B 29 */
        [STREAM_IN_CLOSE]           = DO(CLOSE),                      /* 4.4 */
        [STREAM_IN_SPACE]           = DO(IGNORE),                     /* 4.6.1 */
    },
    /* Between <proceed/> and the end of the handshake there is no XML: what a parser still held was injected in plaintext
     * (5.4.3.3, CVE-2011-0411; B 12). Nothing of it is looked at. */
    [STREAM_TLS] = {
        [STREAM_IN_HEADER]          = DO(IGNORE),
        [STREAM_IN_STARTTLS]        = DO(IGNORE),
        [STREAM_IN_AUTH]            = DO(IGNORE),
        [STREAM_IN_RESPONSE]        = DO(IGNORE),
        [STREAM_IN_ABORT]           = DO(IGNORE),
        [STREAM_IN_AUTHENTICATE]    = DO(IGNORE),
        [STREAM_IN_RESPONSE2]       = DO(IGNORE),
        [STREAM_IN_ABORT2]          = DO(IGNORE),
        [STREAM_IN_NEXT]            = DO(IGNORE),
        [STREAM_IN_TASK_DATA]       = DO(IGNORE),
        [STREAM_IN_REGISTER]        = DO(IGNORE),
        [STREAM_IN_BIND]            = DO(IGNORE),
        [STREAM_IN_SESSION]         = DO(IGNORE),
        [STREAM_IN_STANZA]          = DO(IGNORE),
        [STREAM_IN_OTHER_NS_STANZA] = DO(IGNORE),
        [STREAM_IN_SM]              = DO(IGNORE),
        [STREAM_IN_CSI]             = DO(IGNORE),
        [STREAM_IN_ERROR]           = DO(IGNORE),
        [STREAM_IN_UNKNOWN]         = DO(IGNORE),
        [STREAM_IN_CLOSE]           = DO(IGNORE),
        [STREAM_IN_SPACE]           = DO(IGNORE),
    },
    [STREAM_SASL] = {
        [STREAM_IN_HEADER]          = FAIL(BAD_FORMAT),               /* 4.3.3; B 11 */
        [STREAM_IN_STARTTLS]        = DO(TLS_FAILURE),                /* 5.3.4: TLS comes before SASL; 5.4.2.2 */
        [STREAM_IN_AUTH]            = DO(SASL_MALFORMED),             /* 6.5.8: one exchange at a time; B 21 */
        [STREAM_IN_RESPONSE]        = DO(RESPONSE),                   /* 6.4.3 */
        [STREAM_IN_ABORT]           = DO(ABORT),                      /* 6.4.4 */
        [STREAM_IN_AUTHENTICATE]    = FAIL(POLICY_VIOLATION),         /* XEP-0388 2.4: one exchange at a time, of one profile */
        [STREAM_IN_RESPONSE2]       = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_ABORT2]          = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_NEXT]            = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_TASK_DATA]       = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_REGISTER]        = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_BIND]            = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12; B 16 */
        [STREAM_IN_SESSION]         = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_STANZA]          = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12; B 16 */
        [STREAM_IN_OTHER_NS_STANZA] = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_SM]              = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_CSI]             = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_ERROR]           = DO(CLOSE),                      /* 4.9.1.1 */
        [STREAM_IN_UNKNOWN]         = FAIL(UNSUPPORTED_STANZA_TYPE),  /* 4.9.3.24 */
        [STREAM_IN_CLOSE]           = DO(CLOSE),                      /* 4.4 */
        [STREAM_IN_SPACE]           = DO(IGNORE),                     /* 4.6.1 */
    },
    /* XEP-0388 section 2.4: until the exchange is over, what does not belong to it ends the stream. */
    [STREAM_SASL2] = {
        [STREAM_IN_HEADER]          = FAIL(BAD_FORMAT),               /* 4.3.3 */
        [STREAM_IN_STARTTLS]        = FAIL(POLICY_VIOLATION),         /* XEP-0388 2.4 */
        [STREAM_IN_AUTH]            = FAIL(POLICY_VIOLATION),         /* XEP-0388 2.4; B 21 */
        [STREAM_IN_RESPONSE]        = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_ABORT]           = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_AUTHENTICATE]    = FAIL(POLICY_VIOLATION),         /* XEP-0388 2.4, 4.8 */
        [STREAM_IN_RESPONSE2]       = DO(RESPONSE),                   /* XEP-0388 2.5 */
        [STREAM_IN_ABORT2]          = DO(ABORT),                      /* XEP-0388 4.5 */
        [STREAM_IN_NEXT]            = FAIL(POLICY_VIOLATION),         /* XEP-0388 2.4 */
        [STREAM_IN_TASK_DATA]       = FAIL(POLICY_VIOLATION),         /* XEP-0388 2.4 */
        [STREAM_IN_REGISTER]        = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_BIND]            = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_SESSION]         = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_STANZA]          = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_OTHER_NS_STANZA] = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_SM]              = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_CSI]             = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_ERROR]           = DO(CLOSE),                      /* 4.9.1.1 */
        [STREAM_IN_UNKNOWN]         = FAIL(UNSUPPORTED_STANZA_TYPE),  /* 4.9.3.24 */
        [STREAM_IN_CLOSE]           = DO(CLOSE),                      /* 4.4 */
        [STREAM_IN_SPACE]           = FAIL(POLICY_VIOLATION),         /* XEP-0388 2.4: "MUST NOT send whitespace" */
    },
    /* XEP-0388 section 2.6.3: <continue/> has been sent, the client chooses a task. */
    [STREAM_SASL2_TASKS] = {
        [STREAM_IN_HEADER]          = FAIL(BAD_FORMAT),               /* 4.3.3 */
        [STREAM_IN_STARTTLS]        = FAIL(POLICY_VIOLATION),         /* XEP-0388 2.4 */
        [STREAM_IN_AUTH]            = FAIL(POLICY_VIOLATION),         /* XEP-0388 2.4; B 21 */
        [STREAM_IN_RESPONSE]        = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_ABORT]           = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_AUTHENTICATE]    = FAIL(POLICY_VIOLATION),         /* XEP-0388 2.4, 4.8 */
        [STREAM_IN_RESPONSE2]       = FAIL(POLICY_VIOLATION),         /* XEP-0388 2.4 */
        [STREAM_IN_ABORT2]          = DO(ABORT),                      /* XEP-0388 4.5 */
        [STREAM_IN_NEXT]            = DO(NEXT),                       /* XEP-0388 2.6.3 */
        [STREAM_IN_TASK_DATA]       = FAIL(POLICY_VIOLATION),         /* XEP-0388 2.4 */
        [STREAM_IN_REGISTER]        = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_BIND]            = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_SESSION]         = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_STANZA]          = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_OTHER_NS_STANZA] = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_SM]              = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_CSI]             = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_ERROR]           = DO(CLOSE),                      /* 4.9.1.1 */
        [STREAM_IN_UNKNOWN]         = FAIL(UNSUPPORTED_STANZA_TYPE),  /* 4.9.3.24 */
        [STREAM_IN_CLOSE]           = DO(CLOSE),                      /* 4.4 */
        [STREAM_IN_SPACE]           = FAIL(POLICY_VIOLATION),         /* XEP-0388 2.4: "MUST NOT send whitespace" */
    },
    /* A task is under way. */
    [STREAM_SASL2_TASK] = {
        [STREAM_IN_HEADER]          = FAIL(BAD_FORMAT),               /* 4.3.3 */
        [STREAM_IN_STARTTLS]        = FAIL(POLICY_VIOLATION),         /* XEP-0388 2.4 */
        [STREAM_IN_AUTH]            = FAIL(POLICY_VIOLATION),         /* XEP-0388 2.4; B 21 */
        [STREAM_IN_RESPONSE]        = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_ABORT]           = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_AUTHENTICATE]    = FAIL(POLICY_VIOLATION),         /* XEP-0388 2.4, 4.8 */
        [STREAM_IN_RESPONSE2]       = FAIL(POLICY_VIOLATION),         /* XEP-0388 2.4 */
        [STREAM_IN_ABORT2]          = DO(ABORT),                      /* XEP-0388 4.5 */
        [STREAM_IN_NEXT]            = FAIL(POLICY_VIOLATION),         /* XEP-0388 2.4 */
        [STREAM_IN_TASK_DATA]       = DO(TASK_DATA),                  /* XEP-0388 2.6.3 */
        [STREAM_IN_REGISTER]        = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_BIND]            = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_SESSION]         = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_STANZA]          = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_OTHER_NS_STANZA] = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_SM]              = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_CSI]             = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_ERROR]           = DO(CLOSE),                      /* 4.9.1.1 */
        [STREAM_IN_UNKNOWN]         = FAIL(UNSUPPORTED_STANZA_TYPE),  /* 4.9.3.24 */
        [STREAM_IN_CLOSE]           = DO(CLOSE),                      /* 4.4 */
        [STREAM_IN_SPACE]           = FAIL(POLICY_VIOLATION),         /* XEP-0388 2.4: "MUST NOT send whitespace" */
    },
    /* 6.4.6: upon <success/> the client MUST open a new stream; whatever else comes still belongs to the old one (B 21). */
    [STREAM_WAIT_RESTART] = {
        [STREAM_IN_HEADER]          = DO(OPEN),                       /* 6.4.6 */
        [STREAM_IN_STARTTLS]        = FAIL(POLICY_VIOLATION),
        [STREAM_IN_AUTH]            = FAIL(POLICY_VIOLATION),
        [STREAM_IN_RESPONSE]        = FAIL(POLICY_VIOLATION),
        [STREAM_IN_ABORT]           = FAIL(POLICY_VIOLATION),
        [STREAM_IN_AUTHENTICATE]    = FAIL(POLICY_VIOLATION),
        [STREAM_IN_RESPONSE2]       = FAIL(POLICY_VIOLATION),
        [STREAM_IN_ABORT2]          = FAIL(POLICY_VIOLATION),
        [STREAM_IN_NEXT]            = FAIL(POLICY_VIOLATION),
        [STREAM_IN_TASK_DATA]       = FAIL(POLICY_VIOLATION),
        [STREAM_IN_REGISTER]        = FAIL(POLICY_VIOLATION),
        [STREAM_IN_BIND]            = FAIL(POLICY_VIOLATION),
        [STREAM_IN_SESSION]         = FAIL(POLICY_VIOLATION),
        [STREAM_IN_STANZA]          = FAIL(POLICY_VIOLATION),
        [STREAM_IN_OTHER_NS_STANZA] = FAIL(POLICY_VIOLATION),
        [STREAM_IN_SM]              = FAIL(POLICY_VIOLATION),
        [STREAM_IN_CSI]             = FAIL(POLICY_VIOLATION),
        [STREAM_IN_ERROR]           = DO(CLOSE),                      /* 4.9.1.1 */
        [STREAM_IN_UNKNOWN]         = FAIL(POLICY_VIOLATION),
        [STREAM_IN_CLOSE]           = DO(CLOSE),                      /* 4.4 */
        [STREAM_IN_SPACE]           = DO(IGNORE),                     /* 4.6.1 */
    },
    [STREAM_UNBOUND] = {
        [STREAM_IN_HEADER]          = FAIL(BAD_FORMAT),               /* 4.3.3 */
        [STREAM_IN_STARTTLS]        = DO(TLS_FAILURE),                /* 5.3.4, 5.4.2.2; B 13 */
        [STREAM_IN_AUTH]            = FAIL(POLICY_VIOLATION),         /* 6.4.6: not offered again; B 21 */
        [STREAM_IN_RESPONSE]        = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_ABORT]           = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_AUTHENTICATE]    = FAIL(POLICY_VIOLATION),         /* XEP-0388 4.8 */
        [STREAM_IN_RESPONSE2]       = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_ABORT2]          = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_NEXT]            = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_TASK_DATA]       = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_REGISTER]        = FAIL(NOT_AUTHORIZED),           /* 7.1: bind first */
        [STREAM_IN_BIND]            = DO(BIND),                       /* 7.6.1, 7.7.1 */
        [STREAM_IN_SESSION]         = FAIL(NOT_AUTHORIZED),           /* RFC 3921 section 3: after bind */
        [STREAM_IN_STANZA]          = FAIL(NOT_AUTHORIZED),           /* 7.1, 4.9.3.12; B 16 */
        [STREAM_IN_OTHER_NS_STANZA] = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_SM]              = DO(SM),                         /* XEP-0198 section 5: <resume/> */
        [STREAM_IN_CSI]             = DO(IGNORE),                     /* XEP-0352 section 4.2: a session begins active */
        [STREAM_IN_ERROR]           = DO(CLOSE),                      /* 4.9.1.1 */
        [STREAM_IN_UNKNOWN]         = FAIL(UNSUPPORTED_STANZA_TYPE),  /* 4.9.3.24 */
        [STREAM_IN_CLOSE]           = DO(CLOSE),                      /* 4.4 */
        [STREAM_IN_SPACE]           = DO(IGNORE),                     /* 4.6.1 */
    },
    /* The client has asked and not been answered: it has no resource yet (7.1). */
    [STREAM_BINDING] = {
        [STREAM_IN_HEADER]          = FAIL(BAD_FORMAT),               /* 4.3.3 */
        [STREAM_IN_STARTTLS]        = DO(TLS_FAILURE),                /* 5.3.4, 5.4.2.2 */
        [STREAM_IN_AUTH]            = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_RESPONSE]        = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_ABORT]           = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_AUTHENTICATE]    = FAIL(POLICY_VIOLATION),         /* XEP-0388 4.8 */
        [STREAM_IN_RESPONSE2]       = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_ABORT2]          = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_NEXT]            = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_TASK_DATA]       = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_REGISTER]        = FAIL(NOT_AUTHORIZED),           /* 7.1 */
        [STREAM_IN_BIND]            = FAIL(NOT_AUTHORIZED),           /* 7.1: one resource a stream */
        [STREAM_IN_SESSION]         = FAIL(NOT_AUTHORIZED),           /* 7.1 */
        [STREAM_IN_STANZA]          = FAIL(NOT_AUTHORIZED),           /* 7.1, 4.9.3.12; B 16 */
        [STREAM_IN_OTHER_NS_STANZA] = FAIL(NOT_AUTHORIZED),           /* 4.9.3.12 */
        [STREAM_IN_SM]              = DO(SM),                         /* XEP-0198 section 3: <failed/> */
        [STREAM_IN_CSI]             = DO(IGNORE),                     /* XEP-0352 section 4.2 */
        [STREAM_IN_ERROR]           = DO(CLOSE),                      /* 4.9.1.1 */
        [STREAM_IN_UNKNOWN]         = FAIL(UNSUPPORTED_STANZA_TYPE),  /* 4.9.3.24 */
        [STREAM_IN_CLOSE]           = DO(CLOSE),                      /* 4.4 */
        [STREAM_IN_SPACE]           = DO(IGNORE),                     /* 4.6.1 */
    },
    [STREAM_BOUND] = {
        [STREAM_IN_HEADER]          = FAIL(BAD_FORMAT),               /* 4.3.3; B 11 */
        [STREAM_IN_STARTTLS]        = DO(TLS_FAILURE),                /* 5.3.4, 5.4.2.2 */
        [STREAM_IN_AUTH]            = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_RESPONSE]        = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_ABORT]           = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_AUTHENTICATE]    = FAIL(POLICY_VIOLATION),         /* XEP-0388 4.8 */
        [STREAM_IN_RESPONSE2]       = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_ABORT2]          = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_NEXT]            = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_TASK_DATA]       = FAIL(POLICY_VIOLATION),         /* B 21 */
        [STREAM_IN_REGISTER]        = DO(REGISTER),                   /* XEP-0077 sections 3.2 and 3.3 */
        [STREAM_IN_BIND]            = DO(STANZA),                     /* an iq that nobody serves: 8.4 answers it */
        [STREAM_IN_SESSION]         = DO(SESSION),                    /* RFC 3921 section 3 */
        [STREAM_IN_STANZA]          = DO(STANZA),                     /* 8 */
        [STREAM_IN_OTHER_NS_STANZA] = FAIL(INVALID_NAMESPACE),        /* 4.8.3, 4.9.3.10; B 29 */
        [STREAM_IN_SM]              = DO(SM),                         /* XEP-0198 */
        [STREAM_IN_CSI]             = DO(CSI),                        /* XEP-0352 section 4.2 */
        [STREAM_IN_ERROR]           = DO(CLOSE),                      /* 4.9.1.1 */
        [STREAM_IN_UNKNOWN]         = FAIL(UNSUPPORTED_STANZA_TYPE),  /* 4.9.3.24; B 29 */
        [STREAM_IN_CLOSE]           = DO(CLOSE),                      /* 4.4 */
        [STREAM_IN_SPACE]           = DO(IGNORE),                     /* 4.6.1 */
    },
    /* After </stream:stream> nothing counts (4.4; B 30). */
    [STREAM_CLOSED] = {
        [STREAM_IN_HEADER]          = DO(IGNORE),
        [STREAM_IN_STARTTLS]        = DO(IGNORE),
        [STREAM_IN_AUTH]            = DO(IGNORE),
        [STREAM_IN_RESPONSE]        = DO(IGNORE),
        [STREAM_IN_ABORT]           = DO(IGNORE),
        [STREAM_IN_AUTHENTICATE]    = DO(IGNORE),
        [STREAM_IN_RESPONSE2]       = DO(IGNORE),
        [STREAM_IN_ABORT2]          = DO(IGNORE),
        [STREAM_IN_NEXT]            = DO(IGNORE),
        [STREAM_IN_TASK_DATA]       = DO(IGNORE),
        [STREAM_IN_REGISTER]        = DO(IGNORE),
        [STREAM_IN_BIND]            = DO(IGNORE),
        [STREAM_IN_SESSION]         = DO(IGNORE),
        [STREAM_IN_STANZA]          = DO(IGNORE),
        [STREAM_IN_OTHER_NS_STANZA] = DO(IGNORE),
        [STREAM_IN_SM]              = DO(IGNORE),
        [STREAM_IN_CSI]             = DO(IGNORE),
        [STREAM_IN_ERROR]           = DO(IGNORE),
        [STREAM_IN_UNKNOWN]         = DO(IGNORE),
        [STREAM_IN_CLOSE]           = DO(IGNORE),
        [STREAM_IN_SPACE]           = DO(IGNORE),
    },
};
/* clang-format on */

enum stream_action stream_next(enum stream_state state, enum stream_input in,
                               enum stream_condition *ret_condition)
{
    struct cell cell = table[state][in];
    *ret_condition = cell.condition;
    return cell.action;
}

const char *stream_state_name(enum stream_state s)
{
    static const char *const names[STREAM_STATES] = {[STREAM_WAIT_HEADER] = "wait-header",
                                                     [STREAM_NEGOTIATING] = "negotiating",
                                                     [STREAM_TLS] = "tls",
                                                     [STREAM_SASL] = "sasl",
                                                     [STREAM_SASL2] = "sasl2",
                                                     [STREAM_SASL2_TASKS] = "sasl2-tasks",
                                                     [STREAM_SASL2_TASK] = "sasl2-task",
                                                     [STREAM_WAIT_RESTART] = "wait-restart",
                                                     [STREAM_UNBOUND] = "unbound",
                                                     [STREAM_BINDING] = "binding",
                                                     [STREAM_BOUND] = "bound",
                                                     [STREAM_CLOSED] = "closed"};
    return names[s];
}

/* XEP-0077 speaks with the server: no `to`, or the stream's own domain. */
static bool to_server(const struct stanza *s, struct str domain)
{
    char prepared[1024];
    size_t len;
    struct str to = stanza_attr(s, STANZA_ROOT, STR("to"));
    if (!to.data)
        return true;
    return domain.data && jid_prepare_domain(to, prepared, &len) &&
           str_eq((struct str){prepared, len}, domain);
}

static enum stream_input classify_iq(const struct stanza *s, struct str domain)
{
    struct str type = stanza_attr(s, STANZA_ROOT, STR("type"));
    bool set = str_is(type, "set");
    stanza_el child = stanza_first(s, STANZA_ROOT);
    if ((!set && !str_is(type, "get")) || child == STANZA_NONE)
        return STREAM_IN_STANZA;
    struct str ns = stanza_ns(s, child), name = stanza_name(s, child);
    if (set && str_eq(ns, NS_BIND) && str_is(name, "bind"))
        return STREAM_IN_BIND;
    if (set && str_eq(ns, NS_SESSION) && str_is(name, "session"))
        return STREAM_IN_SESSION;
    if (str_eq(ns, NS_REGISTER) && str_is(name, "query") && to_server(s, domain))
        return STREAM_IN_REGISTER;
    return STREAM_IN_STANZA;
}

static enum stream_input classify_sasl(struct str name)
{
    if (str_is(name, "auth"))
        return STREAM_IN_AUTH;
    if (str_is(name, "response"))
        return STREAM_IN_RESPONSE;
    return str_is(name, "abort") ? STREAM_IN_ABORT : STREAM_IN_UNKNOWN;
}

static enum stream_input classify_sasl2(struct str name)
{
    static const struct {
        const char *name;
        enum stream_input input;
    } elements[] = {{"authenticate", STREAM_IN_AUTHENTICATE},
                    {"response", STREAM_IN_RESPONSE2},
                    {"abort", STREAM_IN_ABORT2},
                    {"next", STREAM_IN_NEXT},
                    {"task-data", STREAM_IN_TASK_DATA}};
    for (size_t i = 0; i < sizeof(elements) / sizeof(elements[0]); i++)
        if (str_is(name, elements[i].name))
            return elements[i].input;
    return STREAM_IN_UNKNOWN;
}

enum stream_input stream_classify(const struct stanza *s, struct str domain)
{
    struct str name = stanza_name(s, STANZA_ROOT), ns = stanza_ns(s, STANZA_ROOT);
    bool iq = str_is(name, "iq");
    bool stanza = iq || str_is(name, "message") || str_is(name, "presence");
    if (str_eq(ns, NS_CLIENT)) {
        if (iq)
            return classify_iq(s, domain);
        return stanza ? STREAM_IN_STANZA : STREAM_IN_UNKNOWN;
    }
    if (stanza)
        return STREAM_IN_OTHER_NS_STANZA;
    if (str_eq(ns, NS_SASL))
        return classify_sasl(name);
    if (str_eq(ns, NS_SASL2))
        return classify_sasl2(name);
    if (str_eq(ns, NS_TLS) && str_is(name, "starttls"))
        return STREAM_IN_STARTTLS;
    if (str_eq(ns, NS_SM))
        return STREAM_IN_SM;
    if (str_eq(ns, NS_CSI) && (str_is(name, "active") || str_is(name, "inactive")))
        return STREAM_IN_CSI;
    if (str_eq(ns, NS_STREAM) && str_is(name, "error"))
        return STREAM_IN_ERROR;
    return STREAM_IN_UNKNOWN;
}

/* RFC 6120 section 4.7.5: major "." minor, numbers with leading zeros ignored; from 1.0 on we can
 * answer 1.0. */
static bool version_ok(struct str version)
{
    struct str major;
    uint64_t number, minor;
    if (!version.data || !str_split(&version, '.', &major) || !version.data)
        return false;
    return str_to_u64(major, UINT32_MAX, &number) && str_to_u64(version, UINT32_MAX, &minor) &&
           number >= 1;
}

static bool from_ok(struct str from)
{
    if (!from.data)
        return true;
    struct jid *j = jid_parse(from);
    jid_unref(j);
    return j != NULL;
}

enum stream_condition stream_check_header(const struct stanza *header, char to_out[1024],
                                          struct str *ret_to)
{
    if (!str_is(stanza_name(header, STANZA_ROOT), "stream"))
        return STREAM_ERR_BAD_FORMAT; /* section 4.9.3.1; B 6 */
    if (!str_eq(stanza_ns(header, STANZA_ROOT), NS_STREAM))
        return STREAM_ERR_INVALID_NAMESPACE; /* section 4.8.1 */
    if (!str_eq(stanza_attr(header, STANZA_ROOT, STR("xmlns")), NS_CLIENT))
        return STREAM_ERR_INVALID_NAMESPACE; /* section 4.8.2: content namespace, declared as the
                                                default; B 6 */
    if (!version_ok(stanza_attr(header, STANZA_ROOT, STR("version"))))
        return STREAM_ERR_UNSUPPORTED_VERSION; /* section 4.7.5; B 8 */
    if (!from_ok(stanza_attr(header, STANZA_ROOT, STR("from"))))
        return STREAM_ERR_IMPROPER_ADDRESSING; /* sections 4.7.1 and 4.9.3.7 */
    struct str to = stanza_attr(header, STANZA_ROOT, STR("to"));
    *ret_to = STR_NULL;
    if (!to.data)
        return STREAM_ERR_NONE; /* section 4.7.2: which domain that means is the caller's choice */
    size_t len;
    if (!jid_prepare_domain(to, to_out, &len))
        return STREAM_ERR_IMPROPER_ADDRESSING; /* section 4.9.3.7; B 7 */
    *ret_to = (struct str){to_out, len};
    return STREAM_ERR_NONE;
}

/* Section 4.7: the response header. */
bool stream_write_header(struct buffer *out, struct str from, struct str to, struct str id,
                         struct str lang)
{
    struct buffer all;
    buffer_init(&all, 16384);
    (void)buffer_reserve(&all, 512); /* the usual one, without growing on the way */
    buffer_printf(&all,
                  "<?xml version='1.0'?><stream:stream xmlns='%s' xmlns:stream='%s' version='1.0'",
                  NS_CLIENT.data, NS_STREAM.data);
    builder_write_attr(&all, "id", id);
    builder_write_attr(&all, "from", from);
    builder_write_attr(&all, "to", to);
    builder_write_attr(&all, "xml:lang", lang);
    buffer_add_char(&all, '>');
    bool ok = !all.overflowed && buffer_add_str(out, buffer_str(&all));
    buffer_finish(&all);
    return ok;
}
