/* The state machine of a stream between servers: one row per state, which names
 * what it knows and says what becomes of the rest.
 *
 * The table says only what may come when; whether TLS is on, whom a key proves, or which pair a
 * stanza belongs to is for the caller of the action. Sections without a name are RFC 6120's. */
#include "xmpp/s2s_stream.h"

#include "xml/builder.h"
#include "xmpp/jid.h"
#include "xmpp/namespaces.h"

struct cell {
    enum s2s_action action;
    enum stream_condition condition;
};

/* What a state says of the inputs that it knows, and of all the others. */
struct row {
    struct cell others;
    struct cell of[S2S_INPUTS]; /* action 0: one of the others */
};

#define DO(name)                                                                                   \
    {                                                                                              \
        S2S_DO_##name, STREAM_ERR_NONE                                                             \
    }
#define FAIL(name)                                                                                 \
    {                                                                                              \
        S2S_DO_ERROR, STREAM_ERR_##name                                                            \
    }

/* A state that this end is never in, or in which no XML is looked at. */
#define DEAF                                                                                       \
    {                                                                                              \
        .others = DO(IGNORE)                                                                       \
    }

/* clang-format off */
static const struct row accepted[S2S_STATES] = {
    /* Nothing may precede the stream header (4.2, 4.9.3.1). */
    [S2S_WAIT_HEADER] = {.others = FAIL(BAD_FORMAT), .of = {
        [S2S_IN_HEADER]          = DO(OPEN),               /* 4.3.1 */
        [S2S_IN_CLOSE]           = DO(CLOSE),              /* 4.4 */
    }},
    [S2S_WAIT_FEATURES] = DEAF,
    /* Nobody is proven yet: no stanza (4.9.3.12; B 47). */
    [S2S_NEGOTIATING] = {.others = FAIL(UNSUPPORTED_STANZA_TYPE) /* 4.9.3.24 */, .of = {
        [S2S_IN_HEADER]          = FAIL(BAD_FORMAT),       /* 4.3.3 */
        [S2S_IN_STARTTLS]        = DO(STARTTLS),           /* 5.4.2.1 */
        [S2S_IN_AUTH]            = DO(AUTH),               /* 6.4.2; XEP-0178 section 3 */
        [S2S_IN_CHALLENGE]       = DO(SASL_MALFORMED),     /* 6.5.8 */
        [S2S_IN_RESULT]          = DO(RESULT),             /* XEP-0220 2.2.1 */
        [S2S_IN_RESULT_ANSWER]   = FAIL(INVALID_FROM),     /* XEP-0220: unsolicited; B 47 */
        [S2S_IN_VERIFY]          = DO(VERIFY),             /* XEP-0220 2.2.2 */
        [S2S_IN_VERIFY_ANSWER]   = FAIL(INVALID_FROM),     /* XEP-0220: unsolicited; B 47 */
        [S2S_IN_BIDI]            = DO(BIDI),               /* XEP-0288 section 2.2 */
        [S2S_IN_SM]              = DO(SM),                 /* XEP-0198 section 3: refused until proven */
        [S2S_IN_STANZA]          = FAIL(NOT_AUTHORIZED),   /* 4.9.3.12; B 47 */
        [S2S_IN_OTHER_NS_STANZA] = FAIL(NOT_AUTHORIZED),   /* 4.9.3.12 */
        [S2S_IN_ERROR]           = DO(PEER_ERROR),         /* 4.9.1.1 */
        [S2S_IN_CLOSE]           = DO(CLOSE),              /* 4.4 */
    }},
    [S2S_WAIT_PROCEED] = DEAF,
    /* Between <proceed/> and the end of the handshake there is no XML (5.4.3.3, CVE-2011-0411; B 12). */
    [S2S_TLS] = DEAF,
    /* EXTERNAL has one step. */
    [S2S_SASL] = DEAF,
    /* At least one pair is proven. */
    [S2S_OPEN] = {.others = FAIL(UNSUPPORTED_STANZA_TYPE) /* 4.9.3.24 */, .of = {
        [S2S_IN_HEADER]          = FAIL(BAD_FORMAT),       /* 4.3.3 */
        [S2S_IN_STARTTLS]        = DO(NO_TLS),             /* 5.3.4, 5.4.2.2 */
        [S2S_IN_AUTH]            = FAIL(POLICY_VIOLATION), /* 6.4.6: not offered again */
        [S2S_IN_CHALLENGE]       = FAIL(POLICY_VIOLATION),
        [S2S_IN_RESULT]          = DO(RESULT),             /* XEP-0220 2.6: more pairs */
        [S2S_IN_RESULT_ANSWER]   = DO(RESULT_ANSWER),      /* XEP-0288 section 2.2: to our key */
        [S2S_IN_VERIFY]          = DO(VERIFY),             /* XEP-0220 2.2.2 */
        [S2S_IN_VERIFY_ANSWER]   = FAIL(INVALID_FROM),     /* XEP-0220: unsolicited; B 47 */
        [S2S_IN_BIDI]            = FAIL(POLICY_VIOLATION), /* XEP-0288 section 2.2: before it */
        [S2S_IN_SM]              = DO(SM),                 /* XEP-0198 */
        [S2S_IN_STANZA]          = DO(STANZA),             /* 8 */
        [S2S_IN_OTHER_NS_STANZA] = FAIL(INVALID_NAMESPACE), /* 4.8.3, 4.9.3.10 */
        [S2S_IN_ERROR]           = DO(PEER_ERROR),         /* 4.9.1.1 */
        [S2S_IN_CLOSE]           = DO(CLOSE),              /* 4.4 */
    }},
    /* After </stream:stream> nothing counts (4.4; B 30). */
    [S2S_CLOSED] = DEAF,
};

static const struct row made[S2S_STATES] = {
    /* The answer to our header. */
    [S2S_WAIT_HEADER] = {.others = FAIL(BAD_FORMAT), .of = {
        [S2S_IN_HEADER]          = DO(OPEN),               /* 4.3.2 */
        [S2S_IN_CLOSE]           = DO(CLOSE),              /* 4.4 */
    }},
    /* Features come first (4.3.2). */
    [S2S_WAIT_FEATURES] = {.others = FAIL(UNSUPPORTED_STANZA_TYPE) /* 4.9.3.24 */, .of = {
        [S2S_IN_HEADER]          = FAIL(BAD_FORMAT),       /* 4.3.3 */
        [S2S_IN_FEATURES]        = DO(FEATURES),           /* 4.3.2 */
        [S2S_IN_STANZA]          = FAIL(NOT_AUTHORIZED),   /* 4.9.3.12 */
        [S2S_IN_OTHER_NS_STANZA] = FAIL(NOT_AUTHORIZED),
        [S2S_IN_ERROR]           = DO(PEER_ERROR),         /* 4.9.1.1 */
        [S2S_IN_CLOSE]           = DO(CLOSE),              /* 4.4 */
    }},
    [S2S_NEGOTIATING] = DEAF,
    /* We asked for TLS (5.4.2). */
    [S2S_WAIT_PROCEED] = {.others = FAIL(UNSUPPORTED_STANZA_TYPE) /* 4.9.3.24 */, .of = {
        [S2S_IN_HEADER]          = FAIL(BAD_FORMAT),       /* 4.3.3 */
        [S2S_IN_PROCEED]         = DO(PROCEED),            /* 5.4.2.3 */
        [S2S_IN_TLS_FAILURE]     = DO(NO_TLS),             /* 5.4.2.2 */
        [S2S_IN_STANZA]          = FAIL(NOT_AUTHORIZED),   /* 4.9.3.12 */
        [S2S_IN_OTHER_NS_STANZA] = FAIL(NOT_AUTHORIZED),
        [S2S_IN_ERROR]           = DO(PEER_ERROR),         /* 4.9.1.1 */
        [S2S_IN_CLOSE]           = DO(CLOSE),              /* 4.4 */
    }},
    /* No XML until the handshake is finished (5.4.3.3). */
    [S2S_TLS] = DEAF,
    /* EXTERNAL was sent (6.4). */
    [S2S_SASL] = {.others = FAIL(UNSUPPORTED_STANZA_TYPE) /* 4.9.3.24 */, .of = {
        [S2S_IN_HEADER]          = FAIL(BAD_FORMAT),       /* 4.3.3 */
        [S2S_IN_SUCCESS]         = DO(SUCCESS),            /* 6.4.6 */
        [S2S_IN_FAILURE]         = DO(FAILURE),            /* 6.4.5; XEP-0178 section 3 */
        [S2S_IN_CHALLENGE]       = DO(SASL_MALFORMED),     /* 6.4.3: EXTERNAL has none to answer */
        [S2S_IN_STANZA]          = FAIL(NOT_AUTHORIZED),   /* 4.9.3.12 */
        [S2S_IN_OTHER_NS_STANZA] = FAIL(NOT_AUTHORIZED),
        [S2S_IN_ERROR]           = DO(PEER_ERROR),         /* 4.9.1.1 */
        [S2S_IN_CLOSE]           = DO(CLOSE),              /* 4.4 */
    }},
    /* Answers to what we asked; stanzas only where both ends may send (XEP-0288). */
    [S2S_OPEN] = {.others = FAIL(UNSUPPORTED_STANZA_TYPE) /* 4.9.3.24 */, .of = {
        [S2S_IN_HEADER]          = FAIL(BAD_FORMAT),       /* 4.3.3 */
        [S2S_IN_FEATURES]        = DO(IGNORE),             /* 4.3.2: nothing is left to choose */
        [S2S_IN_RESULT]          = DO(RESULT),             /* XEP-0288 section 2.2: refused, not closed */
        [S2S_IN_RESULT_ANSWER]   = DO(RESULT_ANSWER),      /* XEP-0220 2.1.1 */
        [S2S_IN_VERIFY]          = DO(VERIFY),             /* XEP-0288 section 2.2 */
        [S2S_IN_VERIFY_ANSWER]   = DO(VERIFY_ANSWER),      /* XEP-0220 2.1.2 */
        [S2S_IN_SM]              = DO(SM),                 /* XEP-0198 */
        [S2S_IN_STANZA]          = DO(STANZA),             /* XEP-0288 section 2.2 */
        [S2S_IN_OTHER_NS_STANZA] = FAIL(INVALID_NAMESPACE), /* 4.8.3 */
        [S2S_IN_ERROR]           = DO(PEER_ERROR),         /* 4.9.1.1 */
        [S2S_IN_CLOSE]           = DO(CLOSE),              /* 4.4 */
    }},
    [S2S_CLOSED] = DEAF,                                   /* 4.4 */
};
/* clang-format on */

enum s2s_action s2s_stream_next(enum s2s_role role, enum s2s_state state, enum s2s_input in,
                                enum stream_condition *ret_condition)
{
    const struct row *row = role == S2S_ACCEPTED ? &accepted[state] : &made[state];
    const struct cell *cell = &row->of[in];

    if (cell->action == S2S_DO_OTHERS)
        cell = &row->others;
    *ret_condition = cell->condition;
    return cell->action;
}

const char *s2s_state_name(enum s2s_state s)
{
    static const char *const names[S2S_STATES] = {
#define X(id, text) [S2S_##id] = (text),
        S2S_STATES_X(X)
#undef X
    };
    return names[s];
}

/* --- what an element is --- */

static const struct {
    const struct str *ns;
    const char *name; /* NULL: any */
    enum s2s_input input;
} elements[] = {
    {&NS_STREAM, "features", S2S_IN_FEATURES},
    {&NS_STREAM, "error", S2S_IN_ERROR},
    {&NS_TLS, "starttls", S2S_IN_STARTTLS},
    {&NS_TLS, "proceed", S2S_IN_PROCEED},
    {&NS_TLS, "failure", S2S_IN_TLS_FAILURE},
    {&NS_SASL, "auth", S2S_IN_AUTH},
    {&NS_SASL, "success", S2S_IN_SUCCESS},
    {&NS_SASL, "failure", S2S_IN_FAILURE},
    {&NS_SASL, "challenge", S2S_IN_CHALLENGE},
    {&NS_SASL, "response", S2S_IN_CHALLENGE},
    {&NS_SASL, "abort", S2S_IN_CHALLENGE},
    {&NS_BIDI, "bidi", S2S_IN_BIDI},
    {&NS_SM, NULL, S2S_IN_SM},
};

static bool is_stanza(struct str name)
{
    return str_is(name, "message") || str_is(name, "presence") || str_is(name, "iq");
}

enum s2s_input s2s_stream_classify(const struct stanza *s)
{
    struct str name = stanza_name(s, STANZA_ROOT), ns = stanza_ns(s, STANZA_ROOT);
    bool answer;

    if (is_stanza(name))
        return str_eq(ns, NS_SERVER) ? S2S_IN_STANZA : S2S_IN_OTHER_NS_STANZA;
    if (str_eq(ns, NS_DIALBACK)) {
        answer = stanza_attr(s, STANZA_ROOT, STR("type")).data != NULL;
        if (str_is(name, "result"))
            return answer ? S2S_IN_RESULT_ANSWER : S2S_IN_RESULT;
        if (str_is(name, "verify"))
            return answer ? S2S_IN_VERIFY_ANSWER : S2S_IN_VERIFY;
    }
    for (size_t i = 0; i < sizeof(elements) / sizeof(elements[0]); i++)
        if (str_eq(ns, *elements[i].ns) && (!elements[i].name || str_is(name, elements[i].name)))
            return elements[i].input;
    return S2S_IN_UNKNOWN;
}

/* --- headers --- */

/* Section 4.7.5; servers older than RFC 3920 leave it out and know dialback alone. */
static bool read_version(struct str version, bool *ret)
{
    struct str major;
    uint64_t number, minor;

    *ret = false;
    if (!version.data)
        return true;
    if (!str_split(&version, '.', &major) || !version.data ||
        !str_to_u64(major, UINT32_MAX, &number) || !str_to_u64(version, UINT32_MAX, &minor))
        return false;
    *ret = number >= 1;
    return true;
}

static bool read_domain(struct str text, char *buffer, struct str *ret)
{
    size_t len;

    *ret = STR_NULL;
    if (!text.data)
        return true;
    if (!jid_prepare_domain(text, buffer, &len))
        return false;
    *ret = (struct str){buffer, len};
    return true;
}

enum stream_condition s2s_stream_check_header(const struct stanza *header, struct s2s_header *ret)
{
    if (!str_is(stanza_name(header, STANZA_ROOT), "stream"))
        return STREAM_ERR_BAD_FORMAT; /* section 4.9.3.1 */
    if (!str_eq(stanza_ns(header, STANZA_ROOT), NS_STREAM) ||
        !str_eq(stanza_attr(header, STANZA_ROOT, STR("xmlns")), NS_SERVER))
        return STREAM_ERR_INVALID_NAMESPACE; /* sections 4.8.1 and 4.8.2 */
    if (!read_version(stanza_attr(header, STANZA_ROOT, STR("version")), &ret->version))
        return STREAM_ERR_UNSUPPORTED_VERSION; /* section 4.7.5 */
    ret->id = stanza_attr(header, STANZA_ROOT, STR("id"));
    if (!read_domain(stanza_attr(header, STANZA_ROOT, STR("from")), ret->from_buffer, &ret->from) ||
        !read_domain(stanza_attr(header, STANZA_ROOT, STR("to")), ret->to_buffer, &ret->to))
        return STREAM_ERR_IMPROPER_ADDRESSING; /* section 4.9.3.7 */
    return STREAM_ERR_NONE;
}

/* XEP-0220 section 2.3.1: dialback is announced by its namespace, with this very prefix. */
bool s2s_stream_write_header(struct buffer *out, struct str from, struct str to, struct str id)
{
    struct buffer all;
    bool ok;

    buffer_init(&all, 16384);
    buffer_printf(&all,
                  "<?xml version='1.0'?><stream:stream xmlns='%s' xmlns:stream='%s' xmlns:db='%s' "
                  "version='1.0'",
                  NS_SERVER.data, NS_STREAM.data, NS_DIALBACK.data);
    builder_write_attr(&all, "id", id);
    builder_write_attr(&all, "from", from);
    builder_write_attr(&all, "to", to);
    buffer_add_str(&all, STR(" xml:lang='en'>"));
    ok = !all.overflowed && buffer_add_str(out, buffer_str(&all));
    buffer_finish(&all);
    return ok;
}
