/* Stream errors: the conditions of RFC 6120 section 4.9.3 and how they are written. */
#include "xmpp/stream_error.h"

#include "xml/builder.h"
#include "xmpp/namespaces.h"

static const struct str elements[] = {
    [STREAM_ERR_NONE] = {"", 0},
#define X(id, element) [STREAM_ERR_##id] = {element, sizeof(element) - 1},
#include "xmpp/stream_error.def"
#undef X
};

struct str stream_error_element(enum stream_condition c)
{
    return elements[c];
}

/* RFC 6120 section 4.9.2: the condition, then an optional <text/>, both in the streams namespace.
 */
bool stream_error_write(struct buffer *out, enum stream_condition c, const char *text)
{
    return stream_error_write_app(out, c, text, STR_NULL);
}

bool stream_error_write_app(struct buffer *out, enum stream_condition c, const char *text,
                            struct str app)
{
    struct buffer all;
    buffer_init(&all, 2048);
    buffer_add_str(&all, STR("<stream:error><"));
    buffer_add_str(&all, elements[c]);
    buffer_printf(&all, " xmlns='%s'/>", NS_STREAM_ERROR.data);
    if (text) {
        buffer_printf(&all, "<text xmlns='%s' xml:lang='en'>", NS_STREAM_ERROR.data);
        builder_escape_text(&all, str_of(text));
        buffer_add_str(&all, STR("</text>"));
    }
    if (app.data)
        buffer_add_str(&all, app);
    buffer_add_str(&all, STR("</stream:error></stream:stream>"));
    /* Whole or not at all: half an error would break the peer's parser instead of informing it. */
    bool ok = !all.overflowed && buffer_add_str(out, buffer_str(&all));
    buffer_finish(&all);
    return ok;
}

enum stream_condition stream_error_from_parser(enum parser_status status)
{
    switch (status) {
    case PARSER_OK:
    case PARSER_STOPPED:
        return STREAM_ERR_NONE;
    case PARSER_NOT_WELL_FORMED:
        return STREAM_ERR_NOT_WELL_FORMED;
    case PARSER_RESTRICTED_XML:
        return STREAM_ERR_RESTRICTED_XML;
    case PARSER_UNSUPPORTED_ENCODING:
        return STREAM_ERR_UNSUPPORTED_ENCODING;
    case PARSER_BAD_NAMESPACE_PREFIX:
        return STREAM_ERR_BAD_NAMESPACE_PREFIX;
    case PARSER_POLICY_VIOLATION:
        return STREAM_ERR_POLICY_VIOLATION;
    case PARSER_BAD_FORMAT:
        return STREAM_ERR_BAD_FORMAT;
    }
    return STREAM_ERR_UNDEFINED_CONDITION;
}
