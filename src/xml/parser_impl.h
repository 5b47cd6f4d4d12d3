/* What parser.c (the feed) and parser_events.c (what expat reports) share. Internal to xml/. */
#ifndef JACKDAW_XML_PARSER_IMPL_H
#define JACKDAW_XML_PARSER_IMPL_H

#include "xml/parser.h"
#include "xml/parser_pool.h"
#include "xml/plain.h"
#include "xml/token.h"
#include "xml/utf8.h"

/* Where a stream is. */
enum parser_phase {
    PARSER_HEADER,   /* waits for its header */
    PARSER_STREAM,   /* between and in stanzas */
    PARSER_DOCUMENT, /* parser_document: one stanza, nothing else */
    PARSER_ENDED     /* closed by the peer: what follows is ignored */
};

struct parser {
    struct parser_pool *pool;
    const struct parser_events *events;
    void *owner;
    struct parser_limits limits;
    struct parser_key *key; /* from the header on */
    struct lane *lane;      /* while input is unfinished */
    const char *why;
    char *held;        /* input held back from expat: see token.h */
    uint32_t held_len; /* bytes in it; its capacity is held_cap */
    uint32_t held_cap;
    size_t unfinished; /* bytes of the token in expat that is not complete */
    size_t pending;    /* bytes of the stanza or header under way, held ones included */
    size_t behind;     /* within an event: bytes of the feed not yet given to the lane */
    uint64_t total;    /* bytes since the start */
    uint64_t stop_at;  /* with `restart`: the lane's index behind the event */
    struct utf8 utf8;
    enum parser_status status;
    enum parser_phase phase;
    enum token token;
    uint8_t seen;    /* bytes of this stream, counted up to 2 */
    bool markup;     /* with a '<' among them */
    bool feeding;    /* parser_feed is at work */
    bool in_event;   /* and the owner is being told something */
    bool destroyed;  /* parser_destroy was called meanwhile */
    bool restart;    /* parser_restart was */
    bool skip_space; /* after a restart, white space before the header belongs to the old stream */
};

/* Ends the stream with this status, once; within an event of expat's it hears no more. */
void parser_fail(struct parser *p, enum parser_status status, const char *why);

#endif
