/* Stanza errors and results: the replies that RFC 6120 section 8 prescribes, built from the
 * request. */
#include "xmpp/stanza_error.h"

#include "xmpp/namespaces.h"

/* Of the offending stanza's children only so much is sent back: an error must not amplify. */
#define ECHO_MAX 4096

struct condition {
    struct str element;
    const char *type;
    int code;
};

static const struct condition conditions[] = {
    [STANZA_ERR_NONE] = {{"", 0}, "", 0},
#define X(id, element, type, code) [STANZA_ERR_##id] = {{element, sizeof(element) - 1}, type, code},
#include "xmpp/stanza_error.def"
#undef X
};
#define CONDITIONS (sizeof(conditions) / sizeof(conditions[0]))

struct str stanza_error_element(enum stanza_condition c)
{
    return conditions[c].element;
}

const char *stanza_error_type(enum stanza_condition c)
{
    return conditions[c].type;
}

int stanza_error_code(enum stanza_condition c)
{
    return conditions[c].code;
}

/* jabberd2.md section 1.2. A code that several conditions share means what the router means by it;
 * the others follow XEP-0086. */
enum stanza_condition stanza_error_from_route(int code)
{
    switch (code) {
    case 302:
        return STANZA_ERR_REDIRECT;
    case 400:
        return STANZA_ERR_BAD_REQUEST;
    case 401:
        return STANZA_ERR_NOT_AUTHORIZED;
    case 403:
        return STANZA_ERR_FORBIDDEN;
    case 404: /* nobody has bound the name */
        return STANZA_ERR_REMOTE_SERVER_NOT_FOUND;
    case 405:
        return STANZA_ERR_NOT_ALLOWED;
    case 406:
        return STANZA_ERR_NOT_ACCEPTABLE;
    case 407:
        return STANZA_ERR_REGISTRATION_REQUIRED;
    case 408:
    case 504:
        return STANZA_ERR_REMOTE_SERVER_TIMEOUT;
    case 409:
        return STANZA_ERR_CONFLICT;
    case 500:
        return STANZA_ERR_INTERNAL_SERVER_ERROR;
    case 501:
        return STANZA_ERR_FEATURE_NOT_IMPLEMENTED;
    case 502:
    case 503:
    case 510:
        return STANZA_ERR_SERVICE_UNAVAILABLE;
    default:
        return STANZA_ERR_UNDEFINED_CONDITION;
    }
}

/* Section 8.3.1: an error is never answered by an error; section 8.2.3: nor is the result of an iq.
 */
static bool may_answer(const struct stanza *s)
{
    struct str type = stanza_attr(s, STANZA_ROOT, STR("type"));
    if (str_is(type, "error"))
        return false;
    return !(str_is(type, "result") && str_is(stanza_name(s, STANZA_ROOT), "iq"));
}

static struct builder *reply_open(const struct stanza *s, struct str from, struct str to,
                                  struct str type)
{
    struct builder *b = builder_create(stanza_name(s, STANZA_ROOT), stanza_ns(s, STANZA_ROOT));
    builder_attr(b, STR("from"), from);
    builder_attr(b, STR("to"), to);
    builder_attr(b, STR("id"), stanza_attr(s, STANZA_ROOT, STR("id")));
    builder_attr(b, STR("type"), type);
    return b;
}

/* Any of `by`, `text` and `app` may be missing. */
static struct stanza *error_reply(const struct stanza *s, struct str from, struct str to,
                                  struct str by, enum stanza_condition c, const char *text,
                                  struct str app_name, struct str app_ns)
{
    if (!may_answer(s))
        return NULL;
    struct builder *b = reply_open(s, from, to, STR("error"));
    builder_lang(b, stanza_lang(s, STANZA_ROOT));
    if (stanza_inner(s, STANZA_ROOT).len <= ECHO_MAX)
        builder_copy_inner(b, s, STANZA_ROOT);
    builder_start(b, STR("error"), STR_NULL);
    builder_attr(b, STR("type"), str_of(conditions[c].type));
    if (by.data)
        builder_attr(b, STR("by"), by);
    builder_leaf(b, conditions[c].element, NS_STANZA_ERROR, STR_NULL);
    if (text) {
        builder_start(b, STR("text"), NS_STANZA_ERROR);
        builder_lang(b, STR("en"));
        builder_text(b, str_of(text));
        builder_end(b);
    }
    if (app_name.data)
        builder_leaf(b, app_name, app_ns, STR_NULL);
    return builder_finish(b);
}

struct stanza *stanza_error_reply_app(const struct stanza *s, struct str from, struct str to,
                                      enum stanza_condition c, const char *text,
                                      struct str app_name, struct str app_ns)
{
    return error_reply(s, from, to, STR_NULL, c, text, app_name, app_ns);
}

struct stanza *stanza_error_reply(const struct stanza *s, struct str from, struct str to,
                                  enum stanza_condition c, const char *text)
{
    return error_reply(s, from, to, STR_NULL, c, text, STR_NULL, STR_NULL);
}

struct stanza *stanza_error_reply_by(const struct stanza *s, struct str from, struct str to,
                                     struct str by, enum stanza_condition c, const char *text)
{
    return error_reply(s, from, to, by, c, text, STR_NULL, STR_NULL);
}

struct str stanza_error_by(const struct stanza *s)
{
    stanza_el error = stanza_child(s, STANZA_ROOT, STR("error"), stanza_ns(s, STANZA_ROOT));
    return error == STANZA_NONE ? STR_NULL : stanza_attr(s, error, STR("by"));
}

enum stanza_condition stanza_error_parse(const struct stanza *s)
{
    /* The error element takes the stream's own namespace: of clients, of servers; also below an
     * element of dialback (XEP-0220 section 2.5). */
    stanza_el error = stanza_child(s, STANZA_ROOT, STR("error"), STR_NULL);
    if (error == STANZA_NONE)
        return STANZA_ERR_UNDEFINED_CONDITION;
    for (stanza_el el = stanza_first(s, error); el != STANZA_NONE; el = stanza_next(s, el)) {
        if (!str_eq(stanza_ns(s, el), NS_STANZA_ERROR))
            continue;
        for (size_t c = STANZA_ERR_NONE + 1; c < CONDITIONS; c++)
            if (str_eq(stanza_name(s, el), conditions[c].element))
                return (enum stanza_condition)c;
    }
    return STANZA_ERR_UNDEFINED_CONDITION;
}

struct builder *stanza_result_open(const struct stanza *request, struct str from, struct str to)
{
    return reply_open(request, from, to, STR("result"));
}

struct stanza *stanza_result(const struct stanza *request, struct str from, struct str to)
{
    return builder_finish(stanza_result_open(request, from, to));
}
