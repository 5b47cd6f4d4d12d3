/* Stanza errors (RFC 6120 section 8.3). */
#ifndef JACKDAW_XMPP_STANZA_ERROR_H
#define JACKDAW_XMPP_STANZA_ERROR_H

#include "xml/builder.h"
#include "xml/stanza.h"

enum stanza_condition {
    STANZA_ERR_NONE,
#define X(id, element, type, code) STANZA_ERR_##id,
#include "xmpp/stanza_error.def"
#undef X
};

struct str stanza_error_element(enum stanza_condition c); /* "bad-request" */
const char *stanza_error_type(enum stanza_condition c);   /* the default type: "modify" */
int stanza_error_code(enum stanza_condition c);
/* The condition for a jabberd2 route error code (404 -> remote-server-not-found ...). */
enum stanza_condition stanza_error_from_route(int code);

/* The error reply to `s`: same element, id and xml:lang, type='error', the original children copied
 * (RFC 6120 8.3.1 allows it; left out over 4 KB), from and to as given (data == NULL leaves the
 * attribute out). `text` may be NULL. NULL when an error must not be answered: type='error', or an
 * iq result (8.3.1 rule 2..., 8.2.3). */
struct stanza *stanza_error_reply(const struct stanza *s, struct str from, struct str to,
                                  enum stanza_condition c, const char *text);
/* The same, said by somebody between the two: his domain (RFC 6120 section 8.3.2). */
struct stanza *stanza_error_reply_by(const struct stanza *s, struct str from, struct str to,
                                     struct str by, enum stanza_condition c, const char *text);
/* Who has said that; data == NULL: whoever it is from. */
struct str stanza_error_by(const struct stanza *s);
/* As the first, with an application-specific condition element added (name in ns). */
struct stanza *stanza_error_reply_app(const struct stanza *s, struct str from, struct str to,
                                      enum stanza_condition c, const char *text,
                                      struct str app_name, struct str app_ns);
/* Reads the condition out of an error stanza; UNDEFINED_CONDITION when it has none we know. */
enum stanza_condition stanza_error_parse(const struct stanza *s);

/* An empty iq result to `request`, and one with the builder left open inside <iq> for a payload. */
struct stanza *stanza_result(const struct stanza *request, struct str from, struct str to);
struct builder *stanza_result_open(const struct stanza *request, struct str from, struct str to);

#endif
