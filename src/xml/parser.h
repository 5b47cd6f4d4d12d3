/* Parser: a stream's bytes -> header, stanzas, end. expat with the rules of design.md section 3.
 *
 * `struct parser` is small. The expat parser itself is borrowed from a pool while a stanza is
 * unfinished: between stanzas every stream whose header declared the same namespaces is in the same
 * expat state, so a warm parser serves them all; an idle stream owns none.
 */
#ifndef JACKDAW_XML_PARSER_H
#define JACKDAW_XML_PARSER_H

#include "xml/stanza.h"
#include "base/random.h"

struct parser;
struct parser_pool; /* one per loop */

struct parser_pool *parser_pool_create(struct random *random);
void parser_pool_destroy(struct parser_pool *pool);

struct parser_limits {
    size_t stanza_bytes; /* of input, for one first-level element (start tag to end tag) or the
                            stream header */
    size_t total_bytes; /* of input, all told, until changed; 0 = unlimited (the pre-auth budget) */
    uint32_t depth;     /* below the stream element */
    uint32_t attributes; /* per element, namespace declarations not counted */
    /* Declarations per element: each of many payloads in a stanza has its own, and that is no
     * bomb. */
    uint32_t namespaces;
    uint32_t children; /* elements per stanza, below the first-level one */
};

enum parser_status {
    PARSER_OK,
    /* Each ends the stream with the stream error of its name (RFC 6120 section 4.9.3). */
    PARSER_NOT_WELL_FORMED,
    PARSER_RESTRICTED_XML,       /* comment, PI, DTD, entity reference: section 11.1 */
    PARSER_UNSUPPORTED_ENCODING, /* anything but UTF-8 */
    PARSER_BAD_NAMESPACE_PREFIX, /* unbound prefix */
    PARSER_POLICY_VIOLATION,     /* a limit: parser_why tells which */
    PARSER_BAD_FORMAT,           /* text between stanzas; stream header inside a stream */
    PARSER_STOPPED               /* an event handler called parser_stop */
};

struct parser_events {
    /* The stream element's start tag as a childless stanza, borrowed for the call. The default
     * namespace it declares is there as its attribute "xmlns" (absent when none is declared):
     * stream.c decides by it (RFC 6120 section 4.8). */
    void (*stream_open)(void *owner, const struct stanza *header);
    /* A first-level element; the callee owns the reference. */
    void (*stanza)(void *owner, struct stanza *s);
    void (*stream_close)(void *owner); /* </stream:stream> */
    /* White space between stanzas; may be NULL. */
    void (*space)(void *owner);
};

struct parser *parser_create(struct parser_pool *pool, const struct parser_limits *limits,
                             const struct parser_events *events, void *owner);
void parser_destroy(
    struct parser *p); /* allowed inside an event only after parser_stop: freed when feed returns */
/* Any split of the bytes gives the same events. After anything but OK the parser accepts nothing
 * more. (What is wrong inside an unfinished tag of more than 1 KB may be said a little later: see
 * token.h.) */
enum parser_status parser_feed(struct parser *p, const char *bytes, size_t len);
/* From within an event: ignore the rest of this feed (closing). */
void parser_stop(struct parser *p);
/* Within an event or between feeds: expect a new stream header (RFC 6120 section 4.3.3). What is
 * left of the feed is parsed as the new stream (a client may pipeline behind SASL); before TLS
 * check parser_rest first. */
void parser_restart(struct parser *p);
/* Within an event: bytes of this feed behind the current stanza. Not 0 behind <starttls/> means
 * that plaintext was injected (CVE-2011-0411): close. */
size_t parser_rest(const struct parser *p);
/* Higher limits hold at once, lower ones at the latest from the next feed on. */
void parser_set_limits(struct parser *p, const struct parser_limits *limits);
const char *parser_why(const struct parser *p); /* text for the stream error and the log */

/* One whole document (no stream around it) -> stanza; NULL and *ret_status on failure. For stored
 * XML and tests. */
struct stanza *parser_document(struct parser_pool *pool, struct str xml,
                               const struct parser_limits *limits, enum parser_status *ret_status);

#endif
