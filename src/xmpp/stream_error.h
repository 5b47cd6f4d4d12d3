/* Stream errors (RFC 6120 section 4.9): always the end of the stream. */
#ifndef JACKDAW_XMPP_STREAM_ERROR_H
#define JACKDAW_XMPP_STREAM_ERROR_H

#include "base/buffer.h"
#include "xml/parser.h"

enum stream_condition {
    STREAM_ERR_NONE,
#define X(id, element) STREAM_ERR_##id,
#include "xmpp/stream_error.def"
#undef X
};

struct str stream_error_element(enum stream_condition c);
/* Appends <stream:error>...</stream:error></stream:stream>; `text` may be NULL. */
bool stream_error_write(struct buffer *out, enum stream_condition c, const char *text);
/* With an application-specific element (section 4.9.4), as text. */
bool stream_error_write_app(struct buffer *out, enum stream_condition c, const char *text,
                            struct str app);
enum stream_condition stream_error_from_parser(enum parser_status status);

#endif
